//! Moves one target from one certificate to the other. Begins nothing once a target has failed.

use jiff::Timestamp;
use rotation_aws::cloudfront::{WriteError, read_config, write_config};
use rotation_aws::s3;
use rotation_core::ids::CertificateId;
use rotation_core::target::{Move, decide};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::error::StepError;
use crate::fleet::serves;
use crate::payload::{Folder, Target};

/// An item of the Map, with the two certificates.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// Which target.
    pub target: Target,
    /// The certificate it is moved from.
    pub from: CertificateId,
    /// The certificate it is moved to.
    pub to: CertificateId,
    /// Where the notes of failed targets lie.
    pub folder: Folder,
}

/// What became of the target.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Whether there is something to wait for.
    pub status: Status,
    /// When it was changed, or found changed: the deployment's deadline counts from here.
    pub since: Timestamp,
}

/// `status` of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It has the new certificate; wait until that is deployed.
    Moving,
    /// It has a third certificate, and is left alone.
    Drifted,
    /// It no longer exists.
    Gone,
    /// Another target has failed: this one was not touched.
    NotBegun,
}

/// Moves the target, if it serves the certificate it is to be moved from.
///
/// # Errors
/// `TargetChanged`, `CertificateChangeInProgress`, `CertificateNotAccepted`, and what AWS answers.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let status = move_target(context, &input).await?;
    let target = &input.target.target;
    tracing::info!(%target, ?status, from = %input.from, to = %input.to, "update-distribution");
    Ok(Output { status, since: (context.now)() })
}

async fn move_target(context: &Context, input: &Input) -> Result<Status, StepError> {
    let Input { target: Target { target, .. }, from, to, folder } = input;
    if s3::any_under(&context.aws.s3, &folder.bucket, &folder.halts()).await? {
        return Ok(Status::NotBegun);
    }
    let Some(config) = read_config(&context.aws.cloudfront, target).await? else {
        return Ok(Status::Gone);
    };
    match decide(serves(config.certificate(), from, Some(to))) {
        Move::AlreadyThere => Ok(Status::Moving),
        Move::Drifted => Ok(Status::Drifted),
        Move::Switch => match write_config(&context.aws.cloudfront, target, &config, to).await {
            Ok(()) => Ok(Status::Moving),
            Err(WriteError::Gone) => Ok(Status::Gone),
            Err(WriteError::Changed) => Err(StepError::TargetChanged(target.clone())),
            Err(WriteError::CertificateChangeInProgress) => {
                Err(StepError::CertificateChangeInProgress(target.clone()))
            }
            Err(WriteError::CertificateNotAccepted { message }) => {
                Err(StepError::CertificateNotAccepted { target: target.clone(), message })
            }
            Err(WriteError::Aws(error)) => Err(error.into()),
        },
    }
}
