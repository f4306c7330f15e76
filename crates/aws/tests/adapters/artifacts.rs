//! The bucket for the files of a deployment: whose it is, and what is in it.

use std::sync::{Arc, Mutex};

use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use rotation_aws::Aws;
use rotation_aws::artifacts::{Bucket, Found, account};
use rotation_aws::error::ErrorKind;

const ACCOUNT: &str = "111122223333";
/// The SHA-256 of "content", in base64 as S3 has it.
const DIGEST: &str = "7XACtDnprIRfIjV9giusFERzD722AW0+yUMil7nsn3M=";
/// The same in bytes.
const BYTES: [u8; 32] = [
    0xed, 0x70, 0x02, 0xb4, 0x39, 0xe9, 0xac, 0x84, 0x5f, 0x22, 0x35, 0x7d, 0x82, 0x2b, 0xac, 0x14,
    0x44, 0x73, 0x0f, 0xbd, 0xb6, 0x01, 0x6d, 0x3e, 0xc9, 0x43, 0x22, 0x97, 0xb9, 0xec, 0x9f, 0x73,
];

/// A request: its method, path, owner and body.
type Sent = (String, String, String, String);

/// An S3 that answers all requests so, and what it was asked.
fn s3(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> (Aws, Arc<Mutex<Vec<Sent>>>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let http = infallible_client_fn(move |request: http::Request<SdkBody>| {
        let header = |name: &str| {
            let value = request.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        writer.lock().unwrap().push((
            request.method().to_string(),
            request.uri().to_string(),
            header("x-amz-expected-bucket-owner"),
            format!(
                "{}{}",
                header("x-amz-checksum-sha256"),
                String::from_utf8_lossy(request.body().bytes().unwrap_or_default())
            ),
        ));
        let answer = headers
            .iter()
            .fold(http::Response::builder().status(status), |answer, (name, value)| {
                answer.header(*name, *value)
            });
        answer.body(SdkBody::from(body)).unwrap()
    });
    (Aws::with_http_client(http), log)
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_taken_only_if_it_is_ours_and_here() {
    for (status, region, expected) in [
        (200, &[("x-amz-bucket-region", "us-east-1")][..], Found::Ours),
        (200, &[], Found::Ours),
        (200, &[("x-amz-bucket-region", "eu-west-1")], Found::Elsewhere),
        (301, &[("x-amz-bucket-region", "eu-west-1")], Found::Elsewhere),
        (404, &[], Found::Nothing),
        (403, &[], Found::Closed),
    ] {
        let (aws, log) = s3(status, region, "");
        let bucket = Bucket { aws: &aws, name: "b", account: ACCOUNT };
        assert_eq!(bucket.find().await.unwrap(), expected, "{status}");
        assert_eq!(log.lock().unwrap()[0].2, ACCOUNT);
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_counts_by_its_content_not_by_its_name() {
    for (status, headers, expected) in [
        (200, &[("x-amz-checksum-sha256", DIGEST)][..], true),
        (200, &[("x-amz-checksum-sha256", "AAAA")], false),
        // Stored by a client that sent no such digest.
        (200, &[], false),
        (404, &[], false),
    ] {
        let (aws, log) = s3(status, headers, "");
        let bucket = Bucket { aws: &aws, name: "b", account: ACCOUNT };
        assert_eq!(bucket.has("k", &BYTES).await.unwrap(), expected, "{status}");
        assert_eq!(log.lock().unwrap()[0].2, ACCOUNT);
    }
    let (aws, _) = s3(403, &[], "");
    let bucket = Bucket { aws: &aws, name: "b", account: ACCOUNT };
    assert_eq!(bucket.has("k", &BYTES).await.unwrap_err().kind, ErrorKind::AccessDenied);
}

#[tokio::test(start_paused = true)]
async fn an_object_is_stored_with_its_digest_in_the_bucket_of_the_account() {
    let (aws, log) = s3(200, &[], "");
    let bucket = Bucket { aws: &aws, name: "b", account: ACCOUNT };
    bucket.put("k", &BYTES, b"content".to_vec()).await.unwrap();
    let log = log.lock().unwrap();
    let (method, path, owner, body) = &log[0];
    assert_eq!((&method[..], &owner[..]), ("PUT", ACCOUNT));
    assert!(path.contains("/b/k"), "{path}");
    assert!(body.starts_with(DIGEST), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_new_bucket_is_closed_before_it_is_used() {
    let (aws, log) = s3(200, &[], "");
    let bucket = Bucket { aws: &aws, name: "b", account: ACCOUNT };
    assert!(bucket.create().await.unwrap());
    let log = log.lock().unwrap().clone();
    for (at, expected) in [(1, "publicAccessBlock"), (2, "encryption"), (3, "policy")] {
        let (method, path, owner, _) = &log[at];
        assert_eq!((&method[..], &owner[..]), ("PUT", ACCOUNT));
        assert!(path.contains(expected), "{path}");
    }
    assert!(log[3].3.contains("aws:SecureTransport"), "{}", log[3].3);

    let taken = "<Error><Code>BucketAlreadyExists</Code><Message>no</Message></Error>";
    let (aws, _) = s3(409, &[], taken);
    assert!(!Bucket { aws: &aws, name: "b", account: ACCOUNT }.create().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_account_is_that_of_the_credentials() {
    const WHO: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account>\
                       </GetCallerIdentityResult></GetCallerIdentityResponse>";
    assert_eq!(account(&s3(200, &[], WHO).0).await.unwrap(), ACCOUNT);
}
