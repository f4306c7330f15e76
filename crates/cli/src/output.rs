//! Output: text for people, JSON for programs.
//!
//! Results go to standard output, everything else to standard error. Colours are always written;
//! `anstream` removes them where there is no terminal, or `NO_COLOR` is set.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use dialoguer::Confirm;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::args::{Global, Output};
use crate::failure::Failure;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const SOFT: Style = Style::new().dimmed();
pub(crate) const STRONG: Style = Style::new().bold();

/// A text in a style.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints a result: the value as JSON, or the text.
pub(crate) fn result(
    global: &Global,
    value: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let text = match global.output {
        Output::Json => serde_json::to_string_pretty(value)
            .map_err(|error| Failure::Aws(format!("This cannot be written as JSON: {error}.")))?,
        Output::Text => text(),
    };
    line(&text)
}

/// Prints to standard output. A closed pipe is not an error.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Aws(format!("Cannot write to standard output: {error}.")))
        }
        _ => Ok(()),
    }
}

/// Prints a message to standard error.
pub(crate) fn say(text: impl Display) {
    // A failure is ignored: there is no other place to report it.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Prints what will be changed, and asks for confirmation. Without a terminal it fails.
pub(crate) fn confirm(global: &Global, what: &str) -> Result<(), Failure> {
    say(what);
    if global.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::Usage(
            "There is no terminal to ask for confirmation. To proceed, pass --yes.".into(),
        ));
    }
    match Confirm::new().with_prompt("Continue?").default(false).interact_opt() {
        Ok(Some(true)) => Ok(()),
        _ => Err(Failure::Declined),
    }
}

/// A table without lines, as wide as the terminal, or as its content if there is no terminal.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(headings.iter().map(|heading| styled(STRONG, heading)));
    table
}

/// Formats a date.
pub(crate) fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// Formats a time in UTC, to the second.
pub(crate) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Formats a duration in its two largest units.
pub(crate) fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// The style for this many days left.
pub(crate) fn of_days(days: i64) -> Style {
    match days {
        ..14 => BAD,
        14..45 => WARN,
        _ => GOOD,
    }
}

/// The first few names, and how many more there are.
pub(crate) fn first(names: &[String], shown: usize) -> String {
    let mut text = names.iter().take(shown).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > shown {
        text.push_str(&format!(" and {} more", names.len() - shown));
    }
    text
}
