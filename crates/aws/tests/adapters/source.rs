//! Sources create their clients per region, so the responses are faked at the HTTP level.

use std::sync::{Arc, Mutex};

use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use rotation_aws::Aws;
use rotation_aws::source::{Put, SourceError, put, read, read_public};
use rotation_core::certificate::bundle::MAX_SOURCE_BYTES;
use rotation_core::request::SourceRef;

/// Reads the source, with this response to every request.
async fn ask(source: &SourceRef, status: u16, body: String) -> Result<Vec<u8>, SourceError> {
    let http = infallible_client_fn(move |_| {
        http::Response::builder().status(status).body(SdkBody::from(body.as_str())).unwrap()
    });
    read(&Aws::with_http_client(http), source).await.map(|content| content.to_vec())
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
async fn s15_a_public_text_is_a_parameter_of_any_type() {
    let check = async |status, body: &'static str, expected| {
        let http = infallible_client_fn(move |_| {
            http::Response::builder().status(status).body(SdkBody::from(body)).unwrap()
        });
        let read = read_public(&Aws::with_http_client(http), "/roots").await;
        assert_eq!(kind(&read.map(String::into_bytes)), expected, "{body}");
    };
    check(200, r#"{"Parameter": {"Type": "String", "Value": "content"}}"#, "read").await;
    check(200, r#"{"Parameter": {"Type": "SecureString", "Value": "content"}}"#, "read").await;
    check(400, r#"{"__type": "ParameterNotFound"}"#, "missing").await;
    check(400, r#"{"__type": "AccessDeniedException"}"#, "denied").await;
    check(400, r#"{"__type": "ThrottlingException"}"#, "aws").await;
}

#[tokio::test(start_paused = true)]
async fn errors_of_sources_are_classified() {
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

/// Writes the source, with these responses in turn. Returns the calls, by the last word of their
/// target or path.
async fn put_with(
    source: &SourceRef,
    answers: &'static [(u16, &'static str)],
) -> (Result<Put, rotation_aws::error::ErrorKind>, Vec<String>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&calls);
    let http = infallible_client_fn(move |request: http::Request<SdkBody>| {
        let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
        let call = target.unwrap_or(request.uri().path()).rsplit('.').next().unwrap().to_owned();
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let mut log = log.lock().unwrap();
        assert!(body.contains("content"), "{call}: {body}");
        log.push(call);
        let (status, body) = answers[log.len() - 1];
        http::Response::builder().status(status).body(SdkBody::from(body)).unwrap()
    });
    let came = put(&Aws::with_http_client(http), source, "content").await;
    let calls = calls.lock().unwrap().clone();
    (came.map_err(|error| error.kind), calls)
}

#[tokio::test(start_paused = true)]
async fn a_source_is_updated_or_created() {
    use rotation_aws::error::ErrorKind;
    const MISSING: (u16, &str) = (400, r#"{"__type": "ResourceNotFoundException"}"#);
    const UPDATED: &[(u16, &str)] = &[(200, "{}")];
    const DENIED: (u16, &str) = (400, r#"{"__type": "AccessDeniedException"}"#);
    let arn = SourceRef::Secret {
        id: "arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/www-a1b2c3".into(),
        region: Some("us-east-1".into()),
    };
    for (source, answers, came, calls) in [
        (secret(), UPDATED, Ok(Put::Updated), vec!["PutSecretValue"]),
        (
            secret(),
            &[MISSING, (200, "{}")],
            Ok(Put::Created),
            vec!["PutSecretValue", "CreateSecret"],
        ),
        (secret(), &[DENIED], Err(ErrorKind::AccessDenied), vec!["PutSecretValue"]),
        // A missing secret is not created under another ARN.
        (arn, &[MISSING], Err(ErrorKind::NotFound), vec!["PutSecretValue"]),
        (parameter(), &[(200, r#"{"Version": 1}"#)], Ok(Put::Created), vec!["PutParameter"]),
        (parameter(), &[(200, r#"{"Version": 7}"#)], Ok(Put::Updated), vec!["PutParameter"]),
    ] {
        assert_eq!(
            put_with(&source, answers).await,
            (came, calls.iter().map(|call| (*call).to_owned()).collect())
        );
    }
}
