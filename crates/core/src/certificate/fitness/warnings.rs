//! What will or may go wrong with a certificate that can be served.

use jiff::{SignedDuration, Timestamp};

use crate::certificate::Certificate;
use crate::certificate::chain::Chain;
use crate::certificate::fitness::browsers;
use crate::certificate::trust::tolerated;
use crate::finding::listed;

/// With less left there is hardly time to act before the end. For short-lived certificates it is a
/// third of their lifetime.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The longest lifetime in days under a root that was added, where only Apple's viewers ask: Apple,
/// "Requirements for trusted certificates in iOS 13 and macOS 10.15" (support.apple.com/103769).
const LONGEST_UNDER_ADDED_ROOTS: i64 = 825;

/// Endings of names that are not of the public DNS, and that no public authority may certify
/// (Baseline Requirements, 1.6.1, internal name; RFC 6761, RFC 6762; ICANN reserved `internal`).
const INTERNAL: [&str; 10] = [
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "test",
    "invalid",
];

/// The warnings about a certificate and its chain.
pub(super) fn of(leaf: &Certificate, chain: &Chain, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(ends_soon(leaf, now));
    warnings.extend(lives_too_long(leaf, chain));
    warnings.extend(outlives_its_chain(leaf, chain));
    warnings.extend(must_staple(leaf));
    warnings.extend(names(leaf));
    warnings.extend(serial(leaf));
    warnings.extend(tolerances(leaf, chain));
    warnings
}

fn ends_soon(leaf: &Certificate, now: Timestamp) -> Option<String> {
    let left = leaf.not_after().duration_since(now);
    let lifetime = leaf.not_after().duration_since(leaf.not_before());
    let left_in_words = match (left.as_hours() / 24, left.as_hours()) {
        (days @ 2.., _) => format!("{days} days"),
        (_, 1) => "1 hour".to_owned(),
        (_, hours) => format!("{hours} hours"),
    };
    (left < SOON.min(lifetime / 3) && left >= SignedDuration::ZERO).then(|| {
        format!(
            "It ends in {left_in_words}, at {}: have the next one issued before.",
            leaf.not_after()
        )
    })
}

fn lives_too_long(leaf: &Certificate, chain: &Chain) -> Option<String> {
    let days = leaf.days();
    let is_public = chain.trust.as_ref().is_ok_and(|root| root.is_public);
    let rule = match is_public {
        true => {
            let (since, longest) = browsers::longest_lifetime(leaf.not_before())?;
            let since = since.strftime("%Y-%m-%d");
            (longest, format!("public authorities may give {longest} at most since {since}"))
        }
        false => {
            let longest = LONGEST_UNDER_ADDED_ROOTS;
            (longest, format!("Apple's viewers accept {longest} at most"))
        }
    };
    let (longest, rule) = rule;
    (days > longest && !leaf.is_ca()).then(|| {
        format!("It is valid for {days} days, and {rule}: viewers may refuse it. Have it issued for less.")
    })
}

fn outlives_its_chain(leaf: &Certificate, chain: &Chain) -> Option<String> {
    let root = chain.trust.as_ref().ok();
    let root_end = root.and_then(|root| Some((root.name.clone(), root.not_after?)));
    let above = chain.intermediates.iter().map(|one| (one.name(), one.not_after())).chain(root_end);
    let (name, end) = above.min_by_key(|(_, end)| *end)?;
    (end < leaf.not_after()).then(|| {
        format!(
            "It is valid until {}, but {name} above it only until {end}: viewers may refuse it from then on, so replace it, or its chain, before.",
            leaf.not_after()
        )
    })
}

/// RFC 7633. CloudFront's guide does not say that it staples for imported certificates.
fn must_staple(leaf: &Certificate) -> Option<String> {
    leaf.must_staple().then(|| {
        "It demands a stapled OCSP response (must-staple), which CloudFront does not promise: viewers that obey refuse a handshake without one. Have it issued without must-staple.".to_owned()
    })
}

fn names(leaf: &Certificate) -> Vec<String> {
    let where_is = |is: fn(&str) -> bool| -> Vec<String> {
        leaf.dns_names().iter().filter(|name| is(name)).map(|name| shown(name)).collect()
    };
    let mut warnings = Vec::new();
    let mut warn = |names: Vec<String>, what: &str| {
        if !names.is_empty() {
            warnings.push(format!("{}: {what}.", listed(&names)));
        }
    };
    warn(
        where_is(|name| name.ends_with('.')),
        "a name with a dot at its end, which some viewers do not match; have it issued without the dot",
    );
    warn(where_is(is_never_matched), "no viewer matches such a name, so it covers nothing");
    warn(
        where_is(|name| !is_never_matched(name) && is_internal(name)),
        "an internal name, which no public authority may certify and no viewer on the internet asks for",
    );
    warnings
}

/// A name as authorities may not issue it, and viewers do not compare it: not ASCII (international
/// names are written as `xn--…`), empty labels, or an asterisk that is not the whole first label
/// (RFC 6125, 6.4.3).
fn is_never_matched(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let rest = name.strip_prefix("*.").unwrap_or(name);
    !rest.split('.').all(|label| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !label.is_empty() && label.chars().all(is_plain)
    })
}

fn is_internal(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.rsplit_once('.') {
        None => true,
        Some((_, last)) => INTERNAL.contains(&last) || last.chars().all(|c| c.is_ascii_digit()),
    }
}

fn shown(name: &str) -> String {
    crate::redact::name(name)
}

/// RFC 5280, 4.1.2.2.
fn serial(leaf: &Certificate) -> Option<String> {
    let serial = leaf.serial();
    let what = match serial {
        [first, ..] if *first >= 0x80 => "is negative",
        // A leading zero is only the sign.
        [0, rest @ ..] if rest.len() > 20 => "has more than 20 bytes",
        [first, ..] if *first != 0 && serial.len() > 20 => "has more than 20 bytes",
        _ => return None,
    };
    Some(format!(
        "Its serial number {what}, which RFC 5280 does not allow: browsers accept it, some other viewers do not (programs in Go 1.23 and later refuse negative ones)."
    ))
}

fn tolerances(leaf: &Certificate, chain: &Chain) -> Vec<String> {
    let all = std::iter::once(leaf).chain(&chain.intermediates);
    let of = |one: &Certificate| {
        tolerated(one).into_iter().map(|what| format!("{what} of {}", one.name())).collect()
    };
    let found: Vec<String> = all.flat_map(|one| -> Vec<String> { of(one) }).collect();
    let text =
        format!("Some viewers refuse it, though OpenSSL and browsers do not: {}.", listed(&found));
    (!found.is_empty()).then_some(text).into_iter().collect()
}
