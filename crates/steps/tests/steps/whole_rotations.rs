//! Whole rotations with a fault at every call in turn, in every way, once and for long, on the way forward
//! and on the way back; then at random. After each one every promise is checked, and the same rotation is
//! redriven or started again and must reach its goal.
//!
//! `cargo test --test steps whole -- --nocapture` says how many there were and how they ended.

#![expect(clippy::print_stdout, reason = "how many rotations, and how they ended")]

use std::collections::BTreeMap;

use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::account::{Account, OddEdge};
use crate::certificates::certificates;
use crate::driver::{Driver, Ran};
use crate::every_step::is_read;
use crate::fake_aws::{At, Call, Fault, Kind};
use crate::invariants::{Stakes, check};
use crate::rig::start;

/// An account, what is asked for, and what comes of it undisturbed.
pub(crate) struct Scene {
    name: &'static str,
    account: Account,
    old: String,
    request: Value,
    /// Of the output, or the error's name.
    ending: &'static str,
    /// What has to be cured before it can succeed.
    cure: fn(&mut Account),
}

impl Scene {
    fn new(
        name: &'static str,
        store: Store,
        request: Value,
        change: impl Fn(&mut Account, &str),
    ) -> Self {
        let (mut account, old) = Account::with_old_in(store);
        let old = old.id().to_owned();
        change(&mut account, &old);
        let is_tagged = request["newCertificate"].is_null();
        let mut request = start(request)["request"].clone();
        if !is_tagged {
            request["oldCertificate"] = old.clone().into();
        }
        Self { name, account, old, request, ending: "rotated", cure: |_| {} }
    }

    fn ends(self, ending: &'static str, cure: fn(&mut Account)) -> Self {
        Self { ending, cure, ..self }
    }
}

fn more_targets(account: &mut Account, count: usize) {
    let config = account.distributions["E1"].clone();
    for number in 0..count {
        account.distributions.insert(format!("F{number}"), config.clone());
    }
}

fn a_tenant(account: &mut Account) {
    let (with_tenants, _) = Account::with_tenants();
    account.distributions.insert("E4".into(), with_tenants.distributions["E4"].clone());
    account.tenants = with_tenants.tenants;
}

/// A distribution whose edges go on serving another certificate.
fn odd_edge(account: &mut Account) {
    let other = &certificates().other;
    let edge =
        OddEdge::Serves { chain: format!("{}{}", other.pem, other.chain), key: other.key.clone() };
    account.odd_edges = [("b.shop.example.com".to_owned(), edge)].into();
}

/// A distribution with a fault that CloudFront finds when it is updated.
const BROKEN: &str = "<WebACLId>gone</WebACLId>";

pub(crate) fn scenes() -> Vec<Scene> {
    vec![
        Scene::new("one after the other, a tenant too", Store::Acm, json!({}), |account, _| {
            a_tenant(account);
        }),
        Scene::new(
            "server certificates",
            Store::Iam,
            json!({"newCertificate": "ssm:/tls/www"}),
            |_, _| {},
        ),
        Scene::new("three at once", Store::Acm, json!({"concurrency": 3}), |account, _| {
            more_targets(account, 4);
        }),
        Scene::new("a quota first", Store::Acm, json!({}), |account, _| {
            account.quotas.insert("L-F141DD1D".into(), (Some(2.0), None));
            account.quotas_granted = true;
        }),
        Scene::new("a rollback", Store::Acm, json!({}), |account, _| {
            a_tenant(account);
            account.distribution("E2").config.push_str(BROKEN);
        })
        .ends("RolledBack", |account| {
            let config = &mut account.distribution("E2").config;
            *config = config.replace(BROKEN, "");
        }),
        Scene::new(
            "a rollback of several at once",
            Store::Iam,
            json!({"concurrency": 3}),
            |account, _| {
                more_targets(account, 4);
                account.distribution("F2").config.push_str(BROKEN);
            },
        )
        .ends("RolledBack", |account| {
            let config = &mut account.distribution("F2").config;
            *config = config.replace(BROKEN, "");
        }),
        Scene::new("a stop", Store::Acm, json!({"onFailure": "stop"}), |account, _| {
            account.distribution("E2").config.push_str(BROKEN);
        })
        .ends("RotationIncomplete", |account| {
            let config = &mut account.distribution("E2").config;
            *config = config.replace(BROKEN, "");
        }),
        Scene::new(
            "an edge that serves another certificate",
            Store::Acm,
            json!({}),
            |account, _| {
                odd_edge(account);
            },
        )
        // It does so on the way back, too.
        .ends("RotationIncomplete", |account| account.odd_edges.clear()),
    ]
}

fn ending(ran: &Ran) -> &str {
    match &ran.result {
        Ok(output) => output["outcome"].as_str().expect("an outcome"),
        Err(failure) => &failure.error,
    }
}

