//! Progress of a rotation, read from its folder and from CloudFront.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use jiff::Timestamp;
use rotation_aws::cloudfront::{self, Status};
use rotation_aws::s3;
use rotation_aws::step_functions::{self, Execution};
use rotation_core::ids::TargetId;
use rotation_core::plan::progress::{Progress, last_round};
use rotation_core::plan::state::{Folder, Plan, PlannedTarget};
use rotation_core::target::record::{Direction, Record};
use rotation_steps::Context;
use serde::{Deserialize, Serialize};

use crate::account;
use crate::execution::{self, find};
use crate::failure::Failure;

/// The progress of a rotation. `--output json` prints one per line, whenever something has changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Now {
    pub(super) rotation: String,
    /// The status in Step Functions.
    pub(super) status: String,
    /// The current state of the state machine.
    pub(super) state: Option<String>,
    /// The number of targets; `None` before the plan.
    pub(super) total: Option<usize>,
    /// How many targets have finished their move to the new certificate.
    pub(super) done: usize,
    /// How many were restored.
    pub(super) back: usize,
    /// The finished ones that failed.
    pub(super) failed: Vec<Failed>,
    /// How often the steps of finished targets were retried.
    pub(super) retries: u64,
    /// Targets in progress.
    pub(super) in_flight: Vec<Flight>,
    /// Seconds until the end, extrapolated.
    #[serde(skip)]
    pub(super) seconds_left: Option<i64>,
}

/// A target that failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Failed {
    pub(super) target: TargetId,
    pub(super) error: String,
}

/// A target in progress.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Flight {
    pub(super) target: TargetId,
    #[serde(rename = "way")]
    pub(super) direction: Direction,
    pub(super) step: Step,
    /// When it started.
    pub(super) since: Timestamp,
}

impl fmt::Display for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::Forward => self.step.fmt(f),
            Direction::Back => write!(f, "back to the old certificate: {}", self.step),
        }
    }
}

/// The current step of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Step {
    Updating,
    Propagating,
    Verifying,
    Gone,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Updating => "updating",
            Self::Propagating => "propagating",
            Self::Verifying => "Deployed, verifying",
            Self::Gone => "gone",
        })
    }
}

/// The needed fields of `plan.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlanFile {
    made_at: Timestamp,
    plan: Plan,
}

/// Objects that do not change once they were read.
#[derive(Default)]
pub(super) struct Known {
    plan: Option<PlanFile>,
    /// The round of the rollback; 0 before one.
    round: u64,
    /// The lanes of this round, wave by wave, lane by lane.
    waves: Vec<Vec<Vec<PlannedTarget>>>,
    forward: BTreeMap<String, Record>,
    back: BTreeMap<String, Record>,
}

impl Known {
    /// Reads what has changed since.
    pub(super) async fn refresh(
        &mut self,
        context: &Context,
        arn: &str,
    ) -> Result<(Execution, Now), Failure> {
        let execution = find(context, arn).await?;
        let folder = execution::folder(context, arn, &execution);
        let state = if execution.running {
            step_functions::current_state(context.aws.states(), arn).await?
        } else {
            None
        };
        self.read(context, &folder).await?;
        let in_flight = if execution.running { self.in_flight(context).await? } else { Vec::new() };
        let records = || self.forward.values().chain(self.back.values());
        let now = Now {
            rotation: execution::name(arn).to_owned(),
            status: execution.status.clone(),
            state,
            total: self.plan.as_ref().map(|file| file.plan.targets.total),
            done: self.forward.len(),
            back: self.back.len(),
            failed: records()
                .filter_map(|record| {
                    let error = record.failure.as_ref()?.error.clone();
                    Some(Failed { target: record.target.clone(), error })
                })
                .collect(),
            retries: records().map(Record::retries).sum(),
            in_flight,
            seconds_left: self.progress().and_then(|one| one.seconds_left(account::now())),
        };
        Ok((execution, now))
    }

