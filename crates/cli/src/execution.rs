//! Selects an execution, and derives its folder.

use rotation_aws::step_functions::{self, Execution};
use rotation_core::ids::execution_arn;
use rotation_core::plan::state::{self, Folder};
use rotation_steps::Context;

use crate::failure::Failure;

/// The name of an execution.
pub(crate) fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// The ARN of the named execution, or of the latest one.
pub(crate) async fn which(context: &Context, given: Option<&str>) -> Result<String, Failure> {
    let machine = &context.settings.state_machine_arn;
    match given {
        Some(given) if given.starts_with("arn:") => Ok(given.to_owned()),
        Some(name) => Ok(execution_arn(machine, name)),
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

/// Describes it with Step Functions.
pub(crate) async fn find(context: &Context, arn: &str) -> Result<Execution, Failure> {
    step_functions::find(context.aws.states(), arn).await?.ok_or_else(|| {
        Failure::WillNotDo(format!(
            "There is no rotation {}. Step Functions keeps executions for 90 days after their end; their reports stay in the bucket {}.",
            name(arn),
            context.settings.bucket
        ))
    })
}

/// The folder of its plan, records and report.
pub(crate) fn folder(context: &Context, arn: &str, execution: &Execution) -> Folder {
    let of = state::Execution {
        id: arn.to_owned(),
        name: name(arn).to_owned(),
        start_time: execution.started,
        redrive_count: execution.redrives,
    };
    Folder::of(&context.settings.bucket, &of)
}
