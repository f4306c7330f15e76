//! Turns a scheduled run, an event or an alarm into executions or notices.
//!
//! Triggers may arrive twice, late or not at all. So the name of an execution is derived from the
//! two certificates, a notice is sent once per name, and the daily evaluation finds what a lost
//! event would have reported.

use jiff::Timestamp;
use rotation_aws::step_functions;
use rotation_aws::store::{self, Stored};
use rotation_core::automation::decision::{
    Decision, Facts, Past, Replacement, candidate, days_left, decide, execution_name,
};
use rotation_core::automation::notice::{About, Because, Notice, failed};
use rotation_core::automation::trigger::{self, At, Scope, Trigger};
use rotation_core::certificate::bundle::Bundle;
use rotation_core::certificate::fitness;
use rotation_core::certificate::succession::{Edition, Succession};
use rotation_core::ending::deletion::is_elsewhere;
use rotation_core::finding::Finding;
use rotation_core::ids::Serves;
use rotation_core::ids::{CertificateId, execution_arn};
use rotation_core::metrics::Unit;
use rotation_core::request::{Request, source_ref};
use rotation_core::request::{managed, tags};
use serde::Serialize;
use serde_json::Value;

use crate::Context;
use crate::account::claim::is_held;
use crate::account::examination::examine;
use crate::account::fleet::{Fleet, list_fleet};
use crate::account::notify::notify;
use crate::account::reading::Reading;
use crate::account::source::{self, Content};
use crate::lambda::error::StepError;

/// The result of an event.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Why nothing was evaluated, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<&'static str>,
    /// The decisions, certificate by certificate.
    pub certificates: Vec<Evaluated>,
    /// The names of the notices that were sent.
    pub notices: Vec<String>,
}

/// The decision on one certificate.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluated {
    /// ACM ARN or IAM id.
    pub id: String,
    /// The DNS names of the certificate.
    pub names: Vec<String>,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// Whole days until then; negative afterwards.
    pub days_left: i64,
    /// When its replacement is due.
    pub time_of: Timestamp,
    /// How many distributions and tenants serve it.
    pub targets: usize,
    /// Its tag `cert-rotation:source`; null when it has none.
    pub source: Option<String>,
    /// The decision.
    pub decision: Decision,
    /// Problems of its tags, or of the content of its source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// The execution that was started, or that would be in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
}

/// Handles one event.
///
/// # Errors
/// `RequestInvalid` for an invalid event, and errors of AWS calls. If one certificate cannot be
/// evaluated, the others still are; the event is then retried, and handles the rest.
pub async fn handle(context: &Context, event: Value) -> Result<Output, StepError> {
    let trigger = trigger::parse(&event).map_err(|finding| StepError::found(&[finding]))?;
    tracing::info!(?trigger, "start-rotation");
    match trigger {
        Trigger::Nothing(why) => Ok(Output { ignored: Some(why), ..Output::default() }),
        Trigger::Failed { execution, stopped } => tell(context, &execution, &stopped).await,
        Trigger::Evaluate(scope) => evaluate_all(context, &scope).await,
    }
}

/// Sends a notice about a failed execution, with its cause.
async fn tell(context: &Context, arn: &str, stopped: &str) -> Result<Output, StepError> {
    let execution = match step_functions::find(context.aws.states(), arn).await? {
        Some(execution) if !execution.running => execution,
        _ => {
            let ignored = Some("the execution runs again");
            return Ok(Output { ignored, ..Output::default() });
        }
    };
    let notice = failed(arn, stopped, &execution.failure(), &execution.input);
    let mut output = Output::default();
    send(context, notice, &mut output).await?;
    Ok(output)
}

async fn send(context: &Context, notice: Notice, output: &mut Output) -> Result<(), StepError> {
    if notify(context, &notice).await? {
        output.notices.push(notice.name);
    }
    Ok(())
}

