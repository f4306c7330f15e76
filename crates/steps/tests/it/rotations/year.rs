//! A year with certificates of 47 days, in virtual time: sources that are refreshed at random times
//! or far too late, events that arrive twice, late or not at all, targets that cannot be rotated
//! for some days.
//!
//! `YEAR_SEEDS=0..100 cargo test --test it year -- --nocapture` runs other years.

#![expect(clippy::print_stdout, reason = "what the years were like")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use rotation_core::automation::decision::Schedule;
use rotation_core::certificate::Certificate;
use rotation_core::certificate::succession::{Edition, Succession};
use serde_json::{Value, json};

use crate::harness::account::{Account, leaf_of, now};
use crate::harness::asl::{Execution, Failure};
use crate::harness::certificates::certificates;
use crate::harness::dice::Dice;
use crate::harness::driver::{Driver, clock, definition};
use crate::harness::fake_aws::Event;
use crate::harness::rig::MACHINE;

const DAYS: i64 = 365;
const LIFETIME: i64 = 47;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The daily evaluation is at most this late, and a rotation of two targets takes less than the
/// rest.
const LATENESS: i64 = 30 * 60;
const SLACK: i64 = LATENESS + HOUR;

/// An element with which a distribution cannot be updated.
const BROKEN: &str = "<WebACLId>gone</WebACLId>";

/// External events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A new certificate is put into the source of this site.
    Refresh(usize),
    /// The first target of this site breaks, or is repaired.
    Break(usize),
    Mend(usize),
    /// The daily evaluation is due.
    Tick,
    /// An event arrives at the function.
    Deliver(String),
    /// The daily event of ACM for certificates that expire within 45 days.
    AcmTells,
}

/// A certificate with its targets, its source and everything that was ever in the source.
struct Site {
    name: String,
    secret: String,
    in_source: Vec<(Timestamp, String)>,
    /// When the function received an event about a change of the source.
    told: Vec<Timestamp>,
    broken: Vec<(Timestamp, Timestamp)>,
}

struct Year<'a> {
    driver: &'a Driver,
    dice: Dice,
    sites: Vec<Site>,
    queue: BTreeSet<(Timestamp, u64, Happening)>,
    queued: u64,
    /// The names of all executions that were started.
    begun: BTreeSet<String>,
    running: FuturesUnordered<LocalBoxFuture<'a, (String, Result<Value, Failure>)>>,
    ended: Vec<(String, Result<Value, Failure>)>,
    delivered: usize,
}

impl<'a> Year<'a> {
    fn roll(&mut self, below: i64) -> i64 {
        self.dice.roll(below as u64) as i64
    }

    fn at(&mut self, time: Timestamp, what: Happening) {
        self.queued += 1;
        self.queue.insert((time, self.queued, what));
    }

    fn in_seconds(&mut self, seconds: i64, what: Happening) {
        self.at(clock() + SignedDuration::from_secs(seconds), what);
    }

    /// Delivers an event on time, twice, late, or never.
    fn send(&mut self, event: &Value) {
        let text = event.to_string();
        let fate = self.roll(10);
        if fate < 6 {
            let soon = 1 + self.roll(60);
            self.in_seconds(soon, Happening::Deliver(text.clone()));
        }
        if fate == 5 || fate == 6 {
            let late = HOUR + self.roll(3 * DAY);
            self.in_seconds(late, Happening::Deliver(text));
        }
    }

