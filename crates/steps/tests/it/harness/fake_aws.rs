//! A fake AWS in memory that answers HTTP requests, below the SDK's client: real requests, real
//! responses, and faults wherever a test needs one. It panics on unknown requests.

mod acm;
mod cloudfront;
mod edge;
mod iam;
mod others;
mod tagging;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use jiff::{SignedDuration, Timestamp};

use crate::harness::account::{Account, now};
use crate::harness::dice::Dice;
use crate::harness::rights;

/// One call of the SDK, with all its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) resource: String,
    pub(crate) attempts: usize,
    id: String,
}

/// Is this operation a read?
pub(crate) fn is_read(operation: &str) -> bool {
    ["Get", "List", "Describe"].iter().any(|verb| operation.starts_with(verb))
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Status 500, and the call had no effect.
    ErrorBefore,
    /// Status 500, but the call took effect.
    ErrorAfter,
    Throttled,
    /// The connection breaks before the request is complete.
    ConnectionBefore,
    /// The connection breaks before the response is complete.
    ConnectionAfter,
    AccessDenied,
    /// The call took effect, but the response is unusable.
    Malformed,
    /// The call took effect, but there is no response.
    Timeout,
    /// The calling function dies before the call takes effect.
    KilledBefore,
    /// The calling function dies after the call took effect.
    KilledAfter,
    /// This error, in the format of the service, and the call had no effect.
    Answer(u16, &'static str, &'static str),
}

impl Kind {
    /// The faults that retries recover from, wherever they occur.
    const SURVIVABLE: [Self; 9] = [
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::Throttled,
        Self::ConnectionBefore,
        Self::ConnectionAfter,
        Self::Malformed,
        Self::Timeout,
        Self::KilledBefore,
        Self::KilledAfter,
    ];
    pub(crate) const ALL: [Self; 8] = [
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::Throttled,
        Self::ConnectionBefore,
        Self::ConnectionAfter,
        Self::AccessDenied,
        Self::Malformed,
        Self::Timeout,
    ];
}

/// The call that fails, counted from 0 or by its operation, and for how many attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) at: At,
    pub(crate) kind: Kind,
    pub(crate) attempts: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    Call(usize),
    Operation(&'static str),
    /// This call, and for this many seconds all calls with the same operation and resource.
    Outage(usize, i64),
    /// Any attempt of any call, with this probability in per mille.
    Chance(u64),
}

/// What happened to certificates and targets, and when; the invariants are checked against this.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// The step that moves this target started.
    Begun { target: String },
    /// The halt note of a failed target was written.
    Halted,
    /// A target was given another certificate, which is on all edges at `until`.
    Moved { at: Timestamp, until: Timestamp, target: String, from: String, to: String },
    /// A certificate was added to a store.
    Imported { at: Timestamp, id: String, pem: String },
    /// A certificate was deleted while these targets served it, or were deploying.
    Deleted { at: Timestamp, id: String, used_by: Vec<String>, deploying: Vec<String> },
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) account: Account,
    pub(crate) calls: Vec<Call>,
    pub(crate) fault: Option<Fault>,
    /// Has the fault hit a call?
    pub(crate) struck: bool,
    /// The number of handshakes.
    pub(crate) handshakes: usize,
    /// The current time.
    pub(crate) clock: fn() -> Timestamp,
    /// Seconds until a change reaches the edges; `None`: after a number of reads.
    pub(crate) propagation: Option<i64>,
    /// The changes being deployed, and until when.
    pub(crate) deploying: BTreeMap<String, Timestamp>,
    pub(crate) journal: Vec<Event>,
    /// How many seconds CloudFront does not see a certificate after its import.
    pub(crate) unseen_for: i64,
    /// Notified when a function dies; the driver numbers the functions.
    pub(crate) killed: Arc<tokio::sync::Notify>,
    /// The operation and resource of an outage, and its end.
    outage: Option<(String, String, Timestamp)>,
    /// The latency of every response.
    pub(crate) latency: Duration,
    /// An operation with a higher latency.
    pub(crate) slow: Option<(&'static str, Duration)>,
    /// The rate limits of services.
    pub(crate) rates: Vec<Rate>,
    pub(crate) dice: Dice,
}

/// A rate limit of CloudFront, or of the service it is `on`: a burst, and calls per second in the
/// long run. Faster calls are throttled.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    service: &'static str,
    /// The prefix of the operations' names.
    verb: &'static str,
    burst: f64,
    per_second: f64,
    taken: f64,
    since: Timestamp,
    /// How many attempts were throttled.
    pub(crate) throttled: usize,
}

impl Rate {
    pub(crate) fn of(verb: &'static str, burst: f64, per_second: f64) -> Self {
        let service = "cloudfront";
        Self { service, verb, burst, per_second, taken: 0.0, since: now(), throttled: 0 }
    }

