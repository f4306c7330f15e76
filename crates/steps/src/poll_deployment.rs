//! How far one target's update has come.

use jiff::{SignedDuration, Timestamp};
use rotation_core::ids::CertificateId;
use rotation_core::target::{Deployment, deployment};
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::payload::Target;
use crate::{Context, fleet};

/// A target after `update-distribution`.
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
}

/// The part of `update-distribution`'s output that matters here.
#[derive(Debug, Deserialize)]
pub struct Update {
    /// When it was changed.
    pub since: Timestamp,
}

/// `InProgress`, `Deployed`, `drifted` or `gone`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Only `InProgress` is waited for.
    pub status: String,
}

/// Looks once.
///
/// # Errors
/// `DeploymentStalled` past the deadline, and what AWS answers.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let Input { target: Target { target, .. }, from, to, update } = input;
    let minutes = context.settings.deployment_deadline_minutes;
    let status = match fleet::look_at(&context.aws, &target, &from, &to).await? {
        None => "gone",
        Some(seen) => match deployment(
            seen.deployed,
            seen.serves,
            update.since,
            (context.now)(),
            SignedDuration::from_mins(minutes),
        ) {
            Deployment::InProgress => "InProgress",
            Deployment::Deployed => "Deployed",
            Deployment::Drifted => "drifted",
            Deployment::Stalled => return Err(StepError::DeploymentStalled { target, minutes }),
        },
    };
    tracing::info!(%target, status, "poll-deployment");
    Ok(Output { status: status.to_owned() })
}
