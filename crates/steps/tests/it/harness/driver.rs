//! Runs whole rotations: the deployed state machine and steps, on an AWS in memory, in virtual
//! time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::harness::account::{self, ACCOUNT, Account, now};
use crate::harness::asl::{self, Execution, Failure};
use crate::harness::dice::Dice;
use crate::harness::fake_aws::{Call, Event, Fault};
use crate::harness::rig::Rig;
use crate::harness::rights;

thread_local! {
    /// The start of this thread's clock, in tokio's virtual time.
    static BEGAN: RefCell<Option<Instant>> = const { RefCell::new(None) };
}

/// The tests' fixed time plus the elapsed virtual time.
pub(crate) fn clock() -> Timestamp {
    let began = BEGAN.with_borrow_mut(|began| *began.get_or_insert_with(Instant::now));
    let passed = Instant::now().saturating_duration_since(began);
    now() + SignedDuration::try_from(passed).expect("not that long")
}

/// The deployed state machine.
pub(crate) fn definition() -> &'static Value {
    static DEFINITION: OnceLock<Value> = OnceLock::new();
    DEFINITION.get_or_init(|| {
        let text = include_str!("../../../../../statemachine/rotation.asl.json");
        serde_json::from_str(text).expect("JSON")
    })
}

/// Seconds that a change takes to reach the edges.
pub(crate) const PROPAGATION: i64 = 75;

/// A Lambda failure, starting at one invocation of a rotation, counted from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) from: usize,
    pub(crate) kind: Ailment,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Ailment {
    /// For this many seconds every invocation fails with this error.
    Out(i64, &'static str),
    /// The process of this step dies, this many times for this target, before it starts or after it
    /// has finished. With `usize::MAX` it dies each time, for every target.
    Dies { times: usize, after: bool },
}

/// The error that Lambda reports for a process that exits.
pub(crate) fn died() -> Failure {
    let message = "RequestId: 0-0 Error: Runtime exited with error: exit status 1";
    let payload = json!({"errorType": "Runtime.ExitError", "errorMessage": message});
    Failure::new("Runtime.ExitError", payload.to_string())
}

/// An account, and the rotations that run on it.
pub(crate) struct Driver {
    pub(crate) rig: Rig,
    /// When the next execution is stopped, unless it has ended by then.
    pub(crate) stop: Cell<Option<Duration>>,
    pub(crate) trouble: Cell<Option<Trouble>>,
    /// The number of all invocations.
    called: Cell<usize>,
    /// Until when Lambda fails; and which step dies how often from now on.
    out_until: Cell<Option<Timestamp>>,
    dying: RefCell<Option<(String, String, usize)>>,
    killed: Arc<Notify>,
    names: RefCell<usize>,
    invocations: RefCell<BTreeMap<String, usize>>,
    /// Each invoked function, with its target.
    order: RefCell<Vec<(String, String)>>,
}

/// The result of a rotation.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) result: Result<Value, Failure>,
    pub(crate) after: Account,
    pub(crate) journal: Vec<Event>,
    /// Did the fault hit a call?
    pub(crate) struck: bool,
    /// The state that it ended in; and whether Lambda could not run the last step.
    pub(crate) ended_in: String,
    pub(crate) no_last_step: bool,
    pub(crate) events: usize,
    pub(crate) events_of_children: usize,
    pub(crate) transitions: usize,
    /// The number of invocations of each function.
    pub(crate) invocations: BTreeMap<String, usize>,
    /// The order of invocations, with their targets.
    pub(crate) order: Vec<(String, String)>,
    pub(crate) largest: usize,
    pub(crate) calls: Vec<Call>,
    /// Every payload and error, for the search for private keys.
    pub(crate) texts: Vec<String>,
}

impl Driver {
    pub(crate) async fn new(account: Account) -> Self {
        // Each driver starts at the fixed time: otherwise the outages of earlier ones would add up
        // until certificates expire.
        BEGAN.set(Some(Instant::now()));
        let mut rig = Rig::new(account).await;
        rig.context.now = clock;
        let killed = rig.fake.with(|world| {
            world.clock = clock;
            world.propagation = Some(PROPAGATION);
            Arc::clone(&world.killed)
        });
        Self {
            rig,
            stop: Cell::default(),
            trouble: Cell::default(),
            called: Cell::default(),
            out_until: Cell::default(),
            dying: RefCell::default(),
            killed,
            names: RefCell::new(0),
            invocations: RefCell::default(),
            order: RefCell::default(),
        }
    }

    /// Runs a rotation with this fault until its end.
    pub(crate) async fn rotate(&self, request: &Value, fault: Option<Fault>, seed: u64) -> Ran {
        let (ran, _) = self.begin(request, fault, seed).await;
        ran
    }