    async fn happen(&mut self, what: Happening) {
        match what {
            Happening::Refresh(index) => self.refresh(index),
            Happening::Break(index) => {
                let days = 1 + self.roll(3);
                let until = clock() + SignedDuration::from_secs(days * DAY);
                self.sites[index].broken.push((clock(), until));
                self.edit(index, |config| config.push_str(BROKEN));
                self.at(until, Happening::Mend(index));
            }
            Happening::Mend(index) => {
                self.edit(index, |config| *config = config.replace(BROKEN, ""));
                let next = 20 * DAY + self.roll(60 * DAY);
                self.in_seconds(next, Happening::Break(index));
            }
            Happening::Tick => {
                // The schedule loses no run, but may be late or run twice.
                let late = self.roll(LATENESS);
                let look = json!({"look": "all"}).to_string();
                self.in_seconds(late, Happening::Deliver(look.clone()));
                if self.roll(100) < 10 {
                    self.in_seconds(late + 1, Happening::Deliver(look));
                }
                self.in_seconds(DAY, Happening::Tick);
            }
            Happening::AcmTells => {
                for (arn, one) in self.driver.rig.fake.with(|world| world.account.acm.clone()) {
                    let left = leaf_of(&one.pem).not_after().duration_since(clock()).as_secs();
                    if (0..45 * DAY).contains(&left) {
                        self.send(&json!({
                            "source": "aws.acm", "resources": [arn],
                            "detail-type": "ACM Certificate Approaching Expiration",
                            "detail": {"DaysToExpiry": left / DAY},
                        }));
                    }
                }
                self.in_seconds(DAY, Happening::AcmTells);
            }
            Happening::Deliver(event) => {
                let event: Value = serde_json::from_str(&event).expect("JSON");
                self.delivered += 1;
                let changed = event["detail"]["name"].as_str();
                let sites = self.sites.iter_mut();
                for site in sites.filter(|site| changed == Some(&site.secret)) {
                    site.told.push(clock());
                }
                self.driver.rig.start(event).await.expect("an event that is understood");
                self.begin_what_was_started();
            }
        }
    }

    /// Puts the next certificate into the source.
    fn refresh(&mut self, index: usize) {
        let is_reissued = self.roll(100) < 20;
        let Site { name, secret, in_source, .. } = &self.sites[index];
        let names = [name.as_str(), &format!("*.{name}")];
        // A reissue ends with its original or before; near the original's end it is no use.
        let (_, last) = in_source.last().expect("one");
        let left = leaf_of(last).not_after().duration_since(clock()).as_secs() / DAY;
        let days = if is_reissued && left > LIFETIME / 2 { left } else { LIFETIME };
        let material = certificates().issue(&names, clock(), days);
        self.driver.rig.change(|account| {
            account.secrets.insert(secret.clone(), material.source());
        });
        let event = json!({
            "source": "aws.secretsmanager", "detail-type": "Secret Label Updated",
            "detail": {"name": secret, "labelUpdated": "AWSCURRENT"},
        });
        self.sites[index].in_source.push((clock(), material.pem.clone()));
        self.send(&event);
        // Now and then the refresh is far too late.
        let days = if self.roll(100) < 15 { 60 } else { 12 + self.roll(34) };
        let next = days * DAY + self.roll(DAY);
        self.in_seconds(next, Happening::Refresh(index));
    }

    fn edit(&self, index: usize, edit: impl FnOnce(&mut String)) {
        self.driver.rig.change(|account| edit(&mut account.distribution(&target(index, 1)).config));
    }

    fn begin_what_was_started(&mut self) {
        let executions = self.driver.rig.fake.with(|world| {
            // Cleared, because no test reads them and each attempt would search them.
            world.calls.clear();
            world.account.executions.clone()
        });
        for (arn, execution) in executions {
            let name = arn.rsplit(':').next().expect("a name").to_owned();
            if !self.begun.insert(name.clone()) {
                continue;
            }
            let input = serde_json::from_str(&execution.input).expect("JSON");
            let driver = self.driver;
            let run = async move {
                let mut execution = Execution::new(definition(), driver, &name, input, 1);
                let result = execution.run().await;
                (name, result)
            };
            self.running.push(run.boxed_local());
        }
    }

    fn end(&mut self, name: String, result: Result<Value, Failure>) {
        let status = result.as_ref().err().map_or("SUCCEEDED", Failure::status);
        self.driver.mark(&name, status, Some(&result));
        if result.is_err() {
            let arn = format!("{}:{name}", MACHINE.replace(":stateMachine:", ":execution:"));
            self.send(&json!({
                "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
                "detail": {"executionArn": arn, "status": status, "stopDate": clock().as_second()},
            }));
        }
        self.ended.push((name, result));
    }

