//! Is there room for one more certificate? Asks for an increase where there is none, once.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use rotation_aws::error::{AwsError, ErrorKind};
use rotation_aws::quotas::{self, RequestOutcome};
use rotation_aws::store::{acm, iam};
use rotation_core::finding::Finding;
use rotation_core::ids::Store;
use rotation_core::plan::quota::{
    ACM_CERTIFICATES, ACM_CERTIFICATES_IN_YEAR, ACM_IMPORTED, ACM_IMPORTED_IN_YEAR,
    DEDICATED_IP_CERTIFICATES, IAM_SERVER_CERTIFICATES, Increase, Origin, Quota, Room, denied,
    increase, look_again_seconds, room, unanswered,
};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::account::fleet;
use crate::account::reading::Reading;
use crate::lambda::error::StepError;
use rotation_core::plan::state::{Execution, Plan};

/// The state after the plan, and each time the state machine comes back from waiting.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// Whose start the deadline counts from.
    pub execution: Execution,
    /// The plan.
    pub plan: Plan,
    /// What the look before has left: its output after waiting, or what it failed with after all its retries.
    #[serde(default)]
    pub quota: Before,
}

/// Of the look before whether it failed, as the state machine's Catch says it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Before {
    /// The error's name.
    pub error: Option<String>,
}

/// What the state machine branches on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// `sufficient` or `pending`.
    pub status: Status,
    /// A sentence per quota that was looked at.
    pub quotas: Vec<String>,
    /// When to come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u32>,
    /// For the output of the rotation: what this was decided without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `status` of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Go on.
    Sufficient,
    /// An increase is under way; come back.
    Pending,
}

/// A quota, what is used of it and what it is.
#[derive(Clone, Debug)]
pub struct Use {
    /// Which one.
    pub quota: Quota,
    /// How much of it is used.
    pub used: u64,
    /// How much there is.
    pub limit: f64,
    /// Who says so.
    pub origin: Origin,
}

/// Service Quotas, as far as it answers. Whether there is room is advice, and the store itself refuses what does not
/// fit: so a rotation does without the advice when there is none for longer than the state machine retries.
struct Desk<'a> {
    context: &'a Context,
    /// Does no answer count as none, and not as a failure?
    is_lenient: bool,
    /// What it said instead of an answer; then it is not asked again.
    silence: Option<String>,
}

impl<'a> Desk<'a> {
    fn new(context: &'a Context, is_lenient: bool) -> Self {
        Self { context, is_lenient, silence: None }
    }

    /// An answer, or none. A missing permission is no silence: it would not pass.
    async fn ask<T>(
        &mut self,
        question: impl Future<Output = Result<T, AwsError>>,
    ) -> Result<Option<T>, StepError> {
        if self.silence.is_some() {
            return Ok(None);
        }
        match question.await {
            Err(error)
                if self.is_lenient
                    && matches!(error.kind, ErrorKind::Throttled | ErrorKind::Unavailable) =>
            {
                tracing::warn!(%error, "check-quota: Service Quotas gives no answer");
                self.silence = Some(error.to_string());
                Ok(None)
            }
            answer => Ok(Some(answer?)),
        }
    }
}

/// Looks at every quota that this import will count against.
///
/// # Errors
/// `QuotaDenied` when an increase was refused or took too long, and what AWS answers; of Service Quotas itself
/// `Throttled` and `Unavailable` only the first time.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let Input { execution, plan, quota: before } = input;
    let mut desk = Desk::new(context, before.error.is_some());
    let mut status = Status::Sufficient;
    let mut quotas = Vec::new();
    let mut findings: Vec<Finding> = Vec::new();
    for one in read_uses(&mut desk, &plan).await? {
        let Use { quota, used, limit, origin } = &one;
        let whence = match origin {
            Origin::Applied => "",
            Origin::Default => " (the default; Service Quotas has no value for this account)",
            Origin::Documented => {
                " (the documented default; Service Quotas does not know this quota)"
            }
            Origin::Unanswered => " (the documented default; Service Quotas is unavailable)",
        };
        let mut line = format!("{}: {used} of {limit}{whence}", quota.name);
        if let Room::Full { desired } = room(*used, *limit, *origin) {
            match increased(&mut desk, &execution, quota, desired).await? {
                Ok(answer) => {
                    status = Status::Pending;
                    line.push_str(&format!("; {answer}"));
                }
                Err(finding) => findings.push(finding),
            }
        }
        tracing::info!(quota = line, "check-quota");
        quotas.push(line);
    }
    if !findings.is_empty() {
        return Err(StepError::found(&findings));
    }
    let waited = (context.now)().duration_since(execution.start_time);
    let wait = look_again_seconds(waited, desk.silence.is_none());
    Ok(Output {
        status,
        quotas,
        wait_seconds: (status == Status::Pending).then_some(wait),
        note: desk.silence.map(|silence| {
            format!(
                "Service Quotas was unavailable, so the documented defaults applied, and the store decided whether there was room for the new certificate. {silence}"
            )
        }),
    })
}

