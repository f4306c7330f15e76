//! Finds the server certificate among those of a source, and chooses the chain from it upwards.
//!
//! A source may hold more than one path: authorities deliver cross-signed certificates, and people
//! store everything that they find. Viewers take any path to a root that they trust, so the one that
//! is imported is chosen by the same question, and not by the length of a validity alone.

use std::cmp::Reverse;

use jiff::Timestamp;

use crate::certificate::bundle::{Bundle, BundleError, Place};
use crate::certificate::{Certificate, Fingerprint, PrivateKey, Root, TrustError, TrustRoots};

/// CloudFront accepts at most this many certificates, including the leaf: Developer Guide,
/// "Troubleshooting distribution issues".
pub(crate) const MAX_CERTIFICATES: usize = 5;

/// Paths of more intermediate certificates are not followed.
const MAX_DEPTH: usize = 8;

/// No authority delivers certificates that make more paths than this; further ones are ignored.
const MAX_PATHS: usize = 64;

/// The chain of a certificate.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The leaf's issuer first, each certificate issued by the next, without the root, which
    /// CloudFront does not accept (Developer Guide, "Requirements for using SSL/TLS certificates with
    /// CloudFront", intermediate certificates).
    pub intermediates: Vec<Certificate>,
    /// The root that it leads to, or why viewers do not trust it.
    pub(crate) trust: Result<Root, TrustError>,
    /// Does a trusted root have the name of the issuer of its last certificate?
    pub(crate) is_complete: bool,
    /// Certificates of another path, which the chain does not need.
    pub(crate) needless: Vec<Certificate>,
    /// Certificates that belong to no path, each with its place.
    pub(crate) unrelated: Vec<(Place, Certificate)>,
    /// The certificate in the source that names itself as issuer and issued the last one of the chain.
    pub(crate) root: Option<Certificate>,
}

impl Chain {
    /// The chain for this certificate, of what its source holds.
    ///
    /// Of several paths it is one that leads to a trusted root now and has at most five certificates,
    /// if there is one. Among those, one that stays valid as long as the leaf comes first, and then the
    /// longest: an authority delivers a cross-signed certificate for viewers that know only the older
    /// root. What leads to no trusted root is left out, as are paths that have expired.
    pub fn choose(bundle: &Bundle, roots: &TrustRoots, now: Timestamp) -> Self {
        let leaf = &bundle.leaf;
        let (own_issuers, mut others): (Vec<_>, Vec<_>) =
            bundle.others.iter().partition(|(_, other)| other.is_self_signed());
        let authorities: Vec<&Certificate> = others.iter().map(|(_, other)| other).collect();
        let mut paths = Vec::new();
        follow(&mut Vec::new(), leaf, &authorities, &mut paths);
        let judged = paths.into_iter().map(|path| {
            let trust = roots.root_of(leaf, &path, now);
            (path, trust)
        });
        let best = judged.max_by_key(|(path, trust)| rank(leaf, path, trust, roots, now));
        let (path, trust) = best.unwrap_or((Vec::new(), Err(TrustError::UnknownIssuer)));

        let mut on_some_path = vec![leaf];
        on_some_path.extend(&path);
        others.retain(|(_, other)| !path.contains(&other));
        let mut needless = Vec::new();
        // By name and key identifier alone: a namesake of an issuer, which only the signature tells apart,
        // does no harm.
        while let Some(at) = others
            .iter()
            .position(|(_, other)| on_some_path.iter().any(|lower| lower.is_issued_by(other)))
        {
            let (_, other) = others.remove(at);
            on_some_path.push(other);
            needless.push(other.clone());
        }
        let last = path.last().copied().unwrap_or(leaf);
        let root = own_issuers.iter().find(|(_, root)| *root != *leaf && last.is_issued_by(root));
        Self {
            root: root.map(|(_, root)| root.clone()),
            is_complete: roots.names_issuer_of(last),
            intermediates: path.into_iter().cloned().collect(),
            trust,
            needless,
            unrelated: others.into_iter().cloned().collect(),
        }
    }

