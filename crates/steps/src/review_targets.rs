//! Takes a fresh snapshot of all targets, and decides what follows.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use rotation_aws::s3;
use rotation_core::ending::Counts;
use rotation_core::ending::rollback::{Observed, Review, after_back, after_forward};
use rotation_core::failure::Failure;
use rotation_core::ids::{Serves, TargetId};
use rotation_core::plan::lanes;
use rotation_core::plan::state::{
    FleetSnapshot, Imported, Leg, Plan, PlannedTarget, TargetState, file,
};
use rotation_core::target::record::{Direction, Halt, Record};
use serde::Deserialize;

use crate::Context;
use crate::account::fleet::{list_fleet, read_target};
use crate::account::old_certificate;
use crate::account::reading::Reading;
use crate::lambda::error::StepError;

/// How many targets are read in parallel.
const SIDE_BY_SIDE: usize = 8;

/// The state after the Map.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The plan.
    pub plan: Plan,
    /// The new certificate in its store.
    pub new_certificate: Imported,
    /// The run of the Map that is reviewed.
    #[serde(rename = "move")]
    pub leg: Leg,
    /// The error of the Map itself, if it failed.
    pub failure: Option<Failure>,
}

/// Reads and counts the targets, and writes the snapshot as `review.json`.
///
/// # Errors
/// `Internal` when the plan has no old certificate, and errors of AWS calls.
pub async fn step(context: &Context, input: Input) -> Result<Review, StepError> {
    let name = format!("review-{}", input.leg.round);
    let reading = Reading::resume(context, &input.plan.folder, &name).await?;
    let review = review(&reading, &input).await;
    reading.end(review).await
}

async fn review(reading: &Reading<'_>, input: &Input) -> Result<Review, StepError> {
    let (context, plan) = (reading.context(), &input.plan);
    let (s3, bucket) = (context.aws.s3(), &plan.folder.bucket);
    let planned: Vec<PlannedTarget> = s3::get_json(s3, bucket, &plan.targets.key).await?;
    let mut halts: Vec<Halt> = s3::list_json(s3, bucket, &plan.folder.halts()).await?;
    let (snapshot, states) = refresh(reading, input, &planned, &halts).await?;
    reading.on_time()?;
    s3::put_json(s3, bucket, &plan.folder.key("review.json"), &snapshot).await?;

    if plan.targets.held > 0 {
        halts.extend(s3::get_json::<Vec<Halt>>(s3, bucket, &plan.folder.held()).await?);
    }
    let map_failure = input.failure.as_ref();
    let seen = Observed { planned: &planned, states: &states, halts: &halts, map_failure };
    let verdict = match input.leg.direction {
        Direction::Forward => after_forward(plan, &seen, (context.now)()),
        Direction::Back => {
            let (round, records) = round(context, input).await?;
            after_back(plan, &seen, (context.now)(), input.leg.round, round, records)
        }
    };
    let waves = write_lanes(context, plan, input.leg.round + 1, verdict.move_back).await?;
    tracing::info!(next = ?verdict.next, counts = ?verdict.counts, "review-targets");
    let counts = Counts { excluded: plan.targets.excluded, ..verdict.counts };
    Ok(Review { next: verdict.next, counts, waves, cause: verdict.cause })
}

/// Lists may be stale, and omit tenants with a third certificate. So each target that the list does
/// not show with the expected certificate is read individually.
async fn refresh(
    reading: &Reading<'_>,
    input: &Input,
    planned: &[PlannedTarget],
    halts: &[Halt],
) -> Result<(FleetSnapshot, BTreeMap<TargetId, TargetState>), StepError> {
    let context = reading.context();
    let (old, new) = (old_certificate(&input.plan)?, &input.new_certificate.id);
    let fleet = list_fleet(reading, &[old, new]).await?;
    let mut states = fleet.states(old, Some(new));
    let (s3, bucket, folder) = (context.aws.s3(), &input.plan.folder.bucket, &input.plan.folder);
    // After a failure most targets may not have been started; for those the list is enough.
    let begun: Option<BTreeSet<TargetId>> = if halts.is_empty() || input.failure.is_some() {
        None
    } else {
        let records: Vec<Record> =
            s3::list_json(s3, bucket, &folder.records(Direction::Forward)).await?;
        Some(records.into_iter().map(|record| record.target).collect())
    };
    let in_doubt = planned.iter().map(|target| &target.id).filter(|id| {
        begun.as_ref().is_none_or(|begun| begun.contains(id))
            && (input.leg.direction == Direction::Back
                || states.get(id).is_none_or(|state| state.serves != Serves::New))
    });
    let answers: Vec<(TargetId, Option<TargetState>)> =
        stream::iter(in_doubt.cloned().collect::<Vec<_>>())
            .map(async |id| {
                let read = read_target(&context.aws, &id, old, new);
                let now = reading.ask(format!("{id}"), read).await?;
                Ok::<_, StepError>((id, now))
            })
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
    for (id, now) in answers {
        match now {
            Some(now) => states.insert(id, now),
            None => states.remove(&id),
        };
    }
    Ok((fleet.snapshot(reading.since(), &states, planned), states))
}

/// The targets of this round of the rollback, and the records of all rounds.
async fn round(
    context: &Context,
    input: &Input,
) -> Result<(Vec<TargetId>, Vec<Record>), StepError> {
    let (s3, folder) = (context.aws.s3(), &input.plan.folder);
    let mut round = Vec::new();
    for lane in input.leg.waves.iter().flatten() {
        let targets: Vec<PlannedTarget> = s3::get_json(s3, &folder.bucket, lane).await?;
        round.extend(targets.into_iter().map(|target| target.id));
    }
    let records = s3::list_json(s3, &folder.bucket, &folder.records(Direction::Back)).await?;
    Ok((round, records))
}

/// A target to be restored, with what was wrong before the rotation: that must only not be worse.
async fn with_before(
    context: &Context,
    plan: &Plan,
    id: TargetId,
) -> Result<PlannedTarget, StepError> {
    let key = format!("{}{}", plan.folder.records(Direction::Forward), file(&id));
    let found = s3::find_json::<Record>(context.aws.s3(), &plan.folder.bucket, &key).await?;
    let before = found.map(|(record, _)| record.before).unwrap_or_default();
    Ok(PlannedTarget { before, ..PlannedTarget::new(id, Serves::New) })
}

/// Writes the lanes of the next round of the rollback to the folder. Returns their keys as one
/// wave; no wave if there is nothing to move back.
async fn write_lanes(
    context: &Context,
    plan: &Plan,
    round: u64,
    targets: Vec<TargetId>,
) -> Result<Vec<Vec<String>>, StepError> {
    let targets: Vec<PlannedTarget> = stream::iter(targets)
        .map(async |id| with_before(context, plan, id).await)
        .buffered(SIDE_BY_SIDE)
        .try_collect()
        .await?;
    let mut keys = Vec::new();
    for (number, lane) in lanes(&targets, plan.concurrency).iter().enumerate() {
        let key = plan.folder.key(&format!("back/{round}/{number}.json"));
        s3::put_json(context.aws.s3(), &plan.folder.bucket, &key, lane).await?;
        keys.push(key);
    }
    Ok(if keys.is_empty() { Vec::new() } else { vec![keys] })
}
