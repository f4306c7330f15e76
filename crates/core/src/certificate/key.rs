//! The private key, held by one type that does not reveal it.
//!
//! The memory that this crate holds a key in is overwritten when it is dropped. The copies that
//! `pem` and `serde_json` make while decoding are freed without that; neither library offers a way.

use std::fmt;

use pem::{EncodeConfig, LineEnding, Pem};
use rustls::crypto::ring::sign::any_supported_type;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use x509_parser::asn1_rs::{Any, FromDer, Tag};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::certificate::Certificate;

/// The private key of a certificate, unencrypted, in the encoding of its source.
///
/// It cannot be cloned, serialized or displayed, its `Debug` shows only the encoding, and its bytes
/// are overwritten when it is dropped. [`Self::to_pem`], for the upload call, is the only way to
/// read it.
#[derive(ZeroizeOnDrop)]
pub struct PrivateKey {
    der: PrivateKeyDer<'static>,
}

/// Why a private key cannot be compared with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// Neither RSA of 2048 to 4096 bits nor P-256, P-384 or Ed25519; or damaged. *ring*, which
    /// parses keys here, does not say which.
    #[error(
        "the private key is damaged, or neither RSA of 2048 to 4096 bits nor on the curve P-256 or P-384"
    )]
    Unusable,
}

impl PrivateKey {
    /// The key in a PEM block with that tag; `None` if that is not the tag of an unencrypted key,
    /// or if the content is not exactly one DER sequence.
    pub(crate) fn from_block(tag: &str, mut der: Zeroizing<Vec<u8>>) -> Option<Self> {
        let is_one_sequence = Any::from_der(&der)
            .is_ok_and(|(rest, any)| rest.is_empty() && any.tag() == Tag::Sequence);
        if !is_one_sequence {
            return None;
        }
        // Taken, not cloned: the bytes are not copied, so there is only one copy to overwrite.
        let der = std::mem::take(&mut *der);
        let der = match tag {
            "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der)),
            "PRIVATE KEY" => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)),
            "EC PRIVATE KEY" => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der)),
            _ => {
                drop(Zeroizing::new(der));
                return None;
            }
        };
        Some(Self { der })
    }

    /// One PEM block with lines of 64 characters that end in LF, for the parameter `PrivateKey` of
    /// ACM and IAM.
    ///
    /// It keeps the encoding of the source (PKCS#1, PKCS#8 or SEC1): both stores accept all three,
    /// so no conversion can go wrong.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let block = Pem::new(self.tag(), self.der.secret_der());
        let text = pem::encode_config(&block, EncodeConfig::new().set_line_ending(LineEnding::LF));
        drop(Zeroizing::new(block.into_contents()));
        Zeroizing::new(text)
    }

    /// The length of [`Self::to_pem`] in bytes, for the size limits of the stores.
    pub(crate) fn pem_len(&self) -> usize {
        self.to_pem().len()
    }

    /// Whether this is the private key of the certificate's public key.
    pub(crate) fn matches(&self, certificate: &Certificate) -> Result<bool, KeyError> {
        let key = any_supported_type(&self.der).map_err(|_| KeyError::Unusable)?;
        let public_key = key.public_key().ok_or(KeyError::Unusable)?;
        Ok(public_key.as_ref() == certificate.public_key_der())
    }

    fn tag(&self) -> &'static str {
        match &self.der {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            // `PrivateKeyDer` may get more variants; `from_block` creates only these three.
            _ => "PRIVATE KEY",
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, not shown)", self.tag())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::SubjectPublicKeyInfo;

    use super::*;
    use crate::fixtures::*;
    use rotation_test_pki::*;

    fn key(pem: &str) -> PrivateKey {
        let block = pem::parse_many(pem).expect("PEM").pop().expect("a block");
        let tag = block.tag().to_string();
        PrivateKey::from_block(&tag, Zeroizing::new(block.into_contents())).expect("key")
    }

    #[test]
    fn a_key_is_written_as_it_was_read() {
        let check = |pem: &str| {
            assert_eq!(*key(pem).to_pem(), pem);
            assert_eq!(key(pem).pem_len(), pem.len());
        };
        check(RSA_2048_PKCS1);
        check(RSA_2048_PKCS8);
        check(P521_PKCS8);
        check(&P256_SEC1[P256_SEC1.find("-----BEGIN EC PRIVATE").expect("key")..]);
    }

    #[test]
    fn only_whole_der_of_a_known_encoding_is_a_key() {
        let check = |tag: &str, der: &[u8], is_key: bool| {
            let key = PrivateKey::from_block(tag, Zeroizing::new(der.to_vec()));
            assert_eq!(key.is_some(), is_key, "{tag} {der:?}");
        };
        check("PRIVATE KEY", &[0x30, 1, 0], true);
        check("PRIVATE KEY", &[], false);
        check("PRIVATE KEY", &[0x30, 2, 0], false);
        check("PRIVATE KEY", &[0x30, 1, 0, 0], false);
        check("PRIVATE KEY", &[0x31, 1, 0], false);
        check("ENCRYPTED PRIVATE KEY", &[0x30, 1, 0], false);
    }

    #[test]
    fn a_key_matches_its_own_certificate_only() {
        let root = Authority::root("Root");
        let sign = |public_key: &str| {
            let public_key = SubjectPublicKeyInfo::from_pem(public_key).expect("public key");
            certificate(&root.sign(&leaf_params(&["www.example.com"]), &public_key))
        };
        let rsa_2048 = certificate(FIXTURE_ROOT);
        let rsa_1024 = sign(include_str!("../../tests/fixtures/rsa1024.pub.pem"));
        let p256 = sign(include_str!("../../tests/fixtures/p256.pub.pem"));
        let p521 = certificate(P521_LEAF);
        let check = |pem: &str, certificate: &Certificate, expected| {
            assert_eq!(key(pem).matches(certificate), expected, "{certificate:?}");
        };
        check(RSA_2048_PKCS1, &rsa_2048, Ok(true));
        check(RSA_2048_PKCS8, &rsa_2048, Ok(true));
        check(RSA_2048_PKCS8, &p256, Ok(false));
        check(P256_SEC1, &p256, Ok(true));
        check(P256_SEC1, &rsa_2048, Ok(false));
        check(P256_SEC1, &certificate(&root.pem), Ok(false));
        check(RSA_1024_PKCS1, &rsa_1024, Err(KeyError::Unusable));
        check(P521_PKCS8, &p521, Err(KeyError::Unusable));
    }

    #[test]
    fn debug_does_not_show_the_key() {
        assert_eq!(format!("{:?}", key(RSA_2048_PKCS1)), "PrivateKey(RSA PRIVATE KEY, not shown)");
    }
}
