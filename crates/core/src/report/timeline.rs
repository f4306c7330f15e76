//! Which certificate the viewers of a target were served, over time.

use jiff::Timestamp;

use crate::ids::Serves;
use crate::report::TargetReport;
use crate::target::record::{DeploymentStatus, Direction, UpdateStatus};

/// A period in a target's timeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// What viewers were served.
    pub(super) meets: Meets,
    /// Its share of the whole, 0 to 1.
    pub(super) share: f64,
}

/// The certificate that viewers were served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meets {
    /// The old one.
    Old,
    /// Either one: the change is being deployed to the edges.
    Both,
    /// The new one, at all edges, before the handshakes have verified it.
    NewVerifying,
    /// The new one.
    New,
    /// The old one again, before the handshakes have verified it.
    OldVerifying,
    /// A third one.
    Another,
}

impl Meets {
    /// The CSS class of its colour.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Both => "both",
            Self::NewVerifying => "new verifying",
            Self::New => "new",
            Self::OldVerifying => "old verifying",
            Self::Another => "another",
        }
    }
}

impl TargetReport {
    /// What its viewers were served from one moment to another, as consecutive parts of the whole.
    pub(super) fn timeline(&self, from: Timestamp, to: Timestamp) -> Vec<Part> {
        let whole = to.duration_since(from).as_secs_f64().max(1.0);
        let at =
            |time: Timestamp| (time.duration_since(from).as_secs_f64() / whole).clamp(0.0, 1.0);
        let mut parts = Vec::new();
        let mut reached = 0.0;
        let mut until = |end: f64, meets: Meets| {
            if end > reached {
                parts.push(Part { meets, share: end - reached });
                reached = end;
            }
        };
        let mut meets = match self.planned {
            Serves::Old => Meets::Old,
            Serves::New => Meets::New,
            Serves::Other => Meets::Another,
        };
        for record in self.moves() {
            let Some(update) =
                record.update.as_ref().filter(|one| one.status == UpdateStatus::Moving)
            else {
                continue;
            };
            until(at(update.since), meets);
            let deployed =
                record.deployment.as_ref().filter(|one| one.status == DeploymentStatus::Deployed);
            let Some(deployed) = deployed else {
                meets = Meets::Both;
                continue;
            };
            until(at(deployed.at), Meets::Both);
            meets = if record.direction == Direction::Forward { Meets::New } else { Meets::Old };
            if let Some(verified) = &record.verification {
                until(
                    at(verified.at),
                    if meets == Meets::New { Meets::NewVerifying } else { Meets::OldVerifying },
                );
            }
        }
        until(1.0, meets);
        parts
    }
}
