//! What holds for every step of every rotation: it may run twice, each of its calls may fail in
//! each way, it makes only its permitted calls, and it never reveals the private key.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use lambda_runtime::Diagnostic;
use lambda_runtime::tracing::subscriber;
use rotation_steps::lambda::error::StepError;
use rotation_steps::lambda::unpanicked;
use serde_json::Value;

use crate::harness::account::{Account, assert_same};
use crate::harness::certificates::{assert_no_key, certificates};
use crate::harness::fake_aws::{At, Call, Fault, Kind, is_read};
use crate::harness::recorded::{Done, rotate, scenarios};
use crate::harness::rig::Rig;
use crate::harness::rights::LISTED;
use crate::steps::start_rotation;

/// The part of an output that must be equal in both runs: what the state machine branches on, and
/// what the step has created. `since`, `quotas` and the like differ per attempt.
fn same(step: &str, output: &Value) -> Value {
    if step == "check-quota" { output["status"].clone() } else { output.clone() }
}

/// A panic becomes an error name that the state machine matches, without the panic message.
#[tokio::test]
async fn a_step_that_panics_is_internal() {
    let key = &certificates().new.key;
    let panics = async || -> Result<(), StepError> { panic!("of {key}") };
    let error = unpanicked(panics()).await.unwrap_err();
    assert_eq!(error.name(), "Internal");
    assert_no_key(&format!("{error} {error:?}"));
    assert!(unpanicked(async { Ok(()) }).await.is_ok());
    let refused = async || -> Result<(), StepError> { Err(StepError::Unfinished(1)) };
    assert_eq!(unpanicked(refused()).await.unwrap_err().name(), "Unfinished");
}

/// The context object of TestState has no RedriveCount.
#[tokio::test(start_paused = true)]
async fn steps_run_without_a_redrive_count() {
    let (account, request) = scenarios().into_iter().next().unwrap();
    let rig = Rig::new(account).await;
    let mut state = crate::harness::rig::start(request.clone());
    state["execution"].as_object_mut().unwrap().remove("redriveCount");
    let execution = serde_json::json!({"Id": "arn", "Input": state["request"], "Name": "x"});
    let event = serde_json::json!({"state": state, "retries": 0, "execution": execution});
    let plan = rig.event("plan-rotation", event).await.unwrap();
    assert_eq!(plan["outcome"], "rotate");
    state["failure"] = serde_json::json!({"Error": "QuotaDenied", "Cause": "told so"});
    let event = serde_json::json!({"state": state, "retries": 0, "execution": execution});
    assert_eq!(rig.event("report-rotation", event).await.unwrap_err().name(), "QuotaDenied");
}

/// Case S33: a loop that fails uploads nothing twice.
#[tokio::test(start_paused = true)]
async fn every_step_may_run_twice() {
    for (account, request) in scenarios() {
        let rig = Rig::new(account.clone()).await;
        for done in rotate(account, request).await {
            let Done { step, before, input, output, after, .. } = done;
            // In the second run a deployment is further on.
            if output["status"] == "InProgress" {
                continue;
            }
            rig.reset(&before);
            rig.succeed(step, &input).await;
            let again = rig.succeed(step, &input).await;
            assert_eq!(same(step, &again), same(step, &output), "{step}");
            assert_same(&after, &rig.account(), step);
        }
    }
}

/// The error names that a failed call may cause. The step may also succeed, because the SDK's retry
/// succeeded, or because the response contains nothing that is needed.
fn expected(kind: Kind, call: &Call) -> &'static [&'static str] {
    let is_source = matches!(call.operation.as_str(), "GetSecretValue" | "GetParameter")
        || call.resource == "sources/www.pem";
    match kind {
        // Pages that were read before need not be read again.
        Kind::Throttled => &["Throttled", "Unfinished"],
        Kind::AccessDenied if is_source => &["SourceUnreadable"],
        Kind::AccessDenied => &["AccessDenied"],
        // Objects have no format, so a broken one cannot be detected as such.
        Kind::Malformed if call.service == "s3" && is_source => &["SourceUnreadable"],
        // The SDK's retry sees the ETag of the attempt that took effect.
        _ if call.operation.starts_with("UpdateDistribution") => &["Unavailable", "TargetChanged"],
        _ => &["Unavailable", "Unfinished"],
    }
}

fn check_error(error: StepError, kind: Kind, call: &Call) {
    assert_no_key(&format!("{error} {error:?}"));
    let name = error.name();
    assert!(expected(kind, call).contains(&name), "{kind:?} of {call:?}: {name}: {error}");
    let diagnostic = Diagnostic::from(error);
    assert_eq!(diagnostic.error_type, name);
    assert_no_key(&diagnostic.error_message);
}

