//! Errors of steps, under the names that the state machine matches.

use lambda_runtime::Diagnostic;
use rotation_aws::error::{AwsError, ErrorKind};
use rotation_core::failure::{Ending, StepErrorName};
use rotation_core::finding::{Finding, conclude};
use rotation_core::ids::TargetId;
use rotation_core::plan::rights;

/// Error of a step. The state machine decides what is retried, and for how long.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The rotation ends here, under a name of the contract.
    #[error("{cause}")]
    Ends {
        /// The name.
        ending: Ending,
        /// What is wrong and what to do.
        cause: String,
    },
    /// An AWS call failed: throttled, unavailable, denied or refused.
    #[error("{said}{missing}", said = .0, missing = what_is_missing(.0))]
    Aws(AwsError),
    /// CloudFront did not write the target on the ETag that was just read (HTTP 412): another client
    /// edited it in between, or another condition is not met, which only the message says.
    #[error(
        "{target} was not changed: it was edited between read and write, or another condition of CloudFront is not met. CloudFront says: {message}"
    )]
    TargetChanged {
        /// The target.
        target: TargetId,
        /// CloudFront's message.
        message: String,
    },
    /// CloudFront allows one change of a viewer certificate at a time.
    #[error(
        "{target} has another certificate change in progress. Wait for it to be Deployed. CloudFront says: {message}"
    )]
    CertificateChangeInProgress {
        /// The target.
        target: TargetId,
        /// CloudFront's message.
        message: String,
    },
    /// CloudFront rejects the certificate, or does not see it yet.
    #[error("CloudFront does not accept the certificate for {target}: {message}")]
    CertificateNotAccepted {
        /// The target.
        target: TargetId,
        /// CloudFront's message.
        message: String,
    },
    /// The old certificate is in use, or its store still reports it as in use.
    #[error("The old certificate was not deleted: {0}.")]
    CertificateInUse(String),
    /// A target is not `Deployed` within the deadline.
    #[error(
        "{target} is not Deployed {minutes} minutes after its certificate was changed. Check it in the CloudFront console; when it is Deployed, start a rotation with the same input."
    )]
    DeploymentStalled {
        /// The target.
        target: TargetId,
        /// The deadline, in minutes.
        minutes: i64,
    },
    /// An edge served another certificate than the one configured.
    #[error(
        "{target} is Deployed, but some of its edges serve a different certificate than the one configured: {faults}. This will not resolve on its own: compare with openssl s_client -connect EDGE:443 -servername NAME, and check for another distribution or a proxy in front that responds for that name."
    )]
    WrongCertificateServed {
        /// The target.
        target: TargetId,
        /// What was served, name by name.
        faults: String,
    },
    /// No handshake with an edge succeeded.
    #[error(
        "{target} is Deployed, but an edge that serves it returned no certificate: {faults}. Check whether the function reaches the internet on port 443 (outside a VPC it does), or rotate with \"verifyViewers\": false."
    )]
    EdgeUnreachable {
        /// The target.
        target: TargetId,
        /// The error, name by name.
        faults: String,
    },
    /// It could not be determined yet whether another rotation is running.
    #[error("Could not determine whether another rotation of this certificate is running: {0}.")]
    ClaimUnsettled(String),
    /// The read did not finish within one invocation, or AWS throttled it.
    #[error(
        "Read {0} pages before running out of time or being throttled. The next attempt resumes there."
    )]
    Unfinished(usize),
    /// Another error, after retries by the state machine.
    #[error("{error} (The step had been retried before: {retries}.)")]
    Retried {
        /// The error of the last attempt.
        error: Box<Self>,
        /// How often the step was retried.
        retries: u64,
    },
    /// The state machine and this code do not match.
    #[error(
        "{0}. This is a defect: deploy the state machine and the functions of one version, and report it if that does not help."
    )]
    Internal(String),
}

impl StepError {
    /// The name that the state machine matches.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ends { ending, .. } => ending.name(),
            Self::Retried { error, .. } => error.name(),
            Self::Aws(error) => match error.kind {
                ErrorKind::Throttled => StepErrorName::Throttled,
                ErrorKind::Unavailable => StepErrorName::Unavailable,
                ErrorKind::AccessDenied => StepErrorName::AccessDenied,
                ErrorKind::NotFound | ErrorKind::Refused => StepErrorName::Refused,
            }
            .name(),
            Self::TargetChanged { .. } => StepErrorName::TargetChanged.name(),
            Self::CertificateChangeInProgress { .. } => {
                StepErrorName::CertificateChangeInProgress.name()
            }
            Self::CertificateNotAccepted { .. } => StepErrorName::CertificateNotAccepted.name(),
            Self::CertificateInUse(_) => StepErrorName::CertificateInUse.name(),
            Self::DeploymentStalled { .. } => StepErrorName::DeploymentStalled.name(),
            Self::WrongCertificateServed { .. } => StepErrorName::WrongCertificateServed.name(),
            Self::EdgeUnreachable { .. } => StepErrorName::EdgeUnreachable.name(),
            Self::ClaimUnsettled(_) => StepErrorName::Unavailable.name(),
            Self::Unfinished(_) => StepErrorName::Unfinished.name(),
            Self::Internal(_) => StepErrorName::Internal.name(),
        }
    }

    /// Is a retry expected to get further?
    pub fn passes(&self) -> bool {
        use StepErrorName::{Throttled, Unavailable, Unfinished};

        [Throttled, Unavailable, Unfinished]
            .into_iter()
            .any(|passing| passing.name() == self.name())
    }

    /// Ends the rotation with all findings; there must be at least one.
    pub fn found(findings: &[Finding]) -> Self {
        match conclude(findings) {
            Some((ending, cause)) => Self::Ends { ending, cause },
            None => Self::Internal("a rotation was ended without a finding".into()),
        }
    }
}

/// A sentence that names the missing permission, if AWS's message says which one. It follows AWS's
/// message.
fn what_is_missing(error: &AwsError) -> String {
    let stop = if error.message.ends_with('.') { "" } else { "." };
    rights::missing(&error.message).map_or_else(String::new, |cure| format!("{stop} {cure}"))
}

impl From<AwsError> for StepError {
    fn from(error: AwsError) -> Self {
        Self::Aws(error)
    }
}

impl From<StepError> for Diagnostic {
    fn from(error: StepError) -> Self {
        Self { error_type: error.name().to_owned(), error_message: error.to_string() }
    }
}
