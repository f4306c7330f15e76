//! Reads the content of a source: leaf, chain and private key, in whatever form programs and people
//! store them. What can be understood in one way only is read; where two readings are possible, the
//! error names both.
//!
//! Errors say only where the content is wrong, and quote nothing that might be key material: when a
//! PEM header is broken, a label, a field name or a parser's message may contain part of a key.

mod blocks;
mod der;
mod error;
mod json;
mod reader;

pub use error::{BundleError, FieldName, Lack, Place};
pub use reader::OpenPkcs12;

use crate::certificate::{Certificate, PrivateKey};

use reader::Reader;

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

/// Reads the content of a source: PEM blocks in any order with any text between them; certificates and
/// keys in DER; PKCS#7; base64 of these; or JSON that has them as strings, in fields of any name.
///
/// The chain is put in order; the root and repeated certificates are dropped. Of several
/// certificates with the same name and key (cross-signing), the one that expires last is used and
/// the path of the others is dropped: CloudFront accepts no certificate outside the path.
///
/// # Errors
/// See [`BundleError`].
pub fn read(content: &[u8]) -> Result<Bundle, BundleError> {
    // A PKCS#12 file needs a password, which a source has no place for.
    read_files([content], &mut |_| None)
}

/// Reads files that together are one certificate, each in any form that [`read`] accepts, or in PKCS#12,
/// which `open_pkcs12` opens.
///
/// # Errors
/// See [`BundleError`].
pub fn read_files<'a>(
    files: impl IntoIterator<Item = &'a [u8]>,
    open_pkcs12: &mut OpenPkcs12<'_>,
) -> Result<Bundle, BundleError> {
    let mut reader = Reader::new(open_pkcs12);
    for file in files {
        reader.file(file)?;
    }
    let (mut certificates, key) = reader.finish()?;
    let (_, leaf) = certificates.remove(find_leaf(&certificates, &key)?);
    let intermediates = arrange_chain(&leaf, certificates)?;
    let key = key.completed(&leaf);
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
