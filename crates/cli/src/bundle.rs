//! Reads a certificate, its chain and its key from files.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use dialoguer::Password;
use rotation_core::certificate::bundle::{self, Bundle, BundleError, MAX_SOURCE_BYTES};
use rotation_core::failure::Ending;
use rotation_core::finding::Finding;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::pkcs12::{self, Refusal};

/// The content of the files: the text for a source, and its parsed form.
pub(crate) struct Content {
    /// PEM, or the JSON of a source.
    pub text: Zeroizing<String>,
    /// The parsed text.
    pub bundle: Bundle,
}

/// Why files are not a certificate with its key, and the failure of the command.
pub(crate) struct Unreadable {
    /// For a program.
    pub finding: Finding,
    is_usage: bool,
    is_declined: bool,
}

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Self {
        let text = unreadable.finding.to_string();
        match unreadable {
            Unreadable { is_declined: true, .. } => Self::Declined,
            Unreadable { is_usage: true, .. } => Self::Usage(text),
            Unreadable { .. } => Self::WillNotDo(text),
        }
    }
}

impl Unreadable {
    fn new(finding: Finding) -> Self {
        Self { finding, is_usage: false, is_declined: false }
    }

    fn file(path: &Path, problem: &str, cure: &str) -> Self {
        let subject = path.display().to_string();
        Self::new(Finding::new(Ending::SourceUnreadable, subject, problem, cure))
    }

    fn io(path: &Path, error: &std::io::Error) -> Self {
        // Without the system's number in brackets.
        let problem = error.to_string();
        let problem = problem.split(" (os error").next().unwrap_or_default();
        Self::file(path, problem, "give the path of a file that you can read")
    }

    fn bundle(files: &[PathBuf], error: &BundleError) -> Self {
        let mut finding = error.finding();
        let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        let names = names.join(", ");
        finding.subject = finding.subject.replace("source of the new certificate", &names);
        if let [file] = files
            && file != Path::new("-")
        {
            finding.cure = finding.cure.replace("FILE", &quoted(&names));
        }
        Self::new(finding)
    }
}

/// A file's name for a shell.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "./_-+,@%".contains(c);
    match name.chars().all(is_plain) && !name.starts_with('-') {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

/// Reads files that together are one certificate with its key.
///
/// # Errors
/// When a file cannot be read, or the files are not a certificate with its key.
pub(crate) fn read(
    files: &[PathBuf],
    password_file: Option<&Path>,
) -> Result<Content, Box<Unreadable>> {
    let contents = files.iter().map(|path| bytes(path)).collect::<Result<Vec<_>, _>>()?;
    let mut why_not = None;
    let mut open = |file: &[u8]| {
        // Which of several it is, is known only by its content; it may be wrapped in PEM or base64.
        let holds = |content: &Zeroizing<Vec<u8>>| content.as_slice() == file;
        let at = contents.iter().position(holds).unwrap_or(files.len() - 1);
        let opened = open_pkcs12(file, &files[at], password_file);
        opened.map_err(|unreadable| why_not = Some(unreadable)).ok()
    };
    let read = bundle::read_files(contents.iter().map(|content| content.as_slice()), &mut open);
    let bundle = read.map_err(|error| {
        let Some(mut unreadable) = why_not.take() else {
            return Box::new(Unreadable::bundle(files, &error));
        };
        if let BundleError::Pkcs12 { place } = error {
            unreadable.finding.subject.push_str(&format!(", {place}"));
        }
        Box::new(unreadable)
    })?;
    Ok(Content { text: text(&contents, &bundle), bundle })
}

/// The text for a source: one file of text that a source may hold is kept as it is, and everything else
/// becomes PEM.
fn text(contents: &[Zeroizing<Vec<u8>>], bundle: &Bundle) -> Zeroizing<String> {
    if let [content] = contents
        && let Ok(text) = std::str::from_utf8(content)
        && bundle::read(content).is_ok()
    {
        return Zeroizing::new(text.to_owned());
    }
    let mut text = Zeroizing::new(bundle.leaf.to_pem());
    for (_, certificate) in &bundle.others {
        text.push_str(&certificate.to_pem());
    }
    text.push_str(&bundle.key.to_pem());
    text
}

fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, Box<Unreadable>> {
    let failure = |error: std::io::Error| Box::new(Unreadable::io(path, &error));
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SOURCE_BYTES + 1));
    let mut input: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path).map_err(failure)?),
    };
    (&mut input).take(MAX_SOURCE_BYTES as u64).read_to_end(&mut bytes).map_err(failure)?;
    // What exceeds the limit is only counted.
    let more = std::io::copy(&mut input, &mut std::io::sink()).map_err(failure)?;
    if more > 0 {
        let bytes = bytes.len() + usize::try_from(more).unwrap_or(usize::MAX);
        let too_large = BundleError::TooLarge { bytes };
        return Err(Box::new(Unreadable::bundle(&[path.to_owned()], &too_large)));
    }
    Ok(bytes)
}

