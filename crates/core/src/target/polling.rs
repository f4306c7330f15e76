//! How far an update has come, and when to poll it again.

use jiff::{SignedDuration, Timestamp};

use crate::ids::Serves;

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

/// How long to wait before the next look at a deployment, in seconds, after so many looks.
///
/// A change reaches the edges after some minutes, and CloudFront throttles who asks all the time: so there is
/// one look after four intervals, for those that are quick, one after eight, then one each interval, and
/// after twelve intervals ever fewer. With an interval of 25 seconds what takes from 3 to 5 minutes is seen
/// after 6 looks at most, 12 seconds late on average.
pub fn wait_seconds(interval: u64, looks: u64) -> u64 {
    match looks {
        0 | 1 => 4 * interval,
        _ => interval + interval * looks.saturating_sub(5) / 12,
    }
}

/// The interval of [`wait_seconds`]: as configured, but never so short that a deployment that takes until its
/// deadline fills the 25,000 events of its execution's history. Waiting, looking and branching are nine
/// events.
pub fn poll_seconds(configured: u64, deadline: SignedDuration) -> u64 {
    const MOST_LOOKS: u64 = 2_500;
    let deadline = u64::try_from(deadline.as_secs()).unwrap_or(0);
    configured.max(deadline.div_ceil(MOST_LOOKS)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn two_long_waits_then_one_interval_then_ever_longer_ones() {
        for (looks, expected) in
            [(0, 240), (1, 240), (2, 60), (5, 60), (6, 65), (7, 70), (17, 120), (29, 180)]
        {
            assert_eq!(wait_seconds(60, looks), expected, "after {looks}");
        }
    }

    #[test]
    fn what_takes_three_to_five_minutes_is_seen_soon_and_with_few_looks() {
        let (mut late, mut most) = (0, 0);
        for propagation in 181..=300 {
            let (mut at, mut looks) = (0, 0);
            while at < propagation {
                at += wait_seconds(25, looks);
                looks += 1;
            }
            late += at - propagation;
            most = most.max(looks);
        }
        assert_eq!(most, 6);
        assert!(late < 13 * 120, "{} s late on average", late / 120);
    }

    #[test]
    fn a_long_deployment_is_looked_at_ever_less_often_to_its_deadline() {
        let (mut at, mut looks, mut before) = (0, 0, 25);
        while at < 90 * 60 {
            let wait = wait_seconds(25, looks);
            assert!(looks < 2 || wait >= before, "{wait} s after {looks} looks");
            (at, looks, before) = (at + wait, looks + 1, if looks < 2 { 25 } else { wait });
        }
        assert!(looks < 70 && before < 150, "{looks} looks, {before} s between the last two");
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
