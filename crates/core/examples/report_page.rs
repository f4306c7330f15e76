//! Prints the report page of a made-up rotation with this many targets, including one with each
//! outcome, for the browser tests.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "it is a program of the tests")]

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rotation_core::ending::CertificateSummary;
use rotation_core::failure::Failure;
use rotation_core::ids::Serves;
use rotation_core::ids::{TargetId, TargetKind};
use rotation_core::report::{Certificates, Planned, Report, Rotation, TargetReport, page, risk};
use rotation_core::target::record::{
    Deployment, DeploymentStatus, Direction, Record, Update, UpdateStatus, Verification,
    VerificationStatus,
};
use serde_json::json;

fn main() {
    let count: i64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(25);
    let targets: Vec<TargetReport> = (0..count).map(target).collect();
    let ended_at = at(count * 4 + 30);
    let certificate = |name: &str, days: i64| CertificateSummary {
        id: Some(format!("arn:aws:acm:us-east-1:111122223333:certificate/{name}")),
        fingerprint: Some(format!("sha256:{}", "5e".repeat(32))),
        not_after: Some(at(days * 24 * 60)),
    };
    let report = Report {
        schema_version: rotation_core::SCHEMA_VERSION,
        succeeded: false,
        output: None,
        failure: Some(Failure {
            error: "RotationIncomplete".into(),
            cause: "Some targets failed, and one could not be put back.".into(),
        }),
        rotation: Rotation {
            name: "www-2026-11".into(),
            id: "arn:aws:states:us-east-1:111122223333:execution:rotation:www-2026-11".into(),
            started_at: at(0),
            ended_at,
            redrives: 0,
        },
        request: json!({"newCertificate": "tls/www", "concurrency": 5}),
        certificates: Some(Certificates {
            old: certificate("0a1b2c3d", 20),
            new: certificate("4e5f6071", 199),
        }),
        plan: Some(Planned {
            total: targets.len(),
            to_move: targets.len(),
            concurrency: 5,
            verify_viewers: true,
            roll_back: true,
            on_failure: Some(rotation_core::request::OnFailure::Rollback),
            notes: vec!["On dedicated IP addresses AWS charges for both certificates.".into()],
            location: "s3://bucket/rotations/www-2026-11/20261124T060000Z/plan.json".into(),
        }),
        risk: risk(&targets, None, false, ended_at),
        targets,
        retries: BTreeMap::from([("PlanRotation".to_owned(), 2)]),
        deletion: None,
    };
    println!("{}", page(&report).expect("a page"));
}

fn at(minute: i64) -> Timestamp {
    let morning: Timestamp = "2026-11-24T06:00:00Z".parse().expect("a time");
    morning + SignedDuration::from_mins(minute)
}

/// The first seven of each dozen have different outcomes; the others are moved, and so is the
/// target of a rotation with only one.
fn target(n: i64) -> TargetReport {
    let id = TargetId { kind: TargetKind::Distribution, id: format!("E{n:013}") };
    let begun = 1 + n * 4;
    let record = |direction: Direction, since: i64, failure: Option<(&str, &str)>| Record {
        target: id.clone(),
        direction,
        round: u64::from(direction == Direction::Back),
        from: "old".into(),
        to: "new".into(),
        update: Some(Update {
            status: UpdateStatus::Moving,
            since: at(since),
            retries: n as u64 % 3,
        }),
        deployment: Some(Deployment {
            status: DeploymentStatus::Deployed,
            at: at(since + 3 + n % 4),
            looks: 8,
            retries: 0,
        }),
        verification: failure.is_none().then(|| Verification {
            status: VerificationStatus::Verified,
            at: at(since + 4 + n % 4),
            names: 2,
            handshakes: 4,
            notes: Vec::new(),
            retries: 0,
        }),
        before: Vec::new(),
        failure: failure.map(|(error, cause)| Failure { error: error.into(), cause: cause.into() }),
        at: at(since + 5),
    };
    let forward = |failure| Some(record(Direction::Forward, begun, failure));
    let wrong = Some(("WrongCertificateServed", "www.example.com was served another certificate"));
    let with = |status| {
        let update = Some(Update { status, since: at(begun), retries: 0 });
        Some(Record {
            update,
            deployment: None,
            verification: None,
            ..record(Direction::Forward, begun, None)
        })
    };
    let (forward, back, serves) = match n % 12 {
        1 => (forward(wrong), None, Some(Serves::New)),
        2 => (forward(wrong), Some(record(Direction::Back, begun + 15, None)), Some(Serves::Old)),
        3 => (forward(None), Some(record(Direction::Back, begun + 15, None)), Some(Serves::Old)),
        4 => (
            forward(None),
            Some(record(Direction::Back, begun + 15, Some(("Refused", "AccessDenied: no")))),
            Some(Serves::New),
        ),
        5 => (with(UpdateStatus::Drifted), None, Some(Serves::Other)),
        6 => (with(UpdateStatus::Gone), None, None),
        7 => (None, None, Some(Serves::Old)),
        _ => (forward(None), None, Some(Serves::New)),
    };
    TargetReport {
        names: vec![format!("site{n}.example.com"), format!("www{n}.example.com")],
        target: id,
        planned: Serves::Old,
        serves,
        forward,
        back,
    }
}
