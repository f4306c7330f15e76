//! `certrotate watch`: follows a rotation until its end.
//!
//! What is known comes from where the rotation itself writes it down: the plan, the lanes and the records of
//! targets in its folder. Only the targets under way, one a lane, are asked for in CloudFront.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use rotation_aws::cloudfront::{self, Status};
use rotation_aws::s3;
use rotation_aws::step_functions::{self, Execution};
use rotation_core::ids::TargetId;
use rotation_core::target::record::{Record, Way, words};
use rotation_steps::Context;
use rotation_steps::payload::{Folder, Plan, Target, file};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account;
use crate::args::{Global, Interval, Output, Watch};
use crate::execution::{self, find};
use crate::failure::Failure;
use crate::output::{self, BAD, GOOD, SOFT, STRONG, styled};

/// Follows the rotation that is named, or the one that was started last.
pub(crate) async fn run(global: &Global, args: &Watch) -> Result<(), Failure> {
    let context = account::deployed(global).await?;
    let arn = execution::which(&context, args.execution.execution.as_deref()).await?;
    follow(global, &context, &arn, args.interval).await
}

/// Follows this rotation until its end, or until Ctrl-C.
pub(crate) async fn follow(
    global: &Global,
    context: &Context,
    arn: &str,
    interval: Interval,
) -> Result<(), Failure> {
    let name = execution::name(arn);
    let looks = watch(global, context, arn, interval);
    tokio::select! {
        ended = looks => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted(format!(
            "The rotation {name} continues. `certrotate watch {name}` shows its progress again."
        ))),
    }
}

async fn watch(
    global: &Global,
    context: &Context,
    arn: &str,
    interval: Interval,
) -> Result<(), Failure> {
    let mut view = View::new(global, execution::name(arn));
    let mut known = Known::default();
    let mut last: Option<Now> = None;
    loop {
        match known.look(context, arn).await {
            Ok((execution, now)) => {
                if last.as_ref() != Some(&now) || global.output == Output::Text {
                    view.show(&now)?;
                }
                if !execution.running {
                    return view.end(&execution, &now);
                }
                last = Some(now);
            }
            Err(failure @ Failure::Passing(_)) => view.lost(&failure),
            Err(failure) => return Err(failure),
        }
        pause(interval).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a person watches; no step runs here")]
async fn pause(interval: Interval) {
    tokio::time::sleep(Duration::from_secs(interval.interval.into())).await;
}

/// How a rotation stands. `--output json` prints one a line, whenever something is different.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Now {
    rotation: String,
    /// As Step Functions has it.
    status: String,
    /// The state of the state machine.
    state: Option<String>,
    /// How many targets there are; none before the plan.
    total: Option<usize>,
    /// How many of them came to an end on their way forward.
    done: usize,
    /// How many were put back.
    back: usize,
    /// Those of them that failed.
    failed: Vec<Failed>,
    /// How often steps of targets that are done were retried.
    retries: u64,
    /// Under way.
    in_flight: Vec<Flight>,
    /// When it will end, by what has been seen so far.
    #[serde(skip)]
    seconds_left: Option<i64>,
}

/// A target that failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Failed {
    target: TargetId,
    error: String,
}

/// A target under way.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Flight {
    target: TargetId,
    way: Way,
    step: Step,
    /// When it was its turn.
    since: Timestamp,
}

impl fmt::Display for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Forward => self.step.fmt(f),
            Way::Back => write!(f, "back to the old certificate: {}", self.step),
        }
    }
}

/// What happens to a target just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Step {
    Updating,
    Propagating,
    Verifying,
    Gone,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Updating => "updating",
            Self::Propagating => "propagating",
            Self::Verifying => "Deployed, verifying",
            Self::Gone => "gone",
        })
    }
}

/// `plan.json`, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlanFile {
    made_at: Timestamp,
    plan: Plan,
}

/// What does not change any more once it was read.
#[derive(Default)]
struct Known {
    plan: Option<PlanFile>,
    /// Of the rollback; 0 on the way forward.
    round: u64,
    /// Of this round, wave by wave, lane by lane.
    waves: Vec<Vec<Vec<Target>>>,
    forward: BTreeMap<String, Record>,
    back: BTreeMap<String, Record>,
}

