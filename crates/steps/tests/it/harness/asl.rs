//! An interpreter of the part of the Amazon States Language that this project's state machine uses,
//! in virtual time. Three others read the definition too; this is the only one that is fast and
//! supports redrives.
//!
//! It follows <https://states-language.net/spec.html>, the Step Functions Developer Guide, and
//! recordings of the real service, which take precedence. docs/local-aws.md gives the source of
//! each rule, and `asl_rules` tests them. It panics on anything unknown, so that nothing in the
//! definition is ignored silently.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::harness::dice::Dice;

/// An error name and a cause, as in a Catch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) cause: String,
}

impl Failure {
    pub(crate) fn new(error: &str, cause: impl Into<String>) -> Self {
        Self { error: error.into(), cause: cause.into() }
    }

    /// The execution exceeded its TimeoutSeconds: DescribeExecution then returns neither error nor
    /// cause.
    pub(crate) fn timed_out() -> Self {
        Self::new("", "")
    }

    /// The status of an execution that ended with this failure.
    pub(crate) fn status(&self) -> &'static str {
        if *self == Self::timed_out() { "TIMED_OUT" } else { "FAILED" }
    }

    fn runtime(cause: impl Into<String>) -> Self {
        Self::new(RUNTIME, cause)
    }
}

/// No Catch matches this error, not even by its name.
const RUNTIME: &str = "States.Runtime";
const TOO_LARGE: &str = "States.DataLimitExceeded";

/// The functions and objects that a state machine uses.
pub(crate) trait World {
    /// Invokes a function, by the name of its step.
    async fn invoke(&self, step: &str, event: Value) -> Result<Value, Failure>;
    /// Returns an object for an ItemReader.
    fn object(&self, bucket: &str, key: &str) -> Option<Value>;
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// An execution, which can be redriven after it has failed.
pub(crate) struct Execution<'a, W> {
    definition: &'a Value,
    world: &'a W,
    context: Value,
    /// The current position, where a redrive resumes.
    at: Rc<RefCell<Place>>,
    /// Running invocations: an invoked function runs to its end, even if the state that invoked it
    /// has ended.
    invocations: RefCell<FuturesUnordered<Pin<Box<dyn Future<Output = ()> + 'a>>>>,
    dice: Cell<Dice>,
    /// When it is stopped, counted from its start or from a redrive.
    pub(crate) limit: Duration,
    /// The longest history of it and of its children, in events.
    pub(crate) events: Cell<usize>,
    /// The events of all its children.
    pub(crate) events_of_children: Cell<usize>,
    /// Billed transitions: each state, each retry, each child that a Map starts ("Transitions in
    /// Distributed Map state", Step Functions Developer Guide).
    pub(crate) transitions: Cell<usize>,
    /// The largest payload, in bytes.
    pub(crate) largest: Cell<usize>,
    /// Every payload, for tests that search them.
    pub(crate) payloads: RefCell<Vec<String>>,
}

/// The current state of an execution, or of an iteration of a Map.
struct Place {
    state: String,
    input: Value,
    /// The progress of a Map.
    map: Option<Tour>,
}

/// A Map in progress.
struct Tour {
    items: Vec<Value>,
    done: BTreeMap<usize, Value>,
    begun: BTreeMap<usize, Rc<RefCell<Place>>>,
}

impl Place {
    fn new(state: &Value, input: Value) -> Rc<RefCell<Self>> {
        let state = state.as_str().expect("StartAt").to_owned();
        Rc::new(RefCell::new(Self { state, input, map: None }))
    }
}

