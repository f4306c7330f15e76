//! What a source holds, read into leaf, chain and key.
//!
//! No error says anything about a content but where it is wrong, and none quotes what might be key
//! material: a tag, a field name or a parser's message may be part of a key when armour is broken.

use std::fmt;

use pem::PemError;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::certificate::PrivateKey;
use crate::certificate::{Certificate, CertificateError};
use crate::finding::{Ending, Finding};

/// The largest content that is read: 65,536 bytes, what a Secrets Manager secret can hold
/// (`PutSecretValue`, `SecretString`). It also keeps every chain below the 2,097,152 bytes that ACM
/// and IAM take.
pub const MAX_SOURCE_BYTES: usize = 65_536;

const CERTIFICATE: &str = "certificate";
const PRIVATE_KEY: &str = "privateKey";
const CERTIFICATE_CHAIN: &str = "certificateChain";

/// A certificate as it is to be imported.
#[derive(Debug)]
pub struct Bundle {
    /// The certificate of the server.
    pub leaf: Certificate,
    /// The chain: the leaf's issuer first, each one issued by the next, without the root, which
    /// CloudFront does not want (Developer Guide, "Requirements for using SSL/TLS certificates with
    /// CloudFront", intermediate certificates).
    pub intermediates: Vec<Certificate>,
    /// The leaf's private key; whether it really is, [`crate::certificate::fitness::check`] says.
    pub key: PrivateKey,
}

/// Where in a content a PEM block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The JSON field, if the content is JSON.
    pub field: Option<&'static str>,
    /// The number of the block in the field or the content, from 1.
    pub block: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(f, "block {} of field {field}", self.block),
            None => write!(f, "block {}", self.block),
        }
    }
}

