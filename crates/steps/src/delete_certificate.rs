//! Deletes the old certificate if nothing uses it at that moment.

use jiff::SignedDuration;
use rotation_aws::s3;
use rotation_aws::store::{self, DeleteResponse, Stored};
use rotation_core::ending::deletion::{Decision, Deletion, Evidence, decide, reimported, uses};
use rotation_core::ids::{CertificateId, TargetId};
use rotation_core::plan::state::{FleetSnapshot, Imported, Plan, PlannedTarget};
use serde::Deserialize;

use crate::Context;
use crate::account::fleet::list_fleet;
use crate::account::old_certificate;
use crate::account::reading::Reading;
use crate::lambda::error::StepError;

/// The state after the review.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The plan.
    pub plan: Plan,
    /// The new certificate in its store.
    pub new_certificate: Imported,
}

/// Maximum age of the review's snapshot. Listing 10,000 distributions takes half a minute of it.
const FRESH: SignedDuration = SignedDuration::from_mins(2);

/// Reads every possible use of the old certificate, then deletes it or says why not.
///
/// # Errors
/// `CertificateInUse` for a use that is expected to end, and errors of AWS calls.
pub async fn step(context: &Context, input: Input) -> Result<Deletion, StepError> {
    let plan = &input.plan;
    let old = old_certificate(plan)?;
    let (s3, bucket) = (context.aws.s3(), &plan.folder.bucket);
    let kept = plan.folder.key("deletion.json");
    let Some(stored) = store::describe(&context.aws, old).await? else {
        // Deleted by an earlier attempt, whose evidence is in the folder, or by another user.
        let evidence = s3::find_json::<Evidence>(s3, bucket, &kept).await?;
        let evidence = evidence.map(|(evidence, _)| evidence);
        return Ok(Deletion { deleted: true, reason: None, evidence });
    };
    let planned = plan.old_certificate.fingerprint.as_deref();
    if let reason @ Some(_) = reimported(planned, &stored.certificate.fingerprint()) {
        tracing::info!(%old, reason, "delete-certificate");
        return Ok(Deletion { deleted: false, reason, evidence: None });
    }
    let (decision, evidence) = decided(context, &input, &stored).await?;
    let deletion = match decision {
        Decision::Keep(reason) => {
            Deletion { deleted: false, reason: Some(reason), evidence: Some(evidence) }
        }
        Decision::TryLater(reason) => return Err(StepError::CertificateInUse(reason)),
        Decision::Delete => {
            // Written first, so that the evidence exists even if the response to the deletion is
            // lost.
            s3::put_json(s3, bucket, &kept, &evidence).await?;
            Deletion { evidence: Some(evidence), ..delete(context, old).await? }
        }
    };
    tracing::info!(%old, output = ?deletion, "delete-certificate");
    Ok(deletion)
}

/// Decides on the uses, and returns the evidence. The review has just listed everything, so its
/// snapshot is enough for a deletion; in all other cases, or if it is too old, everything is listed
/// again.
async fn decided(
    context: &Context,
    input: &Input,
    stored: &Stored,
) -> Result<(Decision, Evidence), StepError> {
    let Input { plan, new_certificate } = input;
    let (s3, bucket) = (context.aws.s3(), &plan.folder.bucket);
    let planned: Vec<PlannedTarget> = s3::get_json(s3, bucket, &plan.targets.key).await?;
    let ids: Vec<TargetId> = planned.iter().map(|target| target.id.clone()).collect();
    let old = &stored.id;
    let judge = |snapshot: &FleetSnapshot| {
        let (uses, evidence) = uses(snapshot, &ids, &stored.in_use_by);
        (decide(&uses, &ids, old.account()), evidence)
    };
    let reviewed =
        s3::find_json::<FleetSnapshot>(s3, bucket, &plan.folder.key("review.json")).await?;
    let fresh = (context.now)() - FRESH;
    let reviewed = reviewed.filter(|(snapshot, _)| snapshot.at > fresh);
    if let Some((Decision::Delete, evidence)) = reviewed.map(|(snapshot, _)| judge(&snapshot)) {
        return Ok((Decision::Delete, evidence));
    }
    let reading = Reading::resume(context, &plan.folder, "deletion").await?;
    let at = reading.since();
    let fleet = list_fleet(&reading, &[old, &new_certificate.id]).await;
    let fleet = reading.end(fleet).await?;
    let states = fleet.states(old, Some(&new_certificate.id));
    Ok(judge(&fleet.snapshot(at, &states, &planned)))
}

async fn delete(context: &Context, old: &CertificateId) -> Result<Deletion, StepError> {
    match store::delete(&context.aws, old).await? {
        DeleteResponse::Deleted | DeleteResponse::AlreadyGone => {
            Ok(Deletion { deleted: true, reason: None, evidence: None })
        }
        // IAM has no list of uses. Its error names a load balancer by ARN, and that use does not
        // end by itself.
        DeleteResponse::InUse(message) if message.contains(":elasticloadbalancing:") => {
            Ok(Deletion { deleted: false, reason: Some(message), evidence: None })
        }
        DeleteResponse::InUse(message) => Err(StepError::CertificateInUse(message)),
    }
}
