//! Claims the old certificate for one execution: see [`rotation_core::plan::claim`].

use rotation_aws::{s3, step_functions};
use rotation_core::failure::Ending;
use rotation_core::finding::Finding;
use rotation_core::ids::{CertificateId, segment};
use rotation_core::plan::claim::{Decision, Holder, decide};

use crate::Context;
use crate::lambda::error::StepError;
use rotation_core::plan::state::Execution;

/// Writes this execution down as the one that moves `old`, unless another one that runs is there.
///
/// # Errors
/// `AlreadyRunning` with the name of the other, `Unavailable` while it cannot be said, and what AWS
/// answers.
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
    // An earlier attempt of this step, or this execution before it was redriven.
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

/// Does an execution that runs move the certificate of this id, or ARN in ACM? What cannot be settled counts
/// as yes.
///
/// # Errors
/// What AWS answers.
pub async fn is_held(context: &Context, old: &str) -> Result<bool, StepError> {
    let (s3, bucket) = (context.aws.s3(), &context.settings.bucket);
    let Some((holder, _)) = s3::find_json::<Holder>(s3, bucket, &key(old)).await? else {
        return Ok(false);
    };
    Ok(!matches!(judge(context, &holder).await?, Decision::TakeOver))
}

/// What somebody else's claim counts for now.
async fn judge(context: &Context, holder: &Holder) -> Result<Decision, StepError> {
    let liveness = step_functions::liveness(context.aws.states(), &holder.execution).await?;
    Ok(decide(holder, liveness, (context.now)()))
}

/// One object for each certificate.
fn key(id: &str) -> String {
    format!("claims/{}.json", segment(id))
}
