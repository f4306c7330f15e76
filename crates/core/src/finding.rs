//! Findings of checks: each names the subject, the problem and the cure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::failure::Ending;

/// One reason not to start a rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The name that an execution with only this finding ends with.
    pub ending: Ending,
    /// The subject: `distribution E123`, `certificate block 2`, `field targets[3]`.
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
        // Problems may end with a message of AWS, with or without a full stop.
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
/// and all findings, one per line. `None` for no findings.
///
/// Step Functions accepts at most 32,768 characters as a cause; findings beyond that are counted.
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
    fn the_first_kind_names_the_ending_and_all_findings_are_listed() {
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
