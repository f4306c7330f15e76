//! Decides whether a certificate is due for replacement, and what to do about it now.
//!
//! Due dates are fractions of a certificate's own lifetime, so that lifetimes of 47 and of 398 days
//! are treated alike.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::certificate::succession::Succession;
use crate::certificate::{Certificate, Fingerprint};
use crate::ids::CertificateId;

const DAY: i64 = 24 * 60 * 60;

/// A certificate with this many days left is [urgent](Schedule::is_urgent), and one with a third of
/// the time left that it has been due for.
const URGENT_DAYS: i64 = 7;

/// Pause after a rotation that ended and left work, before the next one starts automatically. Less
/// than a day, so that the next daily evaluation starts it even if it runs a little early.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(20);

/// When certificates are due, and when notices are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// A certificate is due when this much of its lifetime remains, in percent.
    pub percent: u8,
    /// Notices are sent when this many days remain. Notices before the due date are omitted: a
    /// certificate of 47 days is not late on its second day.
    pub notice_days: Vec<u16>,
}

impl Schedule {
    /// When this certificate becomes due.
    pub fn time_of(&self, certificate: &Certificate) -> Timestamp {
        let lifetime = certificate.not_after().duration_since(certificate.not_before()).as_secs();
        certificate.not_after()
            - SignedDuration::from_secs(lifetime.max(0) * i64::from(self.percent) / 100)
    }

    /// Is its end so near that most targets on the new certificate are better than none?
    pub fn is_urgent(&self, certificate: &Certificate, now: Timestamp) -> bool {
        let end = certificate.not_after();
        let due = end.duration_since(self.time_of(certificate)).as_secs();
        end.duration_since(now).as_secs() <= (due / 3).min(URGENT_DAYS * DAY)
    }

    /// The latest notice day that has been reached, in days left: 0 once the certificate has
    /// expired, `None` before the first one.
    pub fn moment(&self, certificate: &Certificate, now: Timestamp) -> Option<u16> {
        let left = certificate.not_after().duration_since(now).as_secs();
        if left < 0 {
            return Some(0);
        }
        let time_of = certificate.not_after().duration_since(self.time_of(certificate)).as_secs();
        let has_come =
            |days: &&u16| left <= i64::from(**days) * DAY && i64::from(**days) * DAY <= time_of;
        self.notice_days.iter().filter(has_come).min().copied()
    }
}

/// Whole days until a certificate expires; negative once it has expired.
pub fn days_left(certificate: &Certificate, now: Timestamp) -> i64 {
    certificate.not_after().duration_since(now).as_secs().div_euclid(DAY)
}

/// What a source holds, compared with the certificate that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// The same certificate.
    None,
    /// Another certificate that is not clearly newer.
    NotNewer,
    /// A certificate or content that cannot replace it.
    Unusable,
    /// A certificate that can replace it when that is due.
    Fit,
    /// A certificate that can replace it now: there is nothing to wait for.
    FitNow,
}

/// What a certificate in the source is, before it is examined: one of `None` and `NotNewer`, or what
/// it is if nothing is found against it. `allowed` is the tag
/// `cert-rotation:allow-earlier-expiry`; `is_time` and `is_new_due` say whether the served
/// certificate and this one are due for replacement.
pub fn candidate(
    succession: Succession,
    allowed: bool,
    is_time: bool,
    is_new_due: bool,
) -> Replacement {
    match succession {
        Succession::Same => Replacement::None,
        Succession::Renewal => Replacement::Fit,
        _ if allowed => Replacement::FitNow,
        // The served certificate ends sooner than this one: better than none.
        Succession::OlderAndLonger if is_time => Replacement::Fit,
        Succession::Reissue if !is_new_due => Replacement::FitNow,
        _ => Replacement::NotNewer,
    }
}

/// The outcome of earlier automatic rotations between the same two certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// There were none.
    None,
    /// One is running.
    Running,
    /// The last one succeeded, at this time.
    Succeeded(Timestamp),
    /// The last one failed, at this time.
    Failed(Timestamp),
}

/// The facts that a decision is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Does any target serve the certificate?
    pub served: bool,
    /// Is it due, see [`Schedule::time_of`]?
    pub is_time: bool,
    /// Was it requested: by an alarm, or by a change of the source?
    pub asked: bool,
    /// The content of the source.
    pub replacement: Replacement,
    /// Is another execution moving targets from this certificate, or to it?
    pub claimed: bool,
    /// Is only a dry run requested?
    pub dry_run: bool,
    /// Is the certificate to be deleted once it is replaced?
    pub delete_old: bool,
    /// Is it used outside of CloudFront?
    pub used_elsewhere: bool,
    /// Earlier rotations.
    pub past: Past,
}

