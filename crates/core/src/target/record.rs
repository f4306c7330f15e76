//! What is written down of each target, on its way to the new certificate and on its way back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::ids::TargetId;

/// In which direction a target is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the old certificate to the new one.
    Forward,
    /// From the new certificate to the old one: a rollback.
    Back,
}

/// What one move of a target came to. Steps that it did not get to are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Which target.
    pub target: TargetId,
    /// Forward, or back.
    #[serde(rename = "way")]
    pub direction: Direction,
    /// A rollback is tried in rounds; 0 on the way forward.
    pub round: u64,
    /// The certificate it was moved from: ACM ARN or IAM id.
    pub from: String,
    /// The certificate it was moved to.
    pub to: String,
    /// Of `update-distribution`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<Update>,
    /// Of the last `poll-deployment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// Of `verify-viewers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What it failed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When this was written.
    pub at: Timestamp,
}

impl Record {
    /// How often its steps were retried, all together.
    pub fn retries(&self) -> u64 {
        self.update.as_ref().map_or(0, |one| one.retries)
            + self.deployment.as_ref().map_or(0, |one| one.retries)
            + self.verification.as_ref().map_or(0, |one| one.retries)
    }
}

/// What became of the update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Whether there is something to wait for.
    pub status: UpdateStatus,
    /// When it was changed, or found changed: the deployment's deadline counts from here.
    pub since: Timestamp,
    /// How often the step was retried.
    #[serde(default)]
    pub retries: u64,
}

/// `status` of an [`Update`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UpdateStatus {
    /// It has the certificate it was to be given; wait until that is deployed.
    Moving,
    /// It has a third certificate, and is left alone.
    Drifted,
    /// It no longer exists.
    Gone,
    /// Another target has failed: this one was not touched.
    NotBegun,
}

/// How far the deployment came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// `InProgress` is waited for.
    pub status: DeploymentStatus,
    /// When it was looked at.
    pub at: Timestamp,
    /// How often it was looked at.
    pub looks: u64,
    /// How often the looks were retried, all together.
    #[serde(default)]
    pub retries: u64,
}

/// `status` of a [`Deployment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeploymentStatus {
    /// On its way to the edges.
    InProgress,
    /// At all edges.
    Deployed,
    /// It has a third certificate: there is nothing to wait for.
    #[serde(rename = "drifted")]
    Drifted,
    /// It no longer exists.
    #[serde(rename = "gone")]
    Gone,
}

/// What viewers were found to meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Verified, or skipped for the reason in `notes`.
    pub status: VerificationStatus,
    /// When the handshakes were made.
    pub at: Timestamp,
    /// How many names were asked for.
    pub names: u64,
    /// How many handshakes were made: a name may be asked for over IPv4 and IPv6, with and without SNI.
    pub handshakes: u64,
    /// What was not looked at, and why; a sentence each.
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
    /// There was nothing to look at.
    Skipped,
}

/// A target that failed, as the note in the rotation's folder has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Which one.
    pub target: TargetId,
    /// The step error, and its message for a cause.
    #[serde(flatten)]
    pub failure: Failure,
}

#[cfg(test)]
impl Record {
    /// One in which no step has written anything yet.
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
