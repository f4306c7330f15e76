//! Parses the content of a source into leaf, chain and private key.
//!
//! Errors say only where the content is wrong, and quote nothing that might be key material: when a
//! PEM header is broken, a tag, a field name or a parser's message may contain part of a key.

mod blocks;
mod error;

pub use error::{BundleError, Place};

use crate::certificate::chain::find_leaf;
use crate::certificate::{Certificate, PrivateKey};

use blocks::{BEGIN, Block, json_blocks, pem_blocks};

/// The largest content that is read: 65,536 bytes, the limit of a Secrets Manager secret
/// (`PutSecretValue`, `SecretString`). It also keeps every chain below the limit of ACM and IAM,
/// 2,097,152 bytes.
pub const MAX_SOURCE_BYTES: usize = 65_536;

/// What a source holds.
#[derive(Debug)]
pub struct Bundle {
    /// The server certificate.
    pub leaf: Certificate,
    /// The other certificates, in the order of the source and each once. A
    /// [`Chain`](crate::certificate::chain::Chain) is chosen from them.
    pub others: Vec<(Place, Certificate)>,
    /// The private key. [`crate::certificate::fitness::check`] verifies that it belongs to the
    /// leaf.
    pub key: PrivateKey,
}

/// Parses the content of a source: a JSON object with the strings `certificate`, `privateKey` and
/// optionally `certificateChain`, or one PEM text, with blocks in any order and any text between
/// them.
///
/// # Errors
/// The first problem, see [`BundleError`].
pub fn read(content: &[u8]) -> Result<Bundle, BundleError> {
    if content.len() > MAX_SOURCE_BYTES {
        return Err(BundleError::TooLarge { bytes: content.len() });
    }
    let text = std::str::from_utf8(content).map_err(|_| BundleError::NotText)?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.is_empty() {
        return Err(BundleError::Empty);
    }
    let blocks = if text.starts_with('{') {
        json_blocks(text)?
    } else if text.contains(BEGIN) {
        pem_blocks(text, None)?
    } else {
        return Err(BundleError::NeitherJsonNorPem);
    };

    let mut certificates: Vec<(Place, Certificate)> = Vec::new();
    let mut key: Option<(Place, PrivateKey)> = None;
    for Block { place, tag, mut der } in blocks {
        match tag.as_str() {
            "CERTIFICATE" => {
                let certificate = Certificate::from_der(std::mem::take(&mut *der))
                    .map_err(|error| BundleError::BrokenCertificate { place, error })?;
                if !certificates.iter().any(|(_, other)| *other == certificate) {
                    certificates.push((place, certificate));
                }
            }
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {
                if let Some((first, _)) = key {
                    return Err(BundleError::SecondKey { place, first });
                }
                let read = PrivateKey::from_block(&tag, der);
                key = Some((place, read.ok_or(BundleError::BrokenKey { place })?));
            }
            // `openssl ecparam -genkey` writes this block before the key; it repeats what the key
            // contains.
            "EC PARAMETERS" => {}
            _ => return Err(BundleError::OtherBlock { place, tag }),
        }
    }
    if certificates.is_empty() {
        return Err(BundleError::NoCertificate);
    }
    let (_, key) = key.ok_or(BundleError::NoKey)?;

    let (_, leaf) = certificates.remove(find_leaf(&certificates, &key)?);
    Ok(Bundle { leaf, others: certificates, key })
}

#[cfg(test)]
mod tests;
