//! Decides whether there is room for one more certificate.

use jiff::{SignedDuration, Timestamp};

use crate::failure::Ending;
use crate::finding::Finding;

/// Where the value of a quota comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The account's own value, including increases.
    Applied,
    /// The default in Service Quotas, which has no value for this account.
    Default,
    /// The default in AWS's documentation, because Service Quotas does not list the quota.
    Documented,
    /// The default in AWS's documentation, because Service Quotas is unavailable.
    Unanswered,
}

/// A quota that one more certificate counts against.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// Its name in messages.
    pub name: &'static str,
    /// Service code in Service Quotas.
    pub service: &'static str,
    /// Quota code in Service Quotas, `L-…`.
    pub code: &'static str,
    /// The default in AWS's documentation.
    pub documented: f64,
    /// Where to request more by hand when Service Quotas cannot.
    pub support: &'static str,
}

/// ACM quotas, per region ("Quotas" in the ACM User Guide). The usage of the yearly ones is a lower
/// bound, because deleted certificates are no longer listed.
pub const ACM_CERTIFICATES: Quota = Quota {
    name: "ACM certificates",
    service: "acm",
    code: "L-F141DD1D",
    documented: 2_500.0,
    support: "Number of ACM certificates",
};
/// See [`ACM_CERTIFICATES`].
pub const ACM_CERTIFICATES_IN_YEAR: Quota = Quota {
    name: "ACM certificates created in the last 365 days",
    code: "L-DA1D8B98",
    documented: 5_000.0,
    ..ACM_CERTIFICATES
};
/// See [`ACM_CERTIFICATES`].
pub const ACM_IMPORTED: Quota =
    Quota { name: "imported certificates", code: "L-D2CB7DE9", ..ACM_CERTIFICATES };
/// See [`ACM_CERTIFICATES`].
pub const ACM_IMPORTED_IN_YEAR: Quota = Quota {
    name: "certificates imported in the last 365 days",
    code: "L-3808DC70",
    documented: 5_000.0,
    ..ACM_CERTIFICATES
};
/// IAM server certificates of the account ("IAM and AWS STS quotas").
pub const IAM_SERVER_CERTIFICATES: Quota = Quota {
    name: "IAM server certificates",
    service: "iam",
    code: "L-BF35879D",
    documented: 20.0,
    support: "Server Certificate Limit (IAM)",
};
/// Certificates on dedicated IP addresses ("Quotas" in the CloudFront Developer Guide): the old and
/// the new one both count while distributions are moved.
pub const DEDICATED_IP_CERTIFICATES: Quota = Quota {
    name: "CloudFront certificates on dedicated IP addresses",
    service: "cloudfront",
    code: "L-DA9DCC93",
    documented: 2.0,
    support: "Dedicated IP SSL Certificate Limit per Account",
};

/// Whether there is room for one more.
#[derive(Clone, Debug, PartialEq)]
pub enum Room {
    /// There is.
    Enough,
    /// There is not; request this value.
    Full {
        /// One more than needed, plus a tenth of the limit, so that the next rotations fit too.
        desired: f64,
    },
}

/// Is there room for one more besides `used`?
///
/// A usage above a limit that is only a default means that the account has a different limit; then
/// the import itself decides.
pub fn room(used: u64, limit: f64, origin: Origin) -> Room {
    // Counts of certificates are far below 2^52, so f64 is exact.
    let used = used as f64;
    if used + 1.0 <= limit || (origin != Origin::Applied && used > limit) {
        Room::Enough
    } else {
        Room::Full { desired: used + 1.0 + (limit / 10.0).floor() }
    }
}

/// A note if so little room is left after one more certificate that the next rotations may have to
/// wait: less than a tenth of the limit, and less than one more. `None` for dedicated IP addresses,
/// which always have room for the old and the new certificate only.
pub fn nearly_full(quota: &Quota, used: u64, limit: f64) -> Option<String> {
    let with_new = used as f64 + 1.0;
    let left = limit - with_new;
    (*quota != DEDICATED_IP_CERTIFICATES && left >= 0.0 && left < (limit / 10.0).max(1.0)).then(|| {
        format!(
            "Nearly full: with the new certificate, {with_new} of {limit} {} are in use, and a full quota makes rotations wait. Delete certificates that nothing uses, or request an increase (Service Quotas, {} {}).",
            quota.name, quota.service, quota.code
        )
    })
}

