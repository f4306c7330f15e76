//! Decides what follows after a Map, from the states of the targets: continue, move back, or leave
//! them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ending::Counts;
use crate::ending::words::{incomplete, not_rolled_back, rolled_back};
use crate::failure::Failure;
use crate::ids::{Serves, TargetId};
use crate::plan::state::{Plan, PlannedTarget, TargetState};
use crate::request::OnFailure;
use crate::target::record::{Halt, Record};

/// The output of `review-targets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// What to do next.
    pub next: Next,
    /// The counts of the output.
    pub counts: Counts,
    /// For a rollback: the keys of its lanes, in one wave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<Vec<String>>,
    /// The cause that the execution fails with, unless all is well. In a rollback: the cause in
    /// case this round is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// `next` of a [`Review`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Next {
    /// Every target is on the new certificate, except those that drifted or are gone.
    Complete,
    /// Restore the targets that were moved, or those that are not restored yet.
    RollBack,
    /// Every target that was moved is restored.
    RolledBack,
    /// Targets failed, and all targets are left as they are.
    Incomplete,
}

/// The observed state of the targets after a Map.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The targets of the plan, with what each of them served then.
    pub planned: &'a [PlannedTarget],
    /// What they serve now; a target that is missing here no longer exists.
    pub states: &'a BTreeMap<TargetId, TargetState>,
    /// The targets that failed on the way to the new certificate.
    pub halts: &'a [Halt],
    /// The error of the Map itself, if it failed.
    pub map_failure: Option<&'a Failure>,
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What to do next.
    pub next: Next,
    /// The counts of the output.
    pub counts: Counts,
    /// The targets to be moved back in the next round, in order.
    pub move_back: Vec<TargetId>,
    /// The cause that the execution fails with, unless all is well.
    pub cause: Option<String>,
}

/// Decides after the Map that moves to the new certificate.
pub fn after_forward(plan: &Plan, seen: &Observed<'_>, now: Timestamp) -> Verdict {
    let counts = seen.count(&seen.halted());
    let verdict =
        |next, move_back, cause| Verdict { next, counts, move_back, cause: seen.with_map(cause) };
    if counts.failed == 0 && seen.map_failure.is_none() {
        return Verdict { next: Next::Complete, counts, move_back: Vec::new(), cause: None };
    }
    let mut moved = if plan.restores(now) { seen.moved() } else { Vec::new() };
    if plan.on_failure != OnFailure::Rollback || !plan.restores(now) {
        // Only what failed is restored: what was moved and verified stays.
        let halted = seen.halted();
        moved.retain(|target| halted.contains(target));
        let next = if moved.is_empty() { Next::Incomplete } else { Next::RollBack };
        let cause = incomplete(&counts, seen.halts, &seen.left(), what_was_restored(plan, now));
        return verdict(next, moved, cause);
    }
    if moved.is_empty() {
        let cause = rolled_back(0, counts.already_current, seen.halts);
        return verdict(Next::RolledBack, moved, cause);
    }
    let cause = format!("{} targets were to be restored to the old certificate.", moved.len());
    verdict(Next::RollBack, moved, cause)
}

/// Which targets were restored after a failure, when not all are.
fn what_was_restored(plan: &Plan, now: Timestamp) -> &'static str {
    match plan.on_failure {
        OnFailure::Stop => "No target was restored, since onFailure is stop.",
        OnFailure::Continue if plan.restores(now) => {
            "Targets that failed were restored to the old certificate, and did not hold up the others, since onFailure is continue."
        }
        OnFailure::Continue if plan.old_certificate.has_expired(now) => {
            "Targets that failed did not hold up the others, since onFailure is continue. No target was restored, since the old certificate has expired."
        }
        OnFailure::Continue => {
            "Targets that failed did not hold up the others, since onFailure is continue. No target was restored, since the old certificate may be compromised."
        }
        OnFailure::Rollback => "No target was restored, since the old certificate has expired.",
    }
}

