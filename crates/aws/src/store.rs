//! The two certificate stores side by side.

pub mod acm;
pub mod iam;

use rotation_core::certificate::Certificate;
use rotation_core::ids::{CertificateId, Store};
use rotation_core::request::OldRef;
use rotation_core::request::tags::{self, Tag};

use crate::Aws;
use crate::error::AwsError;

/// A certificate as it lies in its store.
#[derive(Debug)]
pub struct Stored {
    /// Its id.
    pub id: CertificateId,
    /// The leaf.
    pub certificate: Certificate,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// What ACM says uses it; IAM does not say.
    pub in_use_by: Vec<String>,
}

/// Finds a certificate by what the input calls it.
pub async fn find(aws: &Aws, old: &OldRef) -> Result<Option<Stored>, AwsError> {
    match old {
        OldRef::AcmArn(arn) => Ok(acm::describe(aws.acm(), arn).await?.map(Stored::from)),
        OldRef::IamArn(arn) => Ok(iam::find_by_arn(aws.iam(), arn).await?.map(Stored::from)),
        OldRef::IamId(id) => Ok(iam::find_by_id(aws.iam(), id).await?.map(Stored::from)),
    }
}

/// Reads a certificate whose id is known.
pub async fn describe(aws: &Aws, id: &CertificateId) -> Result<Option<Stored>, AwsError> {
    match id {
        CertificateId::Acm { arn } => Ok(acm::describe(aws.acm(), arn).await?.map(Stored::from)),
        CertificateId::Iam { arn, .. } => {
            Ok(iam::find_by_arn(aws.iam(), arn).await?.map(Stored::from))
        }
    }
}

/// All that lies in a store with this very leaf, those that this system imported first.
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

/// The managed certificates of both stores: those whose tag `cert-rotation:source` is one of the wanted.
pub async fn managed(aws: &Aws, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Stored>, AwsError> {
    let acm = acm::list_tagged(aws.acm(), tags::SOURCE, &is_wanted).await?;
    let iam = iam::list_tagged(aws.iam(), tags::SOURCE, &is_wanted).await?;
    Ok(both(acm, iam))
}

/// Every third-party certificate that CloudFront can take: those imported into ACM, those of IAM's path
/// `/cloudfront/`.
pub async fn all(aws: &Aws) -> Result<Vec<Stored>, AwsError> {
    let acm = acm::list_imported(aws.acm()).await?;
    let iam = iam::list_all(aws.iam()).await?;
    Ok(both(acm, iam))
}

fn both(acm: Vec<acm::AcmCertificate>, iam: Vec<iam::IamCertificate>) -> Vec<Stored> {
    acm.into_iter().map(Stored::from).chain(iam.into_iter().map(Stored::from)).collect()
}

/// Puts tags on a certificate, over those of the same keys.
pub async fn tag(aws: &Aws, id: &CertificateId, tags: &[Tag]) -> Result<(), AwsError> {
    match id {
        CertificateId::Acm { arn } => acm::tag(aws.acm(), arn, tags).await,
        CertificateId::Iam { arn, .. } => iam::tag(aws.iam(), arn, tags).await,
    }
}

impl From<acm::AcmCertificate> for Stored {
    fn from(found: acm::AcmCertificate) -> Self {
        Self {
            id: found.id,
            certificate: found.certificate,
            tags: found.tags,
            in_use_by: found.in_use_by,
        }
    }
}

impl From<iam::IamCertificate> for Stored {
    fn from(found: iam::IamCertificate) -> Self {
        Self {
            id: found.id,
            certificate: found.certificate,
            tags: found.tags,
            in_use_by: Vec::new(),
        }
    }
}
