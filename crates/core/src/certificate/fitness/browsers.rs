//! What browsers ask of certificates of public authorities, beyond X.509.
//!
//! The rules are data with their sources and a date: `browsers.json`, which `make browser-rules`
//! renews. They hold only under roots of Mozilla's list: a root that somebody has added is trusted
//! as it is, by browsers too.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use x509_parser::extensions::ParsedExtension;

use crate::certificate::Certificate;
use crate::certificate::chain::Chain;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rules {
    /// When they were read.
    as_of: Timestamp,
    transparency: Transparency,
    logs: Logs,
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

/// The logs whose timestamps count, for certificates that had not ended when the list was read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logs {
    /// When the list was read: later logs are not known.
    as_of: Timestamp,
    accepted: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    /// The SHA-256 digest of its key, in base64: RFC 6962, 3.2.
    id: String,
    operator: String,
    /// Set if it is retired: only earlier timestamps count.
    until: Option<Timestamp>,
    /// Read by the newer interface (static-ct-api), not that of RFC 6962.
    #[serde(default)]
    tiled: bool,
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

/// When the rules were read.
pub(super) fn as_of() -> Timestamp {
    RULES.as_of
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

/// That a certificate is fit only if logs that this version does not know are accepted.
pub(super) fn unknown_logs(leaf: &Certificate, chain: &Chain) -> Option<String> {
    chain.trust.as_ref().ok().filter(|root| root.is_public)?;
    let all = embedded(leaf);
    let known = all.iter().filter(|one| one.log.is_some());
    let unknown = all.len() - known.clone().count();
    let needs_them = lack_of(leaf, known).is_some() && lack_of(leaf, &all).is_none();
    needs_them.then(|| {
        format!(
            "It has timestamps of {} logs, {unknown} of which are not in Chrome's list of {}, which this version has. If they are not newer, browsers refuse it.",
            all.len(),
            RULES.logs.as_of.strftime("%Y-%m-%d"),
        )
    })
}

fn too_few_timestamps(leaf: &Certificate) -> Option<String> {
    // A log that is not known may be newer than the list.
    let lack = lack_of(leaf, &embedded(leaf))?;
    Some(format!("{lack} ({})", RULES.transparency.sources.join(", ")))
}

fn lack_of<'a>(
    leaf: &Certificate,
    timestamps: impl IntoIterator<Item = &'a Embedded>,
) -> Option<String> {
    let is_asked = leaf.not_before() >= RULES.transparency.since;
    is_asked.then(|| lack(leaf.days(), timestamps)).flatten()
}

/// What the timestamps of a certificate for so many days lack, by the rules of Chrome and Apple, which
/// differ only in words: for more than 180 days Apple counts two of an operator at most, so that three
/// are of two at least.
fn lack<'a>(days: i64, timestamps: impl IntoIterator<Item = &'a Embedded>) -> Option<String> {
    let rules = &RULES.transparency;
    let needed = if days > rules.short_days { rules.long } else { rules.short };
    let (counted, late): (Vec<&Embedded>, Vec<_>) =
        timestamps.into_iter().partition(|one| one.counts());
    let found = counted.len();
    if found < needed {
        let late = match late.len() {
            0 => String::new(),
            late => format!(", and {late} of logs that were retired before"),
        };
        return Some(format!(
            "it has signed certificate timestamps of {found} logs{late}, and Chrome and Apple's viewers refuse a certificate for {days} days with fewer than {needed}"
        ));
    }
    let operators: BTreeSet<&str> = counted.iter().map(|one| one.operator()).collect();
    let all_are = |is: fn(&Log) -> bool| counted.iter().all(|one| one.log.is_some_and(is));
    let what = if let [operator] = Vec::from_iter(operators)[..] {
        format!("of one operator, {operator}")
    } else if all_are(|log| log.until.is_some()) {
        "of logs that have been retired".to_owned()
    } else if all_are(|log| log.tiled) {
        "of logs with the newer interface, not that of RFC 6962".to_owned()
    } else {
        return None;
    };
    Some(format!(
        "its signed certificate timestamps are all {what}: Chrome and Apple's viewers refuse it without one of another"
    ))
}

fn distrusted(leaf: &Certificate, root: &str) -> Option<String> {
    let of_root = RULES.distrust.iter().filter(|one| root.contains(&one.root));
    let one = of_root.min_by_key(|one| one.after)?;
    // The earliest timestamp tells when it was issued, whatever its begin says.
    let issued = embedded(leaf).iter().map(|one| one.time).min().unwrap_or(leaf.not_before());
    (issued > one.after).then(|| {
        format!(
            "its root is {root}, and {} trusts no certificate of that root issued after {} ({})",
            one.browser,
            one.after.strftime("%Y-%m-%d"),
            one.source
        )
    })
}