/// Decides after a round of the rollback: `round` are its targets, `records` the records of all
/// rounds.
pub fn after_back(
    plan: &Plan,
    seen: &Observed<'_>,
    now: Timestamp,
    number: u64,
    round: Vec<TargetId>,
    records: Vec<Record>,
) -> Verdict {
    // The other targets were restored in earlier rounds; what those left is in this round.
    let moved = records.len().max(round.len());
    let mut records: BTreeMap<TargetId, Record> = records
        .into_iter()
        .filter(|record| record.round == number)
        .map(|record| (record.target.clone(), record))
        .collect();
    let round: Vec<MovedBack> = round
        .into_iter()
        .map(|target| MovedBack {
            state: seen.states.get(&target).copied(),
            record: records.remove(&target),
            target,
        })
        .collect();
    let left: Vec<&MovedBack> = round.iter().filter(|one| !one.is_done()).collect();
    let counts = seen.count(&BTreeSet::new());
    let (next, cause) = if left.is_empty() && plan.on_failure != OnFailure::Rollback {
        let cause = incomplete(&counts, seen.halts, &seen.left(), what_was_restored(plan, now));
        (Next::Incomplete, cause)
    } else if left.is_empty() {
        let current = seen.planned.iter().filter(|target| target.serves == Serves::New).count();
        (Next::RolledBack, rolled_back(moved, current, seen.halts))
    } else {
        (Next::RollBack, not_rolled_back(moved - left.len(), &left, seen.halts))
    };
    Verdict {
        next,
        counts,
        move_back: left.iter().map(|one| one.target.clone()).collect(),
        cause: Some(cause),
    }
}

impl Observed<'_> {
    fn halted(&self) -> BTreeSet<&TargetId> {
        self.halts.iter().map(|halt| &halt.target).collect()
    }

    fn serves(&self, target: &TargetId) -> Option<Serves> {
        self.states.get(target).map(|state| state.serves)
    }

    /// Counts each target once, by what it serves now. A target in `halted` counts as failed
    /// whatever it serves.
    fn count(&self, halted: &BTreeSet<&TargetId>) -> Counts {
        let mut counts = Counts { total: self.planned.len(), ..Counts::default() };
        for PlannedTarget { id, serves: before, .. } in self.planned {
            let count = match (before, self.serves(id)) {
                _ if halted.contains(id) => &mut counts.failed,
                (_, None) => &mut counts.gone,
                (Serves::New, Some(Serves::New)) => &mut counts.already_current,
                (_, Some(Serves::New)) => &mut counts.updated,
                (Serves::Old, Some(Serves::Old)) => &mut counts.failed,
                (_, Some(_)) => &mut counts.drifted,
            };
            *count += 1;
        }
        counts
    }

    /// The targets that still serve the old certificate.
    fn left(&self) -> Vec<TargetId> {
        let ids = self.planned.iter().map(|target| &target.id);
        ids.filter(|id| self.serves(id) == Some(Serves::Old)).cloned().collect()
    }

    /// The targets that a rollback restores: those that served the old certificate when the plan
    /// was made and serve the new one now.
    ///
    /// Those that are still deploying come first: each occupies a lane until it is deployed, so
    /// that never more targets are in progress than there are lanes. Then come those that failed,
    /// because their viewers may be affected.
    fn moved(&self) -> Vec<TargetId> {
        let halted = self.halted();
        let mut moved: Vec<(bool, bool, &TargetId)> = self
            .planned
            .iter()
            .filter(|target| target.serves == Serves::Old)
            .filter_map(|PlannedTarget { id, .. }| match self.states.get(id) {
                Some(TargetState { serves: Serves::New, deployed }) => {
                    Some((*deployed, !halted.contains(id), id))
                }
                _ => None,
            })
            .collect();
        moved.sort();
        moved.into_iter().map(|(_, _, id)| id.clone()).collect()
    }

    fn with_map(&self, cause: String) -> Option<String> {
        Some(match self.map_failure {
            Some(failure) => format!("{cause}\n{failure}"),
            None => cause,
        })
    }
}

/// The state of a target in a rollback: a fresh read, and the record of its move back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MovedBack {
    /// Which one.
    pub(super) target: TargetId,
    /// What it serves; `None` if it no longer exists.
    pub(super) state: Option<TargetState>,
    /// The record of this round; `None` if it was not written.
    pub(super) record: Option<Record>,
}

impl MovedBack {
    /// Is it finished? Not while it serves the new certificate, is not `Deployed`, or is not
    /// verified. A target with a third certificate, or none, is left alone.
    fn is_done(&self) -> bool {
        match self.state {
            None => true,
            Some(TargetState { serves: Serves::Other, .. }) => true,
            Some(TargetState { serves: Serves::New, .. }) => false,
            Some(TargetState { serves: Serves::Old, deployed }) => {
                let is_verified =
                    self.record.as_ref().is_some_and(|record| record.failure.is_none());
                deployed && is_verified
            }
        }
    }
}

#[cfg(test)]
mod tests;
