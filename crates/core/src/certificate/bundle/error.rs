//! Errors of a source's content: the problem, where it is, and what to do about it.

use std::fmt;

use crate::certificate::CertificateError;
use crate::certificate::bundle::MAX_SOURCE_BYTES;
use crate::failure::Ending;
use crate::finding::{Finding, listed};
use crate::redact;

/// The name of a JSON field, if it may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FieldName {
    bytes: [u8; Self::MAX],
    length: u8,
}

impl FieldName {
    /// The longest name that is shown.
    const MAX: usize = 32;

    /// A name from a source; one that could be part of a key is not kept.
    pub fn new(name: &str) -> Self {
        let name = redact::field(name).filter(|name| name.len() <= Self::MAX).unwrap_or_default();
        let mut bytes = [0; Self::MAX];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Self { bytes, length: name.len() as u8 }
    }

    fn shown(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes[..self.length.into()]).ok().filter(|name| !name.is_empty())
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown().unwrap_or("with a name that is not shown"))
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The position of a PEM block, or of a value in DER, in a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The JSON field, if the content is JSON.
    pub field: Option<FieldName>,
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

/// What a content lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// A certificate.
    Certificate,
    /// A private key.
    Key,
    /// Both.
    Both,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "no certificate",
            Self::Key => "no private key",
            Self::Both => "neither a certificate nor a private key",
        })
    }
}

/// What was found instead, and in which fields nothing was.
fn instead(beside: Option<(Place, &str)>, fields: Option<&[FieldName]>) -> String {
    let mut text = String::new();
    if let Some((place, kind)) = beside {
        text.push_str(&format!(", but a {kind} in {place}"));
    }
    if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
        text.push_str(&format!(", and there is none in the fields {}", listed(fields)));
    }
    text
}

/// Why a content is not a leaf, its chain and its private key. The message is the problem of its
/// [`Self::finding`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Only blanks.
    #[error("it is empty")]
    Empty,
    /// Larger than [`MAX_SOURCE_BYTES`].
    #[error(
        "it has {bytes} bytes; a secret holds {MAX_SOURCE_BYTES} at most, and so much is read from any source"
    )]
    TooLarge {
        /// The size of the content.
        bytes: usize,
    },
    /// Bytes in no known format.
    #[error("it is neither text nor a certificate or key in a format that is known here")]
    NotText,
    /// Text in UTF-16 that does not begin with its mark.
    #[error("it is text in UTF-16 without a byte-order mark")]
    Utf16 {
        /// Which byte of each pair comes first.
        is_little_endian: bool,
    },
    /// A Java keystore in Java's own format.
    #[error("it is a Java keystore (JKS), which only Java reads")]
    KeyStore,
    /// A ZIP archive.
    #[error("it is a ZIP archive")]
    Archive,
    /// Text in no known format.
    #[error("it is neither PEM nor JSON, and has no line -----BEGIN CERTIFICATE-----")]
    NeitherJsonNorPem,
    /// Text with pieces of base64 in it that are PEM.
    #[error("it has PEM in base64 between other text, as in YAML or a file of variables")]
    Base64Inside,
    /// It starts like a JSON object, but is invalid.
    #[error("it is broken JSON at line {line}, column {column}")]
    BrokenJson {
        /// From 1.
        line: usize,
        /// From 1; 0 at the beginning of a line.
        column: usize,
    },
    /// JSON fields that should hold a certificate or a key.
    #[error("there is neither PEM, nor base64 of PEM or DER, in {}", named(fields))]
    EmptyFields {
        /// Their names.
        fields: Vec<FieldName>,
    },
    /// The certificate, the key, or both are missing.
    #[error("it contains {lack}{}", instead(*beside, fields.as_deref()))]
    Missing {
        /// What is missing.
        lack: Lack,
        /// What was found instead.
        beside: Option<(Place, &'static str)>,
        /// The fields in which there is nothing, if the content is JSON.
        fields: Option<Vec<FieldName>>,
    },
    /// BEGIN without END, END without BEGIN, or two different labels.
    #[error("its lines -----BEGIN …----- and -----END …----- do not match")]
    BrokenArmour {
        /// Which block.
        place: Place,
    },
    /// Other characters instead of hyphens, or too few.
    #[error("the dashes around BEGIN or END are not five hyphens on each side")]
    ChangedDashes,
    /// The text between BEGIN and END is not base64.
    #[error("the text between its BEGIN and END lines is not base64")]
    BrokenBase64 {
        /// Which block.
        place: Place,
    },
    /// A PEM block that is neither a certificate nor a private key.
    #[error("it is {}, neither a certificate nor a private key that AWS accepts", kind(tag))]
    OtherBlock {
        /// Which block.
        place: Place,
        /// The tag after BEGIN.
        tag: String,
    },
    /// A PKCS#12 file that could not be opened.
    #[error("it is PKCS#12, which takes a password")]
    Pkcs12 {
        /// Which block.
        place: Place,
    },
    /// A value that should be a certificate and is none.
    #[error("it is {error}")]
    BrokenCertificate {
        /// Which block.
        place: Place,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// An encrypted private key.
    #[error(
        "the private key is encrypted with a passphrase, and ACM and IAM accept only unencrypted keys"
    )]
    EncryptedKey {
        /// Which block.
        place: Place,
    },
    /// A block PRIVATE KEY that contains no valid key.
    #[error("it is not a private key: its content is damaged or incomplete")]
    BrokenKey {
        /// Which block.
        place: Place,
    },
    /// More than one block is a private key.
    #[error("it is a second private key, other than the one in {first}")]
    SecondKey {
        /// Which block.
        place: Place,
        /// The first one.
        first: Place,
    },
    /// All certificates are CA certificates.
    #[error("it contains only CA certificates, and no server certificate")]
    NoLeaf,
    /// Two certificates could be the server certificate.
    #[error("it may be the certificate of the server ({subject}), and so may the one in {first}")]
    SecondLeaf {
        /// Which block.
        place: Place,
        /// The subject of the second one.
        subject: String,
        /// The first one.
        first: Place,
    },
}