async fn evaluate_all(context: &Context, scope: &Scope) -> Result<Output, StepError> {
    let aws = &context.aws;
    let stored = match &scope.at {
        At::All => store::managed(aws, |_| true).await?,
        At::Source(changed) => {
            let is_it = |tag: &str| source_ref(tag).is_ok_and(|source| source.may_be(changed));
            store::managed(aws, is_it).await?
        }
        At::Certificates(names) => {
            let mut stored = Vec::new();
            for name in names {
                stored.extend(store::find(aws, name).await?);
            }
            stored
        }
    };
    let ids: Vec<&CertificateId> = stored.iter().map(|one| &one.id).collect();
    if ids.is_empty() {
        tracing::info!("no managed certificate is concerned");
    }
    let reading = Reading::new(context);
    let fleet = list_fleet(&reading, &ids).await?;
    let mut output = Output::default();
    let mut failure = None;
    for one in &stored {
        match evaluate(&reading, scope, one, &fleet, &mut output).await {
            Ok(evaluated) => {
                tracing::info!(
                    certificate = evaluated.id,
                    days_left = evaluated.days_left,
                    decision = ?evaluated.decision,
                    rotation = evaluated.execution,
                    "evaluated a certificate"
                );
                output.certificates.push(evaluated);
            }
            Err(error) => {
                tracing::error!(certificate = %one.id, error = error.name(), "{error}");
                failure = failure.or(Some(error));
            }
        }
    }
    if scope.at == At::All && !scope.dry_run {
        measure(context, &stored, &output, failure.is_none());
    }
    failure.map_or(Ok(output), Err)
}

/// Evaluates one certificate, and acts on the decision.
async fn evaluate(
    reading: &Reading<'_>,
    scope: &Scope,
    one: &Stored,
    fleet: &Fleet,
    output: &mut Output,
) -> Result<Evaluated, StepError> {
    let (context, now) = (reading.context(), (reading.context().now)());
    let targets = fleet.targets_of(&one.id);
    let mut evaluated = Evaluated::of(context, one, targets.len());
    let Some(source) = tags::value(&one.tags, tags::SOURCE) else { return Ok(evaluated) };
    let Considered { decision, found, next } =
        consider(reading, scope, one, fleet, !targets.is_empty()).await?;
    evaluated.decision = decision;
    evaluated.findings = found.findings.iter().map(ToString::to_string).collect();

    if let (Decision::Start, Some((name, input))) = (decision, next) {
        if scope.dry_run || start(context, &name, &input).await? {
            evaluated.execution = Some(name);
        } else {
            evaluated.decision = Decision::UnderWay;
        }
    }
    let certificate = &one.certificate;
    let moment = context.settings.schedule.moment(certificate, now);
    let (id, in_use_by) = (&one.id, &one.in_use_by[..]);
    let about = About { id, certificate, source, targets: &targets, in_use_by, moment, now };
    let because = Because {
        found: found.bundle.as_ref().map(|bundle| &bundle.leaf),
        findings: &found.findings,
        warnings: &found.warnings,
        changes: &found.changes,
        rotation: evaluated.execution.as_deref().unwrap_or_default(),
    };
    if let Some(notice) = about.notice_of(evaluated.decision, because)
        && !scope.dry_run
    {
        send(context, notice, output).await?;
    }
    Ok(evaluated)
}

/// A decision, and what is needed to act on it.
struct Considered {
    decision: Decision,
    /// The content of the source. Its findings say why the decision is `SettingsInvalid`,
    /// `ReplacementUnusable` or `ReplacementNotNewer`; otherwise there are none.
    found: Found,
    /// Name and input of the next execution, if the replacement is fit.
    next: Option<(String, Value)>,
}

