//! Writes down what one target came to. A failure on the way forward is also a note that stops the others:
//! `update-distribution` begins no target while there is one.

use rotation_aws::s3;
use rotation_core::failure::Failure;
use rotation_core::ids::CertificateId;
use rotation_core::plan::state::{Folder, PlannedTarget, file};
use rotation_core::target::record::{Deployment, Direction, Halt, Record, Update, Verification};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::lambda::error::StepError;

/// A target at the end of its way, with what its steps returned.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// Which target.
    pub target: PlannedTarget,
    /// The certificate it was moved from.
    pub from: CertificateId,
    /// The certificate it was moved to.
    pub to: CertificateId,
    /// Forward, or back.
    #[serde(rename = "way")]
    pub direction: Direction,
    /// Of a rollback.
    pub round: u64,
    /// Where the record goes.
    pub folder: Folder,
    /// Of `update-distribution`.
    pub update: Option<Update>,
    /// Of `poll-deployment`.
    pub deployment: Option<Deployment>,
    /// Of `verify-viewers`.
    pub verification: Option<Verification>,
    /// What the state machine caught.
    pub failure: Option<Failure>,
}

/// Nothing: the record is in the folder, and 10,000 results stay small.
#[derive(Debug, Serialize)]
pub struct Output {}

/// Writes the note, if it failed, and the record; the same ones however often it runs.
///
/// # Errors
/// What S3 answers.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let Input {
        target: PlannedTarget { id: target, .. }, from, to, direction, round, folder, ..
    } = input;
    let failure = input.failure.map(Failure::plain);
    if let Some(Failure { error, cause }) = &failure {
        tracing::error!(%target, way = ?direction, error, cause, "record-target");
    }
    let (s3, bucket) = (context.aws.s3(), &folder.bucket);
    if let (Direction::Forward, Some(failure)) = (direction, failure.clone()) {
        let halt = Halt { target: target.clone(), failure };
        s3::put_json(s3, bucket, &format!("{}{}", folder.halts(), file(&target)), &halt).await?;
    }
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
        failure,
        at: (context.now)(),
    };
    s3::put_json(s3, bucket, &key, &record).await?;
    Ok(Output {})
}
