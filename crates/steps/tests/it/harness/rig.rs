//! Runs steps like the state machine, with JSON input and output, on an account in memory.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use rotation_aws::Aws;
use rotation_core::automation::decision::Schedule;
use rotation_core::ids::CertificateId;
use rotation_steps::lambda::error::StepError;
use rotation_steps::start_rotation::{self, Output};
use rotation_steps::{
    Context, Settings, attempt, check_quota, delete_certificate, import_certificate, plan_rotation,
    poll_deployment, record_target, report_rotation, review_targets, update_distribution,
    verify_viewers,
};
use serde_json::{Value, json};

use crate::harness::account::{Account, BUCKET, SECRET, now};
use crate::harness::certificates::certificates;
use crate::harness::fake_aws::{At, Call, FakeAws, Fault, Kind};
use crate::harness::rights::calling;

pub(crate) struct Rig {
    pub(crate) fake: FakeAws,
    pub(crate) context: Context,
    /// The metric lines that were emitted.
    metrics: Arc<Mutex<Vec<String>>>,
}

impl Rig {
    pub(crate) async fn new(account: Account) -> Self {
        let fake = FakeAws::default();
        let metrics: Arc<Mutex<Vec<String>>> = Arc::default();
        let written = Arc::clone(&metrics);
        let context = Context {
            aws: unlimited(Aws::with_http_client(fake.http_client())),
            edges: fake.edges(),
            settings: Settings {
                bucket: BUCKET.into(),
                poll_seconds: 30,
                deployment_deadline_minutes: 90,
                quota_deadline_hours: 48,
                stack: "rotation".into(),
                state_machine_arn: MACHINE.into(),
                notice_topic: TOPIC.into(),
                schedule: Schedule { percent: 33, notice_days: vec![45, 30, 14, 7, 3, 1] },
                extra_roots: String::new(),
                import_tags: Vec::new(),
                root_file: Some(certificates().root_file.clone()),
                viewer_edge: None,
            },
            now,
            over_at: AtomicI64::new(i64::MAX),
            metrics: Box::new(move |line| written.lock().unwrap().push(line)),
        };
        let rig = Self { fake, context, metrics };
        rig.reset(&account);
        rig
    }

    /// Sets another account, an empty log and no fault.
    pub(crate) fn reset(&self, account: &Account) {
        self.fake.with(|world| {
            world.account = account.clone();
            world.calls.clear();
            world.fault = None;
            world.struck = false;
        });
    }