/// What to do about a certificate now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// It has no tag `cert-rotation:source`: nothing to do.
    NotManaged,
    /// Its tags are invalid: notify.
    SettingsInvalid,
    /// No target serves it: nothing to do.
    NotServed,
    /// No target serves it, it is due, and another service uses it: notify.
    UsedElsewhere,
    /// There is no replacement, and it is not due yet.
    InTime,
    /// There is no replacement, and it is due: notify.
    ReplacementMissing,
    /// Something was put that is not clearly newer than what is served: notify.
    ReplacementNotNewer,
    /// The replacement is unusable: notify.
    ReplacementUnusable,
    /// The replacement is fit, and it is not due yet.
    NotYet,
    /// A rotation is in progress.
    UnderWay,
    /// The requested dry run has been made.
    Rehearsed,
    /// A rotation ended within the last day and left work: a later evaluation starts the next one.
    Later,
    /// Start a rotation.
    Start,
}

/// The name of the execution that replaces one certificate with another, without the number of the
/// attempt: the same for the same two certificates, different for different ones.
///
/// At most 76 of the 80 characters of an execution name (Step Functions API, `StartExecution`), and
/// only characters that CloudWatch Logs shows: letters, digits and hyphens.
pub fn execution_name(
    old: &CertificateId,
    old_certificate: &Certificate,
    new: &Fingerprint,
    dry_run: bool,
) -> String {
    let name = old_certificate.dns_names().first().map_or("", |name| name.trim_start_matches("*."));
    let host: String =
        name.chars().take(36).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let old = Fingerprint::of(old.id().as_bytes());
    let dry_run = if dry_run { "-dry" } else { "" };
    format!("auto-{host}-{}-{}{dry_run}", old.short(), new.short())
}

