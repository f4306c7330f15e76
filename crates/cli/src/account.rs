//! Access to the account and its stack.

use std::sync::atomic::AtomicI64;

use jiff::Timestamp;
use rotation_aws::Aws;
use rotation_aws::stack::{self, Stack};
use rotation_steps::{Context, Settings};
use rotation_viewer::Edges;

use crate::args::Global;
use crate::failure::Failure;

/// Clients with the operator's credentials.
pub(crate) async fn aws(global: &Global) -> Result<Aws, Failure> {
    let profile = global.profile.clone().or_else(|| std::env::var("AWS_PROFILE").ok());
    Aws::of_person(profile.as_deref(), global.region.as_deref()).await.map_err(|words| {
        let of = profile.map_or_else(String::new, |profile| format!(" in the profile {profile}"));
        Failure::Aws(format!(
            "No usable AWS credentials{of}: {}. Log in (aws sso login), choose a profile with \
             --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            words.trim_end_matches('.')
        ))
    })
}

/// The only stack of the region, or the one named: clients, settings and clock, as in its
/// functions.
pub(crate) async fn deployed(global: &Global) -> Result<Context, Failure> {
    let aws = aws(global).await?;
    let mut stacks = stack::find(&aws, global.stack.as_deref()).await?;
    match (stacks.pop(), stacks.is_empty()) {
        (Some(stack), true) => {
            let mut context = context(aws)?;
            set(&mut context.settings, &stack);
            Ok(context)
        }
        (Some(last), false) => {
            let mut names: Vec<String> = stacks.into_iter().map(|stack| stack.name).collect();
            names.push(last.name);
            Err(Failure::Usage(format!(
                "This region has {} stacks of this system: {}. Choose one with --stack.",
                names.len(),
                names.join(", ")
            )))
        }
        (None, _) => Err(Failure::Aws(match &global.stack {
            Some(name) => format!(
                "There is no stack {name} of this system in this region. Omit --stack to find it automatically, or pass another --region."
            ),
            None => "The stack is not deployed in this account and region: see \"Deploy it\" in the README, or pass another --region or --profile."
                .into(),
        })),
    }
}

/// The context for the code of the steps, with the operator's clients and without a stack.
pub(crate) fn context(aws: Aws) -> Result<Context, Failure> {
    let settings = settings()?;
    Ok(Context {
        edges: Edges::system(settings.viewer_edge.clone()),
        aws,
        settings,
        now,
        over_at: AtomicI64::new(i64::MAX),
        // Only functions write metrics.
        metrics: Box::new(drop),
    })
}

/// Copies the stack's parameters into the settings.
fn set(settings: &mut Settings, stack: &Stack) {
    let number = |name: &str| stack.parameters.get(name)?.parse().ok();
    settings.poll_seconds = number("PollIntervalSeconds").unwrap_or(settings.poll_seconds);
    let output = |name: &str| stack.outputs.get(name).cloned().unwrap_or_default();
    settings.bucket = output("RotationBucketName");
    settings.state_machine_arn = output("RotationStateMachineArn");
    settings.extra_roots = stack.parameters.get("ExtraRoots").cloned().unwrap_or_default();
    settings.stack.clone_from(&stack.name);
}

/// The settings from the environment: additional roots.
pub(crate) fn settings() -> Result<Settings, Failure> {
    Settings::from_env().map_err(|error| Failure::Usage(format!("{error}.")))
}

/// The clock.
#[expect(clippy::disallowed_methods, reason = "the one place where the clock comes in")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