    pub(crate) fn account(&self) -> Account {
        self.fake.with(|world| world.account.clone())
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Account)) {
        self.fake.with(|world| change(&mut world.account));
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.fake.with(|world| world.calls.clone())
    }

    /// How often this operation was called since the last reset.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.calls().iter().filter(|call| call.operation == operation).count()
    }

    /// The metrics emitted since the last call.
    pub(crate) fn metrics(&self) -> Vec<Value> {
        let lines = std::mem::take(&mut *self.metrics.lock().unwrap());
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Passes an event to `start-rotation`.
    pub(crate) async fn start(&self, event: Value) -> Result<Output, StepError> {
        self.context.over_at.store(i64::MAX, Ordering::Relaxed);
        calling("start-rotation", start_rotation::handle(&self.context, event)).await
    }

    /// Makes this operation fail from now on.
    pub(crate) fn fail(&self, operation: &'static str, kind: Kind) {
        let at = At::Operation(operation);
        self.fake.with(|world| world.fault = Some(Fault { at, kind, attempts: usize::MAX }));
    }

    /// Runs the first attempt of a step.
    pub(crate) async fn step(&self, name: &str, input: &Value) -> Result<Value, StepError> {
        self.event(name, json!({"state": input, "retries": 0})).await
    }

    /// Runs an attempt of a step, with the event of the state machine.
    pub(crate) async fn event(&self, name: &str, event: Value) -> Result<Value, StepError> {
        let Self { context, .. } = self;
        calling(name, async {
            match name {
                "plan-rotation" => attempt(context, plan_rotation::step, event).await,
                "check-quota" => attempt(context, check_quota::step, event).await,
                "import-certificate" => attempt(context, import_certificate::step, event).await,
                "update-distribution" => attempt(context, update_distribution::step, event).await,
                "poll-deployment" => attempt(context, poll_deployment::step, event).await,
                "verify-viewers" => attempt(context, verify_viewers::step, event).await,
                "record-target" => attempt(context, record_target::step, event).await,
                "review-targets" => attempt(context, review_targets::step, event).await,
                "delete-certificate" => attempt(context, delete_certificate::step, event).await,
                "report-rotation" => attempt(context, report_rotation::step, event).await,
                other => panic!("no step {other}"),
            }
        })
        .await
    }

    /// Runs a step that must succeed.
    pub(crate) async fn succeed(&self, name: &str, input: &Value) -> Value {
        self.step(name, input).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs a step that must fail; returns the name and message that the state machine sees.
    pub(crate) async fn refuse(&self, name: &str, input: &Value) -> (&'static str, String) {
        match self.step(name, input).await {
            Ok(output) => panic!("{name} should have failed: {output}"),
            Err(error) => (error.name(), error.to_string()),
        }
    }

    /// The state after PlanRotation.
    pub(crate) async fn planned(&self, request: Value) -> Value {
        let mut state = start(request);
        state["plan"] = self.succeed("plan-rotation", &state).await;
        state
    }

    /// The state after ImportCertificate.
    pub(crate) async fn imported(&self, request: Value) -> Value {
        let mut state = self.planned(request).await;
        state["newCertificate"] = self.succeed("import-certificate", &state).await;
        state["move"] = forward(&state);
        state
    }

    /// The state after every target was moved and is deployed.
    pub(crate) async fn moved(&self, request: Value) -> Value {
        let state = self.imported(request).await;
        for target in self.targets(&state) {
            self.succeed("update-distribution", &child(&state, &target)).await;
        }
        self.change(|account| {
            account.distributions.values_mut().for_each(|one| one.reads_until_deployed = 0);
            account.tenants.values_mut().for_each(|one| one.reads_until_deployed = 0);
        });
        state
    }

    /// The targets of the plan, from the folder.
    pub(crate) fn targets(&self, state: &Value) -> Vec<Value> {
        let key = state["plan"]["targets"]["key"].as_str().unwrap();
        self.object(key).as_array().unwrap().clone()
    }

    /// An object of the rotation's folder.
    pub(crate) fn object(&self, key: &str) -> Value {
        serde_json::from_str(&self.account().objects[&format!("{BUCKET}/{key}")]).unwrap()
    }
}

/// A rotation after every target was moved and is deployed, with its state.
pub(crate) async fn moved(account: Account, request: Value) -> (Rig, Value) {
    let rig = Rig::new(account).await;
    let state = rig.moved(request).await;
    (rig, state)
}

/// The SDK counts failures over all clients of a process, and stops retrying after some. Here every
/// test needs every retry.
fn unlimited(mut aws: Aws) -> Aws {
    macro_rules! unlimited {
        ($($field:ident $sdk:ident),*) => {$(
            let partition = $sdk::config::retry::RetryPartition::custom("unlimited")
                .token_bucket($sdk::config::retry::TokenBucket::unlimited())
                .build();
            let config = aws.$field().config().to_builder().retry_partition(partition).build();
            aws.$field = $sdk::Client::from_conf(config).into();
        )*};
    }
    unlimited!(
        acm aws_sdk_acm, cloudfront aws_sdk_cloudfront, iam aws_sdk_iam, quotas aws_sdk_servicequotas, s3 aws_sdk_s3, states aws_sdk_sfn, tagging aws_sdk_resourcegroupstagging
    );
    aws
}

pub(crate) const MACHINE: &str = "arn:aws:states:us-east-1:111122223333:stateMachine:rotation";
pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:notices";

/// The execution of all tests.
pub(crate) const EXECUTION: &str =
    "arn:aws:states:us-east-1:111122223333:execution:rotation:autumn";

/// The state after ReceiveRequest; the default source is the secret.
pub(crate) fn start(mut request: Value) -> Value {
    if let Some(request) = request.as_object_mut() {
        request.entry("newCertificate").or_insert_with(|| SECRET.into());
    }
    json!({
        "request": request,
        "execution": {
            "id": EXECUTION, "name": "autumn", "startTime": "2026-11-23T11:00:00.123Z",
            "redriveCount": 0,
        },
    })
}

/// What MoveForward adds to the state.
pub(crate) fn forward(state: &Value) -> Value {
    json!({
        "way": "forward",
        "round": 0,
        "from": state["plan"]["oldCertificate"]["id"],
        "to": state["newCertificate"]["id"],
        "fingerprint": state["plan"]["newCertificate"]["fingerprint"],
        "waves": state["plan"]["targets"]["waves"],
    })
}

/// What MoveBack puts in its place.
pub(crate) fn back(state: &Value, round: u64) -> Value {
    json!({
        "way": "back",
        "round": round,
        "from": state["newCertificate"]["id"],
        "to": state["plan"]["oldCertificate"]["id"],
        "fingerprint": state["plan"]["oldCertificate"]["fingerprint"],
        "waves": state["review"]["waves"],
    })
}

/// The input of a child of RotateLane.
pub(crate) fn child(state: &Value, target: &Value) -> Value {
    let forward = forward(state);
    let moved = state.get("move").unwrap_or(&forward);
    json!({
        "target": target,
        "way": moved["way"],
        "round": moved["round"],
        "from": moved["from"],
        "to": moved["to"],
        "fingerprint": moved["fingerprint"],
        "oldFingerprint": state["plan"]["oldCertificate"]["fingerprint"],
        "onFailure": state["plan"]["onFailure"],
        "putBack": state["plan"]["putBack"],
        "folder": state["plan"]["folder"],
        "pollSeconds": state["plan"]["pollSeconds"],
        "verifyViewers": state["plan"]["verifyViewers"],
    })
}

/// A certificate's id from the state.
pub(crate) fn id(value: &Value) -> CertificateId {
    serde_json::from_value(value.clone()).unwrap()
}
