//! What a check found wrong: each finding names the thing and the cure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The names a failed rotation may end with. They are part of the contract: callers match on them.
///
/// The order is the order of precedence: when a plan has findings of several kinds, the execution
/// ends with the first kind here, and its cause lists all findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ending {
    /// The input is not one this system takes.
    RequestInvalid,
    /// The new certificate could not be read from its source.
    SourceUnreadable,
    /// The old certificate is in neither store.
    CertificateNotFound,
    /// The new certificate was read and will not do.
    CertificateInvalid,
    /// An alias of a target is not among the new certificate's names.
    AliasNotCovered,
    /// CloudFront would refuse, or later undo, the change of a target.
    TargetNotRotatable,
    /// There is no room for one more certificate and none was granted.
    QuotaDenied,
    /// Another execution is moving the same old certificate.
    AlreadyRunning,
    /// A target failed and all that had been moved serve the old certificate again.
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

    /// The ending of that name, if it is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }
}

/// One reason not to begin a rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The name under which an execution with only this finding ends.
    pub ending: Ending,
    /// What it is about: `distribution E123`, `certificate block 2`, `field targets[3]`.
    pub subject: String,
    /// What is wrong, in one sentence without a full stop.
    pub problem: String,
    /// What to do about it, in one sentence without a full stop.
    pub cure: String,
}

impl Finding {
    /// A finding; problem and cure are sentences without a full stop.
    pub fn new(
        ending: Ending,
        subject: impl Into<String>,
        problem: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { ending, subject: subject.into(), problem: problem.into(), cure: cure.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}.", self.subject, self.problem, self.cure)
    }
}
