//! Turns a schedule's tick, an event or an alarm into executions, or into notices.
//!
//! Everything here may happen twice, late or not at all: an execution's name is made of the two certificates,
//! a notice is sent under a name once, and the daily look finds what an event that was lost would have told.

use jiff::Timestamp;
use rotation_aws::step_functions;
use rotation_aws::store::{self, Stored};
use rotation_core::automation::decision::{
    Decision, Facts, Past, Replacement, days_left, decide, execution_name,
};
use rotation_core::automation::notice::{About, Notice, failed};
use rotation_core::automation::trigger::{self, At, Look, Trigger};
use rotation_core::certificate::bundle::Bundle;
use rotation_core::finding::Finding;
use rotation_core::ids::CertificateId;
use rotation_core::metrics::Unit;
use rotation_core::plan::Serves;
use rotation_core::request::{Request, source_ref};
use rotation_core::request::{managed, tags};
use rotation_core::target::record::words;
use serde::Serialize;
use serde_json::Value;

use crate::Context;
use crate::account::claim::is_held;
use crate::account::fleet::{Fleet, look};
use crate::account::notify::notify;
use crate::account::reading::Reading;
use crate::account::source;
use crate::lambda::error::StepError;
use crate::plan_rotation::examine;

/// What came of an event.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Why nothing was looked at, if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<&'static str>,
    /// What was decided, certificate by certificate.
    pub certificates: Vec<Looked>,
    /// The names of the notices that were sent.
    pub notices: Vec<String>,
}

/// What was decided about one certificate.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Looked {
    /// ACM ARN or IAM id.
    pub id: String,
    /// The names in it.
    pub names: Vec<String>,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// Whole days until then; negative after it.
    pub days_left: i64,
    /// From when on it is time to replace it.
    pub time_of: Timestamp,
    /// How many distributions and tenants serve it.
    pub targets: usize,
    /// Its tag `cert-rotation:source`; null when it has none.
    pub source: Option<String>,
    /// What was decided.
    pub decision: Decision,
    /// What speaks against its tags, or against what lies in its source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// The execution that was started, or would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
}

/// Does what an event asks for.
///
/// # Errors
/// `RequestInvalid` for an event that is none, and what AWS answers. One certificate that could not be looked
/// at does not keep the others from it; the event comes again then, and finds what is left.
pub async fn handle(context: &Context, event: Value) -> Result<Output, StepError> {
    let trigger = trigger::parse(&event).map_err(|finding| StepError::found(&[finding]))?;
    tracing::info!(?trigger, "start-rotation");
    match trigger {
        Trigger::Nothing(why) => Ok(Output { ignored: Some(why), ..Output::default() }),
        Trigger::Failed { execution, stopped } => tell(context, &execution, &stopped).await,
        Trigger::Look(look) => look_at(context, &look).await,
    }
}