/// Asks for an increase unless that was done, and says how it stands.
async fn increased(
    desk: &mut Desk<'_>,
    execution: &Execution,
    quota: &Quota,
    desired: f64,
) -> Result<Result<String, Finding>, StepError> {
    let context = desk.context;
    let client = context.aws.quotas();
    let deadline = SignedDuration::from_hours(context.settings.quota_deadline_hours);
    let (began, now) = (execution.start_time, (context.now)());
    let without = |desk: &Desk<'_>| {
        let silence = desk.silence.as_deref().unwrap_or_default();
        Ok(match unanswered(quota, silence, began, now, deadline) {
            Increase::GiveUp(finding) => Err(finding),
            _ => Ok("waiting for Service Quotas, to request an increase".into()),
        })
    };
    let latest = quotas::latest_request(client, quota.service, quota.code);
    let Some(latest) = desk.ask(latest).await? else { return without(desk) };
    Ok(match increase(quota, latest.as_ref(), began, now, deadline) {
        Increase::GiveUp(finding) => Err(finding),
        Increase::Wait => Ok("waiting for the requested increase".into()),
        Increase::Ask => {
            let request = quotas::request_increase(client, quota.service, quota.code, desired);
            let Some(outcome) = desk.ask(request).await? else { return without(desk) };
            match outcome {
                RequestOutcome::Requested(id) => {
                    Ok(format!("requested an increase to {desired} (request {id})"))
                }
                RequestOutcome::AlreadyOpen => Ok("an increase was already requested".into()),
                // Two open requests a region is all that Service Quotas takes: wait for a place.
                RequestOutcome::TooManyOpen => {
                    Ok("waiting until another request of this account is decided".into())
                }
                RequestOutcome::Refused(message) => Err(denied(
                    quota,
                    format!(
                        "no room for one more, and Service Quotas accepts no request: {message}"
                    ),
                    format!(
                        "ask AWS Support for \"{}\", or delete certificates that nothing uses, and start the rotation again",
                        quota.support
                    ),
                )),
            }
        }
    })
}

/// The quotas that count for this plan. A certificate that lies in its store already takes no more
/// room there; on dedicated IP addresses it does, unless one of them serves it.
///
/// # Errors
/// What AWS answers.
pub async fn uses(context: &Context, plan: &Plan) -> Result<Vec<Use>, StepError> {
    read_uses(&mut Desk::new(context, false), plan).await
}

async fn read_uses(desk: &mut Desk<'_>, plan: &Plan) -> Result<Vec<Use>, StepError> {
    let context = desk.context;
    let aws = &context.aws;
    let mut uses = Vec::new();
    if plan.new_certificate.id.is_none() {
        match plan.store {
            Store::Acm => {
                let usage = acm::usage(aws.acm(), (context.now)()).await?;
                for (quota, used) in [
                    (ACM_CERTIFICATES, usage.certificates),
                    (ACM_CERTIFICATES_IN_YEAR, usage.created_last_year),
                    (ACM_IMPORTED, usage.imported),
                    (ACM_IMPORTED_IN_YEAR, usage.imported_last_year),
                ] {
                    uses.push(looked_up(desk, quota, used).await?);
                }
            }
            Store::Iam => {
                let usage = iam::usage(aws.iam()).await?;
                uses.push(Use {
                    quota: IAM_SERVER_CERTIFICATES,
                    used: usage.used,
                    limit: usage.quota as f64,
                    origin: Origin::Applied,
                });
            }
        }
    }
    if plan.targets.dedicated_ip > 0 {
        let distributions = fleet::distributions(&Reading::new(context)).await?;
        let certificates: BTreeSet<&str> = distributions
            .iter()
            .filter(|facts| facts.ssl_support_method.as_deref() == Some("vip"))
            .filter_map(|facts| facts.certificate.as_ref().map(|certificate| certificate.id()))
            .collect();
        let served =
            plan.new_certificate.id.as_ref().is_some_and(|id| certificates.contains(id.id()));
        if !served {
            uses.push(looked_up(desk, DEDICATED_IP_CERTIFICATES, certificates.len() as u64).await?);
        }
    }
    Ok(uses)
}

async fn looked_up(desk: &mut Desk<'_>, quota: Quota, used: u64) -> Result<Use, StepError> {
    let value = quotas::value(desk.context.aws.quotas(), quota.service, quota.code);
    let (limit, origin) = match desk.ask(value).await? {
        Some(Some((limit, origin))) => (limit, origin),
        Some(None) => (quota.documented, Origin::Documented),
        None => (quota.documented, Origin::Unanswered),
    };
    Ok(Use { quota, used, limit, origin })
}
