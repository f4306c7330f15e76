//! Finds the deployed stack, with its outputs and parameters.

use std::collections::BTreeMap;

use crate::Aws;
use crate::error::{AwsError, SdkResultExt};

/// A stack of this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// Its parameters, including defaults.
    pub parameters: BTreeMap<String, String>,
}

/// An output that only stacks of this system have.
const MARK: &str = "RotationStateMachineArn";

/// The stacks of this system in the region, or only the one with this name.
///
/// # Errors
/// Errors of CloudFormation calls. A name that does not exist gives an empty list.
pub async fn find(aws: &Aws, name: Option<&str>) -> Result<Vec<Stack>, AwsError> {
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
        let outputs: BTreeMap<String, String> = stack
            .outputs
            .unwrap_or_default()
            .into_iter()
            .filter_map(|output| output.output_key.zip(output.output_value))
            .collect();
        if outputs.contains_key(MARK) {
            found.push(Stack {
                name: stack.stack_name.unwrap_or_default(),
                outputs,
                parameters: stack
                    .parameters
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|one| one.parameter_key.zip(one.parameter_value))
                    .collect(),
            });
        }
    }
    Ok(found)
}