/// Why a content is not a leaf, its chain and its private key. The message of each is the problem of
/// its [`Self::finding`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Nothing but blanks.
    #[error("it is empty")]
    Empty,
    /// More than [`MAX_SOURCE_BYTES`].
    #[error("it has {bytes} bytes; the maximum is {MAX_SOURCE_BYTES}")]
    TooLarge {
        /// The size of the content.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("it is not UTF-8 text; it may be PKCS#12, DER or UTF-16")]
    NotText,
    /// Text of another kind.
    #[error("it is neither a JSON object nor PEM")]
    NeitherJsonNorPem,
    /// It begins as a JSON object does, and then breaks.
    #[error("it is broken JSON at line {line}, column {column}")]
    BrokenJson {
        /// From 1.
        line: usize,
        /// From 1; 0 at the beginning of a line.
        column: usize,
    },
    /// A JSON field that has no meaning here.
    #[error("there is an unknown field {field}")]
    UnknownField {
        /// Its name, if it is one that can be shown.
        field: String,
    },
    /// A JSON field that is not a string.
    #[error("the field {field} is not a string")]
    NotAString {
        /// Its name.
        field: &'static str,
    },
    /// A JSON field that has to be there.
    #[error("the field {field} is missing")]
    MissingField {
        /// Its name.
        field: &'static str,
    },
    /// A JSON field with a text that is not PEM.
    #[error("it contains no PEM block")]
    NoBlock {
        /// Its name.
        field: &'static str,
    },
    /// BEGIN without END, END without BEGIN, or two that differ.
    #[error("its lines -----BEGIN …----- and -----END …----- do not match")]
    BrokenArmour {
        /// Which block.
        place: Place,
    },
    /// Something else than base64 between BEGIN and END.
    #[error("the text between its BEGIN and END lines is not base64")]
    BrokenBase64 {
        /// Which block.
        place: Place,
    },
    /// A PEM block that belongs to neither a certificate nor a private key.
    #[error("it is a {tag}, neither a certificate nor a private key")]
    OtherBlock {
        /// Which block.
        place: Place,
        /// The word after BEGIN.
        tag: String,
    },
    /// A block that says CERTIFICATE and holds none.
    #[error("it is {error}")]
    BrokenCertificate {
        /// Which block.
        place: Place,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// A private key under a passphrase.
    #[error("the private key is encrypted, and ACM and IAM accept only unencrypted keys")]
    EncryptedKey {
        /// Which block.
        place: Place,
    },
    /// A block that says PRIVATE KEY and holds none.
    #[error("it is not a private key in DER")]
    BrokenKey {
        /// Which block.
        place: Place,
    },
    /// No block is a private key.
    #[error("it contains no private key")]
    NoKey,
    /// More than one block is a private key.
    #[error("it is a second private key, after the one in {first}")]
    SecondKey {
        /// Which block.
        place: Place,
        /// The one before it.
        first: Place,
    },
    /// No block is a certificate.
    #[error("it contains no certificate")]
    NoCertificate,
    /// All certificates are those of authorities.
    #[error("it contains only CA certificates, and no server certificate")]
    NoLeaf,
    /// Two certificates could be the server's.
    #[error("it may be the server certificate ({subject}), and so may the one in {first}")]
    SecondLeaf {
        /// Which block.
        place: Place,
        /// Its subject.
        subject: String,
        /// The one before it.
        first: Place,
    },
    /// A certificate that is not in the leaf's chain.
    #[error("the certificate {subject} is not part of the chain")]
    Unrelated {
        /// Which block.
        place: Place,
        /// Its subject.
        subject: String,
    },
}

impl BundleError {
    /// The finding of a plan: ending `SourceUnreadable` if the content is no text of the right form,
    /// `CertificateInvalid` if it is and its blocks are wrong.
    pub fn finding(&self) -> Finding {
        Finding::new(self.ending(), self.subject(), self.to_string(), self.cure())
    }

    fn ending(&self) -> Ending {
        match self {
            Self::Empty
            | Self::TooLarge { .. }
            | Self::NotText
            | Self::NeitherJsonNorPem
            | Self::BrokenJson { .. }
            | Self::UnknownField { .. }
            | Self::NotAString { .. }
            | Self::MissingField { .. } => Ending::SourceUnreadable,
            _ => Ending::CertificateInvalid,
        }
    }

    fn subject(&self) -> String {
        match self {
            Self::BrokenArmour { place }
            | Self::BrokenBase64 { place }
            | Self::OtherBlock { place, .. }
            | Self::BrokenCertificate { place, .. }
            | Self::EncryptedKey { place }
            | Self::BrokenKey { place }
            | Self::SecondKey { place, .. }
            | Self::SecondLeaf { place, .. }
            | Self::Unrelated { place, .. } => format!("source of the new certificate, {place}"),
            Self::NoBlock { field } => format!("source of the new certificate, field {field}"),
            _ => "source of the new certificate".to_string(),
        }
    }

    fn cure(&self) -> &'static str {
        match self {
            Self::Empty | Self::NeitherJsonNorPem | Self::NoBlock { .. } => {
                "Store PEM blocks there (certificate, chain and private key), one after the other or \
                 as the JSON fields certificate, certificateChain and privateKey"
            }
            Self::TooLarge { .. } => {
                "Store only the certificate, its intermediate certificates and the private key"
            }
            Self::NotText => {
                "Convert PKCS#12 with `openssl pkcs12 -in FILE -nodes -out bundle.pem`, a certificate \
                 in DER with `openssl x509 -inform der -in FILE -out certificate.pem`, a key in DER \
                 with `openssl pkey -inform der -in FILE -out key.pem`; save other text as UTF-8"
            }
            Self::BrokenJson { .. } => {
                "Write the JSON with a tool that quotes line breaks, such as `jq -n --rawfile \
                 certificate fullchain.pem --rawfile privateKey key.pem '$ARGS.named'`"
            }
            Self::UnknownField { .. } | Self::NotAString { .. } | Self::MissingField { .. } => {
                "Give the strings certificate and privateKey, and certificateChain unless \
                 certificate holds the chain too, and no other field"
            }
            Self::BrokenArmour { .. } | Self::BrokenBase64 { .. } => {
                "Copy the whole block again, from its BEGIN line to its END line, with real line breaks and without blank lines"
            }
            Self::OtherBlock { .. } => {
                "Remove the block; only CERTIFICATE and an unencrypted PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY are accepted"
            }
            Self::BrokenCertificate { .. } => {
                "Copy the certificate again from the authority's delivery and check it with \
                 `openssl x509 -noout -text`"
            }
            Self::EncryptedKey { .. } => {
                "Decrypt it with `openssl pkey -in encrypted.pem -out key.pem` and store the result"
            }
            Self::BrokenKey { .. } => {
                "Copy the private key again and check it with `openssl pkey -noout -check`"
            }
            Self::NoKey => {
                "Add the private key from which the certificate was requested, unencrypted, in PEM"
            }
            Self::SecondKey { .. } => "Keep only the private key of the new certificate",
            Self::NoCertificate => "Add the certificate and its intermediate certificates, in PEM",
            Self::NoLeaf => "Add the certificate that was issued for your own names, in PEM",
            Self::SecondLeaf { .. } => "Keep only the new certificate and its chain",
            Self::Unrelated { .. } => {
                "Remove the block, or replace it with the missing issuer's certificate"
            }
        }
    }
}

