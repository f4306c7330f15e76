use Serves::{New, Old, Other};

use super::*;
use crate::plan::policy::PutBack;
use crate::plan::state::tests::plan;
use crate::target::record::Direction;

fn target(id: &str) -> TargetId {
    TargetId::distribution(id)
}

fn planned(targets: &[(&str, Serves)]) -> Vec<PlannedTarget> {
    targets.iter().map(|(id, serves)| PlannedTarget::new(target(id), *serves)).collect()
}

/// States of targets; all but `deploying` are `Deployed`.
fn states(targets: &[(&str, Serves)], deploying: &str) -> BTreeMap<TargetId, TargetState> {
    targets
        .iter()
        .map(|(id, serves)| {
            (target(id), TargetState { serves: *serves, deployed: *id != deploying })
        })
        .collect()
}

fn halt(id: &str) -> Halt {
    let failure = Failure { error: "Refused".into(), cause: "InvalidWebACLId".into() };
    Halt { target: target(id), failure }
}

fn ids(targets: &[TargetId]) -> Vec<&str> {
    targets.iter().map(|target| target.id.as_str()).collect()
}

#[test]
fn each_target_is_counted_once_by_what_it_serves_now() {
    let planned = planned(&[
        ("E1", Old),
        ("E2", New),
        ("E3", Old),
        ("E4", Old),
        ("E5", Old),
        ("E6", Old),
        ("E7", New),
    ]);
    let states = states(
        &[("E1", New), ("E2", New), ("E3", Other), ("E5", Old), ("E6", New), ("E7", Old)],
        "",
    );
    let halts = [halt("E6")];
    let seen = Observed { planned: &planned, states: &states, halts: &halts, map_failure: None };
    assert_eq!(
        seen.count(&seen.halted()),
        Counts {
            total: 7,
            updated: 1,
            already_current: 1,
            drifted: 2,
            gone: 1,
            failed: 2,
            excluded: 0
        }
    );
    assert_eq!(ids(&seen.left()), ["E5", "E7"]);
}

/// E1 and E3 are to be moved, E2 is already on the new certificate. Each case: what they serve now,
/// which failed, whether the Map failed; the expected decision, the targets to be moved back, and
/// words of the cause.
#[test]
fn decisions_after_the_move_to_the_new_certificate() {
    let planned = planned(&[("E1", Old), ("E2", New), ("E3", Old)]);
    let check = |now: &[Serves; 3], halted: &[&str], map: bool, next, back: &[&str], said: &str| {
        let states = states(&[("E1", now[0]), ("E2", now[1]), ("E3", now[2])], "");
        let halts: Vec<Halt> = halted.iter().map(|id| halt(id)).collect();
        let map_failure = Failure { error: "States.Timeout".into(), cause: String::new() };
        let map_failure = map.then_some(&map_failure);
        let seen = Observed { planned: &planned, states: &states, halts: &halts, map_failure };
        let before_its_end = "2026-12-14T23:59:59Z".parse().expect("time");
        let verdict = after_forward(&plan(), &seen, before_its_end);
        let case = format!("{now:?}, failed {halted:?}, Map failed {map}: {verdict:?}");
        assert_eq!((verdict.next, &ids(&verdict.move_back)[..]), (next, back), "{case}");
        assert_eq!(verdict.cause.is_none(), next == Next::Complete, "{case}");
        assert!(verdict.cause.unwrap_or_default().contains(said), "{said}: {case}");
        assert_eq!(verdict.counts, seen.count(&seen.halted()), "{case}");

        // With onFailure: stop, or once the old certificate has expired, nothing is moved back.
        let stays = if next == Next::Complete { next } else { Next::Incomplete };
        let stop = Plan { on_failure: OnFailure::Stop, ..plan() };
        let stops = after_forward(&stop, &seen, before_its_end);
        let expired = after_forward(&plan(), &seen, "2026-12-15T00:00:00Z".parse().expect("time"));
        for (verdict, why) in [(stops, "onFailure is stop"), (expired, "has expired")] {
            assert_eq!((verdict.next, &verdict.move_back[..]), (stays, &[][..]), "{case}");
            let cause = verdict.cause.unwrap_or_else(|| why.to_owned());
            assert!(cause.contains(why), "{why}: {cause}");
        }
    };
    check(&[New, New, New], &[], false, Next::Complete, &[], "");
    // A target with a third certificate is left alone, and is not a failure.
    check(&[New, New, Other], &[], false, Next::Complete, &[], "");
    check(&[New, New, Old], &[], false, Next::RollBack, &["E1"], "1 targets were to be restored");
    check(&[New, New, New], &["E3"], false, Next::RollBack, &["E3", "E1"], "2 targets");
    check(&[Old, New, Old], &["E1"], false, Next::RolledBack, &[], "E1 failed with Refused");
    check(
        &[New, New, New],
        &[],
        true,
        Next::RollBack,
        &["E1", "E3"],
        "States.Timeout: It exceeded",
    );
    check(&[Other, New, Other], &[], true, Next::RolledBack, &[], "No target had been moved");
}

