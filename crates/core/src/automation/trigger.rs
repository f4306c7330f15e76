//! Parses an event: which certificates to evaluate, and whether the evaluation was requested.
//!
//! The formats are those of the EventBridge events reference ("Amazon ACM events", "CloudWatch
//! events", "Step Functions events", "Systems Manager events", "Amazon S3 events", "AWS service
//! events delivered via CloudTrail"), of the Secrets Manager User Guide ("Secret event
//! notifications"), of an alarm that invokes a function directly (CloudWatch User Guide, "Using
//! Amazon CloudWatch alarms"), and this system's own for people and schedules: `{"look": "all"}`.

use serde_json::Value;

use crate::failure::Ending;
use crate::finding::Finding;
use crate::request::{OldRef, SourceRef, old_ref, source_ref};

/// The source of this system's own events.
pub const EVENT_SOURCE: &str = "cloudfront-certificate-rotation";
/// The detail type of notices.
pub const NOTICE: &str = "Certificate Rotation Notice";

/// What to do about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Evaluate certificates.
    Evaluate(Scope),
    /// Notify that an execution has failed.
    Failed {
        /// The ARN of the execution.
        execution: String,
        /// When it ended, as given in the event. After a redrive it may fail again, at another
        /// time.
        stopped: String,
    },
    /// Nothing: the event passed the rule but needs no action, for this reason.
    Nothing(&'static str),
}

/// Which certificates to evaluate, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Which certificates.
    pub at: At,
    /// Was the evaluation requested? Then a fit replacement is used even before the due date.
    pub asked: bool,
    /// Only report what would be done.
    pub dry_run: bool,
}

/// Which certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// All managed certificates.
    All,
    /// These, if they are managed.
    Certificates(Vec<OldRef>),
    /// All whose source this is.
    Source(SourceRef),
}

/// Parses an event.
///
/// # Errors
/// `RequestInvalid` for an event in none of the formats above.
pub fn parse(event: &Value) -> Result<Trigger, Finding> {
    if event.get("look").is_some() {
        return look(event);
    }
    if let Some(data) = event.get("alarmData") {
        return Ok(alarm(data));
    }
    let detail = &event["detail"];
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    Ok(match (text("source"), text("detail-type")) {
        ("aws.scheduler" | "aws.events", "Scheduled Event") => all(false),
        ("aws.acm", "ACM Certificate Approaching Expiration" | "ACM Certificate Expired") => {
            certificates(strings(&event["resources"]), false)
        }
        ("aws.cloudwatch", "CloudWatch Alarm State Change") => alarm(detail),
        ("aws.secretsmanager", "Secret Label Updated") => {
            changed(detail["name"].as_str().map(str::to_owned))
        }
        (
            "aws.secretsmanager",
            "AWS API Call via CloudTrail" | "AWS Service Event via CloudTrail",
        ) => secret(detail),
        ("aws.ssm", "Parameter Store Change") => parameter(detail),
        ("aws.s3", "Object Created") => object(detail),
        ("aws.states", "Step Functions Execution Status Change") => return execution(detail),
        _ => {
            return Err(unknown(
                "is not one that this function handles",
                "send it {\"look\": \"all\"}, or an event that matches a rule of the template",
            ));
        }
    })
}

/// Parses `{"look": "all"}`, or an ARN or id, or an array of those; and optionally the field
/// `dryRun`.
fn look(event: &Value) -> Result<Trigger, Finding> {
    const CURE: &str = "give \"all\", the ARN or id of a certificate, or an array of those, and dryRun true or false";
    let unknown_field = event
        .as_object()
        .is_some_and(|fields| fields.keys().any(|field| field != "look" && field != "dryRun"));
    let dry_run = match &event["dryRun"] {
        Value::Null => false,
        Value::Bool(dry_run) => *dry_run,
        _ => return Err(unknown("has a dryRun that is neither true nor false", CURE)),
    };
    if unknown_field {
        return Err(unknown("has a field that is neither look nor dryRun", CURE));
    }
    let at = match &event["look"] {
        Value::String(all) if all == "all" => At::All,
        given => {
            let names = match given {
                Value::String(one) => vec![one.as_str()],
                given => strings(given),
            };
            let parsed: Result<Vec<OldRef>, _> = names.into_iter().map(old_ref).collect();
            match parsed {
                Ok(certificates) if !certificates.is_empty() => At::Certificates(certificates),
                Ok(_) => return Err(unknown("has an empty look", CURE)),
                Err((problem, cure)) => return Err(unknown(problem, cure)),
            }
        }
    };
    Ok(Trigger::Evaluate(Scope { at, asked: false, dry_run }))
}

