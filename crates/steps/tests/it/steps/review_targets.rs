//! `review-targets` reads every target again, counts, and decides what follows.

use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::Account;
use crate::harness::certificates::certificates;
use crate::harness::rig::{Rig, child, moved};

#[tokio::test(start_paused = true)]
async fn all_targets_serve_the_new_certificate() {
    let (mut account, _) = Account::with_tenants();
    let new = account.put_acm(&certificates().new, &[]);
    account.add("E5", &new, &["www.example.com"], "");
    let (rig, state) = moved(account, json!({})).await;
    let review = rig.succeed("review-targets", &state).await;
    assert_eq!(
        review,
        json!({"next": "complete", "counts": {"total": 5, "updated": 4, "alreadyCurrent": 1, "drifted": 0, "gone": 0, "failed": 0, "excluded": 0}})
    );
}

/// Counts show the current state in CloudFront, whatever the steps have reported.
#[tokio::test(start_paused = true)]
async fn counts_of_every_target_state() {
    let counts = async |rig: &Rig, state: &Value| {
        let review = rig.succeed("review-targets", state).await;
        let count = |name: &str| review["counts"][name].as_u64().unwrap();
        let counts = [count("updated"), count("drifted"), count("gone"), count("failed")];
        (counts, review)
    };
    let (rig, state) = moved(Account::with_tenants().0, json!({})).await;
    let new = state["newCertificate"]["id"]["arn"].as_str().unwrap().to_owned();
    // A tenant with a third certificate is in no list, and is read by its id.
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

    // A failed target counts as failed whatever it serves, and its message is in the cause.
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
    let (rig, mut state) = moved(Account::with_tenants().0, json!({})).await;
    state["failure"] =
        json!({"Error": "States.ExceedToleratedFailureThreshold", "Cause": "too many"});
    let review = rig.succeed("review-targets", &state).await;
    assert_eq!(review["next"], "rollBack");
    let cause = review["cause"].as_str().unwrap();
    assert!(cause.contains("ExceedToleratedFailureThreshold: too many"), "{cause}");
}

/// A failed target, with another one moved before it.
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
async fn decisions_after_a_failure() {
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
async fn no_target_is_restored_to_an_expired_certificate() {
    let (mut rig, state) = failed_after_a_move(json!({})).await;
    rig.context.now = || "2026-12-15T00:00:00Z".parse().unwrap();
    let review = rig.succeed("review-targets", &state).await;
    assert_eq!((&review["next"], &review["waves"]), (&json!("incomplete"), &Value::Null));
    let cause = review["cause"].as_str().unwrap();
    assert!(cause.contains("the old certificate has expired"), "{cause}");
    rig.context.now = || "2026-12-14T23:59:59Z".parse().unwrap();
    assert_eq!(rig.succeed("review-targets", &state).await["next"], "rollBack");
}