/// The status of an increase request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// PENDING, CASE_OPENED.
    Open,
    /// APPROVED.
    Approved,
    /// CASE_CLOSED: the outcome shows in the quota, not in the request.
    Closed,
    /// DENIED, NOT_APPROVED, INVALID_REQUEST.
    Refused,
}

/// The latest request to increase a quota.
#[derive(Clone, Debug, PartialEq)]
pub struct IncreaseRequest {
    /// Its id.
    pub id: String,
    /// Its status.
    pub answer: Answer,
    /// The requested value.
    pub desired: f64,
    /// When it was created.
    pub created: Timestamp,
}

/// What to do about a full quota.
#[derive(Clone, Debug, PartialEq)]
pub enum Increase {
    /// Request an increase; this rotation has not requested one yet.
    Ask,
    /// Wait: a request is open.
    Wait,
    /// It was refused, or took too long.
    GiveUp(Finding),
}

/// Decides what to do, from the latest request, the start of the rotation, and the current time.
///
/// A request that was made and closed before the rotation does not count: the quota is full
/// nevertheless, so a new request is due. A request of this rotation is never repeated.
pub fn increase(
    quota: &Quota,
    latest: Option<&IncreaseRequest>,
    began: Timestamp,
    now: Timestamp,
    deadline: SignedDuration,
) -> Increase {
    // Service Quotas may return whole seconds, and the request often follows within the first
    // second of the rotation.
    let is_ours = |r: &IncreaseRequest| r.created.as_second() >= began.as_second();
    let Some(request) = latest.filter(|r| r.answer == Answer::Open || is_ours(r)) else {
        return Increase::Ask;
    };
    let by_hand = format!(
        "ask AWS Support for \"{}\", or delete certificates that nothing uses, and start the rotation again",
        quota.support
    );
    match request.answer {
        Answer::Refused | Answer::Closed => Increase::GiveUp(denied(
            quota,
            format!("no room for one more, and AWS refused the increase to {} (request {})", request.desired, request.id),
            by_hand,
        )),
        Answer::Open | Answer::Approved if now.duration_since(began) > deadline => {
            Increase::GiveUp(denied(
                quota,
                format!(
                    "no room for one more, and the increase to {} (request {}) was not granted within {} hours",
                    request.desired,
                    request.id,
                    deadline.as_hours()
                ),
                "follow up that request in Service Quotas; when it is granted, start the rotation again".into(),
            ))
        }
        Answer::Open | Answer::Approved => Increase::Wait,
    }
}

/// What to do about a full quota while Service Quotas, which an increase has to be requested from,
/// is unavailable: wait, as long as for an increase.
pub fn unanswered(
    quota: &Quota,
    silence: &str,
    began: Timestamp,
    now: Timestamp,
    deadline: SignedDuration,
) -> Increase {
    if now.duration_since(began) <= deadline {
        return Increase::Wait;
    }
    Increase::GiveUp(denied(
        quota,
        format!(
            "no room for one more, and no increase could be requested from Service Quotas within {} hours: {silence}",
            deadline.as_hours()
        ),
        "check Service Quotas on the AWS Health Dashboard, or delete certificates that nothing uses, and start the rotation again".into(),
    ))
}

/// Seconds until the quota is polled again, after waiting this long. Increases that are granted
/// automatically arrive soon; those that people decide on take days, while the history of an
/// execution holds 25,000 events. While Service Quotas is unavailable each poll includes all its
/// retries, so polls are rarer.
pub fn look_again_seconds(waited: SignedDuration, answers: bool) -> u32 {
    if !answers {
        7_200
    } else if waited < SignedDuration::from_hours(24) {
        900
    } else {
        3_600
    }
}

