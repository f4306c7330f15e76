//! What browsers ask of certificates of public authorities, beyond X.509.
//!
//! The rules are data with their sources and a date: `browsers.json`, which `make browser-rules`
//! renews. They hold only under roots of Mozilla's list: a root that somebody has added is trusted
//! as it is, by browsers too.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use x509_parser::extensions::ParsedExtension;

use crate::certificate::Certificate;
use crate::certificate::chain::Chain;

/// Older rules are still applied, and a note says so.
const OLD: SignedDuration = SignedDuration::from_hours(365 * 24);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rules {
    /// When they were read.
    as_of: Timestamp,
    transparency: Transparency,
    lifetimes: Lifetimes,
    distrust: Vec<Distrust>,
}

/// How many signed certificate timestamps a certificate must have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transparency {
    /// For certificates that begin then or later.
    since: Timestamp,
    /// The longest lifetime for which `short` are enough.
    short_days: i64,
    short: usize,
    long: usize,
    sources: Vec<String>,
}

/// The longest lifetimes that authorities may give, the latest rule first.
#[derive(Deserialize)]
struct Lifetimes {
    limits: Vec<Limit>,
}

#[derive(Deserialize)]
struct Limit {
    since: Timestamp,
    days: i64,
}

/// A root whose newer certificates a browser does not trust.
#[derive(Deserialize)]
struct Distrust {
    /// A part of its subject that no other root has.
    root: String,
    browser: String,
    /// The last moment at which a certificate may have been issued.
    after: Timestamp,
    source: String,
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    serde_json::from_str(include_str!("browsers.json")).expect("a test reads the rules")
});

/// Why browsers would refuse it, each as a problem and a cure.
pub(super) fn refusals(leaf: &Certificate, chain: &Chain) -> Vec<(String, &'static str)> {
    let root = chain.trust.as_ref().ok();
    if root.is_some_and(|root| !root.is_public) {
        return Vec::new();
    }
    let mut refusals = Vec::new();
    refusals.extend(root.and_then(|_| too_few_timestamps(leaf)).map(|problem| {
        (problem, "Have it issued with embedded timestamps, as authorities do unless they are told not to log it")
    }));
    // A root that Mozilla has removed is not known here; then its name explains why.
    let last = chain.intermediates.last().unwrap_or(leaf);
    let root = root.map_or(last.issuer(), |root| &root.name);
    refusals.extend(
        distrusted(leaf, root)
            .map(|problem| (problem, "Have it issued by an authority that all browsers trust")),
    );
    refusals
}

/// The longest lifetime for a certificate that begins then, and since when that holds.
pub(super) fn longest_lifetime(not_before: Timestamp) -> Option<(Timestamp, i64)> {
    let limits = &RULES.lifetimes.limits;
    limits.iter().find(|limit| limit.since <= not_before).map(|limit| (limit.since, limit.days))
}

/// That the rules are so old that there may be newer ones.
pub(super) fn old_rules(now: Timestamp) -> Option<String> {
    let age = now.duration_since(RULES.as_of);
    (age > OLD).then(|| {
        format!(
            "The rules of browsers in this version are of {}, {} days ago: newer ones are not checked. Deploy a newer version.",
            RULES.as_of.strftime("%Y-%m-%d"),
            age.as_hours() / 24
        )
    })
}

fn too_few_timestamps(leaf: &Certificate) -> Option<String> {
    let rules = &RULES.transparency;
    let found = logs(leaf).len();
    let needed = if leaf.days() > rules.short_days { rules.long } else { rules.short };
    (leaf.not_before() >= rules.since && found < needed).then(|| {
        format!(
            "it has signed certificate timestamps of {found} logs, and Chrome and Apple's viewers refuse a certificate for {} days with fewer than {needed} ({})",
            leaf.days(),
            rules.sources.join(", ")
        )
    })
}

fn distrusted(leaf: &Certificate, root: &str) -> Option<String> {
    // The earliest timestamp tells when it was issued, whatever its begin says.
    let issued = logs(leaf).into_iter().map(|(_, time)| time).min().unwrap_or(leaf.not_before());
    let of_root = RULES.distrust.iter().filter(|one| root.contains(&one.root));
    let one = of_root.min_by_key(|one| one.after).filter(|one| issued > one.after)?;
    Some(format!(
        "its root is {root}, and {} trusts no certificate of that root issued after {} ({})",
        one.browser,
        one.after.strftime("%Y-%m-%d"),
        one.source
    ))
}

/// The logs of the embedded timestamps, each once with its time: RFC 6962, 3.3.
fn logs(leaf: &Certificate) -> Vec<(Vec<u8>, Timestamp)> {
    let Some(x509) = leaf.x509() else { return Vec::new() };
    let mut found: Vec<(Vec<u8>, Timestamp)> = Vec::new();
    for extension in x509.iter_extensions() {
        let ParsedExtension::SCT(all) = extension.parsed_extension() else { continue };
        for one in all {
            let time = i64::try_from(one.timestamp).ok();
            let time = time.and_then(|time| Timestamp::from_millisecond(time).ok());
            let log = one.id.key_id.to_vec();
            if !found.iter().any(|(other, _)| *other == log) {
                found.push((log, time.unwrap_or(Timestamp::MAX)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_have_a_date_and_their_sources() {
        assert!(RULES.as_of.to_string().starts_with("20"));
        assert!(RULES.lifetimes.limits.is_sorted_by(|a, b| a.since > b.since && a.days < b.days));
        assert_eq!(RULES.transparency.sources.len(), 2);
        for one in &RULES.distrust {
            assert!(one.source.starts_with("https://") && !one.root.is_empty());
        }
    }

    #[test]
    fn old_rules_are_noted() {
        assert_eq!(old_rules(RULES.as_of), None);
        assert_eq!(old_rules(RULES.as_of + OLD), None);
        let note = old_rules(RULES.as_of + OLD + SignedDuration::from_hours(24));
        assert!(note.is_some_and(|note| note.contains("366 days ago")));
    }

    /// What is in Mozilla's list as built in can be matched: a misspelled name never would.
    #[test]
    fn the_names_of_roots_are_those_of_the_list() {
        use crate::certificate::trust::sequence;
        use x509_parser::prelude::FromDer;
        let names: Vec<String> = webpki_roots::TLS_SERVER_ROOTS
            .iter()
            .map(|root| {
                let name = sequence(&root.subject);
                x509_parser::x509::X509Name::from_der(&name).expect("a name").1.to_string()
            })
            .collect();
        for root in ["CN=HiPKI Root CA - G1", "CN=NetLock Arany (Class Gold) Főtanúsítvány"] {
            assert!(RULES.distrust.iter().any(|one| one.root == root));
            assert_eq!(names.iter().filter(|name| name.contains(root)).count(), 1, "{root}");
        }
    }
}
