//! Checks whether a certificate can replace the old one from this store.

use jiff::Timestamp;

use crate::certificate::bundle::Bundle;
use crate::certificate::succession::{Edition, Succession};
use crate::certificate::{Certificate, KeyAlgorithm};
use crate::certificate::{TrustError, TrustRoots};
use crate::failure::Ending;
use crate::finding::Finding;
use crate::ids::Store;

/// CloudFront accepts at most this many certificates, including the leaf: Developer Guide,
/// "Troubleshooting distribution issues".
const MAX_CERTIFICATES: usize = 5;

/// Where the certificate is to be served from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The store.
    pub store: Store,
    /// Is a copy of the certificate in that store already? Then the store accepts it, and only the
    /// rules of CloudFront and of viewers apply.
    pub stored: bool,
}

/// All findings against replacing the old certificate with this one; empty if there are none.
/// Aliases are checked per target, not here. `allow_earlier_expiry` is the field of the request.
///
/// The rules are those of the CloudFront Developer Guide, "Requirements for using SSL/TLS
/// certificates with CloudFront", and of ACM's `ImportCertificate` and IAM's
/// `UploadServerCertificate`.
pub fn check(
    bundle: &Bundle,
    old: &Edition,
    allow_earlier_expiry: bool,
    place: Place,
    roots: &TrustRoots,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_replaces(&bundle.leaf, old, allow_earlier_expiry, &mut findings);
    findings.extend(fit(bundle, place, roots, now));
    findings
}

/// All findings against serving this certificate from this store: the part of [`check`] that needs
/// no old certificate.
pub fn fit(bundle: &Bundle, place: Place, roots: &TrustRoots, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_key(bundle, place.store, &mut findings);
    check_leaf(bundle, &mut findings);
    check_length(bundle, &mut findings);
    if !place.stored {
        check_sizes(bundle, place.store, &mut findings);
    }
    check_validity(bundle, now, &mut findings);
    check_signatures(bundle, &mut findings);
    check_trust(bundle, roots, now, &mut findings);
    findings
}

/// What the store may refuse at the import, by pages of AWS that disagree. An import that is refused
/// changes nothing.
pub fn notes(bundle: &Bundle, place: Place) -> Vec<String> {
    let leaf = &bundle.leaf;
    let mut notes = Vec::new();
    // ACM's reference of ImportCertificate: "The key algorithm of the certificate must match that of
    // the signing CA". The prerequisites in its User Guide no longer require it.
    if let (Some(own), Some(issuer)) = (leaf.key_algorithm().family(), leaf.signed_with())
        && own != issuer
        && place == (Place { store: Store::Acm, stored: false })
    {
        notes.push(format!(
            "ACM may refuse the import, since the key of the certificate is {own} and that of its issuer is {issuer}; AWS's pages disagree. Nothing is changed before the import. If ACM refuses, use the store iam, or have the certificate issued for an {issuer} key."
        ));
    }
    notes
}

/// Why automation does not start with a certificate that is not clearly newer than the served one.
pub fn not_newer(leaf: &Certificate, old: &Certificate, is_due: bool) -> Finding {
    let (new, old) = (Edition::from(leaf), Edition::from(old));
    let mut problem = Succession::of(&old, &new).description(&old, &new).unwrap_or_default();
    if is_due {
        problem.push_str(", and it is due for replacement itself");
    }
    let cure = "If it is meant to replace the old one, tag that with cert-rotation:allow-earlier-expiry = true, or start a rotation with \"allowEarlierExpiry\": true; otherwise store the renewed certificate";
    finding(leaf_name(leaf), problem, cure)
}

fn check_replaces(
    leaf: &Certificate,
    old: &Edition,
    allow_earlier_expiry: bool,
    findings: &mut Vec<Finding>,
) {
    let new = Edition::from(leaf);
    let succession = Succession::of(old, &new);
    let cure = match succession {
        Succession::Same => "Store the renewed certificate in the source",
        _ if succession.is_doubtful() && !allow_earlier_expiry => {
            "Store the renewed certificate in the source, or correct which certificate is the old one. If this one is meant to replace it, start with \"allowEarlierExpiry\": true"
        }
        _ => return,
    };
    let problem = succession.description(old, &new).unwrap_or_default();
    findings.push(finding(leaf_name(leaf), problem, cure));
}

