//! Executions of state machines.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use rotation_core::claim::Liveness;

use crate::error::{AwsError, Context};

/// Does this execution still run?
pub async fn liveness(client: &Client, execution_arn: &str) -> Result<Liveness, AwsError> {
    let answer = client.describe_execution().execution_arn(execution_arn).send().await;
    match answer.during("DescribeExecution", execution_arn) {
        Ok(execution) => Ok(match execution.status {
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => Liveness::Running,
            _ => Liveness::Ended,
        }),
        Err(error) if error.is("ExecutionDoesNotExist") => Ok(Liveness::Unknown),
        Err(error) => Err(error),
    }
}
