//! An interpreter of the Amazon States Language, as far as this project's state machine goes, in virtual
//! time: the fourth one that reads the definition, and the only one that is fast and redrives.
//!
//! After <https://states-language.net/spec.html> and the Step Functions Developer Guide. It panics on what
//! it does not know, so that nothing in the definition is passed over in silence.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::dice::Dice;

/// An error name and a cause, as Catch has them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) cause: String,
}

impl Failure {
    pub(crate) fn new(error: &str, cause: impl Into<String>) -> Self {
        Self { error: error.into(), cause: cause.into() }
    }
}

/// What a state machine calls.
pub(crate) trait World {
    /// A function, by the name of its step.
    async fn invoke(&self, step: &str, event: Value) -> Result<Value, Failure>;
    /// An object that an ItemReader reads.
    fn object(&self, bucket: &str, key: &str) -> Option<Value>;
    /// The time.
    fn now(&self) -> Timestamp;
}

/// An execution, which may be redriven when it has failed.
pub(crate) struct Execution<'a, W> {
    definition: &'a Value,
    world: &'a W,
    context: Value,
    /// Where to go on, and with what.
    at: (String, Value),
    dice: Cell<Dice>,
    /// The longest history of it and of its children, in events.
    pub(crate) events: Cell<usize>,
    /// All of its children's events.
    pub(crate) events_of_children: Cell<usize>,
    /// What is paid for: each state, each retry, each child that a Map starts ("Transitions in Distributed Map
    /// state", Step Functions Developer Guide).
    pub(crate) transitions: Cell<usize>,
    /// The largest payload, in bytes.
    pub(crate) largest: Cell<usize>,
    /// Every payload, for those who search them.
    pub(crate) payloads: RefCell<Vec<String>>,
}

const PAYLOAD: usize = 262_144;

impl<'a, W: World> Execution<'a, W> {
    pub(crate) fn new(
        definition: &'a Value,
        world: &'a W,
        name: &str,
        input: Value,
        seed: u64,
    ) -> Self {
        let start = world.now().to_string();
        let id = format!("arn:aws:states:us-east-1:111122223333:execution:rotation:{name}");
        Self {
            definition,
            world,
            context: json!({"Execution": {
                "Id": id, "Name": name, "Input": input, "StartTime": start, "RedriveCount": 0,
            }}),
            at: (definition["StartAt"].as_str().expect("StartAt").to_owned(), input),
            dice: Cell::new(Dice(seed.wrapping_mul(2).wrapping_add(1))),
            events: Cell::new(0),
            events_of_children: Cell::new(0),
            transitions: Cell::new(0),
            largest: Cell::new(0),
            payloads: RefCell::default(),
        }
    }

    /// The name it was started under.
    pub(crate) fn name(&self) -> String {
        self.context["Execution"]["Name"].as_str().expect("a name").to_owned()
    }

    /// Runs to an end.
    pub(crate) async fn run(&mut self) -> Result<Value, Failure> {
        let (name, input) = self.at.clone();
        let mut events = 2;
        let ended = self.states(self.definition, &name, input, &self.context, &mut events).await;
        self.events.set(self.events.get().max(events));
        ended.map_err(|(failure, at)| {
            self.at = at;
            failure
        })
    }

    /// Goes on at the state that failed, with its input.
    pub(crate) async fn redrive(&mut self) -> Result<Value, Failure> {
        let count = self.context["Execution"]["RedriveCount"].as_u64().expect("a count");
        self.context["Execution"]["RedriveCount"] = (count + 1).into();
        self.run().await
    }

    /// From a state to an end; of a failure also where it was.
    async fn states(
        &self,
        machine: &Value,
        start: &str,
        input: Value,
        context: &Value,
        events: &mut usize,
    ) -> Result<Value, (Failure, (String, Value))> {
        let (mut name, mut input) = (start.to_owned(), input);
        loop {
            let state = &machine["States"][&name];
            assert!(state.is_object(), "no state {name}");
            let mut context = context.clone();
            context["State"] =
                json!({"Name": name, "EnteredTime": self.world.now().to_string(), "RetryCount": 0});
            let failed = |failure| (failure, (name.clone(), input.clone()));
            self.weigh(&input).map_err(failed)?;
            let done = self.state(&name, state, &input, &mut context, events).await;
            let (output, next) =
                done.map_err(|failure| (failure, (name.clone(), input.clone())))?;
            match next {
                Some(next) => (name, input) = (next, output),
                None => return Ok(output),
            }
        }
    }