fn check_key(bundle: &Bundle, store: Store, findings: &mut Vec<Finding>) {
    let algorithm = bundle.leaf.key_algorithm();
    let taken =
        matches!(algorithm, KeyAlgorithm::Rsa { bits: 2048 | 3072 | 4096 } | KeyAlgorithm::P256);
    if !taken {
        let problem = match algorithm {
            // AWS's page still lists it.
            KeyAlgorithm::Rsa { bits: 1024 } => {
                "its key is RSA 1024, which no public authority signs any more and viewers refuse"
                    .to_string()
            }
            _ => format!("its key is {algorithm}, which CloudFront does not accept from {store}"),
        };
        let cure = "Have it issued for a new key, RSA of 2048, 3072 or 4096 bits or ECDSA P-256";
        findings.push(finding(leaf_name(&bundle.leaf), problem, cure));
    }

    match bundle.key.matches(&bundle.leaf) {
        Ok(true) => {}
        Ok(false) => findings.push(finding(
            "private key of the new certificate",
            format!(
                "it does not match the certificate {}, whose key is {algorithm}",
                bundle.leaf.name()
            ),
            "Store the private key from which this certificate was requested",
        )),
        // This library reads no such key; the certificate was refused for its key above.
        Err(_) if !taken => {}
        Err(error) => findings.push(finding(
            "private key of the new certificate",
            error.to_string(),
            "Rewrite it with `openssl pkey -in key.pem -out rewritten.pem`, or store the one \
             from which this certificate was requested",
        )),
    }
}

fn check_leaf(bundle: &Bundle, findings: &mut Vec<Finding>) {
    let leaf = &bundle.leaf;
    if !leaf.is_version_3() {
        findings.push(finding(
            leaf_name(leaf),
            "it is not an X.509 certificate of version 3",
            "Have it issued by a public authority",
        ));
    }
    if leaf.dns_names().is_empty() {
        findings.push(finding(
            leaf_name(leaf),
            "it has no DNS name among its subject alternative names, and its common name does not \
             count",
            "Have it issued with every alias, or a wildcard for it, as subject alternative name",
        ));
    }
}

fn check_length(bundle: &Bundle, findings: &mut Vec<Finding>) {
    let count = 1 + bundle.intermediates.len();
    if count > MAX_CERTIFICATES {
        findings.push(finding(
            "chain of the new certificate",
            format!("it has {count} certificates; CloudFront accepts {MAX_CERTIFICATES} at most"),
            "Ask the authority for a shorter chain, without cross-signed certificates",
        ));
    }
}

/// The limit of the chain, 2,097,152 bytes in both stores, is never reached: a source has at most
/// [`crate::certificate::bundle::MAX_SOURCE_BYTES`].
fn check_sizes(bundle: &Bundle, store: Store, findings: &mut Vec<Finding>) {
    // Limits of `CertificateBodyBlob` and `PrivateKeyBlob` in ACM, and of `certificateBodyType` and
    // `privateKeyType` in IAM.
    let (max_body, max_key) = match store {
        Store::Acm => (32_768, 5_120),
        Store::Iam => (16_384, 16_384),
    };
    let parts = [
        (leaf_name(&bundle.leaf), bundle.leaf.to_pem().len(), max_body),
        ("private key of the new certificate".to_string(), bundle.key.pem_len(), max_key),
    ];
    for (subject, bytes, max) in parts {
        if bytes > max {
            findings.push(finding(
                subject,
                format!("it has {bytes} bytes in PEM; {store} accepts {max} at most"),
                "Have a certificate issued with fewer names or a smaller key",
            ));
        }
    }
}

