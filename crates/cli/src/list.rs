//! `certrotate list`: the third-party certificates of the account, and their targets.

use jiff::Timestamp;
use rotation_aws::store;
use rotation_core::automation::decision::days_left;
use rotation_core::ids::TargetId;
use rotation_core::request::tags;
use rotation_steps::account::fleet;
use rotation_steps::account::reading::Reading;
use serde::Serialize;

use crate::account;
use crate::args::Global;
use crate::failure::Failure;
use crate::output::{self, SOFT, WARN, day, first, of_days, styled};

/// The output of `--output json`.
#[derive(Debug, Serialize)]
struct Listing {
    certificates: Vec<Listed>,
}

/// A certificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    /// Its id in CloudFront.
    id: String,
    arn: String,
    store: String,
    names: Vec<String>,
    not_after: Timestamp,
    days_left: i64,
    /// Its tag `cert-rotation:source`; without it the certificate is not managed.
    source: Option<String>,
    /// Its tag `cert-rotation:dry-run`: automatic rotations are dry runs only.
    dry_run: bool,
    targets: Vec<TargetId>,
    /// Other uses, from ACM's `InUseBy`.
    other_users: Vec<String>,
}

/// Prints the list, with the earliest expiry first.
pub(crate) async fn run(global: &Global) -> Result<(), Failure> {
    let context = account::context(account::aws(global).await?)?;
    let now = account::now();
    let stored = store::all(&context.aws).await?;
    let ids: Vec<_> = stored.iter().map(|one| &one.id).collect();
    let fleet = fleet::list_fleet(&Reading::new(&context), &ids).await?;
    let mut certificates: Vec<Listed> = stored
        .iter()
        .map(|one| Listed {
            id: one.id.id().to_owned(),
            arn: one.id.arn().to_owned(),
            store: one.id.store().to_string(),
            names: one.certificate.dns_names().to_vec(),
            not_after: one.certificate.not_after(),
            days_left: days_left(&one.certificate, now),
            source: tags::value(&one.tags, tags::SOURCE).map(str::to_owned),
            dry_run: tags::value(&one.tags, tags::DRY_RUN) == Some("true"),
            targets: fleet.targets_of(&one.id),
            other_users: one
                .in_use_by
                .iter()
                .filter(|arn| !arn.contains(":cloudfront:"))
                .cloned()
                .collect(),
        })
        .collect();
    certificates.sort_by(|a, b| (a.not_after, &a.id).cmp(&(b.not_after, &b.id)));
    let listing = Listing { certificates };
    output::result(global, &listing, || text(&listing.certificates))
}

fn text(certificates: &[Listed]) -> String {
    if certificates.is_empty() {
        return "There is no third-party certificate for CloudFront in this account: none was imported into ACM \
                in us-east-1, and there is none in IAM under /cloudfront/."
            .into();
    }
    let mut table =
        output::table(&["DAYS LEFT", "ENDS", "NAMES", "TARGETS", "MANAGED", "CERTIFICATE"]);
    for one in certificates {
        let managed = match (&one.source, one.dry_run) {
            (Some(source), false) => source.clone(),
            (Some(source), true) => styled(WARN, format!("{source}, dry run only")),
            (None, _) => styled(SOFT, "no"),
        };
        let others = match one.other_users.len() {
            0 => String::new(),
            count => format!(" + {count} others"),
        };
        table.add_row([
            styled(of_days(one.days_left), one.days_left),
            day(one.not_after),
            first(&one.names, 3),
            format!("{}{others}", one.targets.len()),
            managed,
            one.id.clone(),
        ]);
    }
    table.trim_fmt()
}
