//! One target on its way from one certificate to another.

use jiff::{SignedDuration, Timestamp};

use crate::plan::Serves;

/// What to do with a target that was just read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It serves the certificate it is to be moved from.
    Switch,
    /// It serves the other one already: by an earlier attempt, an earlier rotation or by hand.
    AlreadyThere,
    /// It serves a third certificate: somebody else has taken it over.
    Drifted,
}

/// Should this target be moved?
pub fn decide(serves: Serves) -> Move {
    match serves {
        Serves::Old => Move::Switch,
        Serves::New => Move::AlreadyThere,
        Serves::Other => Move::Drifted,
    }
}

/// How far an update has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// Not everywhere yet, or the read is from before the update.
    InProgress,
    /// Everywhere.
    Deployed,
    /// Not everywhere, and the deadline has passed.
    Stalled,
    /// It serves a third certificate now: there is nothing to wait for.
    Drifted,
}

/// How far has the update come that was sent at `since`?
///
/// `Deployed` is believed only while the same read shows the new certificate: right after an update
/// CloudFront may still answer with the state before it (CloudFront Developer Guide, "Distribution
/// status" and eventual consistency).
pub fn deployment(
    deployed: bool,
    serves: Serves,
    since: Timestamp,
    now: Timestamp,
    deadline: SignedDuration,
) -> Deployment {
    match serves {
        Serves::Other => Deployment::Drifted,
        Serves::New if deployed => Deployment::Deployed,
        Serves::New | Serves::Old if now.duration_since(since) > deadline => Deployment::Stalled,
        Serves::New | Serves::Old => Deployment::InProgress,
    }
}

/// How long to wait between two looks at a deployment, in seconds: as configured, but never so short
/// that a deployment that takes until its deadline fills the 25,000 events of its execution's history.
/// Waiting, looking and branching are nine events.
pub fn poll_seconds(configured: u64, deadline: SignedDuration) -> u64 {
    const MOST_LOOKS: u64 = 2_500;
    let deadline = u64::try_from(deadline.as_secs()).unwrap_or(0);
    configured.max(deadline.div_ceil(MOST_LOOKS)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_certificate_it_is_moved_from_is_switched() {
        assert_eq!(decide(Serves::Old), Move::Switch);
        assert_eq!(decide(Serves::New), Move::AlreadyThere);
        assert_eq!(decide(Serves::Other), Move::Drifted);
    }

    #[test]
    fn no_deployment_fills_its_history() {
        for (configured, minutes, expected) in
            [(30, 90, 30), (1, 30, 1), (1, 90, 3), (0, 1, 1), (5, 1_440, 35)]
        {
            let seconds = poll_seconds(configured, SignedDuration::from_mins(minutes));
            assert_eq!(seconds, expected, "{configured} s, {minutes} min");
            assert!(minutes as u64 * 60 / seconds * 9 < 25_000);
        }
    }

    #[test]
    fn deployed_is_believed_only_with_the_new_certificate_in_view() {
        let since: Timestamp = "2026-11-23T20:00:00Z".parse().unwrap();
        let deadline = SignedDuration::from_mins(90);
        for (deployed, serves, minutes, expected) in [
            (false, Serves::New, 1, Deployment::InProgress),
            (true, Serves::New, 1, Deployment::Deployed),
            (true, Serves::Old, 1, Deployment::InProgress),
            (false, Serves::Old, 90, Deployment::InProgress),
            (false, Serves::New, 91, Deployment::Stalled),
            (true, Serves::Old, 91, Deployment::Stalled),
            (true, Serves::New, 91, Deployment::Deployed),
            (true, Serves::Other, 1, Deployment::Drifted),
            (false, Serves::Other, 91, Deployment::Drifted),
        ] {
            let now = since + SignedDuration::from_mins(minutes);
            assert_eq!(
                deployment(deployed, serves, since, now, deadline),
                expected,
                "{deployed} {serves:?} {minutes}"
            );
        }
    }
}
