//! `certrotate deploy`: deploys the archive of a release as a stack, or updates the stack to it.
//!
//! What CloudFormation knows better is left to it: it reads the template, checks the parameters and
//! computes the changes.

mod archive;
mod decision;
mod operation;
mod parameters;
mod place;

use std::collections::BTreeMap;

use rotation_aws::artifacts::Bucket;
use rotation_aws::change_set::{self, Change, Request};
use rotation_aws::error::ErrorKind;
use rotation_aws::stack::{self, Stack};
use rotation_aws::{Aws, step_functions};
use rotation_core::request::CLOUDFRONT_REGION;
use serde::Serialize;

use crate::account;
use crate::args::{Deploy, Global};
use crate::failure::Failure;
use crate::output::{self, BAD, GOOD, SOFT, STRONG, WARN, styled};

use archive::Archive;
pub(crate) use archive::PREFIX;
use decision::Next;
pub(crate) use decision::{Removal, removal};
pub(crate) use operation::{DEPLOYS, End, Operation, REMOVES, follow};
pub(crate) use place::of_its_own;

/// The name of the stack unless another is given.
pub(crate) const NAME: &str = "certificate-rotation";

/// The output of `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Deployed<'a> {
    stack: &'a str,
    version: String,
    /// Null if the stack is new, or older than versions.
    previous_version: Option<&'a str>,
    /// `created`, `updated`, `unchanged`, or `dryRun`.
    outcome: Outcome,
    changes: Vec<Shown>,
    /// Empty after a dry run.
    outputs: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Created,
    Updated,
    Unchanged,
    DryRun,
}

/// A change of a resource.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    action: String,
    resource: String,
    #[serde(rename = "type")]
    kind: String,
    /// `True`, `False` or `Conditional`; null unless it is modified.
    replacement: Option<String>,
}

/// Verifies, shows the changes, asks for confirmation, uploads, executes and follows.
pub(crate) async fn run(global: &Global, args: &Deploy) -> Result<(), Failure> {
    let archive = Archive::read(&args.folder)?;
    let given = parameters::given(args.parameters.as_deref(), &args.parameter)?;
    let aws = account::aws(global).await?;
    if aws.region() != Some(CLOUDFRONT_REGION) {
        return Err(Failure::Usage(format!(
            "The stack can only be deployed in {CLOUDFRONT_REGION}, where CloudFront reads certificates of ACM, \
             and the region is {}. Pass --region {CLOUDFRONT_REGION}.",
            aws.region().unwrap_or("unknown")
        )));
    }
    let (name, stack) = named(global, &aws).await?;
    let running = operation(&aws, stack.as_ref()).await?;
    let next = decision::next(&name, stack.as_ref(), running.as_ref());
    let creates = next == Next::Create;
    let deployment = Deployment { global, args, aws: &aws, archive, name, stack, creates };
    match next {
        Next::Refuse(reason) => Err(Failure::WillNotDo(reason)),
        Next::Follow => deployment.resume(running).await,
        Next::Create | Next::Update => deployment.change(&given).await,
    }
}

/// The operation that is in progress.
async fn operation(aws: &Aws, stack: Option<&Stack>) -> Result<Option<Operation>, Failure> {
    match stack {
        Some(stack) if stack.status.ends_with("_IN_PROGRESS") => {
            let events = change_set::events(aws, &stack.id, None).await;
            Ok(Operation::last(&events.map_err(Failure::of_deployer)?))
        }
        _ => Ok(None),
    }
}

/// The name of the stack, and the stack if it exists. Without `--stack` it must not be another one of
/// this system.
pub(crate) async fn named(global: &Global, aws: &Aws) -> Result<(String, Option<Stack>), Failure> {
    let name = global.stack.as_deref().unwrap_or(NAME);
    let stack = stack::describe(aws, name).await.map_err(Failure::of_deployer)?;
    if stack.is_none() && global.stack.is_none() {
        let others = match stack::find(aws, None).await {
            // The permission may be for this one stack.
            Err(error) if error.kind == ErrorKind::AccessDenied => Vec::new(),
            others => others.map_err(Failure::of_deployer)?,
        };
        let others: Vec<String> = others.into_iter().map(|other| other.name).collect();
        if let Some(other) = others.first() {
            return Err(Failure::Usage(format!(
                "There is no stack {name}, but this system is deployed as {}. Choose with --stack: \
                 --stack {other} for that one, --stack {name} for one of this name.",
                others.join(", ")
            )));
        }
    }
    Ok((name.to_owned(), stack))
}

