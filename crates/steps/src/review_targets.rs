//! Looks afresh at every target of the plan: who serves what now?

use std::collections::{BTreeMap, BTreeSet};

use rotation_aws::s3;
use rotation_core::ids::{CertificateId, TargetId};
use rotation_core::plan::Serves;
use rotation_core::report::{Counts, Halt, incomplete, review};
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::fleet::{self, Seen};
use crate::payload::{Imported, Plan, Target};
use crate::report_rotation::{Failure, message};
use crate::{Context, payload};

/// The state after the Map.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The plan.
    pub plan: Plan,
    /// The new certificate in its store.
    pub new_certificate: Imported,
    /// What the Map itself failed with, if it did.
    pub failure: Option<Failure>,
}

/// Where the targets stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The counts of the output.
    pub counts: Counts,
    /// Did every target arrive that could?
    pub complete: bool,
    /// The closing words when not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// Looks and counts.
///
/// # Errors
/// `Internal` when the plan has no old certificate, and what AWS answers.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let Input { plan, new_certificate, failure } = input;
    let old = payload::old_id(&plan)?;
    let aws = &context.aws;
    let targets: Vec<Target> =
        s3::get_json(&aws.s3, &plan.folder.bucket, &plan.targets.key).await?;
    let halts: Vec<Halt> =
        s3::list_json(&aws.s3, &plan.folder.bucket, &plan.folder.halts()).await?;

    let fleet = fleet::look(aws, &[old, &new_certificate.id]).await?;
    let mut seen = fleet.seen(old, Some(&new_certificate.id));
    if halts.is_empty() {
        confirm(context, &targets, old, &new_certificate.id, &mut seen).await?;
    }

    let planned: Vec<(TargetId, Serves)> =
        targets.into_iter().map(|target| (target.target, target.serves)).collect();
    let seen = seen.into_iter().map(|(target, seen)| (target, seen.serves)).collect();
    let halted: BTreeSet<TargetId> = halts.iter().map(|halt| halt.target.clone()).collect();
    let review = review(&planned, &seen, &halted);
    let complete = review.counts.failed == 0 && failure.is_none();
    let cause = (!complete).then(|| {
        let mut cause = incomplete(&review.counts, &halts, &review.left);
        if let Some(failure) = failure {
            cause.push_str(&format!("\n{}: {}", failure.error, message(&failure.cause)));
        }
        cause
    });
    tracing::info!(counts = ?review.counts, complete, "review-targets");
    Ok(Output { counts: review.counts, complete, cause })
}

/// Lists may lag behind, and do not show tenants with a third certificate: asks each target that the
/// list does not show on the new certificate. After a failure that may be most of them, and the list
/// is good enough.
async fn confirm(
    context: &Context,
    targets: &[Target],
    old: &CertificateId,
    new: &CertificateId,
    seen: &mut BTreeMap<TargetId, Seen>,
) -> Result<(), StepError> {
    for Target { target, .. } in targets {
        if seen.get(target).is_some_and(|seen| seen.serves == Serves::New) {
            continue;
        }
        match fleet::look_at(&context.aws, target, old, new).await? {
            Some(now) => seen.insert(target.clone(), now),
            None => seen.remove(target),
        };
    }
    Ok(())
}
