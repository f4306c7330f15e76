use super::*;

fn member(id: &str, serves: Serves) -> Member {
    Member {
        target: TargetId { kind: TargetKind::Distribution, id: id.into() },
        serves,
        deployed: true,
        in_progress_since: None,
        names: vec!["www.example.com".into()],
        idle_names: Vec::new(),
        http_version: "http2".into(),
        staging: false,
        multi_tenant: false,
        continuous_deployment_policy: None,
        dedicated_ip: false,
        associations: Vec::new(),
    }
}

fn successor(names: &[String]) -> Successor<'_> {
    Successor { names, store: Store::Acm, excludes_rsa_viewers: false }
}

fn ids(members: &[Member]) -> Vec<&str> {
    members.iter().map(|member| member.target.id.as_str()).collect()
}

fn check(members: &[Member], named: Option<&[&str]>, store: Store) -> (Vec<String>, Vec<String>) {
    let named: Option<Vec<String>> =
        named.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
    let names = ["www.example.com".to_owned(), "*.shop.example.com".to_owned()];
    let selection = Selection { named: named.as_deref(), ..Selection::default() };
    let targets = targets(members, selection, Successor { store, ..successor(&names) });
    let findings = targets.held.iter().map(|held| &held.finding).chain(&targets.findings);
    (
        ids(&targets.planned).into_iter().map(str::to_owned).collect(),
        findings.map(|f| format!("{} {f}", f.ending.name())).collect(),
    )
}

#[test]
fn every_target_of_the_old_certificate_and_those_already_moved() {
    let members =
        [member("E3", Serves::Old), member("E1", Serves::New), member("E2", Serves::Other)];
    assert_eq!(check(&members, None, Store::Acm), (vec!["E1".into(), "E3".into()], vec![]));
}

#[test]
fn named_targets_limit_the_rotation_and_must_be_targets() {
    let members = [
        member("E1", Serves::Old),
        member("E2", Serves::New),
        member("E3", Serves::Other),
        member("E4", Serves::Old),
    ];
    let (planned, findings) = check(&members, Some(&["E1", "E2", "E3", "E9"]), Store::Acm);
    assert_eq!(planned, ["E1", "E2"]);
    assert_eq!(findings.len(), 2);
    assert!(findings[0].starts_with("TargetNotRotatable target E3: serves neither"));
    assert!(findings[1].starts_with("TargetNotRotatable target E9: is neither"));
}

/// Case S2: somebody says that a target is to be left alone. It is neither moved nor checked, and it
/// keeps the old certificate from being deleted.
#[test]
fn s2_targets_that_are_left_out() {
    let uncovered = Member { names: vec!["x.example.org".into()], ..member("E2", Serves::Old) };
    let staging = Member { staging: true, ..member("E4", Serves::Old) };
    let members = [
        member("E1", Serves::Old),
        uncovered,
        member("E3", Serves::New),
        staging,
        member("E5", Serves::Other),
    ];
    let check = |named: Option<&[&str]>,
                 excluded: &[&str],
                 ignored: &[&str],
                 planned: &[&str],
                 count,
                 note: &str| {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let (named, excluded, ignored) = (named.map(owned), owned(excluded), owned(ignored));
        let selection =
            Selection { named: named.as_deref(), excluded: &excluded, ignored: &ignored };
        let names = ["www.example.com".to_owned()];
        let targets = targets(&members, selection, successor(&names));
        let case = format!("{selection:?} {targets:?}");
        assert_eq!((ids(&targets.planned), targets.excluded), (planned.to_vec(), count), "{case}");
        assert_eq!(targets.held.len(), usize::from(planned.contains(&"E2")), "{case}");
        assert_eq!(targets.findings, [], "{case}");
        assert_eq!(targets.notes.join(""), note, "{case}");
    };
    check(None, &[], &[], &["E1", "E2", "E3", "E4"], 0, "");
    check(
        None,
        &["E2"],
        &["E4", "E5", "E9"],
        &["E1", "E3"],
        2,
        "Left on the old certificate, which is therefore kept: distribution E2 (excludeTargets), distribution E4 (tag cert-rotation:ignore).",
    );
    // One that is not a target is not counted, and the tag counts for a target that is named.
    check(Some(&["E1", "E4"]), &["E2"], &[], &["E1", "E4"], 0, "");
    check(
        Some(&["E1", "E4"]),
        &[],
        &["E4"],
        &["E1"],
        1,
        "Left on the old certificate, which is therefore kept: distribution E4 (tag cert-rotation:ignore).",
    );
    // On the new certificate already: nothing is said.
    check(
        None,
        &["E2", "E3", "E4"],
        &[],
        &["E1"],
        2,
        "Left on the old certificate, which is therefore kept: distribution E2 (excludeTargets), distribution E4 (excludeTargets).",
    );
}

