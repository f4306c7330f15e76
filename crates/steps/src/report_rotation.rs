//! Turns what happened into the contract's output, or into the closing error.

use rotation_aws::s3;
use rotation_core::finding::Ending;
use rotation_core::plan::Outcome;
use rotation_core::report::{Counts, NewCertificate, OldCertificate, Output as Rotation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Context;
use crate::error::StepError;
use crate::payload::{Execution, Folder, Imported, Plan};
use crate::{delete_certificate, review_targets};

/// The whole state, as far as the rotation came.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// Which execution.
    pub execution: Execution,
    /// The plan, if it was made.
    pub plan: Option<Plan>,
    /// The new certificate, if it was imported.
    pub new_certificate: Option<Imported>,
    /// Where the targets stand, if they were looked at.
    pub review: Option<review_targets::Output>,
    /// What became of the old certificate, if it was to be deleted.
    pub deletion: Option<delete_certificate::Output>,
    /// What the deletion failed with.
    pub deletion_failure: Option<Failure>,
    /// What another step failed with.
    pub failure: Option<Failure>,
}

/// What a Catch of the state machine puts into the state.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Failure {
    /// The error's name.
    pub error: String,
    /// Its cause: of a function's error the JSON that Lambda makes of it.
    #[serde(default)]
    pub cause: String,
}

/// The message in a cause: what the step said, without the JSON that Lambda wraps it in.
pub fn message(cause: &str) -> String {
    serde_json::from_str::<Value>(cause)
        .ok()
        .and_then(|json| json.get("errorMessage")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| cause.to_owned())
}

/// What the state machine ends with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Did the rotation reach its goal?
    pub succeeded: bool,
    /// The output of the execution, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Rotation>,
    /// One of the contract's names, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do next, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// Concludes the rotation and leaves the conclusion in its folder as `report.json`.
///
/// # Errors
/// `Internal` when the state fits no ending, and what S3 answers.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let folder = input.plan.as_ref().map_or_else(
        || Folder::of(&context.settings.bucket, &input.execution),
        |p| p.folder.clone(),
    );
    let output = conclude(input)?;
    s3::put_json(&context.aws.s3, &folder.bucket, &folder.key("report.json"), &output).await?;
    tracing::info!(succeeded = output.succeeded, error = output.error, "report-rotation");
    Ok(output)
}

fn failed(ending: Ending, cause: String) -> Output {
    Output {
        succeeded: false,
        output: None,
        error: Some(ending.name().to_owned()),
        cause: Some(cause),
    }
}

fn conclude(input: Input) -> Result<Output, StepError> {
    let Input { plan, new_certificate, review, deletion, deletion_failure, failure, .. } = input;
    if let Some(cause) = review.as_ref().and_then(|review| review.cause.clone()) {
        return Ok(failed(Ending::RotationIncomplete, cause));
    }
    if let Some(failure) = failure {
        return Ok(broken_off(&failure, plan.is_some(), new_certificate.as_ref()));
    }
    let plan = plan
        .ok_or_else(|| StepError::Internal("a rotation ended without a plan or an error".into()))?;
    let (outcome, counts) = match (plan.outcome, review) {
        (Outcome::NothingToDo, _) => ("nothingToDo", standing(&plan)),
        (Outcome::Planned, _) => ("planned", standing(&plan)),
        (Outcome::Rotate, Some(review)) => ("rotated", review.counts),
        (Outcome::Rotate, None) => {
            return Err(StepError::Internal("a rotation ended without a review".into()));
        }
    };
    let reason = deletion_failure
        .map(|failure| message(&failure.cause))
        .or_else(|| deletion.as_ref().and_then(|deletion| deletion.reason.clone()));
    Ok(Output {
        succeeded: true,
        output: Some(Rotation {
            outcome: outcome.to_owned(),
            old_certificate: OldCertificate {
                id: plan
                    .old_certificate
                    .id
                    .as_ref()
                    .map_or(plan.old_certificate.given, |id| id.id().to_owned()),
                fingerprint: plan.old_certificate.fingerprint,
                not_after: plan.old_certificate.not_after,
                deleted: plan.old_certificate.id.is_none()
                    || deletion.is_some_and(|deletion| deletion.deleted),
                reason,
            },
            new_certificate: NewCertificate {
                id: new_certificate
                    .as_ref()
                    .map(|imported| &imported.id)
                    .or(plan.new_certificate.id.as_ref())
                    .map(|id| id.id().to_owned()),
                fingerprint: plan.new_certificate.fingerprint,
                not_after: plan.new_certificate.not_after,
                imported: new_certificate.is_some_and(|imported| imported.imported),
            },
            targets: counts,
            plan: format!("s3://{}/{}", plan.folder.bucket, plan.folder.key("plan.json")),
            notes: plan.notes,
        }),
        error: None,
        cause: None,
    })
}

/// The counts of a rotation that moved nothing: what is on the new certificate already.
fn standing(plan: &Plan) -> Counts {
    Counts {
        total: plan.targets.total,
        already_current: plan.targets.total - plan.targets.to_move,
        ..Counts::default()
    }
}

/// A step failed. Its own name stands if it is one of the contract's; anything else is a rotation that
/// did not get to its end.
fn broken_off(failure: &Failure, planned: bool, imported: Option<&Imported>) -> Output {
    let said = message(&failure.cause);
    if let Some(ending) = Ending::named(&failure.error) {
        return failed(ending, said);
    }
    let state = match imported {
        None if !planned => "Nothing was changed.".to_owned(),
        None => "No target was changed; an import or a quota request may have got through, and is found again.".to_owned(),
        Some(imported) => format!(
            "The new certificate is in its store as {}; look at the children of this execution for the targets that were moved. Nothing was deleted.",
            imported.id
        ),
    };
    failed(
        Ending::RotationIncomplete,
        format!(
            "{}: {said}\n{state} Cure the cause, then start a rotation with the same input: it goes on with what is left.",
            failure.error
        ),
    )
}
