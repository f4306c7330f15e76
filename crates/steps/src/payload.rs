//! What travels between the steps: the JSON of the state machine's state, and the objects in the
//! rotation's folder. The fields are what `statemachine/rotation.asl.json` names in its paths.

use jiff::Timestamp;
use rotation_core::finding::Finding;
use rotation_core::ids::{CertificateId, Store, TargetId, TargetKind};
use rotation_core::plan::{Member, Outcome, Serves};
use rotation_core::target::record::Way;
use serde::{Deserialize, Serialize};

use crate::lambda::error::StepError;

/// The execution that a step belongs to, from the state machine's context object.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Its ARN.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was started; a redrive does not change it.
    pub start_time: Timestamp,
    /// How often it had been redriven when its plan was made.
    #[serde(default)]
    pub redrive_count: u64,
}

/// Where a rotation keeps its plan, its targets, its notes and its report.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Folder {
    /// The bucket of the stack.
    pub bucket: String,
    /// `rotations/NAME/START/`, after a redrive `rotations/NAME/START-redrive-N/`
    pub prefix: String,
}

impl Folder {
    /// The folder of an execution. The start time is part of it because names can be used again, the
    /// number of the redrive because what stopped the attempt before must not stop the next one.
    pub fn of(bucket: &str, execution: &Execution) -> Self {
        let start = execution.start_time.strftime("%Y%m%dT%H%M%SZ");
        let redrive = match execution.redrive_count {
            0 => String::new(),
            count => format!("-redrive-{count}"),
        };
        let prefix = format!("rotations/{}/{start}{redrive}/", execution.name);
        Self { bucket: bucket.into(), prefix }
    }

    /// The key of an object in it.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The prefix of the notes that targets failed.
    pub fn halts(&self) -> String {
        self.key("halt/")
    }

    /// The prefix of the records of targets that were moved this way.
    pub fn records(&self, way: Way) -> String {
        self.key(match way {
            Way::Forward => "targets/forward/",
            Way::Back => "targets/back/",
        })
    }
}

/// The plan as the state machine carries it; the targets themselves are in the folder.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Whether there is anything to do.
    pub outcome: Outcome,
    /// Where the rest lies.
    pub folder: Folder,
    /// `newCertificate` of the input.
    pub source: String,
    /// The store the new certificate goes to.
    pub store: Store,
    /// What is replaced.
    pub old_certificate: OldCertificate,
    /// By what.
    pub new_certificate: NewCertificate,
    /// How many targets, and where.
    pub targets: TargetList,
    /// Is the old certificate to be deleted?
    pub delete_old: bool,
    /// How long to keep it after the last target was moved, in seconds.
    pub retain_seconds: u64,
    /// The interval of [`wait_seconds`](rotation_core::target::wait_seconds).
    pub poll_seconds: u64,
    /// Maximum targets in progress; above 1, the first one goes alone as a canary.
    pub concurrency: u64,
    /// Are viewers' handshakes to be made after each deployment?
    pub verify_viewers: bool,
    /// After a failure, are the targets that were moved to be put back?
    pub roll_back: bool,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// The old certificate in a [`Plan`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OldCertificate {
    /// Its id; null when an earlier rotation deleted it.
    pub id: Option<CertificateId>,
    /// How the input names it, or its id if the input does not.
    pub given: String,
    /// Of the leaf.
    pub fingerprint: Option<String>,
    /// End of its validity.
    pub not_after: Option<Timestamp>,
}

/// The new certificate in a [`Plan`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewCertificate {
    /// Its id, when it lies in its store already.
    pub id: Option<CertificateId>,
    /// Of the leaf.
    pub fingerprint: String,
    /// End of its validity.
    pub not_after: Timestamp,
}

/// The targets in a [`Plan`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetList {
    /// The key of the array of all [`Target`]s in the folder's bucket.
    pub key: String,
    /// The keys of the lanes, wave by wave: arrays of targets that are rotated one after the other.
    pub waves: Vec<Vec<String>>,
    /// How many there are.
    pub total: usize,
    /// How many of them are to be moved.
    pub to_move: usize,
    /// How many of them serve on dedicated IP addresses.
    pub dedicated_ip: usize,
}

/// One target, as an item of the Map.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Target {
    /// Which one: `kind` and `id`.
    #[serde(flatten)]
    pub target: TargetId,
    /// What it served when the plan was made.
    pub serves: Serves,
}

/// `move` of the state: which targets are on their way, and in which direction.
#[derive(Clone, Debug, Deserialize)]
pub struct Move {
    /// Forward, or back.
    pub way: Way,
    /// A rollback is tried in rounds; 0 on the way forward.
    pub round: u64,
    /// The keys of the lanes, wave by wave.
    pub waves: Vec<Vec<String>>,
}

/// Of `plan.json` what the report needs.
#[derive(Debug, Deserialize)]
pub struct PlanFile {
    /// Every target with its names.
    pub targets: Vec<PlannedTarget>,
}

/// A target in a [`PlanFile`].
#[derive(Debug, Deserialize)]
pub struct PlannedTarget {
    /// Which one.
    pub target: TargetId,
    /// What it served.
    pub serves: Serves,
    /// The names under which viewers reach it.
    pub names: Vec<String>,
}

/// `plan.json`: everything the plan was made of, for people.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanRecord<'a> {
    /// The input.
    pub request: &'a serde_json::Value,
    /// When the plan was made.
    pub made_at: Timestamp,
    /// What the state machine was given; nothing when the plan was refused early.
    pub plan: &'a Plan,
    /// Every target with its names.
    pub targets: &'a [Member],
    /// Why it was refused, if it was.
    pub findings: &'a [Finding],
}

/// What [`import_certificate`](crate::import_certificate) returns.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Imported {
    /// The new certificate in its store.
    pub id: CertificateId,
    /// By this rotation? False when it lay there when the plan was made.
    pub imported: bool,
}

/// The name of a target's object in the rotation's folder.
pub fn file(target: &TargetId) -> String {
    let kind = match target.kind {
        TargetKind::Distribution => "distribution",
        TargetKind::Tenant => "tenant",
    };
    format!("{kind}-{}.json", target.id)
}

/// The old certificate of a plan that has something to do.
///
/// # Errors
/// `Internal`: only a plan without work has none.
pub fn old_id(plan: &Plan) -> Result<&CertificateId, StepError> {
    plan.old_certificate
        .id
        .as_ref()
        .ok_or_else(|| StepError::Internal("a plan with work to do has no old certificate".into()))
}
