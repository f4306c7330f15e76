//! Failures by name: the errors of steps, the endings of rotations, and their messages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The names that a failed rotation may end with. They are part of the contract: callers match
/// them.
///
/// The order is the order of precedence: when a plan has findings of several kinds, the execution
/// ends with the first kind here, and its cause lists all findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ending {
    /// The input is invalid.
    RequestInvalid,
    /// The new certificate could not be read from its source.
    SourceUnreadable,
    /// The old certificate is in neither store.
    CertificateNotFound,
    /// The new certificate was read, but is not usable.
    CertificateInvalid,
    /// An alias of a target is not among the new certificate's names.
    AliasNotCovered,
    /// CloudFront would refuse, or later undo, the change of a target.
    TargetNotRotatable,
    /// There is no room for one more certificate, and no increase was granted.
    QuotaDenied,
    /// Another execution is moving the same old certificate.
    AlreadyRunning,
    /// A target failed, and all targets that had been moved serve the old certificate again.
    RolledBack,
    /// Some targets serve the old certificate and some the new one.
    RotationIncomplete,
}

impl Ending {
    /// All of them, in order of precedence.
    pub const ALL: [Self; 10] = [
        Self::RequestInvalid,
        Self::SourceUnreadable,
        Self::CertificateNotFound,
        Self::CertificateInvalid,
        Self::AliasNotCovered,
        Self::TargetNotRotatable,
        Self::QuotaDenied,
        Self::AlreadyRunning,
        Self::RolledBack,
        Self::RotationIncomplete,
    ];

    /// The public name, written out so that renaming a variant cannot change it silently.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestInvalid => "RequestInvalid",
            Self::SourceUnreadable => "SourceUnreadable",
            Self::CertificateNotFound => "CertificateNotFound",
            Self::CertificateInvalid => "CertificateInvalid",
            Self::AliasNotCovered => "AliasNotCovered",
            Self::TargetNotRotatable => "TargetNotRotatable",
            Self::QuotaDenied => "QuotaDenied",
            Self::AlreadyRunning => "AlreadyRunning",
            Self::RolledBack => "RolledBack",
            Self::RotationIncomplete => "RotationIncomplete",
        }
    }

    /// The ending with that name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }
}

/// The names that steps fail with. They are the interface between code and state machine: `Retry`
/// and `Catch` match exactly these strings, and a test compares the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepErrorName {
    /// AWS throttled the call.
    Throttled,
    /// AWS sent no response, or an unusable one.
    Unavailable,
    /// A permission is missing.
    AccessDenied,
    /// AWS refused the call finally.
    Refused,
    /// The target was edited between read and write.
    TargetChanged,
    /// Another change of the viewer certificate is in progress.
    CertificateChangeInProgress,
    /// CloudFront rejects the certificate, or does not see it yet.
    CertificateNotAccepted,
    /// The old certificate is in use, or its store still reports it as in use.
    CertificateInUse,
    /// A target is not `Deployed` within the deadline.
    DeploymentStalled,
    /// An edge served another certificate than the one configured.
    WrongCertificateServed,
    /// No handshake with an edge succeeded.
    EdgeUnreachable,
    /// The read did not finish in one attempt; the next one resumes.
    Unfinished,
    /// The state machine and this code do not match.
    Internal,
}

impl StepErrorName {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Throttled,
        Self::Unavailable,
        Self::AccessDenied,
        Self::Refused,
        Self::TargetChanged,
        Self::CertificateChangeInProgress,
        Self::CertificateNotAccepted,
        Self::CertificateInUse,
        Self::DeploymentStalled,
        Self::WrongCertificateServed,
        Self::EdgeUnreachable,
        Self::Unfinished,
        Self::Internal,
    ];

    /// The name that the state machine matches, written out so that renaming a variant cannot
    /// change it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttled => "Throttled",
            Self::Unavailable => "Unavailable",
            Self::AccessDenied => "AccessDenied",
            Self::Refused => "Refused",
            Self::TargetChanged => "TargetChanged",
            Self::CertificateChangeInProgress => "CertificateChangeInProgress",
            Self::CertificateNotAccepted => "CertificateNotAccepted",
            Self::CertificateInUse => "CertificateInUse",
            Self::DeploymentStalled => "DeploymentStalled",
            Self::WrongCertificateServed => "WrongCertificateServed",
            Self::EdgeUnreachable => "EdgeUnreachable",
            Self::Unfinished => "Unfinished",
            Self::Internal => "Internal",
        }
    }

    /// The error with that name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.name() == name)
    }
}