fn named(fields: &[FieldName]) -> String {
    let what = if fields.len() == 1 { "the field" } else { "the fields" };
    format!("{what} {}", listed(fields))
}

fn kind(tag: &str) -> String {
    match tag {
        "OPENSSH PRIVATE KEY" => "a key in OpenSSH's own format (OPENSSH PRIVATE KEY)".to_owned(),
        tag if tag.starts_with("PGP") => format!("a {tag} of OpenPGP"),
        tag => format!("a {tag}"),
    }
}

impl BundleError {
    /// The finding for a plan: ending `SourceUnreadable` if the content is not in a known format,
    /// `CertificateInvalid` if it is and its blocks are wrong.
    pub fn finding(&self) -> Finding {
        Finding::new(self.ending(), self.subject(), self.to_string(), self.cure())
    }

    /// Whether it says little more than that nothing was found.
    pub(super) fn is_vague(&self) -> bool {
        matches!(self, Self::NeitherJsonNorPem | Self::NotText)
    }

    fn ending(&self) -> Ending {
        match self {
            Self::Empty
            | Self::TooLarge { .. }
            | Self::NotText
            | Self::Utf16 { .. }
            | Self::KeyStore
            | Self::Archive
            | Self::NeitherJsonNorPem
            | Self::Base64Inside
            | Self::BrokenJson { .. }
            | Self::EmptyFields { .. }
            | Self::Pkcs12 { .. }
            | Self::Missing { fields: Some(_), .. } => Ending::SourceUnreadable,
            _ => Ending::CertificateInvalid,
        }
    }

    /// Where it is, if it is in one place.
    fn place(&self) -> Option<Place> {
        match self {
            Self::BrokenArmour { place }
            | Self::BrokenBase64 { place }
            | Self::OtherBlock { place, .. }
            | Self::Pkcs12 { place }
            | Self::BrokenCertificate { place, .. }
            | Self::EncryptedKey { place }
            | Self::BrokenKey { place }
            | Self::SecondKey { place, .. }
            | Self::SecondLeaf { place, .. } => Some(*place),
            _ => None,
        }
    }

    fn subject(&self) -> String {
        match self.place() {
            Some(place) => format!("source of the new certificate, {place}"),
            None => "source of the new certificate".to_owned(),
        }
    }

