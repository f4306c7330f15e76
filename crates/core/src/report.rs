//! What a rotation comes to: the counts, the contract's output, the closing words of a failed one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::finding::listed;
use crate::ids::TargetId;
use crate::plan::Serves;

/// `targets` of the output: where the targets of the plan stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All targets of the plan; the sum of the others.
    pub total: usize,
    /// Moved from the old certificate to the new one.
    pub updated: usize,
    /// On the new certificate already when the plan was made.
    pub already_current: usize,
    /// Taken over by somebody else meanwhile, and left alone.
    pub drifted: usize,
    /// Deleted by somebody else meanwhile.
    pub gone: usize,
    /// Not moved, or not deployed in time.
    pub failed: usize,
}

/// A target that failed, as the note in the rotation's folder has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Which one.
    pub target: TargetId,
    /// The step error's name.
    pub error: String,
    /// Its message.
    pub cause: String,
}

/// Where the targets stand after a fresh look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// The counts of the output.
    pub counts: Counts,
    /// Targets that failed or were not begun, and still serve the old certificate.
    pub left: Vec<TargetId>,
}

/// Compares what was planned (and what each target served then) with what is `seen` now.
/// A target that is not seen is gone; one of `halted` has failed whatever it serves.
pub fn review(
    planned: &[(TargetId, Serves)],
    seen: &BTreeMap<TargetId, Serves>,
    halted: &BTreeSet<TargetId>,
) -> Review {
    let mut counts = Counts { total: planned.len(), ..Counts::default() };
    let mut left = Vec::new();
    for (target, before) in planned {
        let count = match (before, seen.get(target)) {
            _ if halted.contains(target) => &mut counts.failed,
            (_, None) => &mut counts.gone,
            (Serves::New, Some(Serves::New)) => &mut counts.already_current,
            (_, Some(Serves::New)) => &mut counts.updated,
            (Serves::Old, Some(Serves::Old)) => &mut counts.failed,
            (_, Some(_)) => &mut counts.drifted,
        };
        *count += 1;
        if seen.get(target) == Some(&Serves::Old) {
            left.push(target.clone());
        }
    }
    Review { counts, left }
}

/// The cause of a rotation that ends as `RotationIncomplete`: who failed with what, who stands where,
/// and what to do next.
pub fn incomplete(counts: &Counts, halts: &[Halt], left: &[TargetId]) -> String {
    const SHOWN: usize = 20;
    let moved = counts.updated + counts.already_current;
    let mut text = format!("{moved} of {} targets serve the new certificate.", counts.total);
    for halt in halts.iter().take(SHOWN) {
        text.push_str(&format!("\n{} failed with {}: {}", halt.target, halt.error, halt.cause));
    }
    if halts.len() > SHOWN {
        text.push_str(&format!("\n… and {} more failed", halts.len() - SHOWN));
    }
    if !left.is_empty() {
        text.push_str(&format!("\nStill on the old certificate: {}.", listed(left)));
    }
    text.push_str(
        "\nBoth certificates are in their stores and nothing was deleted. Cure what the targets failed \
         with, then start a rotation with the same input: it goes on with what is left.",
    );
    text
}

/// The output of a rotation that did not fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// `rotated`, `nothingToDo` or `planned`.
    pub outcome: String,
    /// The certificate that was replaced.
    pub old_certificate: OldCertificate,
    /// The certificate that replaces it.
    pub new_certificate: NewCertificate,
    /// Where the targets stand; of a dry run, where they stood.
    pub targets: Counts,
    /// Where the plan lies, `s3://bucket/key`.
    pub plan: String,
    /// What else is worth knowing, a sentence each.
    pub notes: Vec<String>,
}

/// `oldCertificate` of the output. Fingerprint and expiry are null when it was deleted by an earlier
/// rotation and nothing is left to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OldCertificate {
    /// ACM ARN or IAM server-certificate id.
    pub id: String,
    /// `sha256:` and the hex digest of the leaf's DER.
    pub fingerprint: Option<String>,
    /// End of its validity.
    pub not_after: Option<Timestamp>,
    /// Is it gone from its store?
    pub deleted: bool,
    /// Why not, if it was to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `newCertificate` of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewCertificate {
    /// ACM ARN or IAM server-certificate id; null when it is in no store yet.
    pub id: Option<String>,
    /// `sha256:` and the hex digest of the leaf's DER.
    pub fingerprint: String,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Was it imported by this rotation? False when it lay in the store already.
    pub imported: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TargetKind;

    fn target(id: &str) -> TargetId {
        TargetId { kind: TargetKind::Distribution, id: id.into() }
    }

    #[test]
    fn each_target_is_counted_once_by_what_it_serves_now() {
        use Serves::{New, Old, Other};
        let planned: Vec<(TargetId, Serves)> = [
            ("E1", Old),
            ("E2", New),
            ("E3", Old),
            ("E4", Old),
            ("E5", Old),
            ("E6", Old),
            ("E7", New),
        ]
        .map(|(id, serves)| (target(id), serves))
        .to_vec();
        let seen = [("E1", New), ("E2", New), ("E3", Other), ("E5", Old), ("E6", New), ("E7", Old)]
            .map(|(id, serves)| (target(id), serves))
            .into();
        let review = review(&planned, &seen, &[target("E6")].into());
        assert_eq!(
            review.counts,
            Counts { total: 7, updated: 1, already_current: 1, drifted: 2, gone: 1, failed: 2 }
        );
        assert_eq!(review.left, [target("E5"), target("E7")]);
    }

    #[test]
    fn the_closing_words_name_who_failed_who_is_left_and_what_to_do() {
        let halt =
            Halt { target: target("E2"), error: "Refused".into(), cause: "InvalidWebACLId".into() };
        let counts = Counts { total: 3, updated: 1, failed: 2, ..Counts::default() };
        let text = incomplete(&counts, &[halt], &[target("E2"), target("E3")]);
        assert!(text.starts_with("1 of 3 targets serve the new certificate."));
        assert!(text.contains("distribution E2 failed with Refused: InvalidWebACLId"));
        assert!(text.contains("Still on the old certificate: distribution E2, distribution E3."));
        assert!(text.contains("start a rotation with the same input"));
    }
}