#[test]
fn every_uncovered_alias_of_every_target_is_named() {
    let mut one = member("E1", Serves::Old);
    one.names = vec!["www.example.com".into(), "api.example.com".into(), "x.example.org".into()];
    let mut two = member("E2", Serves::Old);
    two.names = vec!["a.shop.example.com".into(), "a.b.shop.example.com".into()];
    let (_, findings) = check(&[one, two], None, Store::Acm);
    assert!(findings[0].contains("E1: aliases api.example.com, x.example.org are not covered"));
    assert!(findings[1].contains("E2: alias a.b.shop.example.com is not covered"));
    assert_eq!(findings.len(), 2);
}

#[test]
fn names_of_a_tenant_are_called_domains() {
    for (names, said) in [
        (&["x.example.org"][..], "dt_1: domain x.example.org is not covered"),
        (&["x.example.org", "y.example.org"], "dt_1: domains x.example.org, y.example.org are not"),
    ] {
        let mut tenant = member("dt_1", Serves::Old);
        tenant.target.kind = TargetKind::Tenant;
        tenant.names = names.iter().map(|name| (*name).to_owned()).collect();
        let (_, findings) = check(&[tenant], None, Store::Acm);
        assert!(findings[0].contains(said), "{findings:?}");
    }
}

#[test]
fn moved_or_excluded_targets_are_not_checked() {
    let mut moved = member("E1", Serves::New);
    moved.names = vec!["elsewhere.example.org".into()];
    let mut unwanted = member("E2", Serves::Old);
    unwanted.names = vec!["elsewhere.example.org".into()];
    let members = [moved, unwanted, member("E3", Serves::Old)];
    assert_eq!(check(&members, Some(&["E1", "E3"]), Store::Acm).1, Vec::<String>::new());
}

#[test]
fn a_continuous_deployment_policy_blocks_both_its_distributions() {
    let mut primary = member("E1", Serves::Old);
    primary.continuous_deployment_policy = Some("p-1".into());
    let mut staging = primary.clone();
    staging.target.id = "E2".into();
    staging.staging = true;
    let (_, findings) = check(&[primary, staging], None, Store::Acm);
    assert!(
        findings[0].contains("E1: is the primary distribution of continuous-deployment policy p-1")
    );
    assert!(
        findings[1].contains("E2: is the staging distribution of continuous-deployment policy p-1")
    );
}

#[test]
fn a_staging_distribution_must_not_be_left_behind() {
    let mut staging = member("E2", Serves::Old);
    staging.staging = true;
    let members = [member("E1", Serves::Old), staging];
    assert!(check(&members, None, Store::Acm).1.is_empty());
    let findings = check(&members, Some(&["E1"]), Store::Acm).1;
    assert_eq!(findings.len(), 1);
    assert!(findings[0].contains("E2: is a staging distribution"));
}

#[test]
fn multi_tenant_targets_accept_acm_only() {
    let mut tenant = member("dt_1", Serves::Old);
    tenant.multi_tenant = true;
    tenant.target.kind = TargetKind::Tenant;
    assert!(check(std::slice::from_ref(&tenant), None, Store::Acm).1.is_empty());
    assert!(
        check(&[tenant], None, Store::Iam).1[0]
            .contains("distribution tenant dt_1: is multi-tenant")
    );
}

