//! Reads everything and changes nothing. Decides what has to be done and whether the rotation may
//! begin.
//!
//! All findings are collected before the rotation is refused, so that one run shows every problem.

mod old_certificate;

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::SignedDuration;
use rotation_aws::s3;
use rotation_aws::store::Stored;
use rotation_core::SCHEMA_VERSION;
use rotation_core::certificate::bundle::Bundle;
use rotation_core::certificate::changes;
use rotation_core::ending::deletion::is_elsewhere;
use rotation_core::finding::{Finding, listed};
use rotation_core::ids::{CertificateId, Serves, Store, TargetId};
use rotation_core::metrics::Unit;
use rotation_core::plan::policy::PutBack;
use rotation_core::plan::state::{
    Execution, Folder, NewCertificate, OldCertificate, Plan, PlanRecord, PlannedTarget, TargetList,
};
use rotation_core::plan::{Held, MAX_LANES, Member, Outcome, outcome, rights, waves};
use rotation_core::request::{self, OnFailure, Request};
use rotation_core::target::polling;
use rotation_core::target::record::Halt;
use serde::Deserialize;
use serde_json::Value;

use crate::Context;
use crate::account::claim::{claim, claim_import};
use crate::account::examination::{Examined, examine};
use crate::account::reading::Reading;
use crate::account::source::{self, Content};
use crate::lambda::error::StepError;

use old_certificate::{Old, find_old};

/// How many lanes are written in parallel.
const SIDE_BY_SIDE: usize = 8;
const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// The unparsed input of the execution, and the execution.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// The input of the execution.
    pub request: Value,
    /// Name and start of the execution.
    pub execution: Execution,
}

/// Makes the plan and writes it to the rotation's folder.
///
/// # Errors
/// `RequestInvalid`, `SourceUnreadable`, `CertificateNotFound`, `CertificateInvalid`,
/// `AliasNotCovered`, `TargetNotRotatable` with all findings, `AlreadyRunning`, and errors of AWS
/// calls.
pub async fn step(context: &Context, input: Input) -> Result<Plan, StepError> {
    let dry_run = input.request["dryRun"] == true;
    let result = plan(context, input).await;
    if !dry_run && matches!(result, Ok(_) | Err(StepError::Ends { .. })) {
        context.measure_stack(&[("RotationsStarted", Unit::Count, 1.0)]);
    }
    result
}

/// A plan and the facts it is based on.
pub struct Assessment {
    /// The plan that the state machine would receive.
    pub plan: Plan,
    /// The targets to be moved, and those that were moved already, in the order of the rotation.
    pub targets: Vec<Member>,
    /// Those of them that are not moved, while the rotation begins without them.
    pub held: Vec<Held>,
    /// The DNS names of the new certificate.
    pub names: Vec<String>,
    /// Every problem that was found.
    pub findings: Vec<Finding>,
}

/// Makes the plan of a rotation for display; claims and writes nothing.
///
/// # Errors
/// Those of [`step`], except `AlreadyRunning`, and except findings about the new certificate and
/// the targets, which are in the [`Assessment`].
pub async fn rehearse(context: &Context, input: &Input) -> Result<Assessment, StepError> {
    let folder = Folder::of(&context.settings.bucket, &input.execution);
    assess(&Reading::new(context), input, folder, false).await
}

async fn plan(context: &Context, input: Input) -> Result<Plan, StepError> {
    let folder = Folder::of(&context.settings.bucket, &input.execution);
    let reading = Reading::resume(context, &folder, "plan").await?;
    let planned = assess_and_record(&reading, &input, folder).await;
    reading.end(planned).await
}

async fn assess_and_record(
    reading: &Reading<'_>,
    input: &Input,
    folder: Folder,
) -> Result<Plan, StepError> {
    let context = reading.context();
    let Assessment { plan, targets, held, findings, .. } =
        assess(reading, input, folder, true).await?;
    reading.on_time()?;
    // Without an old certificate an earlier rotation has finished, and there are no lanes to write.
    if plan.old_certificate.id.is_some() {
        write(context, &plan, &targets, &held).await?;
    }
    record(context, &input.request, &plan, &targets, &findings).await?;
    tracing::info!(
        outcome = ?plan.outcome, targets = plan.targets.total, findings = findings.len(), "plan-rotation"
    );
    if findings.is_empty() { Ok(plan) } else { Err(StepError::found(&findings)) }
}

