//! Reads everything and changes nothing: what is to be done, and whether it may be begun.
//!
//! Every finding is collected before the rotation is refused, so that one look tells all there is to
//! mend.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::SignedDuration;
use rotation_aws::cloudfront::{
    DistributionFacts, Status, TenantFacts, continuous_deployment_policies,
    continuous_deployment_policy_of,
};
use rotation_aws::s3;
use rotation_aws::store::{self, Stored};
use rotation_core::certificate::bundle::Bundle;
use rotation_core::certificate::fitness::{self, OldCertificate as Outlived};
use rotation_core::finding::{Ending, Finding, listed};
use rotation_core::ids::{CertificateId, Store};
use rotation_core::metrics::Unit;
use rotation_core::plan::rights;
use rotation_core::plan::{MAX_LANES, Member, Outcome, Serves, outcome, targets, waves};
use rotation_core::request::tags;
use rotation_core::request::{self, OnFailure, Request};
use rotation_core::target;
use serde::Deserialize;
use serde_json::Value;

use crate::Context;
use crate::account::claim::claim;
use crate::account::fleet::{
    Fleet, distribution, list, look, serves, tenant, tenant_serves, tenants_of,
};
use crate::account::reading::Reading;
use crate::account::source;
use crate::lambda::error::StepError;
use crate::payload::{
    Execution, Folder, NewCertificate, OldCertificate, Plan, PlanRecord, Target, TargetList,
};

/// How many distributions are asked, and lanes written, side by side.
const SIDE_BY_SIDE: usize = 8;
const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// The input of the execution, unread, and the execution.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// Whatever the execution was started with.
    pub request: Value,
    /// Its name and start.
    pub execution: Execution,
}

/// Makes the plan and writes it to the rotation's folder.
///
/// # Errors
/// `RequestInvalid`, `SourceUnreadable`, `CertificateNotFound`, `CertificateInvalid`,
/// `AliasNotCovered`, `TargetNotRotatable` with all findings, `AlreadyRunning`, and what AWS answers.
pub async fn step(context: &Context, input: Input) -> Result<Plan, StepError> {
    let dry_run = input.request["dryRun"] == true;
    let result = plan(context, input).await;
    if !dry_run && matches!(result, Ok(_) | Err(StepError::Ends { .. })) {
        context.measure_stack(&[("RotationsStarted", Unit::Count, 1.0)]);
    }
    result
}

/// A plan and what it was made of.
pub struct Look {
    /// What the state machine would be given.
    pub plan: Plan,
    /// What is to be moved, or was moved already.
    pub targets: Vec<Member>,
    /// The DNS names of the new certificate.
    pub names: Vec<String>,
    /// Everything that speaks against it.
    pub findings: Vec<Finding>,
}

/// The plan of a rotation, with nothing claimed and nothing written: for a person who wants to see it.
///
/// # Errors
/// Those of [`step`], but for `AlreadyRunning`, and for findings about the new certificate and the targets,
/// which are in the [`Look`].
pub async fn rehearse(context: &Context, input: &Input) -> Result<Look, StepError> {
    let folder = Folder::of(&context.settings.bucket, &input.execution);
    look_at(&Reading::new(context), input, folder, false).await
}

async fn plan(context: &Context, input: Input) -> Result<Plan, StepError> {
    let folder = Folder::of(&context.settings.bucket, &input.execution);
    let reading = Reading::resume(context, &folder, "plan").await?;
    let planned = look_and_write(&reading, &input, folder).await;
    reading.end(planned).await
}

async fn look_and_write(
    reading: &Reading<'_>,
    input: &Input,
    folder: Folder,
) -> Result<Plan, StepError> {
    let context = reading.context();
    let Look { plan, targets, findings, .. } = look_at(reading, input, folder, true).await?;
    reading.on_time()?;
    // An earlier rotation that has done everything leaves nothing to take in turn.
    if plan.old_certificate.id.is_some() {
        write(context, &plan, &waves(&targets, plan.concurrency)).await?;
    }
    record(context, &input.request, &plan, &targets, &findings).await?;
    tracing::info!(
        outcome = ?plan.outcome, targets = plan.targets.total, findings = findings.len(), "plan-rotation"
    );
    if findings.is_empty() { Ok(plan) } else { Err(StepError::found(&findings)) }
}