#[test]
fn one_http_versions_option_for_all_that_will_share_the_certificate() {
    let mut odd = member("E3", Serves::New);
    odd.http_version = "http2and3".into();
    // A distribution that keeps the old certificate: its HTTP versions are irrelevant.
    let stays = Member { http_version: "http1.1".into(), ..member("E4", Serves::Old) };
    let members = [member("E1", Serves::Old), member("E2", Serves::Old), odd, stays];
    let findings = check(&members, Some(&["E1", "E2"]), Store::Acm).1;
    assert_eq!(findings.len(), 1);
    assert!(findings[0].contains("E3: supports http2and3"));
    assert!(check(&members[..2], None, Store::Acm).1.is_empty());
}

/// A finding against the new certificate would be a false alarm: the same fleet shares the old one.
#[test]
fn options_that_are_mixed_today_are_noted_only() {
    let http3 = |id, serves| Member { http_version: "http3".into(), ..member(id, serves) };
    let notes = |members: &[Member]| {
        let targets =
            targets(members, Selection::default(), successor(&["www.example.com".to_owned()]));
        (targets.findings.len() + targets.held.len(), targets.notes)
    };
    let (findings, said) =
        notes(&[member("E1", Serves::Old), member("E2", Serves::Old), http3("E3", Serves::Old)]);
    assert_eq!(findings, 0);
    assert!(said[0].contains("distribution E3 supports http3"), "{said:?}");
    assert!(said[0].ends_with("CloudFront allows it today."), "{said:?}");
    // The mix is new: one that serves the new certificate has another option than all the others.
    let (findings, said) =
        notes(&[member("E1", Serves::Old), member("E2", Serves::Old), http3("E3", Serves::New)]);
    assert_eq!((findings, said.len()), (1, 0), "{said:?}");
    let (findings, said) =
        notes(&[http3("E1", Serves::Old), member("E2", Serves::New), member("E3", Serves::New)]);
    assert_eq!((findings, said.len()), (1, 0), "{said:?}");
}

/// Case S3: a customer who never activates a domain must not prevent the rotation.
#[test]
fn names_that_are_not_served_are_noted_only() {
    let of = |idle: &[&str]| {
        let idle_names = idle.iter().map(|name| (*name).to_owned()).collect();
        let members = [Member { idle_names, ..member("E4", Serves::Old) }];
        let targets =
            targets(&members, Selection::default(), successor(&["www.example.com".to_owned()]));
        assert_eq!((targets.findings, targets.held), (vec![], vec![]));
        targets.notes
    };
    assert_eq!(of(&[]), [""; 0]);
    assert_eq!(of(&["www.example.com"]), [""; 0]);
    let notes = of(&["shop.customer.example", "www.example.com"]);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("shop.customer.example (distribution E4)"), "{notes:?}");
    assert!(!notes[0].contains("www.example.com"), "{notes:?}");
}

#[test]
fn targets_are_distributed_over_lanes() {
    let members: Vec<Member> = (1..=7).map(|n| member(&format!("E{n}"), Serves::Old)).collect();
    let check = |members: &[Member], concurrency| -> Vec<Vec<String>> {
        let lanes = lanes(members, concurrency);
        lanes.into_iter().map(|l| l.iter().map(|m| m.target.id.clone()).collect()).collect()
    };
    assert_eq!(check(&members, 1), [["E1", "E2", "E3", "E4", "E5", "E6", "E7"]]);
    assert_eq!(check(&members, 3), [vec!["E1", "E4", "E7"], vec!["E2", "E5"], vec!["E3", "E6"]]);
    assert_eq!(check(&members, 1_000).len(), 7, "no empty lanes");
    assert!(check(&[], 3).is_empty());
    let many = vec![member("E1", Serves::Old); 100];
    let sizes: Vec<usize> = lanes(&many, 1_000).iter().map(Vec::len).collect();
    assert_eq!((sizes.len() as u64, sizes.iter().sum()), (MAX_LANES, 100));
}

