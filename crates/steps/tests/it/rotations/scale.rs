//! Rotations with many targets, and with a slow or throttling AWS: what they cost, and that they
//! finish.
//!
//! `SCALE=10000 cargo test -p rotation-steps --test it scale -- --nocapture` also counts that many
//! targets.

#![expect(clippy::print_stdout, reason = "what was counted")]

use std::collections::BTreeMap;
use std::time::Duration;

use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::{Account, POLICY, SECRET, leaf_of};
use crate::harness::certificates::certificates;
use crate::harness::driver::{Driver, Ran, clock};
use crate::harness::fake_aws::{Call, Rate};
use crate::harness::invariants::{Stakes, check};
use crate::harness::rig::start;

/// The page size of CloudFront's list of distributions.
const PAGE: usize = 100;

/// An account in which `count` distributions serve the old certificate and E3 another one, and a
/// request.
fn fleet(count: usize, mut request: Value) -> (Account, String, Value) {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    let distribution = account.distributions["E1"].clone();
    let others = (2..count).map(|number| format!("F{number}"));
    account.distributions.extend(others.map(|id| (id, distribution.clone())));
    account.page_size = PAGE;
    request["oldCertificate"] = old.id().into();
    (account, old.id().to_owned(), start(request)["request"].clone())
}

fn updated(ran: &Ran) -> &Value {
    &ran.result.as_ref().expect("it succeeds")["targets"]["updated"]
}

/// Counts a rotation in which each deployment takes four minutes.
async fn counted(count: usize) -> Value {
    let (account, _, request) = fleet(count, json!({"concurrency": 40}));
    let mut driver = Driver::new(account).await;
    driver.rig.context.settings.poll_seconds = 25;
    driver.rig.fake.with(|world| world.propagation = Some(240));
    let ran = driver.rotate(&request, None, 2).await;
    assert_eq!(*updated(&ran), count);
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for call in &ran.calls {
        *calls.entry(format!("{}:{}", call.service, call.operation)).or_default() += call.attempts;
    }
    println!("{count} targets: {} bytes and {} events at most", ran.largest, ran.events);
    assert!(ran.largest < 262_144 && ran.events < 25_000);
    json!({
        "calls": calls,
        "invocations": ran.invocations,
        "eventsOfChildren": ran.events_of_children,
        "largestHistoryEvents": ran.events,
        "largestPayloadBytes": ran.largest,
        "stateTransitions": ran.transitions,
    })
}

/// `counts.json` has the counted costs of rotations, and docs/cost.md prices them. `WRITE_COUNTS=1`
/// writes it.
#[tokio::test(start_paused = true)]
async fn the_cost_is_pinned_and_linear_in_the_targets() {
    let pinned: Value = serde_json::from_str(include_str!("counts.json")).expect("JSON");
    let mut counts = BTreeMap::new();
    for count in [10, 100, 200] {
        counts.insert(count.to_string(), counted(count).await);
    }
    if let Some(count) = std::env::var("SCALE").ok().and_then(|count| count.parse::<usize>().ok()) {
        counts.insert(count.to_string(), counted(count).await);
    }
    let counts = json!(counts);
    if std::env::var("WRITE_COUNTS").is_ok() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rotations/counts.json");
        let text = serde_json::to_string_pretty(&counts).expect("JSON") + "\n";
        std::fs::write(path, text).expect("written");
    }
    for count in ["10", "100", "200"] {
        assert_eq!(counts[count], pinned[count], "{count} targets");
    }
    // Each target costs as much as the one before: nothing reads all targets for each of them.
    let of = |count: &str, what: &str, name: &str| -> f64 {
        let value = if name.is_empty() { &counts[count][what] } else { &counts[count][what][name] };
        value.as_f64().unwrap_or(0.0)
    };
    let grows = |what: &str, name: &str| {
        let (few, some, many) =
            (of("10", what, name), of("100", what, name), of("200", what, name));
        // Lanes and pages are extra: at most 40 lanes, and one page per hundred targets.
        let (per_target, later) = ((some - few) / 90.0, (many - some) / 100.0);
        assert!((later - per_target).abs() < 0.5, "{what} {name}: {per_target}, then {later}");
    };
    grows("stateTransitions", "");
    grows("eventsOfChildren", "");
    for what in ["calls", "invocations"] {
        for name in counts["200"][what].as_object().expect("an object").keys() {
            grows(what, name);
        }
    }
}

