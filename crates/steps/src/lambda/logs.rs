//! Logs: one JSON line per event, with the name of the rotation on every line.

use futures_util::TryFutureExt;
use serde_json::Value;
use tracing::{Instrument, Level, info_span};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;

use crate::lambda::error::StepError;

/// The runtime logs a handler's error as a Rust debug string, outside the span with the rotation's
/// name. [`told`] logs it instead.
const RUNTIME_ERRORS: &str = "lambda_runtime::layers::panic";

/// Starts logging to standard output at `AWS_LAMBDA_LOG_LEVEL` (by default INFO).
pub(crate) fn begin() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    subscriber(level.unwrap_or(Level::INFO), std::io::stdout).init();
    // Without the panic message: it may contain part of the data that was read.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// Time, level, and the fields of spans and event, all at the top level of a line.
fn subscriber<W>(level: Level, writer: W) -> impl SubscriberExt + SubscriberInitExt + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let mut lines = json_subscriber::JsonLayer::<Registry>::new(writer);
    lines
        .with_timer("timestamp", SystemTime)
        .with_level("level")
        .with_top_level_flattened_span_list()
        .with_flattened_event();
    let filter = Targets::new().with_default(level).with_target(RUNTIME_ERRORS, LevelFilter::OFF);
    tracing_subscriber::registry().with(lines).with(filter)
}

/// Handles an event with the name of its rotation on every line, and logs its error.
pub(crate) async fn told<O>(
    event: Value,
    handle: impl AsyncFnOnce(Value) -> Result<O, StepError>,
) -> Result<O, StepError> {
    let span = match rotation(&event) {
        Some(rotation) => info_span!("step", rotation),
        None => info_span!("step"),
    };
    // Boxed: the SDK's futures nest too deep for the compiler otherwise.
    Box::pin(handle(event))
        .inspect_err(|error| tracing::error!(error = error.name(), "{error}"))
        .instrument(span)
        .await
}

/// The name of the execution that an event of the state machine belongs to. The child executions of
/// its Maps have names of their own; their input contains the rotation's folder.
fn rotation(event: &Value) -> Option<&str> {
    let state = &event["state"];
    state["execution"]["name"]
        .as_str()
        .or_else(|| state["folder"]["prefix"].as_str()?.split('/').nth(1))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("lines").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn each_line_is_json_and_has_the_rotations_name() {
        let lines = Lines::default();
        let writer = lines.clone();
        let _guard = subscriber(Level::INFO, move || writer.clone()).set_default();
        let fail = async |_| -> Result<(), StepError> {
            let _inner = info_span!("inner", target = "E1").entered();
            tracing::info!(outcome = "moved", "update-distribution");
            Err(StepError::Internal("two\nlines".into()))
        };
        let parent = json!({"state": {"execution": {"name": "autumn"}}});
        let child = json!({"state": {"folder": {"prefix": "rotations/autumn/20261124T060000Z/"}}});
        for event in [parent, child] {
            told(event, fail).await.expect_err("it fails");
        }
        told(json!({"look": "all"}), fail).await.expect_err("it fails");

        let text = String::from_utf8(lines.0.lock().expect("lines").clone()).expect("UTF-8");
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert_eq!(lines.len(), 6, "{text}");
        for line in &lines[..4] {
            assert_eq!(line["rotation"], "autumn", "{line}");
        }
        for line in &lines {
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        }
        assert_eq!(lines[0]["target"], "E1");
        assert_eq!(lines[0]["outcome"], "moved");
        assert_eq!(lines[0]["message"], "update-distribution");
        assert_eq!(lines[1]["error"], "Internal");
        assert!(lines[4].get("rotation").is_none(), "{text}");
    }
}
