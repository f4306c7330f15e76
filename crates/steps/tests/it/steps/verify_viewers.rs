//! `verify-viewers` against edges in memory, with real handshakes.

use rotation_core::ids::{CertificateId, Store};
use serde_json::{Value, json};

use crate::harness::account::{Account, DEDICATED_IP, OddEdge, TEMPLATE, Tenant, now};
use crate::harness::certificates::certificates;
use crate::harness::rig::{Rig, child, id, moved};
use rotation_test_pki::Issued;

fn target(kind: &str, id: &str) -> Value {
    json!({"kind": kind, "id": id, "serves": "old"})
}

/// The target as returned by `poll-deployment`.
async fn deployed(rig: &Rig, state: &Value, target: &Value) -> Value {
    let mut input = child(state, target);
    input["update"] = json!({"status": "moving", "since": now()});
    input["deployment"] = rig.succeed("poll-deployment", &input).await;
    assert_eq!(input["deployment"]["status"], "Deployed");
    input
}

async fn verify(rig: &Rig, state: &Value, target: &Value) -> Value {
    let input = deployed(rig, state, target).await;
    let before = rig.fake.with(|world| world.handshakes);
    let output = rig.succeed("verify-viewers", &input).await;
    let made = rig.fake.with(|world| world.handshakes) - before;
    assert_eq!(output["handshakes"], made, "each handshake is one");
    output
}

#[tokio::test(start_paused = true)]
async fn each_name_is_verified() {
    for store in [Store::Acm, Store::Iam] {
        let (mut account, old) = Account::with_old_in(store);
        account.add("E5", &old, &["*.shop.example.com"], "");
        account.add("E6", &old, &["vip.shop.example.com"], DEDICATED_IP);
        account.has_ipv6 = true;
        let (rig, state) = moved(account, json!({})).await;
        // Over IPv4 and IPv6; on dedicated addresses also without a name.
        for (id, names, handshakes) in [("E1", 1, 2), ("E2", 2, 4), ("E5", 1, 2), ("E6", 1, 4)] {
            let seen = verify(&rig, &state, &target("distribution", id)).await;
            assert_eq!(seen["status"], "verified");
            assert_eq!(
                (&seen["names"], &seen["handshakes"]),
                (&json!(names), &json!(handshakes)),
                "{id}"
            );
        }
        rig.change(|account| account.has_ipv6 = false);
        let seen = verify(&rig, &state, &target("distribution", "E2")).await;
        assert_eq!((&seen["status"], &seen["handshakes"]), (&json!("verified"), &json!(2)));
        let notes = seen["notes"].as_array().unwrap();
        assert_eq!(notes.len(), 1);
        assert!(notes[0].as_str().unwrap().contains("IPv6 was not tried"));
    }
}

/// A tenant is verified at the endpoint of its connection group, a template at the endpoints of its
/// tenants without their own certificate.
#[tokio::test(start_paused = true)]
async fn tenants_are_verified_at_their_endpoint() {
    let (mut account, _) = Account::with_tenants();
    let mut grouped = Tenant::of("E4", "t3.shop.example.com", None);
    grouped.body.push_str("<ConnectionGroupId>cg_other</ConnectionGroupId>");
    account.tenants.insert("dt_3".into(), grouped);
    let (rig, state) = moved(account, json!({})).await;
    let seen = verify(&rig, &state, &target("tenant", "dt_1")).await;
    assert_eq!((&seen["status"], &seen["names"]), (&json!("verified"), &json!(1)));
    let seen = verify(&rig, &state, &target("distribution", "E4")).await;
    assert_eq!((&seen["status"], &seen["names"]), (&json!("verified"), &json!(2)));
}

/// Case S39: the edges of a disabled connection group serve no one.
#[tokio::test(start_paused = true)]
async fn names_of_a_disabled_connection_group_are_not_verified() {
    let (mut account, _) = Account::with_tenants();
    let mut grouped = Tenant::of("E4", "t3.shop.example.com", None);
    grouped.body.push_str("<ConnectionGroupId>cg_other</ConnectionGroupId>");
    account.tenants.insert("dt_3".into(), grouped);
    for (disabled, status, names) in [("cg_other", "verified", 1), ("cg_default", "verified", 1)] {
        account.disabled_groups = vec![disabled.into()];
        let (rig, state) = moved(account.clone(), json!({})).await;
        let seen = verify(&rig, &state, &target("distribution", "E4")).await;
        assert_eq!((&seen["status"], &seen["names"]), (&json!(status), &json!(names)));
        let note = seen["notes"].to_string();
        assert!(note.contains("the connection group is disabled"), "{note}");
    }
    account.disabled_groups = vec!["cg_default".into(), "cg_other".into()];
    let (rig, state) = moved(account, json!({})).await;
    for target in [target("distribution", "E4"), target("tenant", "dt_1")] {
        let seen = verify(&rig, &state, &target).await;
        assert_eq!((&seen["status"], &seen["names"]), (&json!("skipped"), &json!(0)));
    }
}

