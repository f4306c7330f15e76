//! Throwaway authorities and their certificates, for the tests and benchmarks of all crates.
//!
//! All results are PEM. This crate must not depend on `rotation-core`, whose own unit tests use it.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, date_time_ymd,
};

/// A certificate authority. Its key is private.
#[derive(Debug)]
pub struct Authority {
    params: CertificateParams,
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub pem: String,
}

/// A server certificate with its private key and the issuer's certificate, each as PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub pem: String,
    /// The certificate of the authority that issued it.
    pub chain: String,
    /// The private key, PKCS#8.
    pub key: String,
}

impl Issued {
    /// All three in one text, in the format of a source.
    pub fn source(&self) -> String {
        format!("{}{}{}", self.pem, self.chain, self.key)
    }
}

impl Authority {
    /// A root with a P-256 key.
    pub fn root(name: &str) -> Self {
        Self::root_with_key(name, p256())
    }

    /// A root with this key.
    pub fn root_with_key(name: &str, key: KeyPair) -> Self {
        Self::root_from(authority_params(name), key)
    }

    /// A root with these parameters and this key.
    pub fn root_from(params: CertificateParams, key: KeyPair) -> Self {
        let pem = params.self_signed(&key).expect("a root").pem();
        Self { issuer: Issuer::new(params.clone(), key), params, pem }
    }

    /// An intermediate authority with a P-256 key.
    pub fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with_key(name, p256())
    }

    /// An intermediate authority with this key.
    pub fn intermediate_with_key(&self, name: &str, key: KeyPair) -> Self {
        self.intermediate_from(authority_params(name), key)
    }

    /// An intermediate authority with these parameters and this key.
    pub fn intermediate_from(&self, params: CertificateParams, key: KeyPair) -> Self {
        let pem = self.sign(&params, &key);
        Self { issuer: Issuer::new(params.clone(), key), params, pem }
    }

    /// A second certificate for the name and key of another authority, valid until the start of that year.
    pub fn cross_sign(&self, other: &Self, until: i32) -> String {
        let mut params = other.params.clone();
        params.not_after = date_time_ymd(until, 1, 1);
        self.sign(&params, other.issuer.key())
    }

    /// A certificate with these parameters for this key.
    pub fn sign(&self, params: &CertificateParams, key: &impl PublicKeyData) -> String {
        params.signed_by(key, &self.issuer).expect("a certificate").pem()
    }

    /// A server certificate for these names, with a new P-256 key.
    pub fn issue(&self, names: &[&str], not_before: Timestamp, not_after: Timestamp) -> Issued {
        let mut params = leaf_params(names);
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(not_before.as_second() as u64);
        params.not_after = epoch + Duration::from_secs(not_after.as_second() as u64);
        let key = p256();
        Issued { pem: self.sign(&params, &key), chain: self.pem.clone(), key: key.serialize_pem() }
    }
}

/// A new P-256 key.
pub fn p256() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// An RSA key of 2048 bits, always the same: `rcgen` with *ring* generates none.
pub fn rsa_2048() -> KeyPair {
    const PEM: &str = include_str!("../../core/tests/fixtures/rsa2048.pkcs8.pem");
    KeyPair::from_pem(PEM).expect("a key")
}

/// Parameters of an authority, valid from 2020 to 2040.
pub fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

/// Parameters of a server certificate for these names, valid from January to July 2026.
pub fn leaf_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, "www.example.com");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 7, 1);
    params.use_authority_key_identifier_extension = true;
    params
}
