//! Displays the progress of a rotation: on a terminal, as text lines, or as JSON.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use rotation_aws::step_functions::Execution;
use rotation_core::ids::TargetId;
use serde_json::Value;

use crate::account;
use crate::args::{Global, Output};
use crate::failure::Failure;
use crate::output::{self, BAD, GOOD, SOFT, STRONG, WARN, styled};
use crate::watch::progress::Now;

/// The display: updated in place on a terminal, otherwise one line per change.
pub(super) struct View {
    output: Output,
    name: String,
    terminal: Option<Bars>,
    /// The lines printed last, for output without a terminal.
    printed: BTreeMap<String, String>,
    is_lost: bool,
}

struct Bars {
    all: MultiProgress,
    head: ProgressBar,
    flights: BTreeMap<TargetId, ProgressBar>,
}

impl View {
    pub(super) fn new(global: &Global, name: &str) -> Self {
        let shows = global.output == Output::Text && std::io::stderr().is_terminal();
        let terminal = shows.then(|| {
            let all = MultiProgress::new();
            let head = all.add(ProgressBar::new(0));
            head.set_style(style("{prefix:.bold} {wide_bar:.green/dim} {pos}/{len} {msg}"));
            head.set_prefix(name.to_owned());
            head.enable_steady_tick(Duration::from_millis(200));
            Bars { all, head, flights: BTreeMap::new() }
        });
        Self {
            output: global.output,
            name: name.to_owned(),
            terminal,
            printed: BTreeMap::new(),
            is_lost: false,
        }
    }

    pub(super) fn show(&mut self, now: &Now) -> Result<(), Failure> {
        self.is_lost = false;
        if self.output == Output::Json {
            let line = serde_json::to_string(now).map_err(|error| {
                Failure::Aws(format!("This cannot be written as JSON: {error}."))
            })?;
            return output::line(&line);
        }
        if let Some(bars) = &mut self.terminal {
            bars.show(now);
            return Ok(());
        }
        self.changed("state", now.state.clone().unwrap_or_default());
        if let Some(total) = now.total {
            let back =
                if now.back > 0 { format!(", {} restored", now.back) } else { String::new() };
            self.changed("targets", format!("{} of {total} done{back}", now.done));
        }
        for failed in &now.failed {
            self.changed(&failed.target.to_string(), format!("failed: {}", failed.error));
        }
        for flight in &now.in_flight {
            self.changed(&flight.target.to_string(), flight.to_string());
        }
        Ok(())
    }

    fn changed(&mut self, what: &str, how: String) {
        if !how.is_empty() && self.printed.get(what) != Some(&how) {
            output::say(format!("{}  {what}: {how}", account::now().strftime("%H:%M:%S")));
            self.printed.insert(what.to_owned(), how);
        }
    }

    pub(super) fn lost(&mut self, failure: &Failure) {
        let told = format!("{failure} Retrying; the rotation continues.");
        match &self.terminal {
            Some(bars) => bars.head.set_message(told),
            None if !self.is_lost => output::say(told),
            None => {}
        }
        self.is_lost = true;
    }

    /// Prints the result as text; in JSON the last line contains it already.
    pub(super) fn end(self, execution: &Execution, now: &Now) -> Result<(), Failure> {
        if let Some(bars) = self.terminal {
            bars.clear();
        }
        let name = &self.name;
        if !execution.succeeded {
            let error = &execution.error;
            return Err(Failure::WillNotDo(format!(
                "{name} failed: {error}. {}\n`certrotate explain {error}` says more, `certrotate report {name}` \
                 shows the outcome of each target.",
                execution.failure().message()
            )));
        }
        if self.output == Output::Json {
            return Ok(());
        }
        let took = execution.stopped.map(|stopped| stopped.duration_since(execution.started));
        output::line(&ended(name, execution.output.as_ref(), took, now.retries))
    }
}

fn ended(name: &str, result: Option<&Value>, took: Option<SignedDuration>, retries: u64) -> String {
    let none = Value::Null;
    let result = result.unwrap_or(&none);
    let count = |field: &str| result["targets"][field].as_u64().unwrap_or(0);
    let mut lines = vec![format!(
        "{} {}  {}{}",
        styled(GOOD, "✓"),
        styled(STRONG, name),
        result["outcome"].as_str().unwrap_or("ended"),
        took.map_or_else(String::new, |took| format!(", in {}", output::span(took)))
    )];
    let counts: Vec<String> = [
        ("updated", "moved"),
        ("alreadyCurrent", "already on the new certificate"),
        ("drifted", "left unchanged: they serve a third certificate"),
        ("gone", "gone"),
        ("failed", "failed"),
    ]
    .into_iter()
    .filter(|(field, _)| count(field) > 0)
    .map(|(field, words)| format!("{} {words}", count(field)))
    .collect();
    let retried = if retries > 0 { format!("; {retries} retries") } else { String::new() };
    lines.push(format!("  Targets: {}, {}{retried}", count("total"), counts.join(", ")));
    if let Some(new) = result["newCertificate"]["id"].as_str() {
        lines.push(format!("  New certificate: {new}"));
    }
    let old = &result["oldCertificate"];
    if old["deleted"] == true {
        lines.push("  The old certificate is deleted.".into());
    } else if let Some(reason) = old["reason"].as_str() {
        lines.push(format!("  The old certificate is kept: {reason}"));
    }
    for note in result["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        lines.push(format!("  {} {note}", styled(WARN, "!")));
    }
    lines.push(styled(SOFT, format!("  certrotate report {name}")));
    lines.join("\n")
}

impl Bars {
    fn show(&mut self, now: &Now) {
        self.head.set_length(now.total.unwrap_or(0) as u64);
        self.head.set_position(now.done as u64);
        let left = now.seconds_left.filter(|_| now.done < now.total.unwrap_or(0));
        let left =
            left.map(|left| format!("{} left", output::span(SignedDuration::from_secs(left))));
        let retries = (now.retries > 0).then(|| format!("{} retries", now.retries));
        let failed =
            (!now.failed.is_empty()).then(|| styled(BAD, format!("{} failed", now.failed.len())));
        let back = (now.back > 0).then(|| format!("{} restored", now.back));
        let state = now.state.clone();
        let said: Vec<String> =
            [state, failed, back, retries, left].into_iter().flatten().collect();
        self.head.set_message(said.join(", "));

        self.flights.retain(|target, bar| {
            let goes_on = now.in_flight.iter().any(|flight| flight.target == *target);
            if !goes_on {
                self.all.remove(bar);
            }
            goes_on
        });
        for flight in &now.in_flight {
            let bar = self.flights.entry(flight.target.clone()).or_insert_with(|| {
                let bar = self.all.add(ProgressBar::new_spinner());
                bar.set_style(style("  {spinner} {prefix}  {msg}"));
                bar.set_prefix(flight.target.to_string());
                bar.enable_steady_tick(Duration::from_millis(200));
                bar
            });
            let since = account::now().duration_since(flight.since);
            bar.set_message(format!("{flight}  {}", output::span(since)));
        }
    }

    fn clear(self) {
        for bar in self.flights.into_values().chain([self.head]) {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // An invalid template would be a defect; the default style is used then.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
