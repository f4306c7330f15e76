//! Finds the server certificate among those of a source, and the chain from it upwards.

use crate::certificate::bundle::{BundleError, Place};
use crate::certificate::{Certificate, PrivateKey};

/// The index of the server certificate: the one that the private key belongs to or, if there is
/// none, the one that is not a CA certificate and issued no other. A key that belongs to no
/// certificate is reported by [`crate::certificate::fitness::check`], together with all other
/// findings.
pub(super) fn find_leaf(
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
pub(super) fn arrange_chain(
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

    // The remaining certificates must be the other path of a cross-signed authority: each one the
    // issuer of a certificate on either path.
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
