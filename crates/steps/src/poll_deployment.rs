//! How far one target's update has come.

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

/// A target after `update-distribution`, and after the look before this one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// Which target.
    pub target: PlannedTarget,
    /// The certificate it was moved from.
    pub from: CertificateId,
    /// The certificate it was moved to.
    pub to: CertificateId,
    /// The interval of looks.
    pub poll_seconds: u64,
    /// What `update-distribution` returned.
    pub update: Update,
    /// What this step returned before.
    pub deployment: Option<Deployment>,
}

/// What was seen, and what follows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// For the record.
    #[serde(flatten)]
    pub deployment: Deployment,
    /// How long to wait before the next look, in seconds.
    pub wait_seconds: u64,
    /// Of what is `Deployed`: how viewers reach it, so that `verify-viewers` need not ask again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
}

/// Looks once.
///
/// # Errors
/// `DeploymentStalled` past the deadline, and what AWS answers.
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