fn put_back() -> Option<PutBack> {
    let not_after = "2026-12-15T00:00:00Z".parse().expect("time");
    Some(PutBack { fingerprint: "sha256:old".into(), not_after })
}

/// E1 and E3 are to be moved, E2 is already on the new certificate. With `continue` only what failed
/// and was not put back at once is restored, and never after the old certificate's end.
#[test]
fn s2_decisions_when_the_others_went_on() {
    let planned = planned(&[("E1", Old), ("E2", New), ("E3", Old)]);
    let check = |now: &[Serves; 3], halted: &[&str], next, back: &[&str], said: &str| {
        let states = states(&[("E1", now[0]), ("E2", now[1]), ("E3", now[2])], "");
        let halts: Vec<Halt> = halted.iter().map(|id| halt(id)).collect();
        let seen =
            Observed { planned: &planned, states: &states, halts: &halts, map_failure: None };
        let plan = Plan { on_failure: OnFailure::Continue, put_back: put_back(), ..plan() };
        let verdict = after_forward(&plan, &seen, "2026-12-14T23:59:59Z".parse().expect("time"));
        let case = format!("{now:?}, failed {halted:?}: {verdict:?}");
        assert_eq!((verdict.next, &ids(&verdict.move_back)[..]), (next, back), "{case}");
        assert!(verdict.cause.unwrap_or_default().contains(said), "{said}: {case}");

        let stays = if next == Next::Complete { next } else { Next::Incomplete };
        let suspect = Plan { put_back: None, ..plan.clone() };
        let expired = "2026-12-15T00:00:00Z".parse().expect("time");
        for (plan, now, why) in [
            (&suspect, "2026-12-14T23:59:59Z".parse().expect("time"), "may be compromised"),
            (&plan, expired, "has expired"),
        ] {
            let verdict = after_forward(plan, &seen, now);
            assert_eq!((verdict.next, &verdict.move_back[..]), (stays, &[][..]), "{case}");
            let cause = verdict.cause.unwrap_or_else(|| why.to_owned());
            assert!(cause.contains(why), "{why}: {cause}");
        }
    };
    check(&[New, New, New], &[], Next::Complete, &[], "");
    check(&[Old, New, New], &["E1"], Next::Incomplete, &[], "2 of 3 targets");
    check(&[New, New, New], &["E1"], Next::RollBack, &["E1"], "E1 failed with Refused");
    check(&[Old, New, Old], &["E1"], Next::Incomplete, &[], "Still on the old certificate");
    // One that serves a third certificate, or none, is left alone.
    check(&[Other, New, New], &["E1"], Next::Incomplete, &[], "E1 failed");
}

#[test]
fn only_targets_that_this_rotation_moved_are_restored() {
    let planned =
        planned(&[("E1", Old), ("E2", New), ("E3", Old), ("E4", Old), ("E5", Old), ("E6", Old)]);
    let check = |halted: &str, deploying: &str, expected: [&str; 2]| {
        let now = [("E1", New), ("E2", New), ("E3", Other), ("E4", Old), ("E6", New)];
        let (states, halts) = (states(&now, deploying), [halt(halted)]);
        let seen =
            Observed { planned: &planned, states: &states, halts: &halts, map_failure: None };
        assert_eq!(ids(&seen.moved()), expected);
    };
    check("E6", "", ["E6", "E1"]);
    check("E4", "", ["E1", "E6"]);
    check("E1", "E6", ["E6", "E1"]);
}

