//! Checks that the quotas leave room for one more certificate, and requests an increase, once,
//! where they do not.

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
    increase, look_again_seconds, nearly_full, room, unanswered,
};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::account::fleet;
use crate::account::reading::Reading;
use crate::lambda::error::StepError;
use rotation_core::plan::state::{Execution, Plan};

/// The state after the plan, and after each wait.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// The quota deadline counts from the start of this execution.
    pub execution: Execution,
    /// The plan.
    pub plan: Plan,
    /// The result of the previous poll: its output after a wait, or the error that was caught after
    /// all retries.
    #[serde(default)]
    pub quota: Before,
}

/// The part of the previous result that matters: whether it is an error caught by the state
/// machine.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Before {
    /// The error's name.
    pub error: Option<String>,
}

/// The result that the state machine branches on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// `sufficient` or `pending`.
    pub status: Status,
    /// One line per checked quota.
    pub quotas: Vec<String>,
    /// Seconds until the next poll.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u32>,
    /// Notes for the output of the rotation: quotas that are nearly full, and whether Service Quotas
    /// was unavailable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// `status` of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// There is room: continue.
    Sufficient,
    /// An increase is in progress: poll again.
    Pending,
}

/// A quota, its usage and its limit.
#[derive(Clone, Debug)]
pub struct Use {
    /// The quota.
    pub quota: Quota,
    /// The usage.
    pub used: u64,
    /// The limit.
    pub limit: f64,
    /// Where the limit comes from.
    pub origin: Origin,
}

/// Client of Service Quotas that tolerates an outage. The quota check is advisory, because the
/// store itself refuses an import over the quota. So when Service Quotas is unavailable for longer
/// than the state machine retries, the rotation continues without it.
struct Desk<'a> {
    context: &'a Context,
    /// True: an outage counts as "no response" and not as an error.
    is_lenient: bool,
    /// The error of an outage. Once it is set, no further call is made.
    silence: Option<String>,
}

impl<'a> Desk<'a> {
    fn new(context: &'a Context, is_lenient: bool) -> Self {
        Self { context, is_lenient, silence: None }
    }

    /// The response, or `None` in an outage. A missing permission is not an outage: it would not
    /// pass.
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

/// Checks every quota that this import counts against.
///
/// # Errors
/// `QuotaDenied` when an increase was refused or took too long, and errors of AWS calls.
/// `Throttled` and `Unavailable` of Service Quotas itself are returned only the first time.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    let Input { execution, plan, quota: before } = input;
    let mut desk = Desk::new(context, before.error.is_some());
    let mut status = Status::Sufficient;
    let (mut quotas, mut notes) = (Vec::new(), Vec::new());
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
        notes.extend(nearly_full(quota, *used, *limit));
        tracing::info!(quota = line, "check-quota");
        quotas.push(line);
    }
    if !findings.is_empty() {
        return Err(StepError::found(&findings));
    }
    let waited = (context.now)().duration_since(execution.start_time);
    let wait = look_again_seconds(waited, desk.silence.is_none());
    notes.extend(desk.silence.map(|silence| {
        format!(
            "Service Quotas was unavailable, so the documented defaults applied, and the store decided whether there was room for the new certificate. {silence}"
        )
    }));
    Ok(Output { status, quotas, wait_seconds: (status == Status::Pending).then_some(wait), notes })
}

/// Requests an increase unless one was requested already; returns its status.
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
                // Service Quotas allows two open requests per region: wait until one is closed.
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

/// The quotas that this plan counts against. A certificate that is in its store already takes no
/// more room there; but it takes a place on dedicated IP addresses, unless one of them serves it.
///
/// # Errors
/// Errors of AWS calls.
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
