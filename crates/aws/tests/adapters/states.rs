use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use rotation_aws::error::ErrorKind;
use rotation_aws::step_functions::{current_state, find, latest, liveness, running, start};
use rotation_core::plan::claim::Liveness;
use serde_json::json;

use crate::material::{answer, assert_kind};

#[tokio::test(start_paused = true)]
async fn liveness_of_each_status() {
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
async fn an_ended_execution_has_error_cause_and_times() {
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
    let timed_out = found(
        r#"{"executionArn": "a", "stateMachineArn": "m", "name": "n", "startDate": 1.459, "stopDate": 4.459,
            "status": "TIMED_OUT", "input": "{}", "inputDetails": {"included": true}, "redriveCount": 0,
            "redriveStatus": "REDRIVABLE"}"#,
    )
    .await;
    assert_eq!((timed_out.error.as_str(), timed_out.cause.as_str()), ("TIMED_OUT", ""));
    assert!(!timed_out.running && !timed_out.succeeded);
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_started_once_per_name() {
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
    // The same name and input while it is running: the same response, with the original start date.
    check(200, r#"{"executionArn": "arn:1", "startDate": 0.5}"#, Ok(true)).await;
    let taken =
        r#"{"__type": "ExecutionAlreadyExists", "message": "Execution Already Exists: 'arn:1'"}"#;
    check(400, taken, Ok(false)).await;
    let denied = r#"{"__type": "AccessDeniedException", "message": "no"}"#;
    check(400, denied, Err(ErrorKind::AccessDenied)).await;
}

#[tokio::test(start_paused = true)]
async fn the_running_executions_are_asked_for_by_their_status() {
    let one = r#"{"executions": [{"executionArn": "arn:1", "stateMachineArn": "m", "name": "one", "status": "RUNNING", "startDate": 1}]}"#;
    let rule = mock!(Client::list_executions)
        .match_requests(|request| request.status_filter() == Some(&ExecutionStatus::Running))
        .then_http_response(move || answer(200, one));
    let client = mock_client!(aws_sdk_sfn, RuleMode::MatchAny, [&rule]);
    assert_eq!(running(&client, "arn:machine").await.unwrap(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn the_latest_execution_is_the_first_of_the_list() {
    let check = async |pages: &[(Option<&'static str>, &'static str)], expected: Option<&str>| {
        let rules: Vec<Rule> = pages
            .iter()
            .map(|&(token, body)| {
                mock!(Client::list_executions)
                    .match_requests(move |request| {
                        request.state_machine_arn() == Some("arn:machine")
                            && request.next_token() == token
                    })
                    .then_http_response(move || answer(200, body))
            })
            .collect();
        let client = mock_client!(aws_sdk_sfn, RuleMode::MatchAny, &rules);
        assert_eq!(latest(&client, "arn:machine").await.unwrap().as_deref(), expected);
    };
    let two = r#"{"executions": [
        {"executionArn": "arn:2", "stateMachineArn": "m", "name": "two", "status": "RUNNING", "startDate": 2},
        {"executionArn": "arn:1", "stateMachineArn": "m", "name": "one", "status": "TIMED_OUT", "startDate": 1}
    ], "nextToken": "more"}"#;
    let empty = r#"{"executions": [], "nextToken": "more"}"#;
    check(&[(None, two)], Some("arn:2")).await;
    check(&[(None, empty), (Some("more"), two)], Some("arn:2")).await;
    check(&[(None, r#"{"executions": []}"#)], None).await;
}

#[tokio::test(start_paused = true)]
async fn the_current_state_is_the_one_entered_last() {
    // Pages in the order of the requests; a request for a missing page fails.
    let check = async |pages: &[&[&str]], expected: Option<&str>| {
        let rules: Vec<Rule> = (0..pages.len())
            .map(|number| {
                let token = number.checked_sub(1).map(|before| format!("after {before}"));
                let next = match number + 1 < pages.len() {
                    true => format!(r#", "nextToken": "after {number}""#),
                    false => String::new(),
                };
                let body = format!(r#"{{"events": [{}]{next}}}"#, pages[number].join(","));
                mock!(Client::get_execution_history)
                    .match_requests(move |request| {
                        request.execution_arn() == Some("arn:execution")
                            && request.reverse_order() == Some(true)
                            && request.include_execution_data() == Some(false)
                            && request.next_token() == token.as_deref()
                    })
                    .then_http_response(move || answer(200, &body))
            })
            .collect();
        let client = mock_client!(aws_sdk_sfn, RuleMode::MatchAny, &rules);
        assert_eq!(current_state(&client, "arn:execution").await.unwrap().as_deref(), expected);
        // Events older than the state that was found are not read.
        let read = rules.iter().filter(|rule| rule.num_calls() > 0).count();
        let needed = pages.iter().position(|page| page.concat().contains("Entered"));
        assert_eq!(read, needed.map_or(pages.len(), |page| page + 1));
    };
    const STARTED: &str = r#"{"timestamp": 1, "type": "ExecutionStarted", "id": 1}"#;
    const PLAN: &str = r#"{"timestamp": 2, "type": "TaskStateEntered", "id": 2, "previousEventId": 1,
        "stateEnteredEventDetails": {"name": "PlanRotation", "inputDetails": {"truncated": false}}}"#;
    const QUOTA: &str = r#"{"timestamp": 3.6, "type": "TaskStateEntered", "id": 9, "previousEventId": 8,
        "stateEnteredEventDetails": {"name": "CheckQuota"}}"#;
    const EXITED: &str = r#"{"timestamp": 3.5, "type": "TaskStateExited", "id": 8, "previousEventId": 7,
        "stateExitedEventDetails": {"name": "PlanRotation", "outputDetails": {"truncated": false}}}"#;
    const FAILED: &str = r#"{"timestamp": 4, "type": "LambdaFunctionFailed", "id": 12, "previousEventId": 11,
        "lambdaFunctionFailedEventDetails": {"error": "Throttled", "cause": "{}"}}"#;
    const STARTED_AGAIN: &str =
        r#"{"timestamp": 5, "type": "LambdaFunctionStarted", "id": 14, "previousEventId": 13}"#;
    check(&[&[STARTED]], None).await;
    check(&[&[PLAN, STARTED]], Some("PlanRotation")).await;
    check(&[&[FAILED, QUOTA, EXITED, PLAN, STARTED]], Some("CheckQuota")).await;
    // A state that was retried for an hour, and lanes that have ended.
    let retries = [STARTED_AGAIN, FAILED].repeat(100);
    check(&[&retries, &retries, &[FAILED, QUOTA, EXITED]], Some("CheckQuota")).await;
    check(&[&retries, &[], &[QUOTA], &[PLAN, STARTED]], Some("CheckQuota")).await;
    check(&[&[], &[STARTED]], None).await;
}
