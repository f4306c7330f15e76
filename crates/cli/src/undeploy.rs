//! `certrotate undeploy`: removes the stack, and says what stays.

use std::collections::BTreeMap;

use rotation_aws::artifacts::{self, Bucket, Found};
use rotation_aws::change_set;
use rotation_aws::stack::Stack;
use serde::Serialize;

use crate::account;
use crate::args::{Global, Undeploy};
use crate::deploy::{self, Operation, PREFIX, REMOVES, Removal};
use crate::failure::Failure;
use crate::output::{self, GOOD, SOFT, STRONG, WARN, styled};

/// The output of `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Undeployed<'a> {
    stack: &'a str,
    /// False after a dry run, and if there was no stack.
    removed: bool,
    /// How many resources of each type the stack has or had.
    resources: BTreeMap<String, usize>,
    stays: Vec<Stays>,
}

/// What is left, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Stays {
    what: String,
    why: String,
}

/// Shows what goes and what stays, asks for confirmation, removes and follows.
pub(crate) async fn run(global: &Global, args: &Undeploy) -> Result<(), Failure> {
    let aws = account::aws(global).await?;
    let (name, stack) = deploy::named(global, &aws).await?;
    let follows = match deploy::removal(&name, stack.as_ref()) {
        Removal::Refuse(reason) => return Err(Failure::WillNotDo(reason)),
        Removal::Nothing => None,
        Removal::Follow => Some(true),
        Removal::Delete => Some(false),
    };
    let (Some(follows), Some(stack)) = (follows, stack) else {
        let none = Undeployed {
            stack: &name,
            removed: false,
            resources: BTreeMap::new(),
            stays: Vec::new(),
        };
        return output::result(global, &none, || {
            format!("There is no stack {name} in this account and region: nothing to remove.")
        });
    };
    let running = deploy::rotations(&aws, &stack).await?;
    if let (Some(one), false) = (running.first(), follows) {
        return Err(Failure::WillNotDo(format!(
            "A rotation is running ({}), and would stop in the middle. Wait for its end (`certrotate watch \
             {one}`), or stop it as docs/runbook.md says.",
            output::first(&running, 3)
        )));
    }

    let account = artifacts::account(&aws).await.map_err(Failure::of_deployer)?;
    let own = args.bucket.clone().unwrap_or_else(|| deploy::of_its_own(&account));
    let artifacts = Bucket { aws: &aws, name: &own, account: &account };
    let has_artifacts = artifacts.find().await.map_err(Failure::of_deployer)? == Found::Ours;
    let types = change_set::resource_types(&aws, &stack.id).await.map_err(Failure::of_deployer)?;
    let mut resources = BTreeMap::new();
    for kind in types {
        *resources.entry(kind).or_insert(0) += 1;
    }
    let kept = has_artifacts && !args.artifacts;
    let stays = stays(&stack, &resources, kept.then_some(&own[..]));
    let mut undeployed = Undeployed { stack: &name, removed: false, resources, stays };
    if args.dry_run {
        return output::result(global, &undeployed, || {
            format!("{}\n\nThis was a dry run: nothing was changed.", text(&undeployed))
        });
    }
    if !follows {
        let what = match has_artifacts && args.artifacts {
            true => format!("The stack {name} and the files in the bucket {own} are deleted."),
            false => format!("The stack {name} is deleted."),
        };
        output::say(format!("{}\n", text(&undeployed)));
        output::confirm(global, &format!("{what} Managed certificates are no longer rotated."))?;
    }
    remove(global, args, &aws, &stack, follows).await?;
    if has_artifacts && args.artifacts {
        let emptied = artifacts.empty_and_delete(PREFIX).await.map_err(Failure::of_deployer)?;
        output::say(match emptied {
            true => format!("The bucket {own} is deleted."),
            false => format!("The bucket {own} has other objects, and was not deleted."),
        });
    }
    undeployed.removed = true;
    output::result(global, &undeployed, || styled(GOOD, format!("✓ {name} is deleted.")))
}