    /// Runs until the end of the year.
    async fn pass(&mut self) {
        let end = now() + SignedDuration::from_secs(DAYS * DAY);
        while let Some((time, ..)) = self.queue.first().filter(|(time, ..)| *time < end) {
            let wait = Duration::try_from(time.duration_since(clock())).unwrap_or_default();
            #[expect(clippy::disallowed_methods, reason = "time is virtual here")]
            let due = tokio::time::sleep(wait);
            tokio::select! {
                () = due => {
                    let (_, _, what) = self.queue.pop_first().expect("the first");
                    self.happen(what).await;
                }
                Some((name, result)) = self.running.next(), if !self.running.is_empty() => {
                    self.end(name, result);
                }
            }
        }
    }
}

fn target(site: usize, number: usize) -> String {
    format!("E{site}{number}")
}

/// Three certificates in each store, with two targets each and different tags.
fn sites() -> (Account, Vec<Site>) {
    let mut account = Account::default();
    let mut sites = Vec::new();
    let settings: [&[(&str, &str)]; 6] = [
        &[],
        &[("cert-rotation:retain-old-days", "3"), ("cert-rotation:concurrency", "2")],
        &[("cert-rotation:delete-old", "false")],
        &[],
        &[("cert-rotation:retain-old-days", "20")],
        &[("cert-rotation:store", "acm")],
    ];
    for (index, settings) in settings.into_iter().enumerate() {
        let name = format!("site{index}.example.com");
        let secret = format!("tls/site{index}");
        let begun = now() - SignedDuration::from_secs(20 * DAY);
        let old = certificates().issue(&[&name, &format!("*.{name}")], begun, LIFETIME);
        let mut tags = vec![("cert-rotation:source", secret.as_str())];
        tags.extend(settings);
        let id = match index {
            0..3 => account.put_acm(old, &tags),
            _ => account.put_iam(&secret.replace('/', "-"), old, &tags),
        };
        account.add(&target(index, 1), &id, &[&name], "");
        account.add(&target(index, 2), &id, &[&format!("a.{name}")], "");
        account.secrets.insert(secret.clone(), old.source());
        let in_source = vec![(begun, old.pem.clone())];
        sites.push(Site { name, secret, in_source, told: Vec::new(), broken: Vec::new() });
    }
    (account, sites)
}

/// The certificates that a target served, each from when to when.
fn served(journal: &[Event], first: &str, target: &str) -> Vec<Span> {
    let mut spans = vec![(now(), Timestamp::MAX, first.to_owned())];
    for event in journal {
        if let Event::Moved { at, target: moved, to, .. } = event
            && moved == target
        {
            spans.last_mut().expect("one").1 = *at;
            spans.push((*at, Timestamp::MAX, to.clone()));
        }
    }
    spans
}

/// Every certificate that was ever in a store, by its id in CloudFront.
fn ever_stored(before: &Account, journal: &[Event]) -> BTreeMap<String, Certificate> {
    let before = before.certificates().into_iter().map(|id| {
        let pem = before.pem_of(&id).expect("it is there").to_owned();
        (id, pem)
    });
    let later = journal.iter().filter_map(|event| match event {
        Event::Imported { id, pem, .. } => Some((id.clone(), pem.clone())),
        _ => None,
    });
    before.chain(later).map(|(id, pem)| (id, leaf_of(&pem))).collect()
}

type Span = (Timestamp, Timestamp, String);

fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time + SignedDuration::from_secs(seconds)
}

impl Site {
    /// Since when a usable replacement of this certificate was available.
    fn replaceable_from(&self, certificate: &Certificate) -> Option<Timestamp> {
        let lives_longer = |pem: &str| leaf_of(pem).not_after() > certificate.not_after();
        // A reissue ends before what was in the source before.
        let own = self.in_source.iter().position(|(_, pem)| leaf_of(pem) == *certificate)?;
        let (from, _) = self.in_source[own..].iter().find(|(_, pem)| lives_longer(pem))?;
        let ends = self.broken.iter().map(|(_, until)| *until);
        Some(ends.filter(|until| *until < certificate.not_after()).fold(*from, Timestamp::max))
    }

    fn is_broken_at(&self, time: Timestamp) -> bool {
        self.broken.iter().any(|(from, until)| *from <= time && time <= after(*until, HOUR))
    }
}

