//! The report as an HTML page.

use askama::Template;
use jiff::Timestamp;

use crate::ids::Serves;
use crate::redact;
use crate::report::{Level, Planned, Report, TargetOutcome, TargetReport};
use crate::request::OnFailure;
use crate::target::record::{
    DeploymentStatus, Direction, Record, UpdateStatus, VerificationStatus,
};

/// Renders the report as a self-contained page that loads nothing. Its one script sorts and filters
/// the table of targets; without it the page is complete as well.
///
/// # Errors
/// A template error, which is a defect.
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
    /// The start of all timelines.
    from: Timestamp,
    /// The end of all timelines.
    to: Timestamp,
}

impl Page<'_> {
    fn headline(&self) -> &str {
        match (&self.report.output, &self.report.failure) {
            (Some(output), _) => match output.outcome.as_str() {
                "rotated" => "The certificate was rotated",
                "planned" => "A plan was made, and nothing was changed",
                _ => "There was nothing to do",
            },
            (None, Some(failure)) => match failure.error.as_str() {
                "RolledBack" => "A target failed, and all targets were restored",
                "RotationIncomplete" => "The rotation is not complete",
                _ => "The rotation was not started",
            },
            (None, None) => "The rotation did not end",
        }
    }

    fn after_a_failure(&self, plan: &Planned) -> &str {
        match plan.on_failure {
            Some(OnFailure::Rollback) => "restore the targets that were moved",
            Some(OnFailure::Continue) => "restore the failed target, and go on with the others",
            Some(OnFailure::Stop) => "stop",
            // A report from before that field.
            None if plan.roll_back => "restore the targets that were moved",
            None => "stop",
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
        serde_json::to_string_pretty(&redact::request(&self.report.request)).unwrap_or_default()
    }

    fn retries(&self, target: &TargetReport) -> u64 {
        target.moves().map(Record::retries).sum()
    }

    /// The text of a cell whose value may be missing.
    fn or_dash(&self, value: &Option<impl std::fmt::Display>) -> String {
        value.as_ref().map_or_else(|| "–".to_owned(), |value| value.to_string())
    }

    /// A time, to the second, in UTC.
    fn time(&self, at: &Timestamp) -> String {
        at.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// What a target served when the plan was made, and when last read.
    fn served(&self, target: &TargetReport) -> String {
        let name = |serves| match serves {
            Serves::Old => "old",
            Serves::New => "new",
            Serves::Other => "another",
        };
        match (target.serves, &target.forward) {
            (Some(now), _) => format!("{} → {}", name(target.planned), name(now)),
            (None, Some(_)) => format!("{} → gone", name(target.planned)),
            // Not read again.
            (None, None) => name(target.planned).to_owned(),
        }
    }

    /// The result of a move's update.
    fn updated(&self, record: &Record) -> String {
        record.update.as_ref().map_or_else(dash, |update| match update.status {
            UpdateStatus::Moving => self.time(&update.since),
            UpdateStatus::Drifted => "left unchanged: a third certificate".into(),
            UpdateStatus::Gone => "gone".into(),
            UpdateStatus::NotBegun => "not started".into(),
        })
    }

    /// The result of its deployment.
    fn deployed(&self, record: &Record) -> String {
        record.deployment.as_ref().map_or_else(dash, |deployment| match deployment.status {
            DeploymentStatus::Deployed => self.time(&deployment.at),
            DeploymentStatus::InProgress => format!("in progress at {}", self.time(&deployment.at)),
            DeploymentStatus::Gone => "gone".into(),
            DeploymentStatus::Drifted => "a third certificate".into(),
        })
    }

    /// The result of its handshakes.
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

    /// The CSS class of a target's outcome.
    fn class(&self, target: &TargetReport) -> &'static str {
        match target.outcome() {
            TargetOutcome::Moved => "good",
            TargetOutcome::Failed | TargetOutcome::NotPutBack => "bad",
            TargetOutcome::PutBack | TargetOutcome::Drifted | TargetOutcome::Gone => "warn",
            TargetOutcome::NotBegun => "soft",
        }
    }

    /// The outcomes of the targets, each once, ordered by severity.
    fn outcomes(&self) -> Vec<&'static str> {
        let all = [
            TargetOutcome::Failed,
            TargetOutcome::NotPutBack,
            TargetOutcome::PutBack,
            TargetOutcome::Drifted,
            TargetOutcome::Gone,
            TargetOutcome::NotBegun,
            TargetOutcome::Moved,
        ];
        let is_there =
            |one: &TargetOutcome| self.report.targets.iter().any(|target| target.outcome() == *one);
        all.into_iter().filter(is_there).map(TargetOutcome::words).collect()
    }
}

fn dash() -> String {
    "–".to_owned()
}
