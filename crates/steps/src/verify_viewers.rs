//! Opens TLS connections to the edges of one target, as its viewers do: every name must be served
//! the configured certificate, and a viewer must trust it.

use futures_util::{StreamExt, stream};
use rotation_aws::cloudfront::{Entrance, Entrances, Reach, entrances};
use rotation_core::certificate::TrustRoots;
use rotation_core::finding::{Finding, listed};
use rotation_core::ids::Serves;
use rotation_core::ids::{CertificateId, TargetId};
use rotation_core::target::record::{Verification, VerificationStatus};
use rotation_core::target::verification::{Fault, Handshake, handshakes, judge};
use rotation_viewer::ViewerError;
use serde::Deserialize;

use crate::Context;
use crate::account::fleet::read_target;
use crate::account::roots::trust_roots;
use crate::lambda::error::StepError;
use rotation_core::plan::state::PlannedTarget;

/// How many handshakes run in parallel.
const SIDE_BY_SIDE: usize = 16;
/// No further handshakes after this many faults.
const ENOUGH: usize = 10;

/// A target that is `Deployed`.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// The target.
    pub target: PlannedTarget,
    /// The certificate it was moved from.
    pub from: CertificateId,
    /// The certificate it was moved to.
    pub to: CertificateId,
    /// Fingerprint of the leaf it was moved to.
    pub fingerprint: String,
    /// The output of `poll-deployment`.
    pub deployment: Deployment,
}

/// The part of `poll-deployment`'s output that is needed.
#[derive(Debug, Deserialize)]
pub struct Deployment {
    /// How viewers reach the target.
    pub reach: Reach,
}

/// A failed check: a wrong certificate, or no handshake.
enum Trouble {
    Wrong(String, Fault),
    Unreachable(String, ViewerError),
}

/// Makes every handshake and evaluates what was served.
///
/// # Errors
/// `WrongCertificateServed`, `EdgeUnreachable`, and errors of AWS calls.
pub async fn step(context: &Context, input: Input) -> Result<Verification, StepError> {
    let Input { target: PlannedTarget { id: target, .. }, from, to, fingerprint, deployment } =
        input;
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
    if !deployment.reach.enabled {
        return Ok(skipped("It is disabled, so no viewer reaches it."));
    }
    let Entrances { open, closed } =
        entrances(context.aws.cloudfront(), &target, &deployment.reach, with_hosts).await?;
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
    let mut met = Met::default();
    for entrance in &open {
        let room = ENOUGH.saturating_sub(met.trouble.len());
        met.add(visit(context, entrance, &fingerprint, &roots, room).await);
    }
    let Met { handshakes, trouble, mut notes } = met;
    notes.dedup();
    notes.extend(closed);
    notes.extend(unread.as_ref().map(Finding::to_string));
    tracing::info!(%target, handshakes, faults = trouble.len(), "verify-viewers");
    if trouble.is_empty() {
        let (status, names) = (VerificationStatus::Verified, names as u64);
        return Ok(Verification { status, at, names, handshakes, notes, retries: 0 });
    }
    // Does the target still serve the new certificate?
    match read_target(&context.aws, &target, &from, &to).await? {
        None => Ok(skipped("It no longer exists.")),
        Some(state) if state.serves != Serves::New => {
            Ok(skipped("Another client has given it another certificate."))
        }
        Some(_) => Err(failure(target, &trouble, unread.as_ref())),
    }
}

/// Results of the handshakes.
#[derive(Default)]
struct Met {
    /// How many handshakes were completed.
    handshakes: u64,
    trouble: Vec<Trouble>,
    /// What was not tried, and why.
    notes: Vec<String>,
}

impl Met {
    fn add(&mut self, more: Self) {
        self.handshakes += more.handshakes;
        self.trouble.extend(more.trouble);
        self.notes.extend(more.notes);
    }
}

/// Makes all handshakes at one edge name, until `room` faults were found.
async fn visit(
    context: &Context,
    entrance: &Entrance,
    fingerprint: &str,
    roots: &TrustRoots,
    room: usize,
) -> Met {
    let Entrance { host, names, without_sni } = entrance;
    let mut met = Met::default();
    let addresses = match context.edges.addresses(host).await {
        Ok(addresses) => addresses,
        Err(error) => {
            met.trouble.push(Trouble::Unreachable(host.clone(), error));
            return met;
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
    while let Some((Handshake { name, address, .. }, served)) = made.next().await {
        match served {
            Ok(chain) => {
                met.handshakes += 1;
                let verdict = judge(&chain, fingerprint, &name, roots, (context.now)());
                let wrong = |fault| Trouble::Wrong(format!("{name} at {address} of {host}"), fault);
                met.trouble.extend(verdict.err().map(wrong));
            }
            // Lambda functions have no IPv6 connection unless it is configured.
            Err(ViewerError::Connect { .. }) if address.is_ipv6() && has_ipv4 => {
                met.notes
                    .push("IPv6 was not tried: this function has no connection to it.".to_owned());
            }
            Err(error) => {
                met.trouble.push(Trouble::Unreachable(format!("{name} of {host}"), error));
            }
        }
        if met.trouble.len() >= room {
            break;
        }
    }
    met
}

fn failure(target: TargetId, trouble: &[Trouble], unread: Option<&Finding>) -> StepError {
    let is_wrong = trouble.iter().any(|one| matches!(one, Trouble::Wrong(..)));
    let mut faults: Vec<String> = trouble
        .iter()
        .filter(|one| !is_wrong || matches!(one, Trouble::Wrong(..)))
        .map(|one| match one {
            Trouble::Wrong(whom, fault) => format!("{whom}: {fault}"),
            Trouble::Unreachable(whom, error) => format!("{whom}: {error}"),
        })
        .collect();
    faults.extend(unread.map(|list| format!("{} {}", list.subject, list.problem)));
    let faults = listed(&faults);
    if is_wrong {
        StepError::WrongCertificateServed { target, faults }
    } else {
        StepError::EdgeUnreachable { target, faults }
    }
}
