//! Follows what CloudFormation does to a stack, by the stack's events.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rotation_aws::Aws;
use rotation_aws::change_set::{self, Event};

use crate::args::{Global, Interval, Output};
use crate::failure::Failure;
use crate::output::{self, BAD, GOOD, SOFT, styled};

/// How the tokens begin of the operations that certrotate starts.
pub(crate) const DEPLOYS: &str = "certrotate-deploy-";
pub(crate) const REMOVES: &str = "certrotate-undeploy-";

/// What is happening to a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) token: Option<String>,
    /// The last event before it began.
    pub(crate) before: Option<String>,
}

impl Operation {
    /// Has certrotate started it, to deploy?
    pub(crate) fn is_deployment(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.starts_with(DEPLOYS))
    }

    /// The last operation that began.
    pub(crate) fn last(events: &[Event]) -> Option<Self> {
        let began = |event: &Event| {
            let status = ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"];
            event.of_stack && status.contains(&&event.status[..])
        };
        let at = events.iter().rposition(began)?;
        let before = at.checked_sub(1).and_then(|at| events.get(at)).map(|event| event.id.clone());
        Some(Self { token: events.get(at)?.token.clone(), before })
    }
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The status of the stack.
    pub(crate) status: String,
    /// What failed first, and why.
    pub(crate) cause: Option<String>,
}

/// The end, if the stack has come to one.
fn end(events: &[Event]) -> Option<End> {
    let last = events.iter().rfind(|event| event.of_stack)?;
    (!last.status.ends_with("_IN_PROGRESS"))
        .then(|| End { status: last.status.clone(), cause: cause(events) })
}

/// What failed first. Resources that CloudFormation gave up because of it are marked as failed too.
fn cause(events: &[Event]) -> Option<String> {
    let failed = |event: &&Event| {
        event.status.ends_with("_FAILED") && !event.reason.to_lowercase().contains("cancelled")
    };
    let of_resource = events.iter().filter(|event| !event.of_stack).find(failed);
    let first = of_resource.or_else(|| {
        // Without a resource: a rule of the template, or a hook.
        events.iter().find(|event| event.of_stack && event.status.contains("ROLLBACK"))
    })?;
    let denied =
        first.reason.contains("not authorized to perform") || first.reason.contains("AccessDenied");
    let cure = if denied {
        " The permission is one of \"Who may deploy\" in docs/deployment.md, of you or of --role-arn."
    } else {
        ""
    };
    let reason = first.reason.trim_end_matches('.');
    Some(format!("{} ({}): {reason}.{cure}", first.logical, first.kind))
}

/// Prints events as they come until the operation has ended, or until Ctrl-C.
pub(crate) async fn follow(
    global: &Global,
    aws: &Aws,
    stack: &str,
    before: Option<String>,
    steps: usize,
    interval: Interval,
    again: &str,
) -> Result<End, Failure> {
    tokio::select! {
        ended = watch(global, aws, stack, before, steps, interval) => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted(format!(
            "CloudFormation continues. `{again}` shows its progress again."
        ))),
    }
}

async fn watch(
    global: &Global,
    aws: &Aws,
    stack: &str,
    before: Option<String>,
    steps: usize,
    interval: Interval,
) -> Result<End, Failure> {
    let mut view = View::new(global, steps);
    let mut events: Vec<Event> = Vec::new();
    loop {
        let last = events.last().map(|event| event.id.clone()).or_else(|| before.clone());
        match change_set::events(aws, stack, last.as_deref()).await.map_err(Failure::of_deployer) {
            Ok(new) => {
                new.iter().for_each(|event| view.show(event));
                events.extend(new);
            }
            Err(failure @ Failure::Passing(_)) => {
                view.say(format!("{failure} Retrying; CloudFormation continues."));
            }
            Err(failure) => return Err(failure),
        }
        if let Some(end) = end(&events) {
            view.clear();
            return Ok(end);
        }
        pause(interval).await;
    }
}

/// Waits before the next look at CloudFormation.
#[expect(clippy::disallowed_methods, reason = "a person watches; no step runs here")]
pub(super) async fn pause(interval: Interval) {
    tokio::time::sleep(Duration::from_secs(interval.interval.into())).await;
}

/// A line for each resource that is done, and a bar below them on a terminal.
struct View {
    bar: Option<ProgressBar>,
}

