//! Executions of state machines.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use jiff::Timestamp;
use rotation_core::failure::Failure;
use rotation_core::plan::claim::Liveness;
use serde_json::Value;

use crate::error::{AwsError, SdkResultExt};
use crate::time;

/// An execution, as described by Step Functions until 90 days after its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// Is it running, or waiting for a redrive?
    pub running: bool,
    /// Has it succeeded?
    pub succeeded: bool,
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `ABORTED` or `PENDING_REDRIVE`.
    pub status: String,
    /// When it was started.
    pub started: Timestamp,
    /// How often it was redriven.
    pub redrives: u64,
    /// Its output, if it has one.
    pub output: Option<Value>,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// The name of the error that it ended with, or its status if there is none.
    pub error: String,
    /// The cause; empty if there is none, as of `TIMED_OUT`.
    pub cause: String,
    /// Its input; null if it cannot be read.
    pub input: Value,
}

impl Execution {
    /// Error and cause; the status in place of an error if there is none.
    pub fn failure(&self) -> Failure {
        Failure { error: self.error.clone(), cause: self.cause.clone() }
    }
}

/// Describes the execution with this ARN; `None` if Step Functions does not find it.
pub async fn find(client: &Client, execution_arn: &str) -> Result<Option<Execution>, AwsError> {
    let answer = client.describe_execution().execution_arn(execution_arn).send().await;
    let execution = match answer.operation("DescribeExecution", execution_arn) {
        Err(error) if error.is("ExecutionDoesNotExist") => return Ok(None),
        answer => answer?,
    };
    Ok(Some(Execution {
        running: matches!(
            execution.status,
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive
        ),
        succeeded: execution.status == ExecutionStatus::Succeeded,
        status: execution.status.as_str().to_owned(),
        started: time(&execution.start_date).unwrap_or(Timestamp::MIN),
        redrives: execution.redrive_count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
        output: execution.output.and_then(|output| serde_json::from_str(&output).ok()),
        stopped: execution.stop_date.as_ref().map(|date| time(date).unwrap_or(Timestamp::MIN)),
        error: execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()),
        cause: execution.cause.unwrap_or_default(),
        input: execution
            .input
            .and_then(|input| serde_json::from_str(&input).ok())
            .unwrap_or_default(),
    }))
}

/// The ARN of the latest execution of a state machine, if there is any. Step Functions lists the
/// newest first.
pub async fn latest(client: &Client, state_machine_arn: &str) -> Result<Option<String>, AwsError> {
    let request = client.list_executions().state_machine_arn(state_machine_arn);
    // A page may be empty and still not be the last.
    let mut executions = request.into_paginator().page_size(1).items().send();
    let latest = executions.next().await.transpose();
    Ok(latest.operation("ListExecutions", state_machine_arn)?.map(|one| one.execution_arn))
}

/// The names of the executions of a state machine that are running.
pub async fn running(client: &Client, state_machine_arn: &str) -> Result<Vec<String>, AwsError> {
    let request = client.list_executions().state_machine_arn(state_machine_arn);
    let request = request.status_filter(ExecutionStatus::Running);
    let mut executions = request.into_paginator().items().send();
    let mut names = Vec::new();
    while let Some(one) = executions.next().await {
        names.push(one.operation("ListExecutions", state_machine_arn)?.name);
    }
    Ok(names)
}

/// The state that an execution entered last; `None` before the first.
///
/// Each retry of a state adds three events after it was entered, each finished lane four. Two
/// hundred events are enough, except for a state that is retried for an hour. An execution has
/// 25,000 events at most, so the loop ends. The inputs and outputs of states, most of the response,
/// are excluded.
pub async fn current_state(
    client: &Client,
    execution_arn: &str,
) -> Result<Option<String>, AwsError> {
    let request = client.get_execution_history().execution_arn(execution_arn);
    let request = request.reverse_order(true).include_execution_data(false);
    let mut events = request.into_paginator().page_size(200).items().send();
    while let Some(event) = events.next().await {
        let event = event.operation("GetExecutionHistory", execution_arn)?;
        if let Some(entered) = event.state_entered_event_details {
            return Ok(Some(entered.name));
        }
    }
    Ok(None)
}

/// Is this execution still running?
pub async fn liveness(client: &Client, execution_arn: &str) -> Result<Liveness, AwsError> {
    Ok(match find(client, execution_arn).await? {
        Some(execution) if execution.running => Liveness::Running,
        Some(_) => Liveness::Ended,
        None => Liveness::Unknown,
    })
}

/// Starts an execution with this name. True if one with this name and input is running now: Step
/// Functions returns the same for a new and an already running one, except for the start date.
/// False if the name belongs to an execution with another input, or to one that ended in the last
/// 90 days (API reference, StartExecution; recorded).
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
    match request.send().await.operation("StartExecution", name) {
        Ok(_) => Ok(true),
        Err(error) if error.is("ExecutionAlreadyExists") => Ok(false),
        Err(error) => Err(error),
    }
}
