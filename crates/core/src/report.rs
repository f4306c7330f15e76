//! The report of a rotation, for somebody who was not there: what was asked, what was planned, what became
//! of each target and when, what was deleted on what evidence, and what viewers may have noticed.

use std::collections::BTreeMap;

use askama::Template;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ending::Output;
use crate::finding::listed;
use crate::ids::TargetId;
use crate::plan::Serves;
use crate::target::record::{DeploymentStatus, Record, UpdateStatus, VerificationStatus, Way};

/// `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Did it reach its goal?
    pub succeeded: bool,
    /// The output of the execution, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// One of the contract's names, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What went wrong and what to do, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Which execution.
    pub rotation: Rotation,
    /// The input of the execution.
    pub request: Value,
    /// Both certificates, as far as they were read.
    pub certificates: Option<Certificates>,
    /// The plan, if one was made.
    pub plan: Option<Planned>,
    /// Each target of the plan.
    pub targets: Vec<TargetReport>,
    /// How often steps outside the targets were retried, by state.
    pub retries: BTreeMap<String, u64>,
    /// What became of the old certificate, if it came to that.
    pub deletion: Option<Deletion>,
    /// What viewers may have noticed.
    pub risk: Risk,
}

/// The execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub id: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When this was written.
    pub ended_at: Timestamp,
    /// How often it had been redriven.
    pub redrives: u64,
}

/// The two certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificates {
    /// The one that was to be replaced.
    pub old: Certificate,
    /// The one that was to replace it.
    pub new: Certificate,
}

/// A certificate of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// ACM ARN or IAM id; none before the import.
    pub id: Option<String>,
    /// `sha256:` and the hex digest of the leaf's DER; none when an earlier rotation deleted it.
    pub fingerprint: Option<String>,
    /// End of its validity.
    pub not_after: Option<Timestamp>,
}

/// The plan in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// How many targets.
    pub total: usize,
    /// How many of them were to be moved.
    pub to_move: usize,
    /// How many at once.
    pub concurrency: u64,
    /// Were viewers' handshakes to be made?
    pub verify_viewers: bool,
    /// What was to happen after a failure: put back, or stop.
    pub roll_back: bool,
    /// What was worth knowing beforehand.
    pub notes: Vec<String>,
    /// Where all of it lies, `s3://bucket/key`.
    pub location: String,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetReport {
    /// Which one.
    pub target: TargetId,
    /// The names that viewers know it by.
    pub names: Vec<String>,
    /// What it served when the plan was made.
    pub planned: Serves,
    /// What it served at the last look; none when it was gone, or nobody looked.
    pub serves: Option<Serves>,
    /// What became of it on its way to the new certificate.
    pub forward: Option<Record>,
    /// What became of it on its way back.
    pub back: Option<Record>,
}

/// What became of a target, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum CameTo {
    /// It serves the new certificate.
    Moved,
    /// Its move failed, and it was not put back.
    Failed,
    /// It serves the old certificate again.
    PutBack,
    /// Putting it back failed.
    NotPutBack,
    /// Somebody else had given it a third certificate.
    Drifted,
    /// Somebody else had deleted it.
    Gone,
    /// It was left as it was.
    NotBegun,
}

impl CameTo {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Failed => "failed",
            Self::PutBack => "restored",
            Self::NotPutBack => "not restored",
            Self::Drifted => "drifted",
            Self::Gone => "gone",
            Self::NotBegun => "not started",
        }
    }
}

impl CameTo {
    /// The same as a sign, for those who do not see colours.
    fn sign(self) -> &'static str {
        match self {
            Self::Moved => "✓",
            Self::Failed | Self::NotPutBack => "✗",
            Self::PutBack => "↩",
            Self::Drifted | Self::Gone => "!",
            Self::NotBegun => "·",
        }
    }
}