    /// The digests of the intermediate certificates, under which a plan names them.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.intermediates.iter().map(Certificate::fingerprint).collect()
    }
}

/// The chain with these digests, as a plan has chosen it; `None` if the source no longer holds it.
pub fn planned(bundle: &Bundle, chain: &[Fingerprint]) -> Option<Vec<Certificate>> {
    let find = |wanted: &Fingerprint| {
        let mut others = bundle.others.iter().map(|(_, other)| other);
        others.find(|other| other.fingerprint() == *wanted).cloned()
    };
    chain.iter().map(find).collect()
}

/// Adds every path that begins with `path`, whose last certificate is `last`; those that end early
/// too, since the next issuer may be a trusted root.
fn follow<'a>(
    path: &mut Vec<&'a Certificate>,
    last: &Certificate,
    authorities: &[&'a Certificate],
    paths: &mut Vec<Vec<&'a Certificate>>,
) {
    if paths.len() == MAX_PATHS {
        return;
    }
    paths.push(path.clone());
    if path.len() == MAX_DEPTH {
        return;
    }
    for issuer in authorities {
        // No viewer follows a name and key that the path has already: RFC 4158, section 5.2.
        let is_repeated = path.iter().any(|lower| lower.is_same_authority(issuer));
        if !is_repeated && last.is_issued_by(issuer) && last.is_signed_by(issuer) {
            path.push(issuer);
            follow(path, issuer, authorities, paths);
            path.pop();
        }
    }
}

/// Which of two paths is better: the greater value.
fn rank(
    leaf: &Certificate,
    path: &[&Certificate],
    trust: &Result<Root, TrustError>,
    roots: &TrustRoots,
    now: Timestamp,
) -> impl Ord + use<> {
    let end = path.iter().map(|one| one.not_after()).min().unwrap_or(Timestamp::MAX);
    let is_valid = path.iter().all(|one| one.is_valid_at(now));
    let has_broken_hash = path.iter().any(|one| one.broken_hash().is_some());
    let is_short_enough = path.len() < MAX_CERTIFICATES;
    (
        (trust.is_ok() && is_short_enough, trust.is_ok()),
        roots.names_issuer_of(path.last().unwrap_or(&leaf)),
        (is_valid, !has_broken_hash),
        end >= leaf.not_after(),
        path.len(),
        path.iter().map(|one| one.not_after()).collect::<Vec<_>>(),
        // Only to be independent of the order in the source.
        Reverse(path.iter().map(|one| one.fingerprint()).collect::<Vec<_>>()),
    )
}

/// The index of the server certificate: the one that the private key belongs to or, if there is
/// none, the one that is not a CA certificate and issued no other. The key of an authority does not
/// make its certificate one of a server. A key that belongs to another certificate is reported by
/// [`crate::certificate::fitness::check`], together with all other findings.
pub(super) fn find_leaf(
    certificates: &[(Place, Certificate)],
    key: &PrivateKey,
) -> Result<usize, BundleError> {
    let indices_where = |is_wanted: &dyn Fn(&Certificate) -> bool| -> Vec<usize> {
        let wanted = certificates.iter().enumerate().filter(|(_, (_, it))| is_wanted(it));
        wanted.map(|(i, _)| i).collect()
    };
    let is_server = |it: &Certificate| {
        let issued = |other: &Certificate| other != it && other.is_issued_by(it);
        !it.is_ca() && !certificates.iter().any(|(_, other)| issued(other))
    };
    let belongs = |it: &Certificate| key.matches(it) == Ok(true);
    let mut candidates = indices_where(&|it| is_server(it) && belongs(it));
    if candidates.is_empty() {
        candidates = indices_where(&is_server);
    }
    if candidates.is_empty() {
        candidates = indices_where(&belongs);
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

#[cfg(test)]
mod tests;
