//! Deletes the old certificate if, just then, nothing uses it.

use jiff::SignedDuration;
use rotation_aws::s3;
use rotation_aws::store::acm::Deletion;
use rotation_aws::store::{self, acm, iam};
use rotation_core::ending::deletion::{Decision, Uses, decide};
use rotation_core::ids::{CertificateId, TargetId};
use rotation_core::plan::Serves;
use rotation_core::report::Evidence;
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::account::fleet;
use crate::account::fleet::{Sight, Stand};
use crate::account::reading::Reading;
use crate::lambda::error::StepError;
use crate::payload::{Imported, Plan, Target, old_id};

/// The state after the review.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The plan.
    pub plan: Plan,
    /// The new certificate in its store.
    pub new_certificate: Imported,
}

/// What became of the old certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Is it gone?
    pub deleted: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was seen just before; none if it was gone already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// How many of each kind are named as evidence.
const NAMED: usize = 20;
/// How old the review's look may be; to list 10,000 distributions takes half a minute of that.
const FRESH: SignedDuration = SignedDuration::from_mins(2);

/// Looks at everything that may use it, then deletes it or says why not.
///
/// # Errors
/// `CertificateInUse` for a use that is expected to pass, and what AWS answers.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let Input { plan, new_certificate } = input;
    let old = old_id(&plan)?;
    let aws = &context.aws;
    let kept = plan.folder.key("deletion.json");
    let Some(stored) = store::describe(aws, old).await? else {
        // By an earlier attempt, whose evidence is in the folder, or by somebody else.
        let evidence = s3::find_json::<Evidence>(aws.s3(), &plan.folder.bucket, &kept).await?;
        let evidence = evidence.map(|(evidence, _)| evidence);
        return Ok(Output { deleted: true, reason: None, evidence });
    };
    let targets: Vec<Target> =
        s3::get_json(aws.s3(), &plan.folder.bucket, &plan.targets.key).await?;
    let planned: Vec<TargetId> = targets.into_iter().map(|target| target.target).collect();
    let account = old.arn().split(':').nth(4).unwrap_or_default();
    let judge = |sight: &Sight| {
        let (uses, evidence) = found(sight, &planned, &stored.in_use_by);
        (decide(&uses, &planned, account), evidence)
    };
    // The review has just listed everything; what it does not settle, or settled too long ago, is looked at
    // again.
    let review = plan.folder.key("review.json");
    let reviewed = s3::find_json::<Sight>(aws.s3(), &plan.folder.bucket, &review).await?;
    let fresh = (context.now)() - FRESH;
    let reviewed = reviewed.filter(|(sight, _)| sight.at > fresh).map(|(sight, _)| judge(&sight));
    let (decision, evidence) = match reviewed {
        Some((Decision::Delete, evidence)) => (Decision::Delete, evidence),
        _ => {
            let reading = Reading::resume(context, &plan.folder, "deletion").await?;
            let at = reading.since();
            let fleet = fleet::look(&reading, &[old, &new_certificate.id]).await;
            let fleet = reading.end(fleet).await?;
            let seen = fleet.seen(old, Some(&new_certificate.id));
            judge(&Sight::of(at, &fleet, &seen, &planned.iter().cloned().collect()))
        }
    };
    let output = match decision {
        Decision::Keep(reason) => {
            Output { deleted: false, reason: Some(reason), evidence: Some(evidence) }
        }
        Decision::TryLater(reason) => return Err(StepError::CertificateInUse(reason)),
        Decision::Delete => {
            // First, so that it is on record even if the answer to the deletion is lost.
            s3::put_json(aws.s3(), &plan.folder.bucket, &kept, &evidence).await?;
            Output { evidence: Some(evidence), ..delete(context, old).await? }
        }
    };
    tracing::info!(%old, ?output, "delete-certificate");
    Ok(output)
}

/// What was seen to use the old certificate, for the decision and for the record.
fn found(sight: &Sight, planned: &[TargetId], in_use_by: &[String]) -> (Uses, Evidence) {
    let pick = |wanted: fn(&Stand) -> bool| -> Vec<TargetId> {
        let wanted = sight.stands.iter().filter(|stand| wanted(stand));
        wanted.map(|stand| stand.target.clone()).collect()
    };
    let mut deploying = pick(|stand| stand.serves == Serves::New && !stand.deployed);
    deploying.retain(|target| planned.contains(target));
    let uses = Uses {
        serving: pick(|stand| stand.serves == Serves::Old),
        deploying,
        in_use_by: in_use_by.to_vec(),
    };
    let named =
        |targets: &[TargetId]| targets.iter().take(NAMED).map(TargetId::to_string).collect();
    let evidence = Evidence {
        at: sight.at,
        distributions: sight.distributions,
        tenants: sight.tenants,
        serving: named(&uses.serving),
        deploying: named(&uses.deploying),
        in_use_by: in_use_by.iter().take(NAMED).cloned().collect(),
    };
    (uses, evidence)
}

async fn delete(context: &Context, old: &CertificateId) -> Result<Output, StepError> {
    let deletion = match old {
        CertificateId::Acm { arn } => acm::delete(context.aws.acm(), arn).await?,
        CertificateId::Iam { arn, .. } => iam::delete(context.aws.iam(), arn).await?,
    };
    match deletion {
        Deletion::Deleted | Deletion::AlreadyGone => {
            Ok(Output { deleted: true, reason: None, evidence: None })
        }
        // IAM has no list of uses; its refusal names a load balancer by ARN, and that does not pass.
        Deletion::InUse(message) if message.contains(":elasticloadbalancing:") => {
            Ok(Output { deleted: false, reason: Some(message), evidence: None })
        }
        Deletion::InUse(message) => Err(StepError::CertificateInUse(message)),
    }
}
