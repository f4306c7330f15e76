//! `certrotate start`: starts an execution, and watches it.

use rotation_aws::error::ErrorKind;
use rotation_aws::step_functions::{self, Execution};
use rotation_core::ids::execution_arn;
use serde::Serialize;
use serde_json::Value;

use crate::account;
use crate::args::{Global, Start};
use crate::failure::Failure;
use crate::output::{self, GOOD, WARN, moment, styled};
use crate::{plan, watch};

/// The output of `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    name: &'a str,
    execution: &'a str,
    input: &'a Value,
    /// True if it was running already, so that nothing was started.
    ran_already: bool,
}

/// Plans, asks for confirmation, starts and watches.
pub(crate) async fn run(global: &Global, args: &Start) -> Result<(), Failure> {
    let context = account::deployed(global).await?;
    let mut input = plan::input(&args.request);
    if args.dry_run {
        input["dryRun"] = true.into();
    }
    // With --yes the plan of the execution is enough: it refuses for the same reasons.
    if !global.yes {
        let planned = plan::plan(&context, input.clone()).await?;
        output::say(plan::text(&planned));
        plan::verdict(&planned)?;
    }
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.request.source));
    output::confirm(global, &format!("\nThe rotation {name} is started with {input}"))?;
    let machine = &context.settings.state_machine_arn;
    let arn = execution_arn(machine, &name);
    // Step Functions returns the same whether it starts an execution or one with this name and
    // input is running already. So the execution is read first. Without permission to read it, the
    // two cases cannot be told apart.
    let before = match step_functions::find(context.aws.states(), &arn).await {
        Err(error) if error.kind == ErrorKind::AccessDenied => None,
        found => found?,
    };
    let running = before.as_ref().filter(|before| before.running);
    if !step_functions::start(context.aws.states(), machine, &name, &input).await? {
        return Err(Failure::WillNotDo(taken(&name, &input, running)));
    }
    let said = match running {
        Some(running) => ran_already(&name, running),
        None => styled(GOOD, format!("✓ {name} is started.")),
    };
    if args.detach {
        let ran_already = running.is_some();
        let started = Started { name: &name, execution: &arn, input: &input, ran_already };
        return output::result(global, &started, || {
            said + &format!(" `certrotate watch {name}` shows its progress.")
        });
    }
    if running.is_some() {
        output::say(said);
    }
    watch::follow(global, &context, &arn, args.interval).await
}

/// The message when the name belongs to another rotation.
fn taken(name: &str, input: &Value, running: Option<&Execution>) -> String {
    let has_it = match running {
        Some(running) => {
            let with = if running.input == *input { "" } else { ", with another input" };
            format!(
                "A rotation named {name} has been running since {}{with}.",
                moment(running.started)
            )
        }
        None => format!("A rotation named {name} ran within the last 90 days."),
    };
    format!("{has_it} Choose another --name.")
}

/// The message when the requested rotation is running already.
fn ran_already(name: &str, running: &Execution) -> String {
    let since = moment(running.started);
    styled(
        WARN,
        format!("{name} has been running since {since} with the same input: nothing was started."),
    )
}

/// A readable name: the last part of the source, and the time.
fn name_of(source: &str) -> String {
    let last = source.rsplit(['/', ':']).next().unwrap_or(source);
    let word: String =
        last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    format!("{word}-{}", account::now().strftime("%Y%m%d-%H%M%S"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_in_use_is_reported() {
        let input = json!({"newCertificate": "tls/www"});
        let running = |input: &Value| Execution {
            running: true,
            succeeded: false,
            status: "RUNNING".into(),
            started: "2026-11-23T11:00:00Z".parse().unwrap(),
            redrives: 0,
            output: None,
            stopped: None,
            error: "RUNNING".into(),
            cause: String::new(),
            input: input.clone(),
        };
        let (same, other) = (running(&input), running(&json!({"newCertificate": "tls/shop"})));
        for (there, expected) in [
            (None, "A rotation named n ran within the last 90 days. Choose"),
            (
                Some(&same),
                "A rotation named n has been running since 2026-11-23 11:00:00 UTC. Choose",
            ),
            (
                Some(&other),
                "has been running since 2026-11-23 11:00:00 UTC, with another input. Choose",
            ),
        ] {
            let said = taken("n", &input, there);
            assert!(said.contains(expected), "{said}");
        }
        let said = ran_already("n", &same);
        assert!(said.contains("n has been running since 2026-11-23 11:00:00 UTC"), "{said}");
        assert!(said.contains("nothing was started"), "{said}");
    }

    #[test]
    fn names_are_valid_in_step_functions() {
        for (source, word) in [
            ("tls/www", "www-2"),
            ("ssm:/tls/www.example.com", "www-example-com-2"),
            ("s3://bucket/a b.pem", "a-b-pem-2"),
        ] {
            let name = name_of(source);
            assert!(name.starts_with(word), "{name}");
            assert!(name.len() <= 80, "{name}");
        }
    }
}