async fn assess(
    reading: &Reading<'_>,
    input: &Input,
    folder: Folder,
    claims: bool,
) -> Result<Assessment, StepError> {
    let context = reading.context();
    let request = request::parse(&input.request).map_err(|findings| StepError::found(&findings))?;
    let (bundle, old) = both_certificates(reading, &request).await?;
    let names = bundle.leaf.dns_names().to_vec();
    let old = match old {
        Old::Found(old) => *old,
        Old::Replaced { store, given, by } => {
            let plan = nothing_left(context, folder, &request, &bundle, store, given, by);
            let (targets, held, findings) = (Vec::new(), Vec::new(), Vec::new());
            return Ok(Assessment { plan, targets, held, names, findings });
        }
        Old::Missing(finding) => return Err(StepError::found(&[finding])),
    };
    // A dry run changes nothing, so it needs no claim.
    let previous = match claims && !request.dry_run {
        true => claim(context, &input.execution, &folder, &old.id).await?,
        false => None,
    };
    let mut examined = examine(reading, &request, &old, &bundle).await?;
    if claims && !request.dry_run && examined.new.is_none() && examined.findings.is_empty() {
        let new = bundle.leaf.fingerprint();
        claim_import(context, &input.execution, &folder, examined.store, &new).await?;
    }
    if let Some(prefix) = previous {
        let failed = failed_before(context, &folder, prefix).await?;
        examined.planned.sort_by_key(|member| failed.contains(&member.target));
    }
    let plan = planned(context, folder, &request, &bundle, &old, &examined);
    let Examined { planned: targets, held, findings, .. } = examined;
    Ok(Assessment { plan, targets, held, names, findings })
}

/// The targets that failed in the previous attempt, by the halt notes in its folder. They are moved
/// last, so that they do not keep the others from being moved.
async fn failed_before(
    context: &Context,
    folder: &Folder,
    prefix: String,
) -> Result<BTreeSet<TargetId>, StepError> {
    let previous = Folder { bucket: folder.bucket.clone(), prefix };
    let halts: Vec<Halt> =
        s3::list_json(context.aws.s3(), &previous.bucket, &previous.halts()).await?;
    Ok(halts.into_iter().map(|halt| halt.target).collect())
}

/// The new certificate from its source, and the old one; or why the source cannot be used.
async fn both_certificates(
    reading: &Reading<'_>,
    request: &Request,
) -> Result<(Box<Bundle>, Old), StepError> {
    let aws = &reading.context().aws;
    match source::content(aws, &request.source_ref, &request.source).await? {
        Content::Bundle(bundle) => {
            let old = find_old(reading, request, Some(&bundle)).await?;
            Ok((bundle, old))
        }
        Content::Unusable(unreadable) => match find_old(reading, request, None).await? {
            Old::Missing(missing) => Err(StepError::found(&[unreadable, missing])),
            _ => Err(StepError::found(&[unreadable])),
        },
    }
}

/// The plan of a rotation.
fn planned(
    context: &Context,
    folder: Folder,
    request: &Request,
    bundle: &Bundle,
    old: &Stored,
    examined: &Examined,
) -> Plan {
    let Examined { store, new, members, planned, policy, held, chain, .. } = examined;
    let to_move = || planned.iter().filter(|member| member.serves == Serves::Old);
    let movable = movable(planned, held);
    let waves = waves(&movable, request.concurrency);
    let keys = |(wave, lanes): (usize, &Vec<_>)| {
        let key = |lane| folder.key(&format!("waves/{wave}/{lane}.json"));
        (0..lanes.len()).map(key).collect()
    };
    let targets = TargetList {
        key: folder.key("targets.json"),
        waves: waves.iter().enumerate().map(keys).collect(),
        total: planned.len(),
        to_move: to_move().count(),
        dedicated_ip: to_move().filter(|member| member.dedicated_ip).count(),
        held: held.iter().map(|one| &one.target).collect::<BTreeSet<_>>().len(),
        excluded: examined.excluded,
    };
    let shared = plan_of(context, folder, request, bundle, *store, new.clone());
    let goes_on = policy.on_failure == OnFailure::Continue;
    Plan {
        outcome: outcome(members, planned, new.is_some(), request.delete_old, request.dry_run),
        old_certificate: OldCertificate {
            given: old.id.id().to_owned(),
            fingerprint: Some(old.certificate.fingerprint().to_string()),
            not_after: Some(old.certificate.not_after()),
            id: Some(old.id.clone()),
        },
        targets,
        retain_seconds: request.retain_old_days * SECONDS_A_DAY,
        on_failure: policy.on_failure,
        put_back: (goes_on && policy.restores).then(|| PutBack {
            fingerprint: old.certificate.fingerprint().to_string(),
            not_after: old.certificate.not_after(),
        }),
        notes: notes(examined, old, request),
        new_certificate: NewCertificate {
            chain: Some(chain.fingerprints()),
            excludes_rsa_viewers: changes::excludes_rsa_viewers(&old.certificate, &bundle.leaf),
            ..shared.new_certificate
        },
        ..shared
    }
}

/// The plan when an earlier rotation has finished everything.
fn nothing_left(
    context: &Context,
    folder: Folder,
    request: &Request,
    bundle: &Bundle,
    store: Store,
    given: String,
    by: CertificateId,
) -> Plan {
    let old = OldCertificate { id: None, given, fingerprint: None, not_after: None };
    Plan {
        old_certificate: old,
        notes: vec!["An earlier rotation replaced and deleted the old certificate.".into()],
        ..plan_of(context, folder, request, bundle, store, Some(by))
    }
}

