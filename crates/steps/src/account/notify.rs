//! Sends each notice once.
//!
//! The status of a notice is an object in the stack's bucket, under the notice's name. A
//! conditional write claims the sending; a second write records the result. If a function dies in
//! between, another one sends the notice again: a notice may be sent twice, but is never lost.

use jiff::{SignedDuration, Timestamp};
use rotation_aws::error::AwsError;
use rotation_aws::{notices, s3};
use rotation_core::automation::notice::Notice;
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::lambda::error::StepError;

/// No function runs longer than this: a sender that began earlier has died.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_mins(16);

/// The status of a notice, as stored.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    /// When this attempt began.
    at: Timestamp,
    /// How far this attempt is.
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Sending,
    Failed,
    Sent,
}

/// Sends a notice to the topic (people) and as an event (machines), unless it was sent before. True
/// if it was sent now.
///
/// # Errors
/// Errors of AWS calls. The next call with this notice then sends it again.
pub async fn notify(context: &Context, notice: &Notice) -> Result<bool, StepError> {
    let aws = &context.aws;
    let people = once(context, &notice.name, "people", async || {
        let topic = &context.settings.notice_topic;
        notices::publish(&aws.sns(), topic, &notice.subject, &notice.text).await
    })
    .await?;
    let machines = once(context, &notice.name, "machines", async || {
        notices::put_event(&aws.events(), &notice.detail).await
    })
    .await?;
    if people || machines {
        tracing::info!(notice = notice.kind.name(), sent_as = notice.name, "{}", notice.subject);
    }
    Ok(people || machines)
}

async fn once(
    context: &Context,
    name: &str,
    to: &str,
    send: impl AsyncFnOnce() -> Result<(), AwsError>,
) -> Result<bool, StepError> {
    let (s3, bucket) = (context.aws.s3(), &context.settings.bucket);
    let key = format!("notices/{name}/{to}.json");
    let at = (context.now)();
    let found = s3::find_json::<Mark>(s3, bucket, &key).await?;
    let etag = match found {
        None => None,
        Some((mark, etag)) => {
            let is_given_up =
                mark.state == State::Sending && at.duration_since(mark.at) > GIVEN_UP_AFTER;
            if mark.state != State::Failed && !is_given_up {
                return Ok(false);
            }
            etag
        }
    };
    if !s3::put_json_over(s3, bucket, &key, &Mark { at, state: State::Sending }, etag).await? {
        return Ok(false);
    }
    let sent = send().await;
    let state = if sent.is_ok() { State::Sent } else { State::Failed };
    // Unconditional: this function holds the claim, so no other one writes the object now.
    s3::put_json(s3, bucket, &key, &Mark { at, state }).await?;
    sent?;
    Ok(true)
}
