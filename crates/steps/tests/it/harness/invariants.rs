//! The invariants ("What must always hold" in ARCHITECTURE.md), checked on the account and on a
//! journal of all changes, not on the output of the code under test.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use jiff::Timestamp;
use rotation_core::failure::Ending;
use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::{Account, BUCKET, leaf_of};
use crate::harness::asl::Failure;
use crate::harness::certificates::assert_no_key;
use crate::harness::certificates::certificates;
use crate::harness::driver::{Driver, Ran, definition};
use crate::harness::fake_aws::Event;
use crate::harness::rig::start;

/// The certificate to be replaced, and its targets.
#[derive(Debug)]
pub(crate) struct Stakes {
    pub(crate) old: String,
    pub(crate) targets: Vec<String>,
}

impl Stakes {
    /// The targets of this certificate.
    pub(crate) fn of(account: &Account, old: &str) -> Self {
        let serving = account.serving();
        let targets = serving.iter().filter(|(_, has)| *has == old);
        Self { old: old.to_owned(), targets: targets.map(|(id, _)| id.clone()).collect() }
    }
}

/// Panics with `when` if an invariant is violated.
pub(crate) fn check(before: &Account, stakes: &Stakes, request: &Value, ran: &Ran, when: &str) {
    let concurrency = request["concurrency"].as_u64().unwrap_or(1) as usize;
    the_key_is_nowhere(ran);
    the_ending_is_one_of_the_contract(ran, when);
    only_certificates_changed(before, stakes, ran, when);
    never_more_than(concurrency, before, stakes, ran, when);
    if request["onFailure"] != "continue" {
        nothing_begins_after_a_failure(stakes, ran, when);
    }
    each_change_is_the_rotations(stakes, ran, when);
    nothing_in_use_was_deleted(stakes, ran, when);
    every_target_serves_what_is_valid_and_there(stakes, ran, when);
    at_most_one_import(ran, when);
    the_ending_is_true(before, stakes, request, ran, when);
    what_was_asked_was_done(request, ran, when);
    assert!(ran.largest < 262_144 && ran.events < 25_000, "{when}: {} {}", ran.largest, ran.events);
}

/// Invariant 1.
fn the_key_is_nowhere(ran: &Ran) {
    let objects = ran.after.folder().map(|(_, object)| object.as_str());
    let all: Vec<&str> = ran.texts.iter().map(String::as_str).chain(objects).collect();
    assert_no_key(&all.join("\n"));
}

fn the_ending_is_one_of_the_contract(ran: &Ran, when: &str) {
    let Err(failure) = &ran.result else { return };
    if failure.status() == "TIMED_OUT" {
        return;
    }
    // The error may have a name of Lambda only if the last step could not run.
    let is_lambdas = ran.no_last_step
        && ran.ended_in == "ReportNotWritten"
        && ["Lambda.", "Runtime."].iter().any(|prefix| failure.error.starts_with(prefix));
    assert!(Ending::named(&failure.error).is_some() || is_lambdas, "{when}: {failure:?}");
    assert!(!failure.cause.is_empty(), "{when}: {failure:?}");
    let state = &definition()["States"][&ran.ended_in];
    assert_eq!(state["Type"], "Task", "{when}: no redrive leaves {}", ran.ended_in);
}

/// A configuration without the elements that name its certificate.
fn rest_of(document: &str) -> String {
    let mut rest = document.replace("<Edited/>", "");
    for name in [
        "ACMCertificateArn",
        "IAMCertificateId",
        "CloudFrontDefaultCertificate",
        "Certificate",
        "CertificateSource",
    ] {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        while let (Some(from), Some(to)) = (rest.find(&open), rest.find(&close)) {
            rest.replace_range(from..to + close.len(), "");
        }
    }
    rest
}

