use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::json;

use super::timeline::Meets;
use super::*;
use crate::ending::deletion::Evidence;
use crate::ids::TargetKind;
use crate::target::record::{Deployment, Direction, Update, Verification, VerificationStatus};
use crate::target::verification::Before;

fn at(minute: i64) -> Timestamp {
    let noon: Timestamp = "2026-11-23T12:00:00Z".parse().expect("time");
    noon + jiff::SignedDuration::from_mins(minute)
}

fn record(id: &str, direction: Direction, failure: Option<(&str, &str)>) -> Record {
    let verified = failure.is_none();
    Record {
        target: TargetId { kind: TargetKind::Distribution, id: id.into() },
        direction,
        round: u64::from(direction == Direction::Back),
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
        before: Vec::new(),
        failure: failure.map(|(error, cause)| Failure { error: error.into(), cause: cause.into() }),
        at: at(6),
    }
}

fn target(id: &str, serves: Serves, forward: Option<Record>, back: Option<Record>) -> TargetReport {
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
    let certificate = |name: &str, end: &str| CertificateSummary {
        id: Some(format!("arn:aws:acm:us-east-1:111122223333:certificate/{name}")),
        fingerprint: Some(format!("sha256:{}", "ab".repeat(32))),
        not_after: Some(end.parse().expect("time")),
    };
    Report {
        schema_version: 1,
        succeeded: false,
        output: None,
        failure: Some(Failure {
            error: "RolledBack".into(),
            cause: "All targets <serve> the old certificate again.".into(),
        }),
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
            on_failure: Some(OnFailure::Rollback),
            notes: vec!["A note & more.".into()],
            location: "s3://bucket/rotations/autumn/20261123T120000Z/plan.json".into(),
        }),
        risk: risk(&targets, None, false, at(90)),
        targets,
        retries: [("PlanRotation".to_owned(), 2)].into(),
        deletion: None,
    }
}

