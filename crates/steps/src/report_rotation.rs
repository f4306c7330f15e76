//! Turns what happened into the contract's output or the closing error, and into the report.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rotation_aws::s3;
use rotation_core::ending::{Counts, NewCertificate, OldCertificate, Output as Rotation};
use rotation_core::finding::Ending;
use rotation_core::ids::TargetId;
use rotation_core::metrics::Unit;
use rotation_core::plan::{Outcome, Serves};
use rotation_core::report::{self, Certificate, Certificates, Planned, Report, TargetReport};
use rotation_core::target::record::{Record, Way, words};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Context;
use crate::account::fleet::Sight;
use crate::lambda::error::StepError;
use crate::payload::{Execution, Folder, Imported, Plan, PlanFile, PlannedTarget};
use crate::review_targets::Next;
use crate::{delete_certificate, review_targets};

/// The whole state, as far as the rotation came.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The input of the execution.
    #[serde(default)]
    pub request: Value,
    /// Which execution.
    pub execution: Execution,
    /// The plan, if it was made.
    pub plan: Option<Plan>,
    /// What the look at the quotas has left, which may be what it failed with.
    #[serde(default)]
    pub quota: Quota,
    /// The new certificate, if it was imported.
    pub new_certificate: Option<Imported>,
    /// Where the targets stand, if they were looked at.
    pub review: Option<review_targets::Output>,
    /// What became of the old certificate, if it was to be deleted.
    pub deletion: Option<delete_certificate::Output>,
    /// What the deletion failed with.
    pub deletion_failure: Option<Failure>,
    /// What another step failed with.
    pub failure: Option<Failure>,
    /// What an earlier attempt to write the report failed with: then it is not tried again.
    pub report_failure: Option<Failure>,
}

impl Input {
    /// What is to be said of this rotation besides.
    fn notes(&self) -> Vec<String> {
        let planned = self.plan.iter().flat_map(|plan| &plan.notes);
        planned.chain(&self.quota.note).cloned().collect()
    }
}

/// Of the look at the quotas what is to be said in the end.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Quota {
    /// What it was decided without.
    pub note: Option<String>,
}

/// What a Catch of the state machine puts into the state.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Failure {
    /// The error's name.
    pub error: String,
    /// Its cause: of a function's error the JSON that Lambda makes of it.
    #[serde(default)]
    pub cause: String,
}

impl Failure {
    /// What it says, or what its name means.
    pub fn words(&self) -> String {
        words(&self.error, &self.cause)
    }
}

/// Why the old certificate counts as not deleted. A function that died, several times over, has said nothing: what
/// fails then has a name of AWS's, which unlike a step's has a dot.
fn not_deleted(failure: &Failure) -> String {
    if failure.error.contains('.') {
        return format!(
            "the outcome of the deletion is unknown: the function failed with {}",
            failure.error
        );
    }
    failure.words()
}

/// What the state machine ends with, unless it fails.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Has the execution been redriven since its plan was made? Then it begins anew.
    pub again: bool,
    /// How often it has been redriven.
    pub redrive_count: u64,
    /// The output of the execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Rotation>,
}

/// How the rotation ended.
enum End {
    Succeeded(Box<Rotation>),
    Failed(Ending, String),
}

/// Concludes the rotation and leaves the report in its folder.
///
/// A rotation that failed fails here, with its ending, and not in a Fail state: a redrive of the
/// execution goes on from the state that failed, and from here it can begin anew with a fresh plan (Step
/// Functions Developer Guide, "Redriving executions"; a Fail state would only fail again).
///
/// When the report could not be written, this runs once more and asks nobody: then it fails with an ending whatever
/// the state is, so that executions end under the names of the contract as long as Lambda runs this.
///
/// # Errors
/// Each ending, `Internal` when the state fits none, and what S3 answers.
pub async fn step(context: &Context, state: Value) -> Result<Output, StepError> {
    let is_last = !state["reportFailure"].is_null();
    match Box::pin(report_and_conclude(context, state)).await {
        Err(error) if is_last && !matches!(error, StepError::Ends { .. }) => Err(StepError::Ends {
            ending: Ending::RotationIncomplete,
            cause: format!("The report could not be written: {}: {error}", error.name()),
        }),
        result => result,
    }
}