/// Invariant 4.
fn only_certificates_changed(before: &Account, stakes: &Stakes, ran: &Ran, when: &str) {
    for (id, one) in &before.distributions {
        let after = &ran.after.distributions[id];
        assert_eq!(rest_of(&one.config), rest_of(&after.config), "{when}: {id}");
        if !stakes.targets.contains(id) {
            assert_eq!(one.version, after.version, "{when}: {id} is nobody's business");
        }
    }
    for (id, one) in &before.tenants {
        assert_eq!(rest_of(&one.body), rest_of(&ran.after.tenants[id].body), "{when}: {id}");
    }
    let mut others = before.certificates();
    others.remove(&stakes.old);
    assert!(others.is_subset(&ran.after.certificates()), "{when}: somebody else's certificate");
}

fn moves(ran: &Ran) -> impl Iterator<Item = (&Timestamp, &Timestamp, &String, &String, &String)> {
    ran.journal.iter().filter_map(|event| match event {
        Event::Moved { at, until, target, from, to } => Some((at, until, target, from, to)),
        _ => None,
    })
}

/// Invariant 3: strict until a rollback. A target that failed while it was deploying does not block
/// the rollback of the others.
fn never_more_than(concurrency: usize, before: &Account, stakes: &Stakes, ran: &Ran, when: &str) {
    for (at, _, target, _, to) in moves(ran) {
        let under_way: BTreeSet<&String> = moves(ran)
            .filter(|(since, until, ..)| *since <= at && at < *until)
            .map(|(_, _, target, ..)| target)
            .collect();
        let failed = if *to == stakes.old { failed_targets(before, ran).len() } else { 0 };
        assert!(
            under_way.len() <= concurrency + failed,
            "{when}: {under_way:?} at once when {target} was moved to {to}: {:#?}",
            ran.journal
        );
    }
}

/// After the first failure was recorded, no further target may start. One that started earlier, in
/// parallel, may finish later.
fn nothing_begins_after_a_failure(stakes: &Stakes, ran: &Ran, when: &str) {
    let mut halted = false;
    let mut begun_after = BTreeMap::new();
    for event in &ran.journal {
        match event {
            Event::Halted => halted = true,
            Event::Begun { target } => drop(begun_after.insert(target, halted)),
            Event::Moved { target, from, .. } if *from == stakes.old => {
                let is_late = begun_after.get(target) == Some(&true);
                assert!(!is_late, "{when}: {target} was begun after a failure: {:#?}", ran.journal);
            }
            _ => {}
        }
    }
}

/// The objects of this rotation, without those of earlier ones.
fn written<'a>(
    before: &'a Account,
    ran: &'a Ran,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    ran.after.folder().filter(|(key, _)| !before.objects.contains_key(*key))
}

