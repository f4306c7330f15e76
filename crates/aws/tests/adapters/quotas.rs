use aws_sdk_servicequotas::Client;
use aws_sdk_servicequotas::operation::get_aws_default_service_quota::GetAwsDefaultServiceQuotaOutput;
use aws_sdk_servicequotas::operation::get_service_quota::GetServiceQuotaOutput;
use aws_sdk_servicequotas::operation::list_requested_service_quota_change_history_by_quota::ListRequestedServiceQuotaChangeHistoryByQuotaOutput as History;
use aws_sdk_servicequotas::operation::request_service_quota_increase::RequestServiceQuotaIncreaseOutput;
use aws_sdk_servicequotas::primitives::DateTime;
use aws_sdk_servicequotas::types::{
    ErrorReason, RequestStatus, RequestedServiceQuotaChange, ServiceQuota,
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use rotation_aws::quotas::{RequestOutcome, latest_request, request_increase, value};
use rotation_core::plan::quota::{Answer, Origin};

use crate::material::{COMMON, assert_kind, json_error};

const CODE: &str = "L-D2CB7DE9";

fn client(rules: &[&Rule]) -> Client {
    let rules: Vec<Rule> = rules.iter().map(|rule| (*rule).clone()).collect();
    mock_client!(aws_sdk_servicequotas, RuleMode::MatchAny, &rules)
}

fn applied() -> Rule {
    mock!(Client::get_service_quota).then_output(|| {
        let quota = ServiceQuota::builder().value(3_000.0).build();
        GetServiceQuotaOutput::builder().quota(quota).build()
    })
}

fn with_error_reason() -> Rule {
    mock!(Client::get_service_quota).then_output(|| {
        let reason = ErrorReason::builder().build();
        let quota = ServiceQuota::builder().value(1.0).error_reason(reason).build();
        GetServiceQuotaOutput::builder().quota(quota).build()
    })
}

fn unknown() -> Rule {
    mock!(Client::get_service_quota)
        .then_http_response(|| json_error(400, "NoSuchResourceException"))
}

fn default() -> Rule {
    mock!(Client::get_aws_default_service_quota).then_output(|| {
        let quota = ServiceQuota::builder().value(2_500.0).build();
        GetAwsDefaultServiceQuotaOutput::builder().quota(quota).build()
    })
}

fn no_default() -> Rule {
    mock!(Client::get_aws_default_service_quota)
        .then_http_response(|| json_error(400, "NoSuchResourceException"))
}

#[tokio::test(start_paused = true)]
async fn the_accounts_value_else_the_default_else_nothing() {
    for (own, fallback, expected) in [
        (applied(), no_default(), Some((3_000.0, Origin::Applied))),
        (unknown(), default(), Some((2_500.0, Origin::Default))),
        (with_error_reason(), default(), Some((2_500.0, Origin::Default))),
        (unknown(), no_default(), None),
    ] {
        assert_eq!(value(&client(&[&own, &fallback]), "acm", CODE).await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn common_errors_are_classified() {
    for (status, code, kind) in COMMON {
        let rule =
            mock!(Client::get_service_quota).then_http_response(move || json_error(status, code));
        assert_kind(value(&client(&[&rule]), "acm", CODE).await, kind);
    }
}

fn change(id: &str, status: RequestStatus, second: i64) -> RequestedServiceQuotaChange {
    RequestedServiceQuotaChange::builder()
        .id(id)
        .status(status)
        .desired_value(20.0)
        .created(DateTime::from_secs(second))
        .build()
}

#[tokio::test(start_paused = true)]
async fn the_latest_request_and_its_status() {
    for (status, expected) in [
        (RequestStatus::Pending, Answer::Open),
        (RequestStatus::CaseOpened, Answer::Open),
        (RequestStatus::Approved, Answer::Approved),
        (RequestStatus::CaseClosed, Answer::Closed),
        (RequestStatus::Denied, Answer::Refused),
        (RequestStatus::NotApproved, Answer::Refused),
        (RequestStatus::InvalidRequest, Answer::Refused),
    ] {
        let first = mock!(Client::list_requested_service_quota_change_history_by_quota)
            .match_requests(|request| request.next_token().is_none())
            .then_output(|| {
                History::builder()
                    .requested_quotas(change("older", RequestStatus::Denied, 100))
                    .next_token("more")
                    .build()
            });
        let second = mock!(Client::list_requested_service_quota_change_history_by_quota)
            .match_requests(|request| request.next_token().is_some())
            .then_output(move || {
                History::builder().requested_quotas(change("latest", status.clone(), 200)).build()
            });
        let latest =
            latest_request(&client(&[&first, &second]), "acm", CODE).await.unwrap().unwrap();
        assert_eq!((latest.id.as_str(), latest.answer), ("latest", expected));
        assert_eq!(latest.created.as_second(), 200);
    }
    let none = mock!(Client::list_requested_service_quota_change_history_by_quota)
        .then_http_response(|| json_error(400, "NoSuchResourceException"));
    assert_eq!(latest_request(&client(&[&none]), "acm", CODE).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn outcomes_of_increase_requests() {
    let asked = mock!(Client::request_service_quota_increase)
        .match_requests(|request| request.desired_value() == Some(23.0))
        .then_output(|| {
            RequestServiceQuotaIncreaseOutput::builder()
                .requested_quota(change("r-1", RequestStatus::Pending, 1))
                .build()
        });
    assert_eq!(
        request_increase(&client(&[&asked]), "acm", CODE, 23.0).await.unwrap(),
        RequestOutcome::Requested("r-1".into())
    );
    for (code, expected) in [
        ("ResourceAlreadyExistsException", RequestOutcome::AlreadyOpen),
        ("QuotaExceededException", RequestOutcome::TooManyOpen),
        (
            "NoSuchResourceException",
            RequestOutcome::Refused("NoSuchResourceException: told so".into()),
        ),
        (
            "IllegalArgumentException",
            RequestOutcome::Refused("IllegalArgumentException: told so".into()),
        ),
    ] {
        let rule = mock!(Client::request_service_quota_increase)
            .then_http_response(move || json_error(400, code));
        let outcome = request_increase(&client(&[&rule]), "acm", CODE, 23.0).await.unwrap();
        assert_eq!(outcome, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_increase_request_is_sent_once_whatever_the_response() {
    for (status, code, kind) in COMMON {
        let rule = mock!(Client::request_service_quota_increase)
            .then_http_response(move || json_error(status, code));
        assert_kind(request_increase(&client(&[&rule]), "acm", CODE, 23.0).await, kind);
        assert_eq!(rule.num_calls(), 1, "{code}");
    }
}
