//! The roots that viewers trust, with those of the stack's parameter `ExtraRoots`.

use rotation_aws::source::{SourceError, read_public};
use rotation_core::certificate::TrustRoots;
use rotation_core::failure::Ending;
use rotation_core::finding::Finding;

use crate::Context;
use crate::lambda::error::StepError;

const CURE: &str = "put root certificates in PEM into this parameter, or deploy the stack with another ExtraRoots, or an empty one";

/// All roots. If the list of `ExtraRoots` cannot be read, those without it, and why: a certificate
/// that does not need the list must not fail after the plan because of it.
///
/// # Errors
/// Transient errors, and a broken `SSL_CERT_FILE`.
pub(crate) async fn trust_roots(
    context: &Context,
) -> Result<(TrustRoots, Option<Finding>), StepError> {
    let roots = context.settings.local_roots().map_err(StepError::Internal)?;
    let place = &context.settings.extra_roots;
    if place.is_empty() {
        return Ok((roots, None));
    }
    let problem = match read_public(&context.aws, place).await {
        Ok(pem) => match roots.clone().with_roots(&pem) {
            Ok(all) => return Ok((all, None)),
            Err(error) => error.to_string(),
        },
        Err(SourceError::Aws(error)) => return Err(error.into()),
        Err(error) => error.to_string(),
    };
    let subject = format!("SSM parameter {place} (ExtraRoots)");
    Ok((roots, Some(Finding::new(Ending::SourceUnreadable, subject, problem, CURE))))
}