/// The finding that there is no room and will not be.
pub fn denied(quota: &Quota, problem: String, cure: String) -> Finding {
    let subject = format!("quota {} ({} {})", quota.name, quota.service, quota.code);
    Finding::new(Ending::QuotaDenied, subject, problem, cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes in Service Quotas and the defaults in the guides of the services.
    #[test]
    fn the_quotas_that_a_certificate_counts_against() {
        let told = [
            ACM_CERTIFICATES,
            ACM_CERTIFICATES_IN_YEAR,
            ACM_IMPORTED,
            ACM_IMPORTED_IN_YEAR,
            IAM_SERVER_CERTIFICATES,
            DEDICATED_IP_CERTIFICATES,
        ]
        .map(|quota| (quota.service, quota.code, quota.documented, quota.name));
        let expected = [
            ("acm", "L-F141DD1D", 2_500.0, "ACM certificates"),
            ("acm", "L-DA1D8B98", 5_000.0, "ACM certificates created in the last 365 days"),
            ("acm", "L-D2CB7DE9", 2_500.0, "imported certificates"),
            ("acm", "L-3808DC70", 5_000.0, "certificates imported in the last 365 days"),
            ("iam", "L-BF35879D", 20.0, "IAM server certificates"),
            ("cloudfront", "L-DA9DCC93", 2.0, "CloudFront certificates on dedicated IP addresses"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn there_must_be_room_for_one_more() {
        for (used, limit, origin, expected) in [
            (19, 20.0, Origin::Applied, Room::Enough),
            (20, 20.0, Origin::Applied, Room::Full { desired: 23.0 }),
            (25, 20.0, Origin::Applied, Room::Full { desired: 28.0 }),
            (2, 2.0, Origin::Documented, Room::Full { desired: 3.0 }),
            (2_500, 2_500.0, Origin::Default, Room::Full { desired: 2_751.0 }),
            // Usage above the default: the account has a different limit.
            (2_501, 2_500.0, Origin::Default, Room::Enough),
            (3, 2.0, Origin::Documented, Room::Enough),
            (0, 0.0, Origin::Applied, Room::Full { desired: 1.0 }),
            (2_500, 2_500.0, Origin::Unanswered, Room::Full { desired: 2_751.0 }),
            (2_501, 2_500.0, Origin::Unanswered, Room::Enough),
        ] {
            assert_eq!(room(used, limit, origin), expected, "{used} of {limit} {origin:?}");
        }
    }

    fn time(text: &str) -> Timestamp {
        format!("2026-11-{text}Z").parse().unwrap()
    }

    fn check(answer: Option<(Answer, &str)>, now: &str) -> Increase {
        let request = answer.map(|(answer, created)| IncreaseRequest {
            id: "r-1".into(),
            answer,
            desired: 23.0,
            created: time(created),
        });
        increase(
            &IAM_SERVER_CERTIFICATES,
            request.as_ref(),
            time("10T12:00:00"),
            time(now),
            SignedDuration::from_hours(48),
        )
    }

    #[test]
    fn a_request_in_the_second_of_the_start_belongs_to_the_rotation() {
        let request = IncreaseRequest {
            id: "r-1".into(),
            answer: Answer::Refused,
            desired: 23.0,
            created: time("10T12:00:00"),
        };
        let began = time("10T12:00:00.9");
        let now = time("10T12:00:05");
        let deadline = SignedDuration::from_hours(48);
        let answer = increase(&IAM_SERVER_CERTIFICATES, Some(&request), began, now, deadline);
        assert!(matches!(answer, Increase::GiveUp(_)), "not asked for twice: {answer:?}");
    }

    #[test]
    fn an_increase_is_requested_once_and_awaited() {
        let (before, after, now) = ("01T00:00:00", "10T13:00:00", "11T00:00:00");
        for (request, expected) in [
            (None, Increase::Ask),
            (Some((Answer::Approved, before)), Increase::Ask),
            (Some((Answer::Refused, before)), Increase::Ask),
            (Some((Answer::Closed, before)), Increase::Ask),
            (Some((Answer::Open, before)), Increase::Wait),
            (Some((Answer::Open, after)), Increase::Wait),
            (Some((Answer::Approved, after)), Increase::Wait),
        ] {
            assert_eq!(check(request, now), expected, "{request:?}");
        }
    }

    #[test]
    fn an_outage_is_awaited_until_the_deadline() {
        let check = |now| {
            let deadline = SignedDuration::from_hours(48);
            unanswered(&ACM_IMPORTED, "told so", time("10T12:00:00"), time(now), deadline)
        };
        assert_eq!(check("12T12:00:00"), Increase::Wait);
        let Increase::GiveUp(finding) = check("12T12:00:01") else { panic!("it should end") };
        assert_eq!(finding.ending, Ending::QuotaDenied);
        let told = finding.to_string();
        assert!(
            told.contains(
                "no increase could be requested from Service Quotas within 48 hours: told so"
            ),
            "{told}"
        );
    }

    /// The longest deadline that the template accepts, with every retry of every poll.
    #[test]
    fn a_history_holds_all_polls() {
        for answers in [true, false] {
            let (mut waited, mut events) = (SignedDuration::ZERO, 0);
            while waited < SignedDuration::from_hours(600) {
                // CheckQuota, AssumeQuota after its eleven attempts, two Choices and a Wait.
                events += if answers { 9 } else { 9 + 10 * 3 + 5 };
                waited += SignedDuration::from_secs(look_again_seconds(waited, answers).into());
            }
            assert!(events < 20_000, "{answers}: {events}");
        }
        assert_eq!(look_again_seconds(SignedDuration::from_hours(23), true), 900);
        assert_eq!(look_again_seconds(SignedDuration::from_hours(24), true), 3_600);
    }

    #[test]
    fn a_refusal_or_the_deadline_ends_the_wait() {
        for (answer, now, told) in [
            (Answer::Refused, "10T14:00:00", "AWS refused the increase to 23 (request r-1)"),
            (Answer::Closed, "10T14:00:00", "AWS refused the increase to 23 (request r-1)"),
            (Answer::Open, "12T12:00:01", "was not granted within 48 hours"),
            (Answer::Approved, "12T12:00:01", "was not granted within 48 hours"),
        ] {
            let Increase::GiveUp(finding) = check(Some((answer, "10T13:00:00")), now) else {
                panic!("{answer:?} at {now} should end the rotation");
            };
            assert_eq!(finding.ending, Ending::QuotaDenied);
            assert!(finding.to_string().contains(told), "{finding}");
            assert!(finding.subject.contains("L-BF35879D"));
        }
        assert_eq!(check(Some((Answer::Open, "10T13:00:00")), "12T12:00:00"), Increase::Wait);
    }

    #[test]
    fn a_quota_that_is_nearly_full_is_noted() {
        let check = |quota: &Quota, used, limit, near: bool| {
            assert_eq!(nearly_full(quota, used, limit).is_some(), near, "{used} of {limit}");
        };
        check(&IAM_SERVER_CERTIFICATES, 17, 20.0, false);
        check(&IAM_SERVER_CERTIFICATES, 18, 20.0, true);
        check(&IAM_SERVER_CERTIFICATES, 19, 20.0, true);
        // Then there is no room, which is more than a note.
        check(&IAM_SERVER_CERTIFICATES, 20, 20.0, false);
        check(&ACM_IMPORTED, 2_249, 2_500.0, false);
        check(&ACM_IMPORTED, 2_250, 2_500.0, true);
        check(&ACM_IMPORTED, 2, 4.0, false);
        check(&ACM_IMPORTED, 3, 4.0, true);
        check(&DEDICATED_IP_CERTIFICATES, 1, 2.0, false);
        assert_eq!(
            nearly_full(&IAM_SERVER_CERTIFICATES, 18, 20.0).as_deref(),
            Some(
                "Nearly full: with the new certificate, 19 of 20 IAM server certificates are in use, and a full quota makes rotations wait. Delete certificates that nothing uses, or request an increase (Service Quotas, iam L-BF35879D)."
            )
        );
    }
}
