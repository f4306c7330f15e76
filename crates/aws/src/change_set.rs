//! Change sets, the operations that they start, and the events of a stack.

use aws_sdk_cloudformation::types::{Capability, ChangeSetType, Parameter, Tag};
use jiff::Timestamp;

use crate::error::{AwsError, SdkResultExt};
use crate::{Aws, time};

/// A parameter of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its default.
    pub default: Option<String>,
}

/// What a change set is made of.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The name of the stack.
    pub stack: &'a str,
    /// The name of the change set.
    pub name: &'a str,
    /// Does it create the stack?
    pub creates: bool,
    /// Where the template is.
    pub template: &'a str,
    /// The parameters; `None` keeps the value that the stack has.
    pub parameters: &'a [(String, Option<String>)],
    /// Tags for every resource of the stack; CloudFormation keeps those it has if there are none.
    pub tags: &'a [(String, String)],
    /// The role with which CloudFormation acts; the caller's permissions by default.
    pub role: Option<&'a str>,
}

/// A change set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// Its status, as CloudFormation names it.
    pub status: String,
    /// The reason of the status.
    pub reason: String,
    /// The changes of resources, in CloudFormation's order.
    pub changes: Vec<Change>,
}

/// What happens to a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// `Add`, `Modify`, `Remove`, `Import` or `Dynamic`.
    pub action: String,
    /// Its name in the template.
    pub logical: String,
    /// Its type.
    pub kind: String,
    /// `True`, `False` or `Conditional`; only of a modification.
    pub replacement: Option<String>,
}

/// What happened to a resource, or to the stack itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Unique in the stack.
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    /// The name in the template; of the stack its own.
    pub logical: String,
    /// The type of the resource.
    pub kind: String,
    /// The status, as CloudFormation names it.
    pub status: String,
    /// The reason of the status.
    pub reason: String,
    /// Is it an event of the stack itself?
    pub of_stack: bool,
    /// The token of the operation that it belongs to.
    pub token: Option<String>,
}

/// The URL of an object, as CloudFormation reads templates.
pub fn template_url(bucket: &str, key: &str, region: &str) -> String {
    // With the bucket in the path: a name with a dot has no valid certificate as a host.
    format!("https://s3.{region}.amazonaws.com/{bucket}/{key}")
}

/// The parameters that a template declares.
///
/// # Errors
/// Errors of CloudFormation.
pub async fn declared(aws: &Aws, url: &str) -> Result<Vec<Declared>, AwsError> {
    let answer = aws.stacks().validate_template().template_url(url).send().await;
    let found = answer.operation("ValidateTemplate", url)?.parameters.unwrap_or_default();
    Ok(found
        .into_iter()
        .map(|one| Declared {
            name: one.parameter_key.unwrap_or_default(),
            default: one.default_value,
        })
        .collect())
}

/// Has CloudFormation compute a change set.
///
/// # Errors
/// Errors of CloudFormation: it refuses parameters that the template does not allow.
pub async fn create(aws: &Aws, wanted: &Request<'_>) -> Result<(), AwsError> {
    let parameters = wanted.parameters.iter().map(|(name, value)| {
        let one = Parameter::builder().parameter_key(name);
        match value {
            Some(value) => one.parameter_value(value).build(),
            None => one.use_previous_value(true).build(),
        }
    });
    let tags = wanted.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    let request = aws
        .stacks()
        .create_change_set()
        .stack_name(wanted.stack)
        .change_set_name(wanted.name)
        .change_set_type(if wanted.creates { ChangeSetType::Create } else { ChangeSetType::Update })
        .template_url(wanted.template)
        .capabilities(Capability::CapabilityIam)
        .capabilities(Capability::CapabilityAutoExpand)
        .set_parameters(Some(parameters.collect()))
        .set_tags((!wanted.tags.is_empty()).then(|| tags.collect()))
        .set_role_arn(wanted.role.map(str::to_owned));
    request.send().await.operation("CreateChangeSet", wanted.stack).map(drop)
}

