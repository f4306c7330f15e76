use aws_sdk_sfn::Client;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use rotation_aws::error::ErrorKind;
use rotation_aws::states::liveness;
use rotation_core::claim::Liveness;

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
