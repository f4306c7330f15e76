//! Errors of commands, with their exit codes.

use rotation_aws::error::{AwsError, ErrorKind};
use rotation_core::finding::Finding;
use rotation_steps::lambda::error::StepError;

/// An error: one line, including the cure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command was carried out, and the result is negative.
    #[error("{0}")]
    WillNotDo(String),
    /// The arguments are invalid.
    #[error("{0}")]
    Usage(String),
    /// AWS refused the call, or there are no credentials.
    #[error("{0}")]
    Aws(String),
    /// AWS could not be reached, or throttled the call: a retry may succeed.
    #[error("{0}")]
    Passing(String),
    /// The user declined.
    #[error("Nothing was changed.")]
    Declined,
    /// The user pressed Ctrl-C.
    #[error("{0}")]
    Interrupted(String),
}

impl Failure {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::WillNotDo(_) => 1,
            Self::Usage(_) => 2,
            Self::Aws(_) | Self::Passing(_) => 3,
            Self::Declined => 4,
            Self::Interrupted(_) => 130,
        }
    }

    /// Fails if there are findings; they have been printed already.
    pub(crate) fn of(findings: usize, what: &str) -> Result<(), Self> {
        match findings {
            0 => Ok(()),
            1 => Err(Self::WillNotDo(format!("1 problem with {what}."))),
            more => Err(Self::WillNotDo(format!("{more} problems with {what}."))),
        }
    }

    /// A file that could not be read or written.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::WillNotDo(format!("{}: {error}", path.display()))
    }
}

impl Failure {
    /// A failed call of a deployment, whose permissions are others than an operator's.
    pub(crate) fn of_deployer(error: AwsError) -> Self {
        let action = action(error.operation);
        Self::of_call(
            error,
            &format!(
                " Your credentials lack {action}: \"Who may deploy\" in docs/deployment.md lists what a deployment needs."
            ),
        )
    }

    fn of_call(error: AwsError, denied: &str) -> Self {
        let expired = error.code.as_deref().is_some_and(|code| code.starts_with("ExpiredToken"));
        let cure = match error.kind {
            ErrorKind::AccessDenied if expired => {
                " Your session has expired: log in again (aws sso login), or get new credentials."
            }
            ErrorKind::AccessDenied => denied,
            ErrorKind::Throttled => " Wait a minute, then try again.",
            ErrorKind::Unavailable => " Check the connection and the region, then try again.",
            ErrorKind::NotFound | ErrorKind::Refused => "",
        };
        let text = format!("{}.{cure}", error.to_string().trim_end_matches('.'));
        match error.kind {
            ErrorKind::Throttled | ErrorKind::Unavailable => Self::Passing(text),
            ErrorKind::AccessDenied | ErrorKind::NotFound | ErrorKind::Refused => Self::Aws(text),
        }
    }
}

/// The action of an operation of a deployment. Most have its name; those of S3 often another.
fn action(operation: &str) -> String {
    let name = match operation {
        "HeadBucket" | "ListObjectsV2" => "s3:ListBucket",
        // Without s3:ListBucket S3 answers the same for an object that is missing.
        "HeadObject" => "s3:GetObject or s3:ListBucket",
        "DeleteObjects" => "s3:DeleteObject",
        "PutPublicAccessBlock" => "s3:PutBucketPublicAccessBlock",
        "PutBucketEncryption" => "s3:PutEncryptionConfiguration",
        "CreateBucket" | "PutBucketPolicy" | "PutObject" | "DeleteBucket" => {
            return format!("s3:{operation}");
        }
        "ListExecutions" => "states:ListExecutions",
        "GetCallerIdentity" => "sts:GetCallerIdentity",
        _ => return format!("cloudformation:{operation}"),
    };
    name.to_owned()
}

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        Self::of_call(
            error,
            " Your credentials lack a permission: docs/deployment.md lists the permissions of operators.",
        )
    }
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Aws(error) => error.into(),
            StepError::Ends { ending, cause } => Self::WillNotDo(format!(
                "{}: {cause}\n`certrotate explain {}` says more.",
                ending.name(),
                ending.name()
            )),
            other => Self::Aws(other.to_string()),
        }
    }
}

impl From<Vec<Finding>> for Failure {
    fn from(findings: Vec<Finding>) -> Self {
        StepError::found(&findings).into()
    }
}