    /// Reads new objects, each once.
    async fn read(&mut self, context: &Context, folder: &Folder) -> Result<(), Failure> {
        let (s3, bucket) = (context.aws.s3(), &folder.bucket);
        if self.plan.is_none() {
            let found = s3::find_json(s3, bucket, &folder.key("plan.json")).await?;
            self.plan = found.map(|(file, _)| file);
        }
        for direction in [Direction::Forward, Direction::Back] {
            let keys = s3::list_keys(s3, bucket, &folder.records(direction)).await?;
            let round = self.round;
            for key in keys {
                let file = key.rsplit('/').next().unwrap_or(&key).to_owned();
                match self.records(direction).entry(file) {
                    Entry::Vacant(place) => {
                        place.insert(s3::get_json(s3, bucket, &key).await?);
                    }
                    // A later round overwrites the records of earlier ones.
                    Entry::Occupied(mut known)
                        if direction == Direction::Back && known.get().round < round =>
                    {
                        known.insert(s3::get_json(s3, bucket, &key).await?);
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        let (round, waves) = self.lanes(context, folder).await?;
        if self.waves.is_empty() || round > self.round {
            let mut read = Vec::new();
            for wave in waves {
                let mut lanes = Vec::new();
                for key in wave {
                    lanes.push(s3::get_json(s3, bucket, &key).await?);
                }
                read.push(lanes);
            }
            (self.round, self.waves) = (round, read);
        }
        Ok(())
    }

    /// The number of the last round and its lanes, wave by wave.
    async fn lanes(
        &self,
        context: &Context,
        folder: &Folder,
    ) -> Result<(u64, Vec<Vec<String>>), Failure> {
        if self.halted() {
            let prefix = folder.key("back/");
            let keys = s3::list_keys(context.aws.s3(), &folder.bucket, &prefix).await?;
            if let Some((round, lanes)) = last_round(&prefix, keys) {
                return Ok((round, vec![lanes]));
            }
        }
        let forward = self.plan.as_ref().map(|file| file.plan.targets.waves.clone());
        Ok((0, forward.unwrap_or_default()))
    }

    /// After a failure no further target is started, except to restore it.
    fn halted(&self) -> bool {
        self.forward.values().any(|record| record.failure.is_some())
    }

    fn records(&mut self, direction: Direction) -> &mut BTreeMap<String, Record> {
        match direction {
            Direction::Forward => &mut self.forward,
            Direction::Back => &mut self.back,
        }
    }

    fn progress(&self) -> Option<Progress<'_>> {
        let file = self.plan.as_ref()?;
        Some(Progress {
            made_at: file.made_at,
            total: file.plan.targets.total,
            round: self.round,
            waves: &self.waves,
            forward: &self.forward,
            back: &self.back,
        })
    }

    async fn in_flight(&mut self, context: &Context) -> Result<Vec<Flight>, Failure> {
        let old = self.plan.as_ref().and_then(|file| file.plan.old_certificate.id.clone());
        let direction = if self.round == 0 { Direction::Forward } else { Direction::Back };
        let (Some(old), false) = (old, direction == Direction::Forward && self.halted()) else {
            return Ok(Vec::new());
        };
        let mut flights = Vec::new();
        let turns = self.progress().map_or_else(Vec::new, |one| one.turns());
        for (target, since) in turns {
            let status = cloudfront::status(context.aws.cloudfront(), &target).await?;
            let step = status.map_or(Step::Gone, |status| {
                let is_old = status.certificate.as_ref().is_some_and(|one| one.is(&old));
                match status.status {
                    _ if is_old == (direction == Direction::Forward) => Step::Updating,
                    Status::Deployed => Step::Verifying,
                    _ => Step::Propagating,
                }
            });
            flights.push(Flight { target, direction, step, since });
        }
        Ok(flights)
    }
}