impl TargetReport {
    /// What became of it.
    pub fn came_to(&self) -> CameTo {
        if let Some(back) = &self.back {
            return if back.failure.is_some() { CameTo::NotPutBack } else { CameTo::PutBack };
        }
        let Some(forward) = &self.forward else { return CameTo::NotBegun };
        let deployment = forward.deployment.as_ref().map(|one| one.status);
        match (forward.update.as_ref().map(|one| one.status), deployment) {
            _ if forward.failure.is_some() => CameTo::Failed,
            (Some(UpdateStatus::Drifted), _) | (_, Some(DeploymentStatus::Drifted)) => {
                CameTo::Drifted
            }
            (Some(UpdateStatus::Gone), _) | (_, Some(DeploymentStatus::Gone)) => CameTo::Gone,
            (Some(UpdateStatus::Moving), _) => CameTo::Moved,
            (Some(UpdateStatus::NotBegun) | None, _) => CameTo::NotBegun,
        }
    }

    /// Its moves, in order.
    pub fn moves(&self) -> impl Iterator<Item = &Record> {
        self.forward.iter().chain(&self.back)
    }

    /// What its viewers met from one moment to another, as parts of a whole that follow each other.
    pub fn timeline(&self, from: Timestamp, to: Timestamp) -> Vec<Part> {
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
            meets = if record.way == Way::Forward { Meets::New } else { Meets::Old };
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

/// A stretch of time in a target's timeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// What viewers met.
    pub meets: Meets,
    /// How much of the whole it is, 0 to 1.
    pub share: f64,
}

/// Which certificate viewers met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meets {
    /// The old one.
    Old,
    /// One or the other: the change is on its way to the edges.
    Both,
    /// The new one, at all edges, while handshakes are made.
    NewVerifying,
    /// The new one.
    New,
    /// The old one again, while handshakes are made.
    OldVerifying,
    /// A third one.
    Another,
}

impl Meets {
    /// The class of its colour in the page.
    fn class(self) -> &'static str {
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

/// The deletion of the old certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// Is it gone?
    pub deleted: bool,
    /// Why not.
    pub reason: Option<String>,
    /// What was seen just before.
    pub evidence: Option<Evidence>,
}

