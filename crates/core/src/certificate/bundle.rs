//! Parses the content of a source into leaf, chain and private key.
//!
//! Errors say only where the content is wrong, and quote nothing that might be key material: when a
//! PEM header is broken, a tag, a field name or a parser's message may contain part of a key.

mod blocks;
mod error;

pub use error::{BundleError, Place};

use crate::certificate::{Certificate, PrivateKey};

use blocks::{BEGIN, Block, json_blocks, pem_blocks};

/// The largest content that is read: 65,536 bytes, the limit of a Secrets Manager secret
/// (`PutSecretValue`, `SecretString`). It also keeps every chain below the limit of ACM and IAM,
/// 2,097,152 bytes.
pub const MAX_SOURCE_BYTES: usize = 65_536;

/// A certificate ready for import.
#[derive(Debug)]
pub struct Bundle {
    /// The server certificate.
    pub leaf: Certificate,
    /// The chain: the leaf's issuer first, each certificate issued by the next, without the root,
    /// which CloudFront does not accept (Developer Guide, "Requirements for using SSL/TLS
    /// certificates with CloudFront", intermediate certificates).
    pub intermediates: Vec<Certificate>,
    /// The private key. [`crate::certificate::fitness::check`] verifies that it belongs to the
    /// leaf.
    pub key: PrivateKey,
}

/// Parses the content of a source: a JSON object with the strings `certificate`, `privateKey` and
/// optionally `certificateChain`, or one PEM text, with blocks in any order and any text between
/// them.
///
/// The chain is put in order; the root and repeated certificates are dropped. Of several
/// certificates with the same name and key (cross-signing), the one that expires last is used and
/// the path of the others is dropped: CloudFront accepts no certificate outside the path.
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
    let intermediates = arrange_chain(&leaf, certificates)?;
    Ok(Bundle { leaf, intermediates, key })
}

/// The index of the server certificate: the one that the private key belongs to or, if there is
/// none, the one that is not a CA certificate and issued no other. A key that belongs to no
/// certificate is reported by [`crate::certificate::fitness::check`], together with all other
/// findings.
fn find_leaf(
    certificates: &[(Place, Certificate)],
    key: &PrivateKey,
) -> Result<usize, BundleError> {
    let indices_where = |is_wanted: &dyn Fn(&Certificate) -> bool| -> Vec<usize> {
        let wanted = certificates.iter().enumerate().filter(|(_, (_, it))| is_wanted(it));
        wanted.map(|(i, _)| i).collect()
    };
    let mut candidates = indices_where(&|it| key.matches(it) == Ok(true));
    if candidates.is_empty() {
        candidates = indices_where(&|it| {
            let issued_another =
                certificates.iter().any(|(_, other)| other != it && other.is_issued_by(it));
            !it.is_ca() && !issued_another
        });
    }
    match candidates[..] {
        [] => Err(BundleError::NoLeaf),
        [leaf] => Ok(leaf),
        [first, second, ..] => Err(BundleError::SecondLeaf {
            place: certificates[second].0,
            subject: certificates[second].1.name(),
            first: certificates[first].0,
        }),
    }
}

/// The chain from the leaf's issuer upwards.
fn arrange_chain(
    leaf: &Certificate,
    mut others: Vec<(Place, Certificate)>,
) -> Result<Vec<Certificate>, BundleError> {
    others.retain(|(_, certificate)| !certificate.is_self_signed());

    let mut chain: Vec<Certificate> = Vec::new();
    loop {
        let last = chain.last().unwrap_or(leaf);
        let issuers = others.iter().enumerate().filter(|(_, (_, other))| last.is_issued_by(other));
        let longest_lived =
            issuers.max_by_key(|(_, (_, issuer))| (issuer.not_after(), issuer.fingerprint()));
        let Some((i, _)) = longest_lived else { break };
        chain.push(others.remove(i).1);
    }

    // The remaining certificates must be the other path of a cross-signed authority: each one the
    // issuer of a certificate on either path.
    let mut on_some_path = chain.clone();
    on_some_path.push(leaf.clone());
    while let Some(i) = others
        .iter()
        .position(|(_, other)| on_some_path.iter().any(|lower| lower.is_issued_by(other)))
    {
        on_some_path.push(others.remove(i).1);
    }
    match others.into_iter().next() {
        None => Ok(chain),
        Some((place, other)) => Err(BundleError::Unrelated { place, subject: other.name() }),
    }
}

#[cfg(test)]
mod tests;