impl View {
    fn new(global: &Global, steps: usize) -> Self {
        let shows = global.output == Output::Text && std::io::stderr().is_terminal();
        let bar = (shows && steps > 0).then(|| {
            let bar = ProgressBar::new(steps as u64);
            // An invalid template would be a defect; the default style is used then.
            bar.set_style(
                ProgressStyle::with_template("{wide_bar:.green/dim} {pos}/{len} {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar }
    }

    fn show(&mut self, event: &Event) {
        let done = !event.status.ends_with("_IN_PROGRESS");
        if !done && !event.of_stack {
            return;
        }
        if let (Some(bar), false) = (&self.bar, event.of_stack) {
            bar.inc(1);
        }
        let style = match &event.status[..] {
            status if status.ends_with("_FAILED") || status.contains("ROLLBACK") => BAD,
            status if status.ends_with("_COMPLETE") => GOOD,
            _ => SOFT,
        };
        let reason = match &event.reason[..] {
            "" | "User Initiated" => String::new(),
            reason => format!("  {reason}"),
        };
        self.say(format!(
            "{}  {}  {}  {}{reason}",
            event.time.strftime("%H:%M:%S"),
            styled(style, format!("{:<18}", event.status)),
            event.logical,
            styled(SOFT, &event.kind),
        ));
    }

    fn say(&self, text: String) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::say(text)),
            None => output::say(text),
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    /// Events from `LOGICAL STATUS REASON`; the stack is `n`.
    fn events(lines: &[&str]) -> Vec<Event> {
        let event = |(number, line): (usize, &&str)| {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (logical, status, reason) = (word(), word(), word());
            Event {
                id: format!("e{number}"),
                time: Timestamp::UNIX_EPOCH,
                of_stack: logical == "n",
                logical,
                kind: "T".into(),
                status,
                reason,
                token: Some(format!("t{number}")),
            }
        };
        lines.iter().enumerate().map(event).collect()
    }

    #[test]
    fn the_cause_is_what_failed_first_not_what_was_given_up_for_it() {
        for (lines, expected) in [
            (vec!["n CREATE_IN_PROGRESS", "A CREATE_COMPLETE", "n CREATE_COMPLETE"], None),
            (
                vec![
                    "n CREATE_IN_PROGRESS",
                    "C CREATE_FAILED Resource creation cancelled",
                    "A CREATE_FAILED The role is invalid.",
                    "B CREATE_FAILED Resource creation Cancelled",
                    "n ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [A, B].",
                    "D DELETE_FAILED later",
                ],
                Some("A (T): The role is invalid."),
            ),
            (
                vec!["n UPDATE_IN_PROGRESS", "n UPDATE_ROLLBACK_IN_PROGRESS A hook said no"],
                Some("n (T): A hook said no."),
            ),
            (
                vec!["A CREATE_FAILED User x is not authorized to perform: iam:CreateRole"],
                Some(
                    "A (T): User x is not authorized to perform: iam:CreateRole. The permission is one of \
                     \"Who may deploy\" in docs/deployment.md, of you or of --role-arn.",
                ),
            ),
        ] {
            assert_eq!(cause(&events(&lines)).as_deref(), expected);
        }
    }

    #[test]
    fn an_operation_ends_with_a_final_status_of_the_stack() {
        for (lines, expected) in [
            (vec![], None),
            (vec!["n CREATE_IN_PROGRESS", "A CREATE_COMPLETE"], None),
            (vec!["n UPDATE_IN_PROGRESS", "n UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"], None),
            (vec!["n UPDATE_ROLLBACK_IN_PROGRESS", "A UPDATE_COMPLETE"], None),
            (vec!["n CREATE_IN_PROGRESS", "n CREATE_COMPLETE"], Some("CREATE_COMPLETE")),
            (vec!["n DELETE_FAILED x"], Some("DELETE_FAILED")),
            (vec!["n ROLLBACK_COMPLETE"], Some("ROLLBACK_COMPLETE")),
        ] {
            assert_eq!(end(&events(&lines)).map(|end| end.status).as_deref(), expected);
        }
    }

    #[test]
    fn the_last_operation_begins_where_its_status_does() {
        for (lines, expected) in [
            (vec![], None),
            (vec!["n REVIEW_IN_PROGRESS"], None),
            (vec!["n CREATE_IN_PROGRESS", "A CREATE_COMPLETE"], Some(("t0", None))),
            (vec!["n REVIEW_IN_PROGRESS", "n CREATE_IN_PROGRESS"], Some(("t1", Some("e0")))),
            (
                vec!["n CREATE_COMPLETE", "n UPDATE_IN_PROGRESS", "n UPDATE_ROLLBACK_IN_PROGRESS"],
                Some(("t1", Some("e0"))),
            ),
        ] {
            let found = Operation::last(&events(&lines));
            let found =
                found.as_ref().map(|one| (one.token.as_deref().unwrap(), one.before.as_deref()));
            assert_eq!(found, expected);
        }
    }
}
