//! One module and one binary per step of a rotation. Each reads, decides, acts; the decisions are in
//! `rotation-core`, the reading and acting in `rotation-aws`, order and retries in
//! `statemachine/rotation.asl.json`.

pub mod check_quota;
pub mod delete_certificate;
pub mod error;
pub mod fleet;
pub mod halt_rotation;
pub mod import_certificate;
pub mod payload;
pub mod plan_rotation;
pub mod poll_deployment;
pub mod report_rotation;
pub mod review_targets;
pub mod source;
pub mod store;
pub mod update_distribution;

use std::path::PathBuf;

use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, service_fn};
use rotation_aws::Aws;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::StepError;

/// What a step works with, made once when its function starts.
pub struct Context {
    /// The clients.
    pub aws: Aws,
    /// What the template sets.
    pub settings: Settings,
    /// The clock, so that tests can set it.
    pub now: fn() -> Timestamp,
}

/// The environment variables of the functions; each function has those it needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `ROTATION_BUCKET`: the bucket that rotations keep their folders in.
    pub bucket: String,
    /// `POLL_INTERVAL_SECONDS`: how long to wait between two looks at a deployment.
    pub poll_seconds: u64,
    /// `DEPLOYMENT_DEADLINE_MINUTES`: how long a deployment may take.
    pub deployment_deadline_minutes: i64,
    /// `QUOTA_DEADLINE_HOURS`: how long to wait for a quota increase, from the start of the execution.
    pub quota_deadline_hours: i64,
    /// `SSL_CERT_FILE`: a file of PEM roots that are trusted in addition to Mozilla's.
    pub extra_roots: Option<PathBuf>,
}

impl Settings {
    /// Reads the environment; what is not set has the template's default.
    pub fn from_env() -> Result<Self, lambda_runtime::Error> {
        fn number<T: std::str::FromStr>(name: &str, default: T) -> Result<T, String> {
            std::env::var(name).map_or(Ok(default), |text| {
                text.parse()
                    .map_err(|_| format!("environment variable {name} is not a number: {text}"))
            })
        }
        Ok(Self {
            bucket: std::env::var("ROTATION_BUCKET").unwrap_or_default(),
            poll_seconds: number("POLL_INTERVAL_SECONDS", 30)?,
            deployment_deadline_minutes: number("DEPLOYMENT_DEADLINE_MINUTES", 90)?,
            quota_deadline_hours: number("QUOTA_DEADLINE_HOURS", 168)?,
            extra_roots: std::env::var_os("SSL_CERT_FILE")
                .filter(|p| !p.is_empty())
                .map(PathBuf::from),
        })
    }
}

/// Serves a step as a Lambda function until its environment ends.
///
/// The event is taken as plain JSON, because a deserialisation error before the handler would reach
/// Step Functions under the name of a Rust type.
pub async fn run<I, O>(
    step: impl AsyncFn(&Context, I) -> Result<O, StepError>,
) -> Result<(), lambda_runtime::Error>
where
    I: DeserializeOwned,
    O: Serialize,
{
    lambda_runtime::tracing::init_default_subscriber();
    let context = Context {
        aws: Aws::from_env().await,
        settings: Settings::from_env()?,
        #[expect(clippy::disallowed_methods, reason = "the one place where the clock comes in")]
        now: Timestamp::now,
    };
    let (step, context) = (&step, &context);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let input = serde_json::from_value(event.payload).map_err(|error| {
            StepError::Internal(format!("the step's input does not parse: {error}"))
        })?;
        // Boxed: the SDK's futures nest deeper than the compiler follows in one piece.
        Box::pin(step(context, input)).await
    }))
    .await
}
