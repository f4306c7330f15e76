//! What a value in DER or BER is: decided by its structure, since labels and names of files are often
//! wrong.

use zeroize::Zeroizing;

use crate::certificate::ber::{Element, encodings};
use crate::certificate::{Certificate, CertificateError, PrivateKey};

/// `signedData`, which certificates are delivered in: RFC 2315, section 9.
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";

/// A value, by its structure.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made at a time, and none is kept")]
pub(super) enum Contents {
    /// A certificate, or why it is none although it has the structure of one.
    Certificate(Result<Certificate, CertificateError>),
    /// An unencrypted private key.
    Key(PrivateKey),
    /// A private key that is encrypted (RFC 5958, section 3).
    EncryptedKey,
    /// The certificates in a PKCS#7 file, each in DER.
    Certificates(Vec<Vec<u8>>),
    /// A PKCS#12 file (RFC 7292).
    Pkcs12,
    /// A request for a certificate (RFC 2986).
    Request,
    /// A public key.
    PublicKey,
    /// A list of revoked certificates.
    RevocationList,
    /// Parameters of Diffie-Hellman: two or three numbers (PKCS#3).
    Parameters,
}

/// What the bytes are; `None` if they have no structure that is known here, or something follows.
pub(super) fn contents(der: &Zeroizing<Vec<u8>>) -> Option<Contents> {
    if let Some(key) = PrivateKey::from_der(der) {
        return Some(Contents::Key(key));
    }
    let parts = match Element::whole(der) {
        Some(whole) => whole.sequence()?,
        None => return several(der),
    };
    let first = parts.first()?;
    if let Some(oid) = first.oid() {
        let signed = parts.get(1).filter(|_| oid == SIGNED_DATA)?.children()?;
        return Some(Contents::Certificates(certificates(signed.first()?)?));
    }
    if first.integer() == Some(&[3]) && parts.get(1)?.sequence()?.first()?.oid().is_some() {
        return Some(Contents::Pkcs12);
    }
    if (2..=3).contains(&parts.len()) && parts.iter().all(|part| part.integer().is_some()) {
        return Some(Contents::Parameters);
    }
    let signed = first.sequence()?;
    match parts.len() {
        2 if parts[1].bits().is_some() => Some(Contents::PublicKey),
        2 if parts[1].octets().is_some() => Some(Contents::EncryptedKey),
        3 if parts[1].is_sequence() && parts[2].bits().is_some() => {
            // A certificate begins with its version, or with its serial number, which then is followed by
            // five sequences; a request has a version and two; in a list the fourth element is a time.
            let has_number = signed.first()?.integer().is_some();
            if has_number && signed.len() <= 4 {
                return Some(Contents::Request);
            }
            if signed.first()?.is_sequence() || has_number && !signed[3].is_sequence() {
                return Some(Contents::RevocationList);
            }
            let (after, _) = Element::first(der)?;
            let own = der[..der.len() - after.len()].to_vec();
            Some(Contents::Certificate(Certificate::from_der(own)))
        }
        _ => None,
    }
}

/// Several values: certificates one after the other, or OpenSSL's TRUSTED CERTIFICATE, in which a
/// certificate is followed by what its owner trusts it for. That part changes nothing about it.
fn several(der: &[u8]) -> Option<Contents> {
    let values = encodings(der)?;
    let is_certificate = |der: &&[u8]| Certificate::from_der(der.to_vec()).is_ok();
    let (certificates, others): (Vec<&[u8]>, Vec<&[u8]>) =
        values.iter().copied().partition(is_certificate);
    let is_trust = match others[..] {
        [] => true,
        [trust] => values.len() == 2 && trust == values[1] && Element::whole(trust)?.is_sequence(),
        _ => false,
    };
    let certificates = certificates.into_iter().map(<[u8]>::to_vec).collect();
    is_trust.then_some(Contents::Certificates(certificates))
}

/// The certificates in the `SignedData` of PKCS#7 (RFC 2315, section 9.1). Kept byte for byte, which is
/// why no library builds them anew: their signatures cover the encoding.
fn certificates(signed_data: &Element<'_>) -> Option<Vec<Vec<u8>>> {
    let parts = signed_data.sequence()?;
    let set = parts.iter().find(|part| part.is_context(0));
    let all = set.map_or(Some(Vec::new()), |set| encodings(set.content()))?;
    Some(all.into_iter().map(<[u8]>::to_vec).collect())
}