    /// One state: its output, and the next one unless it is the end.
    async fn state(
        &self,
        name: &str,
        state: &Value,
        input: &Value,
        context: &mut Value,
        events: &mut usize,
    ) -> Result<(Value, Option<String>), Failure> {
        let kind = state["Type"].as_str().expect("a type");
        known(name, kind, state);
        *events += 2;
        self.transitions.update(|count| count + 1);
        let next = || state["Next"].as_str().map(str::to_owned);
        match kind {
            "Pass" => {
                let result = template(&state["Parameters"], input, context);
                Ok((merged(input, &state["ResultPath"], state.get("ResultPath"), result), next()))
            }
            "Choice" => {
                let rules = state["Choices"].as_array().expect("choices").iter();
                let chosen = rules.clone().find(|rule| holds(rule, input));
                let next = chosen.map_or(&state["Default"], |rule| &rule["Next"]);
                match next.as_str() {
                    Some(next) => Ok((input.clone(), Some(next.to_owned()))),
                    None => Err(Failure::new("States.Runtime", "no choice matched")),
                }
            }
            "Wait" => {
                let seconds = match state["SecondsPath"].as_str() {
                    Some(path) => look_up(path, input, context).as_u64(),
                    None => state["Seconds"].as_u64(),
                };
                self.pass(seconds.expect("seconds") as f64).await;
                Ok((input.clone(), next()))
            }
            "Succeed" => {
                let path = state["InputPath"].as_str().unwrap_or("$");
                Ok((look_up(path, input, context), None))
            }
            "Fail" => Err(Failure::new(
                state["Error"].as_str().expect("an error"),
                state["Cause"].as_str().expect("a cause"),
            )),
            "Task" | "Map" => {
                let result = match kind {
                    "Task" => self.task(state, input, context, events).await,
                    _ => self.map(state, input, context, events).await,
                };
                match result {
                    Ok(result) => {
                        let path = &state["ResultPath"];
                        let output = merged(input, path, state.get("ResultPath"), result);
                        self.weigh(&output)?;
                        Ok((output, next()))
                    }
                    Err(failure) => self.catch(state, input, failure),
                }
            }
            other => panic!("{name}: no type {other} here"),
        }
    }