    pub(crate) fn on(self, service: &'static str) -> Self {
        Self { service, ..self }
    }

    fn is_over(&mut self, at: Timestamp) -> bool {
        let passed = at.duration_since(self.since).as_secs_f64();
        self.taken = (self.taken - passed * self.per_second).max(0.0);
        self.since = at;
        let is_over = self.taken + 1.0 > self.burst;
        if is_over {
            self.throttled += 1;
        } else {
            self.taken += 1.0;
        }
        is_over
    }
}

impl Default for World {
    fn default() -> Self {
        Self {
            account: Account::default(),
            calls: Vec::new(),
            fault: None,
            struck: false,
            handshakes: 0,
            clock: now,
            propagation: None,
            deploying: BTreeMap::new(),
            journal: Vec::new(),
            unseen_for: 0,
            killed: Arc::default(),
            outage: None,
            latency: Duration::ZERO,
            slow: None,
            rates: Vec::new(),
            dice: Dice(1),
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct FakeAws(Arc<Mutex<World>>);

/// The SDK logs its HTTP client; this one contains keys that are not the SDK's.
impl fmt::Debug for FakeAws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeAws")
    }
}

impl FakeAws {
    /// Reads or changes the account and the faults.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }
}

impl HttpClient for FakeAws {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for FakeAws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = Request::of(&request);
        let (answer, latency) = self.with(|world| {
            let slow = world.slow.filter(|(operation, _)| request.operation == *operation);
            (world.receive(&request), slow.map_or(world.latency, |(_, latency)| latency))
        });
        if latency.is_zero() {
            return answer;
        }
        HttpConnectorFuture::new(async move {
            #[expect(clippy::disallowed_methods, reason = "an answer takes its time")]
            tokio::time::sleep(latency).await;
            answer.await
        })
    }
}

impl World {
    fn receive(&mut self, request: &Request) -> HttpConnectorFuture {
        let service = request.service.as_str();
        let broken = |text: &str| HttpConnectorFuture::ready(Err(ConnectorError::io(text.into())));
        let attempt = self.log(request);
        rights::note(&self.account, request);
        self.propagate();
        let kind = self.fault_of(request, attempt);
        self.struck |= kind.is_some();
        let kind = kind.or_else(|| self.is_too_fast(request).then_some(Kind::Throttled));
        match kind {
            Some(Kind::ErrorBefore) => Answer::internal(service).future(),
            Some(Kind::Throttled) => Answer::throttled(service).future(),
            Some(Kind::AccessDenied) => {
                Answer::error(service, 403, "AccessDenied", "not allowed").future()
            }
            Some(Kind::ConnectionBefore) => broken("connection refused"),
            Some(Kind::Answer(status, code, message)) => {
                Answer::error(service, status, code, message).future()
            }
            Some(Kind::KilledBefore) => {
                self.killed.notify_one();
                HttpConnectorFuture::new(std::future::pending())
            }
            after => {
                let answer = self.answer_and_note(request);
                match after {
                    Some(Kind::ErrorAfter) => Answer::internal(service).future(),
                    Some(Kind::ConnectionAfter) => broken("connection reset"),
                    Some(Kind::Malformed) => {
                        Answer { body: "<cut {short".into(), ..answer }.future()
                    }
                    Some(Kind::Timeout) => HttpConnectorFuture::new(std::future::pending()),
                    Some(Kind::KilledAfter) => {
                        self.killed.notify_one();
                        HttpConnectorFuture::new(std::future::pending())
                    }
                    _ => answer.future(),
                }
            }
        }
    }

    fn fault_of(&mut self, request: &Request, attempt: usize) -> Option<Kind> {
        let Fault { at, kind, attempts } = self.fault?;
        let number = self.calls.len();
        let now = (self.clock)();
        match at {
            At::Call(index) => (number == index + 1 && attempt <= attempts).then_some(kind),
            At::Operation(operation) => {
                (request.operation == operation && attempt <= attempts).then_some(kind)
            }
            At::Outage(index, seconds) => {
                if number == index + 1 && self.outage.is_none() {
                    let until = now + SignedDuration::from_secs(seconds);
                    self.outage =
                        Some((request.operation.clone(), request.resource.clone(), until));
                }
                let (operation, resource, until) = self.outage.as_ref()?;
                let is_out = *operation == request.operation
                    && *resource == request.resource
                    && now < *until;
                is_out.then_some(kind)
            }
            At::Chance(per_mille) => {
                if self.dice.roll(1_000) >= per_mille {
                    return None;
                }
                let kinds = Kind::SURVIVABLE;
                Some(kinds[self.dice.roll(kinds.len() as u64) as usize])
            }
        }
    }