async fn look_at(
    reading: &Reading<'_>,
    input: &Input,
    folder: Folder,
    claims: bool,
) -> Result<Look, StepError> {
    let context = reading.context();
    let request = request::parse(&input.request).map_err(|findings| StepError::found(&findings))?;

    let bundle = source::bundle(&context.aws, &request.source_ref, &request.source).await?;
    let old = match &bundle {
        Ok(bundle) => find_old(reading, &request, Some(bundle)).await?,
        Err(_) => find_old(reading, &request, None).await?,
    };
    let (bundle, old) = match (bundle, old) {
        (Ok(bundle), Old::Found(old)) => (bundle, *old),
        (Ok(bundle), Old::Replaced { store, given, by }) => {
            let plan = nothing_left(&request, context, folder, &bundle, store, given, by);
            let names = bundle.leaf.dns_names().to_vec();
            return Ok(Look { plan, targets: Vec::new(), names, findings: Vec::new() });
        }
        (Ok(_), Old::Missing(finding)) | (Err(finding), Old::Found(_) | Old::Replaced { .. }) => {
            return Err(StepError::found(&[finding]));
        }
        (Err(unreadable), Old::Missing(missing)) => {
            return Err(StepError::found(&[unreadable, missing]));
        }
    };
    // A dry run changes nothing that another rotation could mind.
    if claims && !request.dry_run {
        claim(context, &input.execution, &old.id).await?;
    }
    let Examined { store, new, members, planned, findings } =
        examine(reading, &request, &old, &bundle).await?;
    let waves = waves(&planned, request.concurrency);

    let plan = Plan {
        outcome: outcome(&members, &planned, new.is_some(), request.delete_old, request.dry_run),
        source: request.source.clone(),
        store,
        old_certificate: OldCertificate {
            given: old.id.id().to_owned(),
            fingerprint: Some(old.certificate.fingerprint().to_string()),
            not_after: Some(old.certificate.not_after()),
            id: Some(old.id),
        },
        new_certificate: planned_new(new, &bundle),
        targets: TargetList {
            key: folder.key("targets.json"),
            waves: waves
                .iter()
                .enumerate()
                .map(|(wave, lanes)| {
                    let key = |lane| folder.key(&format!("waves/{wave}/{lane}.json"));
                    (0..lanes.len()).map(key).collect()
                })
                .collect(),
            total: planned.len(),
            to_move: planned.iter().filter(|member| member.serves == Serves::Old).count(),
            dedicated_ip: planned
                .iter()
                .filter(|member| member.dedicated_ip && member.serves == Serves::Old)
                .count(),
        },
        delete_old: request.delete_old,
        retain_seconds: request.retain_old_days * SECONDS_A_DAY,
        poll_seconds: poll_seconds(context),
        concurrency: request.concurrency,
        verify_viewers: request.verify_viewers,
        roll_back: request.on_failure == OnFailure::Rollback,
        notes: notes(&planned, &old.in_use_by, &request),
        folder,
    };
    let names = bundle.leaf.dns_names().to_vec();
    Ok(Look { plan, targets: planned, names, findings })
}

/// What putting a certificate in the place of the old one would mean.
pub(crate) struct Examined {
    store: Store,
    /// The new certificate, if it lies in that store already.
    new: Option<CertificateId>,
    /// Everything in CloudFront.
    members: Vec<Member>,
    /// What is to be moved, or was moved already.
    planned: Vec<Member>,
    /// Everything that speaks against it.
    pub(crate) findings: Vec<Finding>,
}

