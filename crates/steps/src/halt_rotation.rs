//! Writes down that a target failed. `update-distribution` begins no target while there is such a note.

use rotation_aws::s3;
use rotation_core::ids::TargetKind;
use rotation_core::report::Halt;
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::error::StepError;
use crate::payload::{Folder, Target};
use crate::report_rotation::{Failure, message};

/// A target and what it failed with.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// Which target.
    pub target: Target,
    /// Where the note goes.
    pub folder: Folder,
    /// What the state machine caught.
    pub failure: Failure,
}

/// Nothing: the note is in the folder.
#[derive(Debug, Serialize)]
pub struct Output {}

/// Writes the note; the same note however often it runs.
///
/// # Errors
/// What S3 answers.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let Input { target: Target { target, .. }, folder, failure } = input;
    let kind = match target.kind {
        TargetKind::Distribution => "distribution",
        TargetKind::Tenant => "tenant",
    };
    let key = format!("{}{kind}-{}.json", folder.halts(), target.id);
    let cause = message(&failure.cause);
    tracing::error!(%target, error = failure.error, cause, "halt-rotation");
    let halt = Halt { target, error: failure.error, cause };
    s3::put_json(&context.aws.s3, &folder.bucket, &key, &halt).await?;
    Ok(Output {})
}
