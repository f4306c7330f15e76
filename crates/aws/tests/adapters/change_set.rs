//! Change sets and events, as CloudFormation's query protocol has them.

use std::sync::{Arc, Mutex};

use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use rotation_aws::Aws;
use rotation_aws::change_set::{
    self, Change, ChangeSet, Declared, Request, create, declared, delete_stack, discard, execute,
    resource_types,
};

/// A CloudFormation that gives these answers in turn, and the bodies of the requests it got.
fn cloudformation(
    answers: &'static [(&'static str, &'static str)],
) -> (Aws, Arc<Mutex<Vec<String>>>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let http = infallible_client_fn(move |request: http::Request<SdkBody>| {
        let mut log = writer.lock().unwrap();
        let (operation, result) = answers[log.len()];
        log.push(String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap());
        let body = format!(
            "<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>"
        );
        http::Response::builder().status(200).body(SdkBody::from(body)).unwrap()
    });
    (Aws::with_http_client(http), log)
}

#[tokio::test(start_paused = true)]
async fn a_change_set_is_asked_for_with_what_is_given_and_what_is_kept() {
    let (aws, log) = cloudformation(&[("CreateChangeSet", ""), ("CreateChangeSet", "")]);
    let parameters = [("A".to_owned(), Some("1".to_owned())), ("B".to_owned(), None)];
    let tags = [("team".to_owned(), "web".to_owned())];
    let mut request = Request {
        stack: "n",
        name: "set",
        creates: true,
        template: "https://s3.us-east-1.amazonaws.com/b/k.yaml",
        parameters: &parameters,
        tags: &tags,
        role: Some("arn:role"),
    };
    create(&aws, &request).await.unwrap();
    request = Request { creates: false, tags: &[], role: None, ..request };
    create(&aws, &request).await.unwrap();
    let log = log.lock().unwrap();
    for (expected, first, second) in [
        ("ChangeSetType=CREATE", true, false),
        ("ChangeSetType=UPDATE", false, true),
        ("Parameters.member.1.ParameterKey=A&Parameters.member.1.ParameterValue=1", true, true),
        (
            "Parameters.member.2.ParameterKey=B&Parameters.member.2.UsePreviousValue=true",
            true,
            true,
        ),
        (
            "Capabilities.member.1=CAPABILITY_IAM&Capabilities.member.2=CAPABILITY_AUTO_EXPAND",
            true,
            true,
        ),
        ("Tags.member.1.Key=team&Tags.member.1.Value=web", true, false),
        // An empty list would remove the tags that the stack has.
        ("Tags", true, false),
        ("RoleARN=arn%3Arole", true, false),
        ("TemplateURL=https%3A%2F%2Fs3.us-east-1.amazonaws.com%2Fb%2Fk.yaml", true, true),
    ] {
        assert_eq!(log[0].contains(expected), first, "{expected}: {}", log[0]);
        assert_eq!(log[1].contains(expected), second, "{expected}: {}", log[1]);
    }
}

#[tokio::test(start_paused = true)]
async fn all_pages_of_a_change_set_are_read() {
    let (aws, log) = cloudformation(&[
        (
            "DescribeChangeSet",
            "<Status>CREATE_COMPLETE</Status><Changes><member><Type>Resource</Type><ResourceChange>\
             <Action>Modify</Action><LogicalResourceId>A</LogicalResourceId><ResourceType>T</ResourceType>\
             <Replacement>True</Replacement></ResourceChange></member></Changes><NextToken>more</NextToken>",
        ),
        (
            "DescribeChangeSet",
            "<Status>CREATE_COMPLETE</Status><Changes><member><Type>Resource</Type><ResourceChange>\
             <Action>Add</Action><LogicalResourceId>B</LogicalResourceId><ResourceType>T</ResourceType>\
             </ResourceChange></member><member><Type>Hook</Type></member></Changes>",
        ),
    ]);
    let change = |action: &str, logical: &str, replacement: Option<&str>| Change {
        action: action.into(),
        logical: logical.into(),
        kind: "T".into(),
        replacement: replacement.map(str::to_owned),
    };
    let expected = ChangeSet {
        status: "CREATE_COMPLETE".into(),
        reason: String::new(),
        changes: vec![change("Modify", "A", Some("True")), change("Add", "B", None)],
    };
    assert_eq!(change_set::describe(&aws, "n", "set").await.unwrap(), expected);
    assert!(log.lock().unwrap()[1].contains("NextToken=more"));
}