/// Case S15: a list of roots that is gone after the plan fails only the chains that need it.
#[tokio::test(start_paused = true)]
async fn s15_roots_of_a_parameter_are_trusted_by_viewers() {
    let list = ("String".to_owned(), certificates().root.clone());
    for (list, needed, noted) in [
        (Some(list.clone()), true, false),
        (Some(list), false, false),
        (None, false, true),
        (None, true, true),
    ] {
        let (mut rig, state) = moved(Account::with_old_in(Store::Acm).0, json!({})).await;
        rig.context.settings.extra_roots = "/roots/mozilla".into();
        if needed {
            rig.context.settings.root_file = None;
        }
        rig.change(|account| {
            account.parameters.extend(list.clone().map(|list| ("/roots/mozilla".into(), list)));
        });
        let input = deployed(&rig, &state, &target("distribution", "E1")).await;
        let told = match rig.step("verify-viewers", &input).await {
            Ok(seen) => {
                assert!(list.is_some() || !needed, "{seen}");
                assert_eq!(seen["status"], "verified");
                seen["notes"].to_string()
            }
            Err(error) => {
                assert!(list.is_none() && needed, "{error}");
                assert_eq!(error.name(), "WrongCertificateServed");
                error.to_string()
            }
        };
        let words = "SSM parameter /roots/mozilla (ExtraRoots)";
        assert_eq!(told.contains(words) && told.contains("does not exist"), noted, "{told}");
    }
}

fn odd(rig: &Rig, name: &str, edge: OddEdge) {
    rig.change(|account| account.odd_edges = [(name.to_owned(), edge)].into());
}

fn serves(material: &Issued, chain: &str) -> OddEdge {
    OddEdge::Serves { chain: format!("{}{chain}", material.pem), key: material.key.clone() }
}

#[tokio::test(start_paused = true)]
async fn wrong_certificates_and_failed_handshakes_are_reported() {
    let (rig, state) = moved(Account::with_old_in(Store::Acm).0, json!({})).await;
    let all = certificates();
    let check = async |edge: OddEdge, error: &str, told: &[&str]| {
        odd(&rig, "b.shop.example.com", edge);
        let input = deployed(&rig, &state, &target("distribution", "E2")).await;
        let (name, cause) = rig.refuse("verify-viewers", &input).await;
        assert_eq!(name, error, "{cause}");
        for words in [&["distribution E2", "b.shop.example.com"], told].concat() {
            assert!(cause.contains(words), "{words}: {cause}");
        }
        // The other name is fine.
        assert!(!cause.contains("a.shop.example.com") || error == "EdgeUnreachable", "{cause}");
    };
    let wrong = "WrongCertificateServed";
    let old = state["plan"]["oldCertificate"]["fingerprint"].as_str().unwrap();
    let new = state["plan"]["newCertificate"]["fingerprint"].as_str().unwrap();
    check(serves(&all.old, &all.old.chain), wrong, &[old, new, "instead of", "2026-12-15"]).await;
    check(serves(&all.new, ""), wrong, &["not trusted", "issued the last of its chain"]).await;
    check(OddEdge::HangsUp, "EdgeUnreachable", &["before it served a certificate"]).await;
    check(OddEdge::Unreachable, "EdgeUnreachable", &["connecting to"]).await;
}

/// Case S28: a distribution with viewer mTLS serves its certificate, and refuses viewers without one
/// in different ways. A wrong certificate is found all the same.
#[tokio::test(start_paused = true)]
async fn an_edge_that_requires_client_certificates_is_verified() {
    for (tls12, silent) in [(false, false), (false, true), (true, false), (true, true)] {
        let (rig, state) = moved(Account::with_old_in(Store::Acm).0, json!({})).await;
        let mutual = OddEdge::WantsCertificate { tls12, silent };
        odd(&rig, "other.example.com", mutual);
        let seen = verify(&rig, &state, &target("distribution", "E2")).await;
        assert_eq!(seen["status"], "verified", "TLS 1.2: {tls12}, silent: {silent}");
        let all = certificates();
        rig.change(|account| {
            let wrong = serves(&all.old, &all.old.chain);
            account.odd_edges.insert("b.shop.example.com".into(), wrong);
        });
        let input = deployed(&rig, &state, &target("distribution", "E2")).await;
        assert_eq!(rig.refuse("verify-viewers", &input).await.0, "WrongCertificateServed");
    }
}

