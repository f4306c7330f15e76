//! Metrics as log lines, without an API call: CloudWatch extracts them from the log (CloudWatch
//! User Guide, "Embedded metric format specification").

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of all metrics of this system.
pub const NAMESPACE: &str = "CloudFrontCertificateRotation";

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things, including days, for which CloudWatch has no unit.
    Count,
    /// Seconds.
    Seconds,
}

/// One log line with these metrics, under one dimension.
pub fn line(now: Timestamp, dimension: (&str, &str), metrics: &[(&str, Unit, f64)]) -> String {
    let definitions: Vec<Value> = metrics
        .iter()
        .map(|(name, unit, _)| json!({"Name": name, "Unit": format!("{unit:?}")}))
        .collect();
    let mut line = Map::new();
    line.insert(
        "_aws".into(),
        json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [[dimension.0]], "Metrics": definitions}
            ],
        }),
    );
    line.insert(dimension.0.into(), dimension.1.into());
    for (name, _, value) in metrics {
        line.insert((*name).into(), json!(value));
    }
    Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_embedded_metric_format() {
        let now = "2026-11-24T06:00:00Z".parse().expect("time");
        let text = line(
            now,
            ("Stack", "rotation"),
            &[("RotationsSucceeded", Unit::Count, 1.0), ("RotationSeconds", Unit::Seconds, 90.5)],
        );
        let parsed: Value = serde_json::from_str(&text).expect("JSON");
        assert!(!text.contains('\n'));
        assert_eq!(
            parsed,
            json!({
                "_aws": {
                    "Timestamp": 1_795_500_000_000_u64,
                    "CloudWatchMetrics": [{
                        "Namespace": "CloudFrontCertificateRotation",
                        "Dimensions": [["Stack"]],
                        "Metrics": [
                            {"Name": "RotationsSucceeded", "Unit": "Count"},
                            {"Name": "RotationSeconds", "Unit": "Seconds"},
                        ],
                    }],
                },
                "Stack": "rotation",
                "RotationsSucceeded": 1.0,
                "RotationSeconds": 90.5,
            })
        );
    }
}
