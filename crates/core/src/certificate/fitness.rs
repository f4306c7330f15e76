//! Checks whether a certificate can replace the old one from this store.

mod browsers;
mod stores;
mod warnings;

use jiff::{SignedDuration, Timestamp};

use crate::certificate::bundle::{self, Bundle};
use crate::certificate::chain::{Chain, MAX_CERTIFICATES};
use crate::certificate::succession::{Edition, Succession};
use crate::certificate::{Certificate, KeyAlgorithm};
use crate::certificate::{TrustError, TrustRoots};
use crate::failure::Ending;
use crate::finding::{Finding, listed};
use crate::ids::Store;

/// Where the certificate is to be served from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The store.
    pub store: Store,
    /// Is a copy of the certificate in that store already? Then the store accepts it, and only the
    /// rules of CloudFront and of viewers apply.
    pub stored: bool,
}

/// What is to be said about a certificate, and the chain that it is imported with.
#[derive(Debug)]
pub struct Verdict {
    /// The chain.
    pub chain: Chain,
    /// Why it cannot be served; empty if it can.
    pub findings: Vec<Finding>,
    /// What will or may go wrong although it can be served, each as a sentence with the cure.
    pub warnings: Vec<String>,
    /// What else an operator should know.
    pub notes: Vec<String>,
}

/// Examines whether this certificate can replace the old one. Aliases are checked per target, not
/// here. `allow_earlier_expiry` is the field of the request.
///
/// The rules are those of the CloudFront Developer Guide, "Requirements for using SSL/TLS
/// certificates with CloudFront", of the stores, and of browsers.
pub fn check(
    bundle: &Bundle,
    old: &Edition,
    allow_earlier_expiry: bool,
    place: Place,
    roots: &TrustRoots,
    now: Timestamp,
) -> Verdict {
    let mut verdict = fit(bundle, place, roots, now);
    let replaces = check_replaces(&bundle.leaf, old, allow_earlier_expiry);
    verdict.findings.splice(0..0, replaces);
    verdict
}

/// Examines whether this certificate can be served from this store: the part of [`check`] that needs
/// no old certificate.
pub fn fit(bundle: &Bundle, place: Place, roots: &TrustRoots, now: Timestamp) -> Verdict {
    let leaf = &bundle.leaf;
    let chain = Chain::choose(bundle, roots, now);
    let mut findings = Vec::new();
    check_key(bundle, place.store, &mut findings);
    check_leaf(leaf, &mut findings);
    check_length(&chain, &mut findings);
    if !place.stored {
        check_sizes(bundle, place.store, &mut findings);
    }
    check_validity(leaf, &chain, now, &mut findings);
    check_signatures(leaf, &chain, &mut findings);
    check_trust(leaf, &chain, roots, now, &mut findings);
    check_unrelated(&chain, &mut findings);
    let refusals = browsers::refusals(leaf, &chain).into_iter();
    findings.extend(refusals.map(|(problem, cure)| finding(leaf_name(leaf), problem, cure)));
    let mut warnings = warnings::of(leaf, &chain, now);
    if !place.stored {
        warnings.extend(stores::may_refuse(leaf, place.store));
    }
    let notes = needless(&chain, now)
        .into_iter()
        .chain(browsers::unknown_logs(leaf, &chain))
        .chain(old_data(now))
        .collect();
    Verdict { notes, chain, findings, warnings }
}