/// One rotation under a fault; then what is left of it, by a redrive or by a new execution.
async fn survive(scene: &Scene, fault: Option<Fault>, seed: u64, when: &str) -> String {
    let driver = Driver::new(scene.account.clone()).await;
    let stakes = Stakes::of(&scene.account, &scene.old);
    let (ran, mut execution) = driver.begin(&scene.request, fault, seed).await;
    check(&scene.account, &stakes, &scene.request, &ran, when);
    let ended = ending(&ran).to_owned();
    if fault.is_some_and(|fault| !matches!(fault.at, At::Chance(_))) {
        assert!(ran.struck, "{when}: the fault met no call");
    }
    if ran.result.is_err() {
        let before = ran.after.clone();
        driver.rig.change(|account| {
            account.clone_from(&before);
            (scene.cure)(account);
        });
        let cured = driver.rig.account();
        let left = Stakes::of(&cured, &scene.old);
        let again = if seed.is_multiple_of(2) {
            driver.redrive(&mut execution).await
        } else {
            driver.rotate(&scene.request, None, seed).await
        };
        let when = format!("{when}; then again after {ended}");
        check(&cured, &left, &scene.request, &again, &when);
        // Unless only the report was missing.
        let is_done = left.targets.is_empty() && !cured.certificates().contains(&scene.old);
        let expected = if is_done { "nothingToDo" } else { "rotated" };
        assert_eq!(ending(&again), expected, "{when}: {:?}", again.result);
    }
    ended
}

#[tokio::test(start_paused = true)]
async fn every_scene_ends_as_it_should() {
    for scene in scenes() {
        for seed in [2, 3] {
            assert_eq!(
                survive(&scene, None, seed, scene.name).await,
                scene.ending,
                "{}",
                scene.name
            );
        }
    }
}

/// What travels does not grow with the number of targets, and neither does any history.
#[tokio::test(start_paused = true)]
async fn many_targets_leave_small_payloads_and_histories() {
    let mut sizes = Vec::new();
    for count in [30, 300] {
        let scene = Scene::new("many", Store::Acm, json!({"concurrency": 40}), |account, _| {
            more_targets(account, count - 2);
        });
        let driver = Driver::new(scene.account.clone()).await;
        let stakes = Stakes::of(&scene.account, &scene.old);
        let ran = driver.rotate(&scene.request, None, 2).await;
        check(&scene.account, &stakes, &scene.request, &ran, scene.name);
        assert_eq!(ran.result.as_ref().unwrap()["targets"]["updated"], count);
        println!("{count} targets: {} events at most, {} bytes at most", ran.events, ran.largest);
        sizes.push((ran.events, ran.largest));
    }
    let (few, many) = (sizes[0], sizes[1]);
    // Lanes are what there may be more of: 29 and 40.
    assert!(many.0 < few.0 * 3 / 2 && many.1 < few.1 * 3 / 2, "{few:?} and {many:?}");
}

/// Of each target one read and one update of its configuration, and the looks at its deployment; of the account
/// one list before everything and one before the deletion.
#[tokio::test(start_paused = true)]
async fn as_few_calls_of_cloudfront_as_the_procedure_allows() {
    const TARGETS: usize = 12;
    for (propagation, looks) in [(90, 1), (190, 2), (230, 4), (299, 6)] {
        for request in [json!({}), json!({"concurrency": 5}), json!({"retainOldDays": 3})] {
            let is_retained = request["retainOldDays"] == 3;
            let scene = Scene::new("calls", Store::Acm, request, |account, _| {
                more_targets(account, TARGETS - 2);
            });
            let mut driver = Driver::new(scene.account.clone()).await;
            driver.rig.context.settings.poll_seconds = 25;
            driver.rig.fake.with(|world| world.propagation = Some(propagation));
            let ran = driver.rotate(&scene.request, None, 2).await;
            assert_eq!(ran.result.as_ref().unwrap()["targets"]["updated"], TARGETS);
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for call in ran.calls.iter().filter(|call| call.service == "cloudfront") {
                *counts.entry(call.operation.as_str()).or_default() += 1;
            }
            let lists = if is_retained { 3 } else { 2 };
            let expected = [
                ("GetDistribution", looks * TARGETS),
                ("GetDistributionConfig", TARGETS),
                ("ListContinuousDeploymentPolicies", 1),
                // Of this certificate and of the new one, as soon as there is one.
                ("ListDistributionTenantsByCustomization", 2 * lists - 1),
                ("ListDistributions", lists),
                ("UpdateDistribution", TARGETS),
            ];
            assert_eq!(counts, expected.into(), "{propagation} s, {}", scene.request);
        }
    }
}

