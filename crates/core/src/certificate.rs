//! One X.509 certificate, and the fields of it that a rotation depends on.

pub mod ber;
pub mod bundle;
pub mod chain;
pub mod changes;
mod fingerprint;
pub mod fitness;
mod key;
pub mod succession;
mod trust;

pub use fingerprint::{Fingerprint, FingerprintError};
pub use key::PrivateKey;
pub(crate) use trust::Root;
pub use trust::{RootsError, TrustError, TrustRoots};

use std::fmt;

use jiff::Timestamp;
use pem::{EncodeConfig, LineEnding, Pem};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::EndEntityCert;
use x509_parser::asn1_rs::{Oid, Tag, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

use crate::redact;

/// The kind and size of a certificate's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA, with the length of the modulus.
    Rsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// ECDSA on prime256v1.
    P256,
    /// ECDSA on secp384r1.
    P384,
    /// ECDSA on secp521r1.
    P521,
    /// Anything else, by its name.
    Other(String),
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::P256 => f.write_str("ECDSA P-256"),
            Self::P384 => f.write_str("ECDSA P-384"),
            Self::P521 => f.write_str("ECDSA P-521"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// The key family of the issuer, by the signature of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFamily {
    Rsa,
    Ec,
}

impl fmt::Display for KeyFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "RSA",
            Self::Ec => "ECDSA",
        })
    }
}

impl KeyAlgorithm {
    /// RSA or elliptic curve; `None` for anything else.
    pub(crate) fn family(&self) -> Option<KeyFamily> {
        match self {
            Self::Rsa { .. } => Some(KeyFamily::Rsa),
            Self::P256 | Self::P384 | Self::P521 => Some(KeyFamily::Ec),
            Self::Other(_) => None,
        }
    }

    fn of(public_key: &SubjectPublicKeyInfo<'_>) -> Self {
        match public_key.parsed() {
            // Also for RSA-PSS keys, which only sign with that padding and which no viewer offers.
            Ok(PublicKey::RSA(key)) if !is_pss(public_key) => {
                // Not `key.key_size()`: it always counts the first byte as a sign byte.
                let bits = |modulus: &[u8]| match modulus {
                    [first, rest @ ..] => 8 * rest.len() + 8 - first.leading_zeros() as usize,
                    [] => 0,
                };
                let zeros = key.modulus.iter().take_while(|byte| **byte == 0).count();
                Self::Rsa { bits: bits(&key.modulus[zeros..]) }
            }
            Ok(PublicKey::EC(point)) => {
                let curve = public_key.algorithm.parameters.as_ref();
                let curve = curve.filter(|curve| curve.tag() == Tag::Oid);
                let curve = match curve.and_then(|curve| curve.clone().oid().ok()) {
                    Some(curve) => Self::curve(&curve.to_id_string()),
                    None => Self::Other("ECDSA with explicit curve parameters".to_owned()),
                };
                // RFC 5480, 2.2: 2 and 3 are the compressed forms.
                match point.data().first() {
                    Some(2 | 3) => Self::Other(format!("{curve} as a compressed point")),
                    _ => curve,
                }
            }
            _ => Self::Other(algorithm_name(&public_key.algorithm.algorithm.to_id_string())),
        }
    }

    fn curve(oid: &str) -> Self {
        let name = match oid {
            "1.2.840.10045.3.1.7" => return Self::P256,
            "1.3.132.0.34" => return Self::P384,
            "1.3.132.0.35" => return Self::P521,
            "1.2.840.10045.3.1.1" => "P-192",
            "1.3.132.0.33" => "P-224",
            "1.3.132.0.10" => "secp256k1",
            "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
            "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1",
            "1.3.36.3.3.2.8.1.1.13" => "brainpoolP512r1",
            "1.2.156.10197.1.301" => "SM2",
            _ => return Self::Other("ECDSA on a curve that is not for TLS".to_owned()),
        };
        Self::Other(format!("ECDSA {name}"))
    }
}

fn is_pss(public_key: &SubjectPublicKeyInfo<'_>) -> bool {
    public_key.algorithm.algorithm.to_id_string() == "1.2.840.113549.1.1.10"
}

