//! Reads the new certificate from its source, for the callers that need its content.

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
    /// A certificate with its chain and private key.
    Bundle(Box<Bundle>),
    /// The source cannot be read, or holds no usable bundle; the finding says why.
    Unusable(Finding),
}

/// Reads a source.
///
/// # Errors
/// Transient errors only: throttling, no response.
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
