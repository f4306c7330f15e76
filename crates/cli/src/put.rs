//! `certrotate put`: checks a certificate and stores it in its source.

use rotation_aws::source::{self, Put as Came};
use rotation_core::request::source_ref;
use serde::Serialize;

use crate::account;
use crate::args::{Global, Put};
use crate::bundle;
use crate::check::{Checked, check, text, verdict};
use crate::failure::Failure;
use crate::output::{self, GOOD, styled};

/// The output of `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stored<'a> {
    source: &'a str,
    created: bool,
    certificate: &'a Checked,
}

/// Checks, asks for confirmation and stores.
pub(crate) async fn run(global: &Global, args: &Put) -> Result<(), Failure> {
    let source_ref = source_ref(&args.source).map_err(|(problem, cure)| {
        Failure::Usage(format!("--source {} {problem}: {cure}.", args.source))
    })?;
    let content = bundle::read(&args.check.bundle, args.check.password_file.as_deref())
        .map_err(|unreadable| Failure::from(*unreadable))?;
    let checked = check(&content.bundle, &args.check, account::now())?;
    output::say(text(&checked));
    verdict(&checked, &args.check)?;
    let aws = account::aws(global).await?;
    output::confirm(
        global,
        &format!(
            "\nThis certificate becomes the newest version of {}. If a managed certificate names that source, \
             its rotation starts at once.",
            args.source
        ),
    )?;
    let came = source::put(&aws, &source_ref, &content.text).await?;
    let created = came == Came::Created;
    let stored = Stored { source: &args.source, created, certificate: &checked };
    output::result(global, &stored, || {
        let what = if created { "was made" } else { "has a new version" };
        styled(GOOD, format!("✓ {} {what}.", args.source))
    })
}
