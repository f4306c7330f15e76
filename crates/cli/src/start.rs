//! `certrotate start`: starts an execution, and watches it.

use rotation_aws::states;
use serde::Serialize;
use serde_json::Value;

use crate::account;
use crate::args::{Global, Start};
use crate::execution;
use crate::failure::Failure;
use crate::output::{self, GOOD, styled};
use crate::{plan, watch};

/// What `--output json` prints.
#[derive(Debug, Serialize)]
struct Started<'a> {
    name: &'a str,
    execution: &'a str,
    input: &'a Value,
}

/// Plans, asks, starts and watches.
pub(crate) async fn run(global: &Global, args: &Start) -> Result<(), Failure> {
    let context = account::deployed(global).await?;
    let mut input = plan::input(&args.request);
    if args.dry_run {
        input["dryRun"] = true.into();
    }
    // With --yes the execution's own plan is enough; it refuses for the same reasons.
    if !global.yes {
        let planned = plan::plan(&context, input.clone()).await?;
        output::say(plan::text(&planned));
        plan::verdict(&planned)?;
    }
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.request.source));
    output::confirm(global, &format!("\nThe rotation {name} is started with {input}"))?;
    let machine = &context.settings.state_machine_arn;
    if !states::start(context.aws.states(), machine, &name, &input).await? {
        return Err(Failure::WillNotDo(format!(
            "There was a rotation of the name {name} within the last 90 days. Choose another --name."
        )));
    }
    let arn = execution::arn(machine, &name);
    if args.detach {
        let started = Started { name: &name, execution: &arn, input: &input };
        return output::result(global, &started, || {
            styled(GOOD, format!("✓ {name} is started."))
                + &format!(" `certrotate watch {name}` follows it.")
        });
    }
    watch::follow(global, &context, &arn, args.interval).await
}

/// A name for people: of the source its last part, and the time.
fn name_of(source: &str) -> String {
    let last = source.rsplit(['/', ':']).next().unwrap_or(source);
    let word: String =
        last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    format!("{word}-{}", account::now().strftime("%Y%m%d-%H%M%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_step_functions_takes() {
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