/// Decides what to do now.
pub fn decide(facts: &Facts, now: Timestamp) -> Decision {
    let failed = matches!(facts.past, Past::Failed(_));
    // A failed rotation may have left a certificate that no target serves and that is still to be
    // deleted. One that succeeded leaves it when the store reports a use that has ended, or a
    // permission is missing.
    let left_behind = match facts.past {
        Past::Failed(_) => true,
        Past::Succeeded(_) => facts.delete_old && !facts.used_elsewhere && !facts.dry_run,
        Past::None | Past::Running => false,
    };
    if !facts.served && !left_behind {
        let watched = facts.used_elsewhere && facts.is_time;
        return if watched { Decision::UsedElsewhere } else { Decision::NotServed };
    }
    match facts.replacement {
        Replacement::Unusable => Decision::ReplacementUnusable,
        Replacement::NotNewer if facts.asked => Decision::ReplacementNotNewer,
        Replacement::None | Replacement::NotNewer if facts.is_time => Decision::ReplacementMissing,
        Replacement::None | Replacement::NotNewer => Decision::InTime,
        Replacement::Fit | Replacement::FitNow if facts.claimed => Decision::UnderWay,
        // A rotation that has begun is finished, even before the due date.
        Replacement::Fit if !facts.is_time && !facts.asked && !failed && facts.served => {
            Decision::NotYet
        }
        Replacement::Fit | Replacement::FitNow => match facts.past {
            Past::None => Decision::Start,
            Past::Running => Decision::UnderWay,
            Past::Succeeded(_) if facts.dry_run => Decision::Rehearsed,
            Past::Succeeded(ended) | Past::Failed(ended) => {
                if now.duration_since(ended) < AGAIN_AFTER {
                    Decision::Later
                } else {
                    Decision::Start
                }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use rotation_test_pki::Authority;

    use super::*;
    use crate::fixtures::certificate;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("time")
    }

    /// A certificate with a lifetime of this many days, from 2026-01-01.
    fn of_days(days: i64) -> Certificate {
        let from = time("2026-01-01T00:00:00Z");
        let until = from + SignedDuration::from_hours(24 * days);
        certificate(&Authority::root("Root").issue(&["www.example.com"], from, until).pem)
    }

    fn schedule() -> Schedule {
        Schedule { percent: 33, notice_days: vec![45, 30, 14, 7, 3, 1] }
    }

    #[test]
    fn a_certificate_is_due_by_the_remaining_fraction_of_its_lifetime() {
        let check = |lifetime: i64, left: i64, expected: bool| {
            let certificate = of_days(lifetime);
            let now = certificate.not_after() - SignedDuration::from_hours(left * 24);
            assert_eq!(now >= schedule().time_of(&certificate), expected, "{left} of {lifetime}");
        };
        check(398, 132, false);
        check(398, 131, true);
        check(200, 67, false);
        check(200, 66, true);
        check(100, 34, false);
        check(100, 33, true);
        check(47, 45, false);
        check(47, 16, false);
        check(47, 15, true);
    }

    #[test]
    fn notice_days_before_the_due_date_are_omitted() {
        let check = |lifetime: i64, hours_left: i64, expected: Option<u16>| {
            let certificate = of_days(lifetime);
            let now = certificate.not_after() - SignedDuration::from_hours(hours_left);
            let found = schedule().moment(&certificate, now);
            assert_eq!(found, expected, "{hours_left} hours of {lifetime} days");
        };
        check(398, 46 * 24, None);
        check(398, 45 * 24, Some(45));
        check(398, 31 * 24, Some(45));
        check(398, 30 * 24, Some(30));
        check(398, 13 * 24, Some(14));
        check(398, 1, Some(1));
        check(398, 0, Some(1));
        check(398, -1, Some(0));
        // 45 days are 96 % of its lifetime, 14 are 30 %.
        check(47, 45 * 24, None);
        check(47, 15 * 24, None);
        check(47, 14 * 24, Some(14));
        check(6, 47, None);
        check(6, 24, Some(1));
        assert_eq!(days_left(&of_days(47), time("2026-02-16T00:00:00Z")), 1);
        assert_eq!(days_left(&of_days(47), time("2026-02-16T00:00:01Z")), 0);
        assert_eq!(days_left(&of_days(47), time("2026-02-17T00:00:01Z")), -1);
    }

    #[test]
    fn an_execution_name_is_derived_from_both_certificates() {
        let old = CertificateId::Acm { arn: "arn:aws:acm:us-east-1:1:certificate/a".into() };
        let other = CertificateId::Acm { arn: "arn:aws:acm:us-east-1:1:certificate/b".into() };
        let certificate = of_days(47);
        let (new, newer) = (Fingerprint::of(b"new"), Fingerprint::of(b"newer"));
        let name = execution_name(&old, &certificate, &new, false);
        assert!(name.starts_with("auto-www-example-com-"), "{name}");
        assert!(name.len() <= 76 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        assert_eq!(name, execution_name(&old, &certificate, &new, false));
        assert_ne!(name, execution_name(&other, &certificate, &new, false));
        assert_ne!(name, execution_name(&old, &certificate, &newer, false));
        assert_ne!(name, execution_name(&old, &certificate, &new, true));
    }

    #[test]
    fn s1_what_is_in_the_source() {
        use Replacement::{Fit, FitNow, None, NotNewer};
        for (succession, usual, when_due, when_new_is_due, allowed) in [
            (Succession::Same, None, None, None, None),
            (Succession::Renewal, Fit, Fit, Fit, Fit),
            (Succession::Reissue, FitNow, FitNow, NotNewer, FitNow),
            (Succession::OlderAndLonger, NotNewer, Fit, NotNewer, FitNow),
            (Succession::Unclear, NotNewer, NotNewer, NotNewer, FitNow),
            (Succession::Older, NotNewer, NotNewer, NotNewer, FitNow),
        ] {
            assert_eq!(candidate(succession, false, false, false), usual, "{succession:?}");
            assert_eq!(candidate(succession, false, true, false), when_due, "{succession:?}");
            assert_eq!(
                candidate(succession, false, false, true),
                when_new_is_due,
                "{succession:?}"
            );
            assert_eq!(candidate(succession, true, false, true), allowed, "{succession:?}");
        }
    }

    #[test]
    fn s2_a_certificate_is_urgent_near_its_end() {
        let check = |lifetime: i64, hours_left: i64, expected: bool| {
            let certificate = of_days(lifetime);
            let now = certificate.not_after() - SignedDuration::from_hours(hours_left);
            assert_eq!(
                schedule().is_urgent(&certificate, now),
                expected,
                "{lifetime} {hours_left}"
            );
        };
        check(398, 24 * 7 + 1, false);
        check(398, 24 * 7, true);
        check(398, -1, true);
        // Due for 372 hours, 124 of them urgent.
        check(47, 125, false);
        check(47, 124, true);
    }

    #[test]
    fn decisions_by_facts() {
        let now = time("2026-11-24T06:00:00Z");
        let hours_ago = |hours| now - SignedDuration::from_hours(hours);
        let usual = Facts {
            served: true,
            is_time: true,
            asked: false,
            replacement: Replacement::Fit,
            claimed: false,
            dry_run: false,
            delete_old: true,
            used_elsewhere: false,
            past: Past::None,
        };
        let check = |facts: Facts, expected| assert_eq!(decide(&facts, now), expected, "{facts:?}");
        check(usual, Decision::Start);
        check(Facts { served: false, ..usual }, Decision::NotServed);
        check(Facts { is_time: false, ..usual }, Decision::NotYet);
        check(Facts { is_time: false, asked: true, ..usual }, Decision::Start);
        check(Facts { claimed: true, ..usual }, Decision::UnderWay);
        check(Facts { past: Past::Running, ..usual }, Decision::UnderWay);

        for replacement in [Replacement::None, Replacement::Unusable] {
            let served = Facts { replacement, ..usual };
            check(Facts { served: false, ..served }, Decision::NotServed);
        }
        let none = Facts { replacement: Replacement::None, ..usual };
        check(none, Decision::ReplacementMissing);
        check(Facts { is_time: false, ..none }, Decision::InTime);
        let unusable = Facts { replacement: Replacement::Unusable, ..usual };
        check(unusable, Decision::ReplacementUnusable);
        check(Facts { is_time: false, ..unusable }, Decision::ReplacementUnusable);

        let not_newer = Facts { replacement: Replacement::NotNewer, ..usual };
        check(not_newer, Decision::ReplacementMissing);
        check(Facts { is_time: false, ..not_newer }, Decision::InTime);
        check(Facts { asked: true, ..not_newer }, Decision::ReplacementNotNewer);
        check(Facts { is_time: false, asked: true, ..not_newer }, Decision::ReplacementNotNewer);
        check(Facts { served: false, asked: true, ..not_newer }, Decision::NotServed);
        let now_fit = Facts { replacement: Replacement::FitNow, is_time: false, ..usual };
        check(now_fit, Decision::Start);
        check(Facts { claimed: true, ..now_fit }, Decision::UnderWay);
        check(Facts { past: Past::Running, ..now_fit }, Decision::UnderWay);
        check(Facts { past: Past::Failed(hours_ago(1)), ..now_fit }, Decision::Later);
        check(
            Facts { dry_run: true, past: Past::Succeeded(hours_ago(30)), ..now_fit },
            Decision::Rehearsed,
        );

        // A failed rotation is retried once a day, even before the due date and when no target
        // serves the certificate.
        let failed = |hours| Facts { past: Past::Failed(hours_ago(hours)), ..usual };
        check(failed(1), Decision::Later);
        check(Facts { asked: true, ..failed(19) }, Decision::Later);
        check(failed(20), Decision::Start);
        check(Facts { is_time: false, served: false, ..failed(20) }, Decision::Start);

        // A target serves it again, or still: a distribution was created or restored meanwhile.
        let succeeded = |hours| Facts { past: Past::Succeeded(hours_ago(hours)), ..usual };
        check(succeeded(1), Decision::Later);
        check(succeeded(24), Decision::Start);
        // It was left behind, and is deleted once that is possible.
        let left = Facts { served: false, ..succeeded(24) };
        check(left, Decision::Start);
        check(Facts { is_time: false, ..left }, Decision::Start);
        check(Facts { served: false, ..succeeded(1) }, Decision::Later);
        check(Facts { replacement: Replacement::None, is_time: false, ..left }, Decision::InTime);
        check(Facts { delete_old: false, ..left }, Decision::NotServed);
        check(Facts { dry_run: true, ..left }, Decision::NotServed);
        // Another service uses it: its end is still watched.
        let used = Facts { served: false, used_elsewhere: true, ..usual };
        check(used, Decision::UsedElsewhere);
        check(Facts { past: Past::Succeeded(hours_ago(24)), ..used }, Decision::UsedElsewhere);
        check(Facts { is_time: false, ..used }, Decision::NotServed);
        check(Facts { served: true, ..used }, Decision::Start);
        check(Facts { is_time: false, ..succeeded(24) }, Decision::NotYet);
        check(Facts { dry_run: true, ..succeeded(24) }, Decision::Rehearsed);
        check(Facts { dry_run: true, ..failed(24) }, Decision::Start);
    }
}