/// Reads the facts about one certificate, and decides.
async fn consider(
    reading: &Reading<'_>,
    scope: &Scope,
    one: &Stored,
    fleet: &Fleet,
    served: bool,
) -> Result<Considered, StepError> {
    let (context, now) = (reading.context(), (reading.context().now)());
    let schedule = &context.settings.schedule;
    let urgent = schedule.is_urgent(&one.certificate, now);
    let (mut input, request) = match managed::request(&one.tags, &one.id, urgent) {
        Ok(wanted) => wanted,
        Err(findings) => {
            let decision = if served { Decision::SettingsInvalid } else { Decision::NotServed };
            let found = Found::without_bundle(Replacement::None, findings);
            return Ok(Considered { decision, found, next: None });
        }
    };
    let is_time = now >= schedule.time_of(&one.certificate);
    let mut found = read_replacement(reading, &request, one, served, is_time).await?;
    let next = match &found.bundle {
        Some(bundle) if matches!(found.replacement, Replacement::Fit | Replacement::FitNow) => {
            Some(next_attempt(context, one, bundle, &request).await?)
        }
        _ => None,
    };
    if next.as_ref().is_some_and(|next| matches!(next.past, Past::Failed(_))) {
        // Otherwise a target that fails each day would have all others moved and moved back each
        // day.
        managed::prefer_most(&mut input);
    }
    let facts = Facts {
        served,
        is_time,
        asked: scope.asked,
        replacement: found.replacement,
        claimed: next.is_some() && is_claimed(context, one, fleet).await?,
        dry_run: request.dry_run,
        delete_old: request.delete_old,
        used_elsewhere: one.in_use_by.iter().any(|arn| is_elsewhere(arn, one.id.account())),
        past: next.as_ref().map_or(Past::None, |next| next.past),
    };
    let decision = decide(&facts, now);
    if !matches!(decision, Decision::ReplacementUnusable | Decision::ReplacementNotNewer) {
        found.findings.clear();
    }
    if request.dry_run {
        // A dry run changes nothing, and its plan has them as notes.
        found.changes.clear();
    }
    Ok(Considered { decision, found, next: next.map(|next| (next.name, input)) })
}

impl Evaluated {
    /// The evaluation before any decision.
    fn of(context: &Context, one: &Stored, targets: usize) -> Self {
        let certificate = &one.certificate;
        Self {
            id: one.id.id().to_owned(),
            names: certificate.dns_names().to_vec(),
            not_after: certificate.not_after(),
            days_left: days_left(certificate, (context.now)()),
            time_of: context.settings.schedule.time_of(certificate),
            targets,
            source: tags::value(&one.tags, tags::SOURCE).map(str::to_owned),
            decision: Decision::NotManaged,
            findings: Vec::new(),
            execution: None,
        }
    }
}

/// Starts an execution under a name that was free a moment ago. If a duplicate event has started it
/// since, StartExecution returns the same execution to both. It returns an error if that execution
/// has ended, or has another input because the tags were changed in between: false.
async fn start(context: &Context, name: &str, input: &Value) -> Result<bool, StepError> {
    let machine = &context.settings.state_machine_arn;
    Ok(step_functions::start(context.aws.states(), machine, name, input).await?)
}

/// The content of a source.
struct Found {
    replacement: Replacement,
    bundle: Option<Box<Bundle>>,
    findings: Vec<Finding>,
    /// The warnings about it.
    warnings: Vec<String>,
    /// What viewers may notice of it.
    changes: Vec<String>,
}

impl Found {
    fn without_bundle(replacement: Replacement, findings: Vec<Finding>) -> Self {
        let (warnings, changes) = (Vec::new(), Vec::new());
        Self { replacement, bundle: None, findings, warnings, changes }
    }
}

/// Reads the source. If it holds a certificate that may replace this one, examines it as the plan
/// does.
async fn read_replacement(
    reading: &Reading<'_>,
    request: &Request,
    one: &Stored,
    is_served: bool,
    is_time: bool,
) -> Result<Found, StepError> {
    let Context { aws, settings, now, .. } = reading.context();
    let bundle = match source::content(aws, &request.source_ref, &request.source).await? {
        Content::Bundle(bundle) => bundle,
        Content::Unusable(finding) => {
            return Ok(Found::without_bundle(Replacement::Unusable, vec![finding]));
        }
    };
    let succession = Succession::of(&Edition::from(&one.certificate), &Edition::from(&bundle.leaf));
    let is_new_due = now() >= settings.schedule.time_of(&bundle.leaf);
    let candidate = candidate(succession, request.allow_earlier_expiry, is_time, is_new_due);
    let (mut warnings, mut changes) = (Vec::new(), Vec::new());
    let (replacement, findings) = match candidate {
        Replacement::None => (candidate, Vec::new()),
        Replacement::NotNewer => {
            let why = fitness::not_newer(&bundle.leaf, &one.certificate, is_new_due);
            (candidate, vec![why])
        }
        // Not served: the plan decides whether anything is left to do.
        _ if !is_served => (candidate, Vec::new()),
        _ => {
            let examined = examine(reading, request, one, &bundle).await?;
            (warnings, changes) = (examined.warnings, examined.changes);
            let findings = examined.findings;
            (if findings.is_empty() { candidate } else { Replacement::Unusable }, findings)
        }
    };
    Ok(Found { replacement, bundle: Some(bundle), findings, warnings, changes })
}

