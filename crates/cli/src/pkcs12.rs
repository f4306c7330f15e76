//! Opens PKCS#12 files (RFC 7292) in every form that OpenSSL 3 opens, those of its legacy provider
//! included.
//!
//! Written on the ciphers of RustCrypto: its `pkcs12` and `p12-keystore` read only DER, and know neither
//! the password that Windows writes for none (no bytes at all, instead of an empty string with its
//! terminator), nor 128-bit RC2, nor the MAC of RFC 9579 (PBMAC1).

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit, KeyInit, StreamCipher};
use des::{TdesEde2, TdesEde3};
use hmac::{EagerHash, Hmac, Mac};
use pkcs5::EncryptionScheme;
use pkcs12::kdf::{Pkcs12KeyType, derive_key};
use rc2::Rc2;
use rc4::Rc4;
use rotation_core::certificate::ber::{Element, encodings, to_der};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

/// Keys in PKCS#8 and certificates, each in DER.
pub(crate) type Values = Vec<Zeroizing<Vec<u8>>>;

/// Why a file cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The password is wrong, or the file is damaged: the MAC does not tell the two apart.
    Password,
    /// It is protected by an algorithm that is not known here, or with a key instead of a password.
    Unknown,
    /// It is not PKCS#12.
    Broken,
}

/// No program asks for more; a file from elsewhere must not keep this one busy for hours.
const MAX_ITERATIONS: u32 = 10_000_000;

/// Bags may contain bags.
const MAX_DEPTH: usize = 8;

const DATA: &str = "1.2.840.113549.1.7.1";
const ENCRYPTED_DATA: &str = "1.2.840.113549.1.7.6";
const KEY_BAG: &str = "1.2.840.113549.1.12.10.1.1";
const SHROUDED_KEY_BAG: &str = "1.2.840.113549.1.12.10.1.2";
const CERTIFICATE_BAG: &str = "1.2.840.113549.1.12.10.1.3";
const SAFE_CONTENTS_BAG: &str = "1.2.840.113549.1.12.10.1.6";
const X509_CERTIFICATE: &str = "1.2.840.113549.1.9.22.1";
const PBMAC1: &str = "1.2.840.113549.1.5.14";

/// A password as it enters the functions of PKCS#12 and those of PKCS#5.
struct Password<'a> {
    /// In UTF-16 with a terminator: RFC 7292, appendix B.1. Nothing at all for no password.
    utf16: Zeroizing<Vec<u8>>,
    utf8: &'a str,
}

/// The keys and certificates of a file.
pub(crate) fn open(file: &[u8], password: &str) -> Result<Values, Refusal> {
    let parts = Element::whole(file).and_then(|file| file.sequence()).ok_or(Refusal::Broken)?;
    let [_, safe, mac @ ..] = &parts[..] else { return Err(Refusal::Broken) };
    let safe = data(safe)?;
    let with_end = |text: &str| {
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * text.len() + 2));
        bytes.extend(text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes));
        bytes
    };
    let mut candidates = vec![Password { utf16: with_end(password), utf8: password }];
    if password.is_empty() {
        candidates.push(Password { utf16: Zeroizing::new(Vec::new()), utf8: "" });
    }
    let mut refusal = Refusal::Password;
    for password in &candidates {
        let is_right = mac.first().map_or(Ok(true), |mac| verify(mac, password, &safe));
        match is_right.and_then(|is_right| match is_right {
            true => contents(&safe, password),
            false => Err(Refusal::Password),
        }) {
            Err(Refusal::Password) => {}
            Err(other) => refusal = other,
            opened => return opened,
        }
    }
    Err(refusal)
}

/// The content of a `ContentInfo` of type data.
fn data(info: &Element<'_>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let parts = info.sequence().ok_or(Refusal::Broken)?;
    match parts.first().and_then(Element::oid).as_deref() {
        Some(DATA) => {}
        // Signed, or encrypted for a certificate.
        Some(_) => return Err(Refusal::Unknown),
        None => return Err(Refusal::Broken),
    }
    let content = parts.get(1).and_then(Element::children).and_then(|mut all| all.pop());
    content.and_then(|content| content.octets()).ok_or(Refusal::Broken)
}

