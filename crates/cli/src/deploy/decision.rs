//! What the state of a stack leads to.

use rotation_aws::stack::Stack;
use semver::Version;

use super::operation::Operation;

/// What a deployment does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Create,
    Update,
    /// An earlier deployment is still in progress.
    Follow,
    Refuse(String),
}

/// Decides for a deployment. `running` is the operation of a stack that is in progress.
pub(super) fn next(name: &str, stack: Option<&Stack>, running: Option<&Operation>) -> Next {
    let Some(stack) = stack else { return Next::Create };
    let status = &stack.status[..];
    let undeploy = format!("certrotate undeploy --stack {name}");
    match status {
        // A change set without an execution: the stack has no resources.
        "REVIEW_IN_PROGRESS" | "DELETE_COMPLETE" => Next::Create,
        _ if running.is_some_and(Operation::is_deployment) => Next::Follow,
        _ if !stack.is_ours() => Next::Refuse(of_another_product(name, stack)),
        "CREATE_COMPLETE"
        | "UPDATE_COMPLETE"
        | "UPDATE_ROLLBACK_COMPLETE"
        | "IMPORT_COMPLETE"
        | "IMPORT_ROLLBACK_COMPLETE" => Next::Update,
        "DELETE_IN_PROGRESS" => Next::Refuse(format!(
            "The stack {name} is being deleted. `{undeploy}` follows that; then deploy again."
        )),
        _ if status.ends_with("_IN_PROGRESS") => Next::Refuse(format!(
            "The stack {name} is {status}, and certrotate did not start that. Wait until it has ended, then \
             deploy again."
        )),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => Next::Refuse(format!(
            "The stack {name} was never complete and cannot be updated ({status}). Remove it with \
             `{undeploy}`, then deploy again."
        )),
        "DELETE_FAILED" => Next::Refuse(format!(
            "The stack {name} is deleted in part only ({status}). Finish that with `{undeploy}`, then deploy again."
        )),
        "UPDATE_ROLLBACK_FAILED" => Next::Refuse(format!(
            "The stack {name} could neither be updated nor go back ({status}). Remove what its events name as \
             the cause, let it go back with `aws cloudformation continue-update-rollback --stack-name {name}`, \
             then deploy again."
        )),
        _ => Next::Refuse(format!(
            "The stack {name} is {status}. Let it go back with `aws cloudformation rollback-stack --stack-name \
             {name}`, then deploy again."
        )),
    }
}

/// What a removal does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// There is no such stack.
    Nothing,
    Delete,
    /// It is being deleted already.
    Follow,
    Refuse(String),
}

/// Decides for a removal.
pub(crate) fn removal(name: &str, stack: Option<&Stack>) -> Removal {
    let Some(stack) = stack else { return Removal::Nothing };
    let status = &stack.status[..];
    match status {
        "DELETE_COMPLETE" => Removal::Nothing,
        // No resources, and neither outputs nor a description yet.
        "REVIEW_IN_PROGRESS" => Removal::Delete,
        _ if !stack.is_ours() => Removal::Refuse(of_another_product(name, stack)),
        "DELETE_IN_PROGRESS" => Removal::Follow,
        _ if status.ends_with("_IN_PROGRESS") => Removal::Refuse(format!(
            "The stack {name} is {status}. Wait until that has ended (`certrotate deploy` follows a deployment \
             that it has started), then try again."
        )),
        _ if stack.protected => Removal::Refuse(format!(
            "The stack {name} is protected against deletion. If it shall go, lift that with `aws cloudformation \
             update-termination-protection --no-enable-termination-protection --stack-name {name}`."
        )),
        _ => Removal::Delete,
    }
}

fn of_another_product(name: &str, stack: &Stack) -> String {
    let what = match stack.description.trim() {
        "" => String::new(),
        description => format!(" ({description})"),
    };
    format!("{name} is a stack of something else{what}. Choose another name with --stack.")
}

