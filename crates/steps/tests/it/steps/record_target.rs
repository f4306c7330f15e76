//! `record-target` writes how a target ended; the record of a failure stops the targets after it.

use serde_json::json;

use crate::harness::account::assert_same;
use crate::harness::rig::child;
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
        assert_eq!(rig.succeed("record-target", &failed).await, json!({}));
        let once = rig.account();
        assert_eq!(rig.succeed("record-target", &failed).await, json!({}));
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