async fn report_and_conclude(context: &Context, state: Value) -> Result<Output, StepError> {
    let retries = retries(&state);
    let count = |value: &Value| value["redriveCount"].as_u64().unwrap_or(0);
    let (redrive_count, planned_at) = (count(&state), count(&state["execution"]));
    let is_redriven = redrive_count > planned_at;
    let concluded = serde_json::from_value(state)
        .map_err(|error| StepError::Internal(format!("the state does not parse: {error}")))
        .and_then(|input: Input| Ok((conclude(&input)?, input)));
    // One that was stopped and went on to its goal has nothing to begin anew.
    let is_done = matches!(&concluded, Ok((End::Succeeded(_), Input { report_failure: None, .. })));
    if is_redriven && !is_done {
        return Ok(Output { again: true, redrive_count, output: None });
    }
    let (end, input) = concluded?;
    let end = match &input.report_failure {
        Some(failure) => without_report(end, failure),
        None => {
            write(context, &input, &end, retries).await?;
            end
        }
    };
    measure(context, &input, &end);
    match end {
        End::Succeeded(output) => {
            tracing::info!(outcome = output.outcome, "report-rotation");
            Ok(Output { again: false, redrive_count, output: Some(*output) })
        }
        End::Failed(ending, cause) => {
            tracing::error!(ending = ending.name(), cause, "report-rotation");
            Err(StepError::Ends { ending, cause })
        }
    }
}

/// Puts out what a rotation came to; a dry run is none.
fn measure(context: &Context, input: &Input, end: &End) {
    if input.request["dryRun"] == true {
        return;
    }
    let one_if = |is_so| if is_so { 1.0 } else { 0.0 };
    let targets = input.review.as_ref().map(|review| review.counts);
    let count = |of: fn(&Counts) -> usize| targets.as_ref().map_or(0, of) as f64;
    let seconds = (context.now)().duration_since(input.execution.start_time).as_secs_f64();
    context.measure_stack(&[
        ("RotationsSucceeded", Unit::Count, one_if(matches!(end, End::Succeeded(_)))),
        ("RotationsFailed", Unit::Count, one_if(matches!(end, End::Failed(..)))),
        (
            "RotationsRolledBack",
            Unit::Count,
            one_if(matches!(end, End::Failed(Ending::RolledBack, _))),
        ),
        ("RotationSeconds", Unit::Seconds, seconds),
        ("TargetsTotal", Unit::Count, count(|counts| counts.total)),
        ("TargetsUpdated", Unit::Count, count(|counts| counts.updated)),
        ("TargetsFailed", Unit::Count, count(|counts| counts.failed)),
    ]);
}

/// Collects what the steps left in the folder, and leaves the report there.
async fn write(
    context: &Context,
    input: &Input,
    end: &End,
    retries: BTreeMap<String, u64>,
) -> Result<(), StepError> {
    let folder = Folder::of(&context.settings.bucket, &input.execution);
    let (s3, bucket) = (context.aws.s3(), &folder.bucket);
    let files: Vec<PlanFile> = s3::list_json(s3, bucket, &folder.key("plan.json")).await?;
    let sights: Vec<Sight> = s3::list_json(s3, bucket, &folder.key("review.json")).await?;
    let stands = sights.into_iter().flat_map(|sight| sight.stands);
    let stands: BTreeMap<TargetId, Serves> =
        stands.map(|stand| (stand.target, stand.serves)).collect();
    let records = async |way| -> Result<BTreeMap<TargetId, Record>, StepError> {
        let records: Vec<Record> = s3::list_json(s3, bucket, &folder.records(way)).await?;
        Ok(records.into_iter().map(|record| (record.target.clone(), record)).collect())
    };
    let (mut forward, mut back) = (records(Way::Forward).await?, records(Way::Back).await?);
    let planned = files.into_iter().flat_map(|file| file.targets);
    let targets: Vec<TargetReport> = planned
        .map(|PlannedTarget { target, serves, names }| TargetReport {
            serves: stands.get(&target).copied(),
            forward: forward.remove(&target),
            back: back.remove(&target),
            planned: serves,
            target,
            names,
        })
        .collect();
    let report = Report { retries, ..report(input, end, targets, (context.now)()) };
    let page = report::page(&report)
        .map_err(|error| StepError::Internal(format!("the report's page: {error}")))?;
    s3::put_json(s3, bucket, &folder.key("report.json"), &report).await?;
    s3::put_html(s3, bucket, &folder.key("report.html"), page).await?;
    Ok(())
}

