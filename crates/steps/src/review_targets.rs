//! Looks afresh at every target: who serves what now, and what follows from that?

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use rotation_aws::s3;
use rotation_core::ending::{
    Counts, Halt, PutBack, incomplete, not_back, not_rolled_back, review, rolled_back, to_put_back,
};
use rotation_core::ids::TargetId;
use rotation_core::plan::{Serves, lanes};
use rotation_core::target::record::{Record, Way};
use serde::{Deserialize, Serialize};

use crate::account::fleet::{self, Seen, Sight};
use crate::account::reading::Reading;
use crate::lambda::error::StepError;
use crate::payload::{Imported, Move, Plan, Target};
use crate::report_rotation::Failure;
use crate::{Context, payload};

/// How many targets are asked side by side.
const SIDE_BY_SIDE: usize = 8;

/// The state after the Map.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The plan.
    pub plan: Plan,
    /// The new certificate in its store.
    pub new_certificate: Imported,
    /// What the Map did.
    pub r#move: Move,
    /// What the Map itself failed with, if it did.
    pub failure: Option<Failure>,
}

/// Where the targets stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// What is to be done about it.
    pub next: Next,
    /// The counts of the output.
    pub counts: Counts,
    /// For a rollback: the keys of its lanes, in one wave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<Vec<String>>,
    /// The closing words, unless all is well; of a rollback those for the case that this round is the
    /// last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// `next` of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Next {
    /// Every target arrived that could.
    Complete,
    /// Restore the targets that were moved, or what of it is not back yet.
    RollBack,
    /// Everything that was moved is back.
    RolledBack,
    /// Targets failed, and are left as they are.
    Incomplete,
}

/// Looks, counts and leaves what was seen as `review.json`.
///
/// # Errors
/// `Internal` when the plan has no old certificate, and what AWS answers.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let name = format!("review-{}", input.r#move.round);
    let reading = Reading::resume(context, &input.plan.folder, &name).await?;
    let output = look_and_decide(&reading, &input).await;
    reading.end(output).await
}

async fn look_and_decide(reading: &Reading<'_>, input: &Input) -> Result<Output, StepError> {
    let (context, plan) = (reading.context(), &input.plan);
    let (s3, bucket) = (context.aws.s3(), &plan.folder.bucket);
    let targets: Vec<Target> = s3::get_json(s3, bucket, &plan.targets.key).await?;
    let planned: Vec<(TargetId, Serves)> =
        targets.into_iter().map(|target| (target.target, target.serves)).collect();
    let halts: Vec<Halt> = s3::list_json(s3, bucket, &plan.folder.halts()).await?;
    let (sight, seen) = look(reading, input, &planned, &halts).await?;
    reading.on_time()?;
    s3::put_json(s3, bucket, &plan.folder.key("review.json"), &sight).await?;

    let output = match input.r#move.way {
        Way::Forward => forward(context, input, &planned, &seen, &halts).await?,
        Way::Back => back(context, input, &planned, &seen, &halts).await?,
    };
    tracing::info!(next = ?output.next, counts = ?output.counts, "review-targets");
    Ok(output)
}

/// Lists may lag behind, and do not show tenants with a third certificate: asks each target that the
/// list does not show where it should be.
async fn look(
    reading: &Reading<'_>,
    input: &Input,
    planned: &[(TargetId, Serves)],
    halts: &[Halt],
) -> Result<(Sight, BTreeMap<TargetId, Seen>), StepError> {
    let context = reading.context();
    let (old, new) = (payload::old_id(&input.plan)?, &input.new_certificate.id);
    let fleet = fleet::look(reading, &[old, new]).await?;
    let mut seen = fleet.seen(old, Some(new));
    let (s3, bucket, folder) = (context.aws.s3(), &input.plan.folder.bucket, &input.plan.folder);
    // After a failure most targets may not have been begun, and a list is good enough for those.
    let begun: Option<BTreeSet<TargetId>> = if halts.is_empty() || input.failure.is_some() {
        None
    } else {
        let records: Vec<Record> = s3::list_json(s3, bucket, &folder.records(Way::Forward)).await?;
        Some(records.into_iter().map(|record| record.target).collect())
    };
    let in_doubt = planned.iter().map(|(target, _)| target).filter(|target| {
        begun.as_ref().is_none_or(|begun| begun.contains(target))
            && (input.r#move.way == Way::Back
                || seen.get(target).is_none_or(|seen| seen.serves != Serves::New))
    });
    let answers: Vec<(TargetId, Option<Seen>)> =
        stream::iter(in_doubt.cloned().collect::<Vec<_>>())
            .map(async |target| {
                let look_at = fleet::look_at(&context.aws, &target, old, new);
                let now = reading.ask(format!("{target}"), look_at).await?;
                Ok::<_, StepError>((target, now))
            })
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
    for (target, now) in answers {
        match now {
            Some(now) => seen.insert(target, now),
            None => seen.remove(&target),
        };
    }
    let targets = planned.iter().map(|(target, _)| target.clone()).collect();
    Ok((Sight::of(reading.since(), &fleet, &seen, &targets), seen))
}

