//! Whole rotations that record each step: its input, its calls, its output.

use jiff::SignedDuration;
use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::{Account, BUCKET, DEDICATED_IP, Execution, POLICY, now};
use crate::harness::certificates::certificates;
use crate::harness::fake_aws::Call;
use crate::harness::rig::{EXECUTION, Rig, back, child, forward};

/// A step that succeeded without faults.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) step: &'static str,
    pub(crate) before: Account,
    pub(crate) input: Value,
    pub(crate) output: Value,
    pub(crate) after: Account,
    pub(crate) calls: Vec<Call>,
}

/// Rotations that together make every call.
pub(crate) fn scenarios() -> [(Account, Value); 4] {
    let (tenants, _) = Account::with_tenants();
    let (iam, old) = Account::with_old_in(Store::Iam);
    let by_id = json!({"newCertificate": "ssm:/tls/www", "oldCertificate": old.id()});
    let (mut to_iam, old) = Account::with_old_in(Store::Acm);
    to_iam.distribution("E3").config.push_str(POLICY);
    let from_object = json!({
        "newCertificate": "s3://sources/www.pem", "oldCertificate": old.arn(), "store": "iam",
        "concurrency": 2,
    });
    let (mut to_acm, old) = Account::with_old_in(Store::Iam);
    to_acm.add("E2", &old, &["www.example.com"], DEDICATED_IP);
    // One certificate is in the store already.
    to_acm.quotas.insert("L-F141DD1D".into(), (Some(1.0), None));
    to_acm.quotas.insert("L-D2CB7DE9".into(), (None, Some(2_500.0)));
    [(tenants, json!({})), (iam, by_id), (to_iam, from_object), (to_acm, json!({"store": "acm"}))]
}

struct Record {
    rig: Rig,
    done: Vec<Done>,
}

impl Record {
    async fn step(&mut self, step: &'static str, input: &Value) -> Value {
        let before = self.rig.account();
        self.rig.reset(&before);
        let output = self.rig.succeed(step, input).await;
        let (after, calls) = (self.rig.account(), self.rig.calls());
        let input = input.clone();
        self.done.push(Done { step, before, input, output: output.clone(), after, calls });
        output
    }
}

impl Record {
    /// Runs one child of RotateLane to its end.
    async fn target(&mut self, state: &Value, target: &Value) {
        let mut child = child(state, target);
        child["update"] = self.step("update-distribution", &child).await;
        self.rig.change(|account| {
            let id = target["id"].as_str().unwrap();
            let distribution = account.distributions.get_mut(id);
            let tenant = account.tenants.get_mut(id);
            let reads = distribution.map(|one| &mut one.reads_until_deployed);
            *reads.or(tenant.map(|one| &mut one.reads_until_deployed)).unwrap() = 1;
        });
        child["deployment"] = self.step("poll-deployment", &child).await;
        while child["deployment"]["status"] == "InProgress" {
            child["deployment"] = self.step("poll-deployment", &child).await;
        }
        if target["id"] == "E1" || target["kind"] == "tenant" {
            let undisturbed = self.rig.account();
            // Verifies when the target no longer exists: no handshake succeeds, and the following
            // read finds no target.
            self.rig.change(|account| {
                account.distributions.clear();
                account.tenants.clear();
            });
            assert_eq!(self.step("verify-viewers", &child).await["status"], "skipped");
            self.rig.reset(&undisturbed);
        }
        child["verification"] = self.step("verify-viewers", &child).await;
        self.step("record-target", &child).await;
    }

    /// Lets this target, which was moved, fail, and rolls back.
    async fn fail_and_roll_back(&mut self, state: &Value, target: &Value) {
        let mut state = state.clone();
        // Without a failure, each target that is not where it should be is read individually.
        self.step("review-targets", &state).await;
        let mut failed = child(&state, target);
        failed["failure"] = json!({"Error": "DeploymentStalled", "Cause": "not in time"});
        self.step("record-target", &failed).await;
        self.step("update-distribution", &failed).await;
        state["review"] = self.step("review-targets", &state).await;
        assert_eq!(state["review"]["next"], "rollBack");
        state["move"] = back(&state, 1);
        let lane = state["review"]["waves"][0][0].as_str().unwrap().to_owned();
        for target in self.rig.object(&lane).as_array().unwrap() {
            self.target(&state, target).await;
        }
        state["review"] = self.step("review-targets", &state).await;
        assert_eq!(state["review"]["next"], "rolledBack");
    }
}

/// The key of the claim on the old certificate, the first in its store.
fn claim_of(account: &Account) -> String {
    let old = certificates().old.pem.as_str();
    let arn = account.acm.iter().find(|(_, one)| one.pem == old).map(|(arn, _)| arn.as_str());
    let id = account.iam.values().find(|one| one.pem == old).map(|one| one.id.as_str());
    let id = arn.or(id).expect("an old certificate");
    format!("claims/{}.json", id.rsplit('/').next().unwrap())
}

/// Rotates like the state machine, with a failed target in between.
pub(crate) async fn rotate(account: Account, request: Value) -> Vec<Done> {
    let mut record = Record { rig: Rig::new(account).await, done: Vec::new() };
    // An old claim of another execution that has ended does not count.
    let left_by = format!("{EXECUTION}-before");
    record.rig.change(|account| {
        let ended = Execution::running(now()).is("FAILED", now(), "RolledBack", "");
        account.executions.insert(left_by.clone(), ended);
        account.objects.insert(
            format!("{BUCKET}/{}", claim_of(account)),
            json!({"execution": left_by, "name": "before", "claimedAt": now()}).to_string(),
        );
    });
    let mut state = crate::harness::rig::start(request);
    state["plan"] = record.step("plan-rotation", &state).await;
    while record.step("check-quota", &state).await["status"] == "pending" {
        record.rig.change(|account| {
            for request in &mut account.quota_requests {
                request.status = "APPROVED".into();
                account.quotas.insert(request.code.clone(), (Some(request.desired), None));
            }
        });
    }
    state["newCertificate"] = record.step("import-certificate", &state).await;
    state["move"] = forward(&state);
    for target in record.rig.targets(&state) {
        record.target(&state, &target).await;
        if target["id"] == "E1" {
            let undisturbed = record.rig.account();
            record.fail_and_roll_back(&state, &target).await;
            record.rig.reset(&undisturbed);
        }
    }
    state["review"] = record.step("review-targets", &state).await;
    // Some days later.
    let undisturbed = record.rig.account();
    let review = state["plan"]["folder"]["prefix"].as_str().unwrap().to_owned() + "review.json";
    let mut sight = record.rig.object(&review);
    sight["at"] = json!(now() - SignedDuration::from_hours(48));
    record.rig.change(|account| {
        account.objects.insert(format!("{BUCKET}/{review}"), sight.to_string());
    });
    record.step("delete-certificate", &state).await;
    record.rig.reset(&undisturbed);
    state["deletion"] = record.step("delete-certificate", &state).await;
    // As after a lost response.
    record.step("delete-certificate", &state).await;
    let report = record.step("report-rotation", &state).await;
    assert_eq!(report["output"]["outcome"], "rotated");
    assert_eq!(report["output"]["oldCertificate"]["deleted"], true);
    record.done
}
