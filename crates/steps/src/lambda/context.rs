//! The context of a step: clients, settings, clock, metrics.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use rotation_aws::Aws;
use rotation_core::automation::decision::Schedule;
use rotation_core::certificate::TrustRoots;
use rotation_core::metrics::{self, Unit};
use rotation_core::request::tags::{self, Tag};
use rotation_viewer::Edges;

/// The context of a step, created once when its function starts.
pub struct Context {
    /// The AWS clients.
    pub aws: Aws,
    /// The edges, for handshakes.
    pub edges: Edges,
    /// The settings from the template.
    pub settings: Settings,
    /// The clock; tests replace it.
    pub now: fn() -> Timestamp,
    /// Deadline of the invocation, in milliseconds since 1970; by default never.
    pub over_at: AtomicI64,
    /// Takes metric lines. In a function they go to standard output, from where CloudWatch Logs
    /// reads them.
    pub metrics: Box<dyn Fn(String) + Send + Sync>,
}

impl Context {
    /// Emits metrics under one dimension.
    pub fn measure(&self, dimension: (&str, &str), metrics: &[(&str, Unit, f64)]) {
        (self.metrics)(metrics::line((self.now)(), dimension, metrics));
    }

    /// Is there too little time for another call in this invocation? A call takes 45 seconds at
    /// most.
    pub fn is_time_over(&self) -> bool {
        (self.now)().as_millisecond() > self.over_at.load(Ordering::Relaxed) - 60_000
    }

    /// Emits metrics of the whole stack.
    pub fn measure_stack(&self, metrics: &[(&str, Unit, f64)]) {
        self.measure(("Stack", &self.settings.stack), metrics);
    }
}

/// The environment variables of the functions. Each function has only those it needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `ROTATION_BUCKET`: the bucket with the folders of the rotations.
    pub bucket: String,
    /// `POLL_INTERVAL_SECONDS`: the interval of
    /// [`wait_seconds`](rotation_core::target::polling::wait_seconds).
    pub poll_seconds: u64,
    /// `DEPLOYMENT_DEADLINE_MINUTES`: how long a deployment may take.
    pub deployment_deadline_minutes: i64,
    /// `QUOTA_DEADLINE_HOURS`: how long to wait for a quota increase, from the start of the
    /// execution.
    pub quota_deadline_hours: i64,
    /// `STACK_NAME`: the dimension of the metrics that do not belong to one certificate.
    pub stack: String,
    /// `STATE_MACHINE_ARN`: the state machine that `start-rotation` starts.
    pub state_machine_arn: String,
    /// `NOTICE_TOPIC_ARN`: the SNS topic for notices.
    pub notice_topic: String,
    /// `ROTATE_AT_REMAINING_PERCENT` and `NOTICE_DAYS`: when a certificate is due, and at which
    /// days left notices are sent.
    pub schedule: Schedule,
    /// `EXTRA_ROOTS`: the path of an SSM parameter with roots that Mozilla has included since the build.
    pub extra_roots: String,
    /// `IMPORT_TAGS`: tags for new certificates that have no other tag with that key.
    pub import_tags: Vec<Tag>,
    /// `SSL_CERT_FILE`: a PEM file with roots that are trusted in addition to Mozilla's.
    pub root_file: Option<PathBuf>,
    /// `VIEWER_EDGE`: a `host:port` that is used for every edge, instead of the internet.
    pub viewer_edge: Option<String>,
}

/// Parses a number of the environment, or returns the default. CloudFormation accepts `25.5` and
/// `25.0` as numbers, too; only the whole part is used.
///
/// # Errors
/// The name of the variable, when its value is not a number.
fn number<T: std::str::FromStr>(name: &str, given: Option<&str>, default: T) -> Result<T, String> {
    given.map_or(Ok(default), |text| {
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        whole.parse().map_err(|_| format!("environment variable {name} is not a number: {text}"))
    })
}

impl Settings {
    /// The roots known without a call: Mozilla's, and those in the file of `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// The name of that file, when it is not a list of certificates.
    pub fn local_roots(&self) -> Result<TrustRoots, String> {
        let Some(path) = &self.root_file else { return Ok(TrustRoots::mozilla()) };
        let broken = |error: String| format!("SSL_CERT_FILE {} {error}", path.display());
        let pem = std::fs::read_to_string(path)
            .map_err(|error| broken(format!("cannot be read: {error}")))?;
        TrustRoots::mozilla().with_pem(&pem).map_err(|error| broken(error.to_string()))
    }

    /// Reads the environment. Unset variables have the template's defaults.
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
            extra_roots: text("EXTRA_ROOTS"),
            import_tags: tags::list(&text("IMPORT_TAGS"))
                .map_err(|part| format!("environment variable IMPORT_TAGS: {part:?} is no tag"))?,
            root_file: std::env::var_os("SSL_CERT_FILE")
                .filter(|p| !p.is_empty())
                .map(PathBuf::from),
            viewer_edge: std::env::var("VIEWER_EDGE").ok().filter(|edge| !edge.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_parsed_like_cloudformation_numbers() {
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
