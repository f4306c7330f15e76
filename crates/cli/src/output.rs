//! What is printed: text for people, JSON for programs, each to where it belongs.
//!
//! Results go to the standard output, everything else to the standard error. Colours are written always, and
//! taken out by `anstream` where no terminal shows them, or `NO_COLOR` is set.

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

/// Prints to the standard output. A reader that went away wants no more of it.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Aws(format!("Cannot write to standard output: {error}.")))
        }
        _ => Ok(()),
    }
}

/// Says something beside the result.
pub(crate) fn say(text: impl Display) {
    // There is nobody to tell that nobody can be told.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Says what is going to be changed, and asks. Without a terminal nobody can answer.
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

/// A table without lines, as wide as the terminal, or as its content where there is none.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(headings.iter().map(|heading| styled(STRONG, heading)));
    table
}

/// A day.
pub(crate) fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// A moment, UTC, to the second.
pub(crate) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A duration in its two largest units.
pub(crate) fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// How urgent so many days are.
pub(crate) fn of_days(days: i64) -> Style {
    match days {
        ..14 => BAD,
        14..45 => WARN,
        _ => GOOD,
    }
}

/// The first few, and how many more.
pub(crate) fn first(names: &[String], shown: usize) -> String {
    let mut text = names.iter().take(shown).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > shown {
        text.push_str(&format!(" and {} more", names.len() - shown));
    }
    text
}
