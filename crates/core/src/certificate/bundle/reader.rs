//! Collects certificates and the key from contents of any form.

use zeroize::Zeroizing;

use crate::certificate::bundle::MAX_SOURCE_BYTES;
use crate::certificate::bundle::blocks::{self, BEGIN, Body};
use crate::certificate::bundle::der::{self, Contents};
use crate::certificate::bundle::error::{BundleError, FieldName, Lack, Place};
use crate::certificate::bundle::json::{self, Json};
use crate::certificate::{Certificate, CertificateError, PrivateKey};

/// Opens a PKCS#12 file: its keys (PKCS#8) and certificates in DER, or nothing if it cannot be opened.
pub type OpenPkcs12<'a> = dyn FnMut(&[u8]) -> Option<Vec<Zeroizing<Vec<u8>>>> + 'a;

/// Programs wrap a content in base64 or in a JSON string, and some in both; none wraps it more often
/// than this.
const MAX_DEPTH: usize = 6;

/// The certificates of a content, each with its place.
pub(super) type Certificates = Vec<(Place, Certificate)>;

pub(super) struct Reader<'o, 'p> {
    open_pkcs12: &'o mut OpenPkcs12<'p>,
    bytes: usize,
    certificates: Certificates,
    key: Option<(Place, PrivateKey)>,
    /// Blocks that are neither, and harmless beside both.
    beside: Vec<(Place, &'static str)>,
    /// Fields that should hold a certificate or a key, and do not.
    empty_fields: Vec<FieldName>,
    /// Other fields that hold none.
    other_fields: Vec<FieldName>,
    is_json: bool,
    /// Why a content that holds nothing might be meant to hold something.
    hint: Option<BundleError>,
    /// The number of the last block outside of JSON, and in each field.
    last: Vec<(Option<FieldName>, usize)>,
}

/// Where a content is: the name of the nearest field, and how many wrappings are around it.
#[derive(Clone, Copy, Default)]
struct At {
    field: Option<FieldName>,
    /// Nothing is expected here, so anything that is no certificate or key is no error.
    is_optional: bool,
    depth: usize,
}

impl At {
    fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl<'o, 'p> Reader<'o, 'p> {
    pub(super) fn new(open_pkcs12: &'o mut OpenPkcs12<'p>) -> Self {
        Self {
            open_pkcs12,
            bytes: 0,
            certificates: Vec::new(),
            key: None,
            beside: Vec::new(),
            empty_fields: Vec::new(),
            other_fields: Vec::new(),
            is_json: false,
            hint: None,
            last: Vec::new(),
        }
    }

    /// Reads one file.
    pub(super) fn file(&mut self, content: &[u8]) -> Result<(), BundleError> {
        self.bytes += content.len();
        if self.bytes > MAX_SOURCE_BYTES {
            return Err(BundleError::TooLarge { bytes: self.bytes });
        }
        let found = self.content(content, At::default())?;
        // Beside other files, a text is no error, but a value in DER that is broken would be missed.
        match content.first() == Some(&0x30) && !found && std::str::from_utf8(content).is_err() {
            true => Err(BundleError::NotText),
            false => Ok(()),
        }
    }

    /// What was found, or what is missing.
    pub(super) fn finish(self) -> Result<(Certificates, PrivateKey), BundleError> {
        if !self.empty_fields.is_empty() {
            return Err(BundleError::EmptyFields { fields: self.empty_fields });
        }
        let lack = match (self.certificates.is_empty(), self.key) {
            (false, Some((_, key))) => return Ok((self.certificates, key)),
            (true, None) => Lack::Both,
            (true, Some(_)) => Lack::Certificate,
            (false, None) => Lack::Key,
        };
        if let Some(hint) = self.hint {
            return Err(hint);
        }
        if lack == Lack::Both && self.beside.is_empty() && !self.is_json {
            return Err(BundleError::Empty);
        }
        let fields = self.is_json.then_some(self.other_fields);
        Err(BundleError::Missing { lack, beside: self.beside.first().copied(), fields })
    }

    /// Reads a content of any form; true if there was a block or a value in it.
    fn content(&mut self, content: &[u8], at: At) -> Result<bool, BundleError> {
        if at.depth > MAX_DEPTH {
            return Ok(false);
        }
        if content.first() == Some(&0x30)
            && let Some(contents) = der::contents(&Zeroizing::new(content.to_vec()))
        {
            let place = self.place(at);
            return self.take(contents, content, place).map(|()| true);
        }
        match content {
            [0xff, 0xfe, rest @ ..] => return self.utf16(rest, u16::from_le_bytes, at),
            [0xfe, 0xff, rest @ ..] => return self.utf16(rest, u16::from_be_bytes, at),
            [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => {
                return self.nothing(BundleError::KeyStore);
            }
            [b'P', b'K', 3, 4, ..] => return self.nothing(BundleError::Archive),
            _ => {}
        }
        // Outside of the blocks any code page will do, and inside there is only ASCII.
        let text = match std::str::from_utf8(content) {
            Ok(text) => Zeroizing::new(text.to_owned()),
            Err(_) => Zeroizing::new(content.iter().map(|&byte| char::from(byte)).collect()),
        };
        // Half of the bytes of a text in UTF-16 are zeros.
        let zeros = content.iter().filter(|byte| **byte == 0).count();
        let hint = if zeros * 5 > content.len() * 2 {
            BundleError::Utf16 { is_little_endian: content.first() != Some(&0) }
        } else if std::str::from_utf8(content).is_err() {
            BundleError::NotText
        } else {
            BundleError::NeitherJsonNorPem
        };
        self.text(&text, hint, at)
    }

    fn utf16(
        &mut self,
        content: &[u8],
        unit: fn([u8; 2]) -> u16,
        at: At,
    ) -> Result<bool, BundleError> {
        let units = content.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        let mut decoded = Zeroizing::new(String::with_capacity(content.len() * 2));
        decoded.extend(text);
        self.text(&decoded, BundleError::NeitherJsonNorPem, at)
    }

    /// Reads a text; `otherwise` is what it is if nothing is found in it.
    fn text(&mut self, text: &str, otherwise: BundleError, at: At) -> Result<bool, BundleError> {
        let text = text.trim_matches(blocks::is_blank);
        if text.is_empty() {
            return Ok(false);
        }
        if text.starts_with(['{', '[', '"']) {
            match Json::parse(text) {
                Ok(json) => {
                    self.is_json |= matches!(json, Json::Object(_) | Json::Array(_));
                    return self.json(json, at);
                }
                // The first line of a text, or a value in the quotes of a shell.
                Err(_) if !text.starts_with('{') || at.is_optional => {}
                Err(error) => {
                    let (line, column) = (error.line(), error.column());
                    return Err(BundleError::BrokenJson { line, column });
                }
            }
        }
        if text.contains(BEGIN) {
            return self.pem(text, at);
        }
        if let Some(decoded) = blocks::decode(text.trim_matches(['"', '\''])) {
            if self.content(&decoded, at.deeper())? {
                return Ok(true);
            }
            if self.hint.as_ref().is_some_and(|hint| !hint.is_vague()) {
                return Ok(false);
            }
        }
        self.nothing(if blocks::has_changed_dashes(text) {
            BundleError::ChangedDashes
        } else if text.contains("LS0tLS1CRUdJTi") {
            BundleError::Base64Inside
        } else {
            otherwise
        })
    }

    /// Nothing is here, and this may be why.
    fn nothing(&mut self, hint: BundleError) -> Result<bool, BundleError> {
        if self.hint.as_ref().is_none_or(BundleError::is_vague) {
            self.hint = Some(hint);
        }
        Ok(false)
    }

    fn pem(&mut self, text: &str, at: At) -> Result<bool, BundleError> {
        let mut found = false;
        for block in blocks::blocks(text) {
            let place = self.place(at);
            let Some(block) = block else {
                return Err(match blocks::has_changed_dashes(text) {
                    true => BundleError::ChangedDashes,
                    false => BundleError::BrokenArmour { place },
                });
            };
            found = true;
            self.block(&block.label, block.body, place)?;
        }
        if blocks::has_changed_dashes(text) {
            self.nothing(BundleError::ChangedDashes)?;
        }
        Ok(found)
    }

    /// One block. Its content decides what it is: labels are often wrong.
    fn block(&mut self, label: &str, body: Body, place: Place) -> Result<(), BundleError> {
        let harmless = match label {
            // What `openssl ecparam -genkey` writes before the key repeats what the key contains.
            "EC PARAMETERS" | "DH PARAMETERS" | "X9.42 DH PARAMETERS" | "DSA PARAMETERS" => {
                Some("parameters")
            }
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Some(REQUEST),
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "EC PUBLIC KEY" => Some(PUBLIC_KEY),
            "X509 CRL" => Some(REVOCATION_LIST),
            _ => None,
        };
        let der = match body {
            Body::Der(der) => der,
            Body::Encrypted | Body::NotBase64 if harmless.is_some() => Zeroizing::new(Vec::new()),
            Body::Encrypted => return Err(BundleError::EncryptedKey { place }),
            Body::NotBase64 => return Err(BundleError::BrokenBase64 { place }),
        };
        match der::contents(&der) {
            Some(contents) => self.take(contents, &der, place),
            None => match (harmless, label) {
                (Some(kind), _) => {
                    self.beside.push((place, kind));
                    Ok(())
                }
                (_, "ENCRYPTED PRIVATE KEY") => Err(BundleError::EncryptedKey { place }),
                (_, "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "ANY PRIVATE KEY") => {
                    Err(BundleError::BrokenKey { place })
                }
                (_, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE") => {
                    let error = CertificateError::NotX509;
                    Err(BundleError::BrokenCertificate { place, error })
                }
                (_, label) => Err(BundleError::OtherBlock { place, tag: label.to_owned() }),
            },
        }
    }

    /// Keeps what a value is; `der` is its encoding.
    fn take(&mut self, contents: Contents, der: &[u8], place: Place) -> Result<(), BundleError> {
        let beside = match contents {
            Contents::Certificate(read) => {
                let error = |error| BundleError::BrokenCertificate { place, error };
                let certificate = read.map_err(error)?;
                if !self.certificates.iter().any(|(_, other)| *other == certificate) {
                    self.certificates.push((place, certificate));
                }
                return Ok(());
            }
            Contents::Key(key) => {
                return match &self.key {
                    Some((_, first)) if first.is_same(&key) => Ok(()),
                    Some((first, _)) => Err(BundleError::SecondKey { place, first: *first }),
                    None => {
                        self.key = Some((place, key));
                        Ok(())
                    }
                };
            }
            Contents::EncryptedKey => return Err(BundleError::EncryptedKey { place }),
            Contents::Certificates(all) if all.is_empty() => "PKCS#7 file without certificates",
            Contents::Certificates(all) => {
                return self.take_all(all.into_iter().map(Zeroizing::new), place);
            }
            Contents::Pkcs12 => {
                return match (self.open_pkcs12)(der) {
                    Some(all) => self.take_all(all, place),
                    // Terraform has it beside the same certificate in PEM.
                    None if place.field.is_some() => {
                        self.nothing(BundleError::Pkcs12 { place }).map(|_| ())
                    }
                    None => Err(BundleError::Pkcs12 { place }),
                };
            }
            Contents::Request => REQUEST,
            Contents::PublicKey => PUBLIC_KEY,
            Contents::RevocationList => REVOCATION_LIST,
            Contents::Parameters => "parameters",
        };
        self.beside.push((place, beside));
        Ok(())
    }

    fn take_all(
        &mut self,
        all: impl IntoIterator<Item = Zeroizing<Vec<u8>>>,
        place: Place,
    ) -> Result<(), BundleError> {
        for der in all {
            match der::contents(&der) {
                Some(Contents::Pkcs12 | Contents::Certificates(_)) | None => {
                    let error = CertificateError::NotX509;
                    return Err(BundleError::BrokenCertificate { place, error });
                }
                Some(contents) => self.take(contents, &der, place)?,
            }
        }
        Ok(())
    }

    /// Reads all strings in a JSON value; true if one held something.
    fn json(&mut self, json: Json, at: At) -> Result<bool, BundleError> {
        match json {
            Json::Text(text) => self.content(text.as_bytes(), at.deeper()),
            Json::Array(items) => {
                let mut found = false;
                for item in items {
                    found |= self.json(item, at)?;
                }
                Ok(found)
            }
            Json::Object(fields) => {
                let mut found = false;
                for (name, value) in fields {
                    found |= self.field(&name, value, at)?;
                }
                Ok(found)
            }
            Json::Null | Json::Other => Ok(false),
        }
    }

    fn field(&mut self, name: &str, value: Json, at: At) -> Result<bool, BundleError> {
        if json::is_foreign(name) {
            return Ok(false);
        }
        // The value of a Terraform output, and of other wrappings, is in a field of a field.
        let is_expected = json::is_expected(name);
        let is_value = at.field.is_some() && !at.is_optional;
        let field = if is_value && !is_expected { at.field } else { Some(FieldName::new(name)) };
        let here = At { field, is_optional: !is_expected && !is_value, ..at };
        let is_absent = match &value {
            Json::Text(text) => text.trim_matches(blocks::is_blank).is_empty(),
            Json::Array(items) => items.is_empty(),
            Json::Object(_) => true,
            Json::Null => true,
            Json::Other => !is_expected,
        };
        let before = self.hint.take();
        let found = self.json(value, here)?;
        let hint = std::mem::replace(&mut self.hint, before);
        if found {
            hint.map(|hint| self.nothing(hint)).transpose()?;
        } else if !is_absent {
            match hint {
                // What is wrong with it is known better than that it is no PEM.
                Some(hint) if is_expected && !hint.is_vague() => return Err(hint),
                _ if is_expected => self.empty_fields.push(FieldName::new(name)),
                _ => self.other_fields.push(FieldName::new(name)),
            }
        }
        Ok(found)
    }

    /// The place of the next block.
    fn place(&mut self, at: At) -> Place {
        let field = at.field;
        let block = match self.last.iter_mut().find(|(other, _)| *other == field) {
            Some((_, last)) => {
                *last += 1;
                *last
            }
            None => {
                self.last.push((field, 1));
                1
            }
        };
        Place { field, block }
    }
}

const REQUEST: &str = "CERTIFICATE REQUEST";
const PUBLIC_KEY: &str = "PUBLIC KEY";
const REVOCATION_LIST: &str = "revocation list";
