//! The cause of a rotation that failed after targets were moved: the failures, what each target
//! serves, what to do next.

use crate::ending::Counts;
use crate::ending::rollback::MovedBack;
use crate::finding::listed;
use crate::ids::{Serves, TargetId};
use crate::plan::state::TargetState;
use crate::target::record::Halt;

/// How many targets a cause names.
const SHOWN: usize = 20;

/// The failures, one line each.
fn failures(halts: &[Halt]) -> String {
    let mut text = String::new();
    for halt in halts.iter().take(SHOWN) {
        text.push_str(&format!("\n{} failed with {}", halt.target, halt.failure));
    }
    if halts.len() > SHOWN {
        text.push_str(&format!("\n… and {} more failed", halts.len() - SHOWN));
    }
    text
}

/// The cause of a rotation that ends as `RotationIncomplete` without a rollback: the failures, what
/// the targets serve, and what to do next. `why_not` says why nothing was moved back.
pub(super) fn incomplete(
    counts: &Counts,
    halts: &[Halt],
    left: &[TargetId],
    why_not: &str,
) -> String {
    let moved = counts.updated + counts.already_current;
    let mut text = format!("{moved} of {} targets serve the new certificate.", counts.total);
    text.push_str(&failures(halts));
    if !left.is_empty() {
        text.push_str(&format!("\nStill on the old certificate: {}.", listed(left)));
    }
    text.push_str(&format!(
        "\n{why_not} Both certificates are in their stores and nothing was deleted. Fix the errors of the targets, then start a rotation with the same input: it resumes the remaining work."
    ));
    text
}

/// The cause of a rotation that ends as `RolledBack`.
pub(super) fn rolled_back(put_back: usize, already_current: usize, halts: &[Halt]) -> String {
    let mut text = match put_back {
        0 => "No target had been moved; all serve what they served before.".to_owned(),
        1 => "The one target that had been moved serves the old certificate again.".to_owned(),
        many => format!("All {many} targets that had been moved serve the old certificate again."),
    };
    if already_current > 0 {
        text.push_str(&format!(
            " {already_current} served the new certificate before this rotation started and were left unchanged."
        ));
    }
    text.push_str(&failures(halts));
    text.push_str(
        "\nBoth certificates are in their stores and nothing was deleted. Fix what failed, then start a rotation with the same input.",
    );
    text
}

/// The cause of a rotation that ends as `RotationIncomplete` because its rollback could not finish:
/// what each remaining target serves.
pub(super) fn not_rolled_back(put_back: usize, left: &[&MovedBack], halts: &[Halt]) -> String {
    const NAMED: usize = 100;
    let mut text = format!(
        "The rollback could not finish: {put_back} of {} targets serve the old certificate again.",
        put_back + left.len()
    );
    for one in left.iter().take(NAMED) {
        let stands = match one.state {
            Some(TargetState { serves: Serves::New, deployed: true }) => {
                "serves the new certificate"
            }
            Some(TargetState { serves: Serves::New, deployed: false }) => {
                "serves the new certificate and is not Deployed"
            }
            Some(TargetState { serves: Serves::Old, deployed: false }) => {
                "has the old certificate and is not Deployed"
            }
            _ => "has the old certificate and could not be verified",
        };
        let why = match one.record.as_ref().and_then(|record| record.failure.as_ref()) {
            Some(failure) => format!(": {failure}"),
            None => ".".to_owned(),
        };
        text.push_str(&format!("\n{} {stands}{why}", one.target));
    }
    if left.len() > NAMED {
        text.push_str(&format!("\n… and {} more", left.len() - NAMED));
    }
    text.push_str("\nWhat made the rotation fail:");
    text.push_str(&failures(halts));
    text.push_str(
        "\nBoth certificates are in their stores and nothing was deleted. Fix what blocks those targets, then restore them by hand, or start a rotation with the same input to complete the move to the new certificate.",
    );
    // Step Functions accepts at most 32,768 characters.
    text.chars().take(30_000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn target(number: usize) -> TargetId {
        TargetId::distribution(&format!("E{number}"))
    }

    fn halts(count: usize) -> Vec<Halt> {
        let failure = Failure { error: "Refused".into(), cause: "why".into() };
        (1..=count).map(|n| Halt { target: target(n), failure: failure.clone() }).collect()
    }

    /// The number of failures, how many lines name one, and what is said about the rest.
    #[test]
    fn twenty_failures_are_named_and_the_others_counted() {
        for (count, named, more) in [
            (0, 0, None),
            (19, 19, None),
            (20, 20, None),
            (21, 20, Some("1 more failed")),
            (45, 20, Some("25 more failed")),
        ] {
            let text = failures(&halts(count));
            assert_eq!(text.matches("failed with Refused").count(), named, "{count}: {text}");
            assert_eq!(text.matches("more failed").count(), usize::from(more.is_some()), "{count}");
            assert!(text.contains(more.unwrap_or_default()), "{count}: {text}");
        }
    }

    #[test]
    fn those_that_serve_the_new_certificate_are_counted_together() {
        let counts =
            Counts { total: 6, updated: 3, already_current: 2, failed: 1, ..Counts::default() };
        let text = incomplete(&counts, &halts(1), &[], "");
        assert!(text.starts_with("5 of 6 targets"), "{text}");
        assert!(!text.contains("Still on the old certificate"), "{text}");
    }

    #[test]
    fn the_cause_counts_restored_targets() {
        let none = rolled_back(0, 0, &[]);
        let one = rolled_back(1, 0, &[]);
        let many = rolled_back(7, 2, &[]);
        assert!(none.starts_with("No target"), "{none}");
        assert!(one.starts_with("The one target"), "{one}");
        assert!(many.starts_with("All 7 targets"), "{many}");
        let before = "served the new certificate before this rotation started";
        assert!(!none.contains(before) && !one.contains(before));
        assert!(many.contains(&format!(" 2 {before}")), "{many}");
    }

    /// A hundred are named; Step Functions accepts at most 32,768 characters.
    #[test]
    fn many_unrestored_targets_fit_into_a_cause() {
        let left = |count| -> Vec<MovedBack> {
            (1..=count)
                .map(|n| MovedBack { target: target(n), state: None, record: None })
                .collect()
        };
        for (count, named, more) in [
            (99, 99, None),
            (100, 100, None),
            (101, 100, Some("and 1 more")),
            (250, 100, Some("and 150 more")),
        ] {
            let left = left(count);
            let text = not_rolled_back(3, &left.iter().collect::<Vec<_>>(), &[]);
            assert!(text.contains(&format!("3 of {} targets", count + 3)), "{text}");
            assert_eq!(text.matches("could not be verified.").count(), named, "{text}");
            assert_eq!(text.matches(" more").count(), usize::from(more.is_some()), "{count}");
            assert!(text.contains(more.unwrap_or_default()), "{text}");
        }
        let long = Failure { error: "Refused".into(), cause: "x".repeat(40_000) };
        let halt = Halt { target: target(1), failure: long };
        let text = not_rolled_back(0, &[], &[halt]);
        assert_eq!(text.chars().count(), 30_000);
    }
}
