//! Polls the deployment of one target.

use jiff::SignedDuration;
use rotation_aws::cloudfront::{self, Reach};
use rotation_core::ids::CertificateId;
use rotation_core::target::polling;
use rotation_core::target::record::{Deployment, DeploymentStatus as Status, Update};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::account::fleet::serves;
use crate::lambda::error::StepError;
use rotation_core::plan::state::PlannedTarget;

/// A target after `update-distribution`, or after the previous poll.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The target.
    pub target: PlannedTarget,
    /// The certificate it was moved from.
    pub from: CertificateId,
    /// The certificate it was moved to.
    pub to: CertificateId,
    /// The poll interval in seconds.
    pub poll_seconds: u64,
    /// The output of `update-distribution`.
    pub update: Update,
    /// The output of the previous poll.
    pub deployment: Option<Deployment>,
}

/// The status of the target, and the time until the next poll.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// For the record.
    #[serde(flatten)]
    pub deployment: Deployment,
    /// Seconds until the next poll.
    pub wait_seconds: u64,
    /// Only when `Deployed`: how viewers reach the target, so that `verify-viewers` need not read
    /// it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
}

/// Polls once.
///
/// # Errors
/// `DeploymentStalled` after the deadline, and errors of AWS calls.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let Input {
        target: PlannedTarget { id: target, .. },
        from,
        to,
        poll_seconds,
        update,
        deployment,
    } = input;
    let minutes = context.settings.deployment_deadline_minutes;
    let at = (context.now)();
    let seen = cloudfront::status(context.aws.cloudfront(), &target).await?;
    let status = match &seen {
        None => Status::Gone,
        Some(seen) => match polling::deployment(
            seen.status == cloudfront::Status::Deployed,
            serves(seen.certificate.as_ref(), &from, Some(&to)),
            update.since,
            at,
            SignedDuration::from_mins(minutes),
        ) {
            polling::Deployment::InProgress => Status::InProgress,
            polling::Deployment::Deployed => Status::Deployed,
            polling::Deployment::Drifted => Status::Drifted,
            polling::Deployment::Stalled => {
                return Err(StepError::DeploymentStalled { target, minutes });
            }
        },
    };
    tracing::info!(%target, ?status, "poll-deployment");
    let (looks, retries) = deployment.map_or((0, 0), |before| (before.looks, before.retries));
    let looks = looks + 1;
    Ok(Output {
        deployment: Deployment { status, at, looks, retries },
        wait_seconds: polling::wait_seconds(poll_seconds, looks),
        reach: seen.filter(|_| status == Status::Deployed).map(|seen| seen.reach),
    })
}
