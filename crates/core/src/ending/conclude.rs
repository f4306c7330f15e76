//! Concludes a rotation from its collected state.

use serde::Deserialize;
use serde_json::Value;

use crate::ending::deletion::Deletion;
use crate::ending::rollback::{Next, Review};
use crate::ending::{CertificateSummary, Counts, NewCertificate, OldCertificate, Output};
use crate::failure::{Ending, Failure};
use crate::plan::Outcome;
use crate::plan::state::{Execution, Imported, Plan};

/// The state of a rotation, as far as it got.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationState {
    /// The input of the execution.
    #[serde(default)]
    pub request: Value,
    /// The execution.
    pub execution: Execution,
    /// The plan, if it was made.
    pub plan: Option<Plan>,
    /// The result of the quota check, which may be an error.
    #[serde(default)]
    pub quota: QuotaNote,
    /// The new certificate, if it was imported.
    pub new_certificate: Option<Imported>,
    /// The states of the targets, if they were reviewed.
    pub review: Option<Review>,
    /// The outcome of the deletion of the old certificate, if it was attempted.
    pub deletion: Option<Deletion>,
    /// The error of the deletion.
    pub deletion_failure: Option<Failure>,
    /// The error of another step.
    pub failure: Option<Failure>,
    /// The error of an earlier attempt to write the report: then it is not written again.
    pub report_failure: Option<Failure>,
}

/// The part of the quota check that the output mentions.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct QuotaNote {
    /// Quotas that are nearly full, and whether Service Quotas was unavailable.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How a rotation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Successfully: the output.
    Succeeded(Box<Output>),
    /// Under a name of the contract.
    Failed {
        /// The name.
        ending: Ending,
        /// What is wrong and what to do.
        cause: String,
    },
}

/// A state that the state machine cannot produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unconcluded {
    /// There is neither plan nor failure.
    #[error("a rotation ended without a plan or an error")]
    NoPlan,
    /// Targets were to be moved, but were not reviewed.
    #[error("a rotation ended without a review")]
    NoReview,
}

/// Concludes a rotation.
///
/// # Errors
/// A state that fits no ending, which is a defect.
pub fn conclude(state: &RotationState) -> Result<End, Unconcluded> {
    let end = match (&state.review, &state.failure) {
        (Some(review), failure) if review.next != Next::Complete => {
            failed(review, failure.as_ref())
        }
        (None, Some(failure)) => broken_off(state, failure),
        _ => End::Succeeded(Box::new(output(state)?)),
    };
    Ok(match &state.report_failure {
        Some(failure) => without_report(end, failure),
        None => end,
    })
}

/// Targets failed.
fn failed(review: &Review, failure: Option<&Failure>) -> End {
    let cause = review.cause.clone().unwrap_or_default();
    match (review.next, failure) {
        (Next::RolledBack, _) => End::Failed { ending: Ending::RolledBack, cause },
        (_, None) => End::Failed { ending: Ending::RotationIncomplete, cause },
        (_, Some(failure)) => {
            End::Failed { ending: Ending::RotationIncomplete, cause: format!("{cause}\n{failure}") }
        }
    }
}

/// A step failed. Its error name is kept if it is a name of the contract; any other error means
/// that the rotation is incomplete.
fn broken_off(state: &RotationState, failure: &Failure) -> End {
    if let Some(ending) = Ending::named(&failure.error) {
        return End::Failed { ending, cause: failure.message() };
    }
    let changed = match &state.new_certificate {
        None if state.plan.is_none() => "Nothing was changed.".to_owned(),
        None => "No target was changed; an import or a quota request may have succeeded, and the next execution finds it.".to_owned(),
        Some(imported) => format!(
            "The new certificate is in its store as {}; check the children of this execution for the targets that were moved. Nothing was deleted.",
            imported.id
        ),
    };
    let cause = format!(
        "{failure}\n{changed} Fix the cause, then start a rotation with the same input: it resumes the remaining work."
    );
    End::Failed { ending: Ending::RotationIncomplete, cause }
}

