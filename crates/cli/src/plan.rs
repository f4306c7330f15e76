//! `certrotate plan`: shows what a rotation would do. The code of the step `PlanRotation` makes the
//! plan, and writes nothing here.

use jiff::SignedDuration;
use rotation_core::certificate::covers;
use rotation_core::finding::Finding;
use rotation_core::ids::Serves;
use rotation_core::ids::{Store, TargetId};
use rotation_core::plan::Outcome;
use rotation_core::plan::estimate::{Estimate, estimate};
use rotation_core::plan::quota::{Room, nearly_full, room};
use rotation_core::plan::state::{Execution, NewCertificate, OldCertificate};
use rotation_steps::check_quota::uses;
use rotation_steps::plan_rotation::{Assessment, Input, rehearse};
use rotation_steps::{Context, check_quota};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::account;
use crate::args::{Global, OnFailure, Request};
use crate::failure::Failure;
use crate::output::{self, BAD, GOOD, SOFT, STRONG, WARN, first, moment, span, styled};

/// The text lists at most this many targets; the JSON has all of them.
const SHOWN: usize = 50;

/// The output of `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Planned {
    outcome: Outcome,
    /// The input for an execution of this plan.
    pub input: Value,
    store: Store,
    old_certificate: OldCertificate,
    new_certificate: NewCertificate,
    targets: Vec<Target>,
    quotas: Vec<Quota>,
    estimate: Estimate,
    notes: Vec<String>,
    /// Every problem that was found.
    pub findings: Vec<Finding>,
}

impl Planned {
    /// Is the only finding that the new certificate is the old one?
    pub(crate) fn is_the_same(&self) -> bool {
        self.old_certificate.fingerprint.as_ref() == Some(&self.new_certificate.fingerprint)
            && self.findings.len() == 1
    }
}

/// A target.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    target: TargetId,
    serves: Serves,
    deployed: bool,
    names: Vec<String>,
    /// The names that the new certificate does not cover.
    uncovered: Vec<String>,
}

/// A quota that the import counts against.
#[derive(Debug, Serialize)]
struct Quota {
    name: &'static str,
    used: u64,
    limit: f64,
    room: bool,
}

/// Plans, prints, and fails if there are findings.
pub(crate) async fn run(global: &Global, args: &Request) -> Result<(), Failure> {
    let context = account::deployed(global).await?;
    let planned = plan(&context, input(args)).await?;
    output::result(global, &planned, || text(&planned))?;
    verdict(&planned)
}

/// Fails if there are findings.
pub(crate) fn verdict(planned: &Planned) -> Result<(), Failure> {
    Failure::of(planned.findings.len(), "this rotation")
}

/// The input of the contract; options that were not given are omitted.
pub(crate) fn input(args: &Request) -> Value {
    let mut input = Map::new();
    let mut set = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            input.insert(field.to_owned(), value);
        }
    };
    set("newCertificate", Some(args.source.clone().into()));
    set("oldCertificate", args.old.clone().map(Value::from));
    set("store", args.store.map(|store| crate::check::store(store).to_string().into()));
    set("targets", (!args.targets.is_empty()).then(|| args.targets.clone().into()));
    set("excludeTargets", (!args.exclude.is_empty()).then(|| args.exclude.clone().into()));
    set("allowEarlierExpiry", args.allow_earlier_expiry.then_some(Value::Bool(true)));
    set("allowKeyChange", args.allow_key_change.then_some(Value::Bool(true)));
    let tags: Map<String, Value> =
        args.tags.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    set("tags", (!tags.is_empty()).then_some(Value::Object(tags)));
    set("concurrency", args.concurrency.map(Value::from));
    set("verifyViewers", args.no_verify.then_some(Value::Bool(false)));
    let name = |on| match on {
        OnFailure::Rollback => "rollback",
        OnFailure::Stop => "stop",
        OnFailure::Continue => "continue",
    };
    set("onFailure", args.on_failure.map(|on| name(on).into()));
    set("deleteOld", args.keep_old.then_some(Value::Bool(false)));
    set("retainOldDays", args.retain_old_days.map(Value::from));
    Value::Object(input)
}