    fn is_too_fast(&mut self, request: &Request) -> bool {
        let at = (self.clock)();
        let rates = self.rates.iter_mut();
        let concerned = rates.filter(|rate| {
            request.service == rate.service && request.operation.starts_with(rate.verb)
        });
        concerned.map(|rate| rate.is_over(at)).max().unwrap_or(false)
    }

    /// Sets another fault, or none.
    pub(crate) fn disturb(&mut self, fault: Option<Fault>) {
        self.fault = fault;
        self.outage = None;
    }

    /// Completes all deployments, after the end of a rotation.
    pub(crate) fn settle(&mut self) {
        for (id, _) in std::mem::take(&mut self.deploying) {
            *self.account.reads_left(&id) = 0;
        }
    }

    /// Completes the deployments whose time is over.
    fn propagate(&mut self) {
        let now = (self.clock)();
        let account = &mut self.account;
        self.deploying.retain(|id, until| {
            let has_arrived = *until <= now;
            *account.reads_left(id) = if has_arrived { 0 } else { 1_000 };
            !has_arrived
        });
    }

    /// Answers a request, and records the changes in the journal.
    fn answer_and_note(&mut self, request: &Request) -> Answer {
        let at = (self.clock)();
        let served = |account: &Account| account.serving();
        let before = (served(&self.account), self.account.certificates());
        let answer = if self.is_unseen(request, at) {
            cloudfront::error(
                400,
                "InvalidViewerCertificate",
                "The specified SSL certificate doesn't exist",
            )
        } else {
            self.answer(request)
        };
        let after = (served(&self.account), self.account.certificates());
        for (target, to) in &after.0 {
            let Some(from) = before.0.get(target).filter(|from| *from != to) else { continue };
            let until = at + SignedDuration::from_secs(self.propagation.unwrap_or(0));
            if self.propagation.is_some() {
                self.deploying.insert(target.clone(), until);
                *self.account.reads_left(target) = 1_000;
            }
            let (target, from, to) = (target.clone(), from.clone(), to.clone());
            self.journal.push(Event::Moved { at, until, target, from, to });
        }
        if request.operation == "PutObject" && request.resource.contains("/halt/") {
            self.journal.push(Event::Halted);
        }
        for id in before.1.difference(&after.1) {
            let used_by = after.0.iter().filter(|(_, has)| *has == id);
            self.journal.push(Event::Deleted {
                at,
                id: id.clone(),
                used_by: used_by.map(|(target, _)| target.clone()).collect(),
                deploying: self.deploying.keys().cloned().collect(),
            });
        }
        for id in after.1.difference(&before.1) {
            let pem = self.account.pem_of(id).expect("it is there").to_owned();
            self.journal.push(Event::Imported { at, id: id.clone(), pem });
        }
        answer
    }

    /// Does this update name a certificate that CloudFront does not see yet?
    fn is_unseen(&self, request: &Request, at: Timestamp) -> bool {
        let unseen = |event: &Event| match event {
            Event::Imported { at: since, id, .. } => {
                at.duration_since(*since).as_secs() < self.unseen_for && request.body.contains(id)
            }
            _ => false,
        };
        request.operation.starts_with("UpdateDistribution") && self.journal.iter().any(unseen)
    }

    /// Records the attempt; returns its number, from 1.
    fn log(&mut self, request: &Request) -> usize {
        let Request { service, operation, resource, invocation, .. } = request;
        // Searched from the end: a retry follows soon, and there may be many calls.
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.id == *invocation) {
            call.attempts += 1;
            return call.attempts;
        }
        self.calls.push(Call {
            service: service.clone(),
            operation: operation.clone(),
            resource: resource.clone(),
            attempts: 1,
            id: invocation.clone(),
        });
        1
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let account = &mut self.account;
        match request.service.as_str() {
            "acm" => acm::answer(account, request),
            "iam" => iam::answer(account, request),
            "cloudfront" => cloudfront::answer(account, request),
            "s3" => others::s3(account, request),
            "secretsmanager" => others::secrets_manager(account, request),
            "ssm" => others::ssm(account, request),
            "servicequotas" => others::service_quotas(account, request),
            "states" => others::states(account, request, (self.clock)()),
            "sns" => others::sns(account, request),
            "events" => others::events(account, request),
            "tagging" => tagging::answer(account, request),
            service => panic!("no service {service} here"),
        }
    }
}

/// A request as its service receives it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) service: String,
    pub(crate) region: String,
    pub(crate) operation: String,
    /// The ARN, id, name or key of its resource.
    pub(crate) resource: String,
    /// The path, without the query.
    path: String,
    /// The query, or for IAM the form in the body.
    form: Vec<(String, String)>,
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    body: String,
    invocation: String,
}

