//! The state of a rotation: the JSON passed between the steps, and the objects in the rotation's
//! folder. The paths in `statemachine/rotation.asl.json` use these field names.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::certificate::Fingerprint;
use crate::finding::Finding;
use crate::ids::{CertificateId, Serves, Store, TargetId, TargetKind};
use crate::plan::policy::PutBack;
use crate::plan::{Member, Outcome};
use crate::request::OnFailure;
use crate::request::tags::Tag;
use crate::target::record::Direction;
#[cfg(doc)]
use crate::target::record::Halt;
use crate::target::verification::Before;

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

/// The folder of a rotation in S3: plan, targets, halt notes, records and report.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Folder {
    /// The bucket of the stack.
    pub bucket: String,
    /// `rotations/NAME/START/`, after a redrive `rotations/NAME/START-redrive-N/`
    pub prefix: String,
}

impl Folder {
    /// The folder of an execution. The start time is part of it because names can be reused; the
    /// number of the redrive, because the halt notes of the previous attempt must not stop the next
    /// one.
    pub fn of(bucket: &str, execution: &Execution) -> Self {
        let start = execution.start_time.strftime("%Y%m%dT%H%M%SZ");
        let redrive = match execution.redrive_count {
            0 => String::new(),
            count => format!("-redrive-{count}"),
        };
        let prefix = format!("rotations/{}/{start}{redrive}/", execution.name);
        Self { bucket: bucket.into(), prefix }
    }

    /// The key of an object in the folder.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The prefix of the halt notes of failed targets.
    pub fn halts(&self) -> String {
        self.key("halt/")
    }

    /// The key of the halt note with which an operator stops a rotation, also one that goes on after
    /// failures.
    pub fn stop(&self) -> String {
        self.key("halt/stop.json")
    }

    /// The key of the array of [`Halt`]s of targets that are not moved since something is against it.
    pub fn held(&self) -> String {
        self.key("held.json")
    }

    /// The prefix of the records of targets that were moved in this direction.
    pub fn records(&self, direction: Direction) -> String {
        self.key(match direction {
            Direction::Forward => "targets/forward/",
            Direction::Back => "targets/back/",
        })
    }
}

/// The plan as the state machine carries it; the targets themselves are in the folder.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Whether there is work to do.
    pub outcome: Outcome,
    /// The folder of the rotation.
    pub folder: Folder,
    /// `newCertificate` of the input.
    pub source: String,
    /// The store the new certificate goes to.
    pub store: Store,
    /// The certificate to be replaced.
    pub old_certificate: OldCertificate,
    /// Its replacement.
    pub new_certificate: NewCertificate,
    /// The targets.
    pub targets: TargetList,
    /// Is the old certificate to be deleted?
    pub delete_old: bool,
    /// How long to keep it after the last target was moved, in seconds.
    pub retain_seconds: u64,
    /// The interval of [`wait_seconds`](crate::target::polling::wait_seconds).
    pub poll_seconds: u64,
    /// Maximum targets in progress; above 1, the first one goes alone as a canary.
    pub concurrency: u64,
    /// Are handshakes to be made after each deployment?
    pub verify_viewers: bool,
    /// What a failed target means for the others.
    pub on_failure: OnFailure,
    /// With `continue`: how a failed target gets back at once; null if none does.
    pub put_back: Option<PutBack>,
    /// Tags for the new certificate, in addition to those of the old one.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Notes for the output.
    pub notes: Vec<String>,
}

/// The old certificate in a [`Plan`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OldCertificate {
    /// Its id; null when an earlier rotation deleted it.
    pub id: Option<CertificateId>,
    /// Its name in the input, or its id if the input does not name it.
    pub given: String,
    /// Fingerprint of the leaf.
    pub fingerprint: Option<String>,
    /// End of its validity.
    pub not_after: Option<Timestamp>,
}