fn record(id: &str, round: u64, failure: Option<&str>) -> Record {
    let failure = failure.map(|error| Failure { error: error.into(), cause: "told so".into() });
    Record {
        from: "new".into(),
        to: "old".into(),
        failure,
        ..Record::bare(id, Direction::Back, round, Timestamp::UNIX_EPOCH)
    }
}

#[test]
fn a_target_is_restored_when_it_is_deployed_and_verified() {
    let planned = planned(&[("E0", Old), ("E1", Old), ("E9", New)]);
    let mut states = states(
        &[
            ("E0", Old),
            ("E1", Old),
            ("E2", Old),
            ("E3", Old),
            ("E4", New),
            ("E5", New),
            ("E6", Other),
            ("E8", Old),
            ("E9", New),
        ],
        "E3",
    );
    states.insert(target("E5"), TargetState { serves: New, deployed: false });
    let halts = [halt("E2")];
    let seen = Observed { planned: &planned, states: &states, halts: &halts, map_failure: None };
    let round: Vec<TargetId> = (1..9).map(|number| target(&format!("E{number}"))).collect();
    let records = || {
        vec![
            // Restored in an earlier round.
            record("E0", 1, None),
            record("E1", 2, None),
            record("E2", 2, Some("WrongCertificateServed")),
            record("E3", 2, None),
            record("E4", 2, Some("Throttled")),
            record("E5", 2, None),
            record("E6", 2, None),
            record("E7", 2, None),
            // A record of the previous round does not count for this one.
            record("E8", 1, None),
        ]
    };
    let now = Timestamp::UNIX_EPOCH;
    let verdict = after_back(&plan(), &seen, now, 2, round, records());
    assert_eq!(verdict.next, Next::RollBack);
    assert_eq!(ids(&verdict.move_back), ["E2", "E3", "E4", "E5", "E8"]);
    assert_eq!(
        verdict.counts,
        Counts { total: 3, already_current: 1, failed: 2, ..Counts::default() }
    );
    let cause = verdict.cause.expect("a cause");
    for words in [
        "4 of 9 targets serve the old certificate again",
        "E2 has the old certificate and could not be verified: WrongCertificateServed: told so",
        "E3 has the old certificate and is not Deployed.",
        "E4 serves the new certificate: Throttled: told so",
        "E5 serves the new certificate and is not Deployed.",
        "distribution E2 failed with Refused: InvalidWebACLId",
    ] {
        assert!(cause.contains(words), "{words}: {cause}");
    }

    let done = || vec![target("E1"), target("E6"), target("E7")];
    let go_on = Plan { on_failure: OnFailure::Continue, put_back: put_back(), ..plan() };
    let verdict = after_back(&go_on, &seen, now, 2, done(), records());
    assert_eq!((verdict.next, &verdict.move_back[..]), (Next::Incomplete, &[][..]));
    assert!(verdict.cause.is_some_and(|cause| cause.contains("Targets that failed were restored")));
    let verdict = after_back(&plan(), &seen, now, 2, done(), records());
    assert_eq!((verdict.next, &verdict.move_back[..]), (Next::RolledBack, &[][..]));
    let cause = verdict.cause.expect("a cause");
    assert!(cause.starts_with("All 9 targets that had been moved"), "{cause}");
    assert!(cause.contains("1 served the new certificate before this rotation started"), "{cause}");
}

#[test]
fn the_cause_names_failures_remaining_targets_and_what_to_do() {
    let counts = Counts { total: 3, updated: 1, failed: 2, ..Counts::default() };
    let left = [target("E2"), target("E3")];
    let text = incomplete(&counts, &[halt("E2")], &left, "Nothing was moved back.");
    assert!(text.starts_with("1 of 3 targets serve the new certificate."));
    assert!(text.contains("distribution E2 failed with Refused: InvalidWebACLId"));
    assert!(text.contains("Still on the old certificate: distribution E2, distribution E3."));
    assert!(text.contains("Nothing was moved back."));
    assert!(text.contains("start a rotation with the same input"));

    let text = rolled_back(2, 1, &[halt("E2")]);
    assert!(text.starts_with("All 2 targets that had been moved serve the old certificate again."));
    assert!(text.contains("1 served the new certificate before this rotation started"));
    assert!(text.contains("distribution E2 failed with Refused: InvalidWebACLId"));
    assert!(rolled_back(0, 0, &[]).starts_with("No target had been moved"));
}