fn served(seen: &BTreeMap<TargetId, Seen>) -> BTreeMap<TargetId, Serves> {
    seen.iter().map(|(target, seen)| (target.clone(), seen.serves)).collect()
}

async fn forward(
    context: &Context,
    input: &Input,
    planned: &[(TargetId, Serves)],
    seen: &BTreeMap<TargetId, Seen>,
    halts: &[Halt],
) -> Result<Output, StepError> {
    let Input { plan, failure, .. } = input;
    let halted: BTreeSet<TargetId> = halts.iter().map(|halt| halt.target.clone()).collect();
    let review = review(planned, &served(seen), &halted);
    let counts = review.counts;
    if counts.failed == 0 && failure.is_none() {
        return Ok(Output { next: Next::Complete, counts, waves: Vec::new(), cause: None });
    }
    let with_map = |cause: String| match failure {
        Some(failure) => format!("{cause}\n{}: {}", failure.error, failure.words()),
        None => cause,
    };
    let now = (context.now)();
    let why_not = match plan.old_certificate.not_after {
        _ if !plan.roll_back => "No target was restored, since onFailure is stop.",
        Some(not_after) if not_after <= now => {
            "No target was restored, since the old certificate has expired."
        }
        _ => {
            let seen = seen
                .iter()
                .map(|(target, seen)| (target.clone(), (seen.serves, seen.deployed)))
                .collect();
            let moved = to_put_back(planned, &seen, &halted);
            if moved.is_empty() {
                let cause = with_map(rolled_back(0, counts.already_current, halts));
                let (next, waves) = (Next::RolledBack, Vec::new());
                return Ok(Output { next, counts, waves, cause: Some(cause) });
            }
            let waves = write_lanes(context, plan, 1, &moved).await?;
            let cause = Some(with_map(format!(
                "{} targets were to be restored to the old certificate.",
                moved.len()
            )));
            return Ok(Output { next: Next::RollBack, counts, waves, cause });
        }
    };
    let cause = Some(with_map(incomplete(&counts, halts, &review.left, why_not)));
    Ok(Output { next: Next::Incomplete, counts, waves: Vec::new(), cause })
}

async fn back(
    context: &Context,
    input: &Input,
    planned: &[(TargetId, Serves)],
    seen: &BTreeMap<TargetId, Seen>,
    halts: &[Halt],
) -> Result<Output, StepError> {
    let Input { plan, r#move, .. } = input;
    let (s3, bucket) = (context.aws.s3(), &plan.folder.bucket);
    let mut round = Vec::new();
    for lane in r#move.waves.iter().flatten() {
        let targets: Vec<Target> = s3::get_json(s3, bucket, lane).await?;
        round.extend(targets.into_iter().map(|target| target.target));
    }
    let records: Vec<Record> = s3::list_json(s3, bucket, &plan.folder.records(Way::Back)).await?;
    // Earlier rounds have put back the others; what they left is in this round.
    let moved = records.len().max(round.len());
    let mut records: BTreeMap<TargetId, Record> = records
        .into_iter()
        .filter(|record| record.round == r#move.round)
        .map(|record| (record.target.clone(), record))
        .collect();
    let round: Vec<PutBack> = round
        .into_iter()
        .map(|target| PutBack {
            seen: seen.get(&target).map(|seen| (seen.serves, seen.deployed)),
            record: records.remove(&target),
            target,
        })
        .collect();

    let served = served(seen);
    let counts = review(planned, &served, &BTreeSet::new()).counts;
    let left = not_back(&round);
    if left.is_empty() {
        let already = planned.iter().filter(|(_, before)| *before == Serves::New).count();
        let cause = Some(rolled_back(moved, already, halts));
        return Ok(Output { next: Next::RolledBack, counts, waves: Vec::new(), cause });
    }
    let cause = Some(not_rolled_back(moved - left.len(), &left, halts));
    let left: Vec<TargetId> = left.iter().map(|one| one.target.clone()).collect();
    let waves = write_lanes(context, plan, r#move.round + 1, &left).await?;
    Ok(Output { next: Next::RollBack, counts, waves, cause })
}

/// Leaves the lanes of a round of the rollback in the folder; returns their keys, as one wave.
async fn write_lanes(
    context: &Context,
    plan: &Plan,
    round: u64,
    targets: &[TargetId],
) -> Result<Vec<Vec<String>>, StepError> {
    let targets: Vec<Target> = targets
        .iter()
        .map(|target| Target { target: target.clone(), serves: Serves::New })
        .collect();
    let mut keys = Vec::new();
    for (number, lane) in lanes(&targets, plan.concurrency).iter().enumerate() {
        let key = plan.folder.key(&format!("back/{round}/{number}.json"));
        s3::put_json(context.aws.s3(), &plan.folder.bucket, &key, lane).await?;
        keys.push(key);
    }
    Ok(vec![keys])
}
