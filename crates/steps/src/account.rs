//! Work on the account that several steps share: reading it, claiming a certificate, notifying.

pub mod claim;
pub(crate) mod examination;
pub mod fleet;
pub mod notify;
pub mod reading;
pub(crate) mod roots;
pub mod source;

use rotation_core::ids::CertificateId;
use rotation_core::plan::state::Plan;

use crate::lambda::error::StepError;

/// The old certificate of a plan with work to do.
///
/// # Errors
/// `Internal` when the plan has none; only a plan without work may have none.
pub fn old_certificate(plan: &Plan) -> Result<&CertificateId, StepError> {
    let old = plan.old_certificate.id.as_ref();
    old.ok_or_else(|| StepError::Internal("a plan with work to do has no old certificate".into()))
}
