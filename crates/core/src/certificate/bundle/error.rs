//! Errors of a source's content: the problem, where it is, and what to do about it.

use std::fmt;

use crate::certificate::CertificateError;
use crate::certificate::bundle::MAX_SOURCE_BYTES;
use crate::failure::Ending;
use crate::finding::Finding;

/// The position of a PEM block in a content.
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

/// Why a content is not a leaf, its chain and its private key. The message is the problem of its
/// [`Self::finding`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Only blanks.
    #[error("it is empty")]
    Empty,
    /// Larger than [`MAX_SOURCE_BYTES`].
    #[error("it has {bytes} bytes; the maximum is {MAX_SOURCE_BYTES}")]
    TooLarge {
        /// The size of the content.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("it is not UTF-8 text; it may be PKCS#12, DER or UTF-16")]
    NotText,
    /// Text in neither format.
    #[error("it is neither a JSON object nor PEM")]
    NeitherJsonNorPem,
    /// It starts like a JSON object, but is invalid.
    #[error("it is broken JSON at line {line}, column {column}")]
    BrokenJson {
        /// From 1.
        line: usize,
        /// From 1; 0 at the beginning of a line.
        column: usize,
    },
    /// An unknown JSON field.
    #[error("there is an unknown field {field}")]
    UnknownField {
        /// The name of the field, if it is safe to show.
        field: String,
    },
    /// A JSON field that is not a string.
    #[error("the field {field} is not a string")]
    NotAString {
        /// The name of the field.
        field: &'static str,
    },
    /// A required JSON field is missing.
    #[error("the field {field} is missing")]
    MissingField {
        /// The name of the field.
        field: &'static str,
    },
    /// A JSON field whose text is not PEM.
    #[error("it contains no PEM block")]
    NoBlock {
        /// The name of the field.
        field: &'static str,
    },
    /// BEGIN without END, END without BEGIN, or two different tags.
    #[error("its lines -----BEGIN …----- and -----END …----- do not match")]
    BrokenArmour {
        /// Which block.
        place: Place,
    },
    /// The text between BEGIN and END is not base64.
    #[error("the text between its BEGIN and END lines is not base64")]
    BrokenBase64 {
        /// Which block.
        place: Place,
    },
    /// A PEM block that is neither a certificate nor a private key.
    #[error("it is a {tag}, neither a certificate nor a private key")]
    OtherBlock {
        /// Which block.
        place: Place,
        /// The tag after BEGIN.
        tag: String,
    },
    /// A block CERTIFICATE that contains no valid certificate.
    #[error("it is {error}")]
    BrokenCertificate {
        /// Which block.
        place: Place,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// An encrypted private key.
    #[error("the private key is encrypted, and ACM and IAM accept only unencrypted keys")]
    EncryptedKey {
        /// Which block.
        place: Place,
    },
    /// A block PRIVATE KEY that contains no valid key.
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
        /// The first one.
        first: Place,
    },
    /// No block is a certificate.
    #[error("it contains no certificate")]
    NoCertificate,
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

impl BundleError {
    /// The finding for a plan: ending `SourceUnreadable` if the content is not a text in a known
    /// format, `CertificateInvalid` if it is and its blocks are wrong.
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
            | Self::SecondLeaf { place, .. } => format!("source of the new certificate, {place}"),
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
        }
    }
}
