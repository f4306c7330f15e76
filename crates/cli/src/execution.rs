//! Which execution is meant, and where its folder is.

use rotation_aws::step_functions::{self, Execution};
use rotation_steps::Context;
use rotation_steps::payload::{self, Folder};

use crate::failure::Failure;

/// The ARN of an execution of this state machine.
pub(crate) fn arn(machine: &str, name: &str) -> String {
    format!("{}:{name}", machine.replacen(":stateMachine:", ":execution:", 1))
}

/// Its name.
pub(crate) fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// The ARN of the execution that was named, or of the one that was started last.
pub(crate) async fn which(context: &Context, given: Option<&str>) -> Result<String, Failure> {
    let machine = &context.settings.state_machine_arn;
    match given {
        Some(given) if given.starts_with("arn:") => Ok(given.to_owned()),
        Some(name) => Ok(arn(machine, name)),
        None => {
            let latest = step_functions::latest(context.aws.states(), machine).await?;
            latest.ok_or_else(|| {
                Failure::WillNotDo(
                    "No rotation has run yet: start one with `certrotate start`.".into(),
                )
            })
        }
    }
}

/// What Step Functions knows of it.
pub(crate) async fn find(context: &Context, arn: &str) -> Result<Execution, Failure> {
    step_functions::find(context.aws.states(), arn).await?.ok_or_else(|| {
        Failure::WillNotDo(format!(
            "There is no rotation {}. Step Functions keeps executions for 90 days after their end; their reports stay in the bucket {}.",
            name(arn),
            context.settings.bucket
        ))
    })
}

/// Where its plan, records and report lie.
pub(crate) fn folder(context: &Context, arn: &str, execution: &Execution) -> Folder {
    let of = payload::Execution {
        id: arn.to_owned(),
        name: name(arn).to_owned(),
        start_time: execution.started,
        redrive_count: execution.redrives,
    };
    Folder::of(&context.settings.bucket, &of)
}
