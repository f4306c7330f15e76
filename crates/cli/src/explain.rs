//! `certrotate explain`: entries of the runbook, by name.

use serde::Serialize;

use crate::args::{Explain, Global};
use crate::failure::Failure;
use crate::output::{self, STRONG, styled};

const RUNBOOK: &str = include_str!("../../../docs/runbook.md");

/// The output of `--output json` for one name.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Entry<'a> {
    /// The chapter: `Endings`, `Alarms`, `Notices`, `Step errors`, `Outcomes and states`.
    chapter: &'a str,
    /// Its heading.
    name: &'a str,
    /// Markdown.
    text: &'a str,
}

/// Prints the runbook's entry for this name, or all names.
pub(crate) fn run(global: &Global, args: &Explain) -> Result<(), Failure> {
    let entries = entries();
    let Some(wanted) = &args.error else {
        let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
        return output::result(global, &names, || {
            let mut lines = Vec::new();
            let mut chapter = "";
            for entry in &entries {
                if entry.chapter != chapter {
                    chapter = entry.chapter;
                    lines.push(styled(STRONG, chapter));
                }
                lines.push(format!("  {}", entry.name));
            }
            lines.join("\n")
        });
    };
    let entry = entries.iter().find(|entry| is_of(entry.name, wanted)).ok_or_else(|| {
        Failure::Usage(format!(
            "The runbook has no entry {wanted}. `certrotate explain` lists all that it has."
        ))
    })?;
    output::result(global, entry, || {
        format!(
            "{}\n\n{}",
            styled(STRONG, format!("{}: {}", entry.chapter, entry.name)),
            entry.text
        )
    })
}

fn entries() -> Vec<Entry<'static>> {
    let mut entries = Vec::new();
    for chapter in RUNBOOK.split("\n## ").skip(1) {
        let mut parts = chapter.split("\n### ");
        let title = parts.next().and_then(|head| head.lines().next()).unwrap_or_default();
        entries.extend(parts.filter_map(|part| {
            let (name, text) = part.split_once('\n')?;
            Some(Entry { chapter: title, name, text: text.trim() })
        }));
    }
    entries
}

/// A heading may contain several names, `A, B`, or a qualifier after the name, `rotated, with
/// deleted false`.
fn is_of(heading: &str, wanted: &str) -> bool {
    let is_named = |name: &str| match name.strip_suffix('…') {
        // A prefix, such as `Lambda.…`.
        Some(family) => {
            wanted.get(..family.len()).is_some_and(|it| it.eq_ignore_ascii_case(family))
        }
        None => name.eq_ignore_ascii_case(wanted),
    };
    heading.split([' ', ',']).chain([heading]).any(is_named)
}

#[cfg(test)]
mod tests {
    use rotation_core::failure::Ending;

    use super::*;

    #[test]
    fn every_ending_has_a_text() {
        for ending in Ending::ALL {
            let name = ending.name();
            let entries = entries();
            let entry = entries.iter().find(|entry| is_of(entry.name, name)).expect(name);
            assert_eq!((entry.chapter, entry.name), ("Endings", name));
            assert!(entry.text.len() > 40 && !entry.text.contains("\n### "), "{}", entry.text);
        }
    }

    #[test]
    fn names_are_found_in_any_case_and_in_headings_of_several() {
        for (wanted, heading) in [
            ("rolledback", "RolledBack"),
            ("States.Timeout", "Lambda.…, Runtime.…, Sandbox.…, States.Timeout"),
            ("runtime.exiterror", "Lambda.…, Runtime.…, Sandbox.…, States.Timeout"),
            ("rotated", "rotated, with deleted false"),
            (
                "TIMED_OUT",
                "TIMED_OUT, ABORTED or a name that begins with States., Lambda., Runtime. or Sandbox.",
            ),
            ("LookMissingAlarm", "LookMissingAlarm"),
        ] {
            assert!(entries().iter().any(|entry| entry.name == heading && is_of(heading, wanted)));
        }
        assert!(!is_of("RolledBack", "Rolled"));
    }
}
