//! The report of a rotation, for readers who did not watch it: the input, the plan, the moves of
//! each target with their times, the deletion and its evidence, and what viewers may have noticed.

mod page;
mod risk;
mod timeline;

pub use page::page;
pub use risk::{Level, Risk, risk};

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::SCHEMA_VERSION;
use crate::ending::deletion::Deletion;
use crate::ending::{CertificateSummary, End, Output, RotationState};
use crate::failure::Failure;
use crate::finding::listed;
use crate::ids::{Serves, TargetId};
use crate::redact;
use crate::request::OnFailure;
use crate::target::record::{DeploymentStatus, Record, UpdateStatus};

/// `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`SCHEMA_VERSION`], also of a report without it.
    #[serde(default = "first_version")]
    pub schema_version: u8,
    /// Did the rotation succeed?
    pub succeeded: bool,
    /// The output of the execution, if it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// The name of the ending and its cause, if it failed.
    #[serde(flatten)]
    pub failure: Option<Failure>,
    /// The execution.
    pub rotation: Rotation,
    /// The input of the execution.
    pub request: Value,
    /// Both certificates, as far as they were read.
    pub certificates: Option<Certificates>,
    /// The plan, if one was made.
    pub plan: Option<Planned>,
    /// Each target of the plan.
    pub targets: Vec<TargetReport>,
    /// How often steps outside the targets were retried, by state.
    pub retries: BTreeMap<String, u64>,
    /// The outcome of the deletion of the old certificate, if it was attempted.
    #[serde(serialize_with = "with_nulls")]
    pub deletion: Option<Deletion>,
    /// What viewers may have noticed.
    pub risk: Risk,
}

/// The execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub id: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When the report was written.
    pub ended_at: Timestamp,
    /// How often it had been redriven.
    pub redrives: u64,
}

/// The two certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificates {
    /// The old certificate.
    pub old: CertificateSummary,
    /// The new certificate.
    pub new: CertificateSummary,
}

/// The plan in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// How many targets.
    pub total: usize,
    /// How many of them were to be moved.
    pub to_move: usize,
    /// How many at once.
    pub concurrency: u64,
    /// Were handshakes to be made?
    pub verify_viewers: bool,
    /// Is `onFailure` rollback? For readers of reports that had no `onFailure`.
    pub roll_back: bool,
    /// What a failed target meant for the others; missing in old reports.
    #[serde(default)]
    pub on_failure: Option<OnFailure>,
    /// Notes for the operator.
    pub notes: Vec<String>,
    /// Where the whole plan is stored, `s3://bucket/key`.
    pub location: String,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetReport {
    /// Which one.
    pub target: TargetId,
    /// The names that viewers use.
    pub names: Vec<String>,
    /// What it served when the plan was made.
    pub planned: Serves,
    /// What it served when last read; `None` when it no longer existed, or was not read.
    pub serves: Option<Serves>,
    /// The record of its move to the new certificate.
    pub forward: Option<Record>,
    /// The record of its move back.
    pub back: Option<Record>,
}

/// The outcome for one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum TargetOutcome {
    /// It serves the new certificate.
    Moved,
    /// Its move failed, and it was not restored.
    Failed,
    /// It serves the old certificate again.
    PutBack,
    /// Restoring it failed.
    NotPutBack,
    /// Another user had given it a third certificate.
    Drifted,
    /// Another user had deleted it.
    Gone,
    /// It was left as it was.
    NotBegun,
}

impl TargetOutcome {
    /// The outcome in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Failed => "failed",
            Self::PutBack => "restored",
            Self::NotPutBack => "not restored",
            Self::Drifted => "drifted",
            Self::Gone => "gone",
            Self::NotBegun => "not started",
        }
    }

    /// The outcome as a sign, for readers who do not see colours.
    fn sign(self) -> &'static str {
        match self {
            Self::Moved => "✓",
            Self::Failed | Self::NotPutBack => "✗",
            Self::PutBack => "↩",
            Self::Drifted | Self::Gone => "!",
            Self::NotBegun => "·",
        }
    }
}