    async fn task(
        &self,
        state: &Value,
        input: &Value,
        context: &mut Value,
        events: &mut usize,
    ) -> Result<Value, Failure> {
        let resource = state["Resource"].as_str().expect("a resource");
        let step = kebab(resource.trim_start_matches("${").trim_end_matches("Function}"));
        let limit = Duration::from_secs(state["TimeoutSeconds"].as_u64().expect("a time limit"));
        let none = Vec::new();
        let retriers = state["Retry"].as_array().unwrap_or(&none);
        let mut counts = vec![0; retriers.len()];
        loop {
            *events += 3;
            context["State"]["RetryCount"] = counts.iter().sum::<u64>().into();
            let event = template(&state["Parameters"], input, context);
            self.weigh(&event)?;
            let failure = match tokio::time::timeout(limit, self.world.invoke(&step, event)).await {
                Ok(Ok(result)) => {
                    self.weigh(&result)?;
                    return Ok(result);
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new("States.Timeout", ""),
            };
            let retrier = retriers.iter().position(|retrier| matches(retrier, &failure.error));
            let Some(index) = retrier else { return Err(failure) };
            let retrier = &retriers[index];
            known("", "Retry", retrier);
            if counts[index] >= retrier["MaxAttempts"].as_u64().unwrap_or(3) {
                return Err(failure);
            }
            let number = |name: &str, default: f64| retrier[name].as_f64().unwrap_or(default);
            let backoff = number("BackoffRate", 2.0).powf(counts[index] as f64);
            let pause =
                (number("IntervalSeconds", 1.0) * backoff).min(number("MaxDelaySeconds", f64::MAX));
            assert_eq!(retrier["JitterStrategy"], "FULL");
            counts[index] += 1;
            self.transitions.update(|count| count + 1);
            self.pass(pause * self.chance()).await;
        }
    }

    async fn map(
        &self,
        state: &Value,
        input: &Value,
        context: &Value,
        events: &mut usize,
    ) -> Result<Value, Failure> {
        let machine = &state["ItemProcessor"];
        let is_distributed = machine["ProcessorConfig"]["Mode"] == "DISTRIBUTED";
        let items = match state.get("ItemReader") {
            Some(reader) => {
                assert!(is_distributed);
                let place = template(&reader["Parameters"], input, context);
                let text = |name: &str| place[name].as_str().expect("a place").to_owned();
                let read = self.world.object(&text("Bucket"), &text("Key"));
                read.ok_or_else(|| Failure::new("States.ItemReaderFailed", "no such object"))?
            }
            None => look_up(state["ItemsPath"].as_str().expect("ItemsPath"), input, context),
        };
        let items = items.as_array().expect("an array of items").clone();
        let limit = match state["MaxConcurrency"].as_u64() {
            None | Some(0) => usize::MAX,
            Some(limit) => limit as usize,
        };
        let start = machine["StartAt"].as_str().expect("StartAt");
        let iteration = async |index: usize, item: Value| {
            let mut context = context.clone();
            context["Map"] = json!({"Item": {"Index": index, "Value": item}});
            let given = match state.get("ItemSelector") {
                Some(selector) => template(selector, input, &context),
                None => item,
            };
            let mut own = 2;
            if is_distributed {
                self.transitions.update(|count| count + 1);
            }
            let done = self.states(machine, start, given, &context, &mut own).await;
            (index, own, done.map_err(|(failure, _)| failure))
        };
        let mut waiting = items.into_iter().enumerate();
        let mut running = FuturesUnordered::new();
        let mut results = std::collections::BTreeMap::new();
        loop {
            while running.len() < limit {
                let Some((index, item)) = waiting.next() else { break };
                // Boxed: Maps nest.
                running.push(Box::pin(iteration(index, item)));
            }
            let Some((index, own, result)) = running.next().await else { break };
            if is_distributed {
                self.events.set(self.events.get().max(own));
                self.events_of_children.update(|count| count + own);
            } else {
                *events += own + 2;
            }
            match result {
                Ok(result) => drop(results.insert(index, result)),
                Err(_) if is_distributed => {
                    return Err(Failure::new(
                        "States.ExceedToleratedFailureThreshold",
                        "a child failed",
                    ));
                }
                Err(failure) => return Err(failure),
            }
        }
        *events += 4;
        let results = Value::Array(results.into_values().collect());
        self.weigh(&results)?;
        Ok(results)
    }

    fn catch(
        &self,
        state: &Value,
        input: &Value,
        failure: Failure,
    ) -> Result<(Value, Option<String>), Failure> {
        let none = Vec::new();
        let catchers = state["Catch"].as_array().unwrap_or(&none);
        let Some(catcher) = catchers.iter().find(|catcher| matches(catcher, &failure.error)) else {
            return Err(failure);
        };
        known("", "Catch", catcher);
        let caught = json!({"Error": failure.error, "Cause": failure.cause});
        let output = merged(input, &catcher["ResultPath"], catcher.get("ResultPath"), caught);
        Ok((output, catcher["Next"].as_str().map(str::to_owned)))
    }

    async fn pass(&self, seconds: f64) {
        #[expect(
            clippy::disallowed_methods,
            reason = "here waiting is what a Wait state is made of"
        )]
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    /// A number from 0 to 1.
    fn chance(&self) -> f64 {
        let mut dice = self.dice.get();
        let number = dice.next();
        self.dice.set(dice);
        (number % 1_000) as f64 / 1_000.0
    }