/// The part that all plans of this request share. It has no targets and no work.
fn plan_of(
    context: &Context,
    folder: Folder,
    request: &Request,
    bundle: &Bundle,
    store: Store,
    new: Option<CertificateId>,
) -> Plan {
    let deadline = SignedDuration::from_mins(context.settings.deployment_deadline_minutes);
    Plan {
        outcome: Outcome::NothingToDo,
        source: request.source.clone(),
        store,
        old_certificate: OldCertificate {
            id: None,
            given: String::new(),
            fingerprint: None,
            not_after: None,
        },
        new_certificate: NewCertificate {
            id: new,
            fingerprint: bundle.leaf.fingerprint().to_string(),
            not_after: bundle.leaf.not_after(),
            excludes_rsa_viewers: false,
            chain: None,
        },
        targets: TargetList {
            key: folder.key("targets.json"),
            waves: Vec::new(),
            total: 0,
            to_move: 0,
            dedicated_ip: 0,
            held: 0,
            excluded: 0,
        },
        delete_old: request.delete_old,
        retain_seconds: 0,
        poll_seconds: polling::poll_seconds(context.settings.poll_seconds, deadline),
        concurrency: request.concurrency,
        verify_viewers: request.verify_viewers,
        on_failure: request.on_failure.unwrap_or(OnFailure::Rollback),
        put_back: None,
        tags: request.tags.clone(),
        notes: Vec::new(),
        folder,
    }
}

/// Facts that do not prevent the rotation, but that an operator should see beforehand.
fn notes(examined: &Examined, old: &Stored, request: &Request) -> Vec<String> {
    let Examined { planned, .. } = examined;
    let mut notes = [&examined.changes[..], &examined.notes].concat();
    if request.concurrency > MAX_LANES {
        notes.push(format!("At most {MAX_LANES} targets are in progress at once."));
    }
    let dedicated: Vec<&str> = planned
        .iter()
        .filter(|member| member.dedicated_ip && member.serves == Serves::Old)
        .map(|member| member.target.id.as_str())
        .collect();
    if !dedicated.is_empty() {
        notes.push(format!(
            "On dedicated IP addresses AWS charges for both certificates while both are in use: {}.",
            listed(&dedicated)
        ));
    }
    notes.extend(rights::notes(planned));
    let others: Vec<&String> =
        old.in_use_by.iter().filter(|arn| is_elsewhere(arn, old.id.account())).collect();
    if !others.is_empty() && request.delete_old {
        notes.push(format!(
            "The old certificate will not be deleted: it is also used by {}.",
            listed(&others)
        ));
    }
    notes
}

/// The targets that go into lanes.
fn movable(planned: &[Member], held: &[Held]) -> Vec<Member> {
    let held: BTreeSet<&TargetId> = held.iter().map(|one| &one.target).collect();
    planned.iter().filter(|member| !held.contains(&member.target)).cloned().collect()
}

/// Writes the list of all targets for the steps, the lanes for the Map, and what is not moved.
async fn write(
    context: &Context,
    plan: &Plan,
    planned: &[Member],
    held: &[Held],
) -> Result<(), StepError> {
    let movable = movable(planned, held);
    let waves = waves(&movable, plan.concurrency);
    if !held.is_empty() {
        let halts: Vec<Halt> = held.iter().map(Held::halt).collect();
        let key = plan.folder.held();
        s3::put_json(context.aws.s3(), &plan.folder.bucket, &key, &halts).await?;
    }
    let put = async |(key, members): (&str, Vec<&Member>)| {
        let targets: Vec<PlannedTarget> = members
            .into_iter()
            .map(|member| PlannedTarget::new(member.target.clone(), member.serves))
            .collect();
        s3::put_json(context.aws.s3(), &plan.folder.bucket, key, &targets).await
    };
    let all = planned.iter().collect();
    let keys = plan.targets.waves.iter().flatten().map(String::as_str);
    let lanes = keys.zip(waves.iter().flatten().cloned());
    let objects = std::iter::once((plan.targets.key.as_str(), all)).chain(lanes);
    let written = stream::iter(objects.map(put)).buffered(SIDE_BY_SIDE).try_collect::<()>().await;
    Ok(written?)
}

/// Writes the whole plan, for operators.
async fn record(
    context: &Context,
    request: &Value,
    plan: &Plan,
    targets: &[Member],
    findings: &[Finding],
) -> Result<(), StepError> {
    let (schema_version, made_at) = (SCHEMA_VERSION, (context.now)());
    let record = PlanRecord { schema_version, request, made_at, plan, targets, findings };
    let key = plan.folder.key("plan.json");
    s3::put_json(context.aws.s3(), &plan.folder.bucket, &key, &record).await?;
    Ok(())
}