/// The names of the rotations that are running.
pub(crate) async fn rotations(aws: &Aws, stack: &Stack) -> Result<Vec<String>, Failure> {
    let Some(machine) = stack.outputs.get("RotationStateMachineArn") else { return Ok(Vec::new()) };
    step_functions::running(aws.states(), machine).await.map_err(Failure::of_deployer)
}

/// One run of the command.
struct Deployment<'a> {
    global: &'a Global,
    args: &'a Deploy,
    aws: &'a Aws,
    archive: Archive,
    name: String,
    stack: Option<Stack>,
    creates: bool,
}

impl Deployment<'_> {
    fn deployed_version(&self) -> Option<&str> {
        Some(self.stack.as_ref()?.outputs.get(stack::VERSION)?)
    }

    /// Follows a deployment that is in progress already.
    async fn resume(&self, running: Option<Operation>) -> Result<(), Failure> {
        let before = running.and_then(|one| one.before);
        output::say(format!("The stack {} is being deployed: this follows it.", self.name));
        let end = self.follow(before, 0).await?;
        let now = self.ended(&end).await?;
        let version = now.outputs.get(stack::VERSION).map_or("", String::as_str);
        if version != self.archive.version.to_string() {
            return Err(Failure::WillNotDo(format!(
                "The stack {} now has version {version}, and this archive is {}. Deploy again for that.",
                self.name, self.archive.version
            )));
        }
        self.report(Outcome::Updated, &[], Some(now))
    }

    /// Creates the stack, or updates it.
    async fn change(&self, given: &BTreeMap<String, String>) -> Result<(), Failure> {
        let name = &self.name;
        let (archive, downgrade) = (&self.archive.version, self.args.allow_downgrade);
        decision::version(name, self.deployed_version(), archive, downgrade)
            .map_err(Failure::WillNotDo)?;
        self.wait_for_rotations().await?;

        let account = place::account(self.aws).await?;
        let bucket = place::bucket(self.global, self.args, self.aws, &account).await?;
        let bucket = Bucket { aws: self.aws, name: &bucket, account: &account };
        let template = self.archive.template(bucket.name);
        if !bucket.has(&template.key, &template.sha256).await.map_err(Failure::of_deployer)? {
            let stored = bucket.put(&template.key, &template.sha256, template.body).await;
            stored.map_err(Failure::of_deployer)?;
        }
        let url = change_set::template_url(bucket.name, &template.key, CLOUDFRONT_REGION);
        let declared = change_set::declared(self.aws, &url).await.map_err(Failure::of_deployer)?;
        let none = BTreeMap::new();
        let before = self.stack.as_ref().filter(|_| !self.creates);
        let parameters =
            parameters::choose(&declared, given, before.map_or(&none, |stack| &stack.parameters))
                .map_err(Failure::Usage)?;

        let set = format!("certrotate-{}", account::now().strftime("%Y%m%d-%H%M%S-%3f"));
        let request = Request {
            stack: name,
            name: &set,
            creates: self.creates,
            template: &url,
            parameters: &parameters,
            tags: &self.args.tags,
            role: self.args.role_arn.as_deref(),
        };
        match self.agree(&request, &bucket).await {
            Ok(Some(changes)) => self.execute(&request, &changes).await,
            Ok(None) => self.discard(&request).await,
            Err(failure) => {
                // The reason is what counts; a change set that is left behind does no harm.
                let _ = self.discard(&request).await;
                Err(failure)
            }
        }
    }

    /// An execution keeps its definition, but invokes the new functions.
    async fn wait_for_rotations(&self) -> Result<(), Failure> {
        let Some(stack) = &self.stack else { return Ok(()) };
        let running = rotations(self.aws, stack).await?;
        let Some(one) = running.first().filter(|_| !self.args.anyway && !self.args.dry_run) else {
            return Ok(());
        };
        Err(Failure::WillNotDo(format!(
            "A rotation is running ({}), and would go on with the functions of another version. Wait for its \
             end (`certrotate watch {one}`), or pass --anyway.",
            output::first(&running, 3)
        )))
    }

    /// Makes the change set, shows it, asks, and uploads what it needs. `None` if there is nothing to
    /// execute.
    async fn agree(
        &self,
        request: &Request<'_>,
        bucket: &Bucket<'_>,
    ) -> Result<Option<Vec<Change>>, Failure> {
        let name = &self.name;
        change_set::create(self.aws, request).await.map_err(of_parameters)?;
        let set = loop {
            let set = change_set::describe(self.aws, name, request.name).await;
            let set = set.map_err(Failure::of_deployer)?;
            match &set.status[..] {
                "CREATE_COMPLETE" => break set,
                "FAILED" if is_empty(&set.reason) => {
                    self.report(Outcome::Unchanged, &[], self.stack.clone())?;
                    return Ok(None);
                }
                "FAILED" => {
                    return Err(Failure::WillNotDo(format!(
                        "CloudFormation does not accept this: {}.",
                        set.reason.trim_end_matches('.')
                    )));
                }
                _ => operation::pause(self.args.interval).await,
            }
        };
        if self.args.dry_run {
            self.report(Outcome::DryRun, &set.changes, None)?;
            return Ok(None);
        }
        // Of a new stack, kinds and counts say more than a page of names.
        let shown = if self.creates { kinds(&set.changes) } else { table(&set.changes) };
        output::say(format!("\n{shown}\n"));
        output::confirm(self.global, &format!("{}: {}.", self.intent(), summary(&set.changes)))?;
        place::upload(bucket, &self.archive.files).await?;
        Ok(Some(set.changes))
    }

    fn intent(&self) -> String {
        let (name, version) = (&self.name, &self.archive.version);
        match self.deployed_version() {
            _ if self.creates => format!("The stack {name} is created with version {version}"),
            Some(old) if old == version.to_string() => {
                format!("The stack {name} keeps version {version}")
            }
            Some(old) => format!("The stack {name} goes from version {old} to {version}"),
            None => format!("The stack {name} gets version {version}"),
        }
    }

    /// Removes the change set, and the stack if there is nothing else to it.
    async fn discard(&self, request: &Request<'_>) -> Result<(), Failure> {
        change_set::discard(self.aws, &self.name, request.name)
            .await
            .map_err(Failure::of_deployer)?;
        if self.stack.is_some() {
            return Ok(());
        }
        // CloudFormation keeps a stack for a first change set, in REVIEW_IN_PROGRESS.
        let token = format!("{REMOVES}{}", request.name);
        let role = self.args.role_arn.as_deref();
        change_set::delete_stack(self.aws, &self.name, role, &token)
            .await
            .map_err(Failure::of_deployer)
    }

    async fn execute(&self, request: &Request<'_>, changes: &[Change]) -> Result<(), Failure> {
        let before = self.last_event().await?;
        let token = format!("{DEPLOYS}{}", request.name);
        change_set::execute(self.aws, &self.name, request.name, &token)
            .await
            .map_err(Failure::of_deployer)?;
        let end = self.follow(before, changes.len()).await?;
        let now = self.ended(&end).await?;
        let outcome = if self.creates { Outcome::Created } else { Outcome::Updated };
        self.report(outcome, changes, Some(now))
    }

    /// The last event before the operation.
    async fn last_event(&self) -> Result<Option<String>, Failure> {
        let events = change_set::events(self.aws, &self.name, None).await;
        Ok(events.map_err(Failure::of_deployer)?.pop().map(|event| event.id))
    }

    async fn follow(&self, before: Option<String>, steps: usize) -> Result<End, Failure> {
        let again = self.again();
        follow(self.global, self.aws, &self.name, before, steps, self.args.interval, &again).await
    }

    /// The command that continues.
    fn again(&self) -> String {
        let stack =
            if self.name == NAME { String::new() } else { format!(" --stack {}", self.name) };
        format!("certrotate deploy {}{stack}", self.args.folder.display())
    }

    /// The stack after a deployment that succeeded.
    async fn ended(&self, end: &End) -> Result<Stack, Failure> {
        failed(&self.name, end, self.deployed_version())?;
        let now = stack::describe(self.aws, &self.name).await.map_err(Failure::of_deployer)?;
        now.ok_or_else(|| Failure::Aws(format!("The stack {} is gone.", self.name)))
    }

    fn report(
        &self,
        outcome: Outcome,
        changes: &[Change],
        now: Option<Stack>,
    ) -> Result<(), Failure> {
        let deployed = Deployed {
            stack: &self.name,
            version: self.archive.version.to_string(),
            previous_version: self.deployed_version(),
            outcome,
            changes: changes
                .iter()
                .map(|one| Shown {
                    action: one.action.clone(),
                    resource: one.logical.clone(),
                    kind: one.kind.clone(),
                    replacement: one.replacement.clone(),
                })
                .collect(),
            outputs: now.as_ref().map(|stack| stack.outputs.clone()).unwrap_or_default(),
        };
        output::result(self.global, &deployed, || match (outcome, &now) {
            (Outcome::DryRun, _) => format!(
                "{}\n\n{}: {}.\nThis was a dry run: nothing was deployed. Only the template is in the bucket.",
                table(changes),
                self.intent(),
                summary(changes)
            ),
            (Outcome::Unchanged, _) => {
                let (name, version) = (&self.name, &self.archive.version);
                styled(GOOD, format!("✓ {name} has version {version} already: nothing to change."))
            }
            (_, Some(stack)) => done(stack, outcome == Outcome::Created),
            (_, None) => String::new(),
        })
    }
}