    fn weigh(&self, payload: &Value) -> Result<(), Failure> {
        let text = payload.to_string();
        self.largest.set(self.largest.get().max(text.len()));
        let is_too_large = text.len() > PAYLOAD;
        self.payloads.borrow_mut().push(text);
        if is_too_large {
            return Err(Failure::new("States.DataLimitExceeded", "a payload is too large"));
        }
        Ok(())
    }
}

/// Refuses fields that the interpreter would pass over.
fn known(name: &str, kind: &str, state: &Value) {
    let fields: &[&str] = match kind {
        "Pass" => &["Parameters", "ResultPath", "Next"],
        "Choice" => &["Choices", "Default"],
        "Wait" => &["Seconds", "SecondsPath", "Next"],
        "Succeed" => &["InputPath"],
        "Fail" => &["Error", "Cause"],
        "Task" => &[
            "Resource",
            "TimeoutSeconds",
            "Parameters",
            "ResultPath",
            "Retry",
            "Catch",
            "Next",
            "End",
        ],
        "Map" => &[
            "Label",
            "ItemReader",
            "ItemsPath",
            "ItemSelector",
            "MaxConcurrency",
            "ItemProcessor",
            "ResultPath",
            "Catch",
            "Next",
            "End",
        ],
        "Retry" => &[
            "ErrorEquals",
            "IntervalSeconds",
            "BackoffRate",
            "MaxDelaySeconds",
            "MaxAttempts",
            "JitterStrategy",
        ],
        "Catch" => &["ErrorEquals", "ResultPath", "Next"],
        other => panic!("{name}: no type {other} here"),
    };
    for field in state.as_object().expect("an object").keys() {
        let is_known =
            ["Type", "Comment"].contains(&field.as_str()) || fields.contains(&field.as_str());
        assert!(is_known, "{name}: {kind} with {field}");
    }
}

/// Does a Retry or Catch speak of this error?
fn matches(handler: &Value, error: &str) -> bool {
    let names = handler["ErrorEquals"].as_array().expect("ErrorEquals");
    names.iter().any(|name| {
        name == error
            || name == "States.ALL"
                && !["States.DataLimitExceeded", "States.Runtime"].contains(&error)
    })
}

fn holds(rule: &Value, input: &Value) -> bool {
    if let Some(rules) = rule["And"].as_array() {
        return rules.iter().all(|rule| holds(rule, input));
    }
    let value = look_up(rule["Variable"].as_str().expect("a variable"), input, &Value::Null);
    let rule = rule.as_object().expect("a rule");
    let tests = rule.iter().filter(|(name, _)| !["Variable", "Next"].contains(&name.as_str()));
    tests.fold(true, |all, (name, wanted)| {
        all && match name.as_str() {
            "StringEquals" | "BooleanEquals" => value == *wanted,
            "NumericLessThan" => {
                value.as_f64().zip(wanted.as_f64()).is_some_and(|(value, limit)| value < limit)
            }
            other => panic!("no {other} here"),
        }
    })
}

/// A reference path: into the context object with `$$`.
fn look_up(path: &str, input: &Value, context: &Value) -> Value {
    let (root, rest) = match path.strip_prefix("$$") {
        Some(rest) => (context, rest),
        None => (input, path.strip_prefix('$').expect("a path")),
    };
    rest.split('.').filter(|part| !part.is_empty()).fold(root.clone(), |value, part| {
        value.get(part).cloned().unwrap_or_else(|| panic!("{path}: no {part} in {value}"))
    })
}

/// Parameters and ItemSelector: fields that end with `.$` are paths or intrinsic functions.
fn template(template: &Value, input: &Value, context: &Value) -> Value {
    match template {
        Value::Null => input.clone(),
        Value::Object(fields) => {
            let mut made = Map::new();
            for (name, value) in fields {
                match name.strip_suffix(".$") {
                    Some(name) => {
                        let value = computed(value.as_str().expect("a path"), input, context);
                        made.insert(name.to_owned(), value);
                    }
                    None => drop(made.insert(name.clone(), self::template(value, input, context))),
                }
            }
            Value::Object(made)
        }
        other => other.clone(),
    }
}