fn contents(safe: &[u8], password: &Password<'_>) -> Result<Values, Refusal> {
    let infos = Element::whole(safe).and_then(|safe| safe.sequence()).ok_or(Refusal::Broken)?;
    let mut values = Vec::new();
    for info in infos {
        let parts = info.sequence().ok_or(Refusal::Broken)?;
        let bags_of = match parts.first().and_then(Element::oid).as_deref() {
            Some(ENCRYPTED_DATA) => {
                let content =
                    parts.get(1).and_then(Element::children).and_then(|mut all| all.pop());
                let data = content.and_then(|content| content.sequence()).ok_or(Refusal::Broken)?;
                let info = data.get(1).ok_or(Refusal::Broken)?;
                let all = encodings(info.content()).ok_or(Refusal::Broken)?;
                let [_, algorithm, encrypted] = all[..] else { return Err(Refusal::Broken) };
                let (_, encrypted) = Element::first(encrypted).ok_or(Refusal::Broken)?;
                let encrypted = encrypted.implicit_octets().ok_or(Refusal::Broken)?;
                decrypt(algorithm, &encrypted, password)?
            }
            _ => data(&info)?,
        };
        bags(&bags_of, password, MAX_DEPTH, &mut values)?;
    }
    Ok(values)
}

fn bags(
    contents: &[u8],
    password: &Password<'_>,
    depth: usize,
    values: &mut Values,
) -> Result<(), Refusal> {
    let all = Element::whole(contents).and_then(|all| all.sequence()).ok_or(Refusal::Broken)?;
    for bag in all.iter().filter(|_| depth > 0) {
        let parts = bag.sequence().ok_or(Refusal::Broken)?;
        let kind = parts.first().and_then(Element::oid).ok_or(Refusal::Broken)?;
        let value = parts.get(1).ok_or(Refusal::Broken)?;
        match kind.as_str() {
            KEY_BAG => values.push(Zeroizing::new(value.content().to_vec())),
            SHROUDED_KEY_BAG => {
                let (_, info) = Element::first(value.content()).ok_or(Refusal::Broken)?;
                let all = encodings(info.content()).ok_or(Refusal::Broken)?;
                let [algorithm, encrypted] = all[..] else { return Err(Refusal::Broken) };
                let (_, encrypted) = Element::first(encrypted).ok_or(Refusal::Broken)?;
                let encrypted = encrypted.octets().ok_or(Refusal::Broken)?;
                values.push(decrypt(algorithm, &encrypted, password)?);
            }
            CERTIFICATE_BAG => {
                let (_, bag) = Element::first(value.content()).ok_or(Refusal::Broken)?;
                let parts = bag.sequence().ok_or(Refusal::Broken)?;
                if parts.first().and_then(Element::oid).as_deref() == Some(X509_CERTIFICATE) {
                    let value =
                        parts.get(1).and_then(Element::children).and_then(|mut all| all.pop());
                    values.push(value.and_then(|it| it.octets()).ok_or(Refusal::Broken)?);
                }
            }
            SAFE_CONTENTS_BAG => bags(value.content(), password, depth - 1, values)?,
            // Lists of revoked certificates, and secrets of other kinds.
            _ => {}
        }
    }
    Ok(())
}

/// Whether the MAC of the file is that of its content under this password.
fn verify(mac: &Element<'_>, password: &Password<'_>, content: &[u8]) -> Result<bool, Refusal> {
    let read = || {
        let parts = mac.sequence()?;
        let digest = parts.first()?.sequence()?;
        let algorithm = digest.first()?.sequence()?;
        let rounds = parts.get(2).map_or(Some(1), Element::small)?;
        Some((algorithm, digest.get(1)?.octets()?, parts.get(1)?.octets()?, rounds))
    };
    let (algorithm, expected, salt, rounds) = read().ok_or(Refusal::Broken)?;
    let rounds = within_limit(rounds)?;
    let verify = match algorithm.first().and_then(Element::oid).as_deref().unwrap_or_default() {
        PBMAC1 => return verify_pbmac1(algorithm.get(1), password, content, &expected),
        "1.3.14.3.2.26" => verify_with::<Sha1>,
        "2.16.840.1.101.3.4.2.4" => verify_with::<Sha224>,
        "2.16.840.1.101.3.4.2.1" => verify_with::<Sha256>,
        "2.16.840.1.101.3.4.2.2" => verify_with::<Sha384>,
        "2.16.840.1.101.3.4.2.3" => verify_with::<Sha512>,
        _ => return Err(Refusal::Unknown),
    };
    Ok(verify(&password.utf16, &salt, rounds, content, &expected))
}

