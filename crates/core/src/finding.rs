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
        // Problems may end with words of AWS's, which end with a full stop or not.
        let problem = problem.into().trim_end_matches('.').to_owned();
        Self { ending, subject: subject.into(), problem, cure: cure.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cure = self.cure.chars();
        let first = cure.next().map(|c| c.to_ascii_uppercase()).unwrap_or_default();
        write!(f, "{}: {}. {first}{}.", self.subject, self.problem, cure.as_str())
    }
}

/// A list for a message: the first few items, and how many more there are.
pub fn listed<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 10;
    let shown = items.iter().take(SHOWN).map(T::to_string).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Turns findings into the name and the cause of a failed execution: the first kind by precedence,
/// and all findings, one a line. None for no findings.
///
/// Step Functions takes at most 32,768 characters as a cause; what does not fit is counted.
pub fn conclude(findings: &[Finding]) -> Option<(Ending, String)> {
    const ROOM: usize = 24_000;
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.ending);
    let ending = sorted.first()?.ending;
    let mut cause = String::new();
    for (index, finding) in sorted.iter().enumerate() {
        let line = if finding.ending == ending {
            finding.to_string()
        } else {
            format!("[{}] {finding}", finding.ending.name())
        };
        if cause.len() + line.len() > ROOM {
            cause.push_str(&format!("… and {} more findings", sorted.len() - index));
            break;
        }
        cause.push_str(&line);
        cause.push('\n');
    }
    Some((ending, cause.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(ending: Ending, subject: &str) -> Finding {
        Finding::new(ending, subject, "is wrong", "mend it")
    }

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
    fn the_first_kind_names_the_ending_and_all_findings_are_told() {
        let findings = [
            finding(Ending::TargetNotRotatable, "distribution E1"),
            finding(Ending::AliasNotCovered, "distribution E2"),
            finding(Ending::AliasNotCovered, "distribution E1"),
        ];
        assert_eq!(
            conclude(&findings),
            Some((
                Ending::AliasNotCovered,
                "distribution E2: is wrong. Mend it.\n\
                 distribution E1: is wrong. Mend it.\n\
                 [TargetNotRotatable] distribution E1: is wrong. Mend it."
                    .to_owned()
            ))
        );
        assert_eq!(conclude(&[]), None);
    }

    #[test]
    fn a_cause_fits_into_step_functions() {
        let findings = vec![finding(Ending::AliasNotCovered, &"x".repeat(100)); 1_000];
        let (_, cause) = conclude(&findings).unwrap();
        assert!(cause.len() < 32_768);
        assert!(cause.ends_with("more findings"), "{}", &cause[cause.len() - 40..]);
    }
}