/// What a deletion was decided on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// When it was looked at.
    pub at: Timestamp,
    /// How many distributions were looked at: all of the account.
    pub distributions: usize,
    /// How many tenants with one of the two certificates.
    pub tenants: usize,
    /// Those that serve the old certificate.
    pub serving: Vec<String>,
    /// Targets that are not `Deployed`.
    pub deploying: Vec<String>,
    /// Of ACM's `InUseBy`.
    pub in_use_by: Vec<String>,
}

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
            match failure.error.as_str() {
                "WrongCertificateServed" => say(
                    Level::Possible,
                    format!(
                        "Viewers of {target} ({names}) received a wrong certificate {way}{since}: {}",
                        failure.cause
                    ),
                ),
                "EdgeUnreachable" => say(
                    Level::Possible,
                    format!(
                        "An edge of {target} ({names}) did not complete a TLS handshake {way}{since}: {}",
                        failure.cause
                    ),
                ),
                "DeploymentStalled" => say(
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

/// An input as a report may have it: one with a certificate or a key in it is refused, and shall not be
/// passed on either.
pub fn shown(request: &Value) -> Value {
    match request.to_string().contains("-----BEGIN") {
        true => "It contained a certificate or a key, and is not shown.".into(),
        false => request.clone(),
    }
}

/// The report as a page: whole in itself, nothing from elsewhere. Its one script sorts and filters the table
/// of targets; without it everything is there as well.
///
/// # Errors
/// When the template cannot be filled, which is a defect.
pub fn page(report: &Report) -> Result<String, askama::Error> {
    // From the first update to the end.
    let moves = report.targets.iter().flat_map(TargetReport::moves);
    let first = moves.filter_map(|record| Some(record.update.as_ref()?.since)).min();
    let from = first.unwrap_or(report.rotation.started_at);
    Page { report, from, to: report.rotation.ended_at }.render()
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    /// Where all timelines begin.
    from: Timestamp,
    /// And where they end.
    to: Timestamp,
}

impl Page<'_> {
    fn headline(&self) -> &str {
        match (&self.report.output, &self.report.error) {
            (Some(output), _) => match output.outcome.as_str() {
                "rotated" => "The certificate was rotated",
                "planned" => "A plan was made, and nothing was changed",
                _ => "There was nothing to do",
            },
            (None, Some(error)) => match error.as_str() {
                "RolledBack" => "A target failed, and all targets were restored",
                "RotationIncomplete" => "The rotation is not complete",
                _ => "The rotation was not started",
            },
            (None, None) => "The rotation did not end",
        }
    }

    fn risk(&self) -> &str {
        match self.report.risk.level {
            Level::None => "none",
            Level::NotVerified => "not all was verified",
            Level::Possible => "possible",
        }
    }

    fn request(&self) -> String {
        serde_json::to_string_pretty(&shown(&self.report.request)).unwrap_or_default()
    }

    fn retries(&self, target: &TargetReport) -> u64 {
        target.moves().map(Record::retries).sum()
    }

    /// What a cell says of a value that may be missing.
    fn or_dash(&self, value: &Option<impl std::fmt::Display>) -> String {
        value.as_ref().map_or_else(|| "–".to_owned(), |value| value.to_string())
    }

    /// A time, to the second, in UTC.
    fn time(&self, at: &Timestamp) -> String {
        at.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// What a target served when the plan was made, and at the last look.
    fn served(&self, target: &TargetReport) -> String {
        let name = |serves| match serves {
            Serves::Old => "old",
            Serves::New => "new",
            Serves::Other => "another",
        };
        match (target.serves, &target.forward) {
            (Some(now), _) => format!("{} → {}", name(target.planned), name(now)),
            (None, Some(_)) => format!("{} → gone", name(target.planned)),
            // Nobody looked again.
            (None, None) => name(target.planned).to_owned(),
        }
    }

    /// What a move's update came to.
    fn updated(&self, record: &Record) -> String {
        record.update.as_ref().map_or_else(dash, |update| match update.status {
            UpdateStatus::Moving => self.time(&update.since),
            UpdateStatus::Drifted => "left unchanged: a third certificate".into(),
            UpdateStatus::Gone => "gone".into(),
            UpdateStatus::NotBegun => "not started".into(),
        })
    }

    /// What its deployment came to.
    fn deployed(&self, record: &Record) -> String {
        record.deployment.as_ref().map_or_else(dash, |deployment| match deployment.status {
            DeploymentStatus::Deployed => self.time(&deployment.at),
            DeploymentStatus::InProgress => format!("in progress at {}", self.time(&deployment.at)),
            DeploymentStatus::Gone => "gone".into(),
            DeploymentStatus::Drifted => "a third certificate".into(),
        })
    }

    /// What its viewers' handshakes came to.
    fn verified(&self, record: &Record) -> String {
        record.verification.as_ref().map_or_else(dash, |verification| match verification.status {
            VerificationStatus::Verified => self.time(&verification.at),
            VerificationStatus::Skipped => "skipped".into(),
        })
    }

    /// The timeline of a target: class and width in percent of each part.
    fn parts(&self, target: &TargetReport) -> Vec<(&'static str, String)> {
        let parts = target.timeline(self.from, self.to).into_iter();
        parts.map(|part| (part.meets.class(), format!("{:.2}", part.share * 100.0))).collect()
    }

    /// The class of what a target came to.
    fn class(&self, target: &TargetReport) -> &'static str {
        match target.came_to() {
            CameTo::Moved => "good",
            CameTo::Failed | CameTo::NotPutBack => "bad",
            CameTo::PutBack | CameTo::Drifted | CameTo::Gone => "warn",
            CameTo::NotBegun => "soft",
        }
    }

    /// What the targets came to, each once, in the order of severity.
    fn came_to(&self) -> Vec<&'static str> {
        let all = [
            CameTo::Failed,
            CameTo::NotPutBack,
            CameTo::PutBack,
            CameTo::Drifted,
            CameTo::Gone,
            CameTo::NotBegun,
            CameTo::Moved,
        ];
        let is_there =
            |one: &CameTo| self.report.targets.iter().any(|target| target.came_to() == *one);
        all.into_iter().filter(is_there).map(CameTo::words).collect()
    }
}

fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;
    use quick_xml::events::Event;
    use serde_json::json;

    use super::*;
    use crate::ids::TargetKind;
    use crate::target::record::{Deployment, Failure, Update, Verification, Way};

    fn at(minute: i64) -> Timestamp {
        let noon: Timestamp = "2026-11-23T12:00:00Z".parse().expect("time");
        noon + jiff::SignedDuration::from_mins(minute)
    }

    fn record(id: &str, way: Way, failure: Option<(&str, &str)>) -> Record {
        let verified = failure.is_none();
        Record {
            target: TargetId { kind: TargetKind::Distribution, id: id.into() },
            way,
            round: u64::from(way == Way::Back),
            from: "arn:old".into(),
            to: "arn:new".into(),
            update: Some(Update { status: UpdateStatus::Moving, since: at(1), retries: 1 }),
            deployment: Some(Deployment {
                status: DeploymentStatus::Deployed,
                at: at(5),
                looks: 8,
                retries: 2,
            }),
            verification: verified.then(|| Verification {
                status: VerificationStatus::Verified,
                at: at(6),
                names: 1,
                handshakes: 2,
                notes: vec!["IPv6 was not tried.".into()],
                retries: 4,
            }),
            failure: failure
                .map(|(error, cause)| Failure { error: error.into(), cause: cause.into() }),
            at: at(6),
        }
    }

    fn target(
        id: &str,
        serves: Serves,
        forward: Option<Record>,
        back: Option<Record>,
    ) -> TargetReport {
        TargetReport {
            target: TargetId { kind: TargetKind::Distribution, id: id.into() },
            names: vec![format!("{}.example.com", id.to_lowercase())],
            planned: Serves::Old,
            serves: Some(serves),
            forward,
            back,
        }
    }

    fn report(targets: Vec<TargetReport>) -> Report {
        let certificate = |name: &str, end: &str| Certificate {
            id: Some(format!("arn:aws:acm:us-east-1:111122223333:certificate/{name}")),
            fingerprint: Some(format!("sha256:{}", "ab".repeat(32))),
            not_after: Some(end.parse().expect("time")),
        };
        Report {
            succeeded: false,
            output: None,
            error: Some("RolledBack".into()),
            cause: Some("All targets <serve> the old certificate again.".into()),
            rotation: Rotation {
                name: "autumn".into(),
                id: "arn:aws:states:us-east-1:111122223333:execution:rotation:autumn".into(),
                started_at: at(0),
                ended_at: at(90),
                redrives: 0,
            },
            request: json!({"newCertificate": "tls/www<script>alert(1)</script>"}),
            certificates: Some(Certificates {
                old: certificate("old", "2026-12-15T00:00:00Z"),
                new: certificate("new", "2027-06-15T00:00:00Z"),
            }),
            plan: Some(Planned {
                total: targets.len(),
                to_move: targets.len(),
                concurrency: 3,
                verify_viewers: true,
                roll_back: true,
                notes: vec!["A note & more.".into()],
                location: "s3://bucket/rotations/autumn/20261123T120000Z/plan.json".into(),
            }),
            risk: risk(&targets, None, at(90)),
            targets,
            retries: [("PlanRotation".to_owned(), 2)].into(),
            deletion: None,
        }
    }

    /// Every tag is closed, and nothing is loaded from anywhere or run.
    fn assert_sound(html: &str) {
        let mut reader = Reader::from_str(html.trim_start_matches("<!DOCTYPE html>"));
        reader.config_mut().check_end_names = true;
        let (mut depth, mut scripts) = (0, 0);
        loop {
            match reader.read_event().expect("well-formed") {
                Event::Start(tag) => {
                    let name = tag.name().as_ref().to_owned();
                    assert!(!["link", "img", "iframe"].contains(&name.as_str()), "{name}");
                    scripts += usize::from(name == "script");
                    depth += 1;
                }
                Event::End(_) => depth -= 1,
                Event::Eof => break,
                _ => {}
            }
        }
        // The one that sorts and filters; what comes from outside cannot add another.
        assert_eq!((depth, scripts), (0, 1));
        for outside in ["src=", "href=", "url(", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
    }

    #[test]
    fn the_page_shows_all_of_it_and_escapes_what_comes_from_outside() {
        let stalled = record("E2", Way::Forward, Some(("DeploymentStalled", "not <in> time")));
        let targets = vec![
            target(
                "E1",
                Serves::Old,
                Some(record("E1", Way::Forward, None)),
                Some(record("E1", Way::Back, None)),
            ),
            target("E2", Serves::Old, Some(stalled), None),
            target("E3", Serves::Old, None, None),
        ];
        let mut report = report(targets);
        let html = page(&report).expect("a page");
        assert_sound(&html);
        for text in [
            "A target failed, and all targets were restored",
            "RolledBack",
            "&#60;serve&#62;",
            "tls/www&#60;script&#62;",
            "e1.example.com",
            "2026-11-23 12:05:00",
            "2 for 1 names",
            "IPv6 was not tried.",
            "DeploymentStalled",
            "not &#60;in&#62; time",
            "not started",
            "A note &#38; more.",
            "PlanRotation",
            "Nothing was deleted.",
            &"ab".repeat(32),
            "Signature",
        ] {
            assert!(html.contains(text), "{text}: {html}");
        }
        assert_eq!(html.matches(">E1</th>").count(), 1, "a line for each");
        assert_eq!(
            html.matches("<b>back</b>").count(),
            4,
            "updated, deployed, verified, handshakes"
        );
        assert!(html.contains("<td>14</td>"), "all retries, there and back");

        report.deletion = Some(Deletion {
            deleted: true,
            reason: None,
            evidence: Some(Evidence {
                at: at(80),
                distributions: 4_711,
                tenants: 3,
                serving: vec![],
                deploying: vec![],
                in_use_by: vec![],
            }),
        });
        report.request = json!({"newCertificate": "-----BEGIN PRIVATE KEY-----"});
        let html = page(&report).expect("a page");
        assert_sound(&html);
        assert!(html.contains("4711, all of the account") && html.contains("2026-11-23 13:20:00"));
        assert!(!html.contains("BEGIN PRIVATE KEY"));
    }

    #[test]
    fn a_timeline_says_what_viewers_met_and_when() {
        let forward = || Some(record("E1", Way::Forward, None));
        let shown = |target: &TargetReport| -> Vec<(Meets, i64)> {
            let parts = target.timeline(at(0), at(10));
            assert!((parts.iter().map(|part| part.share).sum::<f64>() - 1.0).abs() < 1e-9);
            parts.iter().map(|part| (part.meets, (part.share * 10.0).round() as i64)).collect()
        };
        // Updated after a minute, Deployed after five, verified after six.
        let way = [(Meets::Old, 1), (Meets::Both, 4), (Meets::NewVerifying, 1)];
        let moved = target("E1", Serves::New, forward(), None);
        assert_eq!(shown(&moved), [&way[..], &[(Meets::New, 4)]].concat());

        let mut back = record("E1", Way::Back, None);
        back.update.as_mut().expect("update").since = at(8);
        back.deployment.as_mut().expect("deployment").at = at(9);
        back.verification = None;
        let put_back = target("E1", Serves::Old, forward(), Some(back));
        let again = [(Meets::New, 2), (Meets::Both, 1), (Meets::Old, 1)];
        assert_eq!(shown(&put_back), [&way[..], &again].concat());

        let mut stalled = record("E1", Way::Forward, Some(("DeploymentStalled", "late")));
        stalled.deployment.as_mut().expect("deployment").status = DeploymentStatus::InProgress;
        let stalled = target("E1", Serves::New, Some(stalled), None);
        assert_eq!(shown(&stalled), [(Meets::Old, 1), (Meets::Both, 9)]);

        assert_eq!(shown(&target("E1", Serves::Old, None, None)), [(Meets::Old, 10)]);
        let current =
            TargetReport { planned: Serves::New, ..target("E1", Serves::New, None, None) };
        assert_eq!(shown(&current), [(Meets::New, 10)]);
        // A rotation that took no time at all.
        assert_eq!(moved.timeline(at(0), at(0)).len(), 1);
    }

    #[test]
    fn what_a_target_came_to() {
        let with = |status| Record {
            update: Some(Update { status, since: at(1), retries: 0 }),
            ..record("E1", Way::Forward, None)
        };
        let moved = || Some(with(UpdateStatus::Moving));
        let failed = |way| Some(record("E1", way, Some(("Refused", "no"))));
        for (forward, back, came) in [
            (moved(), None, CameTo::Moved),
            (failed(Way::Forward), None, CameTo::Failed),
            (failed(Way::Forward), Some(record("E1", Way::Back, None)), CameTo::PutBack),
            (moved(), Some(record("E1", Way::Back, None)), CameTo::PutBack),
            (moved(), failed(Way::Back), CameTo::NotPutBack),
            (Some(with(UpdateStatus::Drifted)), None, CameTo::Drifted),
            (Some(with(UpdateStatus::Gone)), None, CameTo::Gone),
            (Some(with(UpdateStatus::NotBegun)), None, CameTo::NotBegun),
            (None, None, CameTo::NotBegun),
        ] {
            assert_eq!(target("E1", Serves::Old, forward, back).came_to(), came);
        }
    }

    #[test]
    fn what_viewers_may_have_noticed() {
        let fine = || record("E1", Way::Forward, None);
        let failed = |error| record("E2", Way::Forward, Some((error, "this")));
        let unlooked = |notes: Option<&str>| Record {
            verification: notes.map(|note| Verification {
                status: VerificationStatus::Skipped,
                at: at(6),
                names: 0,
                handshakes: 0,
                notes: vec![note.into()],
                retries: 0,
            }),
            ..fine()
        };
        let check = |targets: &[TargetReport], old_ends: i64, level: Level, told: &[&str]| {
            let risk = risk(targets, Some(at(old_ends)), at(90));
            assert_eq!(risk.level, level, "{:?}", risk.statements);
            let statements = risk.statements.join("\n");
            for words in told {
                assert!(statements.contains(words), "{words}: {statements}");
            }
        };
        let moved = target("E1", Serves::New, Some(fine()), None);
        let with = |forward, back| target("E2", Serves::Old, forward, back);
        check(
            std::slice::from_ref(&moved),
            100,
            Level::None,
            &["2 TLS handshakes", "At every moment"],
        );
        check(&[], 100, Level::None, &["At every moment"]);
        check(&[with(None, None)], 100, Level::None, &["At every moment"]);
        let skipped = with(Some(unlooked(Some("It is disabled."))), None);
        check(&[skipped], 100, Level::None, &["E2: It is disabled."]);
        let unlooked = with(Some(unlooked(None)), None);
        check(&[moved.clone(), unlooked], 100, Level::NotVerified, &["verifyViewers is false"]);
        let stalled = with(Some(failed("DeploymentStalled")), None);
        check(&[stalled], 100, Level::NotVerified, &["E2", "not Deployed in time"]);
        let wrong = with(Some(failed("WrongCertificateServed")), Some(fine()));
        check(
            &[moved, wrong],
            100,
            Level::Possible,
            &["E2 (e2.example.com)", "since 2026-11-23T12:01:00Z", "this"],
        );
        let unreachable = with(Some(fine()), Some(failed("EdgeUnreachable")));
        check(
            &[unreachable],
            100,
            Level::Possible,
            &["did not complete a TLS handshake in the rollback"],
        );
        let refused = with(Some(failed("Refused")), None);
        check(std::slice::from_ref(&refused), 100, Level::None, &["At every moment"]);
        check(&[refused], 80, Level::Possible, &["E2", "has expired"]);
    }

    #[test]
    fn ten_thousand_targets_fit() {
        let targets = (0..10_000)
            .map(|n| {
                let id = format!("E{n:013}");
                target(&id, Serves::New, Some(record(&id, Way::Forward, None)), None)
            })
            .collect();
        let html = page(&report(targets)).expect("a page");
        assert!(html.len() < 10_000_000, "{} bytes", html.len());
        assert_eq!(html.matches("scope=\"row\"").count(), 10_000);
    }
}