/// The name of a kind of key that is neither RSA nor on a curve for ECDSA.
fn algorithm_name(oid: &str) -> String {
    let name = match oid {
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.3.101.110" => "X25519",
        "1.3.101.111" => "X448",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        "1.2.840.10040.4.1" => "DSA",
        "1.2.840.10046.2.1" => "Diffie-Hellman",
        // FIPS 204.
        "2.16.840.1.101.3.4.3.17" => "ML-DSA-44",
        "2.16.840.1.101.3.4.3.18" => "ML-DSA-65",
        "2.16.840.1.101.3.4.3.19" => "ML-DSA-87",
        _ => "of a kind that TLS does not use",
    };
    name.to_owned()
}

/// Why bytes are not a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not exactly one PEM block `CERTIFICATE`.
    #[error("not one PEM block \"CERTIFICATE\"")]
    NotPem,
    /// The DER is broken, or something follows it.
    #[error("not an X.509 certificate in DER")]
    NotX509,
    /// An extension that this system depends on is broken or repeated.
    #[error("a broken or repeated {0} extension")]
    Extension(&'static str),
}

/// An X.509 certificate. Two are equal if their DER is.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    fingerprint: Fingerprint,
    is_version_3: bool,
    not_before: Timestamp,
    not_after: Timestamp,
    subject: String,
    issuer: String,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    dns_names: Vec<String>,
    public_key_der: Vec<u8>,
    key_algorithm: KeyAlgorithm,
    signature_algorithm: String,
    is_ca: bool,
    serial: Vec<u8>,
    is_precertificate: bool,
    must_staple: bool,
    forbids_signatures: bool,
}

