//! Writes the record of one target. A failure on the way to the new certificate also writes a halt
//! note: `update-distribution` decides by those whether it starts another target. If the others go
//! on, the failed one is put back at once.

use rotation_aws::s3;
use rotation_core::failure::Failure;
use rotation_core::ids::CertificateId;
use rotation_core::plan::policy::{PutBack, puts_back};
use rotation_core::plan::state::{Folder, PlannedTarget, file};
use rotation_core::target::record::{
    Deployment, Direction, Halt, Record, Survey, Update, Verification,
};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::lambda::error::StepError;

/// A target after its last step, with the outputs of its steps.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The target.
    pub target: PlannedTarget,
    /// The certificate it was moved from.
    pub from: CertificateId,
    /// The certificate it was moved to.
    pub to: CertificateId,
    /// Forward, or back in a rollback.
    #[serde(rename = "way")]
    pub direction: Direction,
    /// The round of a rollback.
    pub round: u64,
    /// The folder of the record.
    pub folder: Folder,
    /// The output of `update-distribution`.
    pub update: Option<Update>,
    /// The output of `poll-deployment`.
    pub deployment: Option<Deployment>,
    /// The output of `verify-viewers`.
    pub verification: Option<Verification>,
    /// The output of `verify-viewers` before the move.
    pub before: Option<Survey>,
    /// The error that the state machine caught.
    pub failure: Option<Failure>,
    /// How it gets back to the old certificate if it failed; null if it does not.
    pub put_back: Option<PutBack>,
}

/// Small: the record is in the folder, and there may be 10,000 targets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Is the target put back now, while the others go on?
    pub put_back: bool,
    /// For the way back: what was wrong before.
    pub before: Survey,
}

/// Writes the record, and the halt note after a failure. Idempotent.
///
/// # Errors
/// Errors of S3 calls.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let Input {
        target: PlannedTarget { id: target, .. }, from, to, direction, round, folder, ..
    } = input;
    let failure = input.failure.map(Failure::plain);
    let now = (context.now)();
    let put_back = puts_back(direction, failure.as_ref(), input.put_back.as_ref(), now);
    if let Some(Failure { error, cause }) = &failure {
        tracing::error!(%target, way = ?direction, error, cause, "record-target");
    }
    let (s3, bucket) = (context.aws.s3(), &folder.bucket);
    if let (Direction::Forward, Some(failure)) = (direction, failure.clone()) {
        let halt = Halt { target: target.clone(), failure };
        s3::put_json(s3, bucket, &format!("{}{}", folder.halts(), file(&target)), &halt).await?;
    }
    let before = input.before.unwrap_or_default();
    let key = format!("{}{}", folder.records(direction), file(&target));
    let record = Record {
        target,
        direction,
        round,
        from: from.id().to_owned(),
        to: to.id().to_owned(),
        update: input.update,
        deployment: input.deployment,
        verification: input.verification,
        before: before.wrong.clone(),
        failure,
        at: now,
    };
    s3::put_json(s3, bucket, &key, &record).await?;
    Ok(Output { put_back, before })
}