/// Reads the content of a source: a JSON object with the strings `certificate`, `privateKey` and
/// perhaps `certificateChain`, or one PEM text, its blocks in any order with anything between them.
///
/// The chain is put in order; the root and repeated certificates are left out. Where an authority
/// has several certificates of the same name and key (cross-signing), the one that lives longest is
/// taken and the path of the others left out: CloudFront wants no certificate off the path.
///
/// # Errors
///
/// The first thing that is wrong, see [`BundleError`].
pub fn read(content: &[u8]) -> Result<Bundle, BundleError> {
    if content.len() > MAX_SOURCE_BYTES {
        return Err(BundleError::TooLarge { bytes: content.len() });
    }
    let text = std::str::from_utf8(content).map_err(|_| BundleError::NotText)?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.is_empty() {
        return Err(BundleError::Empty);
    }
    let blocks = if text.starts_with('{') {
        json_blocks(text)?
    } else if text.contains(BEGIN) {
        pem_blocks(text, None)?
    } else {
        return Err(BundleError::NeitherJsonNorPem);
    };

    let mut certificates: Vec<(Place, Certificate)> = Vec::new();
    let mut key: Option<(Place, PrivateKey)> = None;
    for Block { place, tag, mut der } in blocks {
        match tag.as_str() {
            "CERTIFICATE" => {
                let certificate = Certificate::from_der(std::mem::take(&mut *der))
                    .map_err(|error| BundleError::BrokenCertificate { place, error })?;
                if !certificates.iter().any(|(_, other)| *other == certificate) {
                    certificates.push((place, certificate));
                }
            }
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {
                if let Some((first, _)) = key {
                    return Err(BundleError::SecondKey { place, first });
                }
                let read = PrivateKey::from_block(&tag, der);
                key = Some((place, read.ok_or(BundleError::BrokenKey { place })?));
            }
            // `openssl ecparam -genkey` writes one before the key, which says the same again.
            "EC PARAMETERS" => {}
            _ => return Err(BundleError::OtherBlock { place, tag }),
        }
    }
    if certificates.is_empty() {
        return Err(BundleError::NoCertificate);
    }
    let (_, key) = key.ok_or(BundleError::NoKey)?;

    let (_, leaf) = certificates.remove(find_leaf(&certificates, &key)?);
    let intermediates = arrange_chain(&leaf, certificates)?;
    Ok(Bundle { leaf, intermediates, key })
}

struct Block {
    place: Place,
    tag: String,
    der: Zeroizing<Vec<u8>>,
}

fn json_blocks(text: &str) -> Result<Vec<Block>, BundleError> {
    // Not into a struct: serde's messages quote the value they did not expect.
    let mut fields: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| BundleError::BrokenJson { line: error.line(), column: error.column() })?;
    // All three are taken out first, so that they are overwritten whichever is refused.
    let certificate = take_string(&mut fields, CERTIFICATE);
    let private_key = take_string(&mut fields, PRIVATE_KEY);
    let chain = take_string(&mut fields, CERTIFICATE_CHAIN);
    if let Some(field) = fields.keys().next() {
        return Err(BundleError::UnknownField { field: showable(field) });
    }
    let mut blocks = Vec::new();
    for (field, text) in [
        (CERTIFICATE, certificate?.ok_or(BundleError::MissingField { field: CERTIFICATE })?),
        (PRIVATE_KEY, private_key?.ok_or(BundleError::MissingField { field: PRIVATE_KEY })?),
        (CERTIFICATE_CHAIN, chain?.unwrap_or_default()),
    ] {
        let read = pem_blocks(&text, Some(field))?;
        if read.is_empty() && !(field == CERTIFICATE_CHAIN && text.trim().is_empty()) {
            return Err(BundleError::NoBlock { field });
        }
        blocks.extend(read);
    }
    Ok(blocks)
}

fn take_string(
    fields: &mut Map<String, Value>,
    field: &'static str,
) -> Result<Option<Zeroizing<String>>, BundleError> {
    match fields.remove(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(Zeroizing::new(text))),
        Some(_) => Err(BundleError::NotAString { field }),
    }
}

/// A field name as it may stand in a message: nothing long, nothing odd.
fn showable(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.len() <= 32 && name.chars().all(is_plain) {
        name.to_string()
    } else {
        "with a name that is not shown".to_string()
    }
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// The PEM blocks of a text. Block by block, since `pem::parse_many` does not say which one is
/// wrong, and takes a last block without its END for text between blocks.
fn pem_blocks(text: &str, field: Option<&'static str>) -> Result<Vec<Block>, BundleError> {
    let begins: Vec<usize> = text.match_indices(BEGIN).map(|(at, _)| at).collect();
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    let before_first = begins.first().map_or("", |&at| &text[..at]);
    if before_first.contains(END) {
        return Err(BundleError::BrokenArmour { place: Place { field, block: 1 } });
    }
    let pieces = begins.iter().zip(ends).map(|(&begin, end)| &text[begin..end]);
    pieces.enumerate().map(|(i, piece)| pem_block(piece, Place { field, block: i + 1 })).collect()
}

/// The block of a text that begins with BEGIN and holds no second one.
fn pem_block(piece: &str, place: Place) -> Result<Block, BundleError> {
    let broken_armour = BundleError::BrokenArmour { place };
    let (tag, rest) = piece[BEGIN.len()..].split_once("-----").ok_or(broken_armour.clone())?;
    // Anything else may be part of the content, which no message may show.
    let is_tag = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
    if tag.len() > 32 || !tag.chars().all(is_tag) {
        return Err(broken_armour);
    }
    let (body, after) = rest.split_once(END).ok_or(broken_armour.clone())?;
    if after.contains(END) {
        return Err(broken_armour);
    }
    if tag == "ENCRYPTED PRIVATE KEY" || body.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(BundleError::EncryptedKey { place });
    }
    match pem::parse(piece) {
        Ok(block) => {
            Ok(Block { place, tag: tag.to_string(), der: Zeroizing::new(block.into_contents()) })
        }
        // A header is what `pem` takes the lines before a blank line for.
        Err(PemError::InvalidData(_) | PemError::InvalidHeader(_)) => {
            Err(BundleError::BrokenBase64 { place })
        }
        Err(_) => Err(broken_armour),
    }
}