/// The new certificate in a [`Plan`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewCertificate {
    /// Its id, if it is in its store already.
    pub id: Option<CertificateId>,
    /// Fingerprint of the leaf.
    pub fingerprint: String,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Does it lock out viewers that support only RSA, which the old one did not?
    #[serde(default)]
    pub excludes_rsa_viewers: bool,
    /// Fingerprints of the intermediate certificates that it is imported with, the leaf's issuer
    /// first; null in the plan of a version that chose them at the import.
    #[serde(default)]
    pub chain: Option<Vec<Fingerprint>>,
}

/// The targets in a [`Plan`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetList {
    /// The key of the array of all [`PlannedTarget`]s, in the folder's bucket.
    pub key: String,
    /// The keys of the lanes, wave by wave: arrays of targets that are rotated in sequence.
    pub waves: Vec<Vec<String>>,
    /// How many targets there are.
    pub total: usize,
    /// How many of them are to be moved.
    pub to_move: usize,
    /// How many of them serve on dedicated IP addresses.
    pub dedicated_ip: usize,
    /// How many of them are not moved since something is against it; they are listed in `held.json`.
    #[serde(default)]
    pub held: usize,
    /// How many others serve the old certificate and are left alone, because they are excluded.
    #[serde(default)]
    pub excluded: usize,
}

/// One target, as an item of the Map.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct PlannedTarget {
    /// Its `kind` and `id`.
    #[serde(flatten)]
    pub id: TargetId,
    /// What it served when the plan was made.
    pub serves: Serves,
    /// In a rollback: the names that were served wrongly before the rotation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Before>,
}

impl PlannedTarget {
    /// A target that serves this.
    pub fn new(id: TargetId, serves: Serves) -> Self {
        Self { id, serves, before: Vec::new() }
    }
}

/// `move` of the state: which targets are moved, and in which direction.
#[derive(Clone, Debug, Deserialize)]
pub struct Leg {
    /// Forward, or back in a rollback.
    #[serde(rename = "way")]
    pub direction: Direction,
    /// The round of the rollback; 0 before one.
    pub round: u64,
    /// The keys of the lanes, wave by wave.
    pub waves: Vec<Vec<String>>,
}

/// The fields of `plan.json` that the report needs.
#[derive(Debug, Deserialize)]
pub struct PlanFile {
    /// Every target with its names.
    pub targets: Vec<NamedTarget>,
}

/// A target in a [`PlanFile`].
#[derive(Debug, Deserialize)]
pub struct NamedTarget {
    /// Which one.
    pub target: TargetId,
    /// What it served when the plan was made.
    pub serves: Serves,
    /// The names that viewers use.
    pub names: Vec<String>,
}

/// `plan.json`: everything the plan is based on, for operators.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanRecord<'a> {
    /// [`SCHEMA_VERSION`](crate::SCHEMA_VERSION).
    pub schema_version: u8,
    /// The input.
    pub request: &'a serde_json::Value,
    /// When the plan was made.
    pub made_at: Timestamp,
    /// The plan in the state; empty when the plan was refused early.
    pub plan: &'a Plan,
    /// Every target with its names.
    pub targets: &'a [Member],
    /// Why it was refused, if it was.
    pub findings: &'a [Finding],
}

/// The output of `import-certificate`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Imported {
    /// The new certificate in its store.
    pub id: CertificateId,
    /// Was it imported by this rotation? False when it was in the store when the plan was made.
    pub imported: bool,
}

impl OldCertificate {
    /// Has its validity ended?
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.not_after.is_some_and(|not_after| not_after <= now)
    }
}

impl Plan {
    /// Where the whole plan is stored, `s3://bucket/key`.
    pub fn location(&self) -> String {
        format!("s3://{}/{}", self.folder.bucket, self.folder.key("plan.json"))
    }
}

/// What a target serves, and whether that is `Deployed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetState {
    /// Which of the two certificates.
    pub serves: Serves,
    /// Is it `Deployed`?
    pub deployed: bool,
}

/// `review.json`: the distributions and tenants with one of the two certificates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FleetSnapshot {
    /// When reading it began.
    pub at: Timestamp,
    /// How many distributions the account has.
    pub distributions: usize,
    /// How many tenants use one of the two certificates as their own.
    pub tenants: usize,
    /// The targets of the rotation, and all others that serve one of the two certificates.
    #[serde(rename = "stands")]
    pub targets: Vec<TargetSnapshot>,
}

