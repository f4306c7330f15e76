//! The private key, held by one type that does not reveal it.
//!
//! The memory that this crate holds a key in is overwritten when it is dropped. The copies that
//! `pem` and `serde_json` make while decoding are freed without that; neither library offers a way.

use std::fmt;

use pem::{EncodeConfig, LineEnding, Pem};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::certificate::ber::{Element, to_der, without_zeros};
use crate::certificate::{Certificate, KeyAlgorithm};

const RSA: &str = "1.2.840.113549.1.1.1";
const RSA_PSS: &str = "1.2.840.113549.1.1.10";
const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";

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
    /// Its parts contradict one another, or it is of a kind that no library here reads. *ring*, which
    /// checks keys, does not say which.
    #[error("the private key is damaged, or of a kind that CloudFront does not accept")]
    Unusable,
}

/// The numbers of an RSA key.
struct Rsa<'a> {
    modulus: &'a [u8],
    exponent: &'a [u8],
    primes: [&'a [u8]; 2],
}

/// The parts of a key on an elliptic curve.
struct Ec {
    scalar: Zeroizing<Vec<u8>>,
    /// The object identifier of its curve, unless the key describes the curve by numbers or not at all.
    curve: Option<String>,
    /// The public half, if the key has it.
    point: Option<Vec<u8>>,
}

/// A curve on which keys can be checked.
struct Curve {
    oid: &'static str,
    signing: &'static EcdsaSigningAlgorithm,
    bytes: usize,
    /// What precedes the scalar in PKCS#8 (RFC 5958 and RFC 5915), and what follows it before the point.
    before: &'static [u8],
    between: &'static [u8],
}

static CURVES: [Curve; 2] = [
    Curve {
        oid: P256,
        signing: &ECDSA_P256_SHA256_ASN1_SIGNING,
        bytes: 32,
        before: b"\x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x6d\x30\x6b\x02\x01\x01\x04\x20",
        between: b"\xa1\x44\x03\x42\x00",
    },
    Curve {
        oid: P384,
        signing: &ECDSA_P384_SHA384_ASN1_SIGNING,
        bytes: 48,
        before: b"\x30\x81\xb6\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x04\x81\x9e\x30\x81\x9b\x02\x01\x01\x04\x30",
        between: b"\xa1\x64\x03\x62\x00",
    },
];

impl Curve {
    /// The scalar with as many bytes as the curve has: programs write it without its leading zeros, or
    /// with more.
    fn padded(&self, scalar: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let scalar = without_zeros(scalar);
        let zeros = self.bytes.checked_sub(scalar.len())?;
        let mut padded = Zeroizing::new(vec![0; self.bytes]);
        padded[zeros..].copy_from_slice(scalar);
        Some(padded)
    }

    /// Does the point follow from the scalar? *ring* computes it, to compare.
    fn follows(&self, scalar: &[u8], point: &[u8]) -> bool {
        let random = SystemRandom::new();
        self.padded(scalar).is_some_and(|scalar| {
            EcdsaKeyPair::from_private_key_and_public_key(self.signing, &scalar, point, &random)
                .is_ok()
        })
    }
}

impl PrivateKey {
    /// The key that is encoded in PKCS#8, PKCS#1 or SEC1, whatever a label says; `None` if it is not
    /// exactly one of them.
    ///
    /// BER becomes DER, and an RSA key whose PKCS#8 lacks a part that the standard demands, or has another,
    /// becomes PKCS#1.
    pub(crate) fn from_der(der: &Zeroizing<Vec<u8>>) -> Option<Self> {
        let der = to_der(der)?;
        let parts = Element::whole(&der)?.sequence()?;
        let whole = || der.to_vec();
        let version = parts.first()?.integer()?;
        // Of version 0 or 1; a tenth part holds further primes.
        let is_rsa = matches!(version, [] | [1])
            && parts.len() >= 9
            && parts[..9].iter().all(|part| part.integer().is_some());
        if is_rsa && parts[9..].iter().all(Element::is_sequence) {
            return Some(Self { der: PrivateKeyDer::Pkcs1(whole().into()) });
        }
        if version == [1] && parts.get(1)?.octets().is_some() {
            return Some(Self { der: PrivateKeyDer::Sec1(whole().into()) });
        }
        let algorithm = parts.get(1)?.sequence()?;
        let inner = parts.get(2)?.octets()?;
        if algorithm.first()?.oid()? == RSA {
            let key = Self::from_der(&inner).filter(|key| key.rsa().is_some())?;
            let is_plain = version.is_empty()
                && matches!(&algorithm[..], [_, parameters] if parameters.is_null())
                && parts[3..].iter().all(|part| part.is_context(0))
                && key.der.secret_der() == &inner[..];
            if !is_plain {
                return Some(key);
            }
        }
        Some(Self { der: PrivateKeyDer::Pkcs8(whole().into()) })
    }

