//! Estimates roughly how long a rotation takes and what it costs, for operators who decide whether
//! to start it.

use jiff::SignedDuration;
use serde::Serialize;

use crate::plan::MAX_LANES;
use crate::target::polling::wait_seconds;

/// From an update until `Deployed`, usually; AWS promises nothing (CloudFront Developer Guide,
/// "Values that CloudFront displays").
const DEPLOYMENT: SignedDuration = SignedDuration::from_mins(5);
/// The steps of a target around its deployment: update, verification, records, and their states.
const AROUND: SignedDuration = SignedDuration::from_secs(15);
/// The steps around the targets: plan, quotas, import, review, deletion, report.
const FRAME: SignedDuration = SignedDuration::from_secs(60);

/// State transitions of a target, without the polls of its deployment.
const TRANSITIONS_OF_A_TARGET: u64 = 10;
/// State transitions of one poll: wait, poll, branch.
const TRANSITIONS_OF_A_LOOK: u64 = 3;
/// State transitions around the targets.
const TRANSITIONS_AROUND: u64 = 25;
/// Standard workflows in us-east-1, per transition, from the page "AWS Step Functions pricing".
const USD_OF_A_TRANSITION: f64 = 0.025 / 1_000.0;
/// Share of Lambda, S3, logs and traces together, in addition; see docs/cost.md.
const SHARE_OF_THE_REST: f64 = 0.2;

/// An estimate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// From start to end, in seconds.
    pub seconds: i64,
    /// At list prices, in US dollars; without the price of dedicated IP addresses.
    pub usd: f64,
}

/// Estimates a rotation that moves `to_move` targets, `concurrency` at once, with `poll_seconds`
/// between two polls of a deployment.
pub fn estimate(to_move: usize, concurrency: u64, poll_seconds: u64) -> Estimate {
    let lanes = usize::try_from(concurrency.clamp(1, MAX_LANES)).unwrap_or(1);
    // With several lanes the first target goes alone.
    let rounds = if lanes == 1 {
        to_move
    } else {
        1.min(to_move) + to_move.saturating_sub(1).div_ceil(lanes)
    };
    let rounds = i32::try_from(rounds).unwrap_or(i32::MAX);
    let (mut at, mut looks) = (0, 0);
    while at < DEPLOYMENT.as_secs().unsigned_abs() {
        at += wait_seconds(poll_seconds.max(1), looks);
        looks += 1;
    }
    Estimate {
        seconds: (FRAME + (DEPLOYMENT + AROUND) * rounds).as_secs(),
        usd: transitions(to_move, looks) as f64 * USD_OF_A_TRANSITION * (1.0 + SHARE_OF_THE_REST),
    }
}

/// State transitions of a rotation, with this many polls of each deployment.
fn transitions(to_move: usize, looks: u64) -> u64 {
    TRANSITIONS_AROUND + to_move as u64 * (TRANSITIONS_OF_A_TARGET + looks * TRANSITIONS_OF_A_LOOK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counted costs of whole rotations; docs/cost.md uses the same numbers.
    const COUNTED: &str = include_str!("../../../steps/tests/it/rotations/counts.json");

    #[test]
    fn the_estimate_is_near_the_counted_cost() {
        let counted: serde_json::Value = serde_json::from_str(COUNTED).expect("JSON");
        for count in [10, 100, 200] {
            let of = &counted[count.to_string()];
            let looks = of["invocations"]["poll-deployment"].as_u64().expect("a number");
            let counted = of["stateTransitions"].as_f64().expect("a number");
            let estimated = transitions(count, looks / count as u64) as f64;
            // The estimate is rather too high than too low.
            let ratio = estimated / counted;
            assert!((1.0..1.06).contains(&ratio), "{count}: {estimated} of {counted}");
        }
    }

    #[test]
    fn twelve_distributions_in_sequence_cost_what_the_page_says() {
        let twelve = estimate(12, 1, 25);
        assert_eq!(twelve.seconds, 60 + 12 * 315);
        assert!((0.0107..0.0109).contains(&twelve.usd), "{twelve:?}");
    }

    #[test]
    fn lanes_reduce_the_time_but_not_the_cost() {
        for (to_move, concurrency, rounds) in
            [(0, 1, 0), (0, 5, 0), (1, 5, 1), (6, 5, 2), (7, 5, 3), (10_000, 1_000, 251), (3, 0, 3)]
        {
            let one = estimate(to_move, concurrency, 30);
            assert_eq!(one.seconds, 60 + rounds * 315, "{to_move} at {concurrency}");
            assert_eq!(one.usd, estimate(to_move, 1, 30).usd);
        }
    }
}
