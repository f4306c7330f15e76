//! Is there room for one more certificate?

use jiff::{SignedDuration, Timestamp};

use crate::failure::Ending;
use crate::finding::Finding;

/// Where the value of a quota is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The account's own value, increases included.
    Applied,
    /// The default of Service Quotas, which knows no value of the account.
    Default,
    /// The default in AWS's documentation, since Service Quotas does not know the quota.
    Documented,
    /// The default in AWS's documentation, since Service Quotas gives no answer.
    Unanswered,
}

/// A quota that one more certificate counts against.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// What people call it.
    pub name: &'static str,
    /// Service code in Service Quotas.
    pub service: &'static str,
    /// Quota code in Service Quotas, `L-…`.
    pub code: &'static str,
    /// The default in AWS's documentation.
    pub documented: f64,
    /// Where to ask for more by hand when Service Quotas cannot.
    pub support: &'static str,
}

/// ACM quotas, per region ("Quotas" in the ACM User Guide). The yearly ones cannot be counted exactly,
/// since deleted certificates are no longer listed: the count is a lower bound.
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
/// Certificates on dedicated IP addresses ("Quotas" in the CloudFront Developer Guide): both the old and
/// the new one count while distributions are moved.
pub const DEDICATED_IP_CERTIFICATES: Quota = Quota {
    name: "CloudFront certificates on dedicated IP addresses",
    service: "cloudfront",
    code: "L-DA9DCC93",
    documented: 2.0,
    support: "Dedicated IP SSL Certificate Limit per Account",
};

/// Whether one more fits.
#[derive(Clone, Debug, PartialEq)]
pub enum Room {
    /// It does.
    Enough,
    /// It does not; ask for this value.
    Full {
        /// One more than is needed, and a tenth of the limit on top, so that the next rotations fit too.
        desired: f64,
    },
}

/// Does one more fit beside `used`?
///
/// More in use than a limit that is only a default means that the account's own limit is another one:
/// then the import itself will tell.
pub fn room(used: u64, limit: f64, origin: Origin) -> Room {
    // Counts of certificates are far below 2^52, where f64 is exact.
    let used = used as f64;
    if used + 1.0 <= limit || (origin != Origin::Applied && used > limit) {
        Room::Enough
    } else {
        Room::Full { desired: used + 1.0 + (limit / 10.0).floor() }
    }
}

/// How AWS has answered a request for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// PENDING, CASE_OPENED.
    Open,
    /// APPROVED.
    Approved,
    /// CASE_CLOSED: the outcome is in the quota, not in the request.
    Closed,
    /// DENIED, NOT_APPROVED, INVALID_REQUEST.
    Refused,
}

/// The latest request for a quota's increase.
#[derive(Clone, Debug, PartialEq)]
pub struct IncreaseRequest {
    /// Its id.
    pub id: String,
    /// How it was answered.
    pub answer: Answer,
    /// The value that was asked for.
    pub desired: f64,
    /// When it was made.
    pub created: Timestamp,
}

/// What to do about a quota that is full.
#[derive(Clone, Debug, PartialEq)]
pub enum Increase {
    /// Ask for one; there is no request of this rotation yet.
    Ask,
    /// One is under way.
    Wait,
    /// It was refused, or took too long.
    GiveUp(Finding),
}

/// What to do, given the latest request, when the rotation began, and what time it is.
///
/// A request from before the rotation that is no longer open has said its word already: the quota is
/// full all the same, so a new one is due. One of this rotation is never repeated.
pub fn increase(
    quota: &Quota,
    latest: Option<&IncreaseRequest>,
    began: Timestamp,
    now: Timestamp,
    deadline: SignedDuration,
) -> Increase {
    // Service Quotas may tell whole seconds only, and a request often follows the start within one.
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

/// What to do about a quota that is full while Service Quotas, which would have to be asked for an increase,
/// gives no answer: wait for it, as long as for an increase.
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

/// How many seconds until the quota is looked at again, after waiting for so long: what is granted by itself is
/// there soon, and what people decide on takes days, while an execution's history has room for 25,000 events.
/// While Service Quotas gives no answer a look is as many retries, so there are fewer looks.
pub fn look_again_seconds(waited: SignedDuration, answers: bool) -> u32 {
    if !answers {
        7_200
    } else if waited < SignedDuration::from_hours(24) {
        900
    } else {
        3_600
    }
}

/// The finding that there is no room and there will be none.
pub fn denied(quota: &Quota, problem: String, cure: String) -> Finding {
    let subject = format!("quota {} ({} {})", quota.name, quota.service, quota.code);
    Finding::new(Ending::QuotaDenied, subject, problem, cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By their codes in Service Quotas and the defaults in the guides of the services.
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
    fn one_more_must_fit() {
        for (used, limit, origin, expected) in [
            (19, 20.0, Origin::Applied, Room::Enough),
            (20, 20.0, Origin::Applied, Room::Full { desired: 23.0 }),
            (25, 20.0, Origin::Applied, Room::Full { desired: 28.0 }),
            (2, 2.0, Origin::Documented, Room::Full { desired: 3.0 }),
            (2_500, 2_500.0, Origin::Default, Room::Full { desired: 2_751.0 }),
            // More than the default in use: the default is not this account's limit.
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
    fn a_request_of_the_second_the_rotation_began_in_is_its_own() {
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
    fn asked_for_once_and_waited_for() {
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
    fn without_an_answer_it_is_waited_for_until_the_deadline() {
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

    /// The longest deadline that the template takes, with every retry of every look.
    #[test]
    fn a_history_holds_all_looks() {
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
    fn a_refusal_or_the_deadline_ends_it() {
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
}