/// In a retry the edge may be up to date.
#[tokio::test(start_paused = true)]
async fn a_late_edge_is_verified_by_a_retry() {
    let (rig, state) = moved(Account::with_old_in(Store::Acm).0, json!({})).await;
    let all = certificates();
    odd(&rig, "www.example.com", serves(&all.old, &all.old.chain));
    let input = deployed(&rig, &state, &target("distribution", "E1")).await;
    rig.refuse("verify-viewers", &input).await;
    rig.change(|account| account.odd_edges.clear());
    let event = json!({"state": input, "retries": 3});
    let seen = rig.event("verify-viewers", event).await.unwrap();
    assert_eq!((&seen["status"], &seen["retries"]), (&json!("verified"), &json!(3)));
}

#[tokio::test(start_paused = true)]
async fn targets_without_viewers_are_skipped() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    account.add("E5", &old, &[], "");
    let (rig, state) = moved(account, json!({})).await;
    let check = async |id: &str, told: &str| {
        let seen = verify(&rig, &state, &target("distribution", id)).await;
        assert_eq!((&seen["status"], &seen["handshakes"]), (&json!("skipped"), &json!(0)));
        let note = seen["notes"][0].as_str().unwrap();
        assert!(note.contains(told), "{note}");
    };
    check("E5", "No alias").await;
    rig.change(|account| {
        let e1 = account.distribution("E1");
        e1.config = e1.config.replace("<Enabled>true</Enabled>", "<Enabled>false</Enabled>");
    });
    check("E1", "disabled").await;
    // A template whose tenants all have their own certificate.
    let (mut account, old) = Account::with_old_in(Store::Acm);
    account.add("E4", &old, &[], TEMPLATE);
    let (rig, state) = moved(account, json!({})).await;
    let seen = verify(&rig, &state, &target("distribution", "E4")).await;
    assert_eq!(seen["status"], "skipped");
}

/// A wrong certificate is no error if another user has changed the target meanwhile.
#[tokio::test(start_paused = true)]
async fn targets_changed_by_another_user_are_skipped() {
    let (rig, state) = moved(Account::with_old_in(Store::Acm).0, json!({})).await;
    let input = deployed(&rig, &state, &target("distribution", "E1")).await;
    let all = certificates();
    odd(&rig, "www.example.com", serves(&all.old, &all.old.chain));
    let check = async |told: &str| {
        let before = rig.calls().len();
        let seen = rig.succeed("verify-viewers", &input).await;
        assert_eq!(seen["status"], "skipped");
        assert!(seen["notes"][0].as_str().unwrap().contains(told), "{seen}");
        assert_eq!(rig.calls().len(), before + 1, "one more look");
    };
    rig.change(|account| {
        let new = id(&state["newCertificate"]["id"]);
        let e1 = account.distribution("E1");
        e1.config = e1.config.replace(new.id(), "arn:aws:acm:us-east-1:111122223333:certificate/3");
    });
    check("another certificate").await;
    rig.change(|account| account.distributions.clear());
    check("no longer exists").await;
}

/// In a rollback viewers must be served the old certificate.
#[tokio::test(start_paused = true)]
async fn a_rollback_is_verified_too() {
    let (rig, mut state) = moved(Account::with_old_in(Store::Acm).0, json!({})).await;
    let (old, new) = (state["move"]["from"].clone(), state["move"]["to"].clone());
    let as_id = |value: &Value| -> CertificateId { id(value) };
    rig.change(|account| {
        let e1 = account.distribution("E1");
        e1.config = e1.config.replace(as_id(&new).id(), as_id(&old).id());
    });
    state["move"] = json!({
        "way": "back", "round": 1, "from": new, "to": old,
        "fingerprint": state["plan"]["oldCertificate"]["fingerprint"], "waves": [],
    });
    let seen = verify(&rig, &state, &target("distribution", "E1")).await;
    assert_eq!(seen["status"], "verified");
}