fn failed_targets(before: &Account, ran: &Ran) -> BTreeSet<String> {
    let objects = |part: &'static str| {
        let found = written(before, ran).filter(move |(key, _)| key.contains(part));
        found.filter_map(|(_, text)| serde_json::from_str::<Value>(text).ok())
    };
    // Something was against them, so they were not begun.
    let held = objects("/held.json").flat_map(|held| held.as_array().expect("an array").clone());
    objects("/targets/")
        .filter(|record| !record["failure"].is_null())
        .chain(held)
        .map(|record| record["target"]["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Invariant 4: from the old certificate to one new one, or back.
fn each_change_is_the_rotations(stakes: &Stakes, ran: &Ran, when: &str) {
    let mut others = BTreeSet::new();
    for (_, _, target, from, to) in moves(ran) {
        assert!(stakes.targets.contains(target), "{when}: {target} is no target");
        assert!([from, to].contains(&&stakes.old), "{when}: {target} from {from} to {to}");
        others.insert(if *from == stakes.old { to } else { from });
    }
    assert!(others.len() <= 1, "{when}: {others:?}");
}

/// Invariant 5.
fn nothing_in_use_was_deleted(stakes: &Stakes, ran: &Ran, when: &str) {
    for event in &ran.journal {
        if let Event::Deleted { id, used_by, deploying, .. } = event {
            assert_eq!(*id, stakes.old, "{when}");
            assert!(used_by.is_empty(), "{when}: {used_by:?} had it");
            assert!(deploying.is_empty(), "{when}: {deploying:?} were deploying");
        }
    }
}

/// Invariants 6 and 9.
fn every_target_serves_what_is_valid_and_there(stakes: &Stakes, ran: &Ran, when: &str) {
    let serving = ran.after.serving();
    let in_stores: BTreeMap<&str, &str> = ran
        .after
        .acm
        .iter()
        .map(|(arn, one)| (arn.as_str(), one.pem.as_str()))
        .chain(ran.after.iam.values().map(|one| (one.id.as_str(), one.pem.as_str())))
        .collect();
    let last = ran.journal.iter().filter_map(|event| match event {
        Event::Moved { until, .. } => Some(*until),
        Event::Imported { at, .. } | Event::Deleted { at, .. } => Some(*at),
        Event::Begun { .. } | Event::Halted => None,
    });
    let Some(now) = last.max() else { return };
    for target in &stakes.targets {
        let pem = in_stores.get(serving[target].as_str());
        let pem = pem.unwrap_or_else(|| panic!("{when}: {target} serves what is in no store"));
        assert!(leaf_of(pem).not_after() > now, "{when}: {target} serves what has expired");
    }
}

/// Invariant 7.
fn at_most_one_import(ran: &Ran, when: &str) {
    let imports = ran.journal.iter().filter(|event| matches!(event, Event::Imported { .. }));
    assert!(imports.count() <= 1, "{when}: {:#?}", ran.journal);
}

/// The ending describes the actual state.
fn the_ending_is_true(before: &Account, stakes: &Stakes, request: &Value, ran: &Ran, when: &str) {
    let serving = ran.after.serving();
    let on_old = stakes.targets.iter().filter(|target| serving[*target] == stakes.old).count();
    match &ran.result {
        Ok(output) if output["outcome"] == "rotated" => {
            assert_eq!(on_old, 0, "{when}: {output}");
            let is_there = ran.after.certificates().contains(&stakes.old);
            let deleted = output["oldCertificate"]["deleted"].as_bool().expect("a boolean");
            let reason = output["oldCertificate"]["reason"].as_str().unwrap_or_default();
            let is_known = !reason.contains("the outcome of the deletion is unknown");
            assert!(deleted != is_there || !deleted && !is_known, "{when}: {output}");
            assert!(
                deleted
                    || !request["deleteOld"].as_bool().unwrap_or(true)
                    || output["oldCertificate"]["reason"].is_string(),
                "{when}: {output}"
            );
        }
        Ok(_) => assert_eq!(moves(ran).count(), 0, "{when}"),
        Err(failure) if failure.error == "RolledBack" => {
            assert_eq!(on_old, stakes.targets.len(), "{when}: {}", failure.cause);
        }
        Err(failure) => {
            // A target that failed does not hold up the others.
            let has_map_failed = failure.cause.contains("States.");
            if failure.cause.contains("did not hold up the others") && !has_map_failed {
                let failed = failed_targets(before, ran);
                let waits =
                    |target: &&String| serving[*target] == stakes.old && !failed.contains(*target);
                let waiting: Vec<&String> = stakes.targets.iter().filter(waits).collect();
                let many = failed.len() >= 3;
                assert!(
                    waiting.is_empty() || many,
                    "{when}: {waiting:?} were not moved: {}",
                    failure.cause
                );
            }
            // The cause names every target that is not where it was, or their number.
            let told = &failure.cause;
            let moved = stakes.targets.len() - on_old;
            assert!(
                Ending::named(&failure.error).is_none_or(|one| one == Ending::RotationIncomplete)
                    || moved == 0,
                "{when}: {moved} moved and {told}"
            );
        }
    }
}

fn what_was_asked_was_done(request: &Value, ran: &Ran, when: &str) {
    let deleted = ran.journal.iter().any(|event| matches!(event, Event::Deleted { .. }));
    assert!(!deleted || request["deleteOld"] != false, "{when}: deleted, and nobody asked for it");
    let new = leaf_of(&certificates().new.pem);
    for (_, _, target, _, to) in moves(ran) {
        let iam = ran.after.iam.values().find(|one| one.id == *to);
        if let Some(stored) = ran.after.acm.get(to).or(iam) {
            let leaf = leaf_of(&stored.pem);
            let old = leaf_of(&certificates().old.pem);
            assert!(leaf == new || leaf == old, "{when}: {target} was given a third certificate");
        }
    }
}

/// Tests the checks themselves: an outcome that is falsified in any one way is detected.
#[tokio::test(start_paused = true)]
async fn every_violation_is_detected() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let stakes = Stakes::of(&account, old.id());
    let request = start(json!({}))["request"].clone();
    let driver = Driver::new(account.clone()).await;
    let ran = driver.rotate(&request, None, 2).await;
    check(&account, &stakes, &request, &ran, "as it should be");
    let spoiled = |name: &str, request: &Value, spoil: &dyn Fn(&mut Ran)| {
        let mut ran = ran.clone();
        spoil(&mut ran);
        let checked = AssertUnwindSafe(|| check(&account, &stakes, request, &ran, name));
        assert!(std::panic::catch_unwind(checked).is_err(), "{name} was not noticed");
    };
    let moved = |ran: &Ran| ran.journal.iter().position(|one| matches!(one, Event::Moved { .. }));
    let key = certificates().new.key.lines().nth(1).unwrap();
    spoiled("a key in a payload", &request, &|ran| ran.texts.push(format!("x{key}x")));
    spoiled("a key in an object", &request, &|ran| {
        ran.after.objects.insert(format!("{BUCKET}/rotations/x"), key.to_owned());
    });
    spoiled("an error of its own", &request, &|ran| {
        ran.result = Err(Failure::new("States.Runtime", "x"))
    });
    spoiled("Lambda's error, and Lambda is well", &request, &|ran| {
        ran.ended_in = "ReportNotWritten".into();
        ran.result = Err(Failure::new("Lambda.ServiceException", "x"));
    });
    spoiled("a state that no redrive leaves", &request, &|ran| {
        ran.ended_in = "RotationSucceeded".into();
        ran.result = Err(Failure::new("RotationIncomplete", "x"));
    });
    spoiled("another setting", &request, &|ran| {
        ran.after.distribution("E1").config.push_str("<A/>")
    });
    spoiled("a bystander", &request, &|ran| ran.after.distribution("E3").version += 1);
    spoiled("two at once", &request, &|ran| {
        if let Some(Event::Moved { until, .. }) = moved(ran).and_then(|n| ran.journal.get_mut(n)) {
            *until += jiff::SignedDuration::from_hours(9);
        }
    });
    spoiled("begun after a failure", &request, &|ran| ran.journal.insert(0, Event::Halted));
    spoiled("no target of its", &request, &|ran| {
        if let Some(Event::Moved { target, .. }) = moved(ran).and_then(|n| ran.journal.get_mut(n)) {
            *target = "E3".into();
        }
    });
    spoiled("from a third one", &request, &|ran| {
        if let Some(Event::Moved { from, .. }) = moved(ran).and_then(|n| ran.journal.get_mut(n)) {
            *from = "arn:third".into();
        }
    });
    for spoil in [
        |used: &mut Vec<String>, _: &mut Vec<String>| used.push("E2".into()),
        |_: &mut Vec<String>, deploying: &mut Vec<String>| deploying.push("E2".into()),
    ] {
        spoiled("deleted in use", &request, &|ran| {
            let is_it = |one: &&mut Event| matches!(one, Event::Deleted { .. });
            let event = ran.journal.iter_mut().find(is_it);
            let Some(Event::Deleted { used_by, deploying, .. }) = event else {
                panic!("a deletion")
            };
            spoil(used_by, deploying);
        });
    }
    spoiled("imported twice", &request, &|ran| ran.journal.push(ran.journal[0].clone()));
    spoiled("in no store", &request, &|ran| ran.after.acm.clear());
    spoiled("somebody else's certificate is gone", &request, &|ran| {
        ran.after.acm.retain(|_, one| one.pem != certificates().other.pem);
    });
    spoiled("not rolled back", &request, &|ran| ran.result = Err(Failure::new("RolledBack", "x")));
    spoiled("not started", &request, &|ran| ran.result = Err(Failure::new("QuotaDenied", "x")));
    spoiled("deleted unasked", &json!({"deleteOld": false}), &|_| {});
    spoiled("too large", &request, &|ran| ran.largest = 262_145);
    spoiled("too long", &request, &|ran| ran.events = 25_000);
}
