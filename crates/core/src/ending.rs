//! What a rotation comes to: the counts, the contract's output, the closing words of a failed one.

pub mod deletion;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::finding::listed;
use crate::ids::TargetId;
use crate::plan::Serves;
use crate::target::record::Record;

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

/// The targets that a rollback puts back: those that were on the old certificate when the plan was made
/// and are on the new one now, each with whether it is `Deployed`.
///
/// Those that are still deploying come first: each of them holds up a lane until it has arrived, so that
/// there are never more under way than there are lanes. Then those that failed, since viewers may have met
/// something there.
pub fn to_put_back(
    planned: &[(TargetId, Serves)],
    seen: &BTreeMap<TargetId, (Serves, bool)>,
    halted: &BTreeSet<TargetId>,
) -> Vec<TargetId> {
    let mut moved: Vec<(bool, bool, TargetId)> = planned
        .iter()
        .filter(|(_, before)| *before == Serves::Old)
        .filter_map(|(target, _)| match seen.get(target) {
            Some((Serves::New, deployed)) => {
                Some((*deployed, !halted.contains(target), target.clone()))
            }
            _ => None,
        })
        .collect();
    moved.sort();
    moved.into_iter().map(|(_, _, target)| target).collect()
}

/// Where a target of a rollback stands, by a fresh look and by what its move back came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutBack {
    /// Which one.
    pub target: TargetId,
    /// What it serves, and whether that is `Deployed`; none if it is gone.
    pub seen: Option<(Serves, bool)>,
    /// The record of this round; none if it was not written.
    pub record: Option<Record>,
}

/// Those that are not back yet: on the new certificate still, not `Deployed`, or not verified. A target
/// with a third certificate, or none, is nobody's to move.
pub fn not_back(round: &[PutBack]) -> Vec<&PutBack> {
    round
        .iter()
        .filter(|one| match one.seen {
            None | Some((Serves::Other, _)) => false,
            Some((Serves::New, _)) => true,
            Some((Serves::Old, deployed)) => {
                !deployed || one.record.as_ref().is_none_or(|record| record.failure.is_some())
            }
        })
        .collect()
}

/// How many targets a closing message names.
const SHOWN: usize = 20;

/// Who failed with what, a line each.
fn failures(halts: &[Halt]) -> String {
    let mut text = String::new();
    for halt in halts.iter().take(SHOWN) {
        text.push_str(&format!("\n{} failed with {}: {}", halt.target, halt.error, halt.cause));
    }
    if halts.len() > SHOWN {
        text.push_str(&format!("\n… and {} more failed", halts.len() - SHOWN));
    }
    text
}

