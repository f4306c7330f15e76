//! What viewers may have noticed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::StepErrorName;
use crate::finding::listed;
use crate::ids::Serves;
use crate::report::TargetReport;
use crate::target::record::{DeploymentStatus, Record, UpdateStatus, VerificationStatus};

/// What viewers may have noticed, all in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// How bad.
    pub level: Level,
    /// Why, a sentence each.
    pub statements: Vec<String>,
}

/// `level` of a [`Risk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Nothing, as far as handshakes can show.
    None,
    /// Nothing is known of it, but not everything was looked at.
    NotVerified,
    /// Something.
    Possible,
}

/// Judges what viewers may have noticed. `old_not_after` tells whether the old certificate has run out
/// where it is still served.
pub fn risk(
    targets: &[TargetReport],
    old_not_after: Option<Timestamp>,
    ended_at: Timestamp,
) -> Risk {
    let mut said: Vec<(Level, String)> = Vec::new();
    let mut say = |level: Level, statement: String| said.push((level, statement));
    let (mut verified, mut skipped, mut unverified) = (0, Vec::new(), Vec::new());
    for TargetReport { target, names, serves, forward, back, .. } in targets {
        let last = back.as_ref().or(forward.as_ref());
        let names = if names.is_empty() { "no name".to_owned() } else { listed(names) };
        for (record, way) in [(forward, "after its update"), (back, "in the rollback")] {
            let Some(Record { failure: Some(failure), update, .. }) = record else { continue };
            let since = update.as_ref().map(|update| format!(" since {}", update.since));
            let since = since.unwrap_or_default();
            match StepErrorName::named(&failure.error) {
                Some(StepErrorName::WrongCertificateServed) => say(
                    Level::Possible,
                    format!(
                        "Viewers of {target} ({names}) received a wrong certificate {way}{since}: {}",
                        failure.cause
                    ),
                ),
                Some(StepErrorName::EdgeUnreachable) => say(
                    Level::Possible,
                    format!(
                        "An edge of {target} ({names}) did not complete a TLS handshake {way}{since}: {}",
                        failure.cause
                    ),
                ),
                Some(StepErrorName::DeploymentStalled) => say(
                    Level::NotVerified,
                    format!(
                        "{target} ({names}) was not Deployed in time {way}{since}; its viewers received the old or the new certificate, both valid."
                    ),
                ),
                _ => {}
            }
        }
        if *serves == Some(Serves::Old) && old_not_after.is_some_and(|end| end <= ended_at) {
            say(
                Level::Possible,
                format!("{target} ({names}) still serves the old certificate, which has expired."),
            );
        }
        let Some(record) = last else { continue };
        let moving = UpdateStatus::Moving;
        if record.update.as_ref().is_none_or(|update| update.status != moving)
            || record.failure.is_some()
        {
            continue;
        }
        match &record.verification {
            Some(one) if one.status == VerificationStatus::Verified => {
                verified += one.handshakes;
            }
            Some(one) => skipped.push(format!("{target}: {}", one.notes.join(" "))),
            None if is_deployed(record) => unverified.push(target.clone()),
            None => {}
        }
    }
    if !unverified.is_empty() {
        say(
            Level::NotVerified,
            format!("Not verified, since verifyViewers is false: {}.", listed(&unverified)),
        );
    }
    if !skipped.is_empty() {
        let all_alike = format!("Not verified, since no viewer can connect: {}", listed(&skipped));
        say(Level::None, all_alike);
    }
    if verified > 0 {
        say(
            Level::None,
            format!(
                "{verified} TLS handshakes, with every name of the targets that were moved, returned the right certificate and a chain to a trusted root."
            ),
        );
    }
    let level = said.iter().map(|(level, _)| *level).max().unwrap_or(Level::None);
    let mut statements: Vec<String> = said.into_iter().map(|(_, statement)| statement).collect();
    if level == Level::None {
        statements.push("At every moment each target served one of the two certificates; both were valid, covered its names and were in their stores.".to_owned());
    }
    Risk { level, statements }
}

fn is_deployed(record: &Record) -> bool {
    record.deployment.as_ref().is_some_and(|one| one.status == DeploymentStatus::Deployed)
}
