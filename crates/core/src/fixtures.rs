//! Test keys and certificates that OpenSSL made because `rcgen` cannot; see
//! tests/fixtures/README.md.

use crate::certificate::Certificate;

pub(crate) const RSA_2048_PKCS1: &str = include_str!("../tests/fixtures/rsa2048.pkcs1.pem");
pub(crate) const RSA_2048_PKCS8: &str = include_str!("../tests/fixtures/rsa2048.pkcs8.pem");
pub(crate) const RSA_1024_PKCS1: &str = include_str!("../tests/fixtures/rsa1024.pkcs1.pem");
pub(crate) const P256_SEC1: &str = include_str!("../tests/fixtures/p256.sec1.pem");
pub(crate) const P521_PKCS8: &str = include_str!("../tests/fixtures/p521.pkcs8.pem");
pub(crate) const FIXTURE_ROOT: &str = include_str!("../tests/fixtures/root.pem");
pub(crate) const SHA1_LEAF: &str = include_str!("../tests/fixtures/sha1-leaf.pem");
pub(crate) const V1_LEAF: &str = include_str!("../tests/fixtures/v1-leaf.pem");
pub(crate) const P521_LEAF: &str = include_str!("../tests/fixtures/p521-leaf.pem");

pub(crate) fn certificate(pem: &str) -> Certificate {
    Certificate::from_pem(pem).expect("certificate")
}