fn computed(text: &str, input: &Value, context: &Value) -> Value {
    let Some(arguments) =
        text.strip_prefix("States.MathAdd(").and_then(|rest| rest.strip_suffix(')'))
    else {
        return look_up(text, input, context);
    };
    let sum = arguments.split(',').map(str::trim).map(|argument| match argument.parse::<i64>() {
        Ok(number) => number,
        Err(_) => look_up(argument, input, context).as_i64().expect("a number"),
    });
    sum.sum::<i64>().into()
}

/// The input with a result put into it. Without a ResultPath the result is all, with null nothing of it.
fn merged(input: &Value, path: &Value, given: Option<&Value>, result: Value) -> Value {
    match (given, path.as_str()) {
        (None, _) => result,
        (Some(_), None) => input.clone(),
        (Some(_), Some(path)) => {
            let name = path.strip_prefix("$.").expect("a field");
            assert!(!name.contains('.'), "{path} is no field");
            let mut output = input.clone();
            output.as_object_mut().expect("an object").insert(name.to_owned(), result);
            output
        }
    }
}

fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

/// The rules that rotations depend on, on machines of a few lines.
mod rules {
    use super::*;

    /// Fails as often as the event says, and notes when it was called.
    #[derive(Default)]
    struct Bench {
        calls: RefCell<Vec<(String, f64)>>,
        running: Cell<usize>,
        most: Cell<usize>,
        began: RefCell<Option<tokio::time::Instant>>,
    }

    impl World for Bench {
        async fn invoke(&self, step: &str, event: Value) -> Result<Value, Failure> {
            let now = tokio::time::Instant::now();
            let began = *self.began.borrow_mut().get_or_insert(now);
            self.calls
                .borrow_mut()
                .push((step.to_owned(), now.duration_since(began).as_secs_f64()));
            self.running.set(self.running.get() + 1);
            self.most.set(self.most.get().max(self.running.get()));
            #[expect(clippy::disallowed_methods, reason = "a function that takes its time")]
            tokio::time::sleep(Duration::from_secs(event["seconds"].as_u64().unwrap_or(1))).await;
            self.running.set(self.running.get() - 1);
            let left = event["failures"].as_u64().unwrap_or(0);
            if event["retries"].as_u64().unwrap_or(0) < left {
                return Err(Failure::new(event["error"].as_str().unwrap_or("Throttled"), "busy"));
            }
            Ok(json!({"done": true}))
        }