fn unknown(problem: &str, cure: &str) -> Finding {
    Finding::new(Ending::RequestInvalid, "event", problem, cure)
}

fn all(asked: bool) -> Trigger {
    Trigger::Evaluate(Scope { at: At::All, asked, dry_run: false })
}

fn certificates(names: Vec<&str>, asked: bool) -> Trigger {
    // Skips certificates that CloudFront cannot serve, for example of another region.
    let certificates: Vec<OldRef> =
        names.into_iter().filter_map(|name| old_ref(name).ok()).collect();
    if certificates.is_empty() {
        return Trigger::Nothing("it names no certificate that CloudFront can serve");
    }
    Trigger::Evaluate(Scope { at: At::Certificates(certificates), asked, dry_run: false })
}

/// An alarm names its certificates in the dimensions of its metrics. The alarm on the minimum over
/// all certificates has none.
fn alarm(data: &Value) -> Trigger {
    if data["state"]["value"] != "ALARM" {
        return Trigger::Nothing("the alarm is over, or has no data");
    }
    let metrics = data["configuration"]["metrics"].as_array();
    let named: Vec<&str> = metrics
        .into_iter()
        .flatten()
        .filter_map(|metric| {
            metric["metricStat"]["metric"]["dimensions"]["CertificateArn"].as_str()
        })
        .collect();
    if named.is_empty() { all(true) } else { certificates(named, true) }
}

/// A new value, or a staging label that moved to another version. The success of a rotation
/// function is an event of the service.
fn secret(detail: &Value) -> Trigger {
    if detail.get("errorCode").is_some_and(|code| !code.is_null()) {
        return Trigger::Nothing("the call to Secrets Manager failed");
    }
    let name = detail["requestParameters"]["secretId"]
        .as_str()
        .or_else(|| detail["responseElements"]["arn"].as_str())
        .or_else(|| detail["responseElements"]["aRN"].as_str())
        .or_else(|| detail["requestParameters"]["name"].as_str())
        .or_else(|| detail["additionalEventData"]["SecretId"].as_str());
    changed(name.map(str::to_owned))
}

fn parameter(detail: &Value) -> Trigger {
    changed(detail["name"].as_str().map(|name| format!("ssm:{name}")))
}

fn object(detail: &Value) -> Trigger {
    let bucket = detail["bucket"]["name"].as_str();
    let key = detail["object"]["key"].as_str();
    changed(bucket.zip(key).map(|(bucket, key)| format!("s3://{bucket}/{key}")))
}

fn changed(source: Option<String>) -> Trigger {
    match source.as_deref().map(source_ref) {
        Some(Ok(source)) => {
            Trigger::Evaluate(Scope { at: At::Source(source), asked: true, dry_run: false })
        }
        _ => Trigger::Nothing("the changed object cannot be a source"),
    }
}

fn execution(detail: &Value) -> Result<Trigger, Finding> {
    if !matches!(detail["status"].as_str(), Some("FAILED" | "TIMED_OUT" | "ABORTED")) {
        return Ok(Trigger::Nothing("the execution has not failed"));
    }
    let execution = detail["executionArn"]
        .as_str()
        .ok_or_else(|| unknown("does not name its execution", "send it as Step Functions does"))?;
    Ok(Trigger::Failed { execution: execution.into(), stopped: detail["stopDate"].to_string() })
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests;
