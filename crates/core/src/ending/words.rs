//! The cause of a rotation that failed after targets were moved: who failed with what, who serves what, what to do next.

use crate::ending::Counts;
use crate::ending::rollback::MovedBack;
use crate::finding::listed;
use crate::ids::{Serves, TargetId};
use crate::plan::state::TargetState;
use crate::target::record::Halt;

/// How many targets a closing message names.
const SHOWN: usize = 20;

/// Who failed with what, a line each.
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

/// The cause of a rotation that ends as `RotationIncomplete` without a rollback: who failed with what,
/// who stands where, and what to do next. `why_not` says why nothing was moved back.
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
/// exactly which target stands where.
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
    // Step Functions takes at most 32,768 characters.
    text.chars().take(30_000).collect()
}
