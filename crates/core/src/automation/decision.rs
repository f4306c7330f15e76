//! Is it time for a certificate, and what is to be done about it now?
//!
//! Time is counted in fractions of a certificate's own lifetime, so that one of 47 days and one of 398 are
//! treated alike.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::certificate::{Certificate, Fingerprint};
use crate::ids::CertificateId;

const DAY: i64 = 24 * 60 * 60;

/// After a rotation ended and left something to do, how long until the next one is started by itself: less
/// than a day, so that tomorrow's look does it even if it is a little early.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(20);

/// When to act, and when to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// It is time when this much of the lifetime remains, in percent.
    pub percent: u8,
    /// Notices are sent when this many days remain. Those that come before it is time are left out: a
    /// certificate of 47 days is not late on its second day.
    pub notice_days: Vec<u16>,
}

impl Schedule {
    /// From when on it is time for this certificate.
    pub fn time_of(&self, certificate: &Certificate) -> Timestamp {
        let lifetime = certificate.not_after().duration_since(certificate.not_before()).as_secs();
        certificate.not_after()
            - SignedDuration::from_secs(lifetime.max(0) * i64::from(self.percent) / 100)
    }

    /// The last of the notices' moments that has come, in days left: 0 once the certificate has expired, none
    /// while there is time.
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

/// Whole days until a certificate expires; negative once it has.
pub fn days_left(certificate: &Certificate, now: Timestamp) -> i64 {
    certificate.not_after().duration_since(now).as_secs().div_euclid(DAY)
}

/// What lies in a source, seen from the certificate that it is to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// The certificate itself, or one that does not live longer.
    None,
    /// Something that cannot take its place.
    Unusable,
    /// One that can.
    Fit,
}

/// What became of the rotations of one certificate to one other that were started by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// There were none.
    None,
    /// One runs.
    Running,
    /// The last one succeeded, then.
    Succeeded(Timestamp),
    /// The last one failed, then.
    Failed(Timestamp),
}

/// All that a decision is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Does any target serve the certificate?
    pub served: bool,
    /// Is it time, see [`Schedule::time_of`]?
    pub is_time: bool,
    /// Did somebody ask: is it an alarm, or has the source changed?
    pub asked: bool,
    /// What lies in the source.
    pub replacement: Replacement,
    /// Is another execution moving the certificate, or moving targets to it?
    pub claimed: bool,
    /// Is only a dry run wanted?
    pub dry_run: bool,
    /// The rotations before.
    pub past: Past,
}

/// What is to be done about a certificate now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// It has no tag `cert-rotation:source`: nothing.
    NotManaged,
    /// Its tags cannot be followed: somebody is to be told.
    SettingsInvalid,
    /// No target serves it: nothing.
    NotServed,
    /// There is no replacement, and there is time.
    InTime,
    /// There is none, and it is time: somebody is to be told.
    ReplacementMissing,
    /// There is one that cannot be used: somebody is to be told.
    ReplacementUnusable,
    /// There is a fit one, and it is not time yet.
    NotYet,
    /// A rotation is at work.
    UnderWay,
    /// The dry run that was wanted has been made.
    Rehearsed,
    /// One has ended within the last day and left something to do: the next look goes on with it.
    Later,
    /// Start one.
    Start,
}

/// The name of the execution that replaces this certificate by that one, but for the number of the attempt: the
/// same for the same two certificates, and different for different ones.
///
/// At most 76 characters of the 80 that an execution's name may have (Step Functions API, `StartExecution`),
/// and only those that CloudWatch Logs shows: letters, digits and hyphens.
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

/// Decides.
pub fn decide(facts: &Facts, now: Timestamp) -> Decision {
    let failed = matches!(facts.past, Past::Failed(_));
    // A rotation that failed may have left a certificate that nothing serves, to be deleted.
    if !facts.served && !failed {
        return Decision::NotServed;
    }
    match facts.replacement {
        Replacement::Unusable => Decision::ReplacementUnusable,
        Replacement::None if facts.is_time => Decision::ReplacementMissing,
        Replacement::None => Decision::InTime,
        Replacement::Fit if facts.claimed => Decision::UnderWay,
        // What was begun is finished, however early it was begun.
        Replacement::Fit if !facts.is_time && !facts.asked && !failed => Decision::NotYet,
        Replacement::Fit => match facts.past {
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
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("time")
    }

    /// A certificate of this many days, from 2026-01-01 on.
    fn of_days(days: i64) -> Certificate {
        let mut params = CertificateParams::new(["www.example.com".to_owned()]).expect("name");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = params.not_before + std::time::Duration::from_secs(days as u64 * 86_400);
        let key = KeyPair::generate().expect("key");
        let der = params.self_signed(&key).expect("signed").der().to_vec();
        Certificate::from_der(der).expect("certificate")
    }

    fn schedule() -> Schedule {
        Schedule { percent: 33, notice_days: vec![45, 30, 14, 7, 3, 1] }
    }

    #[test]
    fn it_is_time_by_the_fraction_that_remains() {
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
    fn notices_have_their_moments_and_short_lives_fewer() {
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
        // 45 days are 96 % of its life, 14 are 30 %.
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
    fn an_executions_name_is_made_of_the_two_certificates() {
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
    fn what_is_to_be_done() {
        let now = time("2026-11-24T06:00:00Z");
        let hours_ago = |hours| now - SignedDuration::from_hours(hours);
        let usual = Facts {
            served: true,
            is_time: true,
            asked: false,
            replacement: Replacement::Fit,
            claimed: false,
            dry_run: false,
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

        // Once a day, and what was begun is finished: before it is time, and when nothing serves it.
        let failed = |hours| Facts { past: Past::Failed(hours_ago(hours)), ..usual };
        check(failed(1), Decision::Later);
        check(Facts { asked: true, ..failed(19) }, Decision::Later);
        check(failed(20), Decision::Start);
        check(Facts { is_time: false, served: false, ..failed(20) }, Decision::Start);

        // It serves again, or still: a distribution was made or put back meanwhile.
        let succeeded = |hours| Facts { past: Past::Succeeded(hours_ago(hours)), ..usual };
        check(succeeded(1), Decision::Later);
        check(succeeded(24), Decision::Start);
        check(Facts { served: false, ..succeeded(24) }, Decision::NotServed);
        check(Facts { is_time: false, ..succeeded(24) }, Decision::NotYet);
        check(Facts { dry_run: true, ..succeeded(24) }, Decision::Rehearsed);
        check(Facts { dry_run: true, ..failed(24) }, Decision::Start);
    }
}
