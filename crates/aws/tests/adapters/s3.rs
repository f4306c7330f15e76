use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::Object;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use rotation_aws::error::ErrorKind;
use rotation_aws::s3::{
    any_under, find_json, get_json, list_json, put_html, put_json, put_json_over,
};

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
    // An empty page is not the end of a list.
    let empty = mock!(Client::list_objects_v2)
        .match_requests(|request| request.continuation_token().is_none())
        .then_output(|| {
            let page = ListObjectsV2Output::builder().is_truncated(true);
            page.next_continuation_token("more").build()
        });
    let more = mock!(Client::list_objects_v2)
        .match_requests(|request| request.continuation_token() == Some("more"))
        .then_output(|| {
            let object = Object::builder().key("p/1").build();
            ListObjectsV2Output::builder().contents(object).is_truncated(false).build()
        });
    assert!(any_under(&client(&[&empty, &more]), "b", "p/").await.unwrap());
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

/// A conditional write that fails is not an error: another execution was faster.
#[tokio::test(start_paused = true)]
async fn a_conditional_write_reports_a_lost_race() {
    let check = async |status: u16,
                       code: &'static str,
                       etag: Option<&str>,
                       expected: Result<bool, ErrorKind>| {
        let is_first = etag.is_none();
        let rule = mock!(Client::put_object)
            .match_requests(move |request| match is_first {
                true => request.if_none_match() == Some("*") && request.if_match().is_none(),
                false => request.if_match() == Some("E") && request.if_none_match().is_none(),
            })
            .then_http_response(move || match status {
                200 => answer(200, ""),
                _ => answer(
                    status,
                    &format!("<Error><Code>{code}</Code><Message>no</Message></Error>"),
                ),
            });
        let written = put_json_over(&client(&[&rule]), "b", "k", &1, etag.map(str::to_owned)).await;
        match expected {
            Ok(expected) => assert_eq!(written.unwrap(), expected, "{code}"),
            Err(kind) => assert_kind(written, kind),
        }
    };
    for etag in [None, Some("E")] {
        check(200, "", etag, Ok(true)).await;
        check(412, "PreconditionFailed", etag, Ok(false)).await;
        check(409, "ConditionalRequestConflict", etag, Ok(false)).await;
        check(404, "NoSuchKey", etag, Ok(false)).await;
        check(403, "AccessDenied", etag, Err(ErrorKind::AccessDenied)).await;
        check(503, "SlowDown", etag, Err(ErrorKind::Throttled)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_object_gives_none() {
    let missing = mock!(Client::get_object).then_http_response(|| {
        answer(404, "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>")
    });
    assert_eq!(find_json::<u8>(&client(&[&missing]), "b", "k").await.unwrap(), None);
    let found = mock!(Client::get_object).then_output(|| {
        GetObjectOutput::builder().body(ByteStream::from_static(b"1")).e_tag("E").build()
    });
    let found = find_json::<u8>(&client(&[&found]), "b", "k").await.unwrap();
    assert_eq!(found, Some((1, Some("E".to_owned()))));
}

#[tokio::test(start_paused = true)]
async fn pages_are_html() {
    let put = mock!(Client::put_object)
        .match_requests(|request| request.content_type() == Some("text/html; charset=utf-8"))
        .then_output(|| PutObjectOutput::builder().build());
    put_html(&client(&[&put]), "b", "k", "<p>".into()).await.unwrap();
}
