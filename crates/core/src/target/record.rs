//! The records of each target: its move to the new certificate, and its move back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::ids::TargetId;
use crate::target::verification::Before;

/// The direction of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the old certificate to the new one.
    Forward,
    /// From the new certificate to the old one: a rollback.
    Back,
}

/// The record of one move of a target. Steps that did not run are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Which target.
    pub target: TargetId,
    /// Forward, or back in a rollback.
    #[serde(rename = "way")]
    pub direction: Direction,
    /// The round of the rollback; 0 before one.
    pub round: u64,
    /// The certificate it was moved from: ACM ARN or IAM id.
    pub from: String,
    /// The certificate it was moved to.
    pub to: String,
    /// The output of `update-distribution`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<Update>,
    /// The output of the last `poll-deployment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// The output of `verify-viewers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// The names that were served wrongly before the move.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Before>,
    /// The error of the move, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When the record was written.
    pub at: Timestamp,
}

impl Record {
    /// How often its steps were retried, in total.
    pub fn retries(&self) -> u64 {
        self.update.as_ref().map_or(0, |one| one.retries)
            + self.deployment.as_ref().map_or(0, |one| one.retries)
            + self.verification.as_ref().map_or(0, |one| one.retries)
    }
}

/// The result of the update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Whether there is a deployment to wait for.
    pub status: UpdateStatus,
    /// When the target was updated, or found updated: the deployment's deadline counts from here.
    pub since: Timestamp,
    /// How often the step was retried.
    #[serde(default)]
    pub retries: u64,
}

/// `status` of an [`Update`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UpdateStatus {
    /// It has the certificate to move to; wait until that is deployed.
    Moving,
    /// It has a third certificate, and is left alone.
    Drifted,
    /// It no longer exists.
    Gone,
    /// Another target has failed: this one was not updated.
    NotBegun,
}

/// The result of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its status; while `InProgress`, it is polled.
    pub status: DeploymentStatus,
    /// When it was last polled.
    pub at: Timestamp,
    /// How often it was polled.
    pub looks: u64,
    /// How often the polls were retried, in total.
    #[serde(default)]
    pub retries: u64,
}

/// `status` of a [`Deployment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeploymentStatus {
    /// Being deployed to the edges.
    InProgress,
    /// On all edges.
    Deployed,
    /// It has a third certificate: there is nothing to wait for.
    #[serde(rename = "drifted")]
    Drifted,
    /// It no longer exists.
    #[serde(rename = "gone")]
    Gone,
}

/// The result of the handshakes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Verified, or skipped for the reason in `notes`.
    pub status: VerificationStatus,
    /// When the handshakes were made.
    pub at: Timestamp,
    /// How many names were tried.
    pub names: u64,
    /// How many handshakes were made: one name may need several, over IPv4 and IPv6, with and
    /// without SNI.
    pub handshakes: u64,
    /// What was not verified, and why; one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How often the step was retried.
    #[serde(default)]
    pub retries: u64,
}

/// `status` of a [`Verification`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VerificationStatus {
    /// Each name was served the right certificate.
    Verified,
    /// There was nothing to verify.
    Skipped,
}

/// What viewers got before the move: the output of `verify-viewers` then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The names that were served neither certificate of the rotation.
    pub wrong: Vec<Before>,
}

/// A failed target, as in the halt note in the rotation's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Which one.
    pub target: TargetId,
    /// The step error, with its message as the cause.
    #[serde(flatten)]
    pub failure: Failure,
}

#[cfg(test)]
impl Record {
    /// A record before any step has written to it.
    pub(crate) fn bare(id: &str, direction: Direction, round: u64, at: Timestamp) -> Self {
        Self {
            target: TargetId::distribution(id),
            direction,
            round,
            from: "old".into(),
            to: "new".into(),
            update: None,
            deployment: None,
            verification: None,
            before: Vec::new(),
            failure: None,
            at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_retries_of_all_steps_are_added_up() {
        let at = Timestamp::UNIX_EPOCH;
        let mut record = Record::bare("E1", Direction::Forward, 0, at);
        assert_eq!(record.retries(), 0);
        record.update = Some(Update { status: UpdateStatus::Moving, since: at, retries: 3 });
        assert_eq!(record.retries(), 3);
        let status = DeploymentStatus::Deployed;
        record.deployment = Some(Deployment { status, at, looks: 9, retries: 5 });
        let (status, notes) = (VerificationStatus::Verified, Vec::new());
        record.verification =
            Some(Verification { status, at, names: 1, handshakes: 1, notes, retries: 7 });
        assert_eq!(record.retries(), 15);
    }
}
