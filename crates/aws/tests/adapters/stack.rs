//! The stack is found by its outputs.

use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use rotation_aws::Aws;
use rotation_aws::error::ErrorKind;
use rotation_aws::stack::find;

/// Two stacks, one of them of this system.
const STACKS: &str = "<DescribeStacksResponse><DescribeStacksResult><Stacks>\
<member><StackName>shop</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-24T06:00:00Z</CreationTime></member>\
<member><StackName>rotation</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-24T06:00:00Z</CreationTime>\
<Outputs><member><OutputKey>RotationStateMachineArn</OutputKey><OutputValue>arn:machine</OutputValue></member></Outputs>\
<Parameters><member><ParameterKey>PollIntervalSeconds</ParameterKey><ParameterValue>30</ParameterValue></member></Parameters>\
</member></Stacks></DescribeStacksResult></DescribeStacksResponse>";

async fn aws(status: u16, body: &'static str) -> Aws {
    let http = infallible_client_fn(move |_| {
        http::Response::builder().status(status).body(SdkBody::from(body)).unwrap()
    });
    Aws::with_http_client(http)
}

#[tokio::test(start_paused = true)]
async fn a_stack_is_recognised_by_its_outputs() {
    let [stack] = &find(&aws(200, STACKS).await, None).await.unwrap()[..] else {
        panic!("one stack")
    };
    assert_eq!(stack.name, "rotation");
    assert_eq!(stack.outputs["RotationStateMachineArn"], "arn:machine");
    assert_eq!(stack.parameters["PollIntervalSeconds"], "30");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_stack_gives_an_empty_list_and_other_errors_are_returned() {
    let missing = "<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack with id other does not exist</Message></Error></ErrorResponse>";
    assert_eq!(find(&aws(400, missing).await, Some("other")).await.unwrap(), []);
    let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
    let error = find(&aws(403, denied).await, Some("other")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AccessDenied);
}