/// The faults of a call, and for how many attempts. For a read it is irrelevant whether it took
/// effect, and the SDK's own retry of it is not tested here.
fn ways(call: &Call) -> Vec<(Kind, usize)> {
    let all = Kind::ALL.into_iter().flat_map(|kind| [(kind, 1), (kind, usize::MAX)]);
    let (error, broken) = (Kind::ErrorAfter, Kind::ConnectionAfter);
    all.filter(|(kind, attempts)| {
        !is_read(&call.operation) || (*attempts > 1 && *kind != error && *kind != broken)
    })
    .collect()
}

/// Breaks every call of every step in every way, for one attempt and for all of them, and then runs
/// the step again like the state machine. At the end the account is as without the fault.
async fn break_every_call(scenario: usize) {
    let (account, request) = scenarios().into_iter().nth(scenario).unwrap();
    let rig = Rig::new(account.clone()).await;
    let mut broken = BTreeSet::new();
    for done in rotate(account, request).await {
        let Done { step, before, input, output, after, calls } = done;
        let operations: Vec<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
        // Further targets make the same calls.
        if output["status"] == "InProgress" || !broken.insert((step, operations.join(" "))) {
            continue;
        }
        for (number, call) in calls.iter().enumerate() {
            for (kind, attempts) in ways(call) {
                let when = format!("{step}: {kind:?} of {attempts} attempts of {call:?}");
                rig.reset(&before);
                let fault = Fault { at: At::Call(number), kind, attempts };
                rig.fake.with(|world| world.fault = Some(fault));
                let broken = rig.step(step, &input).await;
                assert!(rig.fake.with(|world| world.struck), "{when}");
                rig.fake.with(|world| world.fault = None);
                match broken {
                    Ok(broken) => assert_eq!(same(step, &broken), same(step, &output), "{when}"),
                    Err(error) => check_error(error, kind, call),
                }
                let again = rig.succeed(step, &input).await;
                assert_eq!(same(step, &again), same(step, &output), "{when}");
                assert_same(&after, &rig.account(), &when);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_rotation_with_tenants_may_fail() {
    break_every_call(0).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_rotation_in_iam_may_fail() {
    break_every_call(1).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_rotation_from_acm_to_iam_may_fail() {
    break_every_call(2).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_rotation_that_needs_a_quota_may_fail() {
    break_every_call(3).await;
}

/// Steps write only to the folder of their own rotation, and read-only steps write nothing.
#[tokio::test(start_paused = true)]
async fn each_step_writes_only_where_it_may() {
    for (account, request) in scenarios() {
        for done in rotate(account, request).await {
            for call in done.calls.iter().filter(|call| call.operation == "PutObject") {
                let is_own = call.resource.contains("/rotations/autumn/20261123T110000Z/")
                    || done.step == "plan-rotation" && call.resource.contains("/claims/");
                assert!(is_own, "{}: {}", done.step, call.resource);
            }
        }
    }
    for call in start_rotation::calls().await {
        let Call { operation, resource, .. } = &call;
        assert!(operation != "PutObject" || resource.contains("/notices/"), "{resource}");
    }
    for reading in ["plan-rotation", "poll-deployment", "verify-viewers", "review-targets"] {
        let lines: Vec<&str> = LISTED.lines().filter(|line| line.starts_with(reading)).collect();
        assert!(!lines.is_empty(), "{reading}");
        for line in lines {
            let call = line.split(' ').nth(1).unwrap();
            let operation = call.split(':').nth(1).unwrap();
            assert!(is_read(operation) || call == "s3:PutObject", "{line}");
        }
    }
}

/// A subscriber that receives the log at the finest level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A rotation, and its log.
async fn logged(account: &Account, request: &Value) -> (Vec<Done>, String) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = subscriber::fmt()
        .with_max_level(lambda_runtime::tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard =
        lambda_runtime::tracing::subscriber::util::SubscriberInitExt::set_default(subscriber);
    // A log line that another test's thread reached first might otherwise stay disabled.
    tracing::callsite::rebuild_interest_cache();
    let rotation = rotate(account.clone(), request.clone()).await;
    drop(guard);
    let log = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    (rotation, String::from_utf8_lossy(&log).into_owned())
}

#[tokio::test(start_paused = true)]
async fn the_private_key_is_in_no_output_object_or_log() {
    let is_whole = |log: &str| log.contains("import-certificate");
    for (account, request) in scenarios() {
        let (mut rotation, mut log) = logged(&account, &request).await;
        // Another test's thread that reaches a line for the first time meanwhile disables it until the
        // next time.
        for _ in 0..4 {
            if !is_whole(&log) {
                (rotation, log) = logged(&account, &request).await;
            }
        }
        for done in &rotation {
            assert_no_key(&done.input.to_string());
            assert_no_key(&done.output.to_string());
            for (_, object) in done.after.folder() {
                assert_no_key(object);
            }
        }
        assert!(is_whole(&log), "the log was kept");
        assert_no_key(&log);
    }
}