/// Case S8: what was wrong before the update is noted, and must only not be worse afterwards.
#[tokio::test(start_paused = true)]
async fn s8_what_was_wrong_before_is_noted_and_fails_nothing() {
    let other = &certificates().other;
    let third = || serves(other, &other.chain);
    let early = &certificates().early;
    for (before, after, expected) in [
        (Some(third()), Some(third()), "verified"),
        (Some(third()), None, "verified"),
        (Some(OddEdge::HangsUp), Some(OddEdge::HangsUp), "verified"),
        // Without a network nothing is verified, and nothing claims to be.
        (Some(OddEdge::Unreachable), Some(OddEdge::Unreachable), "skipped"),
        // Worse, or never so before.
        (Some(third()), Some(OddEdge::HangsUp), "EdgeUnreachable"),
        (Some(OddEdge::HangsUp), Some(third()), "WrongCertificateServed"),
        (Some(third()), Some(serves(early, &early.chain)), "WrongCertificateServed"),
        (None, Some(third()), "WrongCertificateServed"),
    ] {
        let case = format!("{before:?} {after:?}");
        let (account, _) = Account::with_old_in(Store::Acm);
        let rig = Rig::new(account).await;
        let state = rig.imported(json!({})).await;
        let target = target("distribution", "E2");
        let set = |edge: &Option<OddEdge>| {
            let edge = edge.clone().map(|edge| ("b.shop.example.com".to_owned(), edge));
            rig.change(|account| account.odd_edges = edge.into_iter().collect());
        };
        set(&before);
        let survey = rig.succeed("verify-viewers", &child(&state, &target)).await;
        let wrong = survey["wrong"].as_array().unwrap();
        let count = match before {
            None => 0,
            Some(OddEdge::Unreachable) => 2,
            Some(_) => 1,
        };
        assert_eq!(wrong.len(), count, "{case}: {survey}");

        let mut input = child(&state, &target);
        rig.succeed("update-distribution", &input).await;
        rig.change(|account| account.distribution("E2").reads_until_deployed = 0);
        set(&after);
        input = deployed(&rig, &state, &target).await;
        input["before"] = survey;
        match rig.step("verify-viewers", &input).await {
            Ok(output) => {
                assert_eq!(output["status"], expected, "{case}");
                let noted = output["notes"].to_string().contains("As before the rotation: ");
                assert_eq!(noted, after.is_some(), "{case}: {output}");
            }
            Err(error) => assert_eq!(error.name(), expected, "{case}"),
        }
        // On the way back the record of the way forward counts.
        let mut failed = input.clone();
        failed["failure"] = json!({"Error": "WrongCertificateServed", "Cause": "no"});
        rig.succeed("record-target", &failed).await;
        let mut state = state.clone();
        state["review"] = rig.succeed("review-targets", &state).await;
        state["move"] = crate::harness::rig::back(&state, 1);
        let target = rig.object(state["review"]["waves"][0][0].as_str().unwrap())[0].clone();
        rig.succeed("update-distribution", &child(&state, &target)).await;
        rig.change(|account| account.distribution("E2").reads_until_deployed = 0);
        set(&before);
        let input = deployed(&rig, &state, &target).await;
        let output = rig.succeed("verify-viewers", &input).await;
        let expected = if expected == "skipped" { "skipped" } else { "verified" };
        assert_eq!(output["status"], expected, "{case}");
    }
}

/// Case S8: nothing is looked at for a target that no viewer reaches.
#[tokio::test(start_paused = true)]
async fn s8_targets_that_need_no_survey() {
    let (account, _) = Account::with_old_in(Store::Acm);
    let rig = Rig::new(account).await;
    let state = rig.imported(json!({})).await;
    let third = || serves(&certificates().other, &certificates().other.chain);
    odd(&rig, "b.shop.example.com", third());
    let target = target("distribution", "E2");
    let wrong = async |rig: &Rig| {
        let survey = rig.succeed("verify-viewers", &child(&state, &target)).await;
        survey["wrong"].as_array().unwrap().len()
    };
    assert_eq!(wrong(&rig).await, 1);
    rig.change(|account| {
        let config = &mut account.distribution("E2").config;
        *config = config.replace("<Enabled>true", "<Enabled>false");
    });
    assert_eq!(wrong(&rig).await, 0);
    rig.change(|account| drop(account.distributions.remove("E2")));
    assert_eq!(wrong(&rig).await, 0);
}