/// Every tag is closed, and nothing is loaded from elsewhere or run.
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
    // The one script that sorts and filters; content from outside cannot add another.
    assert_eq!((depth, scripts), (0, 1));
    for outside in ["src=", "href=", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

/// Reports of versions before the field.
#[test]
fn a_report_without_a_schema_version_is_of_version_1() {
    let mut written = serde_json::to_value(report(Vec::new())).expect("JSON");
    assert_eq!(written["schemaVersion"], crate::SCHEMA_VERSION);
    written.as_object_mut().expect("an object").remove("schemaVersion");
    let read: Report = serde_json::from_value(written).expect("a report");
    assert_eq!(read.schema_version, 1);
}

#[test]
fn the_page_shows_everything_and_escapes_content_from_outside() {
    let stalled = record("E2", Direction::Forward, Some(("DeploymentStalled", "not <in> time")));
    let targets = vec![
        target(
            "E1",
            Serves::Old,
            Some(record("E1", Direction::Forward, None)),
            Some(record("E1", Direction::Back, None)),
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
    assert_eq!(html.matches("<b>back</b>").count(), 4, "updated, deployed, verified, handshakes");
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
fn a_timeline_shows_what_viewers_were_served_and_when() {
    let forward = || Some(record("E1", Direction::Forward, None));
    let shown = |target: &TargetReport| -> Vec<(Meets, i64)> {
        let parts = target.timeline(at(0), at(10));
        assert!((parts.iter().map(|part| part.share).sum::<f64>() - 1.0).abs() < 1e-9);
        parts.iter().map(|part| (part.meets, (part.share * 10.0).round() as i64)).collect()
    };
    // Updated after a minute, Deployed after five, verified after six.
    let way = [(Meets::Old, 1), (Meets::Both, 4), (Meets::NewVerifying, 1)];
    let moved = target("E1", Serves::New, forward(), None);
    assert_eq!(shown(&moved), [&way[..], &[(Meets::New, 4)]].concat());

    let mut back = record("E1", Direction::Back, None);
    back.update.as_mut().expect("update").since = at(8);
    back.deployment.as_mut().expect("deployment").at = at(9);
    back.verification = None;
    let put_back = target("E1", Serves::Old, forward(), Some(back));
    let again = [(Meets::New, 2), (Meets::Both, 1), (Meets::Old, 1)];
    assert_eq!(shown(&put_back), [&way[..], &again].concat());

    let mut stalled = record("E1", Direction::Forward, Some(("DeploymentStalled", "late")));
    stalled.deployment.as_mut().expect("deployment").status = DeploymentStatus::InProgress;
    let stalled = target("E1", Serves::New, Some(stalled), None);
    assert_eq!(shown(&stalled), [(Meets::Old, 1), (Meets::Both, 9)]);

    assert_eq!(shown(&target("E1", Serves::Old, None, None)), [(Meets::Old, 10)]);
    let current = TargetReport { planned: Serves::New, ..target("E1", Serves::New, None, None) };
    assert_eq!(shown(&current), [(Meets::New, 10)]);
    // A rotation of zero duration.
    assert_eq!(moved.timeline(at(0), at(0)).len(), 1);
}

#[test]
fn outcomes_of_targets() {
    let with = |status| Record {
        update: Some(Update { status, since: at(1), retries: 0 }),
        ..record("E1", Direction::Forward, None)
    };
    let moved = || Some(with(UpdateStatus::Moving));
    let failed = |way| Some(record("E1", way, Some(("Refused", "no"))));
    for (forward, back, came) in [
        (moved(), None, TargetOutcome::Moved),
        (failed(Direction::Forward), None, TargetOutcome::Failed),
        (
            failed(Direction::Forward),
            Some(record("E1", Direction::Back, None)),
            TargetOutcome::PutBack,
        ),
        (moved(), Some(record("E1", Direction::Back, None)), TargetOutcome::PutBack),
        (moved(), failed(Direction::Back), TargetOutcome::NotPutBack),
        (Some(with(UpdateStatus::Drifted)), None, TargetOutcome::Drifted),
        (Some(with(UpdateStatus::Gone)), None, TargetOutcome::Gone),
        (Some(with(UpdateStatus::NotBegun)), None, TargetOutcome::NotBegun),
        (None, None, TargetOutcome::NotBegun),
    ] {
        assert_eq!(target("E1", Serves::Old, forward, back).outcome(), came);
    }
}

#[test]
fn what_viewers_may_have_noticed() {
    let fine = || record("E1", Direction::Forward, None);
    let failed = |error| record("E2", Direction::Forward, Some((error, "this")));
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
        let risk = risk(targets, Some(at(old_ends)), false, at(90));
        assert_eq!(risk.level, level, "{:?}", risk.statements);
        let statements = risk.statements.join("\n");
        for words in told {
            assert!(statements.contains(words), "{words}: {statements}");
        }
    };
    let moved = target("E1", Serves::New, Some(fine()), None);
    let with = |forward, back| target("E2", Serves::Old, forward, back);
    check(std::slice::from_ref(&moved), 100, Level::None, &["2 TLS handshakes", "At every moment"]);
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
            target(&id, Serves::New, Some(record(&id, Direction::Forward, None)), None)
        })
        .collect();
    let html = page(&report(targets)).expect("a page");
    assert!(html.len() < 10_000_000, "{} bytes", html.len());
    assert_eq!(html.matches("scope=\"row\"").count(), 10_000);
}

/// Case S5: handshakes that support both kinds of keys do not show that all viewers can connect.
#[test]
fn s5_viewers_that_support_only_rsa_are_told() {
    let check = |serves, excludes, level| {
        let forward = Some(record("E1", Direction::Forward, None));
        let risk = risk(&[target("E1", serves, forward, None)], None, excludes, at(9));
        assert_eq!(risk.level, level);
        let said = risk.statements.iter().any(|one| one.contains("only RSA"));
        assert_eq!(said, level == Level::NotVerified, "{risk:?}");
    };
    check(Serves::New, true, Level::NotVerified);
    check(Serves::New, false, Level::None);
    check(Serves::Old, true, Level::None);
}

#[test]
fn the_page_says_what_a_failure_means_for_the_others() {
    let check = |on_failure, roll_back, said: &str| {
        let mut report = report(Vec::new());
        let plan = report.plan.as_mut().expect("a plan");
        (plan.on_failure, plan.roll_back) = (on_failure, roll_back);
        let html = page(&report).expect("a page");
        assert!(html.contains(&format!("<dt>After a failure</dt><dd>{said}</dd>")), "{said}");
    };
    check(Some(OnFailure::Rollback), true, "restore the targets that were moved");
    check(Some(OnFailure::Stop), false, "stop");
    let on = "restore the failed target, and go on with the others";
    check(Some(OnFailure::Continue), false, on);
    // Reports from before the field.
    check(None, true, "restore the targets that were moved");
    check(None, false, "stop");
}

/// Case S8: what was wrong before is not claimed to be verified.
#[test]
fn s8_names_that_were_wrong_before_are_told() {
    let before = Before {
        name: "b.example".into(),
        sni: true,
        served: None,
        why: "the edge did not answer".into(),
    };
    let wrong = Record { before: vec![before], ..record("E1", Direction::Forward, None) };
    let of = |forward: Record| TargetReport {
        target: forward.target.clone(),
        names: vec!["b.example".into()],
        planned: Serves::Old,
        serves: Some(Serves::New),
        forward: Some(forward),
        back: None,
    };
    let right = || of(record("E2", Direction::Forward, None));
    assert_eq!(wrong_before(&[right()]), None);
    let targets = [of(wrong), right()];
    let note = wrong_before(&targets).expect("a note");
    assert!(note.ends_with("not to be worse: b.example (distribution E1)."), "{note}");
    let risk = risk(&targets, None, false, at(9));
    assert_eq!(risk.level, Level::NotVerified);
    let said = risk.statements.join("\n");
    assert!(said.contains(&note), "{said}");
    assert!(said.contains("3 TLS handshakes, with every other name"), "{said}");
}
