use jiff::{SignedDuration, Timestamp};
use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::{Account, DEDICATED_IP, QuotaRequest, now};
use crate::harness::certificates::certificates;
use crate::harness::fake_aws::Kind;
use crate::harness::rig::Rig;

const ACM_CERTIFICATES: &str = "L-F141DD1D";
const ACM_IN_YEAR: &str = "L-DA1D8B98";
const ACM_IMPORTED: &str = "L-D2CB7DE9";
const ACM_IMPORTED_IN_YEAR: &str = "L-3808DC70";
const IAM: &str = "L-BF35879D";
const DEDICATED: &str = "L-DA9DCC93";

/// A plan on this account, with its quotas.
async fn planned(account: &Account) -> (Rig, Value) {
    let rig = Rig::new(account.clone()).await;
    let state = rig.planned(json!({})).await;
    rig.fake.with(|world| world.calls.clear());
    (rig, state)
}

fn acm(quota: &str, applied: Option<f64>, default: Option<f64>) -> Account {
    let (mut account, _) = Account::with_old_in(Store::Acm);
    account.quotas.insert(quota.into(), (applied, default));
    account
}

#[tokio::test(start_paused = true)]
async fn limits_come_from_the_account_the_default_or_the_documentation() {
    for (account, line) in [
        (acm(ACM_CERTIFICATES, Some(3.0), Some(1.0)), "ACM certificates: 2 of 3"),
        (acm(ACM_CERTIFICATES, None, Some(3.0)), "2 of 3 (the default;"),
        (acm(ACM_CERTIFICATES, None, None), "2 of 2500 (the documented default;"),
        // Usage above the default: the account has a different limit.
        (acm(ACM_CERTIFICATES, None, Some(1.0)), "2 of 1 (the default;"),
    ] {
        let (rig, state) = planned(&account).await;
        let output = rig.succeed("check-quota", &state).await;
        assert_eq!(output["status"], "sufficient");
        assert_eq!(output["quotas"].as_array().unwrap().len(), 4);
        assert!(output["quotas"].to_string().contains(line), "{line}: {output}");
        assert_eq!(rig.account().quota_requests, []);
    }
}

#[tokio::test(start_paused = true)]
async fn only_quotas_that_the_import_counts_against_are_checked() {
    let (mut account, _) = Account::with_old_in(Store::Iam);
    account.iam_room = 2;
    let (rig, state) = planned(&account).await;
    let output = rig.succeed("check-quota", &state).await;
    assert_eq!(
        output,
        json!({
            "status": "sufficient",
            "quotas": ["IAM server certificates: 1 of 2"],
            "notes": [
                "Nearly full: with the new certificate, 2 of 2 IAM server certificates are in use, and a full quota makes rotations wait. Delete certificates that nothing uses, or request an increase (Service Quotas, iam L-BF35879D)."
            ],
        })
    );
    assert_eq!(rig.calls().len(), 1);

    // The certificate is in the store already, so it needs no more room.
    let (mut account, _) = Account::with_old_in(Store::Acm);
    account.put_acm(&certificates().new, &[]);
    let (rig, state) = planned(&account).await;
    let output = rig.succeed("check-quota", &state).await;
    assert_eq!(output, json!({"status": "sufficient", "quotas": []}));
    assert_eq!(rig.calls(), []);
}

/// Both certificates count on dedicated IP addresses, unless the new one is served there already.
#[tokio::test(start_paused = true)]
async fn dedicated_ip_addresses() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    account.add("E5", &old, &["www.example.com"], DEDICATED_IP);
    let (rig, state) = planned(&account).await;
    let output = rig.succeed("check-quota", &state).await;
    assert!(output["quotas"].to_string().contains("dedicated IP addresses: 1 of 2"), "{output}");

    let other = account.put_acm(&certificates().other, &[]);
    account.add("E6", &other, &["www.example.com"], DEDICATED_IP);
    let (rig, state) = planned(&account).await;
    let output = rig.succeed("check-quota", &state).await;
    assert_eq!(output["status"], "pending");
    let account_after = rig.account();
    assert_eq!(account_after.quota_requests.len(), 1);
    assert_eq!(account_after.quota_requests[0].code, DEDICATED);

    let new = account.put_acm(&certificates().new, &[]);
    account.add("E7", &new, &["www.example.com"], DEDICATED_IP);
    let (rig, state) = planned(&account).await;
    let output = rig.succeed("check-quota", &state).await;
    assert_eq!(output, json!({"status": "sufficient", "quotas": []}));
}

