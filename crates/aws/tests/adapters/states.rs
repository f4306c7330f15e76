use aws_sdk_sfn::Client;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use rotation_aws::error::ErrorKind;
use rotation_aws::states::{find, liveness, start};
use rotation_core::claim::Liveness;
use serde_json::json;

use crate::material::{answer, assert_kind};

#[tokio::test(start_paused = true)]
async fn does_it_still_run() {
    let check = async |status: u16, body: &'static str, expected: Result<Liveness, ErrorKind>| {
        let rule = mock!(Client::describe_execution)
            .match_requests(|request| request.execution_arn() == Some("arn:execution"))
            .then_http_response(move || answer(status, body));
        let client = mock_client!(aws_sdk_sfn, RuleMode::MatchAny, [&rule]);
        let found = liveness(&client, "arn:execution").await;
        match expected {
            Ok(expected) => assert_eq!(found.unwrap(), expected, "{body}"),
            Err(kind) => assert_kind(found, kind),
        }
    };
    macro_rules! execution {
        ($status:literal) => {
            concat!(
                r#"{"executionArn": "a", "stateMachineArn": "m", "startDate": 1, "status": ""#,
                $status,
                r#""}"#
            )
        };
    }
    check(200, execution!("RUNNING"), Ok(Liveness::Running)).await;
    check(200, execution!("PENDING_REDRIVE"), Ok(Liveness::Running)).await;
    check(200, execution!("SUCCEEDED"), Ok(Liveness::Ended)).await;
    check(200, execution!("FAILED"), Ok(Liveness::Ended)).await;
    check(200, execution!("TIMED_OUT"), Ok(Liveness::Ended)).await;
    check(200, execution!("ABORTED"), Ok(Liveness::Ended)).await;
    check(400, r#"{"__type": "ExecutionDoesNotExist", "message": "no"}"#, Ok(Liveness::Unknown))
        .await;
    let throttled = r#"{"__type": "ThrottlingException", "message": "slow"}"#;
    check(400, throttled, Err(ErrorKind::Throttled)).await;
    let denied = r#"{"__type": "AccessDeniedException", "message": "no"}"#;
    check(400, denied, Err(ErrorKind::AccessDenied)).await;
}

#[tokio::test(start_paused = true)]
async fn what_became_of_an_execution() {
    let found = async |body: &'static str| {
        let rule = mock!(Client::describe_execution).then_http_response(move || answer(200, body));
        let client = mock_client!(aws_sdk_sfn, RuleMode::MatchAny, [&rule]);
        find(&client, "arn:execution").await.unwrap().unwrap()
    };
    let failed = found(
        r#"{"executionArn": "a", "stateMachineArn": "m", "startDate": 1, "stopDate": 90, "status": "FAILED",
            "error": "RolledBack", "cause": "why", "input": "{\"newCertificate\": \"tls/www\"}"}"#,
    )
    .await;
    assert!(!failed.running && !failed.succeeded);
    assert_eq!(failed.stopped.unwrap().as_second(), 90);
    assert_eq!((failed.error.as_str(), failed.cause.as_str()), ("RolledBack", "why"));
    assert_eq!(failed.input, json!({"newCertificate": "tls/www"}));
    let aborted = found(
        r#"{"executionArn": "a", "stateMachineArn": "m", "startDate": 1, "stopDate": 90, "status": "ABORTED"}"#,
    )
    .await;
    assert_eq!((aborted.error.as_str(), aborted.cause.as_str()), ("ABORTED", ""));
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_started_once_under_a_name() {
    let check = async |status: u16, body: &'static str, expected: Result<bool, ErrorKind>| {
        let rule = mock!(Client::start_execution)
            .match_requests(|request| {
                request.name() == Some("auto-1")
                    && request.state_machine_arn() == Some("arn:machine")
                    && request.input() == Some(r#"{"newCertificate":"tls/www"}"#)
            })
            .then_http_response(move || answer(status, body));
        let client = mock_client!(aws_sdk_sfn, RuleMode::MatchAny, [&rule]);
        let input = json!({"newCertificate": "tls/www"});
        let started = start(&client, "arn:machine", "auto-1", &input).await;
        match expected {
            Ok(expected) => assert_eq!(started.unwrap(), expected, "{body}"),
            Err(kind) => assert_kind(started, kind),
        }
    };
    check(200, r#"{"executionArn": "arn:1", "startDate": 1}"#, Ok(true)).await;
    check(400, r#"{"__type": "ExecutionAlreadyExists", "message": "there"}"#, Ok(false)).await;
    let denied = r#"{"__type": "AccessDeniedException", "message": "no"}"#;
    check(400, denied, Err(ErrorKind::AccessDenied)).await;
}
