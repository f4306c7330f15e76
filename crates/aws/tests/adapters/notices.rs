use aws_smithy_mocks::{RuleMode, mock, mock_client};
use rotation_aws::error::ErrorKind;
use rotation_aws::notices::{publish, put_event};
use serde_json::json;

use crate::material::{answer, assert_kind};

#[tokio::test(start_paused = true)]
async fn a_text_is_published_with_its_subject() {
    let rule = mock!(aws_sdk_sns::Client::publish)
        .match_requests(|request| {
            request.topic_arn() == Some("arn:topic")
                && request.subject() == Some("subject")
                && request.message() == Some("text")
        })
        .then_output(|| aws_sdk_sns::operation::publish::PublishOutput::builder().build());
    let client = mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&rule]);
    publish(&client, "arn:topic", "subject", "text").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failed_event_entry_is_an_error() {
    let put = async |body: &'static str| {
        let rule = mock!(aws_sdk_eventbridge::Client::put_events)
            .match_requests(|request| {
                let entry = &request.entries()[0];
                entry.source() == Some("cloudfront-certificate-rotation")
                    && entry.detail_type() == Some("Certificate Rotation Notice")
                    && entry.detail() == Some(r#"{"kind":"ReplacementMissing"}"#)
            })
            .then_http_response(move || answer(200, body));
        let client = mock_client!(aws_sdk_eventbridge, RuleMode::MatchAny, [&rule]);
        put_event(&client, &json!({"kind": "ReplacementMissing"})).await
    };
    put(r#"{"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}"#).await.unwrap();
    let refused = put(
        r#"{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"}]}"#,
    )
    .await;
    assert_kind(refused, ErrorKind::Unavailable);
}
