//! Authorities and certificates for the tests of this crate.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, date_time_ymd,
};

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

/// An authority that can issue: its certificate and, kept private, its key.
pub(crate) struct Authority {
    params: CertificateParams,
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with_key(name, p256())
    }

    pub(crate) fn root_with_key(name: &str, key: KeyPair) -> Self {
        let params = authority_params(name);
        let pem = params.self_signed(&key).expect("root").pem();
        Self { issuer: Issuer::new(params.clone(), key), params, pem }
    }

    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with_key(name, p256())
    }

    pub(crate) fn intermediate_with_key(&self, name: &str, key: KeyPair) -> Self {
        self.intermediate_from(authority_params(name), key)
    }

    pub(crate) fn intermediate_from(&self, params: CertificateParams, key: KeyPair) -> Self {
        let pem = self.sign(&params, &key);
        Self { issuer: Issuer::new(params.clone(), key), params, pem }
    }

    /// One more certificate for the name and key of another authority, valid until that year.
    pub(crate) fn cross_sign(&self, other: &Self, until: i32) -> String {
        let mut params = other.params.clone();
        params.not_after = date_time_ymd(until, 1, 1);
        self.sign(&params, other.issuer.key())
    }

    pub(crate) fn sign(&self, params: &CertificateParams, key: &impl PublicKeyData) -> String {
        params.signed_by(key, &self.issuer).expect("certificate").pem()
    }
}

pub(crate) fn p256() -> KeyPair {
    KeyPair::generate().expect("key")
}

pub(crate) fn rsa_2048() -> KeyPair {
    KeyPair::from_pem(RSA_2048_PKCS8).expect("key")
}

/// Parameters of an authority, valid from 2020 to 2040.
pub(crate) fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

/// Parameters of a server's certificate, valid from January to July 2026.
pub(crate) fn leaf_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, "www.example.com");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 7, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

pub(crate) fn certificate(pem: &str) -> Certificate {
    Certificate::from_pem(pem).expect("certificate")
}
