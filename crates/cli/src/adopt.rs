//! `certrotate adopt`: turns a certificate into a managed one.

use rotation_aws::store;
use rotation_core::request::old_ref;
use rotation_core::request::tags::{DRY_RUN, SOURCE, Tag};
use serde::Serialize;
use serde_json::json;

use crate::account;
use crate::args::{Adopt, Global};
use crate::failure::Failure;
use crate::output::{self, GOOD, WARN, styled};
use crate::plan;

/// The output of `--output json`.
#[derive(Debug, Serialize)]
struct Adopted<'a> {
    certificate: &'a str,
    tags: Vec<(&'a str, &'a str)>,
}

/// Plans, asks for confirmation and tags.
pub(crate) async fn run(global: &Global, args: &Adopt) -> Result<(), Failure> {
    let old = old_ref(&args.certificate).map_err(|(problem, cure)| {
        Failure::Usage(format!("{} {problem}: {cure}.", args.certificate))
    })?;
    let context = account::deployed(global).await?;
    let stored = store::find(&context.aws, &old).await?.ok_or_else(|| {
        Failure::WillNotDo(format!(
            "{} is in neither store of this account. `certrotate list` shows those that are.",
            args.certificate
        ))
    })?;
    let input = json!({"newCertificate": args.source, "oldCertificate": args.certificate});
    let planned = plan::plan(&context, input).await;
    let verdict = planned.and_then(|planned| {
        // Right after a rotation the source contains the served certificate: no problem.
        if planned.is_the_same() {
            output::say(format!(
                "{} contains this same certificate: there is nothing to rotate until it contains a new one.",
                args.source
            ));
            return Ok(());
        }
        output::say(plan::text(&planned));
        plan::verdict(&planned)
    });
    match verdict {
        Err(Failure::WillNotDo(reason)) if args.anyway => output::say(styled(WARN, reason)),
        Err(Failure::WillNotDo(reason)) => {
            return Err(Failure::WillNotDo(format!(
                "{reason}\nTo tag it regardless, pass --anyway."
            )));
        }
        verdict => verdict?,
    }

    let mut tags: Vec<Tag> = vec![Tag::new(SOURCE, &args.source)];
    if args.dry_run_only {
        tags.push(Tag::new(DRY_RUN, "true"));
    }
    let listed: Vec<String> =
        tags.iter().map(|tag| format!("{} = {}", tag.key, tag.value)).collect();
    let then = if args.dry_run_only {
        "From then on its rotation is rehearsed when it is due, and when its source changes."
    } else {
        "From then on it is rotated when it is due, and when its source changes."
    };
    output::confirm(
        global,
        &format!("\n{} gets the tags {}. {then}", stored.id.id(), listed.join(", ")),
    )?;
    store::tag(&context.aws, &stored.id, &tags).await?;
    let pairs = tags.iter().map(|tag| (&tag.key[..], &tag.value[..])).collect();
    output::result(global, &Adopted { certificate: stored.id.id(), tags: pairs }, || {
        styled(GOOD, format!("✓ {} is managed.", stored.id.id()))
    })
}
