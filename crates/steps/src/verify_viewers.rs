//! Opens TLS connections to the edges of one target, as its viewers do: every name must be served
//! the configured certificate, and a viewer must trust it.

use futures_util::{StreamExt, stream};
use rotation_aws::cloudfront::{self, Entrance, Entrances, Reach, entrances};
use rotation_core::certificate::Fingerprint;
use rotation_core::finding::{Finding, listed};
use rotation_core::ids::Serves;
use rotation_core::ids::{CertificateId, TargetId};
use rotation_core::plan::state::PlannedTarget;
use rotation_core::target::record::{Survey, Verification, VerificationStatus};
use rotation_core::target::verification::{Before, Handshake, handshakes, judge, was_so};
use rotation_viewer::ViewerError;
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::account::fleet::read_target;
use crate::account::roots::trust_roots;
use crate::lambda::error::StepError;

/// How many handshakes run in parallel.
const SIDE_BY_SIDE: usize = 16;
/// No further handshakes after this many faults.
const ENOUGH: usize = 10;
/// The same before the update. What is wrong beyond that is then not excused.
const ENOUGH_BEFORE: usize = 50;

/// A target before its update, or when it is `Deployed`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The target.
    pub target: PlannedTarget,
    /// The certificate it was moved from.
    pub from: CertificateId,
    /// The certificate it was moved to.
    pub to: CertificateId,
    /// Fingerprint of the leaf it was moved to.
    pub fingerprint: String,
    /// Fingerprint of the rotation's old leaf.
    pub old_fingerprint: String,
    /// The output of this step before the update.
    pub before: Option<Survey>,
    /// The output of `poll-deployment`; `None` before the update.
    pub deployment: Option<Deployment>,
}

/// The part of `poll-deployment`'s output that is needed.
#[derive(Debug, Deserialize)]
pub struct Deployment {
    /// How viewers reach the target.
    pub reach: Reach,
}

/// The output of the step.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Output {
    /// Before the update.
    Before(Survey),
    /// When it is `Deployed`.
    After(Verification),
}

/// A name that is not served as it should be.
struct Trouble {
    /// The certificate that was served; `None` if no handshake succeeded.
    served: Option<Fingerprint>,
    name: String,
    sni: bool,
    /// Who was served what.
    text: String,
}

/// Makes every handshake and evaluates what was served. Before the update it notes what is wrong
/// already, which is then not the rotation's fault.
///
/// # Errors
/// `WrongCertificateServed`, `EdgeUnreachable`, and errors of AWS calls.
pub async fn step(context: &Context, input: Input) -> Result<Output, StepError> {
    Ok(match &input.deployment {
        None => Output::Before(survey(context, &input).await?),
        Some(deployment) => Output::After(verify(context, &input, &deployment.reach).await?),
    })
}

/// Notes the names that are served neither certificate of the rotation.
async fn survey(context: &Context, input: &Input) -> Result<Survey, StepError> {
    let target = &input.target.id;
    let Some(status) = cloudfront::status(context.aws.cloudfront(), target).await? else {
        return Ok(Survey::default());
    };
    if !status.reach.enabled {
        return Ok(Survey::default());
    }
    let with_hosts = !context.edges.are_one();
    let Entrances { open, .. } =
        entrances(context.aws.cloudfront(), target, &status.reach, with_hosts).await?;
    let known = [&input.old_fingerprint, &input.fingerprint];
    let judge = |chain: &[Vec<u8>], _: &str| match chain.first().map(|leaf| Fingerprint::of(leaf)) {
        Some(served) if known.contains(&&served.to_string()) => Ok(()),
        Some(served) => Err(format!("the edge served {served}")),
        None => Err("the edge served no certificate".to_owned()),
    };
    let met = visit_all(context, &open, &[], ENOUGH_BEFORE, judge).await;
    let wrong: Vec<Before> = met
        .trouble
        .into_iter()
        .map(|Trouble { served, name, sni, text }| Before { name, sni, served, why: text })
        .collect();
    tracing::info!(%target, handshakes = met.handshakes, wrong = wrong.len(), "verify-viewers before");
    Ok(Survey { wrong })
}