fn report(input: &Input, end: &End, targets: Vec<TargetReport>, ended_at: Timestamp) -> Report {
    let Input { request, execution, plan, new_certificate, deletion, deletion_failure, .. } = input;
    let old_not_after = plan.as_ref().and_then(|plan| plan.old_certificate.not_after);
    let (output, error, cause) = match end {
        End::Succeeded(output) => (Some((**output).clone()), None, None),
        End::Failed(ending, cause) => (None, Some(ending.name().to_owned()), Some(cause.clone())),
    };
    Report {
        succeeded: output.is_some(),
        output,
        error,
        cause,
        rotation: report::Rotation {
            name: execution.name.clone(),
            id: execution.id.clone(),
            started_at: execution.start_time,
            ended_at,
            redrives: execution.redrive_count,
        },
        request: report::shown(request),
        certificates: plan.as_ref().map(|plan| {
            let id = new_certificate.as_ref().map(|imported| &imported.id);
            Certificates {
                old: Certificate {
                    id: Some(plan.old_certificate.given.clone()),
                    fingerprint: plan.old_certificate.fingerprint.clone(),
                    not_after: plan.old_certificate.not_after,
                },
                new: Certificate {
                    id: id.or(plan.new_certificate.id.as_ref()).map(|id| id.id().to_owned()),
                    fingerprint: Some(plan.new_certificate.fingerprint.clone()),
                    not_after: Some(plan.new_certificate.not_after),
                },
            }
        }),
        plan: plan.as_ref().map(|plan| Planned {
            total: plan.targets.total,
            to_move: plan.targets.to_move,
            concurrency: plan.concurrency,
            verify_viewers: plan.verify_viewers,
            roll_back: plan.roll_back,
            notes: input.notes(),
            location: location(plan),
        }),
        risk: report::risk(&targets, old_not_after, ended_at),
        targets,
        retries: BTreeMap::new(),
        deletion: match (deletion, deletion_failure) {
            (Some(one), _) => Some(report::Deletion {
                deleted: one.deleted,
                reason: one.reason.clone(),
                evidence: one.evidence.clone(),
            }),
            (None, Some(failure)) => Some(report::Deletion {
                deleted: false,
                reason: Some(not_deleted(failure)),
                evidence: None,
            }),
            (None, None) => None,
        },
    }
}

/// How often the steps around the targets were retried: what `attempt` has put into their results.
fn retries(state: &Value) -> BTreeMap<String, u64> {
    let results = [
        ("PlanRotation", "plan"),
        ("CheckQuota", "quota"),
        ("ImportCertificate", "newCertificate"),
        ("ReviewTargets", "review"),
        ("DeleteCertificate", "deletion"),
    ];
    let count = |(name, field): (&str, &str)| {
        Some((name.to_owned(), state.get(field)?.get("retries")?.as_u64()?))
    };
    results.into_iter().filter_map(count).collect()
}

/// Where the plan lies.
fn location(plan: &Plan) -> String {
    format!("s3://{}/{}", plan.folder.bucket, plan.folder.key("plan.json"))
}

/// A rotation without a report is not complete, whatever it has reached.
fn without_report(end: End, failure: &Failure) -> End {
    let why = format!("The report could not be written: {}: {}", failure.error, failure.words());
    match end {
        End::Failed(ending, cause) => End::Failed(ending, format!("{cause}\n{why}")),
        End::Succeeded(output) => End::Failed(
            Ending::RotationIncomplete,
            format!(
                "The rotation reached its goal ({}). {why}\nFix that, then start a rotation with the same input, or redrive this one: it checks whether anything remains to be done.",
                output.outcome
            ),
        ),
    }
}

