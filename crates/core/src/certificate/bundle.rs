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

use crate::certificate::chain::find_leaf;
use crate::certificate::{Certificate, PrivateKey};

use reader::Reader;

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

/// Reads the content of a source: PEM blocks in any order with any text between them; certificates and
/// keys in DER; PKCS#7; base64 of these; or JSON that has them as strings, in fields of any name.
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
    let key = key.completed(&leaf);
    Ok(Bundle { leaf, others: certificates, key })
}

#[cfg(test)]
mod tests;