    /// What to do. A command reads the source's content as FILE; a test runs each on such a content.
    fn cure(&self) -> String {
        let field = self.place().and_then(|place| place.field);
        match self {
            Self::Empty | Self::NotText | Self::NeitherJsonNorPem | Self::EmptyFields { .. } => {
                "Store PEM blocks there (certificate, chain and private key), one after the other or \
                 as the JSON fields certificate, certificateChain and privateKey"
            }
            Self::TooLarge { .. } => {
                "Store only the certificate, its intermediate certificates and the private key"
            }
            Self::Utf16 { is_little_endian: true } => {
                "Convert it with `iconv -f UTF-16LE -t UTF-8 FILE > utf8.txt`"
            }
            Self::Utf16 { .. } => "Convert it with `iconv -f UTF-16BE -t UTF-8 FILE > utf8.txt`",
            Self::KeyStore => {
                "Convert it with `keytool -importkeystore -srckeystore FILE -destkeystore bundle.p12 \
                 -deststoretype PKCS12` (with several keys add -srcalias and the alias), then that with \
                 `openssl pkcs12 -in bundle.p12 -nodes -out bundle.pem`"
            }
            Self::Archive => "Unpack it with `unzip FILE` and store what is in it",
            Self::Base64Inside => {
                "Decode it with `grep -oE '[A-Za-z0-9+/=]{64,}' FILE | while read -r value; do printf \
                 %s \"$value\" | base64 -d; echo; done > bundle.pem`, or store the JSON that kubectl writes with -o json"
            }
            Self::BrokenJson { .. } => {
                "Write the JSON with a tool that quotes line breaks, such as `jq -n --rawfile \
                 certificate fullchain.pem --rawfile privateKey key.pem '$ARGS.named' > source.json`"
            }
            Self::ChangedDashes => {
                "Mend them with `sed -E 's/^[^A-Za-z0-9]*(BEGIN|END) ([A-Z0-9 ]*[A-Z0-9])[^A-Za-z0-9]*$/-----\\1 \\2-----/' \
                 FILE > mended.pem`"
            }
            Self::BrokenArmour { .. } | Self::BrokenBase64 { .. } => {
                "Copy the whole block again, from its BEGIN line to its END line"
            }
            Self::OtherBlock { tag, .. } if tag == "OPENSSH PRIVATE KEY" => {
                "Convert it with `sed -n '/BEGIN OPENSSH/,/END OPENSSH/p' FILE > key.pem; chmod 600 key.pem; \
                 ssh-keygen -p -N '' -m PKCS8 -f key.pem` and store key.pem instead"
            }
            Self::OtherBlock { .. } => {
                "Remove the block, and store the certificate and its private key in PEM"
            }
            Self::Pkcs12 { .. } => match field {
                Some(field) => {
                    return format!(
                        "Convert it with `jq -r '.. | objects | .\"{field}\"? // empty' FILE | base64 -d > \
                         bundle.p12; openssl pkcs12 -in bundle.p12 -nodes -out bundle.pem` and store bundle.pem"
                    );
                }
                None => {
                    "Convert it with `openssl pkcs12 -in FILE -nodes -out bundle.pem` (with -legacy if it is older; \
                     if it is base64, first `base64 -d FILE > bundle.p12`), or store it with `certrotate put`, which asks for the password"
                }
            },
            Self::BrokenCertificate { .. } => {
                "Copy the certificate again from the authority's delivery; `openssl x509 -noout -text \
                 -in FILE` shows one that is whole"
            }
            Self::EncryptedKey { .. } => match field {
                Some(field) => {
                    return format!(
                        "Decrypt it with `jq -r '.. | objects | .\"{field}\"? // empty' FILE | openssl \
                         pkey -out key.pem` and store key.pem with the certificate instead"
                    );
                }
                None => "Decrypt it with `openssl pkey -in FILE -out key.pem` and store key.pem with the certificate instead",
            },
            Self::BrokenKey { .. } => {
                "Copy the private key again; `openssl pkey -noout -check -in FILE` shows whether it is whole"
            }
            Self::Missing { lack: Lack::Certificate, beside: Some((_, "CERTIFICATE REQUEST")), .. } => {
                "Store the certificate that the authority issued for that request, with its chain"
            }
            Self::Missing { lack: Lack::Key, .. } => {
                "Add the private key from which the certificate was requested, unencrypted, in PEM"
            }
            Self::Missing { lack: Lack::Certificate, .. } => {
                "Add the certificate and its intermediate certificates, in PEM"
            }
            Self::Missing { .. } => {
                "Give the certificate, its intermediate certificates and the private key in PEM, one after \
                 the other or as the JSON fields certificate, certificateChain and privateKey"
            }
            Self::SecondKey { .. } => {
                "Keep only the private key of the new certificate; in PKCS#12 name its alias: `keytool -list -keystore FILE` shows \
                 them, `keytool -importkeystore -srckeystore FILE -destkeystore one.p12 -deststoretype \
                 PKCS12 -srcalias ALIAS` takes out one"
            }
            Self::NoLeaf => "Add the certificate that was issued for your own names, in PEM",
            Self::SecondLeaf { .. } => "Keep only the new certificate and its chain",
        }
        .to_owned()
    }
}