/// The first embedded timestamp of a log.
struct Embedded {
    id: String,
    time: Timestamp,
    /// Nothing if the list has it not.
    log: Option<&'static Log>,
}

impl Embedded {
    fn counts(&self) -> bool {
        self.log.and_then(|log| log.until).is_none_or(|until| self.time < until)
    }

    /// A log that is not known has an operator of its own.
    fn operator(&self) -> &str {
        self.log.map_or(&self.id, |log| &log.operator)
    }
}

/// The embedded timestamps, one for each log: RFC 6962, 3.3.
fn embedded(leaf: &Certificate) -> Vec<Embedded> {
    let Some(x509) = leaf.x509() else { return Vec::new() };
    let mut found: Vec<Embedded> = Vec::new();
    for extension in x509.iter_extensions() {
        let ParsedExtension::SCT(all) = extension.parsed_extension() else { continue };
        for one in all {
            let id = STANDARD.encode(one.id.key_id);
            let time = i64::try_from(one.timestamp).ok();
            let time = time.and_then(|time| Timestamp::from_millisecond(time).ok());
            if !found.iter().any(|other| other.id == id) {
                let log = RULES.logs.accepted.iter().find(|log| log.id == id);
                found.push(Embedded { id, time: time.unwrap_or(Timestamp::MAX), log });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn the_rules_have_a_date_and_their_sources() {
        assert!(RULES.as_of.to_string().starts_with("20"));
        assert!(RULES.lifetimes.limits.is_sorted_by(|a, b| a.since > b.since && a.days < b.days));
        assert_eq!(RULES.transparency.sources.len(), 2);
        assert!(RULES.logs.as_of <= RULES.as_of);
        for log in &RULES.logs.accepted {
            assert_eq!(STANDARD.decode(&log.id).expect("base64").len(), 32);
        }
        for one in &RULES.distrust {
            assert!(one.source.starts_with("https://") && !one.root.is_empty());
        }
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

    /// Logs of the list by operator, as the rules tell them apart.
    fn log(operator: &str, is: fn(&Log) -> bool) -> Vec<&'static Log> {
        let all = RULES.logs.accepted.iter();
        all.filter(|log| log.operator == operator && is(log)).collect()
    }

    #[test]
    fn timestamps_count_by_log_operator_state_and_kind() {
        let is_old = |log: &Log| !log.tiled && log.until.is_none();
        let google = log("Google", is_old);
        let digicert = log("DigiCert", is_old);
        let [retired] = log("Let's Encrypt", |log| log.until.is_some())[..] else {
            panic!("one retired log")
        };
        let tiled = [log("Google", |log| log.tiled)[0], log("Geomys", |log| log.tiled)[0]];
        let until = retired.until.expect("a time");
        let before = until - SignedDuration::from_secs(1);
        let at = |time: Timestamp, logs: &[&'static Log]| -> Vec<Embedded> {
            let of = |log: &&'static Log| Embedded { id: log.id.clone(), time, log: Some(log) };
            logs.iter().map(of).collect()
        };
        let unknown = |id: &str| Embedded { id: id.to_owned(), time: until, log: None };
        let two_unknown = [unknown("a"), unknown("b")];
        for (days, timestamps, expected) in [
            (180, at(until, &[google[0], digicert[0]]), None),
            (180, at(until, &google[..2]), Some("all of one operator, Google:")),
            (181, at(until, &[google[0], google[1], digicert[0]]), None),
            (181, at(until, &google[..3]), Some("all of one operator, Google:")),
            (181, at(until, &[google[0], digicert[0]]), Some("of 2 logs, and")),
            (180, at(before, &[google[0], retired]), None),
            (
                180,
                at(until, &[google[0], retired]),
                Some("of 1 logs, and 1 of logs that were retired"),
            ),
            (180, at(before, &[retired, tiled[0]]), None),
            (180, at(until, &[tiled[0], digicert[0]]), None),
            (180, at(until, &tiled), Some("all of logs with the newer interface")),
            (180, at(until, &[]), Some("of 0 logs, and")),
            // Whose an unknown log is, and what it is, may be newer than the list.
            (180, at(until, &[tiled[0]]).into_iter().chain([unknown("a")]).collect(), None),
            (180, two_unknown.into(), None),
        ] {
            let found = lack(days, &timestamps);
            match expected {
                None => assert_eq!(found, None),
                Some(text) => {
                    assert!(found.as_ref().is_some_and(|found| found.contains(text)), "{found:?}")
                }
            }
        }
        // The list has only one that is retired.
        let another = Log {
            id: String::new(),
            operator: "another".to_owned(),
            until: Some(until),
            tiled: false,
        };
        let of_both = at(before, &[retired, Box::leak(Box::new(another))]);
        assert!(lack(90, &of_both).is_some_and(|found| found.contains("have been retired")));
    }
}
