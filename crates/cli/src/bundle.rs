//! Reads a certificate, its chain and its key from files.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use dialoguer::Password;
use p12_keystore::Pkcs12Archive;
use pem::{EncodeConfig, LineEnding, Pem};
use rotation_core::certificate::bundle::{self, Bundle, MAX_SOURCE_BYTES};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The combined content of the files: the text for a source, and its parsed form.
pub(crate) struct Content {
    /// PEM, or the JSON of a source.
    pub text: Zeroizing<String>,
    /// The parsed text.
    pub bundle: Bundle,
}

/// Reads files that together are one certificate with its key.
///
/// # Errors
/// When a file cannot be read, or the files are not a certificate with its key.
pub(crate) fn read(files: &[PathBuf], password_file: Option<&Path>) -> Result<Content, Failure> {
    let mut text = Zeroizing::new(String::new());
    for path in files {
        let bytes = bytes(path)?;
        // A PKCS#12 file starts with a DER sequence, and no text starts with that byte.
        let part = match bytes.first() {
            Some(0x30) => of_pkcs12(&bytes, path, password_file)?,
            _ => Zeroizing::new(
                std::str::from_utf8(&bytes)
                    .map_err(|_| {
                        Failure::WillNotDo(format!(
                            "{}: is neither PEM, nor JSON, nor PKCS#12.",
                            path.display()
                        ))
                    })?
                    .to_owned(),
            ),
        };
        text.push_str(&part);
        if !part.ends_with('\n') {
            text.push('\n');
        }
    }
    let bundle = bundle::read(text.as_bytes()).map_err(|error| {
        let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        Failure::WillNotDo(format!("{}: {}", names.join(", "), error.finding()))
    })?;
    Ok(Content { text, bundle })
}

fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failure = |error: std::io::Error| Failure::file(path, &error);
    let mut bytes = Zeroizing::new(Vec::new());
    // One byte above the limit, so that a file that is too large is detected and not truncated.
    let limit = MAX_SOURCE_BYTES as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut bytes).map_err(failure)?;
    } else {
        let file = std::fs::File::open(path).map_err(failure)?;
        file.take(limit).read_to_end(&mut bytes).map_err(failure)?;
    }
    Ok(bytes)
}

/// The keys and certificates of a PKCS#12 file (RFC 7292) as PEM.
fn of_pkcs12(
    bytes: &[u8],
    path: &Path,
    password_file: Option<&Path>,
) -> Result<Zeroizing<String>, Failure> {
    let password = password(path, password_file)?;
    let archive = Pkcs12Archive::from_pkcs12(bytes, &password).map_err(|error| {
        Failure::WillNotDo(format!(
            "{}: cannot be opened as PKCS#12: {error}. Is the password right? Else write it as PEM with \
             `openssl pkcs12 -in FILE -nodes`.",
            path.display()
        ))
    })?;
    let keys = archive.keys.iter().map(|bag| ("PRIVATE KEY", bag.key.as_der()));
    let certificates = archive.certs.iter().map(|bag| ("CERTIFICATE", bag.cert.as_der()));
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let mut text = Zeroizing::new(String::new());
    for (label, der) in keys.chain(certificates) {
        text.push_str(&Zeroizing::new(pem::encode_config(&Pem::new(label, der), config)));
    }
    Ok(text)
}

fn password(path: &Path, file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map_err(|error| Failure::file(file, &error))?;
        let text = Zeroizing::new(text);
        return Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "{} is a PKCS#12 file, and there is no terminal to ask for its password: pass --password-file.",
            path.display()
        )));
    }
    let prompt = format!("Password of {}", path.display());
    let asked = Password::new().with_prompt(prompt).allow_empty_password(true).interact();
    asked.map(Zeroizing::new).map_err(|_| Failure::Declined)
}
