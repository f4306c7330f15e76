//! Claims the old certificate, and the import of the new one, for one execution.
//! [`rotation_core::plan::claim`] decides who may have a claim.

use rotation_aws::{s3, step_functions};
use rotation_core::certificate::Fingerprint;
use rotation_core::failure::Ending;
use rotation_core::finding::Finding;
use rotation_core::ids::{CertificateId, Store, segment};
use rotation_core::plan::claim::{Decision, Holder, decide};

use crate::Context;
use crate::lambda::error::StepError;
use rotation_core::plan::state::{Execution, Folder};

/// Claims `old` for this execution, unless another running execution holds the claim. Returns the
/// prefix of the folder of the previous attempt, if there was one.
///
/// # Errors
/// `AlreadyRunning` with the name of the other execution, `Unavailable` while its status cannot be
/// determined, and errors of AWS calls.
pub async fn claim(
    context: &Context,
    execution: &Execution,
    folder: &Folder,
    old: &CertificateId,
) -> Result<Option<String>, StepError> {
    match take(context, execution, folder, &key(old.id())).await? {
        Taken::Ours { previous } => Ok(previous),
        Taken::Held(holder) => Err(StepError::found(&[Finding::new(
            Ending::AlreadyRunning,
            format!("execution {}", holder.name),
            format!("has been rotating {old} since {}", holder.claimed_at),
            "wait for its end or stop it, then start this rotation again; nothing was changed",
        )])),
    }
}

/// Claims the import of the new certificate into a store. It may replace several old ones: the
/// execution that does not have the claim waits until the certificate is in its store.
///
/// # Errors
/// `Unavailable` while another running execution has the claim, and errors of AWS calls.
pub async fn claim_import(
    context: &Context,
    execution: &Execution,
    folder: &Folder,
    store: Store,
    new: &Fingerprint,
) -> Result<(), StepError> {
    let digits = new.to_string().replace(':', "-");
    let key = key(&format!("import-{}-{digits}", store.to_string().to_lowercase()));
    match take(context, execution, folder, &key).await? {
        Taken::Ours { .. } => Ok(()),
        Taken::Held(holder) => Err(StepError::ClaimUnsettled(format!(
            "execution {} replaces another certificate with the same new one, and has not imported it yet",
            holder.name
        ))),
    }
}

/// The result of an attempt to claim something.
enum Taken {
    /// This execution has the claim, and had a previous attempt with this folder.
    Ours { previous: Option<String> },
    /// Another running execution has it.
    Held(Holder),
}

async fn take(
    context: &Context,
    execution: &Execution,
    folder: &Folder,
    key: &str,
) -> Result<Taken, StepError> {
    let (s3, bucket) = (context.aws.s3(), &context.settings.bucket);
    let mut own = Holder {
        execution: execution.id.clone(),
        name: execution.name.clone(),
        claimed_at: (context.now)(),
        folder: Some(folder.prefix.clone()),
        previous: None,
    };
    if s3::put_json_over(s3, bucket, key, &own, None).await? {
        return Ok(Taken::Ours { previous: None });
    }
    let Some((holder, etag)) = s3::find_json::<Holder>(s3, bucket, key).await? else {
        return Err(StepError::ClaimUnsettled(format!("{key} was there and is gone")));
    };
    let is_own = holder.execution == own.execution;
    // From an earlier attempt of this step.
    if is_own && holder.folder == own.folder {
        return Ok(Taken::Ours { previous: holder.previous });
    }
    own.previous.clone_from(&holder.folder);
    let decision = if is_own { Decision::TakeOver } else { judge(context, &holder).await? };
    match decision {
        Decision::Refuse => Ok(Taken::Held(holder)),
        Decision::TryLater => Err(StepError::ClaimUnsettled(format!(
            "execution {} has claimed it and is not known to Step Functions yet",
            holder.name
        ))),
        Decision::TakeOver if s3::put_json_over(s3, bucket, key, &own, etag).await? => {
            Ok(Taken::Ours { previous: own.previous })
        }
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