impl TargetReport {
    /// The outcome of the target.
    pub fn outcome(&self) -> TargetOutcome {
        if let Some(back) = &self.back {
            return if back.failure.is_some() {
                TargetOutcome::NotPutBack
            } else {
                TargetOutcome::PutBack
            };
        }
        let Some(forward) = &self.forward else { return TargetOutcome::NotBegun };
        let deployment = forward.deployment.as_ref().map(|one| one.status);
        match (forward.update.as_ref().map(|one| one.status), deployment) {
            _ if forward.failure.is_some() => TargetOutcome::Failed,
            (Some(UpdateStatus::Drifted), _) | (_, Some(DeploymentStatus::Drifted)) => {
                TargetOutcome::Drifted
            }
            (Some(UpdateStatus::Gone), _) | (_, Some(DeploymentStatus::Gone)) => {
                TargetOutcome::Gone
            }
            (Some(UpdateStatus::Moving), _) => TargetOutcome::Moved,
            (Some(UpdateStatus::NotBegun) | None, _) => TargetOutcome::NotBegun,
        }
    }

    /// Its moves, in order.
    pub fn moves(&self) -> impl Iterator<Item = &Record> {
        self.forward.iter().chain(&self.back)
    }
}

/// The names that were served wrongly before the rotation, as a note for the output.
pub fn wrong_before(targets: &[TargetReport]) -> Option<String> {
    let names: Vec<String> = targets
        .iter()
        .flat_map(|one| one.forward.iter().flat_map(|record| &record.before).map(move |b| (b, one)))
        .map(|(before, one)| format!("{} ({})", before.name, one.target))
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "Before the rotation these were served another certificate, or none, and they were only verified not to be worse: {}.",
            listed(&names)
        )
    })
}

impl Report {
    /// The report of a rotation that ended like this.
    pub fn new(
        state: &RotationState,
        end: &End,
        targets: Vec<TargetReport>,
        retries: BTreeMap<String, u64>,
        ended_at: Timestamp,
    ) -> Self {
        let RotationState { request, execution, plan, .. } = state;
        let plan = plan.as_ref();
        let (output, failure) = match end {
            End::Succeeded(output) => (Some((**output).clone()), None),
            End::Failed { ending, cause } => {
                (None, Some(Failure { error: ending.name().to_owned(), cause: cause.clone() }))
            }
        };
        Self {
            schema_version: SCHEMA_VERSION,
            succeeded: output.is_some(),
            output,
            failure,
            rotation: Rotation {
                name: execution.name.clone(),
                id: execution.id.clone(),
                started_at: execution.start_time,
                ended_at,
                redrives: execution.redrive_count,
            },
            request: redact::request(request),
            certificates: plan.map(|plan| Certificates {
                old: state.old_certificate(plan),
                new: state.new_certificate(plan),
            }),
            plan: plan.map(|plan| Planned {
                total: plan.targets.total,
                to_move: plan.targets.to_move,
                concurrency: plan.concurrency,
                verify_viewers: plan.verify_viewers,
                roll_back: plan.on_failure == OnFailure::Rollback,
                on_failure: Some(plan.on_failure),
                notes: state.notes(),
                location: plan.location(),
            }),
            risk: risk(
                &targets,
                plan.and_then(|plan| plan.old_certificate.not_after),
                plan.is_some_and(|plan| plan.new_certificate.excludes_rsa_viewers),
                ended_at,
            ),
            targets,
            retries,
            deletion: state.deletion(),
        }
    }
}

fn first_version() -> u8 {
    1
}

/// The report has null where the state omits missing fields.
fn with_nulls<S: Serializer>(deletion: &Option<Deletion>, to: S) -> Result<S::Ok, S::Error> {
    let Some(Deletion { deleted, reason, evidence }) = deletion else { return to.serialize_none() };
    let mut fields = to.serialize_struct("Deletion", 3)?;
    fields.serialize_field("deleted", deleted)?;
    fields.serialize_field("reason", reason)?;
    fields.serialize_field("evidence", evidence)?;
    fields.end()
}

#[cfg(test)]
mod tests;
