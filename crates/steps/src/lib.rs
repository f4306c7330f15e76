//! One module and one binary per step of a rotation. Each reads, decides, acts; the decisions are in
//! `rotation-core`, the reading and acting in `rotation-aws`, order and retries in
//! `statemachine/rotation.asl.json`.

pub mod check_quota;
pub mod claim;
pub mod delete_certificate;
pub mod error;
pub mod fleet;
pub mod import_certificate;
pub mod logs;
pub mod notify;
pub mod payload;
pub mod plan_rotation;
pub mod poll_deployment;
pub mod reading;
pub mod record_target;
pub mod report_rotation;
pub mod review_targets;
pub mod source;
pub mod start_rotation;
pub mod store;
pub mod update_distribution;
pub mod verify_viewers;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::FutureExt;
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, service_fn};
use rotation_aws::Aws;
use rotation_core::metrics::{self, Unit};
use rotation_core::trust::TrustRoots;
use rotation_core::watch::Schedule;
use rotation_viewer::Edges;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StepError;

/// What a step works with, made once when its function starts.
pub struct Context {
    /// The clients.
    pub aws: Aws,
    /// Where viewers come in.
    pub edges: Edges,
    /// What the template sets.
    pub settings: Settings,
    /// The clock, so that tests can set it.
    pub now: fn() -> Timestamp,
    /// When the invocation is over, in milliseconds since 1970; by default never.
    pub over_at: AtomicI64,
    /// Takes lines of metrics: the function's standard output, from where CloudWatch Logs has them.
    pub metrics: Box<dyn Fn(String) + Send + Sync>,
}

impl Context {
    /// Puts metrics out, under this one dimension.
    pub fn measure(&self, dimension: (&str, &str), metrics: &[(&str, Unit, f64)]) {
        (self.metrics)(metrics::line((self.now)(), dimension, metrics));
    }

    /// Is there no time left to begin another call in this invocation? A call takes 45 seconds at most.
    pub fn is_time_over(&self) -> bool {
        (self.now)().as_millisecond() > self.over_at.load(Ordering::Relaxed) - 60_000
    }

    /// Metrics of the whole stack.
    pub fn measure_stack(&self, metrics: &[(&str, Unit, f64)]) {
        self.measure(("Stack", &self.settings.stack), metrics);
    }

    /// Whom viewers trust: Mozilla's roots, and the file that `SSL_CERT_FILE` names.
    ///
    /// # Errors
    /// `Internal` when that file is not a list of certificates.
    pub fn trust_roots(&self) -> Result<TrustRoots, StepError> {
        let Some(path) = &self.settings.extra_roots else { return Ok(TrustRoots::mozilla()) };
        let broken = |error: String| {
            StepError::Internal(format!("SSL_CERT_FILE {}: {error}", path.display()))
        };
        let pem = std::fs::read_to_string(path).map_err(|error| broken(error.to_string()))?;
        TrustRoots::mozilla().with_pem(&pem).map_err(|error| broken(error.to_string()))
    }
}

/// The environment variables of the functions; each function has those it needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `ROTATION_BUCKET`: the bucket that rotations keep their folders in.
    pub bucket: String,
    /// `POLL_INTERVAL_SECONDS`: the interval of [`wait_seconds`](rotation_core::target::wait_seconds).
    pub poll_seconds: u64,
    /// `DEPLOYMENT_DEADLINE_MINUTES`: how long a deployment may take.
    pub deployment_deadline_minutes: i64,
    /// `QUOTA_DEADLINE_HOURS`: how long to wait for a quota increase, from the start of the execution.
    pub quota_deadline_hours: i64,
    /// `STACK_NAME`: the dimension of the metrics that are not of one certificate.
    pub stack: String,
    /// `STATE_MACHINE_ARN`: what `start-rotation` starts executions of.
    pub state_machine_arn: String,
    /// `NOTICE_TOPIC_ARN`: where notices go.
    pub notice_topic: String,
    /// `ROTATE_AT_REMAINING_PERCENT` and `NOTICE_DAYS`: when it is time for a certificate, and at which days
    /// left notices are sent.
    pub schedule: Schedule,
    /// `SSL_CERT_FILE`: a file of PEM roots that are trusted in addition to Mozilla's.
    pub extra_roots: Option<PathBuf>,
    /// `VIEWER_EDGE`: a `host:port` where every edge answers, instead of the internet.
    pub viewer_edge: Option<String>,
}