/// CloudFront throttles accounts: users have seen limits of four updates at once and one every five
/// seconds (certd/certd#796). Forty lanes are faster than that; they wait, without an error.
#[tokio::test(start_paused = true)]
async fn throttling_slows_a_rotation_and_breaks_nothing() {
    const TARGETS: usize = 150;
    let mut seconds = BTreeMap::new();
    for (name, rates) in [
        ("free", Vec::new()),
        (
            "as seen",
            vec![
                Rate::of("Update", 4.0, 0.2),
                Rate::of("Get", 10.0, 2.0),
                Rate::of("List", 2.0, 0.5),
            ],
        ),
        (
            "an account that others use too",
            vec![
                Rate::of("Update", 1.0, 0.05),
                Rate::of("Get", 2.0, 0.5),
                Rate::of("List", 1.0, 0.05),
            ],
        ),
    ] {
        let (mut account, old, request) = fleet(TARGETS, json!({"concurrency": 40}));
        account.page_size = 10;
        let driver = Driver::new(account.clone()).await;
        driver.rig.fake.with(|world| {
            world.propagation = Some(240);
            world.rates = rates;
        });
        let began = clock();
        let ran = driver.rotate(&request, None, 2).await;
        check(&account, &Stakes::of(&account, &old), &request, &ran, name);
        assert_eq!(*updated(&ran), TARGETS, "{name}");
        let throttled: Vec<usize> =
            driver.rig.fake.with(|world| world.rates.iter().map(|rate| rate.throttled).collect());
        let passed = clock().duration_since(began).as_secs();
        println!("{name}: {passed} s, {throttled:?} attempts throttled");
        assert!(throttled.iter().all(|times| *times > 0), "{name}: {throttled:?}");
        seconds.insert(name, passed);
    }
    assert!(seconds["as seen"] > seconds["free"], "{seconds:?}");
    // Not slower than the rate limit requires: 149 updates at one every 20 seconds, plus the last
    // deployment.
    assert!(seconds["an account that others use too"] < 3 * 149 * 20, "{seconds:?}");
}

/// Targets in sequence never exceed the rate limit.
#[tokio::test(start_paused = true)]
async fn targets_in_sequence_are_never_throttled() {
    let (account, _, request) = fleet(30, json!({}));
    let driver = Driver::new(account).await;
    driver.rig.fake.with(|world| {
        world.propagation = Some(240);
        world.rates = vec![Rate::of("Update", 4.0, 0.2), Rate::of("Get", 4.0, 0.2)];
    });
    let ran = driver.rotate(&request, None, 2).await;
    assert_eq!(*updated(&ran), 30);
    let throttled: usize =
        driver.rig.fake.with(|world| world.rates.iter().map(|rate| rate.throttled).sum());
    assert_eq!(throttled, 0);
}

/// Sixty pages of half a minute each take half an hour, and a function has fifteen minutes.
#[tokio::test(start_paused = true)]
async fn a_read_longer_than_one_invocation_resumes_where_it_stopped() {
    const TARGETS: usize = 60;
    let (mut account, old, request) = fleet(TARGETS, json!({"concurrency": 40}));
    account.page_size = 1;
    // A continuous-deployment policy of another user: no list shows its distribution, so each one
    // is read.
    account.distribution("E3").config.push_str(POLICY);
    let driver = Driver::new(account.clone()).await;
    driver.rig.fake.with(|world| world.latency = Duration::from_secs(15));
    let ran = driver.rotate(&request, None, 2).await;
    check(&account, &Stakes::of(&account, &old), &request, &ran, "slow");
    assert_eq!(*updated(&ran), TARGETS);
    assert!(
        ran.invocations["plan-rotation"] > 1 && ran.invocations["review-targets"] > 1,
        "{:?}",
        ran.invocations
    );
    // For the plan, the review and the deletion; no page is read twice.
    let lists = ran.calls.iter().filter(|call| call.operation == "ListDistributions");
    assert_eq!(lists.count(), 3 * (TARGETS + 1));
}