/// Deletes the stack unless it is being deleted, and follows until its end.
async fn remove(
    global: &Global,
    args: &Undeploy,
    aws: &rotation_aws::Aws,
    stack: &Stack,
    follows: bool,
) -> Result<(), Failure> {
    let (name, id) = (&stack.name, &stack.id);
    let events = change_set::events(aws, id, None).await.map_err(Failure::of_deployer)?;
    let before = if follows {
        Operation::last(&events).and_then(|operation| operation.before)
    } else {
        let token = format!("{REMOVES}{}", account::now().strftime("%Y%m%d-%H%M%S"));
        change_set::delete_stack(aws, id, args.role_arn.as_deref(), &token)
            .await
            .map_err(Failure::of_deployer)?;
        events.last().map(|event| event.id.clone())
    };
    let again = format!("certrotate undeploy --stack {name}");
    // By its ARN: a deleted stack has no name any more.
    let end = deploy::follow(global, aws, id, before, 0, args.interval, &again).await?;
    match &end.status[..] {
        "DELETE_COMPLETE" => Ok(()),
        status => Err(Failure::WillNotDo(format!(
            "{name} was not deleted ({status}): {}\nMend the cause, then run `{again}` again: it goes on with what \
             is left.",
            end.cause.as_deref().unwrap_or("CloudFormation names no cause.")
        ))),
    }
}

/// What a removal leaves.
fn stays(
    stack: &Stack,
    resources: &BTreeMap<String, usize>,
    artifacts: Option<&str>,
) -> Vec<Stays> {
    let one = |what: String, why: &str| Stays { what, why: why.to_owned() };
    let mut stays = vec![one(
        "Certificates, distributions and sources".into(),
        "they are not part of the stack; tags of managed certificates do nothing without it",
    )];
    if let Some(bucket) = stack.outputs.get("RotationBucketName") {
        stays.push(one(
            format!("The bucket {bucket}"),
            "it has the plans and reports of past rotations; delete it when you no longer need them",
        ));
    }
    if let Some(bucket) = artifacts {
        stays.push(one(
            format!("The bucket {bucket}"),
            "it has the files that were deployed, for the next deployment; --artifacts deletes them too",
        ));
    }
    if resources.contains_key("AWS::KMS::Key") {
        stays.push(one(
            "The key of the notices".into(),
            "AWS deletes it after 30 days, and does not charge for it until then",
        ));
    }
    stays
}

fn text(undeployed: &Undeployed<'_>) -> String {
    let total: usize = undeployed.resources.values().sum();
    let kinds: Vec<String> = undeployed
        .resources
        .iter()
        .map(|(kind, count)| format!("  {count:>3}  {}", styled(SOFT, kind)))
        .collect();
    let stays: Vec<String> = undeployed
        .stays
        .iter()
        .map(|one| format!("  {} {}: {}.", styled(WARN, "!"), one.what, one.why))
        .collect();
    format!(
        "{} {}, {total} resources:\n{}\n\n{}\n{}",
        styled(STRONG, "The stack"),
        undeployed.stack,
        kinds.join("\n"),
        styled(STRONG, "What stays:"),
        stays.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_named_with_its_reason() {
        let mut stack = Stack {
            id: "arn".into(),
            name: "n".into(),
            status: "ROLLBACK_COMPLETE".into(),
            description: String::new(),
            protected: false,
            outputs: BTreeMap::new(),
            parameters: BTreeMap::new(),
        };
        let what =
            |stays: Vec<Stays>| -> Vec<String> { stays.into_iter().map(|one| one.what).collect() };
        let none = BTreeMap::new();
        let always = "Certificates, distributions and sources";
        assert_eq!(what(stays(&stack, &none, None)), [always]);
        stack.outputs.insert("RotationBucketName".into(), "plans".into());
        let resources = BTreeMap::from([("AWS::KMS::Key".to_owned(), 1)]);
        assert_eq!(
            what(stays(&stack, &resources, Some("files"))),
            [always, "The bucket plans", "The bucket files", "The key of the notices"]
        );
    }
}