/// Makes the plan for this input.
pub(crate) async fn plan(context: &Context, input: Value) -> Result<Planned, Failure> {
    // A plan belongs to an execution. This one is never started, and nothing is written under its
    // name.
    let execution = Execution {
        id: String::new(),
        name: "plan".into(),
        start_time: account::now(),
        redrive_count: 0,
    };
    let given = Input { request: input.clone(), execution };
    let Assessment { plan, targets, names, findings, .. } = rehearse(context, &given).await?;
    let uses = match plan.outcome {
        Outcome::NothingToDo => Vec::new(),
        _ => uses(context, &plan).await?,
    };
    let near = uses.iter().filter_map(|one| nearly_full(&one.quota, one.used, one.limit));
    let notes = plan.notes.into_iter().chain(near).collect();
    Ok(Planned {
        outcome: plan.outcome,
        input,
        store: plan.store,
        estimate: estimate(plan.targets.to_move, plan.concurrency, plan.poll_seconds),
        old_certificate: plan.old_certificate,
        new_certificate: plan.new_certificate,
        targets: targets
            .into_iter()
            .map(|member| Target {
                uncovered: member
                    .names
                    .iter()
                    .filter(|name| !covers(&names, name))
                    .cloned()
                    .collect(),
                target: member.target,
                serves: member.serves,
                deployed: member.deployed,
                names: member.names,
            })
            .collect(),
        quotas: uses.iter().map(quota).collect(),
        notes,
        findings,
    })
}

fn quota(one: &check_quota::Use) -> Quota {
    Quota {
        name: one.quota.name,
        used: one.used,
        limit: one.limit,
        room: matches!(room(one.used, one.limit, one.origin), Room::Enough),
    }
}

/// The plan as text.
pub(crate) fn text(planned: &Planned) -> String {
    let mut lines = certificates(planned);
    lines.push(String::new());
    if !planned.targets.is_empty() {
        lines.extend(targets(&planned.targets));
        lines.push(String::new());
    }
    lines.extend(planned.quotas.iter().map(quota_line));
    lines.extend(planned.notes.iter().map(|note| format!("{} {note}", styled(WARN, "!"))));
    lines.push(summary(planned));
    let cross = styled(BAD, "✗");
    lines.extend(planned.findings.iter().map(|it| format!("{cross} {it} ({})", it.ending.name())));
    lines.join("\n")
}

fn certificates(planned: &Planned) -> Vec<String> {
    let Planned { old_certificate: old, new_certificate: new, .. } = planned;
    let new_id = new.id.as_ref().map_or_else(
        || format!("{:.19}… (to be put into {})", new.fingerprint, planned.store),
        |id| format!("{} (in {} already)", id.id(), planned.store),
    );
    let old_until = old.not_after.map_or("–".to_owned(), moment);
    vec![
        format!("{}  {}, until {old_until}", styled(STRONG, "Old certificate"), old.given),
        format!("{}  {new_id}, until {}", styled(STRONG, "New certificate"), moment(new.not_after)),
    ]
}

fn targets(targets: &[Target]) -> Vec<String> {
    let mut table = output::table(&["TARGET", "NOW", "NAMES", "COVERED"]);
    for one in targets.iter().take(SHOWN) {
        let covered = match one.uncovered.len() {
            0 => styled(GOOD, "✓ all"),
            _ => styled(BAD, format!("✗ not {}", first(&one.uncovered, 3))),
        };
        table.add_row([
            one.target.to_string(),
            served(one.serves, one.deployed),
            first(&one.names, 3),
            covered,
        ]);
    }
    let mut lines = vec![table.trim_fmt()];
    if targets.len() > SHOWN {
        let more = targets.len() - SHOWN;
        lines.push(styled(SOFT, format!("and {more} more; --output json has all")));
    }
    lines
}

fn quota_line(quota: &Quota) -> String {
    let Quota { name, used, limit, room } = quota;
    if *room {
        format!("{} {name}: {used} of {limit} used", styled(GOOD, "✓"))
    } else {
        let mark = styled(WARN, "!");
        format!(
            "{mark} {name}: {used} of {limit} used: the rotation requests an increase and waits for it"
        )
    }
}

fn summary(planned: &Planned) -> String {
    if matches!(planned.outcome, Outcome::NothingToDo) {
        return styled(GOOD, "✓ Nothing to do.");
    }
    let to_move = planned.targets.iter().filter(|one| one.serves == Serves::Old).count();
    let of = match planned.targets.len() {
        1 => "1 target is".to_owned(),
        count => format!("{count} targets are"),
    };
    let Estimate { seconds, usd } = planned.estimate;
    let price = match usd {
        ..0.01 => "less than 0.01 USD".to_owned(),
        usd => format!("about {usd:.2} USD"),
    };
    let duration = span(SignedDuration::from_secs(seconds));
    format!("{to_move} of {of} to be moved, in about {duration}, for {price}.")
}

fn served(serves: Serves, deployed: bool) -> String {
    let certificate = match serves {
        Serves::Old => "old",
        Serves::New => "new",
        Serves::Other => "another",
    };
    if deployed { certificate.to_owned() } else { format!("{certificate}, in progress") }
}