/// A rotation without a report counts as incomplete, whatever else succeeded.
fn without_report(end: End, failure: &Failure) -> End {
    let why = format!("The report could not be written: {failure}");
    match end {
        End::Failed { ending, cause } => End::Failed { ending, cause: format!("{cause}\n{why}") },
        End::Succeeded(output) => End::Failed {
            ending: Ending::RotationIncomplete,
            cause: format!(
                "The rotation reached its goal ({}). {why}\nFix that, then start a rotation with the same input, or redrive this one: it checks whether anything remains to be done.",
                output.outcome
            ),
        },
    }
}

fn output(state: &RotationState) -> Result<Output, Unconcluded> {
    let plan = state.plan.as_ref().ok_or(Unconcluded::NoPlan)?;
    let (outcome, targets) = match (plan.outcome, &state.review) {
        (Outcome::NothingToDo, _) => ("nothingToDo", as_planned(plan)),
        (Outcome::Planned, _) => ("planned", as_planned(plan)),
        (Outcome::Rotate, Some(review)) => ("rotated", review.counts),
        (Outcome::Rotate, None) => return Err(Unconcluded::NoReview),
    };
    let deletion = state.deletion();
    let old = &plan.old_certificate;
    let id = old.id.as_ref().map_or(&old.given[..], |id| id.id()).to_owned();
    Ok(Output {
        outcome: outcome.to_owned(),
        old_certificate: OldCertificate {
            certificate: CertificateSummary { id: Some(id), ..state.old_certificate(plan) },
            deleted: old.id.is_none() || deletion.as_ref().is_some_and(|one| one.deleted),
            reason: deletion.and_then(|one| one.reason),
        },
        new_certificate: NewCertificate {
            certificate: state.new_certificate(plan),
            imported: state.new_certificate.as_ref().is_some_and(|one| one.imported),
        },
        targets,
        plan: plan.location(),
        notes: state.notes(),
    })
}

/// The counts of a rotation that moved nothing: only the targets already on the new certificate.
fn as_planned(plan: &Plan) -> Counts {
    Counts {
        total: plan.targets.total,
        already_current: plan.targets.total - plan.targets.to_move,
        excluded: plan.targets.excluded,
        ..Counts::default()
    }
}

impl RotationState {
    /// The notes for the output.
    pub(crate) fn notes(&self) -> Vec<String> {
        let planned = self.plan.iter().flat_map(|plan| &plan.notes);
        planned.chain(&self.quota.notes).cloned().collect()
    }

    /// The outcome of the deletion, if there was one. If the step failed, the certificate counts as
    /// kept, for this reason.
    pub(crate) fn deletion(&self) -> Option<Deletion> {
        let kept = |failure: &Failure| Deletion {
            deleted: false,
            reason: Some(not_deleted(failure)),
            evidence: None,
        };
        self.deletion.clone().or_else(|| self.deletion_failure.as_ref().map(kept))
    }

    /// The old certificate, named as in the input.
    pub(crate) fn old_certificate(&self, plan: &Plan) -> CertificateSummary {
        CertificateSummary {
            id: Some(plan.old_certificate.given.clone()),
            fingerprint: plan.old_certificate.fingerprint.clone(),
            not_after: plan.old_certificate.not_after,
        }
    }

    /// The new certificate, as it is in its store.
    pub(crate) fn new_certificate(&self, plan: &Plan) -> CertificateSummary {
        let id = self.new_certificate.as_ref().map(|imported| &imported.id);
        CertificateSummary {
            id: id.or(plan.new_certificate.id.as_ref()).map(|id| id.id().to_owned()),
            fingerprint: Some(plan.new_certificate.fingerprint.clone()),
            not_after: Some(plan.new_certificate.not_after),
        }
    }
}

/// Why the old certificate counts as not deleted. If the function died in every attempt, its error
/// has a name of AWS, which contains a dot, unlike the names of steps.
fn not_deleted(failure: &Failure) -> String {
    if failure.error.contains('.') {
        return format!(
            "the outcome of the deletion is unknown: the function failed with {}",
            failure.error
        );
    }
    failure.message()
}

#[cfg(test)]
mod tests;