#[tokio::test(start_paused = true)]
async fn an_increase_is_requested_once_awaited_and_used() {
    let (mut iam, _) = Account::with_old_in(Store::Iam);
    iam.iam_room = 1;
    for (account, code, desired) in [
        (acm(ACM_CERTIFICATES, Some(2.0), None), ACM_CERTIFICATES, 3.0),
        (acm(ACM_IMPORTED_IN_YEAR, Some(2.0), None), ACM_IMPORTED_IN_YEAR, 3.0),
        (iam, IAM, 2.0),
    ] {
        let (rig, state) = planned(&account).await;
        let output = rig.succeed("check-quota", &state).await;
        assert_eq!(output["status"], "pending");
        assert!(output["quotas"].to_string().contains("requested an increase"), "{output}");
        let requests = rig.account().quota_requests;
        assert_eq!(
            (requests.len(), requests[0].code.as_str(), requests[0].desired),
            (1, code, desired)
        );

        let output = rig.succeed("check-quota", &state).await;
        assert_eq!(output["status"], "pending");
        // Approval is not enough: the quota must have the new value.
        rig.change(|account| account.quota_requests[0].status = "APPROVED".into());
        let output = rig.succeed("check-quota", &state).await;
        assert_eq!(output["status"], "pending");
        assert_eq!(rig.count("RequestServiceQuotaIncrease"), 1);

        rig.change(|account| {
            account.quotas.insert(code.into(), (Some(desired), None));
            account.iam_room = desired as usize;
        });
        assert_eq!(rig.succeed("check-quota", &state).await["status"], "sufficient");
    }
}

fn request(code: &str, status: &str, created: Timestamp) -> QuotaRequest {
    let id = "request-0".to_owned();
    QuotaRequest { id, code: code.into(), status: status.into(), desired: 9.0, created }
}