/// The error of a step, a state or an execution.
///
/// The same type in records and in the state, where a Catch of the state machine writes `Error` and
/// `Cause`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error's name.
    #[serde(alias = "Error")]
    pub error: String,
    /// Its message. For an error of a function the state machine has Lambda's JSON here.
    #[serde(default, alias = "Cause")]
    pub cause: String,
}

impl Failure {
    /// The message: from the cause or, without one, from the name. Step Functions gives no cause
    /// when a state or an execution times out, nor when an execution is stopped without one
    /// (recorded: `{"Error": "States.Timeout", "Cause": ""}`, and neither field in
    /// `DescribeExecution` of `TIMED_OUT`).
    pub fn message(&self) -> String {
        let parsed: Option<serde_json::Value> = serde_json::from_str(&self.cause).ok();
        let message = parsed.as_ref().and_then(|json| json.get("errorMessage")?.as_str());
        let message = message.unwrap_or(&self.cause);
        if !message.trim().is_empty() {
            return message.to_owned();
        }
        match self.error.as_str() {
            "TIMED_OUT" => "The execution exceeded the timeout of its state machine.",
            "ABORTED" => "The execution was stopped, and no cause was given.",
            "States.Timeout" => "It exceeded its timeout in the state machine.",
            _ => "No cause was given.",
        }
        .to_owned()
    }

    /// The form that is recorded: the cause is the plain message.
    pub fn plain(self) -> Self {
        Self { cause: self.message(), error: self.error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_variants() {
        for ending in Ending::ALL {
            assert_eq!(ending.name(), format!("{ending:?}"));
            assert_eq!(Ending::named(ending.name()), Some(ending));
        }
        assert_eq!(Ending::named("States.ALL"), None);
        assert!(Ending::ALL.is_sorted(), "precedence is the order of the variants");
    }

    #[test]
    fn names_of_step_errors_are_those_of_the_variants() {
        for error in StepErrorName::ALL {
            assert_eq!(error.name(), format!("{error:?}"));
            assert_eq!(StepErrorName::named(error.name()), Some(error));
            assert_eq!(Ending::named(error.name()), None);
        }
    }

    #[test]
    fn a_failure_without_a_cause_is_explained_by_its_name() {
        const TIMEOUT: &str = "The execution exceeded the timeout of its state machine.";
        const ABORTED: &str = "The execution was stopped, and no cause was given.";
        const TASK: &str = "It exceeded its timeout in the state machine.";
        for (error, cause, expected) in [
            ("RolledBack", r#"{"errorType":"RolledBack","errorMessage":"why"}"#, "why"),
            (
                "Runtime.ExitError",
                r#"{"errorType":"Runtime.ExitError","errorMessage":"exit status 1"}"#,
                "exit status 1",
            ),
            (
                "Sandbox.Timedout",
                r#"{"errorMessage":"Task timed out after 900.00 seconds"}"#,
                "Task timed out after 900.00 seconds",
            ),
            (
                "States.Runtime",
                "The JSONPath '$.x' could not be found.",
                "The JSONPath '$.x' could not be found.",
            ),
            (
                "RolledBack",
                r#"{"errorType":"RolledBack","errorMessage":""}"#,
                "No cause was given.",
            ),
            ("Other", r#"{"errorType":"Other"}"#, r#"{"errorType":"Other"}"#),
            ("Other", "[1]", "[1]"),
            ("ABORTED", "Change freeze.", "Change freeze."),
            ("TIMED_OUT", "", TIMEOUT),
            ("ABORTED", "", ABORTED),
            ("ABORTED", "  ", ABORTED),
            ("States.Timeout", "", TASK),
            ("FAILED", "", "No cause was given."),
            ("", "", "No cause was given."),
        ] {
            assert_eq!(
                Failure { error: error.into(), cause: cause.into() }.message(),
                expected,
                "{error}: {cause}"
            );
        }
    }
}