/// No certificate may expire on a target while a replacement was available for a day. Returns those
/// that expired.
fn check_expiry<'a>(
    site: &Site,
    spans: &'a [Span],
    stored: &BTreeMap<String, Certificate>,
    when: &str,
) -> Vec<&'a str> {
    let mut expired = Vec::new();
    for (_, until, id) in spans {
        let certificate = &stored[id];
        if (*until).min(clock()) <= certificate.not_after() {
            continue;
        }
        let end = certificate.not_after();
        let is_broken = site.broken.iter().any(|(from, until)| *from < end && end <= *until);
        let replaceable = site.replaceable_from(certificate);
        let in_time = replaceable.is_some_and(|from| after(from, DAY + SLACK) <= end);
        assert!(
            !in_time || is_broken,
            "{when}: {id} expired at {end}, and could be replaced from {replaceable:?} on: {spans:?}"
        );
        // An event may have replaced it before the first evaluation after its end.
        let is_told = after(end, DAY + SLACK) < (*until).min(clock());
        if is_told && replaceable.is_none_or(|from| from > end) {
            expired.push(id.as_str());
        }
    }
    expired
}

/// No rotation without need: never to a certificate that was issued earlier (except in a rollback),
/// never twice, and not before the due date unless it is a reissue, the source has just changed, or
/// a rotation has begun before.
fn check_need(
    site: &Site,
    spans: &[Span],
    stored: &BTreeMap<String, Certificate>,
    schedule: &Schedule,
    when: &str,
) {
    let mut forward: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in spans.windows(2) {
        let ((_, _, from), (at, _, to)) = (&pair[0], &pair[1]);
        let (old, new) = (&stored[from], &stored[to]);
        let succession = Succession::of(&Edition::from(old), &Edition::from(new));
        if succession == Succession::Older {
            assert!(site.is_broken_at(*at), "{when}: put back at {at}: {spans:?}");
            continue;
        }
        *forward.entry(to).or_default() += 1;
        let there = site.in_source.iter().find(|(_, pem)| leaf_of(pem) == *new);
        let (put, _) = there.expect("it came from the source");
        let is_time = *at >= schedule.time_of(old) || succession == Succession::Reissue;
        let mut told = site.told.iter();
        let has_changed = told.any(|told| told <= at && *at <= after(*told, 3 * HOUR));
        let was_begun = site.broken.iter().any(|(from, until)| from <= at && put <= until);
        assert!(put <= at, "{when}");
        assert!(is_time || has_changed || was_begun, "{when}: rotated at {at} for nothing");
    }
    if site.broken.is_empty() {
        assert!(forward.values().all(|times| *times == 1), "{when}: {forward:?}");
    }
}

/// Two certificates are one rotation. Another attempt follows only after a failed one, and not on
/// the same day.
fn check_executions(account: &Account, ended: &[(String, Result<Value, Failure>)], seed: u64) {
    let mut succeeded = BTreeSet::new();
    for (name, result) in ended {
        let (rotation, attempt) = name.rsplit_once('-').expect("the number of the attempt");
        let of = |attempt: u64| {
            let arn = MACHINE.replace(":stateMachine:", ":execution:");
            account.executions.get(&format!("{arn}:{rotation}-{attempt}"))
        };
        let attempt: u64 = attempt.parse().expect("a number");
        if let (Some(before), Some(this)) = (of(attempt - 1), of(attempt)) {
            let (ended, ..) = before.ended.as_ref().expect("the one before has ended");
            let pause = this.started.duration_since(*ended).as_secs();
            assert!(pause >= 19 * HOUR, "year {seed}: {name} was begun {pause} s after a failure");
        }
        assert!(!succeeded.contains(rotation), "year {seed}: {name} was begun after a success");
        match result {
            Ok(output) => {
                succeeded.insert(rotation);
                assert_eq!(output["outcome"], "rotated", "year {seed}: {name}");
            }
            Err(failure) => {
                // Near the end of a certificate, or after it, the others are moved. Nothing is
                // restored to one that was reissued.
                let stays = ["continue", "stop"]
                    .iter()
                    .any(|on| failure.cause.contains(&format!("since onFailure is {on}")));
                let expected = if stays { "RotationIncomplete" } else { "RolledBack" };
                assert_eq!(failure.error, expected, "year {seed}: {name}: {}", failure.cause);
            }
        }
    }
}

