//! Certificates and errors for the tests.

use std::sync::OnceLock;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use rotation_aws::error::{AwsError, ErrorKind};
use rotation_core::certificate::Certificate;
use rotation_core::certificate::bundle::{self, Bundle};
use rotation_test_pki::Authority;

/// A certificate without its chain, as a value and as PEM: the adapters do not validate chains.
pub(crate) struct Material {
    pub(crate) certificate: Certificate,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
}

impl Material {
    pub(crate) fn bundle(&self) -> Bundle {
        bundle::read(format!("{}{}", self.pem, self.key_pem).as_bytes()).unwrap()
    }
}

pub(crate) fn material() -> &'static Material {
    static MATERIAL: OnceLock<Material> = OnceLock::new();
    MATERIAL.get_or_init(|| made("www.example.com"))
}

pub(crate) fn other() -> &'static Material {
    static OTHER: OnceLock<Material> = OnceLock::new();
    OTHER.get_or_init(|| made("www.example.org"))
}

fn made(name: &str) -> Material {
    let day = |day: &str| format!("{day}T00:00:00Z").parse().unwrap();
    let issued = Authority::root("Root").issue(&[name], day("2026-01-01"), day("2027-01-01"));
    Material {
        certificate: Certificate::from_pem(&issued.pem).unwrap(),
        pem: issued.pem,
        key_pem: issued.key,
    }
}

/// A raw HTTP response.
pub(crate) fn answer(status: u16, body: &str) -> HttpResponse {
    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))
}

/// An error of a service with JSON responses.
pub(crate) fn json_error(status: u16, code: &str) -> HttpResponse {
    answer(status, &format!(r#"{{"__type":"{code}","message":"told so"}}"#))
}

/// An error of a service with XML responses: CloudFront and IAM have the same format.
pub(crate) fn xml_error(status: u16, code: &str, message: &str) -> HttpResponse {
    answer(
        status,
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
        ),
    )
}

pub(crate) fn assert_kind<T: std::fmt::Debug>(result: Result<T, AwsError>, kind: ErrorKind) {
    match result {
        Err(error) => assert_eq!(error.kind, kind, "{error}"),
        Ok(value) => panic!("expected {kind:?}, got {value:?}"),
    }
}

/// The errors that any service may return, and their kinds for every operation: status, code, kind.
pub(crate) const COMMON: [(u16, &str, ErrorKind); 7] = [
    (400, "ThrottlingException", ErrorKind::Throttled),
    (400, "Throttling", ErrorKind::Throttled),
    (429, "TooManyRequestsException", ErrorKind::Throttled),
    (500, "InternalFailure", ErrorKind::Unavailable),
    (503, "ServiceUnavailable", ErrorKind::Unavailable),
    (403, "AccessDenied", ErrorKind::AccessDenied),
    (400, "AccessDeniedException", ErrorKind::AccessDenied),
];