/// Is this archive no older than what is deployed? A stack without a version is older than any.
pub(super) fn version(
    name: &str,
    deployed: Option<&str>,
    archive: &Version,
    downgrade: bool,
) -> Result<(), String> {
    let Some(deployed) = deployed.and_then(|text| text.parse::<Version>().ok()) else {
        return Ok(());
    };
    if *archive < deployed && !downgrade {
        return Err(format!(
            "{name} has version {deployed}, and this archive is {archive}, which is older. Deploy a newer \
             archive, or pass --allow-downgrade to go back."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rotation_aws::stack::DESCRIPTION;

    use super::*;

    fn stack(status: &str, description: &str) -> Stack {
        Stack {
            id: "arn:stack".into(),
            name: "n".into(),
            status: status.into(),
            description: description.into(),
            protected: false,
            outputs: BTreeMap::new(),
            parameters: BTreeMap::new(),
        }
    }

    const OURS: &str =
        "Replaces third-party TLS certificates on CloudFront distributions, unattended.";

    #[test]
    fn the_template_has_the_description_by_which_a_stack_is_recognised() {
        assert!(include_str!("../../../../infra/template.yaml").contains(DESCRIPTION));
        assert!(OURS.starts_with(DESCRIPTION));
    }

    #[test]
    fn each_state_of_a_stack_leads_somewhere() {
        for (status, deploys, removes) in [
            ("CREATE_COMPLETE", Ok(Next::Update), Ok(Removal::Delete)),
            ("UPDATE_COMPLETE", Ok(Next::Update), Ok(Removal::Delete)),
            ("UPDATE_ROLLBACK_COMPLETE", Ok(Next::Update), Ok(Removal::Delete)),
            ("IMPORT_COMPLETE", Ok(Next::Update), Ok(Removal::Delete)),
            ("IMPORT_ROLLBACK_COMPLETE", Ok(Next::Update), Ok(Removal::Delete)),
            ("REVIEW_IN_PROGRESS", Ok(Next::Create), Ok(Removal::Delete)),
            ("DELETE_COMPLETE", Ok(Next::Create), Ok(Removal::Nothing)),
            (
                "ROLLBACK_COMPLETE",
                Err("`certrotate undeploy --stack n`, then"),
                Ok(Removal::Delete),
            ),
            ("ROLLBACK_FAILED", Err("was never complete"), Ok(Removal::Delete)),
            ("CREATE_FAILED", Err("was never complete"), Ok(Removal::Delete)),
            ("DELETE_FAILED", Err("Finish that with"), Ok(Removal::Delete)),
            ("UPDATE_ROLLBACK_FAILED", Err("continue-update-rollback"), Ok(Removal::Delete)),
            ("UPDATE_FAILED", Err("rollback-stack"), Ok(Removal::Delete)),
            ("DELETE_IN_PROGRESS", Err("is being deleted"), Ok(Removal::Follow)),
            ("CREATE_IN_PROGRESS", Err("did not start that"), Err("Wait until")),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Err("did not start that"), Err("Wait until")),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Err("did not start that"), Err("Wait until")),
        ] {
            let stack = stack(status, OURS);
            match (next("n", Some(&stack), None), deploys) {
                (Next::Refuse(said), Err(words)) => {
                    assert!(said.contains(words), "{status}: {said}")
                }
                (next, expected) => assert_eq!(Ok(next), expected, "{status}"),
            }
            match (removal("n", Some(&stack)), removes) {
                (Removal::Refuse(said), Err(words)) => {
                    assert!(said.contains(words), "{status}: {said}");
                }
                (next, expected) => assert_eq!(Ok(next), expected, "{status}"),
            }
        }
        assert_eq!(next("n", None, None), Next::Create);
        assert_eq!(removal("n", None), Removal::Nothing);
    }

    #[test]
    fn a_deployment_of_certrotate_is_followed_and_no_other() {
        let running = |token: &str| Operation { token: Some(token.into()), before: None };
        for (token, follows) in [
            ("certrotate-deploy-1", true),
            ("certrotate-undeploy-1", false),
            ("Console-CreateStack-7f59c3cf", false),
        ] {
            // Before it is complete, a stack may have no description yet.
            for description in [OURS, ""] {
                let stack = stack("CREATE_IN_PROGRESS", description);
                let next = next("n", Some(&stack), Some(&running(token)));
                assert_eq!(next == Next::Follow, follows, "{token}: {next:?}");
            }
        }
    }

    #[test]
    fn a_stack_of_something_else_is_left_alone() {
        for description in ["", "The shop."] {
            for status in
                ["CREATE_COMPLETE", "ROLLBACK_COMPLETE", "UPDATE_IN_PROGRESS", "DELETE_FAILED"]
            {
                let other = stack(status, description);
                let said = of_another_product("n", &other);
                assert_eq!(next("n", Some(&other), None), Next::Refuse(said.clone()));
                assert_eq!(removal("n", Some(&other)), Removal::Refuse(said.clone()));
                assert!(said.contains("Choose another name with --stack"), "{said}");
            }
        }
        let mut complete = stack("CREATE_COMPLETE", "");
        complete.outputs.insert("RotationStateMachineArn".into(), "arn".into());
        assert_eq!(next("n", Some(&complete), None), Next::Update);
    }

    #[test]
    fn a_protected_stack_is_not_removed() {
        let protected = Stack { protected: true, ..stack("CREATE_COMPLETE", OURS) };
        let Removal::Refuse(said) = removal("n", Some(&protected)) else { panic!("removed") };
        assert!(said.contains("update-termination-protection"), "{said}");
    }

    #[test]
    fn an_older_version_is_deployed_only_on_demand() {
        for (deployed, archive, fine) in [
            (None, "0.1.0", true),
            (Some("unknown"), "0.1.0", true),
            (Some("0.1.0"), "0.1.0", true),
            (Some("0.1.0"), "0.1.1", true),
            (Some("0.9.0"), "0.10.0", true),
            (Some("0.10.0"), "0.9.0", false),
            (Some("1.0.0"), "1.0.0-rc.1", false),
            (Some("1.0.0-rc.2"), "1.0.0-rc.10", true),
        ] {
            let archive = archive.parse().unwrap();
            assert_eq!(
                version("n", deployed, &archive, false).is_ok(),
                fine,
                "{deployed:?} {archive}"
            );
            assert_eq!(version("n", deployed, &archive, true), Ok(()));
        }
    }
}
