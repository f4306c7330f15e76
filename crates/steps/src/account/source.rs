//! Reads the new certificate from its source; used by the two steps that need the key.

use rotation_aws::Aws;
use rotation_aws::source::{SourceError, read};
use rotation_core::certificate::bundle::{self, Bundle};
use rotation_core::failure::Ending;
use rotation_core::finding::Finding;
use rotation_core::request::SourceRef;

use crate::lambda::error::StepError;

/// What a source holds.
#[derive(Debug)]
pub enum Content {
    /// A certificate with its chain and its key.
    Bundle(Box<Bundle>),
    /// Nothing of the kind, or nothing that can be read, for this reason.
    Unusable(Finding),
}

/// Reads a source.
///
/// # Errors
/// Those that may pass: throttling, no answer.
pub async fn content(
    aws: &Aws,
    source_ref: &SourceRef,
    source: &str,
) -> Result<Content, StepError> {
    match read(aws, source_ref).await {
        Ok(content) => Ok(match bundle::read(&content) {
            Ok(bundle) => Content::Bundle(Box::new(bundle)),
            Err(error) => {
                let finding = error.finding();
                let subject = format!("{source}, {}", finding.subject);
                Content::Unusable(Finding { subject, ..finding })
            }
        }),
        Err(SourceError::Aws(error)) => Err(error.into()),
        Err(error) => Ok(Content::Unusable(Finding::new(
            Ending::SourceUnreadable,
            format!("source {source}"),
            error.to_string(),
            error.cure(),
        ))),
    }
}
