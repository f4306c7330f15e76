//! Sends notices: to people by SNS, to machines by EventBridge.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use rotation_core::automation::trigger::{EVENT_SOURCE, NOTICE};
use serde_json::Value;

use crate::error::{AwsError, SdkResultExt};

/// Sends a text to all subscribers of the topic.
pub async fn publish(
    client: &aws_sdk_sns::Client,
    topic: &str,
    subject: &str,
    text: &str,
) -> Result<(), AwsError> {
    let request = client.publish().topic_arn(topic).subject(subject).message(text);
    request.send().await.operation("Publish", topic).map(drop)
}

/// Puts an event on the default bus.
pub async fn put_event(
    client: &aws_sdk_eventbridge::Client,
    detail: &Value,
) -> Result<(), AwsError> {
    const OPERATION: &str = "PutEvents";
    let entry = PutEventsRequestEntry::builder()
        .source(EVENT_SOURCE)
        .detail_type(NOTICE)
        .detail(detail.to_string())
        .build();
    let answer = client.put_events().entries(entry).send().await.operation(OPERATION, NOTICE)?;
    // The call succeeds even if an event failed: each entry has its own status.
    match answer.entries().iter().find_map(|entry| entry.error_message()) {
        Some(message) => Err(AwsError::malformed(OPERATION, NOTICE, message)),
        None => Ok(()),
    }
}
