//! Sources make their clients per region, so they are answered on the wire.

use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use rotation_aws::Aws;
use rotation_aws::source::{SourceError, read};
use rotation_core::bundle::MAX_SOURCE_BYTES;
use rotation_core::request::SourceRef;

/// What AWS answers to any request for a source, and the source.
async fn ask(source: &SourceRef, status: u16, body: String) -> Result<Vec<u8>, SourceError> {
    let http = infallible_client_fn(move |_| {
        http::Response::builder().status(status).body(SdkBody::from(body.as_str())).unwrap()
    });
    read(&Aws::with_http_client(http).await, source).await.map(|content| content.to_vec())
}

fn secret() -> SourceRef {
    SourceRef::Secret { id: "tls/www".into(), region: None }
}

fn parameter() -> SourceRef {
    SourceRef::Parameter { name: "/tls/www".into(), region: Some("eu-west-1".into()) }
}

fn object() -> SourceRef {
    SourceRef::Object { bucket: "certificates".into(), key: "www.pem".into() }
}

fn kind(result: &Result<Vec<u8>, SourceError>) -> &'static str {
    match result {
        Ok(_) => "read",
        Err(SourceError::Missing(_)) => "missing",
        Err(SourceError::Denied(_)) => "denied",
        Err(SourceError::TooLarge { .. }) => "too large",
        Err(SourceError::NotSecure(_)) => "not secure",
        Err(SourceError::Refused(_)) => "refused",
        Err(SourceError::Aws(_)) => "aws",
    }
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_source_is_read() {
    let string = r#"{"SecretString": "content"}"#.to_owned();
    assert_eq!(ask(&secret(), 200, string).await.unwrap(), b"content");
    let binary = r#"{"SecretBinary": "Y29udGVudA=="}"#.to_owned();
    assert_eq!(ask(&secret(), 200, binary).await.unwrap(), b"content");
    let secure = r#"{"Parameter": {"Type": "SecureString", "Value": "content"}}"#.to_owned();
    assert_eq!(ask(&parameter(), 200, secure).await.unwrap(), b"content");
    assert_eq!(ask(&object(), 200, "content".to_owned()).await.unwrap(), b"content");
}

#[tokio::test(start_paused = true)]
async fn why_a_source_is_not_read() {
    let json = |code: &str| format!(r#"{{"__type": "{code}", "message": "told so"}}"#);
    let xml = |code: &str| format!("<Error><Code>{code}</Code><Message>told so</Message></Error>");
    let large = "x".repeat(MAX_SOURCE_BYTES + 1);
    for (source, status, body, expected) in [
        (secret(), 400, json("ResourceNotFoundException"), "missing"),
        (secret(), 400, json("AccessDeniedException"), "denied"),
        (secret(), 400, json("DecryptionFailure"), "refused"),
        (secret(), 400, json("ThrottlingException"), "aws"),
        (secret(), 500, json("InternalServiceError"), "aws"),
        (secret(), 200, "no JSON at all".to_owned(), "aws"),
        (secret(), 200, format!(r#"{{"SecretString": "{large}"}}"#), "too large"),
        (parameter(), 400, json("ParameterNotFound"), "missing"),
        (parameter(), 400, json("AccessDeniedException"), "denied"),
        (
            parameter(),
            200,
            r#"{"Parameter": {"Type": "String", "Value": "content"}}"#.to_owned(),
            "not secure",
        ),
        (object(), 404, xml("NoSuchKey"), "missing"),
        (object(), 404, xml("NoSuchBucket"), "missing"),
        (object(), 403, xml("AccessDenied"), "denied"),
        (object(), 503, xml("SlowDown"), "aws"),
        (object(), 200, large.clone(), "too large"),
    ] {
        let shown = body.chars().take(60).collect::<String>();
        let result = ask(&source, status, body).await;
        assert_eq!(kind(&result), expected, "{source:?} {status} {shown}: {result:?}");
    }
}
