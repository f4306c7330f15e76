//! Service Quotas.

use aws_sdk_servicequotas::Client;
use aws_sdk_servicequotas::config::retry::RetryConfig;
use aws_sdk_servicequotas::types::{RequestStatus, RequestedServiceQuotaChange};
use jiff::Timestamp;
use rotation_core::plan::quota::{Answer, IncreaseRequest, Origin};

use crate::error::{AwsError, ErrorKind, SdkResultExt};
use crate::time;

/// The outcome of an increase request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It was created, with this id.
    Requested(String),
    /// There is an open request for this quota.
    AlreadyOpen,
    /// The account has the maximum number of open requests.
    TooManyOpen,
    /// Service Quotas refused it, with this message.
    Refused(String),
}

/// The account's value of a quota, or else the default; `None` if Service Quotas does not list it.
pub async fn value(
    client: &Client,
    service: &str,
    code: &str,
) -> Result<Option<(f64, Origin)>, AwsError> {
    let answer = client.get_service_quota().service_code(service).quota_code(code).send().await;
    match answer.operation("GetServiceQuota", code) {
        Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
        // A value with an error reason is not the account's value.
        Ok(answer) => {
            if let Some(value) =
                answer.quota.filter(|quota| quota.error_reason.is_none()).and_then(|q| q.value)
            {
                return Ok(Some((value, Origin::Applied)));
            }
        }
        Err(_) => {}
    }
    let answer =
        client.get_aws_default_service_quota().service_code(service).quota_code(code).send().await;
    match answer.operation("GetAWSDefaultServiceQuota", code) {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        answer => Ok(answer?.quota.and_then(|q| q.value).map(|value| (value, Origin::Default))),
    }
}

/// The latest increase request for a quota.
pub async fn latest_request(
    client: &Client,
    service: &str,
    code: &str,
) -> Result<Option<IncreaseRequest>, AwsError> {
    let mut pages = client
        .list_requested_service_quota_change_history_by_quota()
        .service_code(service)
        .quota_code(code)
        .into_paginator()
        .items()
        .send();
    let mut latest: Option<IncreaseRequest> = None;
    while let Some(change) = pages.next().await {
        let change = match change.operation("ListRequestedServiceQuotaChangeHistoryByQuota", code) {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            change => request_of(change?),
        };
        if latest.as_ref().is_none_or(|latest| change.created > latest.created) {
            latest = Some(change);
        }
    }
    Ok(latest)
}

/// Requests an increase. The request is sent once, because it is not idempotent: the next attempt
/// of the step first checks whether it was created.
pub async fn request_increase(
    client: &Client,
    service: &str,
    code: &str,
    desired: f64,
) -> Result<RequestOutcome, AwsError> {
    const OPERATION: &str = "RequestServiceQuotaIncrease";
    let once = aws_sdk_servicequotas::config::Builder::new().retry_config(RetryConfig::disabled());
    let answer = client
        .request_service_quota_increase()
        .service_code(service)
        .quota_code(code)
        .desired_value(desired)
        .customize()
        .config_override(once)
        .send()
        .await;
    match answer.operation(OPERATION, code) {
        Ok(answer) => answer
            .requested_quota
            .and_then(|request| request.id)
            .map(RequestOutcome::Requested)
            .ok_or_else(|| AwsError::malformed(OPERATION, code, "no request id")),
        Err(error) if error.is("ResourceAlreadyExistsException") => Ok(RequestOutcome::AlreadyOpen),
        Err(error) if error.is("QuotaExceededException") => Ok(RequestOutcome::TooManyOpen),
        Err(error) if matches!(error.kind, ErrorKind::Refused | ErrorKind::NotFound) => {
            Ok(RequestOutcome::Refused(error.message))
        }
        Err(error) => Err(error),
    }
}

fn request_of(change: RequestedServiceQuotaChange) -> IncreaseRequest {
    let created =
        change.created.and_then(|created| time(&created)).unwrap_or(Timestamp::UNIX_EPOCH);
    let answer = match change.status {
        Some(RequestStatus::Approved) => Answer::Approved,
        Some(RequestStatus::CaseClosed) => Answer::Closed,
        Some(
            RequestStatus::Denied | RequestStatus::NotApproved | RequestStatus::InvalidRequest,
        ) => Answer::Refused,
        _ => Answer::Open,
    };
    IncreaseRequest {
        id: change.id.unwrap_or_default(),
        answer,
        desired: change.desired_value.unwrap_or_default(),
        created,
    }
}
