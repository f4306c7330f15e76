//! `poll-deployment` reads one target once, and returns whether it is `Deployed` with the
//! certificate that it was given.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::account::now;
use crate::harness::rig::{Rig, child};
use crate::steps::update_distribution::{distribution, imported, tenant, update};

fn deployment(state: &Value, target: &Value, minutes_ago: i64) -> Value {
    let mut input = child(state, target);
    let since = now() - SignedDuration::from_mins(minutes_ago);
    input["update"] = json!({"status": "moving", "since": since});
    input
}

async fn poll(rig: &Rig, input: &Value) -> String {
    let before = rig.calls().len();
    let output = rig.succeed("poll-deployment", input).await;
    assert_eq!(rig.calls().len(), before + 1, "one look");
    output["status"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn in_progress_until_it_is_deployed() {
    for target in [distribution("E1"), tenant()] {
        let (rig, state) = imported().await;
        rig.change(|account| account.reads_until_deployed = 2);
        update(&rig, &state, target.clone()).await;
        let input = deployment(&state, &target, 1);
        for expected in ["InProgress", "InProgress", "Deployed", "Deployed"] {
            assert_eq!(poll(&rig, &input).await, expected);
        }
    }
}

/// `Deployed` together with the old certificate is the state before the update.
#[tokio::test(start_paused = true)]
async fn polling_reports_the_state_of_the_target() {
    for target in [distribution("E1"), tenant()] {
        let (rig, state) = imported().await;
        assert_eq!(poll(&rig, &deployment(&state, &target, 1)).await, "InProgress");
        let stalled = rig.refuse("poll-deployment", &deployment(&state, &target, 91)).await;
        assert_eq!(stalled.0, "DeploymentStalled");
        assert!(stalled.1.contains("90 minutes"), "{}", stalled.1);

        rig.change(|account| account.reads_until_deployed = 1);
        update(&rig, &state, target.clone()).await;
        let late = deployment(&state, &target, 91);
        assert_eq!(rig.refuse("poll-deployment", &late).await.0, "DeploymentStalled");
        assert_eq!(poll(&rig, &late).await, "Deployed");

        let mut elsewhere = deployment(&state, &target, 1);
        elsewhere["to"] = json!({"store": "acm", "arn": "another"});
        assert_eq!(poll(&rig, &elsewhere).await, "drifted");
        rig.change(|account| {
            account.distributions.clear();
            account.tenants.clear();
        });
        assert_eq!(poll(&rig, &deployment(&state, &target, 1)).await, "gone");
    }
}
