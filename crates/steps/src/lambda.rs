//! Runs steps as Lambda functions: settings, errors, logs, one attempt.

mod context;
pub mod error;
mod logs;

pub use context::{Context, Settings};

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::FutureExt;
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, service_fn};
use rotation_aws::Aws;
use rotation_viewer::Edges;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use error::StepError;

/// The event that the state machine passes to every step.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    /// The state.
    state: Value,
    /// How often the state was retried before this attempt.
    #[serde(default)]
    retries: u64,
    /// The execution as Step Functions reports it; only the first and the last step receive it.
    execution: Option<ContextExecution>,
}

/// The needed fields of `$$.Execution`. The input comes from here because the state does not carry
/// it through every step.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextExecution {
    /// The input of the execution.
    input: Value,
    /// How often it was redriven. Optional, because interpreters without redrive may omit it.
    #[serde(default)]
    redrive_count: u64,
}

/// Runs one attempt of a step, with JSON input and output.
///
/// Adds the number of retries to the output: the state machine has this number only during the
/// attempt, and the report lists every retry.
///
/// # Errors
/// The error of the step.
pub async fn attempt<I, O>(
    context: &Context,
    step: impl AsyncFn(&Context, I) -> Result<O, StepError>,
    event: Value,
) -> Result<Value, StepError>
where
    I: DeserializeOwned,
    O: Serialize,
{
    let misfit = |error| StepError::Internal(format!("the step's input does not parse: {error}"));
    let Event { mut state, retries, execution } = serde_json::from_value(event).map_err(misfit)?;
    if let (Some(execution), Some(state)) = (execution, state.as_object_mut()) {
        state.insert("request".into(), execution.input);
        state.insert("redriveCount".into(), execution.redrive_count.into());
    }
    let input = serde_json::from_value(state).map_err(misfit)?;
    let output = match step(context, input).await {
        Err(error) if retries > 0 && !matches!(error, StepError::Ends { .. }) => {
            return Err(StepError::Retried { error: Box::new(error), retries });
        }
        result => result?,
    };
    let mut output = serde_json::to_value(output)
        .map_err(|error| StepError::Internal(format!("the step's output is no JSON: {error}")))?;
    if let (1.., Some(output)) = (retries, output.as_object_mut()) {
        let earlier = output.get("retries").and_then(Value::as_u64).unwrap_or(0);
        output.insert("retries".into(), (earlier + retries).into());
    }
    Ok(output)
}

/// Serves a step of the state machine as a Lambda function until its environment ends. `clients`
/// creates the clients of the step before the first event: until then Lambda gives a function a
/// whole processor, afterwards the share that its memory size buys (page "Understanding the Lambda
/// execution environment lifecycle").
pub async fn run<I, O>(
    step: impl AsyncFn(&Context, I) -> Result<O, StepError>,
    clients: impl Fn(&Aws),
) -> Result<(), lambda_runtime::Error>
where
    I: DeserializeOwned,
    O: Serialize,
{
    let step = &step;
    serve(async |context: &Context, event| attempt(context, step, event).await, clients).await
}

/// Serves a function that takes an event until its environment ends, like [`run`].
///
/// The event is taken as plain JSON, because a deserialisation error before the handler would reach
/// Step Functions under the name of a Rust type.
pub async fn serve<O: Serialize>(
    handle: impl AsyncFn(&Context, Value) -> Result<O, StepError>,
    clients: impl Fn(&Aws),
) -> Result<(), lambda_runtime::Error> {
    logs::begin();
    let settings = Settings::from_env()?;
    let context = Context {
        aws: Aws::from_env(),
        edges: Edges::system(settings.viewer_edge.clone()),
        settings,
        #[expect(clippy::disallowed_methods, reason = "the one place where the clock comes in")]
        now: Timestamp::now,
        over_at: AtomicI64::new(i64::MAX),
        #[expect(clippy::print_stdout, reason = "CloudWatch Logs takes metrics from a bare line")]
        metrics: Box::new(|line| println!("{line}")),
    };
    clients(&context.aws);
    let (handle, context) = (&handle, &context);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        context.over_at.store(event.context.deadline as i64, Ordering::Relaxed);
        logs::told(event.payload, async |event| unpanicked(handle(context, event)).await)
    }))
    .await
}

/// Runs the step and turns a panic into `Internal`.
///
/// The runtime would report a panic under the name of a Rust type, which no Retry or Catch of the
/// state machine matches, with the panic message, which may contain part of the data that was read.
/// The location of the panic is in the log.
///
/// # Errors
/// The error of the step.
pub async fn unpanicked<O>(
    work: impl Future<Output = Result<O, StepError>>,
) -> Result<O, StepError> {
    let panicked = |_| Err(StepError::Internal("the step panicked; its log has the place".into()));
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(panicked)
}
