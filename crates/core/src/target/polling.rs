//! Evaluates the deployment of an update, and when to poll it again.

use jiff::{SignedDuration, Timestamp};

use crate::ids::Serves;

/// The status of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// Not on all edges yet, or the read is from before the update.
    InProgress,
    /// On all edges.
    Deployed,
    /// Not on all edges, and the deadline has passed.
    Stalled,
    /// The target serves a third certificate now: there is nothing to wait for.
    Drifted,
}

/// The status of the update that was sent at `since`.
///
/// `Deployed` counts only if the same read shows the new certificate: right after an update
/// CloudFront may still return the previous state (CloudFront Developer Guide, "Distribution
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

/// Seconds until the next poll of a deployment, after this many polls.
///
/// A change reaches the edges after some minutes, and CloudFront throttles frequent callers. So the
/// first poll follows after four intervals, for fast deployments, the next after eight, then one
/// each interval, and after twelve intervals they become rarer. With an interval of 25 seconds a
/// deployment that takes 3 to 5 minutes is detected after 6 polls at most, 12 seconds late on
/// average.
pub fn wait_seconds(interval: u64, looks: u64) -> u64 {
    match looks {
        0 | 1 => 4 * interval,
        _ => interval + interval * looks.saturating_sub(5) / 12,
    }
}

/// The interval of [`wait_seconds`]: as configured, but long enough that a deployment that takes
/// until its deadline does not fill the 25,000 events of its execution's history. One poll (wait,
/// poll, branch) is nine events.
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
    fn deployments_of_three_to_five_minutes_are_detected_soon_with_few_polls() {
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
    fn a_long_deployment_is_polled_less_and_less_often_until_its_deadline() {
        let (mut at, mut looks, mut before) = (0, 0, 25);
        while at < 90 * 60 {
            let wait = wait_seconds(25, looks);
            assert!(looks < 2 || wait >= before, "{wait} s after {looks} looks");
            (at, looks, before) = (at + wait, looks + 1, if looks < 2 { 25 } else { wait });
        }
        assert!(looks < 70 && before < 150, "{looks} looks, {before} s between the last two");
    }

    #[test]
    fn deployed_counts_only_together_with_the_new_certificate() {
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