    /// One PEM block with lines of 64 characters that end in LF, for the parameter `PrivateKey` of
    /// ACM and IAM.
    ///
    /// It keeps the encoding of the source (PKCS#1, PKCS#8 or SEC1) where both stores accept it, so no
    /// conversion can go wrong; what they may refuse was written anew when it was read.
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
        let (_, info) = SubjectPublicKeyInfo::from_der(certificate.public_key_der())
            .map_err(|_| KeyError::Unusable)?;
        let point = &info.subject_public_key.data;
        if let Some(key) = self.rsa() {
            return key.matches(&info, &self.der);
        }
        if let Some(key) = self.ec() {
            return key.matches(certificate.key_algorithm(), point);
        }
        let key = any_supported_type(&self.der).map_err(|_| KeyError::Unusable)?;
        let public_key = key.public_key().ok_or(KeyError::Unusable)?;
        Ok(public_key.as_ref() == certificate.public_key_der())
    }

    /// The key in an encoding that both stores accept, once it is known to belong to this certificate.
    ///
    /// Keys on a curve come without their public half (Java's `keytool`), with a curve described by
    /// numbers, or in a version of PKCS#8 that OpenSSL does not read. They are written again in the
    /// common form of PKCS#8, with the point of the certificate.
    pub(crate) fn completed(self, certificate: &Certificate) -> Self {
        let Some(key) = self.ec() else { return self };
        let Some(curve) = curve_of(certificate.key_algorithm()) else { return self };
        let Ok((_, info)) = SubjectPublicKeyInfo::from_der(certificate.public_key_der()) else {
            return self;
        };
        let point = &info.subject_public_key.data;
        // *ring* reads only the common forms of PKCS#8 and SEC1.
        let is_plain = key.curve.is_some()
            && key.point.as_deref() == Some(point)
            && any_supported_type(&self.der).is_ok();
        match curve.padded(&key.scalar) {
            Some(scalar) if !is_plain && curve.follows(&scalar, point) => {
                let parts = [curve.before, &scalar, curve.between, point];
                let der = PrivatePkcs8KeyDer::from(parts.concat());
                Self { der: PrivateKeyDer::Pkcs8(der) }
            }
            _ => self,
        }
    }

    /// Whether both are the same key, maybe in two encodings.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self.rsa(), other.rsa(), self.ec(), other.ec()) {
            (Some(one), Some(two), ..) => one.modulus == two.modulus,
            (_, _, Some(one), Some(two)) => {
                let same_curve =
                    one.curve == two.curve || one.curve.is_none() || two.curve.is_none();
                without_zeros(&one.scalar) == without_zeros(&two.scalar) && same_curve
            }
            _ => self.der.secret_der() == other.der.secret_der(),
        }
    }

    /// What PKCS#8 encloses: the algorithm, its parameters and the key.
    fn enclosed(&self) -> Option<(String, Option<Element<'_>>, Element<'_>)> {
        let parts = Element::whole(self.der.secret_der())?.sequence()?;
        let algorithm = parts.get(1)?.sequence()?;
        Some((algorithm.first()?.oid()?, algorithm.get(1).cloned(), parts.get(2)?.clone()))
    }

    fn rsa(&self) -> Option<Rsa<'_>> {
        let key = match &self.der {
            PrivateKeyDer::Pkcs1(der) => Element::whole(der.secret_pkcs1_der())?,
            PrivateKeyDer::Pkcs8(_) => {
                let (oid, _, key) = self.enclosed()?;
                if ![RSA, RSA_PSS].contains(&oid.as_str()) {
                    return None;
                }
                Element::whole(key.content())?
            }
            _ => return None,
        };
        let numbers: Vec<&[u8]> = key.sequence()?.iter().map_while(Element::integer).collect();
        match numbers[..] {
            [_, modulus, exponent, _, p, q, ..] => Some(Rsa { modulus, exponent, primes: [p, q] }),
            _ => None,
        }
    }

    fn ec(&self) -> Option<Ec> {
        let (parameters, key) = match &self.der {
            PrivateKeyDer::Sec1(der) => (None, Zeroizing::new(der.secret_sec1_der().to_vec())),
            PrivateKeyDer::Pkcs8(_) => {
                let (oid, parameters, key) = self.enclosed()?;
                if oid != EC {
                    return None;
                }
                (parameters, key.octets()?)
            }
            _ => return None,
        };
        // RFC 5915, section 3.
        let parts = Element::whole(&key)?.sequence()?;
        let within = |tag| parts.iter().find(|part| part.is_context(tag))?.children()?.pop();
        let curve = parameters.or_else(|| within(0)).and_then(|curve| curve.oid());
        let point = within(1).and_then(|point| Some(point.bits()?.to_vec()));
        Some(Ec { scalar: parts.get(1)?.octets()?, curve, point })
    }

    fn tag(&self) -> &'static str {
        match &self.der {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            // `PrivateKeyDer` may get more variants; `from_der` creates only these three.
            _ => "PRIVATE KEY",
        }
    }
}