/// What this version knows of browsers and roots is still applied when it is old, and a note says so.
fn old_data(now: Timestamp) -> impl Iterator<Item = String> {
    const OLD: SignedDuration = SignedDuration::from_hours(365 * 24);
    let all = [("rules of browsers", browsers::as_of()), ("list of roots", TrustRoots::built_in())];
    all.into_iter().filter(move |(_, of)| now.duration_since(*of) > OLD).map(move |(what, of)| {
        format!(
            "The {what} in this version is of {}, {} days ago, and newer ones are not known to it. Deploy a newer version.",
            of.strftime("%Y-%m-%d"),
            now.duration_since(of).as_hours() / 24
        )
    })
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

/// That the key was not changed. The CA/Browser Forum's rules do not demand it, so nothing else does.
pub fn reused_key(old: &Certificate, new: &Certificate) -> Option<String> {
    (old != new && old.public_key_der() == new.public_key_der()).then(|| {
        "The new certificate has the key of the old one. If that key has leaked, so has the new certificate's: have the next one issued for a new key.".to_owned()
    })
}

fn check_replaces(
    leaf: &Certificate,
    old: &Edition,
    allow_earlier_expiry: bool,
) -> Option<Finding> {
    let new = Edition::from(leaf);
    let succession = Succession::of(old, &new);
    let cure = match succession {
        Succession::Same => "Store the renewed certificate in the source",
        _ if succession.is_doubtful() && !allow_earlier_expiry => {
            "Store the renewed certificate in the source, or correct which certificate is the old one. If this one is meant to replace it, start with \"allowEarlierExpiry\": true"
        }
        _ => return None,
    };
    let problem = succession.description(old, &new).unwrap_or_default();
    Some(finding(leaf_name(leaf), problem, cure))
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
        // Such a key may be written in ways that this library does not compare.
        _ if matches!(algorithm, KeyAlgorithm::Other(_)) => {}
        Ok(false) => findings.push(finding(
            "private key of the new certificate",
            {
                let is_owner = |other: &Certificate| bundle.key.matches(other) == Ok(true);
                let whose = match bundle.others.iter().find(|(_, other)| is_owner(other)) {
                    Some((place, owner)) => format!("{}, in {place}", owner.name()),
                    None => "another certificate".to_owned(),
                };
                format!(
                    "it does not match the certificate {}, whose key is {algorithm}: it belongs to {whose}",
                    bundle.leaf.name()
                )
            },
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

fn check_leaf(leaf: &Certificate, findings: &mut Vec<Finding>) {
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
    // RFC 6962, 3.1: the poison extension, which no viewer may accept.
    if leaf.is_precertificate() {
        findings.push(finding(
            leaf_name(leaf),
            "it is a precertificate, which authorities publish in logs before they issue the certificate, and no viewer accepts",
            "Store the certificate itself, as the authority delivered it; it has the same serial number",
        ));
    }
    // RFC 8446, 4.4.2.2: in TLS 1.3 the server signs, so its key usage, if there is one, must allow
    // that. Chrome and Firefox ask the same in TLS 1.2, where CloudFront's suites sign, too.
    if leaf.forbids_signatures() {
        findings.push(finding(
            leaf_name(leaf),
            "its key usage lacks digitalSignature, so viewers refuse every handshake in which the server signs: all of TLS 1.3, and ECDHE in TLS 1.2",
            "Have it issued with the key usage digitalSignature",
        ));
    }
}

fn check_length(chain: &Chain, findings: &mut Vec<Finding>) {
    let count = 1 + chain.intermediates.len();
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
    let (max_body, max_key) = stores::max_bytes(store);
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

fn check_validity(leaf: &Certificate, chain: &Chain, now: Timestamp, findings: &mut Vec<Finding>) {
    for (subject, certificate) in named(leaf, chain) {
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

fn check_signatures(leaf: &Certificate, chain: &Chain, findings: &mut Vec<Finding>) {
    for (subject, certificate) in named(leaf, chain) {
        if let Some(hash) = certificate.broken_hash() {
            findings.push(finding(
                subject,
                format!("it is signed with {hash}, which viewers refuse"),
                "Have it reissued by a public authority, and store the chain delivered with it",
            ));
        }
    }
}

fn check_trust(
    leaf: &Certificate,
    chain: &Chain,
    roots: &TrustRoots,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    if leaf.is_self_signed() {
        findings.push(finding(
            leaf_name(leaf),
            "it is self-signed, and CloudFront accepts only certificates of public authorities",
            "Have it issued by an authority in Mozilla's list of included roots",
        ));
        return;
    }
    let all = || named(leaf, chain).map(|(_, certificate)| certificate);
    let Err(error) = &chain.trust else { return };
    // What is expired may be untrusted, too: both are said at once.
    let path: Vec<&Certificate> = chain.intermediates.iter().collect();
    let error = match error {
        TrustError::Validity => match roots.root_of(leaf, &path, common_moment(leaf, chain, now)) {
            Ok(_) => TrustError::Validity,
            Err(error) => error,
        },
        error => error.clone(),
    };
    let last = chain.intermediates.last().unwrap_or(leaf);
    match error {
        // Reported above, for the certificate concerned.
        TrustError::Validity if all().any(|it| !it.is_valid_at(now)) => {}
        TrustError::SignatureAlgorithm if all().any(|it| it.broken_hash().is_some()) => {}
        TrustError::UnsupportedVersion if all().any(|it| !it.is_version_3()) => {}
        TrustError::Other(_) if leaf.is_precertificate() => {}
        TrustError::UnknownIssuer => findings.push(untrusted(chain, last, roots)),
        error => findings.push(finding(
            "chain of the new certificate",
            format!("no viewer would trust {}: {error}", leaf.name()),
            match error {
                TrustError::Authority => "Store the certificate that the authority issued for your own names, with its private key, and not that of the authority",
                TrustError::NotForServers => "Have it issued as a certificate of a TLS server",
                _ => "Store the certificate and the chain that the authority delivered with it",
            },
        )),
    }
}

/// The chain ends where no trusted root has issued its last certificate.
fn untrusted(chain: &Chain, last: &Certificate, roots: &TrustRoots) -> Finding {
    let subject = "chain of the new certificate";
    let issuer = last.issuer();
    if chain.root.is_some() {
        return finding(
            subject,
            format!(
                "it leads to the root {issuer}, which is in the source and is not a trusted root: CloudFront and viewers trust the roots of Mozilla's list, and a source cannot add one; trusted is {roots}"
            ),
            "Have the certificate issued by an authority in Mozilla's list; CloudFront accepts none of a private authority. If that root is one that Mozilla has included since, add it with the stack's parameter ExtraRoots",
        );
    }
    let mut unrelated = match &chain.unrelated[..] {
        [] => String::new(),
        others => format!(
            "; without it, what else is in the source is not part of the chain: {}",
            listed(&placed(others))
        ),
    };
    let unrelated_or_not = chain.unrelated.iter().map(|(_, one)| one).chain(&chain.needless);
    if unrelated_or_not.into_iter().any(|one| one.subject() == issuer) {
        unrelated.push_str("; what has this name there has not signed it, so it is another issuer");
    }
    finding(
        subject,
        format!(
            "the issuer of its last certificate {}, which is {issuer}, is neither in the source nor a \
             trusted root{unrelated}; trusted is {roots}",
            last.name(),
        ),
        format!(
            "Add the intermediate certificate {issuer} first, and remove nothing before; if that is a root that Mozilla has included \
             since, add it with the stack's parameter ExtraRoots; if it is another root, have \
             the certificate issued by an authority in Mozilla's list"
        ),
    )
}

/// Certificates of no path. While an issuer is missing they may be those above it, and only that is
/// said.
fn check_unrelated(chain: &Chain, findings: &mut Vec<Finding>) {
    if chain.unrelated.is_empty() || !chain.is_complete {
        return;
    }
    let (subject, problem) = match &chain.unrelated[..] {
        [(place, one)] => (
            format!("source of the new certificate, {place}"),
            format!("{} is not part of the chain, which is complete", one.name()),
        ),
        all => (
            "source of the new certificate".to_owned(),
            format!("these are not part of the chain, which is complete: {}", listed(&placed(all))),
        ),
    };
    findings.push(finding(
        subject,
        problem,
        "Remove what is not part of the chain: it belongs to another certificate",
    ));
}

fn placed(certificates: &[(bundle::Place, Certificate)]) -> Vec<String> {
    certificates.iter().map(|(place, one)| format!("{} ({place})", one.name())).collect()
}

/// What is left out of the chain.
fn needless(chain: &Chain, now: Timestamp) -> Option<String> {
    let described = |one: &Certificate| {
        let expired = if one.is_valid_at(now) { "" } else { ", not valid now" };
        format!("{} (issued by {}{expired})", one.name(), one.issuer())
    };
    let described: Vec<String> = chain.needless.iter().map(described).collect();
    let why = if chain.trust.is_ok() { ", which leads to a trusted root without" } else { "" };
    (!described.is_empty()).then(|| format!("Left out of the chain{why}: {}.", listed(&described)))
}

/// The time nearest to `now` at which all certificates are valid, if there is one. A chain that is
/// both expired and untrusted then gets both findings.
fn common_moment(leaf: &Certificate, chain: &Chain, now: Timestamp) -> Timestamp {
    let all = || std::iter::once(leaf).chain(&chain.intermediates);
    let not_too_late = all().map(Certificate::not_after).fold(now, Timestamp::min);
    all().map(Certificate::not_before).fold(not_too_late, Timestamp::max)
}

/// All certificates to be imported, each with its name in messages.
fn named<'a>(
    leaf: &'a Certificate,
    chain: &'a Chain,
) -> impl Iterator<Item = (String, &'a Certificate)> {
    let above = chain.intermediates.iter().enumerate().map(|(i, certificate)| {
        (format!("chain certificate {} ({})", i + 1, certificate.name()), certificate)
    });
    std::iter::once((leaf_name(leaf), leaf)).chain(above)
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