/// A number of the environment, or else the default. CloudFormation takes `25.5` and `25.0` for numbers, too; the whole
/// part counts.
///
/// # Errors
/// For what is no number, with the variable's name.
fn number<T: std::str::FromStr>(name: &str, given: Option<&str>, default: T) -> Result<T, String> {
    given.map_or(Ok(default), |text| {
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        whole.parse().map_err(|_| format!("environment variable {name} is not a number: {text}"))
    })
}

impl Settings {
    /// Reads the environment; what is not set has the template's default.
    pub fn from_env() -> Result<Self, lambda_runtime::Error> {
        fn read<T: std::str::FromStr>(name: &str, default: T) -> Result<T, String> {
            number(name, std::env::var(name).ok().as_deref(), default)
        }
        let text = |name| std::env::var(name).unwrap_or_default();
        let notice_days = std::env::var("NOTICE_DAYS").unwrap_or_else(|_| "45,30,14,7,3,1".into());
        let notice_days: Result<Vec<u16>, _> =
            notice_days.split(',').map(|days| days.trim().parse()).collect();
        Ok(Self {
            bucket: text("ROTATION_BUCKET"),
            stack: text("STACK_NAME"),
            state_machine_arn: text("STATE_MACHINE_ARN"),
            notice_topic: text("NOTICE_TOPIC_ARN"),
            schedule: Schedule {
                percent: read("ROTATE_AT_REMAINING_PERCENT", 33)?,
                notice_days: notice_days
                    .map_err(|_| "environment variable NOTICE_DAYS is not a list of numbers")?,
            },
            poll_seconds: read("POLL_INTERVAL_SECONDS", 25)?,
            deployment_deadline_minutes: read("DEPLOYMENT_DEADLINE_MINUTES", 90)?,
            quota_deadline_hours: read("QUOTA_DEADLINE_HOURS", 168)?,
            extra_roots: std::env::var_os("SSL_CERT_FILE")
                .filter(|p| !p.is_empty())
                .map(PathBuf::from),
            viewer_edge: std::env::var("VIEWER_EDGE").ok().filter(|edge| !edge.is_empty()),
        })
    }
}

/// What the state machine gives every step.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    /// The state.
    state: Value,
    /// How often the state was retried before this attempt.
    #[serde(default)]
    retries: u64,
    /// The execution as Step Functions has it; the first step and the last one are told.
    execution: Option<ContextExecution>,
}

/// `$$.Execution`, as far as it matters: the input is not in the state, which would carry it through
/// everything.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextExecution {
    /// What it was started with.
    input: Value,
    /// How often it was redriven; interpreters that cannot redrive may leave it out.
    #[serde(default)]
    redrive_count: u64,
}

/// One attempt of a step, with JSON for input and output as the state machine has it.
///
/// The number of retries becomes part of the output, on top of what the step itself reports: the state
/// machine knows it during the attempt only, and the rotation's report has every retry.
///
/// # Errors
/// What the step fails with.
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

/// Serves a step of the state machine as a Lambda function until its environment ends. `clients` makes those that
/// it calls, before the first event: Lambda gives a function a whole processor until then, and afterwards the share
/// that belongs to its memory ("Understanding the Lambda execution environment lifecycle").
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

/// What a step comes to; of a panic `Internal`.
///
/// The runtime would fail with the name of a Rust type, which no Retry and no Catch of the state machine knows, and
/// with the panic's words, which may be a piece of what was read. The log has where it was.
///
/// # Errors
/// What the step fails with.
pub async fn unpanicked<O>(
    work: impl Future<Output = Result<O, StepError>>,
) -> Result<O, StepError> {
    let panicked = |_| Err(StepError::Internal("the step panicked; its log has the place".into()));
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(panicked)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_what_cloudformation_takes_for_one() {
        let of = |text| number("POLL_INTERVAL_SECONDS", text, 25_u64);
        for (text, expected) in
            [(None, 25), (Some("30"), 30), (Some("25.5"), 25), (Some("900.0"), 900)]
        {
            assert_eq!(of(text), Ok(expected), "{text:?}");
        }
        for text in ["", "x", "-1", "1,5"] {
            let expected =
                format!("environment variable POLL_INTERVAL_SECONDS is not a number: {text}");
            assert_eq!(of(Some(text)), Err(expected));
        }
    }
}
