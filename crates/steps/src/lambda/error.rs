//! Why a step did not do its work, and under which of the names that the state machine knows.

use lambda_runtime::Diagnostic;
use rotation_aws::error::{AwsError, ErrorKind};
use rotation_core::failure::{Ending, StepErrorName};
use rotation_core::finding::{Finding, conclude};
use rotation_core::ids::TargetId;
use rotation_core::plan::rights;

/// Why a step did not do its work. What is retried and how long is the state machine's to say.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The rotation ends here, under one of the contract's names.
    #[error("{cause}")]
    Ends {
        /// The name.
        ending: Ending,
        /// What is wrong and what to do.
        cause: String,
    },
    /// AWS did not do what it was asked: throttled, unavailable, denied or refused.
    #[error("{said}{missing}", said = .0, missing = what_is_missing(.0))]
    Aws(AwsError),
    /// The target was edited between read and write (412).
    #[error(
        "{0} was edited while its certificate was being changed. The step reads it again and decides again."
    )]
    TargetChanged(TargetId),
    /// CloudFront makes one change of a viewer certificate at a time.
    #[error("{0} has another certificate change in progress. Wait for it to be Deployed.")]
    CertificateChangeInProgress(TargetId),
    /// CloudFront does not take the certificate, or does not see it yet.
    #[error("CloudFront does not accept the certificate for {target}: {message}")]
    CertificateNotAccepted {
        /// For which target.
        target: TargetId,
        /// CloudFront's words.
        message: String,
    },
    /// The old certificate is in use, or its store still thinks so.
    #[error("The old certificate was not deleted: {0}.")]
    CertificateInUse(String),
    /// A target is not `Deployed` within the deadline.
    #[error(
        "{target} is not Deployed {minutes} minutes after its certificate was changed. Check it in the CloudFront console; when it is Deployed, start a rotation with the same input."
    )]
    DeploymentStalled {
        /// Which target.
        target: TargetId,
        /// The deadline, in minutes.
        minutes: i64,
    },
    /// An edge served something else than the certificate that the target was given.
    #[error(
        "{target} is Deployed, but some of its edges serve a different certificate than the one configured: {faults}. This will not resolve on its own: compare with openssl s_client -connect EDGE:443 -servername NAME, and check for another distribution or a proxy in front that responds for that name."
    )]
    WrongCertificateServed {
        /// Which target.
        target: TargetId,
        /// Name by name, what was met.
        faults: String,
    },
    /// No edge could be shaken hands with.
    #[error(
        "{target} is Deployed, but an edge that serves it returned no certificate: {faults}. Check whether the function reaches the internet on port 443 (outside a VPC it does), or rotate with \"verifyViewers\": false."
    )]
    EdgeUnreachable {
        /// Which target.
        target: TargetId,
        /// Name by name, what became of it.
        faults: String,
    },
    /// It cannot be said yet whether another rotation is at work.
    #[error("Could not determine whether another rotation of this certificate is running: {0}.")]
    ClaimUnsettled(String),
    /// There is more to read than one invocation has time for, or than AWS let it.
    #[error(
        "Read {0} pages before running out of time or being throttled. The next attempt resumes there."
    )]
    Unfinished(usize),
    /// One of the others, after retries of the state machine.
    #[error("{error} (The step had been retried before: {retries}.)")]
    Retried {
        /// What happened in the last attempt.
        error: Box<Self>,
        /// How often it had been retried.
        retries: u64,
    },
    /// The state machine and this code do not fit together.
    #[error(
        "{0}. This is a defect: deploy the state machine and the functions of one version, and report it if that does not help."
    )]
    Internal(String),
}

impl StepError {
    /// What the state machine matches on.
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
            Self::TargetChanged(_) => StepErrorName::TargetChanged.name(),
            Self::CertificateChangeInProgress(_) => {
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

    /// Is the step expected to get further when it is tried again?
    pub fn passes(&self) -> bool {
        use StepErrorName::{Throttled, Unavailable, Unfinished};

        [Throttled, Unavailable, Unfinished]
            .into_iter()
            .any(|passing| passing.name() == self.name())
    }

    /// Ends the rotation with everything that was found; there must be something.
    pub fn found(findings: &[Finding]) -> Self {
        match conclude(findings) {
            Some((ending, cause)) => Self::Ends { ending, cause },
            None => Self::Internal("a rotation was ended without a finding".into()),
        }
    }
}

/// The right that is missing, as a sentence after AWS's own, if those are known.
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