#[tokio::test(start_paused = true)]
async fn the_events_after_one_are_read_with_the_oldest_first() {
    const EVENTS: &str = "<StackEvents>\
        <member><StackId>arn:n</StackId><EventId>3</EventId><StackName>n</StackName><Timestamp>2026-11-24T06:00:02Z</Timestamp>\
        <PhysicalResourceId>arn:n</PhysicalResourceId><LogicalResourceId>n</LogicalResourceId><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>\
        <member><StackId>arn:n</StackId><EventId>2</EventId><StackName>n</StackName><Timestamp>2026-11-24T06:00:01Z</Timestamp>\
        <LogicalResourceId>A</LogicalResourceId><ResourceType>T</ResourceType><ResourceStatus>CREATE_FAILED</ResourceStatus>\
        <ResourceStatusReason>no</ResourceStatusReason><ClientRequestToken>t</ClientRequestToken></member>\
        <member><StackId>arn:n</StackId><EventId>1</EventId><StackName>n</StackName><Timestamp>2026-11-24T06:00:00Z</Timestamp></member>\
        </StackEvents>";
    let (aws, _) =
        cloudformation(&[("DescribeStackEvents", EVENTS), ("DescribeStackEvents", EVENTS)]);
    let events = change_set::events(&aws, "arn:n", Some("1")).await.unwrap();
    let [failed, complete] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        (&failed.logical[..], &failed.status[..], &failed.reason[..]),
        ("A", "CREATE_FAILED", "no")
    );
    assert_eq!((failed.of_stack, failed.token.as_deref()), (false, Some("t")));
    assert_eq!(failed.time.to_string(), "2026-11-24T06:00:01Z");
    assert!(complete.of_stack);
    assert_eq!(change_set::events(&aws, "arn:n", None).await.unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_parameters_of_a_template_come_with_their_defaults() {
    let (aws, log) = cloudformation(&[(
        "ValidateTemplate",
        "<Parameters><member><ParameterKey>A</ParameterKey><DefaultValue>1</DefaultValue></member>\
         <member><ParameterKey>B</ParameterKey></member></Parameters>",
    )]);
    let one = |name: &str, default: Option<&str>| Declared {
        name: name.into(),
        default: default.map(str::to_owned),
    };
    let found = declared(&aws, "https://s3/b/k").await.unwrap();
    assert_eq!(found, [one("A", Some("1")), one("B", None)]);
    assert!(log.lock().unwrap()[0].contains("TemplateURL=https%3A%2F%2Fs3%2Fb%2Fk"));
}

#[tokio::test(start_paused = true)]
async fn operations_carry_their_token_and_failures_are_rolled_back() {
    let (aws, log) = cloudformation(&[
        ("ExecuteChangeSet", ""),
        ("DeleteChangeSet", ""),
        ("DeleteStack", ""),
        (
            "ListStackResources",
            "<StackResourceSummaries>\
             <member><LogicalResourceId>A</LogicalResourceId><ResourceType>T</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>\
             <member><LogicalResourceId>B</LogicalResourceId><ResourceType>T</ResourceType><ResourceStatus>DELETE_COMPLETE</ResourceStatus></member>\
             </StackResourceSummaries>",
        ),
    ]);
    execute(&aws, "n", "set", "token-1").await.unwrap();
    discard(&aws, "n", "set").await.unwrap();
    delete_stack(&aws, "arn:n", Some("arn:role"), "token-2").await.unwrap();
    assert_eq!(resource_types(&aws, "n").await.unwrap(), ["T"]);
    let log = log.lock().unwrap();
    assert!(
        log[0].contains("ClientRequestToken=token-1") && log[0].contains("DisableRollback=false")
    );
    assert!(log[1].contains("ChangeSetName=set"));
    assert!(log[2].contains("ClientRequestToken=token-2") && log[2].contains("RoleARN=arn%3Arole"));
}