/// The next attempt to replace one certificate with another.
struct Attempt {
    /// The name of its execution.
    name: String,
    /// The outcome of earlier attempts.
    past: Past,
}

/// The first attempt whose name is free, and the outcome of the earlier ones.
async fn next_attempt(
    context: &Context,
    one: &Stored,
    bundle: &Bundle,
    request: &Request,
) -> Result<Attempt, StepError> {
    let new = bundle.leaf.fingerprint();
    let stem = execution_name(&one.id, &one.certificate, &new, request.dry_run);
    let machine = &context.settings.state_machine_arn;
    let mut last: Option<(Timestamp, bool)> = None;
    let mut number = 1;
    loop {
        let name = format!("{stem}-{number}");
        let arn = execution_arn(machine, &name);
        let Some(execution) = step_functions::find(context.aws.states(), &arn).await? else {
            let past = match last {
                None => Past::None,
                Some((ended, true)) => Past::Succeeded(ended),
                Some((ended, false)) => Past::Failed(ended),
            };
            return Ok(Attempt { name, past });
        };
        match execution.stopped {
            // Names are free again after 90 days, so a lower number may belong to a later
            // execution.
            Some(ended) if !execution.running => {
                last = last.max(Some((ended, execution.succeeded)));
            }
            _ => return Ok(Attempt { name, past: Past::Running }),
        }
        number += 1;
    }
}

/// Is a running execution moving targets from this certificate, or to it?
async fn is_claimed(context: &Context, one: &Stored, fleet: &Fleet) -> Result<bool, StepError> {
    if is_held(context, one.id.id()).await? {
        return Ok(true);
    }
    let Some(replaced) = tags::replaced(&one.tags) else { return Ok(false) };
    // Such an execution may run long after its last target is deployed, because it retains the old
    // certificate.
    let arriving = fleet.states(&one.id, None).into_values();
    let all_arrived =
        arriving.filter(|state| state.serves == Serves::Old).all(|state| state.deployed);
    Ok((!all_arrived || !fleet.targets_of(&replaced).is_empty())
        && is_held(context, replaced.id()).await?)
}

/// Emits days to expiry for each certificate, and that the evaluation was completed.
fn measure(context: &Context, stored: &[Stored], output: &Output, completed: bool) {
    let now = (context.now)();
    for one in stored {
        let days = days_left(&one.certificate, now);
        let metric = ("DaysToExpiry", Unit::Count, days as f64);
        context.measure(("CertificateArn", one.id.arn()), &[metric]);
    }
    let without: Vec<i64> = output
        .certificates
        .iter()
        .filter(|evaluated| {
            evaluated.time_of <= now
                && matches!(
                    evaluated.decision,
                    Decision::ReplacementMissing
                        | Decision::ReplacementNotNewer
                        | Decision::ReplacementUnusable
                        | Decision::SettingsInvalid
                )
        })
        .map(|evaluated| evaluated.days_left)
        .collect();
    let mut metrics = vec![
        ("LooksCompleted", Unit::Count, if completed { 1.0 } else { 0.0 }),
        ("CertificatesManaged", Unit::Count, stored.len() as f64),
        ("CertificatesWithoutReplacement", Unit::Count, without.len() as f64),
        ("NoticesSent", Unit::Count, output.notices.len() as f64),
    ];
    if let Some(days) = without.iter().min() {
        metrics.push(("DaysToExpiryWithoutReplacement", Unit::Count, *days as f64));
    }
    context.measure_stack(&metrics);
}
