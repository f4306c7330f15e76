//! Executions of state machines.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use jiff::Timestamp;
use rotation_core::claim::Liveness;
use serde_json::Value;

use crate::error::{AwsError, Context};

/// An execution that Step Functions knows: for 90 days after its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// Does it run, or wait to be redriven?
    pub running: bool,
    /// Has it ended well?
    pub succeeded: bool,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// The name of the error that it ended with, or its status if there is none.
    pub error: String,
    /// The cause.
    pub cause: String,
    /// Its input; null if it cannot be read.
    pub input: Value,
}

/// The execution of this ARN, if Step Functions knows it.
pub async fn find(client: &Client, execution_arn: &str) -> Result<Option<Execution>, AwsError> {
    let answer = client.describe_execution().execution_arn(execution_arn).send().await;
    let execution = match answer.during("DescribeExecution", execution_arn) {
        Err(error) if error.is("ExecutionDoesNotExist") => return Ok(None),
        answer => answer?,
    };
    let stopped = execution.stop_date.and_then(|date| Timestamp::from_second(date.secs()).ok());
    Ok(Some(Execution {
        running: matches!(
            execution.status,
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive
        ),
        succeeded: execution.status == ExecutionStatus::Succeeded,
        stopped,
        error: execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()),
        cause: execution.cause.unwrap_or_default(),
        input: execution
            .input
            .and_then(|input| serde_json::from_str(&input).ok())
            .unwrap_or_default(),
    }))
}

/// Does this execution still run?
pub async fn liveness(client: &Client, execution_arn: &str) -> Result<Liveness, AwsError> {
    Ok(match find(client, execution_arn).await? {
        Some(execution) if execution.running => Liveness::Running,
        Some(_) => Liveness::Ended,
        None => Liveness::Unknown,
    })
}

/// Starts an execution under this name. False if the name was taken in the last 90 days, by whatever input.
pub async fn start(
    client: &Client,
    state_machine_arn: &str,
    name: &str,
    input: &Value,
) -> Result<bool, AwsError> {
    let request = client
        .start_execution()
        .state_machine_arn(state_machine_arn)
        .name(name)
        .input(input.to_string());
    match request.send().await.during("StartExecution", name) {
        Ok(_) => Ok(true),
        Err(error) if error.is("ExecutionAlreadyExists") => Ok(false),
        Err(error) => Err(error),
    }
}
