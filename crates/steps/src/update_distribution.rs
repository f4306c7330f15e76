//! Moves one target from one certificate to the other. Starts no update once targets have failed, unless the
//! others are to go on.

use rotation_aws::cloudfront::{WriteError, read_config, write_config};
use rotation_aws::s3;
use rotation_core::ids::CertificateId;
use rotation_core::plan::policy::goes_on;
use rotation_core::request::OnFailure;
use rotation_core::target::polling::wait_seconds;
use rotation_core::target::record::{Direction, Update, UpdateStatus as Status};
use rotation_core::target::{Move, decide};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::account::fleet::serves;
use crate::lambda::error::StepError;
use rotation_core::plan::state::{Folder, PlannedTarget};

/// An item of the Map, with the two certificates.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The target.
    pub target: PlannedTarget,
    /// The certificate to move from.
    pub from: CertificateId,
    /// The certificate to move to.
    pub to: CertificateId,
    /// Forward, or back in a rollback.
    #[serde(rename = "way")]
    pub direction: Direction,
    /// What a failed target means for the others.
    pub on_failure: OnFailure,
    /// The folder with the halt notes of failed targets.
    pub folder: Folder,
    /// The interval for polling its deployment, in seconds.
    pub poll_seconds: u64,
}

/// The result of the update, and the time until the first poll of its deployment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// For the record.
    #[serde(flatten)]
    pub update: Update,
    /// Seconds until the first poll.
    pub wait_seconds: u64,
}

/// Moves the target, if it still serves the certificate to move from.
///
/// # Errors
/// `TargetChanged`, `CertificateChangeInProgress`, `CertificateNotAccepted`, and errors of AWS
/// calls.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let status = move_target(context, &input).await?;
    let target = &input.target.id;
    tracing::info!(%target, ?status, from = %input.from, to = %input.to, "update-distribution");
    Ok(Output {
        update: Update { status, since: (context.now)(), retries: 0 },
        wait_seconds: wait_seconds(input.poll_seconds, 0),
    })
}

/// May another target be begun, after what has failed so far?
async fn may_begin(
    context: &Context,
    on_failure: OnFailure,
    folder: &Folder,
) -> Result<bool, StepError> {
    let (s3, bucket) = (context.aws.s3(), &folder.bucket);
    if on_failure != OnFailure::Continue {
        let any = s3::any_under(s3, bucket, &folder.halts()).await?;
        return Ok(goes_on(on_failure, usize::from(any), 0));
    }
    let halts = s3::list_keys(s3, bucket, &folder.halts()).await?;
    let failed = halts.len();
    if halts.contains(&folder.stop()) {
        return Ok(false);
    }
    if goes_on(on_failure, failed, failed) {
        return Ok(true);
    }
    let ended = s3::list_keys(s3, bucket, &folder.records(Direction::Forward)).await?.len();
    Ok(goes_on(on_failure, failed, ended))
}

async fn move_target(context: &Context, input: &Input) -> Result<Status, StepError> {
    let Input {
        target: PlannedTarget { id: target, .. },
        from,
        to,
        direction,
        on_failure,
        folder,
        ..
    } = input;
    // A rollback continues after failures, to restore as many targets as possible.
    if *direction == Direction::Forward && !may_begin(context, *on_failure, folder).await? {
        return Ok(Status::NotBegun);
    }
    let Some(config) = read_config(context.aws.cloudfront(), target).await? else {
        return Ok(Status::Gone);
    };
    match decide(serves(config.certificate(), from, Some(to))) {
        Move::AlreadyThere => Ok(Status::Moving),
        Move::Drifted => Ok(Status::Drifted),
        Move::Switch => match write_config(context.aws.cloudfront(), target, &config, to).await {
            Ok(()) => Ok(Status::Moving),
            Err(WriteError::Gone) => Ok(Status::Gone),
            Err(WriteError::Changed { message }) => {
                Err(StepError::TargetChanged { target: target.clone(), message })
            }
            Err(WriteError::CertificateChangeInProgress { message }) => {
                Err(StepError::CertificateChangeInProgress { target: target.clone(), message })
            }
            Err(WriteError::CertificateNotAccepted { message }) => {
                Err(StepError::CertificateNotAccepted { target: target.clone(), message })
            }
            Err(WriteError::Aws(error)) => Err(error.into()),
        },
    }
}
