//! Two things that OpenSSL and browsers take and `webpki` does not, and how they are judged here.
//!
//! - A critical policy extension (RFC 5280, 4.2.1.4, 4.2.1.5, 4.2.1.11, 4.2.1.14). `webpki` refuses
//!   every critical extension that it does not process. Viewers ask for no policy, so there is
//!   nothing to process.
//! - Name constraints of directory names (RFC 5280, 4.2.1.10). `webpki` refuses every name below
//!   them, permitted or not. They are compared here.
//!
//! `webpki` then judges a copy in which these parts are inert. A signature is verified over the
//! original, so nothing else of the certificate can differ.

use std::fmt;

use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::x509::X509Name;

use crate::certificate::Certificate;

/// What is tolerated in a certificate, as words for a message; empty for almost all.
pub(crate) fn tolerated(certificate: &Certificate) -> Vec<&'static str> {
    let Some(x509) = certificate.x509() else { return Vec::new() };
    let critical = x509.iter_extensions().filter(|one| one.critical).filter_map(policy);
    let constrained = constrained_names(&x509).next().map(|_| "name constraint of directory names");
    critical.chain(constrained).collect()
}

/// A certificate as `webpki` judges it.
pub(super) struct Judged {
    pub(super) der: Vec<u8>,
    signed: Vec<u8>,
    signed_original: Vec<u8>,
}

impl Judged {
    pub(super) fn new(certificate: &Certificate) -> Self {
        let mut der = certificate.der().to_vec();
        let Some(x509) = certificate.x509() else {
            return Self { der, signed: Vec::new(), signed_original: Vec::new() };
        };
        let offset = |part: &[u8]| part.as_ptr() as usize - certificate.der().as_ptr() as usize;
        for one in x509.iter_extensions().filter(|one| one.critical && policy(one).is_some()) {
            // The value of the BOOLEAN stands before the header of the OCTET STRING; FALSE is ignored.
            let critical = offset(one.value) - header_len(one.value.len()) - 1;
            replace(&mut der, critical, 0xff, 0);
        }
        for name in constrained_names(&x509) {
            // The tag [4] of a directory name becomes [8], a registered identifier, which no name of
            // a server is.
            let name = name.as_raw();
            replace(&mut der, offset(name) - header_len(name.len()), 0xa4, 0x88);
        }
        let signed = x509.tbs_certificate.as_ref();
        let at = offset(signed);
        let copy = der[at..at + signed.len()].to_vec();
        Self { der, signed: copy, signed_original: signed.to_vec() }
    }
}

/// A signature algorithm that verifies the originals of these copies.
pub(super) struct OverOriginals<'a> {
    pub(super) algorithm: &'a dyn SignatureVerificationAlgorithm,
    pub(super) judged: &'a [Judged],
}

impl SignatureVerificationAlgorithm for OverOriginals<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let original = self.judged.iter().find(|one| one.signed == message);
        let message = original.map_or(message, |one| &one.signed_original);
        self.algorithm.verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

impl fmt::Debug for OverOriginals<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.algorithm.fmt(f)
    }
}

/// Do the directory names of the first certificates obey the constraints of those after them?
pub(super) fn directory_names_are_permitted(path: &[&Certificate]) -> bool {
    let all: Vec<_> = path.iter().filter_map(|one| one.x509()).collect();
    all.iter().enumerate().all(|(at, issuer)| {
        let below = &all[..at];
        below.iter().flat_map(directory_names).all(|name| is_permitted(name, issuer))
    })
}

fn directory_names<'a>(x509: &'a X509Certificate<'_>) -> impl Iterator<Item = &'a X509Name<'a>> {
    let subject = Some(x509.subject()).filter(|name| name.iter().next().is_some());
    let others = x509.subject_alternative_name().ok().flatten().into_iter();
    let others = others.flat_map(|names| &names.value.general_names).filter_map(|one| match one {
        GeneralName::DirectoryName(name) => Some(name),
        _ => None,
    });
    subject.into_iter().chain(others)
}

fn is_permitted(name: &X509Name<'_>, issuer: &X509Certificate<'_>) -> bool {
    let parts = |name: &X509Name<'_>| -> Vec<(String, String)> {
        let attributes = name.iter_attributes();
        // Case and surrounding blanks do not count: RFC 5280, 7.1.
        let value = |text: &str| text.trim().to_lowercase();
        attributes
            .map(|one| {
                (one.attr_type().to_id_string(), one.as_str().map(value).unwrap_or_default())
            })
            .collect()
    };
    let is_below = |base: &X509Name<'_>| parts(name).starts_with(&parts(base));
    let (permitted, excluded) = subtrees(issuer);
    (permitted.is_empty() || permitted.iter().any(|base| is_below(base)))
        && !excluded.iter().any(|base| is_below(base))
}

/// The directory names of the name constraints: the permitted ones, and the excluded ones.
fn subtrees<'a>(x509: &'a X509Certificate<'_>) -> (Vec<&'a X509Name<'a>>, Vec<&'a X509Name<'a>>) {
    let Some(ParsedExtension::NameConstraints(all)) = x509
        .iter_extensions()
        .map(X509Extension::parsed_extension)
        .find(|one| matches!(one, ParsedExtension::NameConstraints(_)))
    else {
        return (Vec::new(), Vec::new());
    };
    let names = |trees: &'a Option<Vec<_>>| {
        let trees: &'a [x509_parser::extensions::GeneralSubtree<'_>] =
            trees.as_deref().unwrap_or_default();
        let names = trees.iter().filter_map(|tree| match &tree.base {
            GeneralName::DirectoryName(name) => Some(name),
            _ => None,
        });
        names.collect()
    };
    (names(&all.permitted_subtrees), names(&all.excluded_subtrees))
}

fn constrained_names<'a>(x509: &'a X509Certificate<'_>) -> impl Iterator<Item = &'a X509Name<'a>> {
    let (permitted, excluded) = subtrees(x509);
    permitted.into_iter().chain(excluded)
}

/// The name of a policy extension.
fn policy(extension: &X509Extension<'_>) -> Option<&'static str> {
    match extension.parsed_extension() {
        ParsedExtension::CertificatePolicies(_) => Some("critical extension certificate policies"),
        ParsedExtension::PolicyMappings(_) => Some("critical extension policy mappings"),
        ParsedExtension::PolicyConstraints(_) => Some("critical extension policy constraints"),
        ParsedExtension::InhibitAnyPolicy(_) => Some("critical extension inhibit any policy"),
        _ => None,
    }
}

/// Nothing else is replaced if the encoding is not the expected one.
fn replace(der: &mut [u8], at: usize, expected: u8, new: u8) {
    if let Some(byte) = der.get_mut(at).filter(|byte| **byte == expected) {
        *byte = new;
    }
}

/// The length of the tag and length before a DER value of this many bytes.
fn header_len(len: usize) -> usize {
    match len {
        0..0x80 => 2,
        0x80..0x100 => 3,
        0x100..0x1_0000 => 4,
        _ => 5,
    }
}
