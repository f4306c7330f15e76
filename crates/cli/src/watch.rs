//! `certrotate watch`: follows a rotation until its end.
//!
//! Progress is read from the rotation's folder: the plan, the lanes and the records of targets.
//! Only the targets in progress, one per lane, are read from CloudFront.

mod progress;
mod view;

use std::time::Duration;

use rotation_steps::Context;

use crate::account;
use crate::args::{Global, Interval, Output, Watch};
use crate::execution;
use crate::failure::Failure;

use progress::{Known, Now};
use view::View;

/// Follows the named rotation, or the latest one.
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
        match known.refresh(context, arn).await {
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