/// Looks at the new certificate and at all that serves the old one.
///
/// # Errors
/// What AWS answers.
pub(crate) async fn examine(
    reading: &Reading<'_>,
    request: &Request,
    old: &Stored,
    bundle: &Bundle,
) -> Result<Examined, StepError> {
    let context = reading.context();
    let store = request.store.unwrap_or(old.id.store());
    let copies = store::copies(&context.aws, store, &bundle.leaf).await?;
    let certificates: Vec<&CertificateId> = std::iter::once(&old.id).chain(&copies).collect();
    let fleet = look(reading, &certificates).await?;
    let new = most_served(&fleet, copies);
    let members = members(reading, &fleet, &old.id, new.as_ref()).await?;

    let outlived = Outlived {
        fingerprint: old.certificate.fingerprint(),
        not_after: old.certificate.not_after(),
    };
    let now = (context.now)();
    let mut findings = Vec::from_iter(store_of_partition(&old.id, store));
    findings.extend(fitness::check(bundle, &outlived, store, &context.trust_roots()?, now));
    let chosen = targets(&members, request.targets.as_deref(), bundle.leaf.dns_names(), store);
    findings.extend(chosen.findings);
    Ok(Examined { store, new, members, planned: chosen.planned, findings })
}

/// What became of the search for the old certificate.
enum Old {
    Found(Box<Stored>),
    /// An earlier rotation has put the certificate `by` in its place and deleted it.
    Replaced {
        store: Store,
        given: String,
        by: CertificateId,
    },
    Missing(Finding),
}

async fn find_old(
    reading: &Reading<'_>,
    request: &Request,
    bundle: Option<&Bundle>,
) -> Result<Old, StepError> {
    let aws = &reading.context().aws;
    let Some(old) = &request.old else {
        return find_managed(reading, request, bundle).await;
    };
    if let Some(found) = store::find(aws, old).await? {
        return Ok(Old::Found(Box::new(found)));
    }
    if let Some(bundle) = bundle {
        for store in [Store::Acm, Store::Iam] {
            for by in store::copies(aws, store, &bundle.leaf).await? {
                let tags = store::describe(aws, &by).await?.map(|found| found.tags);
                if tags.is_some_and(|tags| tags::replaces(&tags, old.as_str())) {
                    return Ok(Old::Replaced { store, given: old.as_str().to_owned(), by });
                }
            }
        }
    }
    Ok(Old::Missing(Finding::new(
        Ending::CertificateNotFound,
        format!("oldCertificate {}", old.as_str()),
        "is in neither store of this account",
        "look up its ARN or id in ACM (us-east-1) or with iam list-server-certificates",
    )))
}

/// The certificate whose tag names this source; of several, the one that is served.
async fn find_managed(
    reading: &Reading<'_>,
    request: &Request,
    bundle: Option<&Bundle>,
) -> Result<Old, StepError> {
    let new = bundle.map(|bundle| bundle.leaf.fingerprint());
    let (current, mut older): (Vec<Stored>, Vec<Stored>) =
        store::managed(&reading.context().aws, |source| source == request.source)
            .await?
            .into_iter()
            .partition(|stored| Some(stored.certificate.fingerprint()) == new);
    if older.len() > 1 {
        let ids: Vec<&CertificateId> = older.iter().map(|stored| &stored.id).collect();
        let fleet = look(reading, &ids).await?;
        let served: Vec<bool> = ids.iter().map(|id| !fleet.targets_of(id).is_empty()).collect();
        if served.iter().filter(|served| **served).count() == 1 {
            let mut served = served.into_iter();
            older.retain(|_| served.next().unwrap_or(false));
        }
    }
    match (older.len(), current.into_iter().next()) {
        (1, _) => Ok(older
            .pop()
            .map_or_else(|| Old::Missing(no_managed(request)), |one| Old::Found(Box::new(one)))),
        (0, Some(stored)) => Ok(Old::Replaced {
            store: stored.id.store(),
            given: tags::replaced(&stored.tags).as_ref().unwrap_or(&stored.id).id().to_owned(),
            by: stored.id,
        }),
        (0, None) => Ok(Old::Missing(no_managed(request))),
        (_, _) => {
            let ids: Vec<&str> = older.iter().map(|stored| stored.id.id()).collect();
            Ok(Old::Missing(Finding::new(
                Ending::RequestInvalid,
                "field oldCertificate",
                format!(
                    "is missing, and more than one certificate is tagged {} = {}: {}",
                    tags::SOURCE,
                    request.source,
                    listed(&ids)
                ),
                "name the one to replace in oldCertificate, or delete those that nothing uses",
            )))
        }
    }
}