fn conclude(input: &Input) -> Result<End, StepError> {
    let Input { plan, new_certificate, review, deletion, deletion_failure, failure, .. } =
        input.clone();
    match review.as_ref().map(|review| (review.next, review.cause.clone().unwrap_or_default())) {
        Some((Next::RolledBack, cause)) => return Ok(End::Failed(Ending::RolledBack, cause)),
        Some((Next::RollBack | Next::Incomplete, mut cause)) => {
            if let Some(failure) = failure {
                cause.push_str(&format!("\n{}: {}", failure.error, failure.words()));
            }
            return Ok(End::Failed(Ending::RotationIncomplete, cause));
        }
        Some((Next::Complete, _)) => {}
        None => {
            if let Some(failure) = failure {
                let (ending, cause) =
                    broken_off(&failure, plan.is_some(), new_certificate.as_ref());
                return Ok(End::Failed(ending, cause));
            }
        }
    }
    let plan = plan
        .ok_or_else(|| StepError::Internal("a rotation ended without a plan or an error".into()))?;
    let location = location(&plan);
    let (outcome, counts) = match (plan.outcome, review) {
        (Outcome::NothingToDo, _) => ("nothingToDo", standing(&plan)),
        (Outcome::Planned, _) => ("planned", standing(&plan)),
        (Outcome::Rotate, Some(review)) => ("rotated", review.counts),
        (Outcome::Rotate, None) => {
            return Err(StepError::Internal("a rotation ended without a review".into()));
        }
    };
    let reason = deletion_failure
        .map(|failure| not_deleted(&failure))
        .or_else(|| deletion.as_ref().and_then(|deletion| deletion.reason.clone()));
    Ok(End::Succeeded(Box::new(Rotation {
        outcome: outcome.to_owned(),
        old_certificate: OldCertificate {
            id: plan
                .old_certificate
                .id
                .as_ref()
                .map_or(plan.old_certificate.given, |id| id.id().to_owned()),
            fingerprint: plan.old_certificate.fingerprint,
            not_after: plan.old_certificate.not_after,
            deleted: plan.old_certificate.id.is_none()
                || deletion.is_some_and(|deletion| deletion.deleted),
            reason,
        },
        new_certificate: NewCertificate {
            id: new_certificate
                .as_ref()
                .map(|imported| &imported.id)
                .or(plan.new_certificate.id.as_ref())
                .map(|id| id.id().to_owned()),
            fingerprint: plan.new_certificate.fingerprint,
            not_after: plan.new_certificate.not_after,
            imported: new_certificate.is_some_and(|imported| imported.imported),
        },
        targets: counts,
        plan: location,
        notes: input.notes(),
    })))
}

/// The counts of a rotation that moved nothing: what is already on the new certificate.
fn standing(plan: &Plan) -> Counts {
    Counts {
        total: plan.targets.total,
        already_current: plan.targets.total - plan.targets.to_move,
        ..Counts::default()
    }
}

/// A step failed. Its own name stands if it is one of the contract's; anything else is a rotation that
/// did not get to its end.
fn broken_off(failure: &Failure, planned: bool, imported: Option<&Imported>) -> (Ending, String) {
    let said = failure.words();
    if let Some(ending) = Ending::named(&failure.error) {
        return (ending, said);
    }
    let state = match imported {
        None if !planned => "Nothing was changed.".to_owned(),
        None => "No target was changed; an import or a quota request may have succeeded, and the next execution finds it.".to_owned(),
        Some(imported) => format!(
            "The new certificate is in its store as {}; check the children of this execution for the targets that were moved. Nothing was deleted.",
            imported.id
        ),
    };
    (
        Ending::RotationIncomplete,
        format!(
            "{}: {said}\n{state} Fix the cause, then start a rotation with the same input: it resumes the remaining work.",
            failure.error
        ),
    )
}
