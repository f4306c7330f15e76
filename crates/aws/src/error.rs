//! One error for every call: what was tried, on what, and what AWS said.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// A call to AWS that did not do what was asked.
///
/// It holds texts only, so that neither its `Debug` nor its `Display` can show a request's body: the
/// body of an import is a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} of {resource} failed: {message}")]
pub struct AwsError {
    /// The API's name of the operation, `UpdateDistribution`.
    pub operation: &'static str,
    /// What it was to work on.
    pub resource: String,
    /// What to make of it.
    pub kind: ErrorKind,
    /// AWS's error code, if there was an answer with one.
    pub code: Option<String>,
    /// AWS's code and words, or what became of the connection.
    pub message: String,
}

/// The kinds that callers treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Too many calls: wait, then try again.
    Throttled,
    /// No answer, no sensible answer, or AWS's own fault: try again.
    Unavailable,
    /// A permission is missing.
    AccessDenied,
    /// What the call was about does not exist.
    NotFound,
    /// AWS's final no.
    Refused,
}

impl AwsError {
    /// Makes one of the SDK's error.
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

    /// An answer that lacks what its operation promises.
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

    /// Is it this code of AWS's?
    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

/// Sorts by code first: throttling comes with status 400 from some services and 503 from others, and
/// few of them model it.
fn kind(code: &str, status: u16) -> ErrorKind {
    match code {
        // The throttling codes of the SDK's own retries, less LimitExceededException: that is how ACM
        // says that a quota is reached.
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
        | "ConflictException" => ErrorKind::Unavailable,
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
        // An error without a code is not from the service: a proxy, or an answer cut short.
        "" => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    }
}

/// Turns the SDK's result into ours; `.or_else` for the errors an operation treats itself.
pub(crate) trait SdkResultExt<T> {
    /// What this operation on this resource answers.
    fn operation(self, operation: &'static str, resource: &str) -> Result<T, AwsError>;
}

impl<T, E: ProvideErrorMetadata> SdkResultExt<T> for Result<T, SdkError<E, HttpResponse>> {
    fn operation(self, operation: &'static str, resource: &str) -> Result<T, AwsError> {
        self.map_err(|error| AwsError::new(operation, resource, &error))
    }
}
