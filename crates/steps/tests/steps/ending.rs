//! How a rotation ends: `review-targets`, `delete-certificate`, `report-rotation`.

use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::account::{ACCOUNT, Account, now};
use crate::certificates::certificates;
use crate::fake_aws::Kind;
use crate::rig::{Rig, child, id, start};

const ELB: &str =
    "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/www/50dc6c495c0c9188";

async fn moved(account: Account) -> (Rig, Value) {
    let rig = Rig::new(account).await;
    let state = rig.moved(json!({})).await;
    (rig, state)
}

#[tokio::test(start_paused = true)]
async fn every_target_arrived() {
    let (mut account, _) = Account::with_tenants();
    let new = account.put_acm(&certificates().new, &[]);
    account.add("E5", &new, &["www.example.com"], "");
    let (rig, state) = moved(account).await;
    let review = rig.succeed("review-targets", &state).await;
    assert_eq!(
        review,
        json!({"next": "complete", "counts": {"total": 5, "updated": 4, "alreadyCurrent": 1, "drifted": 0, "gone": 0, "failed": 0}})
    );
}

/// Counts are what is true in CloudFront now, whatever the steps have said.
#[tokio::test(start_paused = true)]
async fn where_targets_can_stand() {
    let counts = async |rig: &Rig, state: &Value| {
        let review = rig.succeed("review-targets", state).await;
        let count = |name: &str| review["counts"][name].as_u64().unwrap();
        let counts = [count("updated"), count("drifted"), count("gone"), count("failed")];
        (counts, review)
    };
    let (rig, state) = moved(Account::with_tenants().0).await;
    let new = state["newCertificate"]["id"]["arn"].as_str().unwrap().to_owned();
    // A tenant with a third certificate is in no list, and is asked for by its id.
    rig.change(|account| {
        let third = account.put_acm(&certificates().other, &[]);
        for text in [
            &mut account.distributions.get_mut("E1").unwrap().config,
            &mut account.tenants.get_mut("dt_1").unwrap().body,
        ] {
            *text = text.replace(&new, third.id());
        }
        account.distributions.remove("E2");
    });
    let (now, review) = counts(&rig, &state).await;
    assert_eq!((now, &review["next"]), ([1, 2, 1, 0], &json!("complete")));

    let rig = Rig::new(Account::with_tenants().0).await;
    let state = rig.imported(json!({"onFailure": "stop"})).await;
    let target = json!({"kind": "distribution", "id": "E1", "serves": "old"});
    rig.succeed("update-distribution", &child(&state, &target)).await;
    let (now, review) = counts(&rig, &state).await;
    assert_eq!((now, &review["next"]), ([1, 0, 0, 3], &json!("incomplete")));
    let cause = review["cause"].as_str().unwrap();
    assert!(cause.contains("1 of 4 targets serve the new certificate"), "{cause}");
    assert!(cause.contains("Still on the old certificate: distribution E2"), "{cause}");

    // One that failed has failed, whatever it serves, and its words are passed on.
    let mut failed = child(&state, &target);
    failed["failure"] = json!({"Error": "DeploymentStalled", "Cause": "not in time"});
    rig.succeed("record-target", &failed).await;
    let (now, review) = counts(&rig, &state).await;
    assert_eq!(now, [0, 0, 0, 4]);
    let cause = review["cause"].as_str().unwrap();
    assert!(
        cause.contains("distribution E1 failed with DeploymentStalled: not in time"),
        "{cause}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_map_that_failed_is_not_complete() {
    let (rig, mut state) = moved(Account::with_tenants().0).await;
    state["failure"] =
        json!({"Error": "States.ExceedToleratedFailureThreshold", "Cause": "too many"});
    let review = rig.succeed("review-targets", &state).await;
    assert_eq!(review["next"], "rollBack");
    let cause = review["cause"].as_str().unwrap();
    assert!(cause.contains("ExceedToleratedFailureThreshold: too many"), "{cause}");
}

/// A target that failed, with another one moved before it.
async fn failed_after_a_move(request: Value) -> (Rig, Value) {
    let rig = Rig::new(Account::with_old_in(Store::Acm).0).await;
    let state = rig.imported(request).await;
    let target = |id| json!({"kind": "distribution", "id": id, "serves": "old"});
    let moved = child(&state, &target("E1"));
    rig.succeed("update-distribution", &moved).await;
    rig.succeed("record-target", &moved).await;
    let mut failed = child(&state, &target("E2"));
    failed["failure"] = json!({"Error": "Refused", "Cause": "no"});
    rig.succeed("record-target", &failed).await;
    (rig, state)
}

#[tokio::test(start_paused = true)]
async fn what_follows_from_a_failure() {
    let (rig, state) = failed_after_a_move(json!({})).await;
    let review = rig.succeed("review-targets", &state).await;
    assert_eq!(review["next"], "rollBack");
    let lane = rig.object(review["waves"][0][0].as_str().unwrap());
    assert_eq!(lane, json!([{"kind": "distribution", "id": "E1", "serves": "new"}]));

    let (rig, state) = failed_after_a_move(json!({"onFailure": "stop"})).await;
    let review = rig.succeed("review-targets", &state).await;
    assert_eq!((&review["next"], &review["waves"]), (&json!("incomplete"), &Value::Null));
    assert!(review["cause"].as_str().unwrap().contains("since onFailure is stop"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_put_back_to_a_certificate_that_has_expired() {
    let (mut rig, state) = failed_after_a_move(json!({})).await;
    rig.context.now = || "2026-12-15T00:00:00Z".parse().unwrap();
    let review = rig.succeed("review-targets", &state).await;
    assert_eq!((&review["next"], &review["waves"]), (&json!("incomplete"), &Value::Null));
    let cause = review["cause"].as_str().unwrap();
    assert!(cause.contains("the old certificate has expired"), "{cause}");
    rig.context.now = || "2026-12-14T23:59:59Z".parse().unwrap();
    assert_eq!(rig.succeed("review-targets", &state).await["next"], "rollBack");
}

#[tokio::test(start_paused = true)]
async fn the_old_certificate_is_deleted_once_nothing_uses_it() {
    for store in [Store::Acm, Store::Iam] {
        let (account, old) = Account::with_old_in(store);
        let (rig, state) = moved(account).await;
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

/// What becomes of a deletion that has to be left, with these words for a reason; and nothing is deleted.
async fn check(store: Store, change: impl FnOnce(&mut Account, &Value), name: &str, told: &str) {
    let (account, old) = Account::with_old_in(store);
    let (rig, state) = moved(account).await;
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
async fn what_is_used_is_kept() {
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

/// Attached between the look and the deletion: the store itself refuses.
#[tokio::test(start_paused = true)]
async fn the_store_has_the_last_word() {
    for (store, operation, code) in [
        (Store::Acm, "DeleteCertificate", "ResourceInUseException"),
        (Store::Iam, "DeleteServerCertificate", "DeleteConflict"),
    ] {
        let (rig, state) = moved(Account::with_old_in(store).0).await;
        rig.fail(operation, Kind::Answer(409, code, "in use"));
        let (name, cause) = rig.refuse("delete-certificate", &state).await;
        assert_eq!(name, "CertificateInUse");
        assert!(cause.contains("in use"), "{cause}");
    }
}

/// What the folder says of the end, which is what the execution ends with.
async fn report(rig: &Rig, state: &Value) -> Value {
    let ended = rig.step("report-rotation", state).await;
    let report = rig.object("rotations/autumn/20261123T110000Z/report.json");
    match ended {
        Ok(output) => {
            assert_eq!((&output["again"], &report["succeeded"]), (&json!(false), &json!(true)));
            assert_eq!(report["output"], output["output"]);
        }
        Err(error) => {
            assert_eq!(report["succeeded"], false);
            assert_eq!(report["error"], error.name());
            assert_eq!(report["cause"], error.to_string());
        }
    }
    report
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_did_its_work() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let (rig, mut state) = moved(account).await;
    state["review"] = rig.succeed("review-targets", &state).await;
    let kept = report(&rig, &state).await;
    assert_eq!(kept["output"]["oldCertificate"]["deleted"], false);

    let mut not_deleted = state.clone();
    let cause =
        json!({"errorType": "CertificateInUse", "errorMessage": "it is in use"}).to_string();
    not_deleted["deletionFailure"] = json!({"Error": "CertificateInUse", "Cause": cause});
    let reported = report(&rig, &not_deleted).await;
    assert_eq!(reported["succeeded"], true);
    assert_eq!(reported["output"]["oldCertificate"]["reason"], "it is in use");
    not_deleted["deletionFailure"] = json!({"Error": "Lambda.Unknown", "Cause": ""});
    let reported = report(&rig, &not_deleted).await;
    let reason = reported["output"]["oldCertificate"]["reason"].as_str().unwrap();
    assert_eq!(
        reason,
        "the outcome of the deletion is unknown: the function failed with Lambda.Unknown"
    );

    state["deletion"] = json!({"deleted": false, "reason": "a load balancer"});
    let reported = report(&rig, &state).await;
    assert_eq!(reported["output"]["oldCertificate"]["reason"], "a load balancer");

    state["deletion"] = rig.succeed("delete-certificate", &state).await;
    let plan = &state["plan"];
    assert_eq!(
        report(&rig, &state).await["output"],
        json!({
            "outcome": "rotated",
            "oldCertificate": {
                "id": old.id(), "deleted": true,
                "fingerprint": plan["oldCertificate"]["fingerprint"], "notAfter": "2026-12-15T00:00:00Z",
            },
            "newCertificate": {
                "id": state["newCertificate"]["id"]["arn"], "imported": true,
                "fingerprint": plan["newCertificate"]["fingerprint"], "notAfter": "2027-11-01T00:00:00Z",
            },
            "targets": {"total": 2, "updated": 2, "alreadyCurrent": 0, "drifted": 0, "gone": 0, "failed": 0},
            "plan": "s3://rotation-bucket/rotations/autumn/20261123T110000Z/plan.json",
            "notes": [],
        })
    );
    // The same input again: nothing is left to do.
    let again = rig.planned(json!({})).await;
    let reported = report(&rig, &again).await;
    assert_eq!(reported["output"]["outcome"], "nothingToDo");
    assert_eq!(reported["output"]["oldCertificate"]["deleted"], true);
    assert_eq!(reported["output"]["oldCertificate"]["id"], old.id());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run() {
    let rig = Rig::new(Account::with_old_in(Store::Acm).0).await;
    let state = rig.planned(json!({"dryRun": true})).await;
    let reported = report(&rig, &state).await;
    assert_eq!(reported["output"]["outcome"], "planned");
    assert_eq!(reported["output"]["newCertificate"]["id"], Value::Null);
    assert_eq!(reported["output"]["targets"]["total"], 2);
}

/// Each of the contract's names passes through; anything else is a rotation that did not get to its end.
#[tokio::test(start_paused = true)]
async fn a_rotation_that_failed() {
    let rig = Rig::new(Account::with_old_in(Store::Acm).0).await;
    let imported = rig.imported(json!({"onFailure": "stop"})).await;
    let mut planned = imported.clone();
    planned.as_object_mut().unwrap().remove("newCertificate");
    let begun = start(json!({}));
    let fail = async |state: &Value, error: &str| {
        let mut state = state.clone();
        let cause = json!({"errorType": error, "errorMessage": "told so"}).to_string();
        state["failure"] = json!({"Error": error, "Cause": cause});
        let reported = report(&rig, &state).await;
        assert_eq!(reported["succeeded"], false);
        (
            reported["error"].as_str().unwrap().to_owned(),
            reported["cause"].as_str().unwrap().to_owned(),
        )
    };
    for name in
        ["RequestInvalid", "SourceUnreadable", "AliasNotCovered", "QuotaDenied", "AlreadyRunning"]
    {
        assert_eq!(fail(&begun, name).await, (name.to_owned(), "told so".to_owned()));
    }
    for (state, told) in [
        (&begun, "Nothing was changed."),
        (&planned, "No target was changed"),
        (&imported, "The new certificate is in its store as arn:aws:acm"),
    ] {
        let (error, cause) = fail(state, "AccessDenied").await;
        assert_eq!(error, "RotationIncomplete");
        assert!(cause.starts_with("AccessDenied: told so\n") && cause.contains(told), "{cause}");
    }
    let mut reviewed = imported.clone();
    reviewed["review"] = rig.succeed("review-targets", &reviewed).await;
    let reported = report(&rig, &reviewed).await;
    assert_eq!(reported["error"], "RotationIncomplete");
    assert_eq!(reported["cause"], reviewed["review"]["cause"]);
}

/// States that the state machine cannot come to.
#[tokio::test(start_paused = true)]
async fn a_state_that_fits_no_ending() {
    let rig = Rig::new(Account::with_old_in(Store::Acm).0).await;
    let planned = rig.planned(json!({})).await;
    for state in [start(json!({})), planned] {
        assert_eq!(rig.refuse("report-rotation", &state).await.0, "Internal");
    }
}

/// The last step once more, when its report could not be written: it fails under an ending whatever it is given, and
/// asks nobody.
#[tokio::test(start_paused = true)]
async fn without_a_report_there_is_an_ending_all_the_same() {
    let rig = Rig::new(Account::with_old_in(Store::Acm).0).await;
    let planned = rig.planned(json!({})).await;
    let mut no_plan = planned.clone();
    no_plan["plan"] = json!({"outcome": "unheard of"});
    rig.fake.with(|world| world.calls.clear());
    for (state, told) in [
        (planned, "a rotation ended without a review"),
        (start(json!({})), "a rotation ended without a plan or an error"),
        (no_plan, "the state does not parse"),
        (json!({}), "the state does not parse"),
    ] {
        let mut state = state;
        assert_eq!(rig.refuse("report-rotation", &state).await.0, "Internal");
        state["reportFailure"] = json!({"Error": "Internal", "Cause": "told so"});
        let (name, cause) = rig.refuse("report-rotation", &state).await;
        assert_eq!(name, "RotationIncomplete");
        assert!(
            cause.contains("The report could not be written") && cause.contains(told),
            "{cause}"
        );
        // Redriven it begins anew.
        state["redriveCount"] = 1.into();
        assert_eq!(rig.succeed("report-rotation", &state).await["again"], true);
    }
    assert_eq!(rig.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_without_service_quotas_is_in_the_output() {
    let (rig, mut state) = moved(Account::with_old_in(Store::Acm).0).await;
    state["quota"] = json!({"status": "sufficient", "quotas": [], "note": "told so"});
    state["review"] = rig.succeed("review-targets", &state).await;
    let reported = report(&rig, &state).await;
    assert_eq!(reported["output"]["notes"], json!(["told so"]));
    assert_eq!(reported["plan"]["notes"], json!(["told so"]));
    // It was redriven in the middle of its way, and has reached its goal.
    state["redriveCount"] = 1.into();
    assert_eq!(rig.succeed("report-rotation", &state).await["again"], false);
    // It failed, and begins anew.
    state["review"]["next"] = "incomplete".into();
    assert_eq!(rig.succeed("report-rotation", &state).await["again"], true);
}