#[test]
fn with_several_lanes_one_target_goes_first_as_a_canary() {
    let staging = Member { staging: true, ..member("E2", Serves::Old) };
    let nameless = Member { names: vec![], ..member("E3", Serves::Old) };
    let members = [
        member("E1", Serves::New),
        staging,
        nameless,
        member("E4", Serves::Old),
        member("E5", Serves::Old),
    ];
    let check = |members: &[Member], concurrency, expected: &str| {
        let waves: Vec<String> = waves(members, concurrency)
            .iter()
            .map(|wave| {
                let lane = |lane: &Vec<&Member>| {
                    lane.iter().map(|m| m.target.id.as_str()).collect::<Vec<_>>().join(" ")
                };
                wave.iter().map(lane).collect::<Vec<_>>().join(" | ")
            })
            .collect();
        assert_eq!(waves.join(" then "), expected);
    };
    check(&members, 1, "E1 E2 E3 E4 E5");
    check(&members, 2, "E4 then E1 E3 | E2 E5");
    check(&members[..3], 9, "E2 then E1 | E3");
    check(&members[3..4], 9, "E4");
    check(&members[..1], 9, "E1");
    check(&[], 9, "");
}

#[test]
fn outcomes() {
    let old = || member("E1", Serves::Old);
    let new = || member("E2", Serves::New);
    let deploying = || Member { deployed: false, ..new() };
    // members, planned, begun, delete_old, dry_run
    for (members, planned, begun, delete_old, dry_run, expected) in [
        (vec![old()], vec![old()], false, true, false, Outcome::Rotate),
        (vec![old()], vec![old()], false, true, true, Outcome::Planned),
        (vec![], vec![], false, true, false, Outcome::NothingToDo),
        (vec![new()], vec![new()], true, true, false, Outcome::Rotate),
        (vec![new()], vec![new()], true, true, true, Outcome::Planned),
        (vec![new()], vec![new()], true, false, false, Outcome::NothingToDo),
        (vec![deploying()], vec![deploying()], true, false, false, Outcome::Rotate),
        // The rotation's own target is moved; others serve the old certificate, which must be kept.
        (vec![old(), new()], vec![new()], true, true, false, Outcome::NothingToDo),
    ] {
        assert_eq!(outcome(&members, &planned, begun, delete_old, dry_run), expected);
    }
}

/// Case S5: dedicated IP addresses are paid for viewers that may support only RSA.
#[test]
fn s5_dedicated_addresses_keep_an_rsa_key() {
    let dedicated = |id, serves| Member { dedicated_ip: true, ..member(id, serves) };
    let members =
        [member("E1", Serves::Old), dedicated("E2", Serves::Old), dedicated("E3", Serves::New)];
    let names = ["www.example.com".to_owned()];
    let held = |excludes_rsa_viewers| {
        let new = Successor { excludes_rsa_viewers, ..successor(&names) };
        let targets = targets(&members, Selection::default(), new);
        assert_eq!(targets.findings, []);
        targets.held
    };
    assert_eq!(held(false), []);
    let found = held(true);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].target.id, "E2");
    assert_eq!(found[0].finding.ending, Ending::TargetNotRotatable);
    for words in ["only RSA", "\"allowKeyChange\": true", "cert-rotation:allow-key-change"] {
        assert!(found[0].finding.to_string().contains(words), "{found:?}");
    }
}

#[test]
fn deployments_that_have_been_in_progress_for_long_are_noted() {
    let since = |id, serves, minutes: i64| Member {
        deployed: false,
        in_progress_since: Some(now() - SignedDuration::from_mins(minutes)),
        ..member(id, serves)
    };
    let note = |members: &[Member]| long_in_progress(members, now());
    let deployed = member("E1", Serves::Old);
    assert_eq!(note(&[deployed.clone(), since("E2", Serves::Old, 60)]), None);
    assert_eq!(note(&[since("E2", Serves::New, 600)]), None);
    let found = note(&[deployed, since("E2", Serves::Old, 61), since("E3", Serves::Old, 9)]);
    let found = found.expect("a note");
    assert!(found.contains("distribution E2 (since 2026-06-01T10:59:00Z)"), "{found}");
    assert!(!found.contains("E1") && !found.contains("E3"), "{found}");
}

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().expect("a time")
}