/// The next attempt reads only missing pages. Stored responses that are too old, or that belong to
/// a finished read, are read again.
#[tokio::test(start_paused = true)]
async fn a_throttled_read_resumes() {
    const PAGES: usize = 10;
    let (mut account, _, request) = fleet(PAGES - 1, json!({}));
    account.page_size = 1;
    let Driver { mut rig, .. } = Driver::new(account).await;
    rig.context.now = clock;
    let state = json!({"request": request, "execution": start(json!({}))["execution"]});
    // How the step ends, and how many pages it reads, if CloudFront answers this many calls.
    let plan = async |answered: usize| {
        rig.fake.with(|world| {
            world.calls.clear();
            world.rates = vec![Rate::of("ListDistributions", answered as f64, 0.0)];
        });
        let ended = rig.step("plan-rotation", &state).await;
        let name = ended.map_or_else(|error| error.name(), |_| "planned");
        (name, rig.count("ListDistributions"))
    };
    assert_eq!(plan(4).await, ("Unfinished", 5), "four, and the one that was throttled");
    assert_eq!(plan(0).await, ("Throttled", 1), "it got no further");
    assert_eq!(plan(3).await, ("Unfinished", 4));
    assert_eq!(plan(PAGES).await, ("planned", 3), "those that were missing");
    assert_eq!(
        plan(PAGES).await,
        ("planned", PAGES),
        "a plan that was made is no answer to the next"
    );

    assert_eq!(plan(4).await, ("Unfinished", 5));
    tokio::time::advance(Duration::from_secs(3_700)).await;
    assert_eq!(plan(PAGES).await, ("planned", PAGES), "what is too old is asked anew");
}

/// An account with a thousand imported certificates, all tagged. Three are managed, and the source of
/// one has a replacement. The others are valid as long as that replacement is.
fn crowded() -> Account {
    let (mut account, _) = Account::with_old_in(Store::Acm);
    account.page_size = 1_000;
    account.acm_room = 2_000;
    let new = leaf_of(&certificates().new.pem);
    let days = new.not_after().duration_since(new.not_before()).as_hours() / 24;
    let issue = |name: &str| certificates().issue(&[name], new.not_before(), days);
    for name in ["shop", "mail"] {
        let (source, issued) = (format!("tls/{name}"), issue(name));
        let id = account.put_acm(issued, &[("cert-rotation:source", &source)]);
        account.secrets.insert(source, issued.source());
        account.add(name, &id, &[name], "");
    }
    let others = issue("others.example.com");
    while account.acm.len() < 1_000 {
        account.put_acm(others, &[("team", "web")]);
    }
    account
}

/// How often each operation of ACM and of the tagging API was called, in pages and not in attempts.
fn of_stores(calls: &[Call]) -> Value {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls.iter().filter(|call| ["acm", "tagging"].contains(&call.service.as_str())) {
        *counts.entry(&call.operation).or_default() += 1;
    }
    json!(counts)
}

/// The calls grow with what is managed, and not with what the account has. So an evaluation and a
/// rotation end even if ACM answers one read of tags per second.
#[tokio::test(start_paused = true)]
async fn s6_a_thousand_certificates_of_others_cost_nothing() {
    let account = crowded();
    let throttled = async || {
        let driver = Driver::new(account.clone()).await;
        let rate = Rate::of("ListTagsForCertificate", 1.0, 1.0).on("acm");
        driver.rig.fake.with(|world| world.rates = vec![rate]);
        driver
    };
    let driver = throttled().await;
    let began = clock();
    let looked = driver.rig.start(json!({"look": "all"})).await.expect("it ends");
    let decisions: Vec<Value> = looked.certificates.iter().map(|one| json!(one.decision)).collect();
    assert_eq!(json!(decisions), json!(["start", "inTime", "inTime"]));
    let counts = of_stores(&driver.rig.calls());
    println!("evaluation: {counts} in {} s", clock().duration_since(began).as_secs());
    assert_eq!(
        counts,
        json!({
            // For what is managed, and for what is not to be touched.
            "GetResources": 2, "ListTagsForCertificate": 3, "DescribeCertificate": 3,
            "GetCertificate": 3, "ListCertificates": 1,
        })
    );

    let driver = throttled().await;
    let request = start(json!({"newCertificate": SECRET}))["request"].clone();
    let began = clock();
    let ran = driver.rotate(&request, None, 2).await;
    let old = account.acm.keys().next().expect("the first").clone();
    check(&account, &Stakes::of(&account, &old), &request, &ran, "a thousand others");
    assert_eq!(*updated(&ran), 2);
    let counts = of_stores(&ran.calls);
    println!("rotation: {counts} in {} s", clock().duration_since(began).as_secs());
    assert_eq!(
        counts,
        json!({
            "GetResources": 2, "ListTagsForCertificate": 3, "DescribeCertificate": 3,
            "GetCertificate": 3, "ListCertificates": 3, "ImportCertificate": 1,
            "DeleteCertificate": 1,
        })
    );
}
