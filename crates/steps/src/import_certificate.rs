//! Imports the new certificate into its store, once, however often the step is retried.
//!
//! ImportCertificate of ACM has no idempotency token, so each attempt first searches for the import
//! of an earlier one.

use rotation_aws::store::{self, ImportError, acm, iam};
use rotation_core::certificate::Certificate;
use rotation_core::certificate::bundle::Bundle;
use rotation_core::certificate::chain::{self, Chain};
use rotation_core::ending::deletion::reimported;
use rotation_core::failure::Ending;
use rotation_core::finding::Finding;
use rotation_core::ids::{CertificateId, Store};
use rotation_core::request::source_ref;
use rotation_core::request::tags::{self, Tag};
use serde::Deserialize;

use crate::Context;
use crate::account::old_certificate;
use crate::account::source::{self, Content};
use crate::lambda::error::StepError;
use rotation_core::plan::state::{Imported, Plan};

/// The state after the quota check.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// The plan.
    pub plan: Plan,
}

/// Imports the certificate into ACM or uploads it to IAM, or finds the existing one.
///
/// # Errors
/// `SourceUnreadable` and `CertificateInvalid` when the source no longer holds the planned
/// certificate or the store rejects it, `QuotaDenied` when the store is full after all, and errors
/// of AWS calls.
pub async fn step(context: &Context, input: Input) -> Result<Imported, StepError> {
    let Input { plan } = input;
    if let Some(id) = plan.new_certificate.id {
        return Ok(Imported { id, imported: false });
    }
    let aws = &context.aws;
    let (bundle, chain) = planned_bundle(context, &plan).await?;
    let old = old_certificate(&plan)?;
    if let Some(id) = store::copies(aws, plan.store, &bundle.leaf).await?.into_iter().next() {
        tracing::info!(%id, "import-certificate: an earlier attempt got through");
        return Ok(Imported { id, imported: true });
    }
    let inherited = inherited_tags(context, &plan, old).await?;
    let tags = tags::for_import(
        &plan.tags,
        &inherited,
        &context.settings.import_tags,
        &plan.new_certificate.fingerprint,
        &tags::replacing(old),
    );
    let id = match plan.store {
        Store::Acm => import(context, &bundle, &chain, &tags).await?,
        Store::Iam => upload(context, &bundle, &chain, &tags).await?,
    };
    tracing::info!(%id, fingerprint = plan.new_certificate.fingerprint, "import-certificate");
    Ok(Imported { id, imported: true })
}

/// The tags of the old certificate, which must still be the planned one.
async fn inherited_tags(
    context: &Context,
    plan: &Plan,
    old: &CertificateId,
) -> Result<Vec<Tag>, StepError> {
    let Some(stored) = store::describe(&context.aws, old).await? else { return Ok(Vec::new()) };
    let planned = plan.old_certificate.fingerprint.as_deref();
    match reimported(planned, &stored.certificate.fingerprint()) {
        None => Ok(stored.tags),
        Some(why) => Err(StepError::found(&[Finding::new(
            Ending::CertificateNotFound,
            format!("old certificate {old}"),
            why,
            "start the rotation again, to plan for the certificate that is there now; nothing was changed",
        )])),
    }
}

/// Reads the source again; it must still hold the planned certificate and its chain.
async fn planned_bundle(
    context: &Context,
    plan: &Plan,
) -> Result<(Bundle, Vec<Certificate>), StepError> {
    let source_ref = source_ref(&plan.source)
        .map_err(|(problem, _)| StepError::Internal(format!("the plan's source {problem}")))?;
    let bundle = match source::content(&context.aws, &source_ref, &plan.source).await? {
        Content::Bundle(bundle) => *bundle,
        Content::Unusable(finding) => return Err(StepError::found(&[finding])),
    };
    let is_planned = bundle.leaf.fingerprint().to_string() == plan.new_certificate.fingerprint;
    let chain = match &plan.new_certificate.chain {
        Some(chain) => chain::planned(&bundle, chain),
        // A rotation that was planned by a version that chose the chain here.
        None => {
            let roots = context.settings.local_roots().map_err(StepError::Internal)?;
            Some(Chain::choose(&bundle, &roots, (context.now)()).intermediates)
        }
    };
    let Some(chain) = chain.filter(|_| is_planned) else {
        return Err(StepError::found(&[Finding::new(
            Ending::CertificateInvalid,
            format!("source {}", plan.source),
            "holds another certificate, or another chain, than when the plan was made",
            "start the rotation again, to plan for what is there now",
        )]));
    };
    Ok((bundle, chain))
}

async fn import(
    context: &Context,
    bundle: &Bundle,
    chain: &[Certificate],
    tags: &[Tag],
) -> Result<CertificateId, StepError> {
    let arn = acm::import(context.aws.acm(), bundle, chain, tags)
        .await
        .map_err(|error| not_imported(Store::Acm, error))?;
    Ok(CertificateId::Acm { arn })
}

async fn upload(
    context: &Context,
    bundle: &Bundle,
    chain: &[Certificate],
    tags: &[Tag],
) -> Result<CertificateId, StepError> {
    let name = server_certificate_name(bundle);
    match iam::upload(context.aws.iam(), &name, bundle, chain, tags).await {
        // The name contains the fingerprint: an earlier attempt uploaded it, and the list does not
        // show it yet.
        Err(ImportError::AlreadyExists) => iam::find_by_name(context.aws.iam(), &name)
            .await?
            .filter(|found| found.certificate == bundle.leaf)
            .map(|found| found.id)
            .ok_or_else(|| not_imported(Store::Iam, ImportError::AlreadyExists)),
        uploaded => uploaded.map_err(|error| not_imported(Store::Iam, error)),
    }
}

/// A readable name that is always the same for the same certificate. IAM requires a unique name in
/// the account, at most 128 characters of `[\w+=,.@-]`.
fn server_certificate_name(bundle: &Bundle) -> String {
    let leaf = &bundle.leaf;
    let name = leaf.dns_names().first().map_or("certificate", String::as_str);
    let name: String = name.trim_start_matches("*.").chars().take(80).collect();
    let expiry = leaf.not_after().strftime("%Y-%m-%d");
    let fingerprint = leaf.fingerprint().to_string();
    let digest = fingerprint.trim_start_matches("sha256:");
    format!("{name}-{expiry}-{}", digest.get(..16).unwrap_or(digest))
}

fn not_imported(store: Store, error: ImportError) -> StepError {
    let finding = match error {
        ImportError::Aws(error) => return error.into(),
        ImportError::QuotaReached(answer) => Finding::new(
            Ending::QuotaDenied,
            format!("store {store}"),
            format!("is full although the quotas showed room: {answer}"),
            "request an increase in Service Quotas or delete certificates that nothing uses, and start the rotation again; nothing was changed",
        ),
        ImportError::Tags(answer) => Finding::new(
            Ending::CertificateInvalid,
            "tags of the new certificate",
            format!("are not accepted by {store}: {answer}"),
            "correct the tags of the old certificate, which the new one inherits, and start the rotation again; nothing was changed",
        ),
        error @ (ImportError::Invalid(_) | ImportError::AlreadyExists) => Finding::new(
            Ending::CertificateInvalid,
            "new certificate",
            format!("is not accepted by {store}: {error}"),
            "put a corrected certificate into the source and start the rotation again; nothing was changed",
        ),
    };
    StepError::found(&[finding])
}
