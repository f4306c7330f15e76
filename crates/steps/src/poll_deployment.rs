//! How far one target's update has come.

use jiff::SignedDuration;
use rotation_core::ids::CertificateId;
use rotation_core::record::{Deployment, DeploymentStatus as Status, Update};
use rotation_core::target;
use serde::Deserialize;

use crate::error::StepError;
use crate::payload::Target;
use crate::{Context, fleet};

/// A target after `update-distribution`, and after the look before this one.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// Which target.
    pub target: Target,
    /// The certificate it was moved from.
    pub from: CertificateId,
    /// The certificate it was moved to.
    pub to: CertificateId,
    /// What `update-distribution` returned.
    pub update: Update,
    /// What this step returned before.
    pub deployment: Option<Deployment>,
}

/// Looks once.
///
/// # Errors
/// `DeploymentStalled` past the deadline, and what AWS answers.
pub async fn step(context: &Context, input: Input) -> Result<Deployment, StepError> {
    let Input { target: Target { target, .. }, from, to, update, deployment } = input;
    let minutes = context.settings.deployment_deadline_minutes;
    let at = (context.now)();
    let status = match fleet::look_at(&context.aws, &target, &from, &to).await? {
        None => Status::Gone,
        Some(seen) => match target::deployment(
            seen.deployed,
            seen.serves,
            update.since,
            at,
            SignedDuration::from_mins(minutes),
        ) {
            target::Deployment::InProgress => Status::InProgress,
            target::Deployment::Deployed => Status::Deployed,
            target::Deployment::Drifted => Status::Drifted,
            target::Deployment::Stalled => {
                return Err(StepError::DeploymentStalled { target, minutes });
            }
        },
    };
    tracing::info!(%target, ?status, "poll-deployment");
    let (looks, retries) = deployment.map_or((0, 0), |before| (before.looks, before.retries));
    Ok(Deployment { status, at, looks: looks + 1, retries })
}