/// No notice is repeated, and there is one on each notice day of a certificate that expires without
/// replacement.
fn check_notices(
    account: &Account,
    failed: usize,
    expired: &BTreeSet<&str>,
    stored: &BTreeMap<String, Certificate>,
    schedule: &Schedule,
    seed: u64,
) {
    let details: Vec<Value> = account
        .events
        .iter()
        .map(|event| serde_json::from_str(event["Detail"].as_str().expect("text")).expect("JSON"))
        .collect();
    assert_eq!(account.messages.len(), details.len(), "year {seed}: people and machines");
    let names: BTreeSet<&str> =
        details.iter().map(|detail| detail["name"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), details.len(), "year {seed}: a notice was repeated");
    let of = |kind: &'static str| details.iter().filter(move |detail| detail["kind"] == kind);
    assert!(of("RotationFailed").count() <= failed, "year {seed}");
    assert_eq!(of("SettingsInvalid").count() + of("ReplacementUnusable").count(), 0, "year {seed}");
    for id in expired {
        let id_of = |detail: &&Value| detail["certificate"]["id"] == *id;
        // There is no notice before the due date.
        let certificate = &stored[*id];
        let due = certificate.not_after().duration_since(schedule.time_of(certificate)).as_secs();
        let is_due = |days: &i64| days * DAY <= due;
        let moments: BTreeSet<&str> = of("ReplacementMissing")
            .filter(id_of)
            .map(|detail| detail["name"].as_str().expect("a name").rsplit('-').next().expect("-"))
            .collect();
        assert!(
            [14, 7, 3, 1, 0]
                .into_iter()
                .filter(is_due)
                .all(|days| moments.contains(&*days.to_string())),
            "year {seed}: {id} expired, and was told of at {moments:?}"
        );
    }
}

async fn year(seed: u64) {
    let (before, sites) = sites();
    let driver = Driver::new(before.clone()).await;
    let mut year = Year {
        driver: &driver,
        dice: Dice::of(seed),
        sites,
        queue: BTreeSet::new(),
        queued: 0,
        begun: BTreeSet::new(),
        running: FuturesUnordered::new(),
        ended: Vec::new(),
        delivered: 0,
    };
    year.in_seconds(HOUR, Happening::Tick);
    year.in_seconds(2 * HOUR, Happening::AcmTells);
    for index in 0..year.sites.len() {
        let (refresh, broken) = (year.roll(25 * DAY), year.roll(90 * DAY));
        year.in_seconds(refresh, Happening::Refresh(index));
        year.in_seconds(broken, Happening::Break(index));
    }
    year.pass().await;

    let (account, journal) =
        driver.rig.fake.with(|world| (world.account.clone(), world.journal.clone()));
    let stored = ever_stored(&before, &journal);
    let schedule = &driver.rig.context.settings.schedule;
    let (mut expired, mut moves) = (BTreeSet::new(), 0);
    let mut all_spans = Vec::new();
    for (index, site) in year.sites.iter().enumerate() {
        for number in [1, 2] {
            let target = target(index, number);
            let spans = served(&journal, &before.serving()[&target], &target);
            check_need(site, &spans, &stored, schedule, &format!("year {seed}, {target}"));
            moves += spans.len() - 1;
            all_spans.push((site, target, spans));
        }
    }
    for (site, target, spans) in &all_spans {
        expired.extend(check_expiry(site, spans, &stored, &format!("year {seed}, {target}")));
    }
    check_executions(&account, &year.ended, seed);
    let failed = year.ended.iter().filter(|(_, result)| result.is_err()).count();
    check_notices(&account, failed, &expired, &stored, schedule, seed);
    println!(
        "year {seed}: {} events, {} rotations ({failed} failed), {moves} moves, {} notices, {} certificates \
         expired unreplaced",
        year.delivered,
        year.ended.len(),
        account.messages.len(),
        expired.len(),
    );
    assert!(
        year.ended.len() > 20 && !account.messages.is_empty(),
        "a year in which nothing happens"
    );
}

#[tokio::test(start_paused = true)]
async fn a_year_in_which_nothing_expires_that_could_be_replaced() {
    let seeds = std::env::var("YEAR_SEEDS").unwrap_or_else(|_| "1..4".into());
    let (from, to) = seeds.split_once("..").expect("YEAR_SEEDS=FROM..TO");
    for seed in from.parse().unwrap()..to.parse().unwrap() {
        Box::pin(year(seed)).await;
    }
}