async fn verify(
    context: &Context,
    input: &Input,
    reach: &Reach,
) -> Result<Verification, StepError> {
    let Input { target: PlannedTarget { id: target, .. }, from, to, fingerprint, .. } = input;
    let at = (context.now)();
    let skipped = |reason: &str| Verification {
        status: VerificationStatus::Skipped,
        at,
        names: 0,
        handshakes: 0,
        notes: vec![reason.to_owned()],
        retries: 0,
    };
    let with_hosts = !context.edges.are_one();
    if !reach.enabled {
        return Ok(skipped("It is disabled, so no viewer reaches it."));
    }
    let Entrances { open, closed } =
        entrances(context.aws.cloudfront(), target, reach, with_hosts).await?;
    let closed = (!closed.is_empty()).then(|| {
        let names = listed(&closed);
        format!("Not reached by any viewer, since the connection group is disabled: {names}.")
    });
    let names: usize = open.iter().map(|entrance| entrance.names.len()).sum();
    if names == 0 {
        return Ok(skipped(closed.as_deref().unwrap_or(
            "No alias and no tenant's domain uses its certificate, so no viewer receives it.",
        )));
    }

    let (roots, unread) = trust_roots(context).await?;
    // In a rollback it is that of the way forward.
    let before = input.before.as_ref().map_or(&input.target.before, |survey| &survey.wrong);
    let judge = |chain: &[Vec<u8>], name: &str| {
        judge(chain, fingerprint, name, &roots, (context.now)()).map_err(|fault| fault.to_string())
    };
    let met = visit_all(context, &open, before, ENOUGH, judge).await;
    let Met { handshakes, right, trouble, mut notes } = met;
    notes.dedup();
    notes.extend(closed);
    notes.extend(unread.as_ref().map(Finding::to_string));
    tracing::info!(%target, handshakes, faults = trouble.len(), "verify-viewers");
    if trouble.is_empty() {
        // Without a right one nothing was verified: all was wrong before, too.
        let status =
            if right > 0 { VerificationStatus::Verified } else { VerificationStatus::Skipped };
        return Ok(Verification { status, at, names: names as u64, handshakes, notes, retries: 0 });
    }
    // Does the target still serve the new certificate?
    match read_target(&context.aws, target, from, to).await? {
        None => Ok(skipped("It no longer exists.")),
        Some(state) if state.serves != Serves::New => {
            Ok(skipped("Another client has given it another certificate."))
        }
        Some(_) => Err(failure(target.clone(), &trouble, unread.as_ref())),
    }
}

/// Results of the handshakes.
#[derive(Default)]
struct Met {
    /// How many handshakes were completed.
    handshakes: u64,
    /// How many of them were served the right certificate.
    right: u64,
    trouble: Vec<Trouble>,
    /// What was not tried, or was wrong before, and why.
    notes: Vec<String>,
}

/// Makes all handshakes at all edge names, until enough faults were found. `before` is excused.
async fn visit_all(
    context: &Context,
    open: &[Entrance],
    before: &[Before],
    enough: usize,
    judge: impl Fn(&[Vec<u8>], &str) -> Result<(), String>,
) -> Met {
    let mut met = Met::default();
    for entrance in open {
        visit(context, entrance, before, enough, &judge, &mut met).await;
    }
    met
}

/// Makes all handshakes at one edge name, until enough faults were found.
async fn visit(
    context: &Context,
    entrance: &Entrance,
    before: &[Before],
    enough: usize,
    judge: &impl Fn(&[Vec<u8>], &str) -> Result<(), String>,
    met: &mut Met,
) {
    let Entrance { host, names, without_sni } = entrance;
    let addresses = match context.edges.addresses(host).await {
        Ok(addresses) => addresses,
        Err(error) => {
            let (name, text) = (host.clone(), format!("{host}: {error}"));
            met.add(before, Trouble { served: None, name, sni: false, text });
            return;
        }
    };
    let has_ipv4 = addresses.iter().any(std::net::SocketAddr::is_ipv4);
    let without_sni = *without_sni && !context.edges.are_one();
    let mut made = stream::iter(handshakes(names, &addresses, without_sni))
        .map(async |handshake: Handshake| {
            let sni = handshake.sni.then_some(handshake.name.as_str());
            let served = context.edges.shake_hands(host, handshake.address, sni).await;
            (handshake, served)
        })
        .buffered(SIDE_BY_SIDE);
    while met.trouble.len() < enough
        && let Some((Handshake { name, address, sni }, served)) = made.next().await
    {
        match served {
            Ok(chain) => {
                met.handshakes += 1;
                let verdict = judge(&chain, &name);
                met.right += u64::from(verdict.is_ok());
                if let Err(fault) = verdict {
                    let served = chain.first().map(|leaf| Fingerprint::of(leaf));
                    let text = format!("{name} at {address} of {host}: {fault}");
                    met.add(before, Trouble { served, name, sni, text });
                }
            }
            // Lambda functions have no IPv6 connection unless it is configured.
            Err(ViewerError::Connect { .. }) if address.is_ipv6() && has_ipv4 => {
                met.notes
                    .push("IPv6 was not tried: this function has no connection to it.".to_owned());
            }
            Err(error) => {
                let text = format!("{name} of {host}: {error}");
                met.add(before, Trouble { served: None, name, sni, text });
            }
        }
    }
}

impl Met {
    fn add(&mut self, before: &[Before], trouble: Trouble) {
        if was_so(before, &trouble.name, trouble.sni, trouble.served) {
            self.notes.push(format!("As before the rotation: {}.", trouble.text));
        } else {
            self.trouble.push(trouble);
        }
    }
}

fn failure(target: TargetId, trouble: &[Trouble], unread: Option<&Finding>) -> StepError {
    let is_wrong = trouble.iter().any(|one| one.served.is_some());
    let mut faults: Vec<String> = trouble
        .iter()
        .filter(|one| !is_wrong || one.served.is_some())
        .map(|one| one.text.clone())
        .collect();
    faults.extend(unread.map(|list| format!("{} {}", list.subject, list.problem)));
    let faults = listed(&faults);
    if is_wrong {
        StepError::WrongCertificateServed { target, faults }
    } else {
        StepError::EdgeUnreachable { target, faults }
    }
}
