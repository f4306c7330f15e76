//! `update-distribution` changes the certificate of one target and nothing else.

use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::{Account, BUCKET, DEDICATED_IP, POLICY, assert_same, now};
use crate::harness::certificates::certificates;
use crate::harness::fake_aws::Kind;
use crate::harness::rig::{Rig, child, id};

pub(super) fn distribution(name: &str) -> Value {
    json!({"kind": "distribution", "id": name, "serves": "old"})
}

pub(super) fn tenant() -> Value {
    json!({"kind": "tenant", "id": "dt_1", "serves": "old"})
}

/// The state after ImportCertificate, on an account with tenants.
pub(super) async fn imported() -> (Rig, Value) {
    let rig = Rig::new(Account::with_tenants().0).await;
    let state = rig.imported(json!({})).await;
    (rig, state)
}

pub(super) async fn update(rig: &Rig, state: &Value, target: Value) -> String {
    let output = rig.succeed("update-distribution", &child(state, &target)).await;
    assert_eq!(output["since"], json!(now()));
    output["status"].as_str().unwrap().to_owned()
}

/// Cases S29, S31, S38: the certificate changes, the deprecated members that would contradict it are removed, and no
/// other byte changes, whether the SDK knows the element or not.
#[tokio::test(start_paused = true)]
async fn nothing_but_the_certificate_changes() {
    for (from, to) in [(Store::Acm, Store::Iam), (Store::Iam, Store::Acm)] {
        let (account, old) = Account::with_old_in(from);
        let before = account.distributions["E1"].config.clone();
        let rig = Rig::new(account).await;
        let state = rig.imported(json!({"store": to})).await;
        assert_eq!(update(&rig, &state, distribution("E1")).await, "moving");
        let new = id(&state["newCertificate"]["id"]);
        let element = |store, id: &dyn std::fmt::Display| match store {
            Store::Acm => format!("<ACMCertificateArn>{id}</ACMCertificateArn>"),
            Store::Iam => format!("<IAMCertificateId>{id}</IAMCertificateId>"),
        };
        let source = if from == Store::Acm { "acm" } else { "iam" };
        let expected = before
            .replace(
                "<CloudFrontDefaultCertificate>false</CloudFrontDefaultCertificate>",
                &element(to, &new),
            )
            .replace(&element(from, &old), "")
            .replace(&format!("<Certificate>{old}</Certificate>"), "")
            .replace(&format!("<CertificateSource>{source}</CertificateSource>"), "");
        let after = rig.account();
        assert_eq!(after.distributions["E1"].config, expected);
        assert_eq!(after.distributions["E1"].version, 2);
        assert_eq!(after.distributions["E2"].version, 1);
    }
    let (rig, state) = imported().await;
    let before = rig.account().tenants["dt_1"].body.clone();
    assert_eq!(update(&rig, &state, tenant()).await, "moving");
    let old = state["plan"]["oldCertificate"]["id"]["arn"].as_str().unwrap();
    let new = state["newCertificate"]["id"]["arn"].as_str().unwrap();
    assert_eq!(rig.account().tenants["dt_1"].body, before.replace(old, new));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_needs_no_change_is_not_written() {
    for target in [distribution("E1"), tenant()] {
        let (rig, state) = imported().await;
        let target_id = target["id"].as_str().unwrap().to_owned();
        let check = async |expected: &str| {
            let before = rig.account();
            assert_eq!(update(&rig, &state, target.clone()).await, expected);
            assert_same(&before, &rig.account(), "nothing is written");
        };
        update(&rig, &state, target.clone()).await;
        check("moving").await;
        rig.change(|account| {
            let third = account.put_acm(&certificates().other, &[]);
            let new = id(&state["newCertificate"]["id"]);
            let swap = |text: &mut String| *text = text.replace(new.id(), third.id());
            if let Some(one) = account.distributions.get_mut(&target_id) {
                swap(&mut one.config);
            }
            if let Some(one) = account.tenants.get_mut(&target_id) {
                swap(&mut one.body);
            }
        });
        check("drifted").await;
        rig.change(|account| {
            account.distributions.remove(&target_id);
            account.tenants.remove(&target_id);
        });
        check("gone").await;
    }
}

/// Another user edits the distribution between read and write: the edit is kept, and the next
/// attempt makes the change on top of it.
#[tokio::test(start_paused = true)]
async fn an_edit_by_another_user_is_never_lost() {
    let (rig, state) = imported().await;
    rig.change(|account| account.edited_meanwhile = true);
    let input = child(&state, &distribution("E1"));
    let (name, _) = rig.refuse("update-distribution", &input).await;
    assert_eq!(name, "TargetChanged");
    let old = id(&state["plan"]["oldCertificate"]["id"]);
    assert!(rig.account().distributions["E1"].serves(&old));
    assert_eq!(update(&rig, &state, distribution("E1")).await, "moving");
    let after = &rig.account().distributions["E1"];
    assert!(after.serves(&id(&state["newCertificate"]["id"])));
    assert!(after.config.ends_with("<Edited/>"));
}

#[tokio::test(start_paused = true)]
async fn refusals_of_cloudfront() {
    let check = async |change: &dyn Fn(&mut Account), name: &str, told: &str| {
        let (rig, state) = imported().await;
        rig.change(|account| change(account));
        let before = rig.account();
        let input = child(&state, &distribution("E1"));
        let (error, cause) = rig.refuse("update-distribution", &input).await;
        assert_eq!(error, name);
        assert!(cause.contains(told), "{cause}");
        assert_same(&before, &rig.account(), "nothing is written");
    };
    let e1 = |account: &mut Account, extra: &str| account.distribution("E1").config.push_str(extra);
    let in_progress = |account: &mut Account| account.distribution("E1").reads_until_deployed = 1;
    check(&in_progress, "CertificateChangeInProgress", "distribution E1").await;
    check(&|account| e1(account, POLICY), "Refused", "continuous deployment").await;
    // An alias that was added after the plan, and a certificate that CloudFront does not see yet.
    let alias = |account: &mut Account| {
        let config = &mut account.distribution("E1").config;
        *config = config.replace("www.example.com", "api.example.net");
    };
    check(&alias, "CertificateNotAccepted", "doesn't cover api.example.net").await;
    let unseen = |account: &mut Account| drop(account.acm.pop_last());
    check(&unseen, "CertificateNotAccepted", "doesn't exist").await;
}

/// Cases S4, S13, S27: the error for each response of AWS to an update. If a permission is missing, the message ends
/// with a sentence of this system that names it.
#[tokio::test(start_paused = true)]
async fn responses_to_an_update() {
    const NO_GET_VPC_ORIGIN: &str = "User: arn:aws:sts::111122223333:assumed-role/r/f is not authorized to perform: cloudfront:GetVpcOrigin on resource: arn:aws:cloudfront::111122223333:vpcorigin/vo_1 because no identity-based policy allows the cloudfront:GetVpcOrigin action";
    const NO_ACL: &str = "Unable to verify read permissions on Web ACL. Please retry the request";
    const NO_LOGS: &str = "You don't have permission to access the S3 bucket for CloudFront logs: logs.s3.amazonaws.com If you're using IAM, you need s3:GetBucketAcl and s3:PutBucketAcl permissions to create a distribution or to update log settings for an existing distribution. In addition, the S3 ACL for the bucket must grant you FULL_CONTROL.";
    const PLAN: &str =
        "You can't change this distribution while it's subscribed to a pricing plan.";
    const ONE_CHANGE: &str = "Only one viewer certificate change may be in progress at a time.";
    const TAKEN: &str =
        "One or more of the CNAMEs you provided are already associated with a different resource.";
    const NOT_SEEN: &str = "The certificate does not exist.";
    const UPDATE: &str = "UpdateDistribution";
    const OF_TENANT: &str = "UpdateDistributionTenant";
    const SECTION: &str = "see \"Side permissions of UpdateDistribution\" in docs/deployment.md.";
    for (operation, status, code, message, expected, missing) in [
        (UPDATE, 404, "NoSuchDistribution", "gone", Ok("gone"), ""),
        (UPDATE, 400, "InvalidIfMatchVersion", "stale", Err("TargetChanged"), ""),
        // Seen from DeleteDistribution; an update may be refused in the same way.
        (UPDATE, 412, "PreconditionFailed", PLAN, Err("TargetChanged"), ""),
        (UPDATE, 400, "IllegalUpdate", ONE_CHANGE, Err("CertificateChangeInProgress"), ""),
        (UPDATE, 409, "CNAMEAlreadyExists", TAKEN, Err("Refused"), ""),
        (UPDATE, 400, "InvalidWebACLId", "no such ACL", Err("Refused"), ""),
        (UPDATE, 403, "AccessDenied", "not you", Err("AccessDenied"), ""),
        (UPDATE, 503, "ServiceUnavailable", "later", Err("Unavailable"), ""),
        (UPDATE, 400, "Throttling", "Rate exceeded", Err("Throttled"), ""),
        (UPDATE, 404, "EntityNotFound", "no such list", Err("Refused"), ""),
        (UPDATE, 400, "InvalidWebACLId", NO_ACL, Err("Refused"), SECTION),
        (UPDATE, 403, "AccessDenied", NO_LOGS, Err("AccessDenied"), SECTION),
        (UPDATE, 403, "AccessDenied", NO_GET_VPC_ORIGIN, Err("AccessDenied"), SECTION),
        (OF_TENANT, 400, "InvalidArgument", NOT_SEEN, Err("CertificateNotAccepted"), ""),
        (OF_TENANT, 404, "EntityNotFound", NOT_SEEN, Err("CertificateNotAccepted"), ""),
        (OF_TENANT, 400, "InvalidArgument", "no such parameter", Err("Refused"), ""),
        // The tenant still exists.
        (OF_TENANT, 404, "EntityNotFound", "no such group", Err("Refused"), ""),
        (OF_TENANT, 412, "PreconditionFailed", "stale", Err("TargetChanged"), ""),
    ] {
        let (rig, state) = imported().await;
        rig.fail(operation, Kind::Answer(status, code, message));
        let target = if operation == UPDATE { distribution("E1") } else { tenant() };
        let input = child(&state, &target);
        match expected {
            Ok(status) => assert_eq!(update(&rig, &state, target).await, status),
            Err(name) => {
                let (error, cause) = rig.refuse("update-distribution", &input).await;
                assert_eq!(error, name, "{cause}");
                assert!(cause.contains(message), "AWS's words are passed on: {cause}");
                assert!(cause.ends_with(missing), "{cause}");
                let is_told = cause.contains("The missing permission is ");
                assert_eq!(is_told, !missing.is_empty(), "{cause}");
            }
        }
    }
}

/// With `continue` failed targets stop nothing, until they are the majority.
#[tokio::test(start_paused = true)]
async fn s2_the_others_go_on_unless_most_fail() {
    let (account, _) = Account::with_old_in(Store::Acm);
    let rig = Rig::new(account).await;
    let state = rig.imported(json!({"onFailure": "continue"})).await;
    let end = async |id: &str, failed: bool| {
        let mut ended = child(&state, &distribution(id));
        if failed {
            ended["failure"] = json!({"Error": "Refused", "Cause": "no"});
        }
        rig.succeed("record-target", &ended).await;
    };
    for (id, failed, expected) in [
        ("E11", true, "moving"),
        ("E12", true, "moving"),
        ("E13", true, "notBegun"),
        ("E14", false, "notBegun"),
        ("E15", false, "notBegun"),
        ("E16", false, "moving"),
    ] {
        end(id, failed).await;
        let before = rig.account();
        assert_eq!(update(&rig, &state, distribution("E1")).await, expected, "{id}");
        rig.reset(&before);
    }
    // An operator stops it.
    let stop = format!("{}halt/stop.json", state["plan"]["folder"]["prefix"].as_str().unwrap());
    rig.change(|account| drop(account.objects.insert(format!("{BUCKET}/{stop}"), "{}".into())));
    assert_eq!(update(&rig, &state, distribution("E1")).await, "notBegun");
}

/// A target may change in any way between plan and move: it is moved, drifted or gone, at its update
/// and at the poll of its deployment, and the review counts it as no failure.
#[tokio::test(start_paused = true)]
async fn a_target_that_changes_after_the_plan_fails_nothing() {
    /// Cuts out an element, or puts `with` in its place.
    fn cut(text: &mut String, name: &str, with: &str) {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let from = text.find(&open).expect(name);
        let to = text.find(&close).expect(name) + close.len();
        text.replace_range(from..to, with);
    }
    const DEFAULT: &str = "<ViewerCertificate><CloudFrontDefaultCertificate>true</CloudFrontDefaultCertificate><MinimumProtocolVersion>TLSv1</MinimumProtocolVersion><CertificateSource>cloudfront</CertificateSource></ViewerCertificate>";
    type Change = fn(&mut Account);
    let changes: [(&str, Change, &str); 12] = [
        ("E1", |a| cut(&mut a.distribution("E1").config, "ViewerCertificate", DEFAULT), "drifted"),
        ("E1", |a| cut(&mut a.distribution("E1").config, "ViewerCertificate", ""), "drifted"),
        ("E1", |a| drop(a.distributions.remove("E1")), "gone"),
        ("E1", |a| cut(&mut a.distribution("E1").config, "Aliases", ""), "moving"),
        (
            "E1",
            |a| cut(&mut a.distribution("E1").config, "Enabled", "<Enabled>false</Enabled>"),
            "moving",
        ),
        (
            "E1",
            |a| cut(&mut a.distribution("E1").config, "SSLSupportMethod", DEDICATED_IP),
            "moving",
        ),
        ("dt_1", |a| drop(a.tenants.remove("dt_1")), "gone"),
        (
            "dt_1",
            |a| cut(&mut a.tenants.get_mut("dt_1").unwrap().body, "Customizations", ""),
            "drifted",
        ),
        (
            "dt_1",
            |a| cut(&mut a.tenants.get_mut("dt_1").unwrap().body, "Certificate", ""),
            "drifted",
        ),
        ("dt_1", |a| cut(&mut a.tenants.get_mut("dt_1").unwrap().body, "Domains", ""), "moving"),
        (
            "dt_1",
            |a| {
                let body = &mut a.tenants.get_mut("dt_1").unwrap().body;
                cut(body, "Enabled", "<Enabled>false</Enabled>");
            },
            "moving",
        ),
        ("E4", |a| drop(a.distributions.remove("E4")), "gone"),
    ];
    for (number, (target, change, expected)) in changes.into_iter().enumerate() {
        let case = format!("change {number} of {target}");
        let kind = if target.starts_with("dt") { "tenant" } else { "distribution" };
        let target = json!({"kind": kind, "id": target, "serves": "old"});
        let (rig, state) = imported().await;
        rig.change(change);
        assert_eq!(update(&rig, &state, target.clone()).await, expected, "{case}");

        // The same after its update.
        let (rig, state) = imported().await;
        let mut input = child(&state, &target);
        input["update"] = rig.succeed("update-distribution", &input).await;
        rig.change(change);
        rig.change(|account| {
            account.distributions.values_mut().for_each(|one| one.reads_until_deployed = 0);
            account.tenants.values_mut().for_each(|one| one.reads_until_deployed = 0);
        });
        input["deployment"] = rig.succeed("poll-deployment", &input).await;
        let polled = if expected == "moving" { "Deployed" } else { expected };
        assert_eq!(input["deployment"]["status"], polled, "{case}");
        if polled == "Deployed" {
            input["verification"] = rig.succeed("verify-viewers", &input).await;
        }
        rig.succeed("record-target", &input).await;
        for other in rig.targets(&state) {
            if other["id"] != target["id"] {
                rig.succeed("update-distribution", &child(&state, &other)).await;
            }
        }
        let review = rig.succeed("review-targets", &state).await;
        assert_eq!(review["next"], "complete", "{case}: {review}");
    }
}