        fn object(&self, _: &str, _: &str) -> Option<Value> {
            Some(json!([{"failures": 0}, {"failures": 9, "error": "Refused"}, {"failures": 0}]))
        }

        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn task(catch: Value) -> Value {
        json!({"Type": "Task", "Resource": "${DoItFunction}", "TimeoutSeconds": 60,
            "Parameters": {"failures.$": "$.failures", "error.$": "$.error", "seconds.$": "$.seconds",
                "retries.$": "$$.State.RetryCount"},
            "ResultPath": "$.result",
            "Retry": [
                {"ErrorEquals": ["Throttled"], "IntervalSeconds": 10, "BackoffRate": 2,
                    "MaxDelaySeconds": 30, "MaxAttempts": 3, "JitterStrategy": "FULL"},
                {"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1, "JitterStrategy": "FULL"}],
            "Catch": catch, "End": true})
    }

    fn machine(task: Value) -> Value {
        let pass = json!({"Type": "Pass", "ResultPath": "$.caught", "Parameters": {"at": 1}, "Next": "Well"});
        json!({"StartAt": "DoIt", "States": {
            "DoIt": task, "Caught": pass, "Well": {"Type": "Succeed"}}})
    }

    #[tokio::test(start_paused = true)]
    async fn retries_wait_longer_each_time_and_then_it_fails_or_is_caught() {
        let all =
            json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Caught"}]);
        let check = async |failures: u64,
                           error: &str,
                           seconds: u64,
                           catch: &Value,
                           calls: usize,
                           end: &str| {
            let (world, machine) = (Bench::default(), machine(task(catch.clone())));
            let input = json!({"failures": failures, "error": error, "seconds": seconds});
            let mut execution = Execution::new(&machine, &world, "x", input, 7);
            let ended = match execution.run().await {
                Ok(output) if output["failure"].is_null() => "done".to_owned(),
                Ok(output) => format!("caught {}", output["failure"]["Error"].as_str().unwrap()),
                Err(failure) => failure.error,
            };
            assert_eq!(ended, end);
            let made = world.calls.borrow().clone();
            assert_eq!(made.len(), calls);
            for (number, pair) in made.windows(2).enumerate() {
                let pause = pair[1].1 - pair[0].1 - seconds.min(60) as f64;
                let most = [10.0, 20.0, 30.0][number];
                assert!((0.0..=most).contains(&pause), "{pause} of {most}");
            }
            // Redriven it goes on where it failed, with retries counted from the start.
            if ended == error {
                assert_eq!(execution.redrive().await.unwrap_err().error, error);
                assert_eq!(world.calls.borrow().len(), 2 * calls);
            }
        };
        let none = json!([]);
        check(0, "Throttled", 1, &none, 1, "done").await;
        check(3, "Throttled", 1, &none, 4, "done").await;
        check(9, "Throttled", 1, &none, 4, "Throttled").await;
        check(9, "Throttled", 1, &all, 4, "caught Throttled").await;
        check(9, "Refused", 1, &none, 1, "Refused").await;
        check(9, "Refused", 1, &all, 1, "caught Refused").await;
        check(0, "", 61, &all, 2, "caught States.Timeout").await;
        // States.ALL is not all.
        check(9, "States.Runtime", 1, &all, 1, "States.Runtime").await;
        check(9, "States.DataLimitExceeded", 1, &all, 1, "States.DataLimitExceeded").await;
    }

    #[tokio::test(start_paused = true)]
    async fn maps_keep_to_their_concurrency_and_fail_with_an_iteration() {
        let check = async |map: Value, most: usize, end: Result<(), &str>| {
            let child = json!({"StartAt": "DoIt", "States": {"DoIt": {
                "Type": "Task", "Resource": "${DoItFunction}", "TimeoutSeconds": 9, "End": true}}});
            let mut state = map;
            state["Type"] = "Map".into();
            state["End"] = true.into();
            let mode = if state["ItemReader"].is_null() { "INLINE" } else { "DISTRIBUTED" };
            state["ItemProcessor"] = child;
            state["ItemProcessor"]["ProcessorConfig"] = json!({"Mode": mode});
            let machine = json!({"StartAt": "Each", "States": {"Each": state}});
            let world = Bench::default();
            let input = json!({"items": [{}, {}, {}, {}, {}], "bad": [{}, {"failures": 9, "error": "Refused"}]});
            let ended = Execution::new(&machine, &world, "x", input, 7).run().await;
            assert_eq!(
                ended.map(drop).map_err(|failure| failure.error),
                end.map_err(str::to_owned)
            );
            assert_eq!(world.most.get(), most);
        };
        check(json!({"ItemsPath": "$.items", "MaxConcurrency": 1}), 1, Ok(())).await;
        check(json!({"ItemsPath": "$.items", "MaxConcurrency": 3}), 3, Ok(())).await;
        check(json!({"ItemsPath": "$.items"}), 5, Ok(())).await;
        check(json!({"ItemsPath": "$.bad", "MaxConcurrency": 1}), 1, Err("Refused")).await;
        let reader = json!({"Parameters": {"Bucket": "b", "Key": "k"}});
        let threshold = Err("States.ExceedToleratedFailureThreshold");
        check(json!({"ItemReader": reader, "MaxConcurrency": 2}), 2, threshold).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_payload_may_be_256_kib_and_no_more() {
        let machine = machine(task(json!([])));
        let check = async |size: usize, end: Result<(), &str>| {
            let input = json!({"failures": 0, "error": "", "seconds": 1, "x": "y".repeat(size)});
            let world = Bench::default();
            let ended = Execution::new(&machine, &world, "x", input, 7).run().await;
            assert_eq!(
                ended.map(drop).map_err(|failure| failure.error),
                end.map_err(str::to_owned)
            );
        };
        check(PAYLOAD - 100, Ok(())).await;
        check(PAYLOAD, Err("States.DataLimitExceeded")).await;
    }
}