/// A distribution or tenant in a [`FleetSnapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSnapshot {
    /// Which one.
    #[serde(flatten)]
    pub id: TargetId,
    /// What it serves.
    #[serde(flatten)]
    pub state: TargetState,
}

impl TargetSnapshot {
    /// The states that matter to a rotation of these targets.
    pub fn of_interest(
        states: &BTreeMap<TargetId, TargetState>,
        planned: &BTreeSet<TargetId>,
    ) -> Vec<Self> {
        let matters = |id: &TargetId, state: &TargetState| {
            state.serves != Serves::Other || planned.contains(id)
        };
        let mattering = states.iter().filter(|(id, state)| matters(id, state));
        mattering.map(|(id, state)| Self { id: id.clone(), state: *state }).collect()
    }
}

/// The name of a target's object in the rotation's folder.
pub fn file(target: &TargetId) -> String {
    let kind = match target.kind {
        TargetKind::Distribution => "distribution",
        TargetKind::Tenant => "tenant",
    };
    format!("{kind}-{}.json", target.id)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The plan of a rotation of three targets, two of them to be moved, until the old certificate
    /// expires.
    pub(crate) fn plan() -> Plan {
        Plan {
            outcome: Outcome::Rotate,
            folder: Folder { bucket: "bucket".into(), prefix: "rotations/autumn/1/".into() },
            source: "tls/www".into(),
            store: Store::Acm,
            old_certificate: OldCertificate {
                id: Some(CertificateId::Acm { arn: "arn:old".into() }),
                given: "arn:old".into(),
                fingerprint: Some("sha256:old".into()),
                not_after: Some("2026-12-15T00:00:00Z".parse().expect("time")),
            },
            new_certificate: NewCertificate {
                id: None,
                fingerprint: "sha256:new".into(),
                not_after: "2027-11-01T00:00:00Z".parse().expect("time"),
                excludes_rsa_viewers: false,
                chain: Some(Vec::new()),
            },
            targets: TargetList {
                key: "rotations/autumn/1/targets.json".into(),
                waves: Vec::new(),
                total: 3,
                to_move: 2,
                dedicated_ip: 0,
                held: 0,
                excluded: 0,
            },
            delete_old: true,
            retain_seconds: 0,
            poll_seconds: 25,
            concurrency: 1,
            verify_viewers: true,
            on_failure: OnFailure::Rollback,
            put_back: None,
            tags: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn each_attempt_has_its_own_folder() {
        let execution = |redrive_count| Execution {
            id: "arn:x".into(),
            name: "autumn".into(),
            start_time: "2026-11-23T11:00:00.123Z".parse().expect("time"),
            redrive_count,
        };
        for (redrives, expected) in [
            (0, "rotations/autumn/20261123T110000Z/plan.json"),
            (2, "rotations/autumn/20261123T110000Z-redrive-2/plan.json"),
        ] {
            assert_eq!(Folder::of("bucket", &execution(redrives)).key("plan.json"), expected);
        }
        let folder = Folder { bucket: "bucket".into(), prefix: "rotations/a/1/".into() };
        assert_eq!(folder.halts(), "rotations/a/1/halt/");
        assert!(folder.stop().starts_with(&folder.halts()));
        assert_eq!(folder.records(Direction::Forward), "rotations/a/1/targets/forward/");
        assert_eq!(folder.records(Direction::Back), "rotations/a/1/targets/back/");
    }

    #[test]
    fn a_snapshot_has_the_rotations_targets_and_what_serves_its_certificates() {
        let state = |serves| TargetState { serves, deployed: true };
        let states = [("E1", Serves::Old), ("E2", Serves::Other), ("E3", Serves::Other)]
            .map(|(id, serves)| (TargetId::distribution(id), state(serves)))
            .into();
        let planned = [TargetId::distribution("E2")].into();
        let targets = TargetSnapshot::of_interest(&states, &planned);
        let ids: Vec<&str> = targets.iter().map(|target| target.id.id.as_str()).collect();
        assert_eq!(ids, ["E1", "E2"]);
    }
}
