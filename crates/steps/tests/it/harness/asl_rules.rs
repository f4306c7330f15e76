//! The rules of Step Functions that rotations depend on, tested with small state machines. Where
//! AWS was recorded, the cases are its behaviour; docs/local-aws.md has the sources.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::asl::{Execution, Failure, PAYLOAD, World};

/// Functions that fail as often as the event says, and record when they were called.
#[derive(Default)]
struct Bench {
    calls: RefCell<Vec<(Value, f64)>>,
    running: Cell<usize>,
    most: Cell<usize>,
    began: RefCell<Option<tokio::time::Instant>>,
    objects: BTreeMap<&'static str, Value>,
    /// From now on nothing fails.
    is_mended: Cell<bool>,
    ended: Cell<usize>,
}

impl World for Bench {
    async fn invoke(&self, _: &str, event: Value) -> Result<Value, Failure> {
        let now = tokio::time::Instant::now();
        let began = *self.began.borrow_mut().get_or_insert(now);
        self.calls.borrow_mut().push((event.clone(), now.duration_since(began).as_secs_f64()));
        self.running.set(self.running.get() + 1);
        self.most.set(self.most.get().max(self.running.get()));
        #[expect(clippy::disallowed_methods, reason = "a function that takes its time")]
        tokio::time::sleep(Duration::from_secs(event["seconds"].as_u64().unwrap_or(1))).await;
        self.running.set(self.running.get() - 1);
        self.ended.set(self.ended.get() + 1);
        let left = event["failures"].as_u64().unwrap_or(0);
        if !self.is_mended.get() && event["retries"].as_u64().unwrap_or(0) < left {
            return Err(Failure::new(event["error"].as_str().unwrap_or("Throttled"), "busy"));
        }
        Ok(json!({"done": "y".repeat(event["size"].as_u64().unwrap_or(1) as usize)}))
    }