fn no_managed(request: &Request) -> Finding {
    Finding::new(
        Ending::CertificateNotFound,
        "field oldCertificate",
        format!("is missing, and no certificate is tagged {} = {}", tags::SOURCE, request.source),
        "name the certificate to replace in oldCertificate, or tag it",
    )
}

/// The plan when an earlier rotation has done everything.
fn nothing_left(
    request: &Request,
    context: &Context,
    folder: Folder,
    bundle: &Bundle,
    store: Store,
    given: String,
    by: CertificateId,
) -> Plan {
    Plan {
        outcome: Outcome::NothingToDo,
        source: request.source.clone(),
        store,
        old_certificate: OldCertificate { id: None, given, fingerprint: None, not_after: None },
        new_certificate: planned_new(Some(by), bundle),
        targets: TargetList {
            key: folder.key("targets.json"),
            waves: Vec::new(),
            total: 0,
            to_move: 0,
            dedicated_ip: 0,
        },
        delete_old: request.delete_old,
        retain_seconds: 0,
        poll_seconds: poll_seconds(context),
        concurrency: request.concurrency,
        verify_viewers: request.verify_viewers,
        roll_back: request.on_failure == OnFailure::Rollback,
        notes: vec!["An earlier rotation replaced and deleted the old certificate.".into()],
        folder,
    }
}

fn planned_new(id: Option<CertificateId>, bundle: &Bundle) -> NewCertificate {
    NewCertificate {
        id,
        fingerprint: bundle.leaf.fingerprint().to_string(),
        not_after: bundle.leaf.not_after(),
    }
}

fn poll_seconds(context: &Context) -> u64 {
    let deadline = SignedDuration::from_mins(context.settings.deployment_deadline_minutes);
    target::poll_seconds(context.settings.poll_seconds, deadline)
}

/// CloudFront in China takes certificates from IAM only ("Amazon CloudFront in China").
fn store_of_partition(old: &CertificateId, store: Store) -> Option<Finding> {
    (store == Store::Acm && old.arn().starts_with("arn:aws-cn:")).then(|| {
        Finding::new(
            Ending::RequestInvalid,
            "field store",
            "is acm, and CloudFront in the China partition accepts certificates from IAM only",
            "give \"store\": \"iam\"",
        )
    })
}

/// Of several copies of the new certificate, the one that most targets serve already.
fn most_served(fleet: &Fleet, copies: Vec<CertificateId>) -> Option<CertificateId> {
    let served = |id: &CertificateId| fleet.targets_of(id).len();
    // The first of equals: copies come with our own imports first.
    copies.into_iter().rev().max_by_key(served)
}