/// The longest outage: nothing gets through to the end of any rotation.
const FOR_EVER: i64 = 30 * 24 * 3_600;
/// An outage that outlasts the retries of every step, and ends before a rollback gives up.
const AN_HOUR: i64 = 3_600;

/// In which ways to break a call: once, for an hour, for ever. For a read it makes no difference whether it
/// has happened.
fn ways(number: usize, call: &Call) -> Vec<Fault> {
    let once = |kind| Fault { at: At::Call(number), kind, attempts: usize::MAX };
    let outage =
        |kind, seconds| Fault { at: At::Outage(number, seconds), kind, attempts: usize::MAX };
    let mut kinds = vec![
        Kind::ErrorBefore,
        Kind::Throttled,
        Kind::AccessDenied,
        Kind::Malformed,
        Kind::Timeout,
        Kind::KilledBefore,
    ];
    let mut lasting = vec![Kind::Throttled, Kind::AccessDenied];
    if !is_read(&call.operation) {
        let effective =
            [Kind::ErrorAfter, Kind::ConnectionBefore, Kind::ConnectionAfter, Kind::KilledAfter];
        kinds.extend(effective);
        lasting.extend([Kind::ErrorAfter, Kind::KilledAfter]);
    }
    let outages =
        lasting.into_iter().flat_map(|kind| [outage(kind, AN_HOUR), outage(kind, FOR_EVER)]);
    kinds.into_iter().map(once).chain(outages).collect()
}

/// The kinds of fault that a retry gets over when they strike once.
fn passes(fault: &Fault) -> bool {
    matches!(fault.at, At::Call(_)) && fault.kind != Kind::AccessDenied
}

/// Breaks each call of a scene in each way. A target's third look is like its second, and the fifth target
/// like the third.
async fn break_each_call(name: &str) {
    let scenes = scenes();
    let scene = scenes.iter().find(|scene| scene.name == name).unwrap();
    let driver = Driver::new(scene.account.clone()).await;
    let undisturbed = driver.rotate(&scene.request, None, 2).await;
    assert_eq!(ending(&undisturbed), scene.ending);
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let (mut rotations, mut endings) = (0, BTreeMap::new());
    for (number, call) in undisturbed.calls.iter().enumerate() {
        let times = seen.entry((&call.operation, &call.resource)).or_default();
        *times += 1;
        if *times > 2
            || call.resource.starts_with('F')
                && call.resource.as_str() > "F1"
                && call.resource != "F2"
        {
            continue;
        }
        for (index, fault) in ways(number, call).into_iter().enumerate() {
            let when = format!("{name}: {fault:?} of {} of {}", call.operation, call.resource);
            let ended = survive(scene, Some(fault), (number + index) as u64, &when).await;
            if passes(&fault) {
                assert_eq!(ended, scene.ending, "{when}");
            }
            rotations += 1;
            *endings.entry(ended).or_insert(0) += 1;
        }
    }
    println!(
        "{name}: {} calls, {rotations} rotations with a fault: {endings:?}",
        undisturbed.calls.len()
    );
    assert!(rotations > 300);
}

macro_rules! break_each_call_of {
    ($($test:ident: $scene:literal,)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $test() {
            break_each_call($scene).await;
        }
    )*};
}

break_each_call_of! {
    each_call_of_a_rotation_with_a_tenant: "one after the other, a tenant too",
    each_call_of_a_rotation_of_server_certificates: "server certificates",
    each_call_of_a_rotation_of_several_at_once: "three at once",
    each_call_of_a_rotation_that_needs_a_quota: "a quota first",
    each_call_of_a_rollback: "a rollback",
    each_call_of_a_rollback_of_several_at_once: "a rollback of several at once",
    each_call_of_a_rotation_that_stops: "a stop",
}

/// Any call may fail at any time, in any way. `ROTATION_SEEDS=FROM..TO` runs others, or more.
#[tokio::test(start_paused = true)]
async fn faults_at_random() {
    let seeds = std::env::var("ROTATION_SEEDS").unwrap_or_else(|_| "0..150".into());
    let (from, to) = seeds.split_once("..").expect("FROM..TO");
    let scenes = scenes();
    let mut endings = BTreeMap::new();
    for seed in from.parse::<u64>().unwrap()..to.parse().unwrap() {
        let scene = &scenes[seed as usize % (scenes.len() - 1)];
        // From a fault in a hundred attempts to one in three.
        let per_mille = 10 + seed * 37 % 320;
        let fault = Fault { at: At::Chance(per_mille), kind: Kind::Timeout, attempts: usize::MAX };
        let when = format!("seed {seed}, {per_mille} in a thousand, {}", scene.name);
        let ended = survive(scene, Some(fault), seed, &when).await;
        *endings.entry(ended).or_insert(0) += 1;
    }
    println!("seeds {seeds}: {endings:?}");
}
