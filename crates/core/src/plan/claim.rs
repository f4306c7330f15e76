//! Ensures that only one rotation of a certificate runs at a time.
//!
//! An execution claims the old certificate by writing its name, on the condition that no other
//! claim exists. A claim is never released: it counts only while its holder runs, so an execution
//! that failed, was stopped or vanished blocks nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The holder of a claim, as stored in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The execution's ARN.
    pub execution: String,
    /// Its name.
    pub name: String,
    /// When it claimed the certificate.
    pub claimed_at: Timestamp,
    /// The prefix of its folder.
    #[serde(default)]
    pub folder: Option<String>,
    /// The prefix of the folder of the previous attempt: what failed there is moved last.
    #[serde(default)]
    pub previous: Option<String>,
}

/// The status of a holder in Step Functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It is running, or about to be redriven.
    Running,
    /// It has ended.
    Ended,
    /// There is no such execution.
    Unknown,
}

/// What to do about the claim of another execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It no longer counts: overwrite it.
    TakeOver,
    /// Its holder is running.
    Refuse,
    /// Unknown for now.
    TryLater,
}

/// May the claim of `holder` be taken over?
///
/// DescribeExecution is eventually consistent (Step Functions API reference), so an execution that
/// it does not find may have just been started. Ended executions can be described for 90 days.
pub fn decide(holder: &Holder, liveness: Liveness, now: Timestamp) -> Decision {
    match liveness {
        Liveness::Running => Decision::Refuse,
        Liveness::Ended => Decision::TakeOver,
        Liveness::Unknown
            if now.duration_since(holder.claimed_at) > SignedDuration::from_mins(15) =>
        {
            Decision::TakeOver
        }
        Liveness::Unknown => Decision::TryLater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_counts_while_its_holder_runs() {
        let holder = Holder {
            execution: "arn:aws:states:us-east-1:111122223333:execution:rotation:a".into(),
            name: "a".into(),
            claimed_at: "2026-11-23T12:00:00Z".parse().expect("time"),
            folder: None,
            previous: None,
        };
        let check = |liveness, minutes, expected| {
            let now = holder.claimed_at + SignedDuration::from_mins(minutes);
            assert_eq!(decide(&holder, liveness, now), expected, "{liveness:?} after {minutes}");
        };
        check(Liveness::Running, 1, Decision::Refuse);
        check(Liveness::Running, 500_000, Decision::Refuse);
        check(Liveness::Ended, 0, Decision::TakeOver);
        check(Liveness::Unknown, 1, Decision::TryLater);
        check(Liveness::Unknown, 15, Decision::TryLater);
        check(Liveness::Unknown, 16, Decision::TakeOver);
    }
}