impl Rsa<'_> {
    fn matches(
        &self,
        info: &SubjectPublicKeyInfo<'_>,
        der: &PrivateKeyDer<'_>,
    ) -> Result<bool, KeyError> {
        // RFC 8017, appendix A.1.1; read here, since for PSS `x509-parser` does not.
        let public = Element::whole(&info.subject_public_key.data).and_then(|key| key.sequence());
        let public: Vec<&[u8]> = public.iter().flatten().map_while(Element::integer).collect();
        if public[..] != [self.modulus, self.exponent] {
            return Ok(false);
        }
        // *ring* checks all numbers of a key, but accepts neither small exponents nor primes of unequal
        // length, both of which OpenSSL reads.
        let [p, q] = self.primes;
        let is_common = self.exponent.len() > 2
            && p.len() == q.len()
            && (256..=512).contains(&self.modulus.len())
            && self.modulus.len().is_multiple_of(64);
        let is_sound = match is_common {
            true => any_supported_type(der).is_ok(),
            false => *product(p, q) == *self.modulus,
        };
        if is_sound { Ok(true) } else { Err(KeyError::Unusable) }
    }
}

/// The product of two numbers in big-endian bytes. Written out, since the numbers are a secret, and the
/// libraries for large numbers that are linked do not overwrite their memory.
fn product(a: &[u8], b: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut product = Zeroizing::new(vec![0; a.len() + b.len()]);
    for (i, x) in a.iter().enumerate().rev() {
        let mut carry = 0;
        for (j, y) in b.iter().enumerate().rev() {
            let sum = u32::from(*x) * u32::from(*y) + u32::from(product[i + j + 1]) + carry;
            product[i + j + 1] = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
        product[i] = carry as u8;
    }
    Zeroizing::new(without_zeros(&product).to_vec())
}

impl Ec {
    /// Whether the point of a certificate follows from the key.
    fn matches(&self, algorithm: &KeyAlgorithm, point: &[u8]) -> Result<bool, KeyError> {
        let Some(curve) = curve_of(algorithm) else {
            if CURVES.iter().any(|curve| self.curve.as_deref() == Some(curve.oid)) {
                return Ok(false);
            }
            // On another curve only the key's own statement can be compared.
            let own = self.point.as_deref().ok_or(KeyError::Unusable)?;
            return Ok(is_same_point(own, point));
        };
        if self.curve.as_deref().is_some_and(|own| own != curve.oid) {
            return Ok(false);
        }
        if curve.follows(&self.scalar, point) {
            return Ok(true);
        }
        // Then the key belongs to a compressed point, to another certificate, or to none.
        match self.point.as_deref() {
            Some(own) if curve.follows(&self.scalar, own) => Ok(is_same_point(own, point)),
            // Of this curve, or of this certificate.
            Some(own)
                if own.first() == Some(&4) && own.len() == 1 + 2 * curve.bytes
                    || is_same_point(own, point) =>
            {
                Err(KeyError::Unusable)
            }
            _ => Ok(false),
        }
    }
}

/// Whether two encodings are the same point; each is uncompressed (4, or 6 and 7 with the sign repeated), or
/// compressed to one half and the sign of the other (2 or 3): SEC 1, section 2.3.3.
fn is_same_point(one: &[u8], two: &[u8]) -> bool {
    let compressed = |point: &[u8]| match point {
        [4 | 6 | 7, halves @ ..] => {
            let (x, y) = halves.split_at(halves.len() / 2);
            [&[2 + y.last().map_or(0, |last| last & 1)], x].concat()
        }
        other => other.to_vec(),
    };
    one == two || (one.first() != two.first() && compressed(one) == compressed(two))
}

fn curve_of(algorithm: &KeyAlgorithm) -> Option<&'static Curve> {
    match algorithm {
        KeyAlgorithm::P256 => Some(&CURVES[0]),
        KeyAlgorithm::P384 => Some(&CURVES[1]),
        _ => None,
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
        PrivateKey::from_der(&Zeroizing::new(block.into_contents())).expect("key")
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
    fn only_a_whole_key_of_a_known_encoding_is_one() {
        let check = |der: &[u8], is_key: bool| {
            let key = PrivateKey::from_der(&Zeroizing::new(der.to_vec()));
            assert_eq!(key.is_some(), is_key, "{der:02x?}");
        };
        for pem in [RSA_2048_PKCS1, RSA_2048_PKCS8, P521_PKCS8, P256_SEC1] {
            let der = key(pem).der.secret_der().to_vec();
            check(&der, true);
            check(&[&der[..], b"\r\n"].concat(), true);
            check(&[&der[..], &[0x30, 0]].concat(), false);
            check(&der[..der.len() - 1], false);
            check(&[&[0x31], &der[1..]].concat(), false);
        }
        check(&[], false);
        check(&[0x30, 0], false);
        // The start of a PKCS#12 file.
        check(&[0x30, 0x07, 0x02, 0x01, 0x03, 0x30, 0x02, 0x06, 0x00], false);
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
        check(RSA_1024_PKCS1, &rsa_1024, Ok(true));
        check(RSA_1024_PKCS1, &rsa_2048, Ok(false));
        check(P521_PKCS8, &p521, Ok(true));
        check(P521_PKCS8, &p256, Ok(false));
    }

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        match u8::try_from(content.len()) {
            Ok(length @ ..0x80) => [&[tag, length], content].concat(),
            _ => [&[tag, 0x81, content.len() as u8], content].concat(),
        }
    }

    /// Every way in which programs write a key on a curve, all of them read by OpenSSL except two: without
    /// a curve, and version 2 of PKCS#8. Each becomes the same PKCS#8 once its certificate is known.
    #[test]
    fn keys_on_a_curve_are_completed() {
        let root = Authority::root("Root");
        for (algorithm, oid, curve) in [
            (
                &rcgen::PKCS_ECDSA_P256_SHA256,
                &b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"[..],
                &CURVES[0],
            ),
            (&rcgen::PKCS_ECDSA_P384_SHA384, &b"\x06\x05\x2b\x81\x04\x00\x22"[..], &CURVES[1]),
        ] {
            let pair = rcgen::KeyPair::generate_for(algorithm).expect("a key");
            let own = certificate(&root.sign(&leaf_params(&["www.example.com"]), &pair));
            let other = certificate(&root.sign(&leaf_params(&["www.example.com"]), &p256()));
            let plain = PrivateKey::from_der(&Zeroizing::new(pair.serialize_der())).expect("a key");
            let parts = plain.ec().expect("a key on a curve");
            let (scalar, point) = (parts.scalar.to_vec(), parts.point.expect("a point"));
            let compressed =
                [&[2 + (point[point.len() - 1] & 1)], &point[1..=curve.bytes]].concat();
            let bits = |point: &[u8]| tlv(0xa1, &tlv(0x03, &[&[0], point].concat()));
            let sec1 = |scalar: &[u8], rest: &[u8]| {
                tlv(0x30, &[&[0x02, 1, 1][..], &tlv(0x04, scalar), rest].concat())
            };
            let named = tlv(0xa0, oid);
            // Only that it is a sequence matters: which numbers describe the curve, its point shows.
            let explicit = tlv(0xa0, &tlv(0x30, &[0x02, 1, 1]));
            let hybrid = [&[compressed[0] + 4], &point[1..]].concat();
            let pkcs8 = |version: u8, key: &[u8], rest: &[u8]| {
                let ec = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
                let algorithm = tlv(0x30, &[&ec[..], oid].concat());
                let parts = [&[0x02, 1, version], &algorithm[..], &tlv(0x04, key), rest].concat();
                Zeroizing::new(tlv(0x30, &parts))
            };
            let with_zero = [&[0], &scalar[..]].concat();
            let attributes = tlv(0xa0, &tlv(0x30, &[0x06, 3, 0x55, 0x1d, 0x0f]));
            let forms = [
                pkcs8(0, &sec1(&scalar, &bits(&point)), &[]),
                pkcs8(0, &sec1(&scalar, &bits(&point)), &attributes),
                pkcs8(0, &sec1(&scalar, &[]), &[]),
                pkcs8(0, &sec1(&scalar, &named), &[]),
                pkcs8(0, &sec1(&scalar, &bits(&compressed)), &[]),
                pkcs8(0, &sec1(&with_zero, &bits(&point)), &[]),
                pkcs8(0, &sec1(&scalar, &bits(&hybrid)), &[]),
                pkcs8(1, &sec1(&scalar, &bits(&point)), &[]),
                pkcs8(1, &sec1(&scalar, &[]), &tlv(0x81, &[&[0], &point[..]].concat())),
                Zeroizing::new(sec1(&scalar, &named)),
                Zeroizing::new(sec1(&scalar, &[&named[..], &bits(&point)].concat())),
                Zeroizing::new(sec1(&scalar, &[&explicit[..], &bits(&point)].concat())),
                Zeroizing::new(sec1(&scalar, &explicit)),
                Zeroizing::new(sec1(&scalar, &bits(&point))),
                Zeroizing::new(sec1(&scalar, &[])),
            ];
            let known = [0, 1, 10];
            for (at, form) in forms.iter().enumerate() {
                let read = || PrivateKey::from_der(form).expect("a key");
                assert_eq!(read().matches(&own), Ok(true), "{at}");
                assert_eq!(read().matches(&other), Ok(false), "{at}");
                assert!(read().is_same(&plain), "{at}");
                let completed = read().completed(&own);
                if known.contains(&at) {
                    assert_eq!(*completed.to_pem(), *read().to_pem(), "{at}");
                } else {
                    assert_eq!(*completed.to_pem(), *plain.to_pem(), "{at}");
                }
                // A certificate that is not its own completes nothing.
                assert_eq!(*read().completed(&other).to_pem(), *read().to_pem(), "{at}");
            }
        }
    }

    #[test]
    fn the_same_key_is_known_in_another_encoding() {
        assert!(key(RSA_2048_PKCS1).is_same(&key(RSA_2048_PKCS8)));
        assert!(!key(RSA_2048_PKCS1).is_same(&key(RSA_1024_PKCS1)));
        assert!(!key(RSA_2048_PKCS1).is_same(&key(P256_SEC1)));
        assert!(!key(P521_PKCS8).is_same(&key(P256_SEC1)));
        let ed25519 = || rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let (one, two) = (key(&ed25519().serialize_pem()), key(&ed25519().serialize_pem()));
        assert!(one.is_same(&one) && !one.is_same(&two));
    }

    #[test]
    fn a_half_of_another_key_is_damage_unless_it_can_be_replaced() {
        let root = Authority::root("Root");
        let (one, two) = (p256(), p256());
        let own = certificate(&root.sign(&leaf_params(&["www.example.com"]), &one));
        let other = certificate(&root.sign(&leaf_params(&["www.example.com"]), &two));
        // The public half is all that follows the 73rd byte.
        let mixed = [&one.serialize_der()[..73], &two.serialize_der()[73..]].concat();
        let mixed = || PrivateKey::from_der(&Zeroizing::new(mixed.clone())).expect("a key");
        assert_eq!(mixed().matches(&own), Ok(true));
        assert_eq!(*mixed().completed(&own).to_pem(), one.serialize_pem().replace("\r\n", "\n"));
        assert_eq!(mixed().matches(&other), Err(KeyError::Unusable));
        // Compressed, it agrees with the certificate, but the private half does not.
        let point = &two.serialize_der()[73..];
        let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
        let mut bits = vec![0xa1, 0x24, 0x03, 0x22, 0];
        bits.extend(&compressed);
        let scalar = &one.serialize_der()[36..68];
        let curve = b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
        let parts = [&[2, 1, 1, 4, 32], scalar, curve, &bits].concat();
        let mixed = PrivateKey::from_der(&Zeroizing::new(tlv(0x30, &parts))).expect("a key");
        assert_eq!(mixed.matches(&own), Ok(true));
        assert_eq!(mixed.matches(&other), Err(KeyError::Unusable));
    }

    /// PKCS#8 that lacks what the standard demands is written as PKCS#1, which it encloses.
    #[test]
    fn an_rsa_key_without_its_null_is_pkcs1() {
        let whole = key(RSA_2048_PKCS8);
        let der = whole.der.secret_der();
        let null = der.windows(2).position(|two| two == [5, 0]).expect("NULL");
        // Two lengths are two bytes shorter: of the whole, and of the algorithm.
        let mut without = [&der[..null], &der[null + 2..]].concat();
        without[3] -= 2;
        without[8] -= 2;
        let read = PrivateKey::from_der(&Zeroizing::new(without)).expect("a key");
        assert_eq!(*read.to_pem(), RSA_2048_PKCS1);
    }

    /// OpenSSL reads BER, and refuses parts that no standard has; stores may refuse both.
    #[test]
    fn a_key_is_written_in_der_with_the_parts_of_its_standard() {
        let read = |der: &[u8]| PrivateKey::from_der(&Zeroizing::new(der.to_vec()));
        let written = |der: &[u8]| read(der).expect("a key").to_pem().to_string();
        // With a fifth byte in its own length, and a third in that of the version.
        let in_ber = |der: &[u8]| {
            let mut ber = vec![0x30, 0x84, 0, 0, der[2], der[3] + 1, 0x02, 0x81];
            ber.extend(&der[5..]);
            ber
        };
        // With a NULL at its end.
        let with_null = |der: &[u8]| {
            let mut longer = [der, &[5, 0]].concat();
            longer[3] += 2;
            longer
        };
        let (pkcs1, pkcs8) = (key(RSA_2048_PKCS1), key(RSA_2048_PKCS8));
        let (pkcs1, pkcs8) = (pkcs1.der.secret_der(), pkcs8.der.secret_der());
        assert_eq!(written(&in_ber(pkcs1)), RSA_2048_PKCS1);
        assert_eq!(written(&in_ber(pkcs8)), RSA_2048_PKCS8);
        assert_eq!(written(&with_null(pkcs8)), RSA_2048_PKCS1);
        assert!(read(&with_null(pkcs1)).is_none());
        assert!(read(&[&pkcs1[..6], &[7], &pkcs1[7..]].concat()).is_none());
        // A version, and a NULL, that claim to be in pieces.
        let changed = |at: usize| {
            let mut changed = pkcs8.to_vec();
            changed[at] |= 0x20;
            changed
        };
        assert!(read(&changed(4)).is_none());
        assert_eq!(written(&changed(20)), RSA_2048_PKCS1);
    }

    #[test]
    fn a_damaged_key_is_no_match() {
        let rsa = certificate(FIXTURE_ROOT);
        let whole = key(RSA_2048_PKCS1);
        // In either prime.
        for at in [600, 700] {
            let mut der = Zeroizing::new(whole.der.secret_der().to_vec());
            der[at] ^= 1;
            let damaged = PrivateKey::from_der(&der).expect("a key");
            assert_eq!(damaged.matches(&rsa), Err(KeyError::Unusable), "{at}");
        }
    }

    #[test]
    fn products_have_no_leading_zeros() {
        assert_eq!(*product(&[0xff, 0xff], &[0xff, 0xff]), [0xff, 0xfe, 0, 1]);
        assert_eq!(*product(&[1], &[0, 7]), [7]);
        assert_eq!(*product(&[], &[7]), [0u8; 0]);
    }

    #[test]
    fn debug_does_not_show_the_key() {
        assert_eq!(format!("{:?}", key(RSA_2048_PKCS1)), "PrivateKey(RSA PRIVATE KEY, not shown)");
    }
}
