//! One X.509 certificate: the fields that decide a rotation, read once.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use pem::{EncodeConfig, LineEnding, Pem};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

/// The SHA-256 digest of a certificate's DER, written `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate given as DER, for instance one that a handshake showed.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("sha256:").ok_or(FingerprintError)?.as_bytes();
        let is_lower_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 64 || !digits.iter().all(is_lower_hex) {
            return Err(FingerprintError);
        }
        let value = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 };
        Ok(Self(std::array::from_fn(|i| value(digits[2 * i]) << 4 | value(digits[2 * i + 1]))))
    }
}

/// A text is not a [`Fingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is \"sha256:\" and 64 lower-case hex digits")]
pub struct FingerprintError;

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
    /// Anything else, by its object identifier.
    Other(String),
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::P256 => f.write_str("ECDSA P-256"),
            Self::P384 => f.write_str("ECDSA P-384"),
            Self::P521 => f.write_str("ECDSA P-521"),
            Self::Other(oid) => write!(f, "algorithm {oid}"),
        }
    }
}

/// The kind of key that made a certificate's signature: its issuer's.
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
        const P256: Oid<'static> = oid!(1.2.840.10045.3.1.7);
        const P384: Oid<'static> = oid!(1.3.132.0.34);
        const P521: Oid<'static> = oid!(1.3.132.0.35);
        match public_key.parsed() {
            Ok(PublicKey::RSA(key)) => {
                // Not `key.key_size()`: it takes the first byte for a sign byte, whatever it is.
                let bits = |modulus: &[u8]| match modulus {
                    [first, rest @ ..] => 8 * rest.len() + 8 - first.leading_zeros() as usize,
                    [] => 0,
                };
                let zeros = key.modulus.iter().take_while(|byte| **byte == 0).count();
                Self::Rsa { bits: bits(&key.modulus[zeros..]) }
            }
            Ok(PublicKey::EC(_)) => {
                let curve = public_key.algorithm.parameters.as_ref();
                match curve.and_then(|curve| curve.clone().oid().ok()) {
                    Some(curve) if curve == P256 => Self::P256,
                    Some(curve) if curve == P384 => Self::P384,
                    Some(curve) if curve == P521 => Self::P521,
                    Some(curve) => Self::Other(curve.to_id_string()),
                    None => Self::Other(public_key.algorithm.algorithm.to_id_string()),
                }
            }
            _ => Self::Other(public_key.algorithm.algorithm.to_id_string()),
        }
    }
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
    /// An extension this system decides on is broken or there twice.
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
    serial: String,
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
}

impl Certificate {
    /// Reads exactly one certificate; nothing may follow it.
    ///
    /// # Errors
    ///
    /// [`CertificateError::NotX509`], or [`CertificateError::Extension`] if one of the extensions
    /// that decide a rotation cannot be read.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CertificateError> {
        let (rest, x509) =
            X509Certificate::from_der(&der).map_err(|_| CertificateError::NotX509)?;
        if !rest.is_empty() {
            return Err(CertificateError::NotX509);
        }

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
        let authority_key_id = x509.iter_extensions().find_map(|ext| match ext.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                id.key_identifier.as_ref().map(|id| id.0.to_vec())
            }
            _ => None,
        });

        Ok(Self {
            fingerprint: Fingerprint::of(&der),
            is_version_3: x509.version() == X509Version::V3,
            not_before: timestamp(x509.validity().not_before.timestamp()),
            not_after: timestamp(x509.validity().not_after.timestamp()),
            serial: serial(x509.raw_serial()),
            subject: x509.subject().to_string(),
            issuer: x509.issuer().to_string(),
            subject_der: x509.subject().as_raw().to_vec(),
            issuer_der: x509.issuer().as_raw().to_vec(),
            subject_key_id,
            authority_key_id,
            dns_names,
            public_key_der: x509.public_key().raw.to_vec(),
            key_algorithm: KeyAlgorithm::of(x509.public_key()),
            signature_algorithm: x509.signature_algorithm.algorithm.to_id_string(),
            is_ca: basic_constraints.is_some_and(|constraints| constraints.value.ca),
            der,
        })
    }

    /// Reads a text with exactly one PEM block, a `CERTIFICATE`, as ACM's `GetCertificate` and
    /// IAM's `GetServerCertificate` return it.
    ///
    /// # Errors
    ///
    /// [`CertificateError::NotPem`], or those of [`Self::from_der`].
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

    /// The digest by which state, plan and report know the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The first moment it is valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last moment it is valid. RFC 5280's "no expiry" of the year 9999 is
    /// [`Timestamp::MAX`], a day earlier.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The serial number as ACM's `DescribeCertificate` writes it: lower-case hex pairs with
    /// colons between them, without a leading zero pair that is only DER's sign.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The subject, for people; it may be empty.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The issuer, for people.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The DNS names among the subject alternative names, in lower case. The common name does not
    /// count: CloudFront Developer Guide, "Requirements for using SSL/TLS certificates with
    /// CloudFront".
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

    /// Whether it names itself as its issuer, as a root does.
    pub fn is_self_signed(&self) -> bool {
        self.is_issued_by(self)
    }

    /// Whether it is version 3, the only one that has extensions.
    pub fn is_version_3(&self) -> bool {
        self.is_version_3
    }

    /// Whether that alias is among its names; see [`covers`].
    pub fn covers(&self, alias: &str) -> bool {
        covers(&self.dns_names, alias)
    }

    /// The subject, or its first name, or its fingerprint: what to call it in a message.
    pub(crate) fn name(&self) -> String {
        match (self.subject.as_str(), self.dns_names.first()) {
            ("", Some(name)) => name.clone(),
            ("", None) => self.fingerprint.to_string(),
            (subject, _) => subject.to_string(),
        }
    }

    /// Whether the names and, if both have one, the key identifiers say that `other` issued this
    /// one. Authorities issue several certificates of one name, so the name alone will not do; the
    /// signature is judged later, by [`crate::trust`].
    pub(crate) fn is_issued_by(&self, other: &Self) -> bool {
        let same_key = match (&self.authority_key_id, &other.subject_key_id) {
            (Some(wanted), Some(id)) => wanted == id,
            _ => true,
        };
        self.issuer_der == other.subject_der && same_key
    }

    /// The subject public key info as DER.
    pub(crate) fn public_key_der(&self) -> &[u8] {
        &self.public_key_der
    }

    /// The kind of key that signed it, if RSA or elliptic curve.
    pub(crate) fn signed_with(&self) -> Option<KeyFamily> {
        if self.signature_algorithm.starts_with("1.2.840.113549.1.1.") {
            Some(KeyFamily::Rsa)
        } else if self.signature_algorithm.starts_with("1.2.840.10045.4.") {
            Some(KeyFamily::Ec)
        } else {
            None
        }
    }

    /// The broken hash function of its signature, if it is one: MD2, MD5 or SHA-1.
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

fn serial(bytes: &[u8]) -> String {
    let bytes = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        bytes => bytes,
    };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Whether an alias is covered by these names of a certificate: by the same name, or by a wildcard
/// for exactly its first label. An alias that is a wildcard itself needs that same wildcard.
///
/// `*.example.com` covers `www.example.com`, but neither `example.com` nor `a.b.example.com`. Case
/// and a dot at the end do not matter. CloudFront Developer Guide, "Requirements for using SSL/TLS
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