/// Reads a change set with all of its changes.
///
/// # Errors
/// Errors of CloudFormation.
pub async fn describe(aws: &Aws, stack: &str, name: &str) -> Result<ChangeSet, AwsError> {
    let client = aws.stacks();
    let mut set = ChangeSet::default();
    let mut next = None;
    loop {
        let request = client.describe_change_set().stack_name(stack).change_set_name(name);
        let page = request.set_next_token(next).send().await;
        let page = page.operation("DescribeChangeSet", stack)?;
        set.status = page.status.map(|one| one.as_str().to_owned()).unwrap_or_default();
        set.reason = page.status_reason.unwrap_or_default();
        let changes = page.changes.unwrap_or_default().into_iter();
        set.changes.extend(changes.filter_map(|one| one.resource_change).map(|one| Change {
            action: one.action.map(|one| one.as_str().to_owned()).unwrap_or_default(),
            logical: one.logical_resource_id.unwrap_or_default(),
            kind: one.resource_type.unwrap_or_default(),
            replacement: one.replacement.map(|one| one.as_str().to_owned()),
        }));
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(set);
        }
    }
}

/// Executes a change set; a failure is rolled back. All events of the operation have this token.
///
/// # Errors
/// Errors of CloudFormation.
pub async fn execute(aws: &Aws, stack: &str, name: &str, token: &str) -> Result<(), AwsError> {
    let request = aws.stacks().execute_change_set().stack_name(stack).change_set_name(name);
    // The API reference gives "True" as the default.
    let request = request.client_request_token(token).disable_rollback(false);
    // A bucket that was created for nothing goes again, although the template retains it.
    let request = request.retain_except_on_create(true);
    request.send().await.operation("ExecuteChangeSet", stack).map(drop)
}

/// Deletes a change set that was not executed.
///
/// # Errors
/// Errors of CloudFormation.
pub async fn discard(aws: &Aws, stack: &str, name: &str) -> Result<(), AwsError> {
    let request = aws.stacks().delete_change_set().stack_name(stack).change_set_name(name);
    request.send().await.operation("DeleteChangeSet", stack).map(drop)
}

/// Deletes a stack. All events of the operation have this token.
///
/// # Errors
/// Errors of CloudFormation.
pub async fn delete_stack(
    aws: &Aws,
    stack: &str,
    role: Option<&str>,
    token: &str,
) -> Result<(), AwsError> {
    let request = aws.stacks().delete_stack().stack_name(stack).client_request_token(token);
    let answer = request.set_role_arn(role.map(str::to_owned)).send().await;
    answer.operation("DeleteStack", stack).map(drop)
}

/// The types of the resources of a stack.
///
/// # Errors
/// Errors of CloudFormation.
pub async fn resource_types(aws: &Aws, stack: &str) -> Result<Vec<String>, AwsError> {
    let request = aws.stacks().list_stack_resources().stack_name(stack);
    let mut pages = request.into_paginator().items().send();
    let mut types = Vec::new();
    while let Some(one) = pages.next().await {
        let one = one.operation("ListStackResources", stack)?;
        let gone = one.resource_status.is_some_and(|status| status.as_str() == "DELETE_COMPLETE");
        if !gone {
            types.extend(one.resource_type);
        }
    }
    Ok(types)
}

/// The events of a stack after this one, or all of them, the oldest first.
///
/// # Errors
/// Errors of CloudFormation.
pub async fn events(aws: &Aws, stack: &str, after: Option<&str>) -> Result<Vec<Event>, AwsError> {
    let request = aws.stacks().describe_stack_events().stack_name(stack);
    // The newest come first.
    let mut pages = request.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(event) = pages.next().await {
        let event = event.operation("DescribeStackEvents", stack)?;
        let id = event.event_id.unwrap_or_default();
        if Some(&id[..]) == after {
            break;
        }
        found.push(Event {
            id,
            time: event.timestamp.as_ref().and_then(time).unwrap_or(Timestamp::MIN),
            logical: event.logical_resource_id.unwrap_or_default(),
            kind: event.resource_type.unwrap_or_default(),
            status: event.resource_status.map(|one| one.as_str().to_owned()).unwrap_or_default(),
            reason: event.resource_status_reason.unwrap_or_default(),
            of_stack: event.physical_resource_id.is_some()
                && event.physical_resource_id == event.stack_id,
            token: event.client_request_token,
        });
    }
    found.reverse();
    Ok(found)
}