impl Known {
    async fn look(&mut self, context: &Context, arn: &str) -> Result<(Execution, Now), Failure> {
        let execution = find(context, arn).await?;
        let folder = execution::folder(context, arn, &execution);
        let state = match execution.running {
            true => step_functions::current_state(context.aws.states(), arn).await?,
            false => None,
        };
        self.read(context, &folder).await?;
        let in_flight = match execution.running {
            true => self.in_flight(context).await?,
            false => Vec::new(),
        };
        let records = || self.forward.values().chain(self.back.values());
        let now = Now {
            rotation: execution::name(arn).to_owned(),
            status: execution.status.clone(),
            state,
            total: self.plan.as_ref().map(|file| file.plan.targets.total),
            done: self.forward.len(),
            back: self.back.len(),
            failed: records()
                .filter_map(|record| {
                    let error = record.failure.as_ref()?.error.clone();
                    Some(Failed { target: record.target.clone(), error })
                })
                .collect(),
            retries: records().map(Record::retries).sum(),
            in_flight,
            seconds_left: self.seconds_left(account::now()),
        };
        Ok((execution, now))
    }

    /// Reads what has been written since: each object once.
    async fn read(&mut self, context: &Context, folder: &Folder) -> Result<(), Failure> {
        let (s3, bucket) = (context.aws.s3(), &folder.bucket);
        if self.plan.is_none() {
            let found = s3::find_json(s3, bucket, &folder.key("plan.json")).await?;
            self.plan = found.map(|(file, _)| file);
        }
        for way in [Way::Forward, Way::Back] {
            let keys = s3::list_keys(s3, bucket, &folder.records(way)).await?;
            let round = self.round;
            for key in keys {
                let file = key.rsplit('/').next().unwrap_or(&key).to_owned();
                match self.records(way).entry(file) {
                    Entry::Vacant(place) => {
                        place.insert(s3::get_json(s3, bucket, &key).await?);
                    }
                    // A later round writes over what the one before has written.
                    Entry::Occupied(mut known) if way == Way::Back && known.get().round < round => {
                        known.insert(s3::get_json(s3, bucket, &key).await?);
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        let (round, waves) = self.lanes(context, folder).await?;
        if self.waves.is_empty() || round > self.round {
            let mut read = Vec::new();
            for wave in waves {
                let mut lanes = Vec::new();
                for key in wave {
                    lanes.push(s3::get_json(s3, bucket, &key).await?);
                }
                read.push(lanes);
            }
            (self.round, self.waves) = (round, read);
        }
        Ok(())
    }

    /// The number of the last round and the keys of its lanes, wave by wave.
    async fn lanes(
        &self,
        context: &Context,
        folder: &Folder,
    ) -> Result<(u64, Vec<Vec<String>>), Failure> {
        if self.halted() {
            let prefix = folder.key("back/");
            let mut rounds: BTreeMap<u64, Vec<String>> = BTreeMap::new();
            for key in s3::list_keys(context.aws.s3(), &folder.bucket, &prefix).await? {
                let round = key.strip_prefix(&prefix).and_then(|rest| rest.split_once('/'));
                let round = round.and_then(|(round, _)| round.parse().ok()).unwrap_or(0);
                rounds.entry(round).or_default().push(key);
            }
            if let Some((round, lanes)) = rounds.pop_last() {
                return Ok((round, vec![lanes]));
            }
        }
        let forward = self.plan.as_ref().map(|file| file.plan.targets.waves.clone());
        Ok((0, forward.unwrap_or_default()))
    }

    /// After a failure no further target is begun on the way forward.
    fn halted(&self) -> bool {
        self.forward.values().any(|record| record.failure.is_some())
    }

    fn records(&mut self, way: Way) -> &mut BTreeMap<String, Record> {
        match way {
            Way::Forward => &mut self.forward,
            Way::Back => &mut self.back,
        }
    }

    /// Of the first wave that is not done, the first target without a record of each lane, and since when.
    fn turns(&self) -> Vec<(TargetId, Timestamp)> {
        let Some(file) = &self.plan else { return Vec::new() };
        let (records, mut since) = match self.round {
            0 => (&self.forward, file.made_at),
            _ => {
                let before = self.forward.values().chain(self.back.values());
                let before = before.filter(|one| one.round < self.round);
                (&self.back, before.map(|one| one.at).max().unwrap_or(file.made_at))
            }
        };
        let record = |target: &Target| {
            records.get(&file_of(target)).filter(|record| record.round == self.round)
        };
        for wave in &self.waves {
            let turns: Vec<(TargetId, Timestamp)> = wave
                .iter()
                .filter_map(|lane| {
                    let turn = lane.iter().position(|target| record(target).is_none())?;
                    let before = turn.checked_sub(1).and_then(|before| record(&lane[before]));
                    Some((lane[turn].target.clone(), before.map_or(since, |record| record.at)))
                })
                .collect();
            if !turns.is_empty() {
                return turns;
            }
            since = wave
                .iter()
                .flatten()
                .filter_map(record)
                .map(|record| record.at)
                .max()
                .unwrap_or(since);
        }
        Vec::new()
    }

    async fn in_flight(&mut self, context: &Context) -> Result<Vec<Flight>, Failure> {
        let old = self.plan.as_ref().and_then(|file| file.plan.old_certificate.id.clone());
        let way = if self.round == 0 { Way::Forward } else { Way::Back };
        let (Some(old), false) = (old, way == Way::Forward && self.halted()) else {
            return Ok(Vec::new());
        };
        let mut flights = Vec::new();
        for (target, since) in self.turns() {
            let status = cloudfront::status(context.aws.cloudfront(), &target).await?;
            let step = status.map_or(Step::Gone, |status| {
                let is_old = status.certificate.as_ref().is_some_and(|one| one.is(&old));
                match status.status {
                    _ if is_old == (way == Way::Forward) => Step::Updating,
                    Status::Deployed => Step::Verifying,
                    _ => Step::Propagating,
                }
            });
            flights.push(Flight { target, way, step, since });
        }
        Ok(flights)
    }

    /// As long as the targets so far have taken, side by side as they are.
    fn seconds_left(&self, now: Timestamp) -> Option<i64> {
        let file = self.plan.as_ref()?;
        let left = file.plan.targets.total.checked_sub(self.forward.len())?;
        let done = i64::try_from(self.forward.len()).ok().filter(|done| *done > 0)?;
        let left = i64::try_from(left).ok()?;
        Some(now.duration_since(file.made_at).as_secs() * left / done)
    }
}

fn file_of(target: &Target) -> String {
    file(&target.target)
}

/// Where it is shown: in place on a terminal, else each change on a line.
struct View {
    output: Output,
    name: String,
    terminal: Option<Bars>,
    /// What was printed last, line by line, where there is no terminal.
    printed: BTreeMap<String, String>,
    is_lost: bool,
}

struct Bars {
    all: MultiProgress,
    head: ProgressBar,
    flights: BTreeMap<TargetId, ProgressBar>,
}

impl View {
    fn new(global: &Global, name: &str) -> Self {
        let shows = global.output == Output::Text && std::io::stderr().is_terminal();
        let terminal = shows.then(|| {
            let all = MultiProgress::new();
            let head = all.add(ProgressBar::new(0));
            head.set_style(style("{prefix:.bold} {wide_bar:.green/dim} {pos}/{len} {msg}"));
            head.set_prefix(name.to_owned());
            head.enable_steady_tick(Duration::from_millis(200));
            Bars { all, head, flights: BTreeMap::new() }
        });
        Self {
            output: global.output,
            name: name.to_owned(),
            terminal,
            printed: BTreeMap::new(),
            is_lost: false,
        }
    }

    fn show(&mut self, now: &Now) -> Result<(), Failure> {
        self.is_lost = false;
        if self.output == Output::Json {
            let line = serde_json::to_string(now).map_err(|error| {
                Failure::Aws(format!("This cannot be written as JSON: {error}."))
            })?;
            return output::line(&line);
        }
        if let Some(bars) = &mut self.terminal {
            bars.show(now);
            return Ok(());
        }
        self.changed("state", now.state.clone().unwrap_or_default());
        if let Some(total) = now.total {
            let back =
                if now.back > 0 { format!(", {} restored", now.back) } else { String::new() };
            self.changed("targets", format!("{} of {total} done{back}", now.done));
        }
        for failed in &now.failed {
            self.changed(&failed.target.to_string(), format!("failed: {}", failed.error));
        }
        for flight in &now.in_flight {
            self.changed(&flight.target.to_string(), flight.to_string());
        }
        Ok(())
    }

    fn changed(&mut self, what: &str, how: String) {
        if !how.is_empty() && self.printed.get(what) != Some(&how) {
            output::say(format!("{}  {what}: {how}", account::now().strftime("%H:%M:%S")));
            self.printed.insert(what.to_owned(), how);
        }
    }

    fn lost(&mut self, failure: &Failure) {
        let told = format!("{failure} Retrying; the rotation continues.");
        match &self.terminal {
            Some(bars) => bars.head.set_message(told),
            None if !self.is_lost => output::say(told),
            None => {}
        }
        self.is_lost = true;
    }

    /// How it ended, for people; programs were told by the last line.
    fn end(self, execution: &Execution, now: &Now) -> Result<(), Failure> {
        if let Some(bars) = self.terminal {
            bars.clear();
        }
        let name = &self.name;
        if !execution.succeeded {
            let error = &execution.error;
            return Err(Failure::WillNotDo(format!(
                "{name} failed: {error}. {}\n`certrotate explain {error}` says more, `certrotate report {name}` \
                 shows the outcome of each target.",
                words(error, &execution.cause)
            )));
        }
        if self.output == Output::Json {
            return Ok(());
        }
        let took = execution.stopped.map(|stopped| stopped.duration_since(execution.started));
        output::line(&ended(name, execution.output.as_ref(), took, now.retries))
    }
}

fn ended(name: &str, result: Option<&Value>, took: Option<SignedDuration>, retries: u64) -> String {
    let none = Value::Null;
    let result = result.unwrap_or(&none);
    let count = |field: &str| result["targets"][field].as_u64().unwrap_or(0);
    let mut lines = vec![format!(
        "{} {}  {}{}",
        styled(GOOD, "✓"),
        styled(STRONG, name),
        result["outcome"].as_str().unwrap_or("ended"),
        took.map_or_else(String::new, |took| format!(", in {}", output::span(took)))
    )];
    let counts: Vec<String> = [
        ("updated", "moved"),
        ("alreadyCurrent", "already on the new certificate"),
        ("drifted", "left unchanged: they serve a third certificate"),
        ("gone", "gone"),
        ("failed", "failed"),
    ]
    .into_iter()
    .filter(|(field, _)| count(field) > 0)
    .map(|(field, words)| format!("{} {words}", count(field)))
    .collect();
    let retried = if retries > 0 { format!("; {retries} retries") } else { String::new() };
    lines.push(format!("  Targets: {}, {}{retried}", count("total"), counts.join(", ")));
    if let Some(new) = result["newCertificate"]["id"].as_str() {
        lines.push(format!("  New certificate: {new}"));
    }
    let old = &result["oldCertificate"];
    if old["deleted"] == true {
        lines.push("  The old certificate is deleted.".into());
    } else if let Some(reason) = old["reason"].as_str() {
        lines.push(format!("  The old certificate is kept: {reason}"));
    }
    for note in result["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        lines.push(format!("  {note}"));
    }
    lines.push(styled(SOFT, format!("  certrotate report {name}")));
    lines.join("\n")
}

impl Bars {
    fn show(&mut self, now: &Now) {
        self.head.set_length(now.total.unwrap_or(0) as u64);
        self.head.set_position(now.done as u64);
        let left = now.seconds_left.filter(|_| now.done < now.total.unwrap_or(0));
        let left =
            left.map(|left| format!("{} left", output::span(SignedDuration::from_secs(left))));
        let retries = (now.retries > 0).then(|| format!("{} retries", now.retries));
        let failed =
            (!now.failed.is_empty()).then(|| styled(BAD, format!("{} failed", now.failed.len())));
        let back = (now.back > 0).then(|| format!("{} restored", now.back));
        let state = now.state.clone();
        let said: Vec<String> =
            [state, failed, back, retries, left].into_iter().flatten().collect();
        self.head.set_message(said.join(", "));

        self.flights.retain(|target, bar| {
            let goes_on = now.in_flight.iter().any(|flight| flight.target == *target);
            if !goes_on {
                self.all.remove(bar);
            }
            goes_on
        });
        for flight in &now.in_flight {
            let bar = self.flights.entry(flight.target.clone()).or_insert_with(|| {
                let bar = self.all.add(ProgressBar::new_spinner());
                bar.set_style(style("  {spinner} {prefix}  {msg}"));
                bar.set_prefix(flight.target.to_string());
                bar.enable_steady_tick(Duration::from_millis(200));
                bar
            });
            let since = account::now().duration_since(flight.since);
            bar.set_message(format!("{flight}  {}", output::span(since)));
        }
    }

    fn clear(self) {
        for bar in self.flights.into_values().chain([self.head]) {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // A template that indicatif does not take would be a defect, which its default shows.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
