//! Executions of state machines.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_smithy_types::DateTime;
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
    Ok(Some(Execution {
        running: matches!(
            execution.status,
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive
        ),
        succeeded: execution.status == ExecutionStatus::Succeeded,
        status: execution.status.as_str().to_owned(),
        started: time(&execution.start_date),
        redrives: execution.redrive_count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
        output: execution.output.and_then(|output| serde_json::from_str(&output).ok()),
        stopped: execution.stop_date.as_ref().map(time),
        error: execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()),
        cause: execution.cause.unwrap_or_default(),
        input: execution
            .input
            .and_then(|input| serde_json::from_str(&input).ok())
            .unwrap_or_default(),
    }))
}

fn time(date: &DateTime) -> Timestamp {
    Timestamp::from_second(date.secs()).unwrap_or(Timestamp::MIN)
}

/// An execution in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `ABORTED` or `PENDING_REDRIVE`.
    pub status: String,
    /// When it was started.
    pub started: Timestamp,
}

/// The latest executions of a state machine, the newest first, as many as one page has.
pub async fn latest(client: &Client, state_machine_arn: &str) -> Result<Vec<Listed>, AwsError> {
    let answer = client.list_executions().state_machine_arn(state_machine_arn).send().await;
    let answer = answer.during("ListExecutions", state_machine_arn)?;
    Ok(answer
        .executions
        .into_iter()
        .map(|one| Listed {
            started: time(&one.start_date),
            arn: one.execution_arn,
            name: one.name,
            status: one.status.as_str().to_owned(),
        })
        .collect())
}

/// The state that an execution entered last; none before the first.
pub async fn current_state(
    client: &Client,
    execution_arn: &str,
) -> Result<Option<String>, AwsError> {
    let request = client.get_execution_history().execution_arn(execution_arn);
    let answer = request.reverse_order(true).max_results(50).send().await;
    let events = answer.during("GetExecutionHistory", execution_arn)?.events;
    Ok(events.into_iter().find_map(|event| Some(event.state_entered_event_details?.name)))
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