impl Request {
    fn of(request: &HttpRequest) -> Self {
        let header = |name: &str| request.headers().get(name).map(str::to_owned);
        assert!(request.uri().starts_with("https://"), "{}", request.uri());
        let scope = header("authorization").expect("a signed request");
        // Credential=ID/DATE/REGION/SERVICE/aws4_request
        let mut scope = scope.split('/').skip(2);
        let region = scope.next().expect("a region in the credential scope");
        let service = scope.next().expect("a service in the credential scope");
        let body = request.body().bytes().expect("a body in memory").to_vec();
        let body = String::from_utf8(body).expect("UTF-8");
        let (path, query) = request
            .uri()
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .map(|(_, rest)| rest.split_once('?').unwrap_or((rest, "")))
            .expect("a path");
        let form = if matches!(service, "iam" | "sns") { body.as_str() } else { query };
        let mut parsed = Self {
            service: service.to_owned(),
            region: region.to_owned(),
            operation: String::new(),
            resource: String::new(),
            path: decoded(path),
            form: form_urlencoded::parse(form.as_bytes()).into_owned().collect(),
            if_match: header("if-match"),
            if_none_match: header("if-none-match"),
            body,
            invocation: header("amz-sdk-invocation-id").expect("an invocation id"),
        };
        let (operation, resource) = match service {
            "iam" => iam::operation(&parsed),
            "sns" => (
                parsed.get("Action").expect("an action").to_owned(),
                parsed.get("TopicArn").expect("a topic").to_owned(),
            ),
            "cloudfront" => cloudfront::operation(request.method(), &parsed),
            "s3" => others::s3_operation(request.method(), &parsed),
            _ => {
                let target = header("x-amz-target").expect("a target");
                others::json_operation(&target, &parsed)
            }
        };
        (parsed.operation, parsed.resource) = (operation, resource);
        parsed
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body of a JSON request.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Decodes a percent-encoded path, in which `+` is a literal plus, unlike in a form.
fn decoded(path: &str) -> String {
    let path = path.replace('+', "%2B");
    form_urlencoded::parse(path.as_bytes()).map(|(key, _)| key.into_owned()).collect()
}

struct Answer {
    status: u16,
    etag: Option<String>,
    body: String,
}

impl Answer {
    fn ok(body: impl Into<String>) -> Self {
        Self { status: 200, etag: None, body: body.into() }
    }

    fn json(body: serde_json::Value) -> Self {
        Self::ok(body.to_string())
    }

    /// An error in the format of its service.
    fn error(service: &str, status: u16, code: &str, message: &str) -> Self {
        let error = format!("<Code>{code}</Code><Message>{message}</Message>");
        let body = match service {
            "cloudfront" | "iam" | "sns" => format!(
                "<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>r</RequestId></ErrorResponse>"
            ),
            "s3" => format!("<Error>{error}<RequestId>r</RequestId></Error>"),
            _ => serde_json::json!({"__type": code, "message": message}).to_string(),
        };
        Self { status, etag: None, body }
    }

    fn internal(service: &str) -> Self {
        Self::error(service, 500, "InternalFailure", "please try again")
    }

    fn throttled(service: &str) -> Self {
        match service {
            "s3" => Self::error(service, 503, "SlowDown", "reduce your request rate"),
            "cloudfront" | "iam" | "sns" => {
                Self::error(service, 400, "Throttling", "Rate exceeded")
            }
            _ => Self::error(service, 400, "ThrottlingException", "Rate exceeded"),
        }
    }

    fn future(self) -> HttpConnectorFuture {
        let status = StatusCode::try_from(self.status).expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(self.body));
        if let Some(etag) = self.etag {
            response.headers_mut().insert("etag", etag);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// The first `size` items from `marker` on, and the next marker.
fn page<T>(all: Vec<T>, marker: Option<&str>, size: usize) -> (Vec<T>, Option<String>) {
    let from: usize = marker.map_or(0, |marker| marker.parse().expect("a marker of this page"));
    let next = (from + size < all.len()).then(|| (from + size).to_string());
    (all.into_iter().skip(from).take(size).collect(), next)
}

/// The content of the first element with this name, which has no attributes.
fn inner<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
}

/// The contents of all elements with this name.
fn inners<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let end = format!("</{name}>");
    xml.split(&format!("<{name}>"))
        .skip(1)
        .filter_map(|rest| rest.split_once(&end).map(|(inner, _)| inner))
        .collect()
}

/// An element, unless there is no content.
fn element(name: &str, content: Option<&str>) -> String {
    content.map(|content| format!("<{name}>{content}</{name}>")).unwrap_or_default()
}
