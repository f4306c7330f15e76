//! `record-target` writes how a target ended; the record of a failure stops the targets after it.

use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::{Account, assert_same};
use crate::harness::rig::{Rig, child};
use crate::steps::update_distribution::{distribution, imported, tenant, update};

/// Once a target has failed no other is started. The halt note is idempotent.
#[tokio::test(start_paused = true)]
async fn after_a_failure_no_further_target_is_started() {
    let (rig, state) = imported().await;
    for target in [tenant(), distribution("E2")] {
        let mut failed = child(&state, &target);
        failed["failure"] = json!({
            "Error": "DeploymentStalled",
            "Cause": json!({"errorType": "DeploymentStalled", "errorMessage": "not in time"}).to_string(),
        });
        assert_eq!(
            rig.succeed("record-target", &failed).await,
            json!({"putBack": false, "before": {"wrong": []}})
        );
        let once = rig.account();
        assert_eq!(
            rig.succeed("record-target", &failed).await,
            json!({"putBack": false, "before": {"wrong": []}})
        );
        assert_same(&once, &rig.account(), "the same note");
    }
    let folder = state["plan"]["folder"]["prefix"].as_str().unwrap();
    assert_eq!(
        rig.object(&format!("{folder}halt/tenant-dt_1.json")),
        json!({"target": {"kind": "tenant", "id": "dt_1"}, "error": "DeploymentStalled", "cause": "not in time"})
    );
    rig.object(&format!("{folder}halt/distribution-E2.json"));
    let before = rig.account();
    for target in [distribution("E1"), distribution("E2"), tenant()] {
        assert_eq!(update(&rig, &state, target).await, "notBegun");
    }
    assert_same(&before, &rig.account(), "nothing is written");
    // A halt note in the folder of another rotation does not count.
    rig.change(|account| {
        let moved = account.folder().map(|(k, v)| (k.replace("autumn", "winter"), v.clone()));
        account.objects = moved.collect();
    });
    assert_eq!(update(&rig, &state, distribution("E1")).await, "moving");
}

/// With `continue` a failed target is put back at once, if something can be put back.
#[tokio::test(start_paused = true)]
async fn s2_a_failed_target_is_put_back_while_the_others_go_on() {
    let (account, _) = Account::with_old_in(Store::Acm);
    let mut rig = Rig::new(account).await;
    let check = async |rig: &Rig, request: Value, failed: bool, expected: bool| {
        let state = rig.imported(request).await;
        let mut ended = child(&state, &distribution("E1"));
        if failed {
            ended["failure"] = json!({"Error": "DeploymentStalled", "Cause": "not in time"});
        }
        let output = rig.succeed("record-target", &ended).await;
        assert_eq!(output, json!({"putBack": expected, "before": {"wrong": []}}), "{state}");
    };
    check(&rig, json!({"onFailure": "continue"}), true, true).await;
    check(&rig, json!({"onFailure": "continue"}), false, false).await;
    check(&rig, json!({"onFailure": "stop"}), true, false).await;
    check(&rig, json!({}), true, false).await;
    rig.context.now = || "2026-12-15T00:00:00Z".parse().unwrap();
    check(&rig, json!({"onFailure": "continue"}), true, false).await;
    check(&rig, json!({}), true, false).await;
}
