//! Reads the new certificate from its source; used by the two steps that need the key.

use rotation_aws::Aws;
use rotation_aws::source::{SourceError, read};
use rotation_core::certificate::bundle::{self, Bundle};
use rotation_core::finding::{Ending, Finding};
use rotation_core::request::SourceRef;

use crate::lambda::error::StepError;

/// What the source holds, or why that is no certificate with chain and key. The finding ends the
/// rotation; the error is one that may pass (throttling, no answer).
pub async fn bundle(
    aws: &Aws,
    source_ref: &SourceRef,
    source: &str,
) -> Result<Result<Bundle, Finding>, StepError> {
    match read(aws, source_ref).await {
        Ok(content) => Ok(bundle::read(&content).map_err(|error| {
            let finding = error.finding();
            Finding { subject: format!("{source}, {}", finding.subject), ..finding }
        })),
        Err(SourceError::Aws(error)) => Err(error.into()),
        Err(error) => Ok(Err(Finding::new(
            Ending::SourceUnreadable,
            format!("source {source}"),
            error.to_string(),
            error.cure(),
        ))),
    }
}