/// CloudFormation's two reasons for a change set without changes, which it counts as failed.
fn is_empty(reason: &str) -> bool {
    reason.contains("didn't contain changes") || reason.contains("No updates are to be performed")
}

/// CloudFormation refuses values of parameters before it computes changes.
fn of_parameters(error: rotation_aws::error::AwsError) -> Failure {
    if error.code.as_deref() == Some("ValidationError") && error.message.contains("Parameter") {
        let said = error.message.trim_start_matches("ValidationError: ");
        return Failure::Usage(format!("{}.", said.trim_end_matches('.')));
    }
    Failure::of_deployer(error)
}

fn table(changes: &[Change]) -> String {
    let mut table = output::table(&["ACTION", "RESOURCE", "TYPE", "REPLACED"]);
    for one in changes {
        let replaced = match one.replacement.as_deref() {
            Some("True") => styled(BAD, "yes"),
            Some("Conditional") => styled(WARN, "perhaps"),
            _ => String::new(),
        };
        let style = match &one.action[..] {
            "Add" | "Import" => GOOD,
            "Remove" => BAD,
            _ => WARN,
        };
        table.add_row([
            styled(style, &one.action),
            one.logical.clone(),
            styled(SOFT, &one.kind),
            replaced,
        ]);
    }
    table.trim_fmt()
}

