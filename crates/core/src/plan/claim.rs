//! One rotation of a certificate at a time.
//!
//! An execution claims the old certificate by writing its own name down, under the condition that
//! nobody else's is there. The claim is never given back: it counts only as long as its holder runs,
//! so none is left behind by an execution that failed, was stopped or vanished.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Who holds a certificate, as the object in the bucket says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The execution's ARN.
    pub execution: String,
    /// Its name.
    pub name: String,
    /// When it claimed the certificate.
    pub claimed_at: Timestamp,
}

/// What Step Functions says of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs, or is about to be redriven.
    Running,
    /// It has come to an end.
    Ended,
    /// There is no such execution.
    Unknown,
}

/// What to do about a claim that somebody else has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It counts for nothing: write over it.
    TakeOver,
    /// Its holder is at work.
    Refuse,
    /// Cannot be said yet.
    TryLater,
}

/// May a claim of `holder` be taken over?
///
/// DescribeExecution is eventually consistent (Step Functions API reference), so an execution that it
/// does not know may have been started just now. Ended ones are known for 90 days.
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
    fn a_claim_counts_as_long_as_its_holder_runs() {
        let holder = Holder {
            execution: "arn:aws:states:us-east-1:111122223333:execution:rotation:a".into(),
            name: "a".into(),
            claimed_at: "2026-11-23T12:00:00Z".parse().expect("time"),
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
