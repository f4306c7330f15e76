//! `delete-certificate` deletes the old certificate if nothing uses it, and otherwise returns the
//! use.

use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::{ACCOUNT, Account, now};
use crate::harness::certificates::certificates;
use crate::harness::fake_aws::Kind;
use crate::harness::rig::{id, moved};

const ELB: &str =
    "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/www/50dc6c495c0c9188";

#[tokio::test(start_paused = true)]
async fn the_old_certificate_is_deleted_once_nothing_uses_it() {
    for store in [Store::Acm, Store::Iam] {
        let (account, old) = Account::with_old_in(store);
        let (rig, state) = moved(account, json!({})).await;
        for _ in 0..2 {
            let output = rig.succeed("delete-certificate", &state).await;
            let evidence = json!({
                "at": now(), "distributions": 3, "tenants": 0, "serving": [], "deploying": [],
                "inUseBy": [],
            });
            assert_eq!(output, json!({"deleted": true, "evidence": evidence}));
        }
        let after = rig.account();
        assert!(!after.has(&old));
        assert_eq!(after.deletions, 1);
    }
}

/// Expects that nothing is deleted, with this error or reason.
async fn check(store: Store, change: impl FnOnce(&mut Account, &Value), name: &str, told: &str) {
    let (account, old) = Account::with_old_in(store);
    let (rig, state) = moved(account, json!({})).await;
    rig.change(|account| change(account, &state));
    let (got, reason) = match rig.step("delete-certificate", &state).await {
        Ok(output) => {
            assert_eq!(output["deleted"], false);
            ("kept", output["reason"].as_str().unwrap().to_owned())
        }
        Err(error) => (error.name(), error.to_string()),
    };
    assert_eq!(got, name, "{reason}");
    assert!(reason.contains(told), "{told}: {reason}");
    assert!(rig.account().has(&old) && rig.account().deletions == 0);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_in_use_is_kept() {
    let old = |state: &Value| id(&state["plan"]["oldCertificate"]["id"]);
    for store in [Store::Acm, Store::Iam] {
        let load_balancer = |account: &mut Account, state: &Value| {
            account.stored_mut(&old(state)).held_by.push(ELB.to_owned());
        };
        check(store, load_balancer, "kept", ELB).await;
        let since_the_plan = |account: &mut Account, state: &Value| {
            account.add("E8", &old(state), &["www.example.com"], "");
        };
        check(store, since_the_plan, "kept", "still served by distribution E8").await;
        let moved_back = |account: &mut Account, state: &Value| {
            account.add("E1", &old(state), &["www.example.com"], "");
        };
        check(store, moved_back, "CertificateInUse", "still served by distribution E1").await;
        let deploying = |account: &mut Account, _: &Value| {
            account.distribution("E2").reads_until_deployed = 1;
        };
        check(store, deploying, "CertificateInUse", "distribution E2 not Deployed").await;
        let lag = |account: &mut Account, state: &Value| {
            let arn = format!("arn:aws:cloudfront::{ACCOUNT}:distribution/E1");
            account.stored_mut(&old(state)).held_by.push(arn);
        };
        check(store, lag, "CertificateInUse", "distribution/E1").await;
    }
    let of_aws = |account: &mut Account, state: &Value| {
        let arn = "arn:aws:cloudfront::969236854626:distribution/E9";
        account.stored_mut(&old(state)).held_by.push(arn.to_owned());
    };
    check(Store::Acm, of_aws, "kept", "969236854626").await;
}

/// A use that begins between the read and the deletion: the store itself refuses.
#[tokio::test(start_paused = true)]
async fn the_store_may_refuse_the_deletion() {
    for (store, operation, code) in [
        (Store::Acm, "DeleteCertificate", "ResourceInUseException"),
        (Store::Iam, "DeleteServerCertificate", "DeleteConflict"),
    ] {
        let (rig, state) = moved(Account::with_old_in(store).0, json!({})).await;
        rig.fail(operation, Kind::Answer(409, code, "in use"));
        let (name, cause) = rig.refuse("delete-certificate", &state).await;
        assert_eq!(name, "CertificateInUse");
        assert!(cause.contains("in use"), "{cause}");
    }
}

/// Case S40: a pipeline imports into a fixed ARN while the rotation runs.
#[tokio::test(start_paused = true)]
async fn a_certificate_that_was_reimported_is_kept() {
    let reimport = |account: &mut Account, state: &Value| {
        account.stored_mut(&id(&state["plan"]["oldCertificate"]["id"])).pem =
            certificates().other.pem.clone();
    };
    check(Store::Acm, reimport, "kept", "imported another certificate into it").await;
}
