//! Turns the state of a rotation into the output of the contract or the final error, and writes the
//! report.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rotation_aws::s3;
use rotation_core::ending::{Counts, End, Output as Rotation, RotationState, conclude};
use rotation_core::failure::Ending;
use rotation_core::ids::{Serves, TargetId};
use rotation_core::metrics::Unit;
use rotation_core::plan::state::{FleetSnapshot, Folder, NamedTarget, Plan, PlanFile};
use rotation_core::report::{Report, TargetReport, page, wrong_before};
use rotation_core::target::record::{Direction, Halt, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Context;
use crate::lambda::error::StepError;

/// The result of the state machine, unless it fails.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// True if the execution was redriven after its plan was made: it then starts over.
    pub again: bool,
    /// How often it has been redriven.
    pub redrive_count: u64,
    /// The output of the execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Rotation>,
}

/// Concludes the rotation and writes the report to its folder.
///
/// A failed rotation fails here, with its ending, and not in a Fail state: a redrive resumes at the
/// state that failed, and from here it can start over with a fresh plan (Step Functions Developer
/// Guide, "Redriving executions"; a Fail state would only fail again).
///
/// If the report cannot be written, this step runs once more without any AWS call. It then fails
/// with an ending whatever the state is, so that every execution ends under a name of the contract
/// as long as Lambda runs this step.
///
/// # Errors
/// Each ending, `Internal` when the state is inconsistent, and errors of S3 calls.
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
    let concluded = concluded(state);
    // An execution that was stopped, redriven and then succeeded does not start over.
    if is_redriven && !matches!(concluded, Ok((End::Succeeded(_), _))) {
        return Ok(Output { again: true, redrive_count, output: None });
    }
    let (mut end, state) = concluded?;
    if state.report_failure.is_none() {
        write(context, &state, &mut end, retries).await?;
    }
    measure(context, &state, &end);
    match end {
        End::Succeeded(output) => {
            tracing::info!(outcome = output.outcome, "report-rotation");
            Ok(Output { again: false, redrive_count, output: Some(*output) })
        }
        End::Failed { ending, cause } => {
            tracing::error!(ending = ending.name(), cause, "report-rotation");
            Err(StepError::Ends { ending, cause })
        }
    }
}

fn concluded(state: Value) -> Result<(End, RotationState), StepError> {
    let state: RotationState = serde_json::from_value(state)
        .map_err(|error| StepError::Internal(format!("the state does not parse: {error}")))?;
    let end = conclude(&state).map_err(|error| StepError::Internal(error.to_string()))?;
    Ok((end, state))
}

/// Emits the metrics of a finished rotation; none for a dry run.
fn measure(context: &Context, state: &RotationState, end: &End) {
    if state.request["dryRun"] == true {
        return;
    }
    let one_if = |is_so| if is_so { 1.0 } else { 0.0 };
    let targets = state.review.as_ref().map(|review| review.counts);
    let count = |of: fn(&Counts) -> usize| targets.as_ref().map_or(0, of) as f64;
    let seconds = (context.now)().duration_since(state.execution.start_time).as_secs_f64();
    let is_rolled_back = matches!(end, End::Failed { ending: Ending::RolledBack, .. });
    context.measure_stack(&[
        ("RotationsSucceeded", Unit::Count, one_if(matches!(end, End::Succeeded(_)))),
        ("RotationsFailed", Unit::Count, one_if(matches!(end, End::Failed { .. }))),
        ("RotationsRolledBack", Unit::Count, one_if(is_rolled_back)),
        ("RotationSeconds", Unit::Seconds, seconds),
        ("TargetsTotal", Unit::Count, count(|counts| counts.total)),
        ("TargetsUpdated", Unit::Count, count(|counts| counts.updated)),
        ("TargetsFailed", Unit::Count, count(|counts| counts.failed)),
    ]);
}

/// Collects the objects of the steps from the folder, notes what they say of all targets together,
/// and writes the report there.
async fn write(
    context: &Context,
    state: &RotationState,
    end: &mut End,
    retries: BTreeMap<String, u64>,
) -> Result<(), StepError> {
    let folder = Folder::of(&context.settings.bucket, &state.execution);
    let (s3, bucket) = (context.aws.s3(), &folder.bucket);
    let now = (context.now)();
    let targets = targets(context, &folder, state.plan.as_ref(), now).await?;
    if let End::Succeeded(output) = end {
        output.notes.extend(wrong_before(&targets));
    }
    let report = Report::new(state, end, targets, retries, now);
    let page = page(&report)
        .map_err(|error| StepError::Internal(format!("the report's page: {error}")))?;
    s3::put_json(s3, bucket, &folder.key("report.json"), &report).await?;
    s3::put_html(s3, bucket, &folder.key("report.html"), page).await?;
    Ok(())
}

/// Each target of the plan, with its records.
async fn targets(
    context: &Context,
    folder: &Folder,
    plan: Option<&Plan>,
    now: Timestamp,
) -> Result<Vec<TargetReport>, StepError> {
    let (s3, bucket) = (context.aws.s3(), &folder.bucket);
    let files: Vec<PlanFile> = s3::list_json(s3, bucket, &folder.key("plan.json")).await?;
    let snapshots: Vec<FleetSnapshot> =
        s3::list_json(s3, bucket, &folder.key("review.json")).await?;
    let seen = snapshots.into_iter().flat_map(|snapshot| snapshot.targets);
    let serves: BTreeMap<TargetId, Serves> =
        seen.map(|target| (target.id, target.state.serves)).collect();
    let records = async |direction| -> Result<BTreeMap<TargetId, Record>, StepError> {
        let records: Vec<Record> = s3::list_json(s3, bucket, &folder.records(direction)).await?;
        Ok(records.into_iter().map(|record| (record.target.clone(), record)).collect())
    };
    let mut forward = records(Direction::Forward).await?;
    let mut back = records(Direction::Back).await?;
    if let Some(plan) = plan.filter(|plan| plan.targets.held > 0) {
        let held: Vec<Halt> = s3::get_json(s3, bucket, &folder.held()).await?;
        forward.extend(held.into_iter().map(|halt| held_record(plan, halt, now)));
    }
    let planned = files.into_iter().flat_map(|file| file.targets);
    Ok(planned
        .map(|NamedTarget { target, serves: planned, names }| TargetReport {
            serves: serves.get(&target).copied(),
            forward: forward.remove(&target),
            back: back.remove(&target),
            planned,
            target,
            names,
        })
        .collect())
}

/// The record of a target that was not moved, since something was against it.
fn held_record(plan: &Plan, halt: Halt, at: Timestamp) -> (TargetId, Record) {
    let Halt { target, failure } = halt;
    let record = Record {
        target: target.clone(),
        direction: Direction::Forward,
        round: 0,
        from: plan.old_certificate.given.clone(),
        to: plan.new_certificate.fingerprint.clone(),
        update: None,
        deployment: None,
        verification: None,
        before: Vec::new(),
        failure: Some(failure),
        at,
    };
    (target, record)
}

/// How often the steps around the targets were retried; `attempt` has added it to their outputs.
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