/// How many resources of each type are added.
fn kinds(changes: &[Change]) -> String {
    let mut counts = BTreeMap::new();
    for one in changes {
        *counts.entry((&one.kind, &one.action)).or_insert(0) += 1;
    }
    let mut table = output::table(&["ACTION", "COUNT", "TYPE"]);
    for ((kind, action), count) in counts {
        table.add_row([styled(GOOD, action), count.to_string(), styled(SOFT, kind)]);
    }
    table.trim_fmt()
}

/// The changes in one line.
fn summary(changes: &[Change]) -> String {
    let count = |action: &str| changes.iter().filter(|one| one.action == action).count();
    let replaced = changes.iter().filter(|one| one.replacement.as_deref() == Some("True")).count();
    let counts: Vec<String> = [
        (count("Add"), "added"),
        (count("Modify"), "modified"),
        (replaced, "of those replaced"),
        (count("Remove"), "removed"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, words)| format!("{count} {words}"))
    .collect();
    let all = match changes.len() {
        0 => return "no resource changes, only outputs".into(),
        1 => "1 resource".to_owned(),
        all => format!("{all} resources"),
    };
    match &counts[..] {
        // Of one kind: the number stands already.
        [one] => {
            format!("{all} {}", one.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' '))
        }
        _ => format!("{all}, {}", counts.join(", ")),
    }
}

/// Fails unless the stack is complete.
fn failed(name: &str, end: &End, previous: Option<&str>) -> Result<(), Failure> {
    let cause = end.cause.as_deref().unwrap_or("CloudFormation names no cause.");
    let said = match &end.status[..] {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" => return Ok(()),
        "UPDATE_ROLLBACK_COMPLETE" => format!(
            "{name} was not updated: {cause}\nCloudFormation has gone back: {name} works as before, with {}. \
             Mend the cause, then deploy again.",
            previous
                .map_or_else(|| "the version before".to_owned(), |old| format!("version {old}"))
        ),
        "UPDATE_ROLLBACK_FAILED" => format!(
            "{name} was neither updated nor could it go back: {cause}\nMend the cause, then let it go back with \
             `aws cloudformation continue-update-rollback --stack-name {name}`."
        ),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => format!(
            "{name} was not created: {cause}\nMend the cause, remove what is left with `certrotate undeploy \
             --stack {name}`, then deploy again."
        ),
        status => format!("{name} ended as {status}: {cause}"),
    };
    Err(Failure::WillNotDo(said))
}

