//! What the halt notes of failed targets mean for those that have not begun.

use rotation_aws::s3;
use rotation_core::plan::policy::goes_on;
use rotation_core::plan::state::Folder;
use rotation_core::request::OnFailure;
use rotation_core::target::record::Direction;

use crate::Context;
use crate::lambda::error::StepError;

/// May another target be begun, after what has failed so far?
pub(crate) async fn may_begin(
    context: &Context,
    on_failure: OnFailure,
    folder: &Folder,
) -> Result<bool, StepError> {
    let (s3, bucket) = (context.aws.s3(), &folder.bucket);
    if on_failure != OnFailure::Continue {
        let any = s3::any_under(s3, bucket, &folder.halts()).await?;
        return Ok(goes_on(on_failure, usize::from(any), 0));
    }
    let halts = s3::list_keys(s3, bucket, &folder.halts()).await?;
    let failed = halts.len();
    if halts.contains(&folder.stop()) {
        return Ok(false);
    }
    if goes_on(on_failure, failed, failed) {
        return Ok(true);
    }
    let ended = s3::list_keys(s3, bucket, &folder.records(Direction::Forward)).await?.len();
    Ok(goes_on(on_failure, failed, ended))
}
