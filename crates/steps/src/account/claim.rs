//! Claims the old certificate for one execution. [`rotation_core::plan::claim`] decides who may
//! have the claim.

use rotation_aws::{s3, step_functions};
use rotation_core::failure::Ending;
use rotation_core::finding::Finding;
use rotation_core::ids::{CertificateId, segment};
use rotation_core::plan::claim::{Decision, Holder, decide};

use crate::Context;
use crate::lambda::error::StepError;
use rotation_core::plan::state::Execution;

/// Claims `old` for this execution, unless another running execution holds the claim.
///
/// # Errors
/// `AlreadyRunning` with the name of the other execution, `Unavailable` while its status cannot be
/// determined, and errors of AWS calls.
pub async fn claim(
    context: &Context,
    execution: &Execution,
    old: &CertificateId,
) -> Result<(), StepError> {
    let (s3, bucket) = (context.aws.s3(), &context.settings.bucket);
    let key = key(old.id());
    let own = Holder {
        execution: execution.id.clone(),
        name: execution.name.clone(),
        claimed_at: (context.now)(),
    };
    if s3::put_json_over(s3, bucket, &key, &own, None).await? {
        return Ok(());
    }
    let Some((holder, etag)) = s3::find_json::<Holder>(s3, bucket, &key).await? else {
        return Err(StepError::ClaimUnsettled(format!("{key} was there and is gone")));
    };
    // Our own claim: from an earlier attempt of this step, or from before a redrive.
    if holder.execution == own.execution {
        return Ok(());
    }
    match judge(context, &holder).await? {
        Decision::Refuse => Err(StepError::found(&[Finding::new(
            Ending::AlreadyRunning,
            format!("execution {}", holder.name),
            format!("has been rotating {old} since {}", holder.claimed_at),
            "wait for its end or stop it, then start this rotation again; nothing was changed",
        )])),
        Decision::TryLater => Err(StepError::ClaimUnsettled(format!(
            "execution {} has claimed it and is not known to Step Functions yet",
            holder.name
        ))),
        Decision::TakeOver if s3::put_json_over(s3, bucket, &key, &own, etag).await? => Ok(()),
        Decision::TakeOver => Err(StepError::ClaimUnsettled("another execution was faster".into())),
    }
}

/// Does a running execution hold the claim on this certificate (IAM id or ACM ARN)? True also when
/// that cannot be determined.
///
/// # Errors
/// Errors of AWS calls.
pub async fn is_held(context: &Context, old: &str) -> Result<bool, StepError> {
    let (s3, bucket) = (context.aws.s3(), &context.settings.bucket);
    let Some((holder, _)) = s3::find_json::<Holder>(s3, bucket, &key(old)).await? else {
        return Ok(false);
    };
    Ok(!matches!(judge(context, &holder).await?, Decision::TakeOver))
}

/// Decides whether the claim of another execution still counts.
async fn judge(context: &Context, holder: &Holder) -> Result<Decision, StepError> {
    let liveness = step_functions::liveness(context.aws.states(), &holder.execution).await?;
    Ok(decide(holder, liveness, (context.now)()))
}

/// The key of the claim object: one per certificate.
fn key(id: &str) -> String {
    format!("claims/{}.json", segment(id))
}