    /// The same, but also returns the execution, so that it can be redriven.
    pub(crate) async fn begin<'a>(
        &'a self,
        request: &Value,
        fault: Option<Fault>,
        seed: u64,
    ) -> (Ran, Execution<'a, Self>) {
        let name = {
            let mut names = self.names.borrow_mut();
            *names += 1;
            format!("rotation-{names}")
        };
        self.disturb(fault, seed);
        let mut execution = Execution::new(definition(), self, &name, request.clone(), seed);
        execution.limit = self.stop.take().unwrap_or(execution.limit);
        self.mark(&name, "RUNNING", None);
        let result = execution.run().await;
        let ran = self.ended(&execution, &name, result);
        (ran, execution)
    }

    /// Redrives a failed execution, without faults.
    pub(crate) async fn redrive(&self, execution: &mut Execution<'_, Self>) -> Ran {
        self.trouble.set(None);
        execution.limit = asl::limit_of(definition());
        self.disturb(None, 1);
        let name = execution.name();
        self.mark(&name, "RUNNING", None);
        let result = execution.redrive().await;
        self.ended(execution, &name, result)
    }

    fn disturb(&self, fault: Option<Fault>, seed: u64) {
        self.called.set(0);
        self.out_until.set(None);
        self.dying.take();
        self.rig.fake.with(|world| {
            world.calls.clear();
            world.journal.clear();
            world.struck = false;
            world.dice = Dice::of(seed);
            world.disturb(fault);
        });
    }

    /// Records an execution as Step Functions would report it.
    pub(crate) fn mark(&self, name: &str, status: &str, result: Option<&Result<Value, Failure>>) {
        let arn = format!("arn:aws:states:us-east-1:111122223333:execution:rotation:{name}");
        self.rig.change(|account| {
            let found = account.executions.remove(&arn);
            let running = found.unwrap_or_else(|| account::Execution::running(clock()));
            let (error, cause) = match result {
                Some(Err(failure)) => (failure.error.as_str(), failure.cause.as_str()),
                _ => ("", ""),
            };
            let execution = match result {
                Some(_) => running.is(status, clock(), error, cause),
                None => account::Execution { status: status.into(), ended: None, ..running },
            };
            account.executions.insert(arn, execution);
        });
    }

    fn ended(
        &self,
        execution: &Execution<'_, Self>,
        name: &str,
        result: Result<Value, Failure>,
    ) -> Ran {
        let status = result.as_ref().err().map_or("SUCCEEDED", Failure::status);
        let is_out = self.out_until.get().is_some_and(|until| clock() < until);
        let dies = self
            .dying
            .borrow()
            .as_ref()
            .is_some_and(|(step, _, left)| step == "report-rotation" && *left > 0);
        self.mark(name, status, Some(&result));
        let mut texts = execution.payloads.take();
        texts.extend(result.as_ref().err().map(|failure| failure.cause.clone()));
        self.rig.fake.with(|world| {
            world.disturb(None);
            world.settle();
            Ran {
                result,
                after: world.account.clone(),
                journal: std::mem::take(&mut world.journal),
                struck: world.struck,
                ended_in: execution.state_at(),
                no_last_step: is_out || dies,
                events: execution.events.get(),
                events_of_children: execution.events_of_children.get(),
                transitions: execution.transitions.get(),
                invocations: self.invocations.take(),
                order: self.order.take(),
                largest: execution.largest.get(),
                calls: std::mem::take(&mut world.calls),
                texts,
            }
        })
    }
}

impl Driver {
    /// Does Lambda fail now: before this function runs (false), or after it has run (true)?
    fn trouble_with(&self, step: &str, target: &str) -> Option<(Failure, bool)> {
        let number = self.called.get();
        self.called.set(number + 1);
        let Trouble { from, kind } = self.trouble.get()?;
        let begins = number == from;
        let met = match kind {
            Ailment::Out(seconds, error) => {
                if begins {
                    self.out_until.set(Some(clock() + SignedDuration::from_secs(seconds)));
                }
                let is_out = self.out_until.get().is_some_and(|until| clock() < until);
                is_out.then(|| (Failure::new(error, "told so"), false))
            }
            Ailment::Dies { times, after } => {
                let mut dying = self.dying.borrow_mut();
                if begins {
                    *dying = Some((step.to_owned(), target.to_owned(), times));
                }
                let dies = dying.as_mut().filter(|(dying, whose, left)| {
                    dying == step && *left > 0 && (times == usize::MAX || whose == target)
                });
                dies.map(|(_, _, left)| {
                    *left -= 1;
                    (died(), after)
                })
            }
        };
        if met.is_some() {
            self.rig.fake.with(|world| world.struck = true);
        }
        met
    }
}

impl asl::World for Driver {
    async fn invoke(&self, step: &str, event: Value) -> Result<Value, Failure> {
        let target = event["state"]["target"]["id"].as_str().unwrap_or_default().to_owned();
        let trouble = self.trouble_with(step, &target);
        self.order.borrow_mut().push((step.to_owned(), target));
        if let Some((failure, false)) = trouble {
            return Err(failure);
        }
        *self.invocations.borrow_mut().entry(step.to_owned()).or_default() += 1;
        let function = format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:{step}");
        rights::note_call("state-machine", "lambda:InvokeFunction", &function, "");
        // Functions that check the remaining time have fifteen minutes.
        let over_at = clock().as_millisecond() + 900_000;
        self.rig.context.over_at.store(over_at, Ordering::Relaxed);
        if step == "update-distribution" {
            let target = event["state"]["target"]["id"].as_str().expect("a target").to_owned();
            self.rig.fake.with(|world| world.journal.push(Event::Begun { target }));
        }
        let attempt = Box::pin(self.rig.event(step, event));
        let result = tokio::select! {
            // A function that dies returns nothing.
            () = self.killed.notified() => return Err(died()),
            result = attempt => result,
        };
        if let Some((failure, _)) = trouble {
            return Err(failure);
        }
        result.map_err(|error| {
            let Diagnostic { error_type, error_message } = Diagnostic::from(error);
            let cause = json!({"errorType": error_type, "errorMessage": error_message});
            Failure::new(&error_type, cause.to_string())
        })
    }

    fn object(&self, bucket: &str, key: &str) -> Option<Value> {
        let place = format!("{bucket}/{key}");
        rights::note_call("state-machine", "s3:GetObject", &rights::object(&place), "");
        let account = self.rig.account();
        let text = account.objects.get(&place)?;
        Some(serde_json::from_str(text).expect("JSON"))
    }

    fn now(&self) -> Timestamp {
        clock()
    }
}