/// RFC 7292, appendix B.4.
fn verify_with<D>(
    password: &[u8],
    salt: &[u8],
    rounds: u32,
    content: &[u8],
    expected: &[u8],
) -> bool
where
    D: EagerHash
        + sha2::Digest
        + cbc::cipher::common::BlockSizeUser
        + hmac::digest::FixedOutputReset,
    Hmac<D>: Mac + KeyInit,
{
    let length = <D as sha2::Digest>::output_size();
    let key = kdf::<D>(password, salt, Pkcs12KeyType::Mac, rounds, length);
    mac_is::<D>(&key, content, expected)
}

fn mac_is<D: EagerHash>(key: &[u8], content: &[u8], expected: &[u8]) -> bool
where
    Hmac<D>: Mac + KeyInit,
{
    <Hmac<D> as KeyInit>::new_from_slice(key).is_ok_and(|mut mac| {
        mac.update(content);
        mac.verify_slice(expected).is_ok()
    })
}

/// RFC 9579: a key by PBKDF2 (RFC 8018, appendix A.2), and an HMAC with it.
fn verify_pbmac1(
    parameters: Option<&Element<'_>>,
    password: &Password<'_>,
    content: &[u8],
    expected: &[u8],
) -> Result<bool, Refusal> {
    let read = || {
        let parameters = parameters?.sequence()?;
        let derivation = parameters.first()?.sequence()?.get(1)?.sequence()?;
        let salt = derivation.first()?.octets()?;
        let rounds = derivation.get(1)?.small()?;
        // PBMAC1 demands the length of the key, which PBKDF2 alone does not.
        let length = derivation.get(2)?.small()? as usize;
        let function = derivation.get(3).map_or(Some(HMAC_SHA1.to_owned()), hmac_of)?;
        Some((salt, rounds, length, function, hmac_of(parameters.get(1)?)?))
    };
    let (salt, rounds, length, function, mac) = read().ok_or(Refusal::Broken)?;
    let rounds = within_limit(rounds)?;
    if !(1..=1024).contains(&length) {
        return Err(Refusal::Broken);
    }
    let mut key = Zeroizing::new(vec![0; length]);
    let derive = match function.as_str() {
        HMAC_SHA1 => pbkdf2::pbkdf2_hmac::<Sha1>,
        "1.2.840.113549.2.8" => pbkdf2::pbkdf2_hmac::<Sha224>,
        "1.2.840.113549.2.9" => pbkdf2::pbkdf2_hmac::<Sha256>,
        "1.2.840.113549.2.10" => pbkdf2::pbkdf2_hmac::<Sha384>,
        "1.2.840.113549.2.11" => pbkdf2::pbkdf2_hmac::<Sha512>,
        _ => return Err(Refusal::Unknown),
    };
    derive(password.utf8.as_bytes(), &salt, rounds, &mut key);
    let is = match mac.as_str() {
        HMAC_SHA1 => mac_is::<Sha1>,
        "1.2.840.113549.2.8" => mac_is::<Sha224>,
        "1.2.840.113549.2.9" => mac_is::<Sha256>,
        "1.2.840.113549.2.10" => mac_is::<Sha384>,
        "1.2.840.113549.2.11" => mac_is::<Sha512>,
        _ => return Err(Refusal::Unknown),
    };
    Ok(is(&key, content, expected))
}

const HMAC_SHA1: &str = "1.2.840.113549.2.7";

fn hmac_of(algorithm: &Element<'_>) -> Option<String> {
    algorithm.sequence()?.first()?.oid()
}