impl Certificate {
    /// Reads exactly one certificate; nothing may follow it.
    ///
    /// # Errors
    ///
    /// [`CertificateError::NotX509`], or [`CertificateError::Extension`] if one of the extensions
    /// that decide a rotation cannot be read.
    pub(crate) fn from_der(der: Vec<u8>) -> Result<Self, CertificateError> {
        let (rest, x509) =
            X509Certificate::from_der(&der).map_err(|_| CertificateError::NotX509)?;
        if !rest.is_empty() {
            return Err(CertificateError::NotX509);
        }

        // RFC 6962, 3.1, and RFC 7633.
        const POISON: Oid<'static> = oid!(1.3.6.1.4.1.11129.2.4.3);
        const TLS_FEATURE: Oid<'static> = oid!(1.3.6.1.5.5.7.1.24);
        let basic_constraints = x509
            .basic_constraints()
            .map_err(|_| CertificateError::Extension("basic constraints"))?;
        let alternative_names = x509
            .subject_alternative_name()
            .map_err(|_| CertificateError::Extension("subject alternative name"))?;
        let dns_names = alternative_names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            })
            .collect();
        let subject_key_id = x509.iter_extensions().find_map(|ext| match ext.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        let authority_key_id =
            x509.iter_extensions().find_map(|ext| match ext.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    id.key_identifier.as_ref().map(|id| id.0.to_vec())
                }
                _ => None,
            });

        let is_precertificate = x509.iter_extensions().any(|ext| ext.oid == POISON);
        // A sequence of integers; 5 is status_request: RFC 7633, 4.
        let must_staple = x509.iter_extensions().any(|ext| {
            ext.oid == TLS_FEATURE && ext.value.windows(3).any(|part| part == [2, 1, 5])
        });
        let forbids_signatures = x509.iter_extensions().any(|ext| match ext.parsed_extension() {
            ParsedExtension::KeyUsage(usage) => !usage.digital_signature(),
            _ => false,
        });

        Ok(Self {
            fingerprint: Fingerprint::of(&der),
            is_version_3: x509.version() == X509Version::V3,
            not_before: timestamp(x509.validity().not_before.timestamp()),
            not_after: timestamp(x509.validity().not_after.timestamp()),
            subject: redact::name(&x509.subject().to_string()),
            issuer: redact::name(&x509.issuer().to_string()),
            subject_der: x509.subject().as_raw().to_vec(),
            issuer_der: x509.issuer().as_raw().to_vec(),
            subject_key_id,
            authority_key_id,
            dns_names,
            public_key_der: x509.public_key().raw.to_vec(),
            key_algorithm: KeyAlgorithm::of(x509.public_key()),
            signature_algorithm: x509.signature_algorithm.algorithm.to_id_string(),
            is_ca: basic_constraints.is_some_and(|constraints| constraints.value.ca),
            serial: x509.raw_serial().to_vec(),
            is_precertificate,
            must_staple,
            forbids_signatures,
            der,
        })
    }

    /// Reads a text with exactly one PEM block, a `CERTIFICATE`, as ACM's `GetCertificate` and
    /// IAM's `GetServerCertificate` return it.
    ///
    /// # Errors
    ///
    /// [`CertificateError::NotPem`], or what is wrong with the certificate itself.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let blocks = pem::parse_many(text).map_err(|_| CertificateError::NotPem)?;
        match <[Pem; 1]>::try_from(blocks) {
            Ok([block]) if block.tag() == "CERTIFICATE" => Self::from_der(block.into_contents()),
            _ => Err(CertificateError::NotPem),
        }
    }

    /// The certificate's DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// One PEM block with lines of 64 characters that end in LF.
    pub fn to_pem(&self) -> String {
        let block = Pem::new("CERTIFICATE", self.der.as_slice());
        pem::encode_config(&block, EncodeConfig::new().set_line_ending(LineEnding::LF))
    }

    /// The digest that identifies the certificate in state, plan and report.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The start of its validity.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The end of its validity. RFC 5280's "no expiry" of the year 9999 becomes [`Timestamp::MAX`],
    /// a day earlier.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The subject, for display; it may be empty.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The issuer, for display.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The DNS names among the subject alternative names, in lower case. CloudFront ignores the
    /// common name: Developer Guide, "Requirements for using SSL/TLS certificates with CloudFront".
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// The kind and size of its public key.
    pub fn key_algorithm(&self) -> &KeyAlgorithm {
        &self.key_algorithm
    }

    /// Whether it may issue certificates (basic constraints).
    pub fn is_ca(&self) -> bool {
        self.is_ca
    }

    /// Whether it names itself as its issuer, like a root.
    pub(crate) fn is_self_signed(&self) -> bool {
        self.is_issued_by(self)
    }

    /// Whether it is version 3, the only version with extensions.
    pub(crate) fn is_version_3(&self) -> bool {
        self.is_version_3
    }

    /// The serial number, big-endian, in two's complement.
    pub(crate) fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Whether it is a precertificate: RFC 6962, 3.1.
    pub(crate) fn is_precertificate(&self) -> bool {
        self.is_precertificate
    }

    /// Whether it demands a stapled OCSP response: RFC 7633.
    pub(crate) fn must_staple(&self) -> bool {
        self.must_staple
    }

    /// Whether it has a key usage without digitalSignature.
    pub(crate) fn forbids_signatures(&self) -> bool {
        self.forbids_signatures
    }

    /// Whether its names cover this alias; see [`covers`].
    pub fn covers(&self, alias: &str) -> bool {
        covers(&self.dns_names, alias)
    }

    /// Its name in messages: the subject, or else the first DNS name, or else the fingerprint.
    pub(crate) fn name(&self) -> String {
        match (self.subject.as_str(), self.dns_names.first()) {
            ("", Some(name)) => name.clone(),
            ("", None) => self.fingerprint.to_string(),
            (subject, _) => subject.to_string(),
        }
    }

    /// Whether `other` may have issued this certificate, by name and, if both have them, key
    /// identifiers. An authority may have several certificates of one name, so the name alone is
    /// not enough; the signature is verified later, by [`crate::certificate`].
    pub(crate) fn is_issued_by(&self, other: &Self) -> bool {
        let same_key = match (&self.authority_key_id, &other.subject_key_id) {
            (Some(wanted), Some(id)) => wanted == id,
            _ => true,
        };
        self.issuer_der == other.subject_der && same_key
    }

    /// Whether the signature could have been made with the key of `other`; true if that cannot be
    /// told, as for a signature of a type that viewers do not accept.
    ///
    /// Names and key identifiers do not tell apart two authorities of the same name whose
    /// certificates have no identifiers.
    pub(crate) fn is_signed_by(&self, other: &Self) -> bool {
        let issuer = CertificateDer::from(other.der());
        let (Ok(issuer), Some(x509)) = (EndEntityCert::try_from(&issuer), self.x509()) else {
            return true;
        };
        let (signed, signature) = (x509.tbs_certificate.as_ref(), &x509.signature_value.data);
        let is_made_with = |algorithm: &&dyn SignatureVerificationAlgorithm| {
            issuer.verify_signature(*algorithm, signed, signature).is_ok()
        };
        self.signed_with().is_none()
            || self.broken_hash().is_some()
            || webpki::ALL_VERIFICATION_ALGS.iter().any(is_made_with)
    }

    /// Whether both have the same name and key: then viewers take them for the same authority.
    pub(crate) fn is_same_authority(&self, other: &Self) -> bool {
        self.subject_der == other.subject_der && self.public_key_der == other.public_key_der
    }

    /// Whether it is valid at that time.
    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// The days of its validity. The last second counts, and a day that has begun is one: CA/Browser
    /// Forum, Baseline Requirements 6.3.2.
    pub(crate) fn days(&self) -> i64 {
        (self.not_after.as_second() - self.not_before.as_second() + 86_400) / 86_400
    }

    /// Its fields; it was read before, so they can be read again.
    pub(crate) fn x509(&self) -> Option<X509Certificate<'_>> {
        X509Certificate::from_der(&self.der).ok().map(|(_, x509)| x509)
    }

    /// The issuer as DER.
    pub(crate) fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }

    /// The subject public key info as DER.
    pub(crate) fn public_key_der(&self) -> &[u8] {
        &self.public_key_der
    }

    /// The family of the key that signed it, if RSA or elliptic curve.
    pub(crate) fn signed_with(&self) -> Option<KeyFamily> {
        if self.signature_algorithm.starts_with("1.2.840.113549.1.1.") {
            Some(KeyFamily::Rsa)
        } else if self.signature_algorithm.starts_with("1.2.840.10045.4.") {
            Some(KeyFamily::Ec)
        } else {
            None
        }
    }

    /// The hash function of its signature, if that is broken: MD2, MD5 or SHA-1.
    pub(crate) fn broken_hash(&self) -> Option<&'static str> {
        match self.signature_algorithm.as_str() {
            "1.2.840.113549.1.1.2" => Some("MD2"),
            "1.2.840.113549.1.1.4" => Some("MD5"),
            "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => Some("SHA-1"),
            _ => None,
        }
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.name(), self.fingerprint)
    }
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// Whether these names of a certificate cover an alias: by the same name, or by a wildcard for
/// exactly its first label. An alias that is a wildcard itself needs that same wildcard.
///
/// `*.example.com` covers `www.example.com`, but neither `example.com` nor `a.b.example.com`. Case
/// and a trailing dot are ignored. CloudFront Developer Guide, "Requirements for using SSL/TLS
/// certificates with CloudFront" and "Requirements for using alternate domain names".
pub fn covers(names: &[String], alias: &str) -> bool {
    let normal = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let alias = normal(alias);
    let wildcard = match alias.split_once('.') {
        Some((label, rest)) if !label.is_empty() => Some(format!("*.{rest}")),
        _ => None,
    };
    names.iter().map(|name| normal(name)).any(|name| name == alias || Some(name) == wildcard)
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::*;
    use crate::fixtures::*;
    use rotation_test_pki::*;

    #[test]
    fn fields_match_those_of_openssl() {
        let leaf = certificate(SHA1_LEAF);
        let fingerprint = "sha256:90d7d46c7a040d801d75c151230629b322934659a459515949f77039bf90768f";
        assert_eq!(leaf.fingerprint().to_string(), fingerprint);
        assert_eq!(leaf.not_before().to_string(), "2026-11-23T20:40:00Z");
        assert_eq!(leaf.not_after().to_string(), "2126-10-30T20:40:00Z");
        assert_eq!(leaf.subject(), "CN=www.example.com");
        assert_eq!(leaf.issuer(), "CN=Fixture Root");
        assert_eq!(leaf.dns_names(), ["www.example.com"]);
        assert_eq!(leaf.key_algorithm().to_string(), "RSA 2048");
        assert_eq!(leaf.broken_hash(), Some("SHA-1"));
        assert_eq!(leaf.signed_with(), Some(KeyFamily::Rsa));
        assert!(leaf.is_version_3() && !leaf.is_ca() && !leaf.is_self_signed());

        let root = certificate(FIXTURE_ROOT);
        assert!(root.is_ca() && root.is_self_signed() && leaf.is_issued_by(&root));
        assert_eq!(root.broken_hash(), None);
        assert!(!certificate(V1_LEAF).is_version_3());
        let sha1 = certificate(include_str!("../tests/fixtures/p256-sha1.pem"));
        assert_eq!(sha1.broken_hash(), Some("SHA-1"));
        assert_eq!(sha1.signed_with(), Some(KeyFamily::Ec));
        assert_eq!(leaf.to_pem(), SHA1_LEAF);
        assert_eq!(format!("{leaf:?}"), format!("Certificate(CN=www.example.com, {fingerprint})"));
    }

    #[test]
    fn every_kind_of_key_is_named() {
        let root = Authority::root("Root");
        let signed = |key: &KeyPair| certificate(&root.sign(&leaf_params(&["a.example"]), key));
        let check = |certificate: Certificate, name: &str| {
            assert_eq!(certificate.key_algorithm().to_string(), name);
        };
        check(signed(&p256()), "ECDSA P-256");
        check(signed(&rsa_2048()), "RSA 2048");
        let rsa_2047 = include_str!("../tests/fixtures/rsa2047.pub.pem");
        let rsa_2047 = rcgen::SubjectPublicKeyInfo::from_pem(rsa_2047).expect("public key");
        check(certificate(&root.sign(&leaf_params(&["a.example"]), &rsa_2047)), "RSA 2047");
        check(
            signed(&KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("key")),
            "ECDSA P-384",
        );
        check(certificate(P521_LEAF), "ECDSA P-521");
        check(signed(&KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key")), "Ed25519");
    }

    #[test]
    fn no_key_is_named_by_its_object_identifier() {
        for (name, pem) in [
            ("ECDSA secp256k1", include_str!("../tests/fixtures/keys/secp256k1.pub.pem")),
            ("ECDSA brainpoolP256r1", include_str!("../tests/fixtures/keys/brainpool.pub.pem")),
            ("ECDSA P-224", include_str!("../tests/fixtures/keys/p224.pub.pem")),
            (
                "ECDSA P-256 as a compressed point",
                include_str!("../tests/fixtures/keys/compressed.pub.pem"),
            ),
            (
                "ECDSA with explicit curve parameters",
                include_str!("../tests/fixtures/keys/explicit.pub.pem"),
            ),
            ("RSA-PSS", include_str!("../tests/fixtures/keys/rsa-pss.pub.pem")),
            ("Ed448", include_str!("../tests/fixtures/keys/ed448.pub.pem")),
            ("X25519", include_str!("../tests/fixtures/keys/x25519.pub.pem")),
        ] {
            let der = pem::parse(pem).expect("PEM").into_contents();
            let (_, key) = SubjectPublicKeyInfo::from_der(&der).expect("public key");
            assert_eq!(KeyAlgorithm::of(&key).to_string(), name);
        }
    }

    #[test]
    fn only_dns_names_count_in_lower_case() {
        let mut params = leaf_params(&["WWW.Example.COM", "192.0.2.1", "*.example.org"]);
        params.distinguished_name.push(rcgen::DnType::CommonName, "cn.example.com");
        let leaf = certificate(&Authority::root("Root").sign(&params, &p256()));
        assert_eq!(leaf.dns_names(), ["www.example.com", "*.example.org"]);
        assert!(leaf.covers("www.example.com") && leaf.covers("a.example.org"));
        assert!(!leaf.covers("cn.example.com"));
    }

    #[test]
    fn a_certificate_is_named_by_subject_dns_name_or_fingerprint() {
        let named = |names: &[&str]| {
            let mut params = leaf_params(names);
            params.distinguished_name = rcgen::DistinguishedName::new();
            certificate(&Authority::root("Root").sign(&params, &p256()))
        };
        assert_eq!(named(&["a.example", "b.example"]).name(), "a.example");
        assert!(named(&[]).name().starts_with("sha256:"));
        let mut forged = leaf_params(&["a.example"]);
        forged
            .distinguished_name
            .push(rcgen::DnType::CommonName, format!("a\nerror: {}", "b".repeat(500)));
        let forged = certificate(&Authority::root("Root").sign(&forged, &p256()));
        assert!(forged.name().starts_with("CN=a\u{fffd}error: bbb"), "{}", forged.name());
        assert_eq!(forged.name().chars().count(), 200);
    }

    #[test]
    fn the_year_9999_is_a_valid_expiry() {
        let mut params = leaf_params(&["a.example"]);
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
        let leaf = certificate(&Authority::root("Root").sign(&params, &p256()));
        assert_eq!(leaf.not_after(), Timestamp::MAX);
    }

    #[test]
    fn an_issuer_has_the_name_and_the_key() {
        let authority = Authority::root("Same name");
        let namesake = Authority::root("Same name");
        let other_name = Authority::root("Other name");
        let leaf = certificate(&authority.sign(&leaf_params(&["a.example"]), &p256()));
        let check = |issuer: &Authority, expected: bool| {
            assert_eq!(leaf.is_issued_by(&certificate(&issuer.pem)), expected);
        };
        check(&authority, true);
        check(&namesake, false);
        check(&other_name, false);
    }

    #[test]
    fn invalid_certificates_are_refused() {
        use CertificateError::{Extension, NotPem, NotX509};
        let der = certificate(SHA1_LEAF).der().to_vec();
        let check = |der: &[u8], error| {
            assert_eq!(Certificate::from_der(der.to_vec()), Err(error));
        };
        check(&[], NotX509);
        check(&der[..der.len() - 1], NotX509);
        check(&[&der[..], &[0]].concat(), NotX509);
        check(b"\x30\x03\x02\x01\x05", NotX509);
        // The extension's identifier is followed by the tag and length of an OCTET STRING, and then
        // by the list of names. The tag of that list is changed.
        let id = [0x06, 0x03, 0x55, 0x1d, 0x11];
        let at = der.windows(id.len()).position(|window| window == id).expect("extension");
        let mut broken = der.clone();
        broken[at + id.len() + 2] = 0x31;
        check(&broken, Extension("subject alternative name"));

        let check_pem = |pem: &str| assert_eq!(Certificate::from_pem(pem), Err(NotPem), "{pem}");
        check_pem("");
        check_pem(&format!("{SHA1_LEAF}{V1_LEAF}"));
        check_pem(RSA_2048_PKCS8);
        check_pem("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n");
    }

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let fingerprint = Fingerprint::of(b"abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(text.parse(), Ok(fingerprint));
        let json = format!("\"{text}\"");
        assert_eq!(serde_json::to_string(&fingerprint).expect("JSON"), json);
        assert_eq!(serde_json::from_str::<Fingerprint>(&json).expect("JSON"), fingerprint);

        let check = |text: &str| assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError));
        check("");
        check(&text[7..]);
        check(&text[..70]);
        check(&format!("{text}0"));
        check(&text.replace('f', "F"));
        check(&text.replace('f', "g"));
        check(&text.replacen("ba", "é", 1));
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let check = |names: &[&str], alias: &str, expected: bool| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            assert_eq!(covers(&names, alias), expected, "{names:?} {alias}");
        };
        check(&["www.example.com"], "www.example.com", true);
        check(&["a.example.com", "www.example.com"], "www.example.com", true);
        check(&["www.example.com"], "WWW.Example.com.", true);
        check(&["WWW.example.com."], "www.example.com", true);
        check(&["www.example.com"], "example.com", false);
        check(&["example.com"], "www.example.com", false);
        check(&[], "www.example.com", false);
        check(&["*.example.com"], "www.example.com", true);
        check(&["*.Example.com"], "www.example.COM", true);
        check(&["*.example.com"], "example.com", false);
        check(&["*.example.com"], "a.b.example.com", false);
        check(&["*.example.com"], ".example.com", false);
        check(&["*.b.example.com"], "a.b.example.com", true);
        check(&["*.example.com"], "*.example.com", true);
        check(&["www.example.com"], "*.example.com", false);
        check(&["*.example.com"], "*.a.example.com", false);
        check(&["w*.example.com"], "www.example.com", false);
        check(&["*"], "localhost", false);
        check(&["*.example.com"], "", false);
    }
}
