//! The error of every AWS call: the operation, its resource, and AWS's response.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// A failed AWS call.
///
/// It contains only texts, so that neither its `Debug` nor its `Display` can show a request's body:
/// the body of an import contains a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} of {resource} failed: {message}")]
pub struct AwsError {
    /// The name of the operation in the API, such as `UpdateDistribution`.
    pub operation: &'static str,
    /// The resource of the call.
    pub resource: String,
    /// The kind of the error.
    pub kind: ErrorKind,
    /// AWS's error code, if the response has one.
    pub code: Option<String>,
    /// AWS's code and message, or the error of the connection.
    pub message: String,
}

/// The kinds that callers distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Too many calls: wait, then retry.
    Throttled,
    /// No response, an unusable response, or a fault of AWS: retry.
    Unavailable,
    /// A permission is missing.
    AccessDenied,
    /// The resource does not exist.
    NotFound,
    /// Refused finally.
    Refused,
}

impl AwsError {
    /// Converts an error of the SDK.
    pub(crate) fn new<E: ProvideErrorMetadata>(
        operation: &'static str,
        resource: impl Into<String>,
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        let (kind, code, message) = match error {
            SdkError::ServiceError(answer) => {
                let meta = answer.err();
                let code = meta.code().unwrap_or_default();
                let status = answer.raw().status().as_u16();
                let words = match status {
                    200..300 => "the response could not be parsed",
                    _ => meta.message().unwrap_or("no explanation"),
                };
                let shown =
                    if code.is_empty() { format!("HTTP {status}") } else { code.to_owned() };
                (kind(code, status), meta.code().map(str::to_owned), format!("{shown}: {words}"))
            }
            SdkError::ResponseError(_) => {
                (ErrorKind::Unavailable, None, "the response could not be parsed".to_owned())
            }
            SdkError::TimeoutError(_) => {
                (ErrorKind::Unavailable, None, "no response in time".to_owned())
            }
            SdkError::DispatchFailure(_) => {
                (ErrorKind::Unavailable, None, "the connection failed".to_owned())
            }
            SdkError::ConstructionFailure(_) | _ => {
                (ErrorKind::Refused, None, "the request could not be made".to_owned())
            }
        };
        Self { operation, resource: resource.into(), kind, code, message }
    }

    /// A response that lacks a required field.
    pub(crate) fn malformed(
        operation: &'static str,
        resource: impl Into<String>,
        what: impl std::fmt::Display,
    ) -> Self {
        Self {
            operation,
            resource: resource.into(),
            kind: ErrorKind::Unavailable,
            code: None,
            message: format!("the response could not be parsed: {what}"),
        }
    }

    /// Does it have this error code?
    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

/// Classifies by code first: throttling has status 400 in some services and 503 in others, and few
/// of them model it.
fn kind(code: &str, status: u16) -> ErrorKind {
    match code {
        // The throttling codes of the SDK's own retries, without LimitExceededException: ACM uses
        // that for a quota that is reached.
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "BandwidthLimitExceeded" => ErrorKind::Throttled,
        "RequestTimeout"
        | "RequestTimeoutException"
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "ConflictException"
        // The list is read from its start by the next attempt.
        | "PaginationTokenExpiredException" => ErrorKind::Unavailable,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "SignatureDoesNotMatch" => ErrorKind::AccessDenied,
        _ if status >= 500 => ErrorKind::Unavailable,
        _ if status == 429 => ErrorKind::Throttled,
        _ if status == 403 => ErrorKind::AccessDenied,
        _ if status == 404 || code.contains("NotFound") || code.contains("NoSuch") => {
            ErrorKind::NotFound
        }
        // An error without a code does not come from the service: it is from a proxy, or the
        // response was cut off.
        "" => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    }
}

/// Converts results of the SDK. Callers use `.or_else` for errors that they handle themselves.
pub(crate) trait SdkResultExt<T> {
    /// Converts the result of this operation on this resource.
    fn operation(self, operation: &'static str, resource: &str) -> Result<T, AwsError>;
}

impl<T, E: ProvideErrorMetadata> SdkResultExt<T> for Result<T, SdkError<E, HttpResponse>> {
    fn operation(self, operation: &'static str, resource: &str) -> Result<T, AwsError> {
        self.map_err(|error| AwsError::new(operation, resource, &error))
    }
}