/// What there is now, and what to do next.
fn done(stack: &Stack, is_new: bool) -> String {
    let output = |name: &str| stack.outputs.get(name).map_or("", String::as_str);
    let given = |name: &str| stack.parameters.get(name).filter(|value| !value.is_empty());
    let mut lines = vec![
        format!(
            "{} {}  version {}",
            styled(GOOD, "✓"),
            styled(STRONG, &stack.name),
            output(stack::VERSION)
        ),
        format!("  State machine: {}", output("RotationStateMachineArn")),
        format!("  Plans and reports: {}", output("RotationBucketName")),
        format!("  Notices and alarms: {}", output("NoticeTopicArn")),
    ];
    let told: Vec<&str> =
        ["NoticeEmail", "NoticeUrl"].into_iter().filter_map(given).map(String::as_str).collect();
    lines.push(match (told.is_empty(), is_new) {
        (true, _) => format!(
            "  {} Nobody gets notices: deploy with -p NoticeEmail=ADDRESS, or subscribe to the topic.",
            styled(WARN, "!")
        ),
        (false, true) => format!("  AWS asks {} to confirm; before that no notice arrives.", told.join(" and ")),
        (false, false) => format!("  Notices go to {}.", told.join(" and ")),
    });
    if is_new {
        lines.push(String::new());
        lines.push("Next:".into());
        for (command, what) in [
            ("certrotate list", "the certificates, and what serves them"),
            ("certrotate put fullchain.pem key.pem --source tls/www", "stores a replacement"),
            ("certrotate plan tls/www --old CERT", "what a rotation would do"),
            ("certrotate adopt CERT --source tls/www", "rotates it by itself from then on"),
        ] {
            lines.push(format!("  {command:<55}  {}", styled(SOFT, what)));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted() {
        let one = |action: &str, replacement: Option<&str>| Change {
            action: action.into(),
            replacement: replacement.map(str::to_owned),
            ..Change::default()
        };
        for (changes, expected) in [
            (vec![], "no resource changes, only outputs"),
            (vec![one("Add", None), one("Add", None)], "2 resources added"),
            (vec![one("Modify", Some("False"))], "1 resource modified"),
            (
                vec![
                    one("Modify", Some("False")),
                    one("Modify", Some("True")),
                    one("Remove", None),
                ],
                "3 resources, 2 modified, 1 of those replaced, 1 removed",
            ),
        ] {
            assert_eq!(summary(&changes), expected);
        }
    }

    #[test]
    fn an_end_that_is_no_success_says_what_to_do() {
        for (status, expected) in [
            ("CREATE_COMPLETE", None),
            ("UPDATE_COMPLETE", None),
            ("UPDATE_ROLLBACK_COMPLETE", Some("works as before, with version 0.1.0.")),
            ("UPDATE_ROLLBACK_FAILED", Some("continue-update-rollback --stack-name n")),
            ("ROLLBACK_COMPLETE", Some("`certrotate undeploy --stack n`, then deploy again.")),
            ("CREATE_FAILED", Some("was not created: A (T): no.")),
            ("DELETE_COMPLETE", Some("n ended as DELETE_COMPLETE")),
        ] {
            let end = End { status: status.into(), cause: Some("A (T): no.".into()) };
            let said = failed("n", &end, Some("0.1.0")).err().map(|failure| failure.to_string());
            match (said, expected) {
                (None, None) => {}
                (Some(said), Some(words)) => assert!(said.contains(words), "{said}"),
                (said, _) => panic!("{status}: {said:?}"),
            }
        }
    }

    #[test]
    fn a_change_set_without_changes_is_no_failure() {
        for (reason, empty) in [
            (
                "The submitted information didn't contain changes. Submit different information to create a change set.",
                true,
            ),
            ("No updates are to be performed.", true),
            (
                "Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless Application",
                false,
            ),
        ] {
            assert_eq!(is_empty(reason), empty, "{reason}");
        }
    }
}
