//! Finds the deployed stack, with its outputs and parameters.

use std::collections::BTreeMap;

use crate::Aws;
use crate::error::{AwsError, SdkResultExt};

/// A stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Its ARN, which is valid after its deletion too.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its status, as CloudFormation names it.
    pub status: String,
    /// The description in its template.
    pub description: String,
    /// Is it protected against deletion?
    pub protected: bool,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// Its parameters, including defaults.
    pub parameters: BTreeMap<String, String>,
}

/// An output that only stacks of this system have.
const MARK: &str = "RotationStateMachineArn";
/// How the description of the template begins: a stack has no outputs before it is complete.
pub const DESCRIPTION: &str = "Replaces third-party TLS certificates on CloudFront distributions";
/// The output with the version; stacks older than 0.1.0 have none.
pub const VERSION: &str = "Version";

impl Stack {
    /// Is it a stack of this system?
    pub fn is_ours(&self) -> bool {
        self.outputs.contains_key(MARK) || self.description.starts_with(DESCRIPTION)
    }
}

/// The stacks of this system in the region that are complete, or only the one with this name.
///
/// # Errors
/// Errors of CloudFormation calls. A name that does not exist gives an empty list.
pub async fn find(aws: &Aws, name: Option<&str>) -> Result<Vec<Stack>, AwsError> {
    let mut stacks = read(aws, name).await?;
    stacks.retain(|stack| stack.outputs.contains_key(MARK));
    Ok(stacks)
}

/// The stack with this name or ARN, whatever it is; `None` if there is none.
///
/// # Errors
/// Errors of CloudFormation calls.
pub async fn describe(aws: &Aws, name: &str) -> Result<Option<Stack>, AwsError> {
    Ok(read(aws, Some(name)).await?.pop())
}

async fn read(aws: &Aws, name: Option<&str>) -> Result<Vec<Stack>, AwsError> {
    let client = aws.stacks();
    let mut pages = client
        .describe_stacks()
        .set_stack_name(name.map(str::to_owned))
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(stack) = pages.next().await {
        let stack = match stack.operation("DescribeStacks", name.unwrap_or("all stacks")) {
            // CloudFormation has no error code for this.
            Err(error) if name.is_some() && error.message.contains("does not exist") => break,
            stack => stack?,
        };
        found.push(Stack {
            id: stack.stack_id.unwrap_or_default(),
            name: stack.stack_name.unwrap_or_default(),
            status: stack.stack_status.map(|one| one.as_str().to_owned()).unwrap_or_default(),
            description: stack.description.unwrap_or_default(),
            protected: stack.enable_termination_protection == Some(true),
            outputs: stack
                .outputs
                .unwrap_or_default()
                .into_iter()
                .filter_map(|output| output.output_key.zip(output.output_value))
                .collect(),
            parameters: stack
                .parameters
                .unwrap_or_default()
                .into_iter()
                .filter_map(|one| one.parameter_key.zip(one.parameter_value))
                .collect(),
        });
    }
    Ok(found)
}
