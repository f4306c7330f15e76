//! Examines whether one certificate can replace another. `plan-rotation` builds the plan from it,
//! `start-rotation` evaluates a replacement with it.

mod members;

use rotation_aws::Aws;
use rotation_aws::error::AwsError;
use rotation_aws::store::{self, Stored};
use rotation_aws::tagging::{self, Tagged};
use rotation_core::certificate::bundle::Bundle;
use rotation_core::certificate::chain::Chain;
use rotation_core::certificate::changes;
use rotation_core::certificate::fitness::{self, Place};
use rotation_core::certificate::succession::{Edition, Succession};
use rotation_core::failure::Ending;
use rotation_core::finding::Finding;
use rotation_core::ids::{CertificateId, Serves, Store, segment};
use rotation_core::plan::policy::{Policy, begins_without, policy};
use rotation_core::plan::{Held, Member, Selection, Successor, long_in_progress, targets};
use rotation_core::request::{Request, tags};

use crate::account::fleet::{Fleet, list_fleet};
use crate::account::reading::Reading;
use crate::account::roots::trust_roots;
use crate::lambda::error::StepError;

use members::members;

/// The result of an examination.
pub(crate) struct Examined {
    /// The store of the new certificate.
    pub(crate) store: Store,
    /// The new certificate, if it is in that store already.
    pub(crate) new: Option<CertificateId>,
    /// All distributions and tenants that were read from CloudFront.
    pub(crate) members: Vec<Member>,
    /// The members to be moved, and those that were moved already.
    pub(crate) planned: Vec<Member>,
    /// How many other members are left on the old certificate because they are excluded.
    pub(crate) excluded: usize,
    /// What a failed target means for the others.
    pub(crate) policy: Policy,
    /// The planned targets that cannot be moved, while the rotation begins without them.
    pub(crate) held: Vec<Held>,
    /// The chain of the new certificate.
    pub(crate) chain: Chain,
    /// Every problem that prevents the rotation.
    pub(crate) findings: Vec<Finding>,
    /// The warnings about the new certificate, which are among the notes, too.
    pub(crate) warnings: Vec<String>,
    /// What viewers and operators may notice of the new certificate, compared with the old one.
    pub(crate) changes: Vec<String>,
    /// What else an operator should know, and what prevents nothing.
    pub(crate) notes: Vec<String>,
}

/// Examines the new certificate and every target of the old one.
///
/// # Errors
/// Errors of AWS calls.
pub(crate) async fn examine(
    reading: &Reading<'_>,
    request: &Request,
    old: &Stored,
    bundle: &Bundle,
) -> Result<Examined, StepError> {
    let context = reading.context();
    let store = request.store.unwrap_or(old.id.store());
    let copies = store::copies(&context.aws, store, &bundle.leaf).await?;
    let certificates: Vec<&CertificateId> = std::iter::once(&old.id).chain(&copies).collect();
    let fleet = list_fleet(reading, &certificates).await?;
    let new = most_served(&fleet, copies);
    let members = members(reading, &fleet, &old.id, new.as_ref()).await?;

    let replaced = Edition::from(&old.certificate);
    let succession = Succession::of(&replaced, &Edition::from(&bundle.leaf));
    let place = Place { store, stored: new.is_some() };
    let now = (context.now)();
    let (roots, unread) = trust_roots(context).await?;
    let mut findings = Vec::from_iter(store_of_partition(&old.id, store));
    findings.extend(unread);
    let verdict =
        fitness::check(bundle, &replaced, request.allow_earlier_expiry, place, &roots, now);
    findings.extend(verdict.findings);
    let ignored = reading.ask("ignored".to_owned(), ignored(&context.aws)).await?;
    let selection = Selection {
        named: request.targets.as_deref(),
        excluded: &request.exclude_targets,
        ignored: &ignored,
    };
    let successor = Successor {
        names: bundle.leaf.dns_names(),
        store,
        excludes_rsa_viewers: !request.allow_key_change
            && changes::excludes_rsa_viewers(&old.certificate, &bundle.leaf),
    };
    let chosen = targets(&members, selection, successor);
    findings.extend(chosen.findings);
    let policy = policy(request.on_failure, succession, replaced.not_after <= now);
    let mut held = chosen.held;
    let to_move = chosen.planned.iter().filter(|member| member.serves == Serves::Old).count();
    if !begins_without(policy.on_failure, &held, to_move) {
        findings.extend(held.drain(..).map(|one| one.finding));
    }
    let about = |warning: &String| format!("About the new certificate: {warning}");
    let mut notes: Vec<String> = verdict.warnings.iter().map(about).collect();
    notes.extend(verdict.notes);
    notes.extend(fitness::reused_key(&old.certificate, &bundle.leaf));
    notes.extend(policy.note.map(str::to_owned));
    notes.extend(held.iter().map(|one| format!("Not moved: {}", one.finding)));
    notes.extend(chosen.notes);
    notes.extend(long_in_progress(&chosen.planned, now));
    let chain = verdict.chain;
    let changes = changes::notes(&old.certificate, &old.root, &bundle.leaf, &chain.intermediates);
    Ok(Examined {
        store,
        new,
        members,
        planned: chosen.planned,
        excluded: chosen.excluded,
        policy,
        held,
        chain,
        findings,
        changes,
        warnings: verdict.warnings,
        notes,
    })
}

/// The ids of the distributions and tenants that their owners have tagged to be left alone.
async fn ignored(aws: &Aws) -> Result<Vec<String>, AwsError> {
    let tagged = tagging::find(aws.tagging(), &["cloudfront"], tags::IGNORE, &[]).await?;
    let is_ignored =
        |one: &&Tagged| tags::value(&one.tags, tags::IGNORE).is_some_and(|value| value != "false");
    let ids = tagged.iter().filter(is_ignored).map(|one| segment(&one.arn).to_owned());
    Ok(ids.collect())
}

/// CloudFront in China takes certificates from IAM only (page "Amazon CloudFront in China").
fn store_of_partition(old: &CertificateId, store: Store) -> Option<Finding> {
    (store == Store::Acm && old.arn().starts_with("arn:aws-cn:")).then(|| {
        Finding::new(
            Ending::RequestInvalid,
            "field store",
            "is acm, and CloudFront in the China partition accepts certificates from IAM only",
            "give \"store\": \"iam\"",
        )
    })
}

/// Of several copies of the new certificate, the one that the most targets serve already.
fn most_served(fleet: &Fleet, copies: Vec<CertificateId>) -> Option<CertificateId> {
    let served = |id: &CertificateId| fleet.targets_of(id).len();
    // On a tie, the first copy: copies that this system imported are listed first.
    copies.into_iter().rev().max_by_key(served)
}