/// The index of the server's certificate: the one the private key belongs to or, if it belongs to
/// none, the one that is not an authority's and issued no other. A key that belongs to none is found
/// by [`crate::certificate::fitness::check`], together with everything else.
fn find_leaf(
    certificates: &[(Place, Certificate)],
    key: &PrivateKey,
) -> Result<usize, BundleError> {
    let indices_where = |is_wanted: &dyn Fn(&Certificate) -> bool| -> Vec<usize> {
        let wanted = certificates.iter().enumerate().filter(|(_, (_, it))| is_wanted(it));
        wanted.map(|(i, _)| i).collect()
    };
    let mut candidates = indices_where(&|it| key.matches(it) == Ok(true));
    if candidates.is_empty() {
        candidates = indices_where(&|it| {
            let issued_another =
                certificates.iter().any(|(_, other)| other != it && other.is_issued_by(it));
            !it.is_ca() && !issued_another
        });
    }
    match candidates[..] {
        [] => Err(BundleError::NoLeaf),
        [leaf] => Ok(leaf),
        [first, second, ..] => Err(BundleError::SecondLeaf {
            place: certificates[second].0,
            subject: certificates[second].1.name(),
            first: certificates[first].0,
        }),
    }
}

/// The chain from the leaf's issuer upwards.
fn arrange_chain(
    leaf: &Certificate,
    mut others: Vec<(Place, Certificate)>,
) -> Result<Vec<Certificate>, BundleError> {
    others.retain(|(_, certificate)| !certificate.is_self_signed());

    let mut chain: Vec<Certificate> = Vec::new();
    loop {
        let last = chain.last().unwrap_or(leaf);
        let issuers = others.iter().enumerate().filter(|(_, (_, other))| last.is_issued_by(other));
        let longest_lived =
            issuers.max_by_key(|(_, (_, issuer))| (issuer.not_after(), issuer.fingerprint()));
        let Some((i, _)) = longest_lived else { break };
        chain.push(others.remove(i).1);
    }

    // What is left must be the other path of a cross-signed authority: each one the issuer of
    // something on either path.
    let mut on_some_path = chain.clone();
    on_some_path.push(leaf.clone());
    while let Some(i) = others
        .iter()
        .position(|(_, other)| on_some_path.iter().any(|lower| lower.is_issued_by(other)))
    {
        on_some_path.push(others.remove(i).1);
    }
    match others.into_iter().next() {
        None => Ok(chain),
        Some((place, other)) => Err(BundleError::Unrelated { place, subject: other.name() }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use rcgen::KeyPair;
    use serde_json::json;

    use super::*;
    use crate::test_authority::*;

    /// A leaf, its key, and two intermediate certificates; the upper one is cross-signed by another
    /// root, whose certificate does not live as long.
    struct Delivery {
        leaf: String,
        key: String,
        lower: String,
        upper: String,
        crossed: String,
        root: String,
        other_root: String,
    }

    static DELIVERY: LazyLock<Delivery> = LazyLock::new(|| {
        let root = Authority::root("Root");
        let other_root = Authority::root("Other root");
        let upper = root.intermediate("Upper");
        let lower = upper.intermediate("Lower");
        let key = p256();
        Delivery {
            leaf: lower.sign(&leaf_params(&["www.example.com"]), &key),
            key: key.serialize_pem(),
            crossed: other_root.cross_sign(&upper, 2030),
            lower: lower.pem,
            upper: upper.pem,
            root: root.pem,
            other_root: other_root.pem,
        }
    });

    /// What a bundle holds, in a form that can be compared.
    fn parts(bundle: &Bundle) -> (String, Vec<String>, String) {
        let chain = bundle.intermediates.iter().map(Certificate::to_pem).collect();
        (bundle.leaf.to_pem(), chain, bundle.key.to_pem().to_string())
    }

    /// PEM as `rcgen` writes it, CRLF and all, in the form in which it is given out.
    fn lf(pem: &str) -> String {
        pem.replace("\r\n", "\n")
    }

    #[track_caller]
    fn check(content: &str, leaf: &str, chain: &[&str], key: &str) {
        let bundle = read(content.as_bytes()).expect("a bundle");
        let chain = chain.iter().map(|pem| lf(pem)).collect();
        assert_eq!(parts(&bundle), (lf(leaf), chain, lf(key)));
    }

    #[track_caller]
    fn refuse(content: impl AsRef<[u8]>, expected: BundleError) {
        assert_eq!(read(content.as_ref()).map(|bundle| parts(&bundle)), Err(expected));
    }

    fn place(block: usize) -> Place {
        Place { field: None, block }
    }

    fn within(field: &'static str, block: usize) -> Place {
        Place { field: Some(field), block }
    }

    #[test]
    fn pem_is_read_in_any_dress() {
        let Delivery { leaf, key, lower, upper, root, .. } = &*DELIVERY;
        let chain = [lower.as_str(), upper];
        check(&format!("{leaf}{lower}{upper}{key}"), leaf, &chain, key);
        check(&format!("{key}{root}{upper}{lower}{leaf}{leaf}{lower}"), leaf, &chain, key);
        check(&format!("\u{feff}\n  {leaf}\n\n{lower}{upper}{key}\n\n"), leaf, &chain, key);
        let lines = format!("{leaf}{lower}{upper}{key}");
        check(&lines.replace("\r\n", "\n"), leaf, &chain, key);
        check(&lf(&lines).replace('\n', "\r\n"), leaf, &chain, key);
        check(&lf(&lines).replace('\n', " "), leaf, &chain, key);
        let annotated = format!(
            "Bag Attributes\n    localKeyID: 01\nsubject=CN = x\n{key}issuer: y\n{leaf}---\n{upper}{lower}end"
        );
        check(&annotated, leaf, &chain, key);
        check(&format!("{leaf}{key}"), leaf, &[], key);
    }

    #[test]
    fn json_is_read_with_and_without_a_chain_field() {
        let Delivery { leaf, key, lower, upper, root, .. } = &*DELIVERY;
        let chain = [lower.as_str(), upper];
        let check = |content: Value, chain: &[&str]| check(&content.to_string(), leaf, chain, key);
        check(
            json!({"certificate": leaf, "privateKey": key,
                   "certificateChain": format!("{root}{upper}{lower}")}),
            &chain,
        );
        check(json!({"certificate": format!("{leaf}{lower}{upper}"), "privateKey": key}), &chain);
        check(json!({"certificate": leaf, "privateKey": key, "certificateChain": " "}), &[]);
    }

    #[test]
    fn every_encoding_of_a_key_is_read() {
        let root = Authority::root("Root");
        let rsa = root.sign(&leaf_params(&["www.example.com"]), &rsa_2048());
        check(&format!("{rsa}{RSA_2048_PKCS1}"), &rsa, &[], RSA_2048_PKCS1);
        check(&format!("{rsa}{RSA_2048_PKCS8}"), &rsa, &[], RSA_2048_PKCS8);

        let public_key = include_str!("../../tests/fixtures/p256.pub.pem");
        let public_key = rcgen::SubjectPublicKeyInfo::from_pem(public_key).expect("public key");
        let ec = root.sign(&leaf_params(&["www.example.com"]), &public_key);
        let parameters = P256_SEC1.find("-----BEGIN EC PRIVATE").expect("key");
        assert!(P256_SEC1.starts_with("-----BEGIN EC PARAMETERS"));
        check(&format!("{ec}{P256_SEC1}"), &ec, &[], &P256_SEC1[parameters..]);
    }

    #[test]
    fn the_leaf_is_the_one_of_the_key_or_the_only_one_there_can_be() {
        let Delivery { leaf, key, lower, upper, root, .. } = &*DELIVERY;
        // A key of another certificate is for `fitness::check` to find.
        let stranger = p256().serialize_pem();
        check(&format!("{upper}{leaf}{lower}{stranger}"), leaf, &[lower, upper], &stranger);
        // `openssl req -x509` makes self-signed certificates of authorities.
        let own = p256();
        let own_pem = own.serialize_pem();
        let self_signed = Authority::root_with_key("www.example.com", own).pem;
        check(&format!("{self_signed}{own_pem}"), &self_signed, &[], &own_pem);
        // Basic constraints may be missing from an issuer; it still is one.
        let mut old_style = authority_params("Old style");
        old_style.is_ca = rcgen::IsCa::NoCa;
        let authority = Authority::root("Authority");
        let old_style = authority.intermediate_from(old_style, p256());
        let below = old_style.sign(&leaf_params(&["www.example.com"]), &p256());
        check(&format!("{}{below}{stranger}", old_style.pem), &below, &[&old_style.pem], &stranger);

        refuse(format!("{lower}{upper}{root}{key}"), BundleError::NoLeaf);
        let issue = |key: &KeyPair| authority.sign(&leaf_params(&["www.example.com"]), key);
        let (one, two) = (issue(&p256()), issue(&p256()));
        refuse(
            format!("{one}{stranger}{two}"),
            BundleError::SecondLeaf {
                place: place(3),
                subject: "CN=www.example.com".to_string(),
                first: place(1),
            },
        );
        // Last year's certificate, still there, for the same key.
        let reused = p256();
        let (one, two) = (issue(&reused), {
            let mut later = leaf_params(&["www.example.com"]);
            later.not_after = rcgen::date_time_ymd(2026, 8, 1);
            authority.sign(&later, &reused)
        });
        refuse(
            format!("{}{one}{two}", reused.serialize_pem()),
            BundleError::SecondLeaf {
                place: place(3),
                subject: "CN=www.example.com".to_string(),
                first: place(2),
            },
        );
    }

    #[test]
    fn of_two_certificates_of_one_authority_the_longer_lived_is_taken() {
        let Delivery { leaf, key, lower, upper, crossed, root, other_root } = &*DELIVERY;
        check(&format!("{leaf}{crossed}{lower}{upper}{key}"), leaf, &[lower, upper], key);
        check(&format!("{key}{crossed}{lower}{leaf}"), leaf, &[lower, crossed], key);

        // The other path may have a certificate more.
        let top = Authority::root("Top");
        let middle = top.intermediate("Middle");
        let authority = Authority::root("Authority");
        let own = p256();
        let leaf = authority.sign(&leaf_params(&["www.example.com"]), &own);
        let shorter = middle.cross_sign(&authority, 2030);
        let longer = Authority::root("Longer").cross_sign(&authority, 2035);
        let key = own.serialize_pem();
        let content = format!("{shorter}{}{leaf}{longer}{key}{root}{other_root}", middle.pem);
        check(&content, &leaf, &[&longer], &key);
        // Two authorities of one name are told apart by their keys.
        let namesake = Authority::root("Root of both").intermediate("Authority");
        refuse(
            format!("{leaf}{longer}{key}{}", namesake.pem),
            BundleError::Unrelated { place: place(4), subject: "CN=Authority".to_string() },
        );
    }

    #[test]
    fn a_certificate_of_somebody_else_is_named() {
        let Delivery { leaf, key, lower, upper, .. } = &*DELIVERY;
        let unrelated = |place| BundleError::Unrelated { place, subject: "CN=Upper".to_string() };
        refuse(format!("{upper}{leaf}{key}"), unrelated(place(1)));
        refuse(
            json!({"certificate": leaf, "privateKey": key, "certificateChain": upper}).to_string(),
            unrelated(within("certificateChain", 1)),
        );
        let other = Authority::root("Root").sign(&leaf_params(&["other.example.com"]), &p256());
        refuse(
            format!("{leaf}{lower}{other}{key}{upper}"),
            BundleError::Unrelated { place: place(3), subject: "CN=www.example.com".to_string() },
        );
    }

    #[test]
    fn what_is_neither_json_nor_pem_is_refused() {
        refuse("", BundleError::Empty);
        refuse(" \r\n\u{feff}", BundleError::Empty);
        refuse("\u{feff} \n", BundleError::Empty);
        let large = "a".repeat(MAX_SOURCE_BYTES + 1);
        refuse(&large[..MAX_SOURCE_BYTES], BundleError::NeitherJsonNorPem);
        refuse(&large, BundleError::TooLarge { bytes: MAX_SOURCE_BYTES + 1 });
        refuse(vec![0xff; MAX_SOURCE_BYTES + 1], BundleError::TooLarge { bytes: 65_537 });
        refuse([0x30, 0x82, 0x01, 0x02], BundleError::NotText);
        refuse("hello", BundleError::NeitherJsonNorPem);
        refuse("[\"a\"]", BundleError::NeitherJsonNorPem);
        refuse("-----END CERTIFICATE-----", BundleError::NeitherJsonNorPem);
    }

    #[test]
    fn json_of_another_shape_is_refused_by_name() {
        let Delivery { leaf, key, lower, .. } = &*DELIVERY;
        let refuse_json = |content: Value, expected| refuse(content.to_string(), expected);
        refuse("{\n \"certificate\": \"a\nb\"}", BundleError::BrokenJson { line: 3, column: 0 });
        refuse("{} x", BundleError::BrokenJson { line: 1, column: 4 });
        refuse_json(json!({}), BundleError::MissingField { field: "certificate" });
        refuse_json(
            json!({"certificate": leaf}),
            BundleError::MissingField { field: "privateKey" },
        );
        refuse_json(
            json!({"certificate": leaf, "privateKey": [key]}),
            BundleError::NotAString { field: "privateKey" },
        );
        refuse_json(
            json!({"certificate": 1, "privateKey": key}),
            BundleError::NotAString { field: "certificate" },
        );
        refuse_json(
            json!({"certificate": leaf, "privateKey": key, "certificateChain": null}),
            BundleError::NotAString { field: "certificateChain" },
        );
        refuse_json(
            json!({"certificate": leaf, "privateKey": key, "chain": lower}),
            BundleError::UnknownField { field: "chain".to_string() },
        );
        let not_shown = "with a name that is not shown".to_string();
        for name in [key.as_str(), "a b", &"a".repeat(33)] {
            refuse_json(
                json!({"certificate": leaf, "privateKey": key, name: 1}),
                BundleError::UnknownField { field: not_shown.clone() },
            );
        }
        refuse_json(
            json!({"certificate": "a", "privateKey": key}),
            BundleError::NoBlock { field: "certificate" },
        );
        refuse_json(
            json!({"certificate": leaf, "privateKey": ""}),
            BundleError::NoBlock { field: "privateKey" },
        );
        refuse_json(
            json!({"certificate": leaf, "privateKey": key, "certificateChain": "a"}),
            BundleError::NoBlock { field: "certificateChain" },
        );
        refuse_json(
            json!({"certificate": format!("{leaf}{key}"), "privateKey": key}),
            BundleError::SecondKey {
                place: within("privateKey", 1),
                first: within("certificate", 2),
            },
        );
    }

    #[test]
    fn a_block_that_is_broken_or_out_of_place_is_named() {
        let Delivery { leaf, key, lower, .. } = &*DELIVERY;
        let leaf = lf(leaf);
        let refuse_after_leaf = |second: &str, expected: fn(Place) -> BundleError| {
            refuse(format!("{leaf}{second}{key}"), expected(place(2)));
        };
        let armour = |place| BundleError::BrokenArmour { place };
        let base64 = |place| BundleError::BrokenBase64 { place };
        refuse_after_leaf("-----BEGIN CERTIFICATE-----\nAAAA\n", armour);
        refuse_after_leaf("-----BEGIN CERTIFICATE-----\nAAAA\n-----END X-----\n", armour);
        refuse_after_leaf("-----BEGIN CERTIFICATE\nAAAA\n-----END CERTIFICATE-----\n", armour);
        refuse_after_leaf("-----BEGIN MIGHag-----\nAAAA\n-----END MIGHag-----\n", armour);
        let long = "A".repeat(33);
        let long = format!("-----BEGIN {long}-----\nAAAA\n-----END {long}-----\n");
        refuse_after_leaf(&long, armour);
        refuse_after_leaf("-----BEGIN -----\nAAAA\n-----END -----\n", armour);
        refuse_after_leaf("-----BEGIN CERTIFICATE-----\nA?\n-----END CERTIFICATE-----\n", base64);
        refuse_after_leaf(
            "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n",
            base64,
        );
        refuse_after_leaf(
            "-----BEGIN CERTIFICATE-----\nAAAA\n\nAAAA\n-----END CERTIFICATE-----\n",
            base64,
        );
        refuse(format!("{leaf}-----BEGIN PRIVATE KEY-----\nAAAA"), armour(place(2)));
        refuse(format!("{leaf}{}", key.replace("BEGIN", "EGIN")), armour(place(1)));
        refuse(format!("{}{key}", leaf.replace("BEGIN", "EGIN")), armour(place(1)));

        let other = |tag: &str| format!("{leaf}-----BEGIN {tag}-----\nMAA=\n-----END {tag}-----\n");
        for tag in ["CERTIFICATE REQUEST", "PUBLIC KEY", "OPENSSH PRIVATE KEY", "DH PARAMETERS"] {
            let expected = BundleError::OtherBlock { place: place(2), tag: tag.to_string() };
            refuse(other(tag) + key, expected);
        }
        let error = CertificateError::NotX509;
        refuse(
            other("CERTIFICATE") + key,
            BundleError::BrokenCertificate { place: place(2), error },
        );
        let broken_key = BundleError::BrokenKey { place: place(2) };
        refuse(other("PRIVATE KEY").replace("MAA=", "AAAA"), broken_key);
        refuse(&leaf, BundleError::NoKey);
        refuse(key, BundleError::NoCertificate);
        refuse(
            format!("{key}{leaf}{lower}{key}"),
            BundleError::SecondKey { place: place(4), first: place(1) },
        );
        let encrypted = BundleError::EncryptedKey { place: place(2) };
        for key in [
            include_str!("../../tests/fixtures/rsa2048.encrypted.pkcs1.pem").to_string(),
            include_str!("../../tests/fixtures/rsa2048.encrypted.pkcs1.pem").replace('\n', "\r\n"),
            include_str!("../../tests/fixtures/rsa2048.encrypted.pkcs8.pem").to_string(),
        ] {
            refuse(format!("{leaf}{key}"), encrypted.clone());
        }
        // Said between two blocks, it says nothing about either.
        let remark = format!("{key}Proc-Type: 4,ENCRYPTED\n");
        check(&format!("{leaf}{remark}"), &leaf, &[], key);
    }

    #[test]
    fn a_finding_names_the_place_and_the_cure() {
        let check = |error: BundleError, ending, subject: &str, text: &str| {
            let finding = error.finding();
            assert_eq!((finding.ending, finding.subject.as_str()), (ending, subject));
            assert!(finding.to_string().contains(text), "{finding}");
            assert!(!finding.problem.ends_with('.') && !finding.cure.ends_with('.'), "{finding}");
        };
        let source = "source of the new certificate";
        check(BundleError::NotText, Ending::SourceUnreadable, source, "openssl pkcs12 -in FILE");
        check(
            BundleError::BrokenJson { line: 2, column: 5 },
            Ending::SourceUnreadable,
            source,
            "line 2, column 5",
        );
        check(
            BundleError::MissingField { field: "privateKey" },
            Ending::SourceUnreadable,
            source,
            "the field privateKey is missing",
        );
        check(BundleError::NoKey, Ending::CertificateInvalid, source, "private key");
        check(
            BundleError::NoBlock { field: "certificate" },
            Ending::CertificateInvalid,
            "source of the new certificate, field certificate",
            "no PEM block",
        );
        check(
            BundleError::EncryptedKey { place: place(2) },
            Ending::CertificateInvalid,
            "source of the new certificate, block 2",
            "openssl pkey -in encrypted.pem -out key.pem",
        );
        check(
            BundleError::Unrelated {
                place: within("certificateChain", 3),
                subject: "CN=X".to_string(),
            },
            Ending::CertificateInvalid,
            "source of the new certificate, block 3 of field certificateChain",
            "CN=X is not part of the chain",
        );
    }

    /// No twelve characters of the key's base64 may be in anything that is said about a content.
    fn says_nothing_of_the_key(error: &BundleError) -> bool {
        let said = format!("{error:?} {error} {}", error.finding());
        let key: String = DELIVERY.key.lines().filter(|line| !line.starts_with('-')).collect();
        !key.as_bytes()
            .windows(12)
            .any(|part| said.as_bytes().windows(12).any(|other| other == part))
    }

    proptest! {
        #[test]
        fn the_order_of_the_blocks_does_not_matter(
            blocks in Just({
                let Delivery { leaf, key, lower, upper, crossed, root, other_root } = &*DELIVERY;
                vec![leaf, key, lower, upper, crossed, root, other_root, lower, leaf]
            })
            .prop_shuffle(),
            between in "[a-z \n]{0,20}",
        ) {
            let Delivery { leaf, key, lower, upper, .. } = &*DELIVERY;
            let content = blocks.into_iter().map(String::as_str).collect::<Vec<_>>().join(&between);
            check(&content, leaf, &[lower, upper], key);
        }

        #[test]
        fn any_bytes_are_read_or_refused(content in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Err(error) = read(&content) {
                error.finding();
            }
        }

        #[test]
        fn a_damaged_bundle_gives_nothing_of_the_key_away(
            as_json in any::<bool>(),
            edits in proptest::collection::vec(
                (any::<prop::sample::Index>(), 0..40_usize, "[-A-Z\"{}:,\n ]{0,3}"),
                1..4,
            ),
        ) {
            let Delivery { leaf, key, lower, .. } = &*DELIVERY;
            let mut content = if as_json {
                json!({"certificate": leaf, "privateKey": key, "certificateChain": lower}).to_string()
            } else {
                format!("{key}{leaf}{lower}")
            };
            for (at, length, replacement) in edits {
                let at = at.index(content.len());
                let end = (at + length).min(content.len());
                content.replace_range(at..end, &replacement);
            }
            if let Err(error) = read(content.as_bytes()) {
                prop_assert!(says_nothing_of_the_key(&error), "{error:?}");
            }
        }

        #[test]
        fn damaged_der_is_read_or_refused(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut der = certificate(&DELIVERY.leaf).der().to_vec();
            for (at, byte) in damage {
                let at = at.index(der.len());
                der[at] = byte;
            }
            let damaged = pem::encode(&pem::Pem::new("CERTIFICATE", der));
            if let Err(error) = read(format!("{damaged}{}{}", DELIVERY.lower, DELIVERY.key).as_bytes()) {
                error.finding();
            }
        }
    }
}