fn check_validity(bundle: &Bundle, now: Timestamp, findings: &mut Vec<Finding>) {
    for (subject, certificate) in named(bundle) {
        if now < certificate.not_before() {
            findings.push(finding(
                subject,
                format!("it is not valid before {}", certificate.not_before()),
                "Start the rotation again after that, or have a certificate issued that is valid now",
            ));
        } else if now > certificate.not_after() {
            findings.push(finding(
                subject,
                format!("it expired at {}", certificate.not_after()),
                "Store a certificate, and the chain delivered with it, that is valid now",
            ));
        }
    }
}

fn check_signatures(bundle: &Bundle, findings: &mut Vec<Finding>) {
    for (subject, certificate) in named(bundle) {
        if let Some(hash) = certificate.broken_hash() {
            findings.push(finding(
                subject,
                format!("it is signed with {hash}, which viewers refuse"),
                "Have it reissued by a public authority, and store the chain delivered with it",
            ));
        }
    }
}

fn check_trust(bundle: &Bundle, roots: &TrustRoots, now: Timestamp, findings: &mut Vec<Finding>) {
    let leaf = &bundle.leaf;
    if leaf.is_self_signed() {
        findings.push(finding(
            leaf_name(leaf),
            "it is self-signed, and CloudFront accepts only certificates of public authorities",
            "Have it issued by an authority in Mozilla's list of included roots",
        ));
        return;
    }
    let Err(error) = roots.verify(leaf, &bundle.intermediates, common_moment(bundle, now)) else {
        return;
    };
    let last = bundle.intermediates.last().unwrap_or(leaf);
    match error {
        // Reported above, for the certificate concerned.
        TrustError::Validity if named(bundle).any(|(_, it)| !is_valid_at(it, now)) => {}
        TrustError::SignatureAlgorithm
            if named(bundle).any(|(_, it)| it.broken_hash().is_some()) => {}
        TrustError::UnsupportedVersion if named(bundle).any(|(_, it)| !it.is_version_3()) => {}
        TrustError::UnknownIssuer => findings.push(finding(
            "chain of the new certificate",
            format!(
                "the issuer of its last certificate {}, which is {}, is neither in the source nor a \
                 trusted root; trusted is {roots}",
                last.name(),
                last.issuer()
            ),
            format!(
                "Add the intermediate certificate {}; if that is a root that Mozilla has included \
                 since, add it with the stack's parameter ExtraRoots; if it is another root, have \
                 the certificate issued by an authority in Mozilla's list",
                last.issuer()
            ),
        )),
        error => findings.push(finding(
            "chain of the new certificate",
            format!("no viewer would trust {}: {error}", leaf.name()),
            "Store the certificate and the chain that the authority delivered with it",
        )),
    }
}

/// The time nearest to `now` at which all certificates are valid, if there is one. A chain that is
/// both expired and untrusted then gets both findings.
fn common_moment(bundle: &Bundle, now: Timestamp) -> Timestamp {
    let all = || std::iter::once(&bundle.leaf).chain(&bundle.intermediates);
    let not_too_late = all().map(Certificate::not_after).fold(now, Timestamp::min);
    all().map(Certificate::not_before).fold(not_too_late, Timestamp::max)
}

fn is_valid_at(certificate: &Certificate, now: Timestamp) -> bool {
    (certificate.not_before()..=certificate.not_after()).contains(&now)
}

/// All certificates to be imported, each with its name in messages.
fn named(bundle: &Bundle) -> impl Iterator<Item = (String, &Certificate)> {
    let leaf = (leaf_name(&bundle.leaf), &bundle.leaf);
    let chain = bundle.intermediates.iter().enumerate().map(|(i, certificate)| {
        (format!("chain certificate {} ({})", i + 1, certificate.name()), certificate)
    });
    std::iter::once(leaf).chain(chain)
}

fn leaf_name(leaf: &Certificate) -> String {
    format!("new certificate ({})", leaf.name())
}

fn finding(
    subject: impl Into<String>,
    problem: impl Into<String>,
    cure: impl Into<String>,
) -> Finding {
    Finding::new(Ending::CertificateInvalid, subject, problem, cure)
}

#[cfg(test)]
mod tests;