/// Tells that an execution has failed, in the words of its cause.
async fn tell(context: &Context, arn: &str, stopped: &str) -> Result<Output, StepError> {
    let execution = match step_functions::find(context.aws.states(), arn).await? {
        Some(execution) if !execution.running => execution,
        _ => {
            let ignored = Some("the execution runs again");
            return Ok(Output { ignored, ..Output::default() });
        }
    };
    let cause = words(&execution.error, &execution.cause);
    let notice = failed(arn, stopped, &execution.error, &cause, &execution.input);
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

async fn look_at(context: &Context, wanted: &Look) -> Result<Output, StepError> {
    let aws = &context.aws;
    let stored = match &wanted.at {
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
    let fleet = look(&reading, &ids).await?;
    let mut output = Output::default();
    let mut failure = None;
    for one in &stored {
        match consider(&reading, wanted, one, &fleet, &mut output).await {
            Ok(looked) => {
                tracing::info!(
                    certificate = looked.id,
                    days_left = looked.days_left,
                    decision = ?looked.decision,
                    rotation = looked.execution,
                    "looked at a certificate"
                );
                output.certificates.push(looked);
            }
            Err(error) => {
                tracing::error!(certificate = %one.id, error = error.name(), "{error}");
                failure = failure.or(Some(error));
            }
        }
    }
    if wanted.at == At::All && !wanted.dry_run {
        measure(context, &stored, &output, failure.is_none());
    }
    failure.map_or(Ok(output), Err)
}

/// Decides about one certificate, and acts.
async fn consider(
    reading: &Reading<'_>,
    wanted: &Look,
    one: &Stored,
    fleet: &Fleet,
    output: &mut Output,
) -> Result<Looked, StepError> {
    let context = reading.context();
    let now = (context.now)();
    let schedule = &context.settings.schedule;
    let certificate = &one.certificate;
    let targets = fleet.targets_of(&one.id);
    let source = tags::value(&one.tags, tags::SOURCE);
    let mut looked = Looked {
        id: one.id.id().to_owned(),
        names: certificate.dns_names().to_vec(),
        not_after: certificate.not_after(),
        days_left: days_left(certificate, now),
        time_of: schedule.time_of(certificate),
        targets: targets.len(),
        source: source.map(str::to_owned),
        decision: Decision::NotManaged,
        findings: Vec::new(),
        execution: None,
    };
    let Some(source) = source else { return Ok(looked) };
    let about = About {
        id: &one.id,
        certificate,
        source,
        targets: &targets,
        moment: schedule.moment(certificate, now),
        now,
    };
    let (input, request) = match managed::request(&one.tags, &one.id) {
        Ok(wanted) => wanted,
        Err(findings) => {
            looked.findings = findings.iter().map(ToString::to_string).collect();
            looked.decision =
                if targets.is_empty() { Decision::NotServed } else { Decision::SettingsInvalid };
            if !targets.is_empty() && !wanted.dry_run {
                send(context, about.settings(&findings), output).await?;
            }
            return Ok(looked);
        }
    };
    let found = replacement(reading, &request, one, !targets.is_empty()).await?;
    let mut next = None;
    let mut past = Past::None;
    if let (Replacement::Fit, Some(bundle)) = (found.replacement, &found.bundle) {
        let fingerprint = bundle.leaf.fingerprint();
        let name = execution_name(&one.id, certificate, &fingerprint, request.dry_run);
        let (attempt, before) = attempts(context, &name).await?;
        next = Some(format!("{name}-{attempt}"));
        past = before;
    }
    let facts = Facts {
        served: !targets.is_empty(),
        is_time: now >= looked.time_of,
        asked: wanted.asked,
        replacement: found.replacement,
        claimed: next.is_some() && is_claimed(context, one, fleet).await?,
        dry_run: request.dry_run,
        past,
    };
    looked.decision = decide(&facts, now);
    if looked.decision == Decision::ReplacementUnusable {
        looked.findings = found.findings.iter().map(ToString::to_string).collect();
    }
    let leaf = found.bundle.as_ref().map(|bundle| &bundle.leaf);
    match looked.decision {
        Decision::Start => {
            let name = next.unwrap_or_default();
            let machine = &context.settings.state_machine_arn;
            // The name was free a moment ago. Whoever was faster since then, since an event came twice, has
            // started this very execution, and Step Functions says the same to both; it says no if theirs has
            // another input, because the tags were changed in between, or has ended.
            if !wanted.dry_run
                && !step_functions::start(context.aws.states(), machine, &name, &input).await?
            {
                looked.decision = Decision::UnderWay;
            } else {
                looked.execution = Some(name);
            }
        }
        _ if wanted.dry_run => {}
        Decision::ReplacementMissing if about.moment.is_some() => {
            let other = leaf.filter(|leaf| *leaf != certificate).map(|leaf| leaf.not_after());
            send(context, about.missing(other), output).await?;
        }
        Decision::ReplacementUnusable => {
            send(context, about.unusable(leaf, &found.findings), output).await?;
        }
        _ => {}
    }
    Ok(looked)
}

/// What lies in a source.
struct Found {
    replacement: Replacement,
    bundle: Option<Bundle>,
    findings: Vec<Finding>,
}

/// Reads the source, and if something else lies there that lives longer, looks at it as the plan does.
async fn replacement(
    reading: &Reading<'_>,
    request: &Request,
    one: &Stored,
    is_served: bool,
) -> Result<Found, StepError> {
    let bundle =
        match source::bundle(&reading.context().aws, &request.source_ref, &request.source).await? {
            Ok(bundle) => bundle,
            Err(finding) => {
                let replacement = Replacement::Unusable;
                return Ok(Found { replacement, bundle: None, findings: vec![finding] });
            }
        };
    let (replacement, findings) = if bundle.leaf.not_after() <= one.certificate.not_after() {
        (Replacement::None, Vec::new())
    } else if !is_served {
        // If there is anything left to do, the plan looks.
        (Replacement::Fit, Vec::new())
    } else {
        let findings = examine(reading, request, one, &bundle).await?.findings;
        let fits = findings.is_empty();
        (if fits { Replacement::Fit } else { Replacement::Unusable }, findings)
    };
    Ok(Found { replacement, bundle: Some(bundle), findings })
}

/// The number of the next attempt under this name, and what became of the last one.
async fn attempts(context: &Context, name: &str) -> Result<(u64, Past), StepError> {
    let machine = &context.settings.state_machine_arn;
    let executions = machine.replacen(":stateMachine:", ":execution:", 1);
    let mut last: Option<(Timestamp, bool)> = None;
    let mut attempt = 1;
    while let Some(execution) =
        step_functions::find(context.aws.states(), &format!("{executions}:{name}-{attempt}"))
            .await?
    {
        match execution.stopped {
            Some(ended) if !execution.running => {
                // Names are free again after 90 days, so a lower number may be the later one.
                last = last.max(Some((ended, execution.succeeded)));
            }
            _ => return Ok((attempt, Past::Running)),
        }
        attempt += 1;
    }
    let past = match last {
        None => Past::None,
        Some((ended, true)) => Past::Succeeded(ended),
        Some((ended, false)) => Past::Failed(ended),
    };
    Ok((attempt, past))
}

/// Is an execution at work that moves this certificate, or one that moves targets to it?
async fn is_claimed(context: &Context, one: &Stored, fleet: &Fleet) -> Result<bool, StepError> {
    if is_held(context, one.id.id()).await? {
        return Ok(true);
    }
    let Some(replaced) = tags::replaced(&one.tags) else { return Ok(false) };
    // Such an execution may go on for long after its last target has arrived: it keeps the old certificate.
    let arriving = fleet.seen(&one.id, None).into_values();
    let all_arrived = arriving.filter(|seen| seen.serves == Serves::Old).all(|seen| seen.deployed);
    Ok((!all_arrived || !fleet.targets_of(&replaced).is_empty())
        && is_held(context, replaced.id()).await?)
}

/// Puts out days to expiry for each certificate, and that the look was made.
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
        .filter(|looked| {
            looked.time_of <= now
                && matches!(
                    looked.decision,
                    Decision::ReplacementMissing
                        | Decision::ReplacementUnusable
                        | Decision::SettingsInvalid
                )
        })
        .map(|looked| looked.days_left)
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