/// Closed requests from before the rotation do not count.
#[tokio::test(start_paused = true)]
async fn only_open_requests_from_before_the_rotation_count() {
    let earlier = now() - SignedDuration::from_hours(24);
    for (status, asked) in [("PENDING", 0), ("CASE_OPENED", 0), ("DENIED", 1), ("APPROVED", 1)] {
        let mut account = acm(ACM_CERTIFICATES, Some(2.0), None);
        account.quota_requests.push(request(ACM_CERTIFICATES, status, earlier));
        let (rig, state) = planned(&account).await;
        assert_eq!(rig.succeed("check-quota", &state).await["status"], "pending");
        assert_eq!(rig.count("RequestServiceQuotaIncrease"), asked, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_or_late_increase_ends_the_rotation() {
    for status in ["DENIED", "NOT_APPROVED", "CASE_CLOSED", "INVALID_REQUEST"] {
        let mut account = acm(ACM_IMPORTED, Some(2.0), None);
        account.quota_requests.push(request(ACM_IMPORTED, status, now()));
        let (rig, state) = planned(&account).await;
        let (name, cause) = rig.refuse("check-quota", &state).await;
        assert_eq!(name, "QuotaDenied");
        assert!(cause.contains("L-D2CB7DE9") && cause.contains("refused"), "{cause}");
    }
    let (rig, mut state) = planned(&acm(ACM_IMPORTED, Some(2.0), None)).await;
    rig.succeed("check-quota", &state).await;
    state["execution"]["startTime"] = json!(now() - SignedDuration::from_hours(49));
    let (name, cause) = rig.refuse("check-quota", &state).await;
    assert_eq!(name, "QuotaDenied");
    assert!(cause.contains("not granted within 48 hours"), "{cause}");
}

/// Responses of Service Quotas to the request.
#[tokio::test(start_paused = true)]
async fn responses_of_service_quotas() {
    const ASK: &str = "RequestServiceQuotaIncrease";
    for (code, told) in [
        ("ResourceAlreadyExistsException", "already requested"),
        ("QuotaExceededException", "waiting until another request"),
    ] {
        let (rig, state) = planned(&acm(ACM_CERTIFICATES, Some(2.0), None)).await;
        rig.fail(ASK, Kind::Answer(400, code, "told so"));
        let output = rig.succeed("check-quota", &state).await;
        assert_eq!(output["status"], "pending");
        assert!(output["quotas"].to_string().contains(told), "{output}");
    }
    let (rig, state) = planned(&acm(ACM_CERTIFICATES, Some(2.0), None)).await;
    rig.fail(ASK, Kind::Answer(400, "IllegalArgumentException", "told so"));
    let (name, cause) = rig.refuse("check-quota", &state).await;
    assert_eq!(name, "QuotaDenied");
    assert!(cause.contains("accepts no request") && cause.contains("Ask AWS Support"), "{cause}");
}

/// Two requests may be open in a region: the third quota waits until one is closed.
#[tokio::test(start_paused = true)]
async fn more_full_quotas_than_requests_may_be_open() {
    let mut account = acm(ACM_CERTIFICATES, Some(2.0), None);
    account.quotas.insert(ACM_IMPORTED.into(), (Some(2.0), None));
    account.quotas.insert(ACM_IN_YEAR.into(), (Some(2.0), None));
    let (rig, state) = planned(&account).await;
    assert_eq!(rig.succeed("check-quota", &state).await["status"], "pending");
    assert_eq!(rig.account().quota_requests.len(), 2);
    rig.change(|account| {
        let first = &mut account.quota_requests[0];
        first.status = "APPROVED".into();
        account.quotas.insert(first.code.clone(), (Some(9.0), None));
    });
    assert_eq!(rig.succeed("check-quota", &state).await["status"], "pending");
    assert_eq!(rig.account().quota_requests.len(), 3);
}

/// The state in which AssumeQuota runs: after the retries of CheckQuota.
fn in_vain(state: &Value) -> Value {
    let mut state = state.clone();
    state["quota"] = json!({"Error": "Unavailable", "Cause": "told so"});
    state
}

#[tokio::test(start_paused = true)]
async fn without_service_quotas_the_documented_defaults_count() {
    for (operation, kind, name) in [
        ("GetServiceQuota", Kind::ErrorBefore, "Unavailable"),
        ("GetServiceQuota", Kind::Throttled, "Throttled"),
        ("GetAWSDefaultServiceQuota", Kind::Timeout, "Unavailable"),
    ] {
        // The account's own value would be lower.
        let (rig, state) = planned(&acm(ACM_CERTIFICATES, None, Some(2.0))).await;
        rig.fail(operation, kind);
        assert_eq!(rig.refuse("check-quota", &state).await.0, name);
        rig.fake.with(|world| world.calls.clear());
        let output = rig.succeed("check-quota", &in_vain(&state)).await;
        assert_eq!(output["status"], "sufficient");
        let all = output["quotas"].as_array().unwrap();
        assert_eq!(
            (all.len(), rig.count(operation)),
            (4, 1),
            "it is asked once more, and that is all"
        );
        assert!(
            all[3]
                .as_str()
                .unwrap()
                .contains("(the documented default; Service Quotas is unavailable)")
        );
        let note = output["notes"][0].as_str().unwrap();
        assert!(
            note.contains("Service Quotas was unavailable") && note.contains(operation),
            "{note}"
        );

        // If Service Quotas responds again, nothing is assumed.
        rig.fake.with(|world| world.fault = None);
        let output = rig.succeed("check-quota", &in_vain(&state)).await;
        assert_eq!((&output["status"], &output["notes"]), (&json!("pending"), &Value::Null));
    }
    // A missing permission would not pass, and errors of other services are still errors.
    for (operation, kind, name) in [
        ("GetServiceQuota", Kind::AccessDenied, "AccessDenied"),
        ("ListCertificates", Kind::ErrorBefore, "Unavailable"),
    ] {
        let (rig, state) = planned(&acm(ACM_CERTIFICATES, None, None)).await;
        rig.fail(operation, kind);
        assert_eq!(rig.refuse("check-quota", &in_vain(&state)).await.0, name);
    }
}

/// Full by the store's own value, or by the documented default, while no increase can be requested.
#[tokio::test(start_paused = true)]
async fn without_service_quotas_full_quotas_are_polled() {
    let (mut iam, _) = Account::with_old_in(Store::Iam);
    iam.iam_room = 1;
    for operation in
        ["ListRequestedServiceQuotaChangeHistoryByQuota", "RequestServiceQuotaIncrease"]
    {
        let (rig, mut state) = planned(&iam).await;
        rig.fail(operation, Kind::ErrorBefore);
        assert_eq!(rig.refuse("check-quota", &state).await.0, "Unavailable");
        let output = rig.succeed("check-quota", &in_vain(&state)).await;
        assert_eq!((&output["status"], &output["waitSeconds"]), (&json!("pending"), &json!(7_200)));
        assert!(output["quotas"].to_string().contains("waiting for Service Quotas"), "{output}");

        // The output of AssumeQuota is not an error: the next poll calls Service Quotas as usual.
        rig.fake.with(|world| world.fault = None);
        let mut later = state.clone();
        later["quota"] = output;
        let output = rig.succeed("check-quota", &later).await;
        assert!(output["quotas"].to_string().contains("requested an increase"), "{output}");
        assert_eq!((&output["waitSeconds"], &output["notes"]), (&json!(900), &Value::Null));

        rig.change(|account| account.quota_requests.clear());
        rig.fail(operation, Kind::ErrorBefore);
        state["execution"]["startTime"] = json!(now() - SignedDuration::from_hours(49));
        let (name, cause) = rig.refuse("check-quota", &in_vain(&state)).await;
        assert_eq!(name, "QuotaDenied");
        assert!(
            cause.contains("no increase could be requested from Service Quotas within 48 hours"),
            "{cause}"
        );
    }
}
