//! `certrotate report`: shows the report of a rotation.

use rotation_aws::s3;
use rotation_core::ending::CertificateSummary;
use rotation_core::report::{Level, Report as Written, TargetOutcome, TargetReport};
use rotation_core::target::record::Record;

use crate::account;
use crate::args::{Global, Report};
use crate::execution;
use crate::failure::Failure;
use crate::output::{self, BAD, GOOD, SOFT, STRONG, WARN, first, moment, span, styled};

/// The text lists at most this many targets; those that failed come first.
const SHOWN: usize = 50;

/// Reads the report, prints it, writes it to a file and opens it.
pub(crate) async fn run(global: &Global, args: &Report) -> Result<(), Failure> {
    let context = account::deployed(global).await?;
    let arn = execution::which(&context, args.execution.execution.as_deref()).await?;
    let found = execution::find(&context, &arn).await?;
    let name = execution::name(&arn);
    if found.running {
        return Err(Failure::WillNotDo(format!(
            "{name} is still running, and has no report yet. `certrotate watch {name}` shows its progress."
        )));
    }
    let folder = execution::folder(&context, &arn, &found);
    let fetch = async |file: &str| -> Result<Vec<u8>, Failure> {
        let key = folder.key(file);
        let bytes = s3::find_bytes(context.aws.s3(), &folder.bucket, &key).await?;
        bytes.ok_or_else(|| {
            Failure::WillNotDo(match found.status.as_str() {
                // These executions did not reach their last step.
                "TIMED_OUT" | "ABORTED" => format!(
                    "{name} has left no report: {}. {}\n`certrotate explain {}` describes the state it leaves behind.",
                    found.error,
                    found.failure().message(),
                    found.status
                ),
                _ => format!(
                    "There is no s3://{}/{key}. `certrotate explain ReportNotWritten` says when this happens.",
                    folder.bucket
                ),
            })
        })
    };
    if args.html.is_none() && !args.open {
        let bytes = fetch("report.json").await?;
        let unreadable =
            |error| Failure::Aws(format!("The report of {name} cannot be read: {error}."));
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(unreadable)?;
        let report: Written = serde_json::from_slice(&bytes).map_err(unreadable)?;
        return output::result(global, &value, || text(&report));
    }
    let page = fetch("report.html").await?;
    let path =
        args.html.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("{name}.html")));
    std::fs::write(&path, page).map_err(|error| Failure::file(&path, &error))?;
    output::say(format!("The page is {}.", path.display()));
    if args.open {
        opener::open(&path).map_err(|error| {
            Failure::WillNotDo(format!("{} cannot be opened here: {error}.", path.display()))
        })?;
    }
    Ok(())
}

fn text(report: &Written) -> String {
    let rotation = &report.rotation;
    let (style, ended) = match (&report.output, &report.failure) {
        (Some(output), _) => (GOOD, output.outcome.clone()),
        (None, Some(failure)) => (BAD, failure.error.clone()),
        (None, None) => (BAD, "no end".into()),
    };
    let took = rotation.ended_at.duration_since(rotation.started_at);
    let mut lines = vec![
        format!("{}  {}", styled(STRONG, &rotation.name), styled(style, ended)),
        format!("{} to {}, {}", moment(rotation.started_at), moment(rotation.ended_at), span(took)),
    ];
    lines.extend(report.failure.as_ref().map(|failure| failure.cause.clone()));
    if let Some(certificates) = &report.certificates {
        let shown = |one: &CertificateSummary| {
            let id = one.id.as_deref().unwrap_or("–");
            let until =
                one.not_after.map_or_else(String::new, |at| format!(", until {}", moment(at)));
            format!("{id}{until}")
        };
        let deleted = report.deletion.as_ref().is_some_and(|deletion| deletion.deleted);
        let deleted = if deleted { ", deleted" } else { "" };
        lines.push(String::new());
        lines.push(format!(
            "{}  {}{deleted}",
            styled(STRONG, "Old certificate"),
            shown(&certificates.old)
        ));
        lines.push(format!("{}  {}", styled(STRONG, "New certificate"), shown(&certificates.new)));
    }
    if !report.targets.is_empty() {
        lines.push(String::new());
        lines.push(targets(&report.targets));
    }
    lines.push(String::new());
    let risk = match report.risk.level {
        Level::None => styled(GOOD, "Viewers noticed nothing"),
        Level::NotVerified => styled(WARN, "Not everything was verified"),
        Level::Possible => styled(BAD, "Viewers may have noticed"),
    };
    lines.push(risk);
    lines.extend(report.risk.statements.iter().map(|statement| format!("  {statement}")));
    let notes = report.plan.iter().flat_map(|plan| &plan.notes);
    lines.extend(notes.map(|note| format!("{} {note}", styled(WARN, "!"))));
    lines.join("\n")
}

fn targets(targets: &[TargetReport]) -> String {
    let mut table =
        output::table(&["TARGET", "NAMES", "DEPLOYED AFTER", "HANDSHAKES", "RETRIES", "OUTCOME"]);
    let mut sorted: Vec<&TargetReport> = targets.iter().collect();
    sorted.sort_by_key(|one| !one.moves().any(|record| record.failure.is_some()));
    for one in sorted.iter().take(SHOWN) {
        let last = one.back.as_ref().or(one.forward.as_ref());
        let part =
            |of: fn(&Record) -> Option<String>| last.and_then(of).unwrap_or_else(|| "–".into());
        table.add_row([
            one.target.to_string(),
            first(&one.names, 2),
            part(|record| {
                let (update, deployment) = (record.update.as_ref()?, record.deployment.as_ref()?);
                Some(span(deployment.at.duration_since(update.since)))
            }),
            part(|record| record.verification.as_ref().map(|one| one.handshakes.to_string())),
            part(|record| Some(record.retries().to_string())),
            outcome(one),
        ]);
    }
    let mut text = table.trim_fmt();
    if targets.len() > SHOWN {
        let more = targets.len() - SHOWN;
        text.push_str(&styled(
            SOFT,
            format!("\nand {more} more; --output json and --html have all"),
        ));
    }
    text
}

fn outcome(one: &TargetReport) -> String {
    let outcome = one.outcome();
    let style = match outcome {
        TargetOutcome::Moved => GOOD,
        TargetOutcome::Failed | TargetOutcome::NotPutBack => BAD,
        TargetOutcome::PutBack | TargetOutcome::Drifted | TargetOutcome::Gone => WARN,
        TargetOutcome::NotBegun => SOFT,
    };
    let errors: Vec<&str> =
        one.moves().filter_map(|record| Some(record.failure.as_ref()?.error.as_str())).collect();
    let errors = if errors.is_empty() { String::new() } else { format!(": {}", errors.join(", ")) };
    styled(style, format!("{}{errors}", outcome.words()))
}