/// The keys and certificates of a PKCS#12 file.
fn open_pkcs12(
    bytes: &[u8],
    path: &Path,
    password_file: Option<&Path>,
) -> Result<pkcs12::Values, Unreadable> {
    let password = password(path, password_file)?;
    pkcs12::open(bytes, &password).map_err(|refusal| match refusal {
        Refusal::Password => Unreadable::file(
            path,
            "the password does not open this PKCS#12 file",
            "pass the password of the export, or an empty file if it has none, with --password-file",
        ),
        Refusal::Unknown => Unreadable::file(
            path,
            "this PKCS#12 file is protected in a way that is not known here",
            &format!(
                "write it as PEM with `openssl pkcs12 -in {} -nodes -out bundle.pem`",
                quoted(&path.display().to_string())
            ),
        ),
        Refusal::Broken => Unreadable::file(
            path,
            "this PKCS#12 file is damaged",
            "export it again from where it comes from",
        ),
    })
}

fn password(path: &Path, file: Option<&Path>) -> Result<Zeroizing<String>, Unreadable> {
    if let Some(file) = file {
        let bytes = std::fs::read(file).map_err(|error| Unreadable::io(file, &error))?;
        return password_text(&Zeroizing::new(bytes)).ok_or_else(|| {
            Unreadable::file(file, "it is not text in UTF-8 or UTF-16", "save it as UTF-8")
        });
    }
    if !std::io::stdin().is_terminal() {
        let mut unreadable = Unreadable::file(
            path,
            "it is a PKCS#12 file, and there is no terminal to ask for its password",
            "pass --password-file",
        );
        unreadable.is_usage = true;
        return Err(unreadable);
    }
    let prompt = format!("Password of {}", path.display());
    let asked = Password::new().with_prompt(prompt).allow_empty_password(true).interact();
    asked.map(Zeroizing::new).map_err(|_| {
        let mut declined = Unreadable::file(path, "no password was given", "give its password");
        declined.is_declined = true;
        declined
    })
}

/// The text of a password file, without the mark at its beginning and the line break at its end that
/// editors add.
fn password_text(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().ok()
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => std::str::from_utf8(rest).ok()?.to_owned(),
        _ => std::str::from_utf8(bytes).ok()?.to_owned(),
    };
    let text = Zeroizing::new(text);
    Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BESIDE: &str = include_str!("../../core/tests/fixtures/beside.pem");

    fn stored(contents: &[&[u8]]) -> String {
        let contents: Vec<_> = contents.iter().map(|it| Zeroizing::new(it.to_vec())).collect();
        let files = contents.iter().map(|content| content.as_slice());
        let bundle = bundle::read_files(files, &mut |_| None).expect("a bundle");
        text(&contents, &bundle).to_string()
    }

    #[test]
    fn what_a_source_may_hold_is_stored_unchanged_and_the_rest_as_pem() {
        let remark = format!("# A remark\n{BESIDE}");
        assert_eq!(stored(&[remark.as_bytes()]), remark);
        let json = format!("[{BESIDE:?}]");
        assert_eq!(stored(&[json.as_bytes()]), json);
        let utf16: Vec<u8> = "\u{feff}"
            .encode_utf16()
            .chain(BESIDE.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let latin1 = [b"# \xfc\n", BESIDE.as_bytes()].concat();
        let (certificate, key) = BESIDE.split_at(BESIDE.find("-----BEGIN EC").expect("a key"));
        let in_two = [key.as_bytes(), certificate.as_bytes()];
        for contents in [&[&utf16[..]][..], &[&latin1], &in_two] {
            let stored = stored(contents);
            assert!(stored.starts_with(certificate), "{stored}");
            // With its public half.
            assert!(stored[certificate.len()..].starts_with("-----BEGIN PRIVATE KEY"), "{stored}");
            assert!(bundle::read(stored.as_bytes()).is_ok());
        }
    }

    #[test]
    fn passwords_are_kept_but_for_what_editors_add() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            assert_eq!(password_text(bytes).as_ref().map(|text| text.as_str()), expected);
        };
        check(b" a b \r\n\n", Some(" a b "));
        check(b"", Some(""));
        check(b"\xef\xbb\xbf\xc3\xbc\n", Some("ü"));
        check(b"\xff\xfe\xfc\0\n\0", Some("ü"));
        check(b"\xfe\xff\0\xfc", Some("ü"));
        check(b"\xfc", None);
        check(b"\xff\xfe\0\xd8", None);
    }

    #[test]
    fn names_of_files_can_be_pasted_into_a_shell() {
        for (name, expected) in
            [("a/b-c.pem", "a/b-c.pem"), ("a b", "'a b'"), ("a'b", r"'a'\''b'"), ("-a", "'-a'")]
        {
            assert_eq!(quoted(name), expected);
        }
    }
}
