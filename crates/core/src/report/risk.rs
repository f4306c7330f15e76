//! Evaluates what viewers may have noticed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::StepErrorName;
use crate::finding::listed;
use crate::ids::Serves;
use crate::report::{TargetReport, wrong_before};
use crate::target::record::{DeploymentStatus, Record, UpdateStatus, VerificationStatus};

/// What viewers may have noticed, over all targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// The severity.
    pub level: Level,
    /// The reasons, one sentence each.
    pub statements: Vec<String>,
}

/// `level` of a [`Risk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Nothing, as far as handshakes can show.
    None,
    /// No problem is known, but not everything was verified.
    NotVerified,
    /// Possibly something.
    Possible,
}

/// Evaluates what viewers may have noticed. `old_not_after` shows whether the old certificate has
/// expired where it is still served; `excludes_rsa_viewers` is that of the plan.
pub fn risk(
    targets: &[TargetReport],
    old_not_after: Option<Timestamp>,
    excludes_rsa_viewers: bool,
    ended_at: Timestamp,
) -> Risk {
    let mut said: Vec<(Level, String)> =
        targets.iter().flat_map(|one| seen_of(one, old_not_after, ended_at)).collect();
    if excludes_rsa_viewers && targets.iter().any(|one| one.serves == Some(Serves::New)) {
        let statement = "The new certificate has an ECDSA key and the old one had an RSA key: viewers that support only RSA can no longer connect. The handshakes made here support both.";
        said.push((Level::NotVerified, statement.to_owned()));
    }
    said.extend(handshakes(targets));
    let level = said.iter().map(|(level, _)| *level).max().unwrap_or(Level::None);
    let mut statements: Vec<String> = said.into_iter().map(|(_, statement)| statement).collect();
    if level == Level::None {
        statements.push("At every moment each target served one of the two certificates; both were valid, covered its names and were in their stores.".to_owned());
    }
    Risk { level, statements }
}

/// What viewers of one target may have seen.
fn seen_of(
    one: &TargetReport,
    old_not_after: Option<Timestamp>,
    ended_at: Timestamp,
) -> Vec<(Level, String)> {
    let TargetReport { target, names, serves, forward, back, .. } = one;
    let names = if names.is_empty() { "no name".to_owned() } else { listed(names) };
    let whom = format!("{target} ({names})");
    let mut said: Vec<(Level, String)> = [(forward, "after its update"), (back, "in the rollback")]
        .into_iter()
        .filter_map(|(record, way)| seen_on_its_way(&whom, record.as_ref()?, way))
        .collect();
    if *serves == Some(Serves::Old) && old_not_after.is_some_and(|end| end <= ended_at) {
        said.push((
            Level::Possible,
            format!("{whom} still serves the old certificate, which has expired."),
        ));
    }
    said
}

/// What viewers may have noticed of a move that failed.
fn seen_on_its_way(whom: &str, record: &Record, way: &str) -> Option<(Level, String)> {
    let Record { failure, update, .. } = record;
    let failure = failure.as_ref()?;
    let since = update.as_ref().map(|update| format!(" since {}", update.since));
    let since = since.unwrap_or_default();
    match StepErrorName::named(&failure.error)? {
        StepErrorName::WrongCertificateServed => Some((
            Level::Possible,
            format!(
                "Viewers of {whom} received a wrong certificate {way}{since}: {}",
                failure.cause
            ),
        )),
        StepErrorName::EdgeUnreachable => Some((
            Level::Possible,
            format!(
                "An edge of {whom} did not complete a TLS handshake {way}{since}: {}",
                failure.cause
            ),
        )),
        StepErrorName::DeploymentStalled => Some((
            Level::NotVerified,
            format!(
                "{whom} was not Deployed in time {way}{since}; its viewers received the old or the new certificate, both valid."
            ),
        )),
        _ => None,
    }
}

/// What the handshakes with all targets show, and which were not made; for each target those of its
/// last move.
fn handshakes(targets: &[TargetReport]) -> Vec<(Level, String)> {
    let (mut verified, mut skipped, mut unverified) = (0, Vec::new(), Vec::new());
    for TargetReport { target, forward, back, .. } in targets {
        let Some(record) = back.as_ref().or(forward.as_ref()) else { continue };
        if !is_moved(record) {
            continue;
        }
        match &record.verification {
            Some(one) if one.status == VerificationStatus::Verified => {
                let wrong = forward.as_ref().map_or(0, |record| record.before.len());
                verified += one.handshakes.saturating_sub(wrong as u64);
            }
            Some(one) => skipped.push(format!("{target}: {}", one.notes.join(" "))),
            None if is_deployed(record) => unverified.push(target),
            None => {}
        }
    }
    let mut said = Vec::new();
    if !unverified.is_empty() {
        let unverified = listed(&unverified);
        said.push((
            Level::NotVerified,
            format!("Not verified, since verifyViewers is false: {unverified}."),
        ));
    }
    if !skipped.is_empty() {
        said.push((Level::None, format!("Not verified: {}", listed(&skipped))));
    }
    let wrong = wrong_before(targets);
    let names = if wrong.is_some() { "every other name" } else { "every name" };
    said.extend(wrong.map(|note| (Level::NotVerified, note)));
    if verified > 0 {
        let handshakes = if verified == 1 { "handshake" } else { "handshakes" };
        said.push((
            Level::None,
            format!(
                "{verified} TLS {handshakes}, with {names} of the targets that were moved, returned the right certificate and a chain to a trusted root."
            ),
        ));
    }
    said
}

fn is_moved(record: &Record) -> bool {
    let is_moving =
        record.update.as_ref().is_some_and(|update| update.status == UpdateStatus::Moving);
    is_moving && record.failure.is_none()
}

fn is_deployed(record: &Record) -> bool {
    record.deployment.as_ref().is_some_and(|one| one.status == DeploymentStatus::Deployed)
}