/// Everything in CloudFront as the plan sees it. Distributions that serve another certificate are
/// there too, since the request may name them.
async fn members(
    reading: &Reading<'_>,
    fleet: &Fleet,
    old: &CertificateId,
    new: Option<&CertificateId>,
) -> Result<Vec<Member>, StepError> {
    let client = reading.context().aws.cloudfront();
    // A policy id is in the configuration, not in the list; most accounts have no policy at all.
    let any_policy = !list(reading, "policies", async |marker| {
        continuous_deployment_policies(client, marker).await
    })
    .await?
    .is_empty();
    let members = fleet.distributions.iter().map(async |facts| {
        let serves = serves(facts.certificate.as_ref(), old, new);
        let mut member = distribution_member(facts, serves);
        if serves == Serves::Old {
            let id = facts.id.as_str();
            if any_policy {
                let policy = continuous_deployment_policy_of(client, id);
                let question = format!("policy of {id}");
                member.continuous_deployment_policy = reading.ask(question, policy).await?;
            }
            if facts.tenant_only {
                let tenants = tenants_of(reading, id).await?.into_iter();
                let without_own = tenants.filter(|tenant| tenant.certificate_arn.is_none());
                member.names.extend(without_own.flat_map(|tenant| tenant.domains));
            }
        }
        Ok::<_, StepError>(member)
    });
    let mut members: Vec<Member> =
        stream::iter(members).buffered(SIDE_BY_SIDE).try_collect().await?;
    let templates: BTreeMap<&str, &DistributionFacts> =
        fleet.distributions.iter().map(|facts| (facts.id.as_str(), facts)).collect();
    for facts in &fleet.tenants {
        let template = templates.get(facts.distribution_id.as_str()).copied();
        members.push(tenant_member(facts, template, tenant_serves(facts, old, new)));
    }
    Ok(members)
}

fn distribution_member(facts: &DistributionFacts, serves: Serves) -> Member {
    Member {
        target: distribution(&facts.id),
        serves,
        deployed: facts.status == Status::Deployed,
        names: facts.aliases.clone(),
        http_version: facts.http_version.clone(),
        staging: facts.staging,
        multi_tenant: facts.tenant_only,
        continuous_deployment_policy: None,
        dedicated_ip: facts.ssl_support_method.as_deref() == Some("vip"),
        associations: facts.associations.clone(),
    }
}

fn tenant_member(
    facts: &TenantFacts,
    template: Option<&DistributionFacts>,
    serves: Serves,
) -> Member {
    Member {
        target: tenant(&facts.id),
        serves,
        deployed: facts.status == Status::Deployed,
        names: facts.domains.clone(),
        http_version: template.map(|template| template.http_version.clone()).unwrap_or_default(),
        staging: false,
        multi_tenant: true,
        continuous_deployment_policy: None,
        dedicated_ip: false,
        associations: facts.associations.clone(),
    }
}

/// What does not stand in the way, and is better known beforehand.
fn notes(planned: &[Member], in_use_by: &[String], request: &Request) -> Vec<String> {
    let mut notes = Vec::new();
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
        in_use_by.iter().filter(|arn| !arn.contains(":cloudfront:")).collect();
    if !others.is_empty() && request.delete_old {
        notes.push(format!(
            "The old certificate will not be deleted: it is also used by {}.",
            listed(&others)
        ));
    }
    notes
}

/// The targets, all of them and lane by lane, for the steps and the Map.
async fn write(
    context: &Context,
    plan: &Plan,
    waves: &[Vec<Vec<&Member>>],
) -> Result<(), StepError> {
    let put = async |(key, members): (&str, Vec<&Member>)| {
        let targets: Vec<Target> = members
            .into_iter()
            .map(|member| Target { target: member.target.clone(), serves: member.serves })
            .collect();
        s3::put_json(context.aws.s3(), &plan.folder.bucket, key, &targets).await
    };
    let all = waves.iter().flatten().flatten().copied().collect();
    let keys = plan.targets.waves.iter().flatten().map(String::as_str);
    let lanes = keys.zip(waves.iter().flatten().cloned());
    let objects = std::iter::once((plan.targets.key.as_str(), all)).chain(lanes);
    let written = stream::iter(objects.map(put)).buffered(SIDE_BY_SIDE).try_collect::<()>().await;
    Ok(written?)
}

/// The whole plan, for people.
async fn record(
    context: &Context,
    request: &Value,
    plan: &Plan,
    targets: &[Member],
    findings: &[Finding],
) -> Result<(), StepError> {
    let record = PlanRecord { request, made_at: (context.now)(), plan, targets, findings };
    let key = plan.folder.key("plan.json");
    s3::put_json(context.aws.s3(), &plan.folder.bucket, &key, &record).await?;
    Ok(())
}