/// Decrypts by PBES1 with the functions of PKCS#12 (RFC 7292, appendix C), or by PBES2 (RFC 8018).
fn decrypt(
    algorithm: &[u8],
    encrypted: &[u8],
    password: &Password<'_>,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let parts = Element::whole(algorithm).and_then(|it| it.sequence()).ok_or(Refusal::Broken)?;
    let oid = parts.first().and_then(Element::oid).ok_or(Refusal::Broken)?;
    let Some(kind) = oid.strip_prefix("1.2.840.113549.1.12.1.") else {
        // `pkcs5` reads only DER.
        let algorithm = to_der(algorithm).ok_or(Refusal::Broken)?;
        let scheme = EncryptionScheme::try_from(&algorithm[..]).map_err(|_| Refusal::Unknown)?;
        if let EncryptionScheme::Pbes2(parameters) = &scheme
            && let pkcs5::pbes2::Kdf::Pbkdf2(derivation) = &parameters.kdf
        {
            within_limit(derivation.iteration_count)?;
        }
        let decrypted = scheme.decrypt(password.utf8.as_bytes(), encrypted);
        return decrypted.map(Zeroizing::new).map_err(|error| match error {
            pkcs5::Error::DecryptFailed | pkcs5::Error::EncryptFailed => Refusal::Password,
            _ => Refusal::Unknown,
        });
    };
    let parameters = parts.get(1).and_then(Element::sequence).ok_or(Refusal::Broken)?;
    let salt = parameters.first().and_then(Element::octets).ok_or(Refusal::Broken)?;
    let rounds = parameters.get(1).and_then(Element::small).ok_or(Refusal::Broken)?;
    let rounds = within_limit(rounds)?;
    let derive = |kind, length| kdf::<Sha1>(&password.utf16, &salt, kind, rounds, length);
    let key = |length| derive(Pkcs12KeyType::EncryptionKey, length);
    let iv = || derive(Pkcs12KeyType::Iv, 8);
    let decrypted = match kind {
        "1" => rc4(&key(16), encrypted),
        "2" => rc4(&key(5), encrypted),
        "3" => cbc(TdesEde3::new_from_slice(&key(24)).ok(), &iv(), encrypted),
        "4" => cbc(TdesEde2::new_from_slice(&key(16)).ok(), &iv(), encrypted),
        "5" => cbc(Some(Rc2::new_with_eff_key_len(&key(16), 128)), &iv(), encrypted),
        "6" => cbc(Some(Rc2::new_with_eff_key_len(&key(5), 40)), &iv(), encrypted),
        _ => return Err(Refusal::Unknown),
    };
    decrypted.ok_or(Refusal::Password)
}

fn kdf<D>(
    password: &[u8],
    salt: &[u8],
    kind: Pkcs12KeyType,
    rounds: u32,
    length: usize,
) -> Zeroizing<Vec<u8>>
where
    D: sha2::Digest + hmac::digest::FixedOutputReset + cbc::cipher::common::BlockSizeUser,
{
    // Within the limit, so it fits.
    let rounds = i32::try_from(rounds).unwrap_or(i32::MAX);
    Zeroizing::new(derive_key::<D>(password, salt, kind, rounds, length))
}

fn cbc<C: BlockCipherDecrypt>(
    cipher: Option<C>,
    iv: &[u8],
    encrypted: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let decryptor = cbc::Decryptor::inner_iv_slice_init(cipher?, iv).ok()?;
    decryptor.decrypt_padded_vec::<Pkcs7>(encrypted).ok().map(Zeroizing::new)
}

fn rc4(key: &[u8], encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut decrypted = Zeroizing::new(encrypted.to_vec());
    Rc4::new_from_slice(key).ok()?.apply_keystream(&mut decrypted);
    // A stream has no padding that would show a wrong password.
    Element::whole(&decrypted).is_some().then_some(decrypted)
}

fn within_limit(rounds: u32) -> Result<u32, Refusal> {
    if (1..=MAX_ITERATIONS).contains(&rounds) { Ok(rounds) } else { Err(Refusal::Unknown) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that the fuzzer starts from, made by OpenSSL.
    #[test]
    fn every_seed_is_opened_and_what_is_cut_off_is_not() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/pkcs12");
        let mut seeds = 0;
        for file in std::fs::read_dir(corpus).expect("a corpus") {
            let path = file.expect("a file").path();
            let content = std::fs::read(&path).expect("its content");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let opened = ["secret", ""].map(|password| open(&content, password));
            if name.starts_with("seed-") {
                seeds += 1;
                let values = opened.iter().flatten().next().expect("a file that opens");
                assert_eq!(values.len(), 2, "{name}");
            }
            if name != "seed-bare" {
                assert_eq!(open(&content, "another").err(), Some(Refusal::Password), "{name}");
            }
            for length in (0..content.len().min(2_000)).step_by(7) {
                assert!(open(&content[..length], "secret").is_err(), "{name}, {length}");
            }
        }
        assert!(seeds >= 10, "{seeds}");
    }

    #[test]
    fn a_file_cannot_ask_for_hours() {
        assert_eq!(within_limit(0), Err(Refusal::Unknown));
        assert_eq!(within_limit(1), Ok(1));
        assert_eq!(within_limit(MAX_ITERATIONS + 1), Err(Refusal::Unknown));
    }
}
