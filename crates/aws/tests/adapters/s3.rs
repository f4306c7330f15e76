use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::Object;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use rotation_aws::error::ErrorKind;
use rotation_aws::s3::{any_under, get_json, list_json, put_json};

use crate::material::{answer, assert_kind};

fn client(rules: &[&Rule]) -> Client {
    let rules: Vec<Rule> = rules.iter().map(|rule| (*rule).clone()).collect();
    mock_client!(aws_sdk_s3, RuleMode::MatchAny, &rules)
}

fn object(key: &'static str, body: &'static str) -> Rule {
    mock!(Client::get_object).match_requests(move |request| request.key() == Some(key)).then_output(
        move || GetObjectOutput::builder().body(ByteStream::from_static(body.as_bytes())).build(),
    )
}

fn listing(keys: &'static [&'static str]) -> Rule {
    mock!(Client::list_objects_v2)
        .match_requests(|request| request.prefix() == Some("p/"))
        .then_output(move || {
            let all = keys.iter().map(|key| Object::builder().key(*key).build()).collect();
            ListObjectsV2Output::builder().set_contents(Some(all)).is_truncated(false).build()
        })
}

#[tokio::test(start_paused = true)]
async fn objects_are_json() {
    let put = mock!(Client::put_object)
        .match_requests(|request| request.content_type() == Some("application/json"))
        .then_output(|| PutObjectOutput::builder().build());
    put_json(&client(&[&put]), "b", "k", &[1, 2]).await.unwrap();
    assert_eq!(
        get_json::<Vec<u8>>(&client(&[&object("k", "[1, 2]")]), "b", "k").await.unwrap(),
        [1, 2]
    );
    let broken = get_json::<Vec<u8>>(&client(&[&object("k", "[1, ")]), "b", "k").await;
    assert_kind(broken, ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn prefixes() {
    assert!(!any_under(&client(&[&listing(&[])]), "b", "p/").await.unwrap());
    assert!(any_under(&client(&[&listing(&["p/1"])]), "b", "p/").await.unwrap());
    let all = client(&[&listing(&["p/1", "p/2"]), &object("p/1", "1"), &object("p/2", "2")]);
    assert_eq!(list_json::<u8>(&all, "b", "p/").await.unwrap(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn errors() {
    for (status, code, kind) in [
        (403, "AccessDenied", ErrorKind::AccessDenied),
        (404, "NoSuchKey", ErrorKind::NotFound),
        (503, "SlowDown", ErrorKind::Throttled),
        (500, "InternalError", ErrorKind::Unavailable),
    ] {
        let rule = mock!(Client::get_object).then_http_response(move || {
            answer(status, &format!("<Error><Code>{code}</Code><Message>told so</Message></Error>"))
        });
        assert_kind(get_json::<u8>(&client(&[&rule]), "b", "k").await, kind);
    }
}