pub(crate) const PAYLOAD: usize = 262_144;

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
            at: Place::new(&definition["StartAt"], input),
            invocations: RefCell::default(),
            limit: limit_of(definition),
            dice: Cell::new(Dice(seed.wrapping_mul(2).wrapping_add(1))),
            events: Cell::new(0),
            events_of_children: Cell::new(0),
            transitions: Cell::new(0),
            largest: Cell::new(0),
            payloads: RefCell::default(),
        }
    }

    /// The name it was started with.
    pub(crate) fn name(&self) -> String {
        self.context["Execution"]["Name"].as_str().expect("a name").to_owned()
    }

    /// Runs until the end.
    pub(crate) async fn run(&mut self) -> Result<Value, Failure> {
        let mut events = 2;
        let states = self.states(self.definition, &self.at, &self.context, &mut events);
        let ended = self.beside_invocations(tokio::time::timeout(self.limit, states)).await;
        // Invocations whose results are no longer awaited.
        let all_others = async { while self.next_invocation().await {} };
        all_others.await;
        self.events.set(self.events.get().max(events));
        ended.unwrap_or_else(|_| Err(Failure::timed_out()))
    }

    /// Resumes at the state that did not finish, with its input and with a fresh retry count. In a
    /// Map, iterations that failed or were stopped resume where they were, and those that had not
    /// started run; those that succeeded do not run again.
    pub(crate) async fn redrive(&mut self) -> Result<Value, Failure> {
        let count = self.context["Execution"]["RedriveCount"].as_u64().expect("a count");
        self.context["Execution"]["RedriveCount"] = (count + 1).into();
        self.run().await
    }

    /// The current state, or the one that it ended in.
    pub(crate) fn state_at(&self) -> String {
        self.at.borrow().state.clone()
    }

    async fn beside_invocations<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            loop {
                if let Poll::Ready(done) = work.as_mut().poll(context) {
                    return Poll::Ready(done);
                }
                match self.invocations.borrow_mut().poll_next_unpin(context) {
                    // An invocation has ended, so the execution that awaits it can continue.
                    Poll::Ready(Some(())) => {}
                    Poll::Ready(None) | Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Awaits the end of one invocation; false if there is none.
    async fn next_invocation(&self) -> bool {
        std::future::poll_fn(|context| self.invocations.borrow_mut().poll_next_unpin(context))
            .await
            .is_some()
    }

    /// Runs from the current state to the end.
    async fn states(
        &self,
        machine: &Value,
        place: &RefCell<Place>,
        context: &Value,
        events: &mut usize,
    ) -> Result<Value, Failure> {
        loop {
            let (name, input) = {
                let place = place.borrow();
                (place.state.clone(), place.input.clone())
            };
            let state = &machine["States"][&name];
            assert!(state.is_object(), "no state {name}");
            let mut context = context.clone();
            context["State"] =
                json!({"Name": name, "EnteredTime": self.world.now().to_string(), "RetryCount": 0});
            let (output, next) =
                self.state(&name, state, &input, &mut context, place, events).await?;
            match next {
                Some(next) => *place.borrow_mut() = Place { state: next, input: output, map: None },
                None => return Ok(output),
            }
        }
    }

    /// Runs one state. Returns its output, and the next state unless it is the end.
    async fn state(
        &self,
        name: &str,
        state: &Value,
        input: &Value,
        context: &mut Value,
        place: &RefCell<Place>,
        events: &mut usize,
    ) -> Result<(Value, Option<String>), Failure> {
        let kind = state["Type"].as_str().expect("a type");
        known(name, kind, state);
        *events += 2;
        self.transitions.update(|count| count + 1);
        let next = || state["Next"].as_str().map(str::to_owned);
        match kind {
            "Pass" => {
                let result = template(&state["Parameters"], input, context)?;
                let output = merged(input, &state["ResultPath"], state.get("ResultPath"), result);
                self.weigh(name, &output)?;
                Ok((output, next()))
            }
            "Choice" => {
                let rules = state["Choices"].as_array().expect("choices").iter();
                let mut next = &state["Default"];
                for rule in rules {
                    if holds(rule, input)? {
                        next = &rule["Next"];
                        break;
                    }
                }
                let next = next.as_str().expect("a Default for what no rule takes");
                Ok((input.clone(), Some(next.to_owned())))
            }
            "Wait" => {
                let seconds = match state["SecondsPath"].as_str() {
                    Some(path) => look_up(path, input, context)?,
                    None => state["Seconds"].clone(),
                };
                let refused =
                    || Failure::runtime(format!("{name}: {seconds} is no number of seconds"));
                self.pass(seconds.as_u64().ok_or_else(refused)? as f64).await;
                Ok((input.clone(), next()))
            }
            "Succeed" => {
                let path = state["InputPath"].as_str().unwrap_or("$");
                Ok((look_up(path, input, context)?, None))
            }
            "Fail" => Err(Failure::new(
                state["Error"].as_str().expect("an error"),
                state["Cause"].as_str().expect("a cause"),
            )),
            "Task" | "Map" => {
                let result = match kind {
                    "Task" => self.task(state, input, context, events).await,
                    _ => self.map(name, state, input, context, place, events).await,
                };
                match result {
                    Ok(result) => {
                        let path = &state["ResultPath"];
                        let output = merged(input, path, state.get("ResultPath"), result);
                        self.weigh(name, &output)?;
                        Ok((output, next()))
                    }
                    Err(failure) if failure.error == RUNTIME => Err(failure),
                    // That States.ALL catches it is known only for the result of a Task.
                    Err(failure) if kind == "Map" && failure.error == TOO_LARGE => {
                        place.borrow_mut().map = None;
                        Err(failure)
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
            let event = template(&state["Parameters"], input, context)?;
            self.weigh(resource, &event)?;
            let failure = match self.invoke(step.clone(), event, limit).await {
                // A result counts even if ResultPath drops it.
                Ok(result) => match self.weigh(resource, &result) {
                    Ok(()) => return Ok(result),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            let retrier = retriers.iter().position(|retrier| matches(retrier, &failure.error));
            let Some(index) = retrier else { return Err(failure) };
            let retrier = &retriers[index];
            known("", "Retry", retrier);
            if counts[index] >= retrier["MaxAttempts"].as_u64().unwrap_or(3) {
                return Err(failure);
            }
            let chance = match retrier["JitterStrategy"].as_str().unwrap_or("NONE") {
                "FULL" => self.chance(),
                "NONE" => 1.0,
                other => panic!("no jitter {other}"),
            };
            let pause = longest_pause(retrier, counts[index]) * chance;
            counts[index] += 1;
            self.transitions.update(|count| count + 1);
            self.pass(pause).await;
        }
    }

    /// Invokes a function with the timeout of its Task. It runs on if the caller stops waiting for
    /// it.
    async fn invoke(&self, step: String, event: Value, limit: Duration) -> Result<Value, Failure> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let world = self.world;
        let invocation = async move {
            let done = tokio::time::timeout(limit, world.invoke(&step, event)).await;
            // The caller may no longer wait.
            drop(tell.send(done.unwrap_or_else(|_| Err(Failure::new("States.Timeout", "")))));
        };
        self.invocations.borrow_mut().push(Box::pin(invocation));
        told.await.expect("what was called comes to an end")
    }

    async fn map(
        &self,
        name: &str,
        state: &Value,
        input: &Value,
        context: &Value,
        place: &RefCell<Place>,
        events: &mut usize,
    ) -> Result<Value, Failure> {
        let machine = &state["ItemProcessor"];
        let is_distributed = machine["ProcessorConfig"]["Mode"] == "DISTRIBUTED";
        if place.borrow().map.is_none() {
            let items = self.items(state, input, context)?;
            let tour = Tour { items, done: BTreeMap::new(), begun: BTreeMap::new() };
            place.borrow_mut().map = Some(tour);
        }
        let tour = |work: &mut dyn FnMut(&mut Tour)| {
            work(place.borrow_mut().map.as_mut().expect("a Map under way"));
        };
        let limit = match state["MaxConcurrency"].as_u64() {
            None | Some(0) => usize::MAX,
            Some(limit) => limit as usize,
        };
        let iteration = async |index: usize, item: Value| {
            let mut context = context.clone();
            context["Map"] = json!({"Item": {"Index": index, "Value": item}});
            let mut own = 2;
            let mut at = None;
            tour(&mut |tour| at = tour.begun.get(&index).cloned());
            let at = match (at, state.get("ItemSelector")) {
                (Some(at), _) => at,
                (None, Some(selector)) => match template(selector, input, &context) {
                    Ok(given) => Place::new(&machine["StartAt"], given),
                    Err(failure) => return (index, own, Err(failure)),
                },
                (None, None) => Place::new(&machine["StartAt"], item),
            };
            tour(&mut |tour| drop(tour.begun.insert(index, Rc::clone(&at))));
            if is_distributed {
                self.transitions.update(|count| count + 1);
            }
            let done = self.states(machine, &at, &context, &mut own).await;
            (index, own, done)
        };
        let mut waiting = Vec::new();
        tour(&mut |tour| {
            let items = tour.items.iter().cloned().enumerate();
            waiting = items.filter(|(index, _)| !tour.done.contains_key(index)).collect();
        });
        let mut waiting = waiting.into_iter();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < limit {
                let Some((index, item)) = waiting.next() else { break };
                // Boxed, because Maps nest.
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
                Ok(result) => tour(&mut |tour| drop(tour.done.insert(index, result.clone()))),
                Err(_) if is_distributed => {
                    return Err(Failure::new(
                        "States.ExceedToleratedFailureThreshold",
                        "The specified tolerated failure threshold was exceeded",
                    ));
                }
                Err(failure) => return Err(failure),
            }
        }
        *events += 4;
        let mut results = Vec::new();
        tour(&mut |tour| results = std::mem::take(&mut tour.done).into_values().collect());
        let results = Value::Array(results);
        self.weigh(name, &results)?;
        Ok(results)
    }

    fn items(&self, state: &Value, input: &Value, context: &Value) -> Result<Vec<Value>, Failure> {
        let Some(reader) = state.get("ItemReader") else {
            let path = state["ItemsPath"].as_str().expect("ItemsPath");
            return match look_up(path, input, context)? {
                Value::Array(items) => Ok(items),
                other => Err(Failure::runtime(format!(
                    "Map state input must be an array but was: {other}"
                ))),
            };
        };
        assert_eq!(state["ItemProcessor"]["ProcessorConfig"]["Mode"], "DISTRIBUTED");
        let place = template(&reader["Parameters"], input, context)?;
        let text = |name: &str| place[name].as_str().expect("a place").to_owned();
        let unread = |cause: &str| Err(Failure::new("States.ItemReaderFailed", cause));
        match self.world.object(&text("Bucket"), &text("Key")) {
            Some(Value::Array(items)) => Ok(items),
            Some(_) => unread("Attempting to map over non-iterable node."),
            None => unread("The specified key does not exist."),
        }
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

    /// A random number from 0 to 1.
    fn chance(&self) -> f64 {
        let mut dice = self.dice.get();
        let number = dice.next();
        self.dice.set(dice);
        (number % 1_000) as f64 / 1_000.0
    }

    fn weigh(&self, what: &str, payload: &Value) -> Result<(), Failure> {
        let text = payload.to_string();
        self.largest.set(self.largest.get().max(text.len()));
        let is_too_large = text.len() > PAYLOAD;
        self.payloads.borrow_mut().push(text);
        if is_too_large {
            return Err(Failure::new(
                TOO_LARGE,
                format!(
                    "The state/task '{what}' returned a result with a size exceeding the maximum number of bytes service limit."
                ),
            ));
        }
        Ok(())
    }
}

/// The maximum duration of an execution.
pub(crate) fn limit_of(definition: &Value) -> Duration {
    definition["TimeoutSeconds"].as_u64().map_or(Duration::MAX, Duration::from_secs)
}

/// The longest pause of a Retry before its next attempt, after this many attempts.
pub(crate) fn longest_pause(retrier: &Value, count: u64) -> f64 {
    let number = |name: &str, default: f64| retrier[name].as_f64().unwrap_or(default);
    let backoff = number("BackoffRate", 2.0).powf(count as f64);
    (number("IntervalSeconds", 1.0) * backoff).min(number("MaxDelaySeconds", f64::MAX))
}

/// Rejects fields that the interpreter would ignore.
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

/// Does a Retry or Catch match this error?
fn matches(handler: &Value, error: &str) -> bool {
    let names = handler["ErrorEquals"].as_array().expect("ErrorEquals");
    assert!(!names.contains(&json!("States.TaskFailed")), "States.TaskFailed is not known here");
    error != RUNTIME && names.iter().any(|name| name == error || name == "States.ALL")
}

fn holds(rule: &Value, input: &Value) -> Result<bool, Failure> {
    if let Some(rules) = rule["And"].as_array() {
        for rule in rules {
            if !holds(rule, input)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let value = look_up(rule["Variable"].as_str().expect("a variable"), input, &Value::Null)?;
    let rule = rule.as_object().expect("a rule");
    let tests = rule.iter().filter(|(name, _)| !["Variable", "Next"].contains(&name.as_str()));
    Ok(tests.fold(true, |all, (name, wanted)| {
        all && match name.as_str() {
            "StringEquals" | "BooleanEquals" => value == *wanted,
            "NumericLessThan" => {
                value.as_f64().zip(wanted.as_f64()).is_some_and(|(value, limit)| value < limit)
            }
            other => panic!("no {other} here"),
        }
    }))
}

/// Evaluates a reference path; `$$` refers to the context object.
fn look_up(path: &str, input: &Value, context: &Value) -> Result<Value, Failure> {
    let (root, rest) = match path.strip_prefix("$$") {
        Some(rest) => (context, rest),
        None => (input, path.strip_prefix('$').expect("a path")),
    };
    let mut parts = rest.split('.').filter(|part| !part.is_empty());
    let found = parts.try_fold(root, |value, part| value.get(part));
    found
        .cloned()
        .ok_or_else(|| Failure::runtime(format!("{path} could not be found in the input")))
}

/// Evaluates Parameters and ItemSelector, without which the input stays: fields that end with `.$`
/// are paths or intrinsic functions.
fn template(template: &Value, input: &Value, context: &Value) -> Result<Value, Failure> {
    if template.is_null() { Ok(input.clone()) } else { filled(template, input, context) }
}

fn filled(template: &Value, input: &Value, context: &Value) -> Result<Value, Failure> {
    match template {
        Value::Object(fields) => {
            let mut made = Map::new();
            for (name, value) in fields {
                let (name, value) = match name.strip_suffix(".$") {
                    Some(name) => {
                        (name, computed(value.as_str().expect("a path"), input, context)?)
                    }
                    None => (name.as_str(), filled(value, input, context)?),
                };
                made.insert(name.to_owned(), value);
            }
            Ok(Value::Object(made))
        }
        other => Ok(other.clone()),
    }
}

fn computed(text: &str, input: &Value, context: &Value) -> Result<Value, Failure> {
    let Some(arguments) =
        text.strip_prefix("States.MathAdd(").and_then(|rest| rest.strip_suffix(')'))
    else {
        return look_up(text, input, context);
    };
    let mut sum = 0;
    for argument in arguments.split(',').map(str::trim) {
        sum += match argument.parse::<i64>() {
            Ok(number) => number,
            Err(_) => look_up(argument, input, context)?.as_i64().expect("a number"),
        };
    }
    Ok(sum.into())
}

/// Merges a result into the input. Without a ResultPath the result replaces it; with null the
/// result is dropped.
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