/// The cause of a rotation that ends as `RotationIncomplete` without a rollback: who failed with what,
/// who stands where, and what to do next. `why_not` says why nothing was moved back.
pub fn incomplete(counts: &Counts, halts: &[Halt], left: &[TargetId], why_not: &str) -> String {
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
pub fn rolled_back(put_back: usize, already_current: usize, halts: &[Halt]) -> String {
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
pub fn not_rolled_back(put_back: usize, left: &[&PutBack], halts: &[Halt]) -> String {
    const NAMED: usize = 100;
    let mut text = format!(
        "The rollback could not finish: {put_back} of {} targets serve the old certificate again.",
        put_back + left.len()
    );
    for one in left.iter().take(NAMED) {
        let stands = match one.seen {
            Some((Serves::New, true)) => "serves the new certificate",
            Some((Serves::New, false)) => "serves the new certificate and is not Deployed",
            Some((Serves::Old, false)) => "has the old certificate and is not Deployed",
            _ => "has the old certificate and could not be verified",
        };
        let why = match one.record.as_ref().and_then(|record| record.failure.as_ref()) {
            Some(failure) => format!(": {}: {}", failure.error, failure.cause),
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
    fn what_this_rotation_moved_is_put_back_and_nothing_else() {
        use Serves::{New, Old, Other};
        let planned: Vec<(TargetId, Serves)> =
            [("E1", Old), ("E2", New), ("E3", Old), ("E4", Old), ("E5", Old), ("E6", Old)]
                .map(|(id, serves)| (target(id), serves))
                .to_vec();
        let check = |halted: &str, deploying: &str, expected: [&str; 2]| {
            let seen = [("E1", New), ("E2", New), ("E3", Other), ("E4", Old), ("E6", New)]
                .map(|(id, serves)| (target(id), (serves, id != deploying)))
                .into();
            let moved = to_put_back(&planned, &seen, &[target(halted)].into());
            assert_eq!(moved, expected.map(target));
        };
        check("E6", "", ["E6", "E1"]);
        check("E4", "", ["E1", "E6"]);
        check("E1", "E6", ["E6", "E1"]);
    }

    fn put_back(id: &str, seen: Option<(Serves, bool)>, failure: Option<&str>) -> PutBack {
        let failure = failure.map(|error| crate::target::record::Failure {
            error: error.into(),
            cause: "told so".into(),
        });
        let record = Record {
            target: target(id),
            way: crate::target::record::Way::Back,
            round: 1,
            from: "new".into(),
            to: "old".into(),
            update: None,
            deployment: None,
            verification: None,
            failure,
            at: Timestamp::UNIX_EPOCH,
        };
        PutBack { target: target(id), seen, record: Some(record) }
    }

    #[test]
    fn a_target_is_back_when_it_is_deployed_and_verified() {
        use Serves::{New, Old, Other};
        let unrecorded = |id| PutBack { record: None, ..put_back(id, Some((Old, true)), None) };
        let round = [
            put_back("E1", Some((Old, true)), None),
            put_back("E2", Some((Old, true)), Some("WrongCertificateServed")),
            put_back("E3", Some((Old, false)), None),
            put_back("E4", Some((New, true)), Some("Throttled")),
            put_back("E5", Some((New, false)), None),
            put_back("E6", Some((Other, true)), None),
            put_back("E7", None, None),
            unrecorded("E8"),
        ];
        let left = not_back(&round);
        let ids: Vec<&str> = left.iter().map(|one| one.target.id.as_str()).collect();
        assert_eq!(ids, ["E2", "E3", "E4", "E5", "E8"]);
        let halt = Halt { target: target("E2"), error: "Refused".into(), cause: "no".into() };
        let text = not_rolled_back(1, &left, &[halt]);
        for words in [
            "1 of 6 targets serve the old certificate again",
            "E2 has the old certificate and could not be verified: WrongCertificateServed: told so",
            "E3 has the old certificate and is not Deployed.",
            "E4 serves the new certificate: Throttled: told so",
            "E5 serves the new certificate and is not Deployed.",
            "distribution E2 failed with Refused: no",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn the_closing_words_name_who_failed_who_is_left_and_what_to_do() {
        let halt =
            Halt { target: target("E2"), error: "Refused".into(), cause: "InvalidWebACLId".into() };
        let counts = Counts { total: 3, updated: 1, failed: 2, ..Counts::default() };
        let left = [target("E2"), target("E3")];
        let text =
            incomplete(&counts, std::slice::from_ref(&halt), &left, "Nothing was moved back.");
        assert!(text.starts_with("1 of 3 targets serve the new certificate."));
        assert!(text.contains("distribution E2 failed with Refused: InvalidWebACLId"));
        assert!(text.contains("Still on the old certificate: distribution E2, distribution E3."));
        assert!(text.contains("Nothing was moved back."));
        assert!(text.contains("start a rotation with the same input"));

        let text = rolled_back(2, 1, &[halt]);
        assert!(
            text.starts_with("All 2 targets that had been moved serve the old certificate again.")
        );
        assert!(text.contains("1 served the new certificate before this rotation started"));
        assert!(text.contains("distribution E2 failed with Refused: InvalidWebACLId"));
        assert!(rolled_back(0, 0, &[]).starts_with("No target had been moved"));
    }
}
