//! The rules of one store only. What CloudFront, which serves from both, and viewers ask is elsewhere.

use crate::certificate::Certificate;
use crate::ids::Store;

/// The maximum bytes in PEM of the certificate and of the private key.
///
/// ACM API Reference, `ImportCertificate`: `Certificate` (32,768) and `PrivateKey` (5,120). IAM API
/// Reference, `UploadServerCertificate`: `CertificateBody` and `PrivateKey` (16,384 each).
pub(super) fn max_bytes(store: Store) -> (usize, usize) {
    match store {
        Store::Acm => (32_768, 5_120),
        Store::Iam => (16_384, 16_384),
    }
}

/// What the store may refuse at the import, by pages of AWS that disagree. An import that is refused
/// changes nothing.
pub(super) fn may_refuse(leaf: &Certificate, store: Store) -> Option<String> {
    match store {
        Store::Acm => other_family(leaf),
        // IAM's reference has no such sentence.
        Store::Iam => None,
    }
}

/// ACM API Reference, `ImportCertificate`: "The key algorithm of the certificate must match that of
/// the signing CA". The prerequisites in its User Guide no longer require it.
fn other_family(leaf: &Certificate) -> Option<String> {
    let (own, issuer) = (leaf.key_algorithm().family()?, leaf.signed_with()?);
    (own != issuer).then(|| {
        format!(
            "ACM may refuse the import, since the key of the certificate is {own} and that of its issuer is {issuer}; AWS's pages disagree. Nothing is changed before the import. If ACM refuses, use the store iam, or have the certificate issued for an {issuer} key."
        )
    })
}
