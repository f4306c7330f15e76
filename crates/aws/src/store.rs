//! Both certificate stores behind one set of functions.

pub mod acm;
pub mod iam;

use rotation_core::certificate::Certificate;
use rotation_core::ids::{CertificateId, Store};
use rotation_core::request::OldRef;
use rotation_core::request::tags::{self, Tag};

use crate::Aws;
use crate::error::AwsError;

/// A certificate in its store.
#[derive(Debug)]
pub struct Stored {
    /// Its id.
    pub id: CertificateId,
    /// The leaf.
    pub certificate: Certificate,
    /// The name of the root that its chain leads to.
    pub root: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// The ARNs in ACM's `InUseBy`; always empty for IAM.
    pub in_use_by: Vec<String>,
}

/// Why nothing was imported or uploaded.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store is full.
    #[error("a quota is reached: {0}")]
    QuotaReached(AwsError),
    /// The store rejects this certificate.
    #[error("it is not accepted: {0}")]
    Invalid(AwsError),
    /// The store rejects the tags, or an organization's tag policy does; ACM only.
    #[error("its tags are not accepted: {0}")]
    Tags(AwsError),
    /// The name is in use; IAM only.
    #[error("a certificate of this name exists")]
    AlreadyExists,
    /// Any other error.
    #[error(transparent)]
    Aws(AwsError),
}

/// The response to a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteResponse {
    /// Deleted.
    Deleted,
    /// It did not exist.
    AlreadyGone,
    /// Refused, with the store's message.
    InUse(String),
}

/// Finds a certificate by its identifier in the input.
pub async fn find(aws: &Aws, old: &OldRef) -> Result<Option<Stored>, AwsError> {
    match old {
        OldRef::AcmArn(arn) => acm::describe(aws.acm(), arn).await,
        OldRef::IamArn(arn) => iam::find_by_arn(aws.iam(), arn).await,
        OldRef::IamId(id) => iam::find_by_id(aws.iam(), id).await,
    }
}

/// Reads a certificate by its id.
pub async fn describe(aws: &Aws, id: &CertificateId) -> Result<Option<Stored>, AwsError> {
    match id {
        CertificateId::Acm { arn } => acm::describe(aws.acm(), arn).await,
        CertificateId::Iam { arn, .. } => iam::find_by_arn(aws.iam(), arn).await,
    }
}

/// All certificates in a store with this leaf, imports of this system first.
pub async fn copies(
    aws: &Aws,
    store: Store,
    leaf: &Certificate,
) -> Result<Vec<CertificateId>, AwsError> {
    let mut copies = match store {
        Store::Acm => acm::find_by_fingerprint(aws.acm(), leaf).await?,
        Store::Iam => iam::find_by_fingerprint(aws.iam(), leaf).await?,
    };
    copies.sort_by_key(|(_, tags)| tags::value(tags, tags::FINGERPRINT).is_none());
    Ok(copies.into_iter().map(|(id, _)| id).collect())
}

/// The managed certificates of both stores whose tag `cert-rotation:source` is wanted. A tag of ACM
/// that was set a moment ago may be missed.
pub async fn managed(aws: &Aws, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Stored>, AwsError> {
    let mut found = acm::list_tagged(aws.acm(), aws.tagging(), tags::SOURCE, &is_wanted).await?;
    found.extend(iam::list_tagged(aws.iam(), tags::SOURCE, &is_wanted).await?);
    Ok(found)
}

/// Every third-party certificate that CloudFront can use: those imported into ACM, and those with
/// the IAM path `/cloudfront/`.
pub async fn all(aws: &Aws) -> Result<Vec<Stored>, AwsError> {
    let mut found = acm::list_imported(aws.acm()).await?;
    found.extend(iam::list_all(aws.iam()).await?);
    Ok(found)
}

/// Adds tags to a certificate, replacing those with the same keys.
pub async fn tag(aws: &Aws, id: &CertificateId, tags: &[Tag]) -> Result<(), AwsError> {
    match id {
        CertificateId::Acm { arn } => acm::tag(aws.acm(), arn, tags).await,
        CertificateId::Iam { arn, .. } => iam::tag(aws.iam(), arn, tags).await,
    }
}

/// Deletes a certificate, unless it is in use.
pub async fn delete(aws: &Aws, id: &CertificateId) -> Result<DeleteResponse, AwsError> {
    match id {
        CertificateId::Acm { arn } => acm::delete(aws.acm(), arn).await,
        CertificateId::Iam { arn, .. } => iam::delete(aws.iam(), arn).await,
    }
}
