use aws_sdk_sfn::Client;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use rotation_aws::error::ErrorKind;
use rotation_aws::states::{current_state, find, latest, liveness, start};
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

#[tokio::test(start_paused = true)]
async fn the_latest_executions_come_first_and_say_how_they_stand() {
    let rule = mock!(Client::list_executions)
        .match_requests(|request| request.state_machine_arn() == Some("arn:machine"))
        .then_http_response(|| {
            answer(
                200,
                r#"{"executions": [
                    {"executionArn": "arn:2", "stateMachineArn": "m", "name": "two", "status": "RUNNING", "startDate": 2},
                    {"executionArn": "arn:1", "stateMachineArn": "m", "name": "one", "status": "TIMED_OUT", "startDate": 1}
                ], "nextToken": "more"}"#,
            )
        });
    let client = mock_client!(aws_sdk_sfn, RuleMode::MatchAny, [&rule]);
    let listed = latest(&client, "arn:machine").await.unwrap();
    let shown: Vec<_> = listed.iter().map(|one| (&*one.arn, &*one.name, &*one.status)).collect();
    assert_eq!(shown, [("arn:2", "two", "RUNNING"), ("arn:1", "one", "TIMED_OUT")]);
    assert_eq!(listed[0].started.as_second(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_current_state_is_the_one_entered_last() {
    let check = async |body: &'static str, expected: Option<&str>| {
        let rule = mock!(Client::get_execution_history)
            .match_requests(|request| request.reverse_order() == Some(true))
            .then_http_response(move || answer(200, body));
        let client = mock_client!(aws_sdk_sfn, RuleMode::MatchAny, [&rule]);
        assert_eq!(current_state(&client, "arn:execution").await.unwrap().as_deref(), expected);
    };
    check(
        r#"{"events": [
            {"timestamp": 3, "type": "TaskScheduled", "id": 3},
            {"timestamp": 2, "type": "TaskStateEntered", "id": 2, "stateEnteredEventDetails": {"name": "CheckQuota"}},
            {"timestamp": 1, "type": "TaskStateEntered", "id": 1, "stateEnteredEventDetails": {"name": "PlanRotation"}}
        ]}"#,
        Some("CheckQuota"),
    )
    .await;
    let begun = r#"{"events": [{"timestamp": 1, "type": "ExecutionStarted", "id": 1}]}"#;
    check(begun, None).await;
}
