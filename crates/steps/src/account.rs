//! What several steps do in the account: read it, claim a certificate, notify.

pub mod claim;
pub(crate) mod examination;
pub mod fleet;
pub mod notify;
pub mod reading;
pub mod source;

use rotation_core::ids::CertificateId;
use rotation_core::plan::state::Plan;

use crate::lambda::error::StepError;

/// The old certificate of a plan that has something to do.
///
/// # Errors
/// `Internal`: only a plan without work has none.
pub fn old_certificate(plan: &Plan) -> Result<&CertificateId, StepError> {
    let old = plan.old_certificate.id.as_ref();
    old.ok_or_else(|| StepError::Internal("a plan with work to do has no old certificate".into()))
}
