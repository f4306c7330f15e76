//! `report-rotation` records how a rotation ended, in the report and as the result of the
//! execution.

use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::Account;
use crate::harness::rig::{Rig, moved, start};

/// The ending in the folder, which must be that of the execution.
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
async fn a_rotation_that_succeeded() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let (rig, mut state) = moved(account, json!({})).await;
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
            "targets": {"total": 2, "updated": 2, "alreadyCurrent": 0, "drifted": 0, "gone": 0, "failed": 0, "excluded": 0},
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

/// Each ending of the contract is kept; any other error means that the rotation is incomplete.
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

/// States that the state machine cannot produce.
#[tokio::test(start_paused = true)]
async fn a_state_that_fits_no_ending() {
    let rig = Rig::new(Account::with_old_in(Store::Acm).0).await;
    let planned = rig.planned(json!({})).await;
    for state in [start(json!({})), planned] {
        assert_eq!(rig.refuse("report-rotation", &state).await.0, "Internal");
    }
}

/// The last step runs again because its report could not be written: it fails with an ending
/// whatever its input, and makes no AWS call.
#[tokio::test(start_paused = true)]
async fn a_rotation_without_a_report_still_has_an_ending() {
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
        // A redrive starts over.
        state["redriveCount"] = 1.into();
        assert_eq!(rig.succeed("report-rotation", &state).await["again"], true);
    }
    assert_eq!(rig.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_service_quotas_is_noted_in_the_output() {
    let (rig, mut state) = moved(Account::with_old_in(Store::Acm).0, json!({})).await;
    state["quota"] = json!({"status": "sufficient", "quotas": [], "notes": ["told so"]});
    state["review"] = rig.succeed("review-targets", &state).await;
    let reported = report(&rig, &state).await;
    assert_eq!(reported["output"]["notes"], json!(["told so"]));
    assert_eq!(reported["plan"]["notes"], json!(["told so"]));
    // It was redriven halfway, and has succeeded.
    state["redriveCount"] = 1.into();
    assert_eq!(rig.succeed("report-rotation", &state).await["again"], false);
    // It failed, and starts over.
    state["review"]["next"] = "incomplete".into();
    assert_eq!(rig.succeed("report-rotation", &state).await["again"], true);
}