    fn object(&self, _: &str, key: &str) -> Option<Value> {
        self.objects.get(key).cloned()
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

fn retries(jitter: &str) -> Value {
    json!([
        {"ErrorEquals": ["Throttled"], "IntervalSeconds": 10, "BackoffRate": 2,
            "MaxDelaySeconds": 30, "MaxAttempts": 3, "JitterStrategy": jitter},
        {"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1, "JitterStrategy": jitter}])
}

fn task(retry: Value, catch: Value) -> Value {
    json!({"Type": "Task", "Resource": "${DoItFunction}", "TimeoutSeconds": 60,
        "Parameters": {"failures.$": "$.failures", "error.$": "$.error", "seconds.$": "$.seconds",
            "size.$": "$.size", "retries.$": "$$.State.RetryCount"},
        "ResultPath": "$.result", "Retry": retry, "Catch": catch, "End": true})
}

fn input(failures: u64, error: &str, seconds: u64, size: usize) -> Value {
    json!({"failures": failures, "error": error, "seconds": seconds, "size": size})
}

fn caught(error: &str) -> Value {
    json!([{"ErrorEquals": [error], "ResultPath": "$.failure", "Next": "Caught"}])
}

/// A machine with this first state.
fn machine(first: Value) -> Value {
    let pass =
        json!({"Type": "Pass", "ResultPath": "$.caught", "Parameters": {"at": 1}, "Next": "Well"});
    json!({"StartAt": "First", "States": {
        "First": first, "Caught": pass, "Well": {"Type": "Succeed"}}})
}

fn ending(ended: Result<Value, Failure>) -> String {
    match ended {
        Ok(output) if output["failure"].is_null() => "done".to_owned(),
        Ok(output) => format!("caught {}", output["failure"]["Error"].as_str().unwrap()),
        Err(failure) => failure.error,
    }
}

#[tokio::test(start_paused = true)]
async fn retries_back_off_and_then_the_error_is_final_or_caught() {
    for jitter in ["FULL", "NONE"] {
        let check =
            async |failures, error: &str, seconds: u64, catch: &Value, calls: usize, end: &str| {
                let (world, machine) =
                    (Bench::default(), machine(task(retries(jitter), catch.clone())));
                let input = input(failures, error, seconds, 1);
                let mut execution = Execution::new(&machine, &world, "x", input, 7);
                assert_eq!(ending(execution.run().await), end);
                let made = world.calls.borrow().clone();
                assert_eq!(made.len(), calls);
                for (number, pair) in made.windows(2).enumerate() {
                    let pause = pair[1].1 - pair[0].1 - seconds.min(60) as f64;
                    // 30 and not 40, because of MaxDelaySeconds.
                    let most = if error.is_empty() { 1.0 } else { [10.0, 20.0, 30.0][number] };
                    let least = if jitter == "NONE" { most } else { 0.0 };
                    let (least, most) = (least - 0.002, most + 0.002);
                    assert!((least..=most).contains(&pause), "{jitter}: {pause} of {most}");
                }
                // A redrive resumes at the failed state, with a fresh retry count.
                if end == error && error != "States.Runtime" {
                    assert_eq!(execution.redrive().await.unwrap_err().error, error);
                    assert_eq!(world.calls.borrow().len(), 2 * calls);
                    assert_eq!(world.calls.borrow()[calls].0["retries"], 0);
                }
            };
        let (none, all) = (json!([]), caught("States.ALL"));
        check(0, "Throttled", 1, &none, 1, "done").await;
        check(3, "Throttled", 1, &none, 4, "done").await;
        check(9, "Throttled", 1, &none, 4, "Throttled").await;
        check(9, "Throttled", 1, &all, 4, "caught Throttled").await;
        check(9, "Refused", 1, &none, 1, "Refused").await;
        check(9, "Refused", 1, &all, 1, "caught Refused").await;
        check(0, "", 61, &all, 2, "caught States.Timeout").await;
        // States.ALL does not match it.
        check(9, "States.Runtime", 1, &all, 1, "States.Runtime").await;
        check(9, "States.Runtime", 1, &caught("States.Runtime"), 1, "States.Runtime").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_has_neither_error_nor_cause() {
    let (world, machine) = (Bench::default(), machine(task(json!([]), caught("States.ALL"))));
    let ended = Execution::new(&machine, &world, "x", input(0, "", 61, 1), 7).run().await;
    assert_eq!(ended.unwrap()["failure"], json!({"Error": "States.Timeout", "Cause": ""}));

    let mut limited = self::machine(json!({"Type": "Wait", "Seconds": 11, "Next": "Well"}));
    limited["TimeoutSeconds"] = 10.into();
    let mut execution = Execution::new(&limited, &world, "x", json!({}), 7);
    let failure = execution.run().await.unwrap_err();
    assert_eq!((failure.error.as_str(), failure.cause.as_str()), ("", ""));
    assert_eq!(failure.status(), "TIMED_OUT");
    assert_eq!(execution.state_at(), "First");
    // A redrive restarts the time limit and the wait.
    assert_eq!(execution.redrive().await.unwrap_err().status(), "TIMED_OUT");
}

#[tokio::test(start_paused = true)]
async fn a_payload_may_be_256_kib_and_no_more() {
    // The other 11 bytes are {"done":""}.
    let most = PAYLOAD - 11;
    let kept = |path: Value, catch: &Value| {
        let mut task = task(json!([]), catch.clone());
        task["ResultPath"] = path;
        task
    };
    let large = json!({"Type": "Pass", "ResultPath": "$.more", "Next": "Well",
        "Parameters": {"a.$": "$.size", "b.$": "$.size"}});
    let (none, all) = (json!([]), caught("States.ALL"));
    let check = async |first: Value, size: Value, end: &str| {
        let (world, machine) = (Bench::default(), machine(first));
        let input = json!({"failures": 0, "error": "", "seconds": 1, "size": size});
        let ended = Execution::new(&machine, &world, "x", input, 7).run().await;
        if let Err(failure) = &ended {
            assert!(failure.cause.contains("returned a result with a size exceeding"), "{end}");
        }
        assert_eq!(ending(ended), end);
    };
    let too_large = "States.DataLimitExceeded";
    check(kept(json!("$.result"), &none), json!(most - 200), "done").await;
    check(kept(json!("$.result"), &none), json!(most + 1), too_large).await;
    // Recorded: States.ALL catches it for a Task, although the documentation says that it does not.
    check(kept(json!("$.result"), &all), json!(most + 1), &format!("caught {too_large}")).await;
    // Recorded: a result that is dropped counts.
    check(kept(Value::Null, &none), json!(most), "done").await;
    check(kept(Value::Null, &none), json!(most + 1), too_large).await;
    // Recorded: in a Pass, which has no Catch, it ends the execution.
    check(large.clone(), json!("y".repeat(80_000)), "done").await;
    check(large, json!("y".repeat(90_000)), too_large).await;
    // Assumed: it is not caught for the state after merging a Task's result, nor for the results of
    // a Map.
    check(kept(json!("$.result"), &all), json!(most), too_large).await;
    let each = json!({"Type": "Map", "ItemsPath": "$.size", "MaxConcurrency": 1,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "It",
            "States": {"It": {"Type": "Pass", "Next": "Well"}, "Well": {"Type": "Succeed"}}},
        "ResultPath": "$.result", "Catch": all, "Next": "Well"});
    check(each, json!(["y".repeat(100_000), "y".repeat(100_000)]), too_large).await;
}

/// Paths that do not exist.
#[tokio::test(start_paused = true)]
async fn a_path_that_does_not_exist_ends_the_execution() {
    let is_there = json!({"Variable": "$.there", "BooleanEquals": true, "Next": "Caught"});
    let choice = |rule: Value| json!({"Type": "Choice", "Choices": [rule], "Default": "Well"});
    let map = json!({"Type": "Map", "ItemsPath": "$.there", "Catch": caught("States.ALL"), "Next": "Well",
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Well",
            "States": {"Well": {"Type": "Succeed"}}}});
    for (state, input, end) in [
        (
            json!({"Type": "Wait", "SecondsPath": "$.there", "Next": "Well"}),
            json!({"there": 1}),
            "done",
        ),
        (
            json!({"Type": "Wait", "SecondsPath": "$.there", "Next": "Well"}),
            json!({}),
            "States.Runtime",
        ),
        (
            json!({"Type": "Wait", "SecondsPath": "$.there", "Next": "Well"}),
            json!({"there": "x"}),
            "States.Runtime",
        ),
        (
            json!({"Type": "Pass", "Parameters": {"a.$": "$.there"}, "Next": "Well"}),
            json!({}),
            "States.Runtime",
        ),
        (
            json!({"Type": "Pass", "Parameters": {"a.$": "$$.Execution.Nothing"}, "Next": "Well"}),
            json!({}),
            "States.Runtime",
        ),
        (choice(is_there.clone()), json!({"there": false}), "done"),
        (choice(is_there.clone()), json!({}), "States.Runtime"),
        // Rules after one that does not hold are not evaluated.
        (
            choice(
                json!({"And": [{"Variable": "$.here", "BooleanEquals": true}, is_there], "Next": "Caught"}),
            ),
            json!({"here": false}),
            "done",
        ),
        (map.clone(), json!({"there": []}), "done"),
        (map.clone(), json!({"there": {"an": "object"}}), "States.Runtime"),
        (map, json!({}), "States.Runtime"),
    ] {
        let (world, machine) = (Bench::default(), machine(state.clone()));
        let mut execution = Execution::new(&machine, &world, "x", input, 7);
        assert_eq!(ending(execution.run().await), end, "{state}");
        if end != "done" {
            assert_eq!(ending(execution.redrive().await), end, "a redrive meets the same: {state}");
        }
    }
}

/// A Map whose items are handled by the Task `DoIt`.
fn map(from: Value, concurrency: u64) -> Value {
    let mode = if from["ItemReader"].is_null() { "INLINE" } else { "DISTRIBUTED" };
    let mut map = from;
    map["Type"] = "Map".into();
    map["MaxConcurrency"] = concurrency.into();
    map["ItemProcessor"] = json!({"ProcessorConfig": {"Mode": mode}, "StartAt": "DoIt", "States": {
        "DoIt": {"Type": "Task", "Resource": "${DoItFunction}", "TimeoutSeconds": 9, "End": true}}});
    map["End"] = true.into();
    map
}

fn reader(key: &str) -> Value {
    json!({"ItemReader": {"Parameters": {"Bucket": "b", "Key": key}}})
}

fn world() -> Bench {
    let refused = json!({"failures": 9, "error": "Refused", "number": 2});
    let items = json!([{"number": 1}, refused, {"number": 3}, {"number": 4}]);
    let objects = [("items", items), ("object", json!({"a": [1]})), ("text", json!("x"))];
    Bench { objects: objects.into(), ..Bench::default() }
}

#[tokio::test(start_paused = true)]
async fn maps_keep_to_their_concurrency_and_fail_with_an_iteration() {
    let check = async |map: Value, most: usize, end: Result<(), (&str, &str)>| {
        let (world, machine) = (world(), machine(map));
        let input = json!({"items": [{}, {}, {}, {}, {}], "bad": [{}, {"failures": 9, "error": "Refused"}]});
        let ended = Execution::new(&machine, &world, "x", input, 7).run().await;
        let end = end.map_err(|(error, cause)| Failure::new(error, cause));
        assert_eq!(ended.map(drop), end);
        assert_eq!(world.most.get(), most);
    };
    check(map(json!({"ItemsPath": "$.items"}), 1), 1, Ok(())).await;
    check(map(json!({"ItemsPath": "$.items"}), 3), 3, Ok(())).await;
    check(map(json!({"ItemsPath": "$.items"}), 0), 5, Ok(())).await;
    check(map(json!({"ItemsPath": "$.bad"}), 1), 1, Err(("Refused", "busy"))).await;
    let threshold = Err((
        "States.ExceedToleratedFailureThreshold",
        "The specified tolerated failure threshold was exceeded",
    ));
    check(map(reader("items"), 2), 2, threshold).await;
    let unread = |cause| Err(("States.ItemReaderFailed", cause));
    check(map(reader("object"), 1), 0, unread("Attempting to map over non-iterable node.")).await;
    check(map(reader("text"), 1), 0, unread("Attempting to map over non-iterable node.")).await;
    check(map(reader("nothing"), 1), 0, unread("The specified key does not exist.")).await;
}

/// The items that are done, attempt by attempt.
#[tokio::test(start_paused = true)]
async fn a_redrive_of_a_map_runs_the_items_that_did_not_succeed() {
    for (kind, items) in
        [("inline", json!({"ItemsPath": "$.items"})), ("distributed", reader("items"))]
    {
        let (world, machine) = (world(), machine(map(items, 1)));
        let input = json!({"items": world.objects["items"]});
        let mut execution = Execution::new(&machine, &world, "x", input, 7);
        let numbers = || -> Vec<u64> {
            let calls = world.calls.take();
            calls.iter().map(|(event, _)| event["number"].as_u64().unwrap()).collect()
        };
        execution.run().await.unwrap_err();
        assert_eq!(numbers(), [1, 2], "{kind}");
        execution.redrive().await.unwrap_err();
        assert_eq!(numbers(), [2], "{kind}");
        world.is_mended.set(true);
        let output = execution.redrive().await.unwrap();
        assert_eq!(numbers(), [2, 3, 4], "{kind}");
        assert_eq!(output.as_array().unwrap().len(), 4, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fail_state_fails_again() {
    let fail = json!({"Type": "Fail", "Error": "RotationIncomplete", "Cause": "so it is"});
    let (world, machine) = (Bench::default(), machine(fail));
    let mut execution = Execution::new(&machine, &world, "x", json!({}), 7);
    let first = execution.run().await.unwrap_err();
    assert_eq!(execution.redrive().await.unwrap_err(), first);
}

/// Functions that a Map invoked run on after the Map has failed: Lambda does not know that their
/// results are no longer awaited.
#[tokio::test(start_paused = true)]
async fn a_function_runs_to_its_end_after_its_map_has_failed() {
    let mut each = map(json!({"ItemsPath": "$.items", "Catch": caught("States.ALL")}), 2);
    each["ItemProcessor"]["States"]["DoIt"]["TimeoutSeconds"] = 60.into();
    let world = Bench::default();
    let machine = machine(each);
    let items = json!({"items": [{"failures": 9, "seconds": 1}, {"seconds": 50}]});
    let began = tokio::time::Instant::now();
    let ended = Execution::new(&machine, &world, "x", items, 7).run().await;
    assert_eq!(ending(ended), "caught Throttled");
    assert_eq!((world.calls.borrow().len(), world.ended.get()), (2, 2));
    assert_eq!(began.elapsed().as_secs(), 50);
}
