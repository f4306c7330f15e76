//! A look at everything in CloudFront that may serve one of the two certificates.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rotation_aws::Aws;
use rotation_aws::cloudfront::{
    self, DistributionFacts, Page, Status, TenantFacts, ViewerCertificateRef, all_pages,
};
use rotation_aws::error::AwsError;
use rotation_core::ids::{CertificateId, TargetId, TargetKind};
use rotation_core::plan::Serves;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::account::reading::Reading;
use crate::lambda::error::StepError;

/// All distributions, and the tenants that bring the old or the new certificate themselves.
pub struct Fleet {
    /// Every distribution of the account, staging ones and templates too.
    pub distributions: Vec<DistributionFacts>,
    /// Tenants whose own certificate is the old or the new one.
    pub tenants: Vec<TenantFacts>,
}

/// What one target was seen to serve, and whether that is `Deployed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which of the two certificates.
    pub serves: Serves,
    /// Has it reached the edges?
    pub deployed: bool,
}

/// Looks at all pages of distributions, and for each ACM certificate at its tenants.
///
/// # Errors
/// Those of [`Reading::ask`].
pub async fn look(
    reading: &Reading<'_>,
    certificates: &[&CertificateId],
) -> Result<Fleet, StepError> {
    let client = reading.context().aws.cloudfront();
    let distributions = distributions(reading).await?;
    let mut tenants = Vec::new();
    for certificate in certificates {
        if let CertificateId::Acm { arn } = certificate {
            let page = async |marker| cloudfront::tenants_by_certificate(client, arn, marker).await;
            tenants.extend(list(reading, &format!("tenants with {arn}"), page).await?);
        }
    }
    Ok(Fleet { distributions, tenants })
}

/// All distributions of the account.
///
/// # Errors
/// Those of [`Reading::ask`].
pub async fn distributions(reading: &Reading<'_>) -> Result<Vec<DistributionFacts>, StepError> {
    let client = reading.context().aws.cloudfront();
    list(reading, "distributions", async |marker| cloudfront::distributions(client, marker).await)
        .await
}

/// The tenants of a template.
///
/// # Errors
/// Those of [`Reading::ask`].
pub async fn tenants_of(reading: &Reading<'_>, id: &str) -> Result<Vec<TenantFacts>, StepError> {
    let client = reading.context().aws.cloudfront();
    let page = async |marker| cloudfront::tenants_of(client, id, marker).await;
    list(reading, &format!("tenants of {id}"), page).await
}

/// All pages of a list, each a question of its own.
pub async fn list<T: Serialize + DeserializeOwned>(
    reading: &Reading<'_>,
    name: &str,
    page: impl AsyncFn(Option<String>) -> Result<Page<T>, AwsError>,
) -> Result<Vec<T>, StepError> {
    all_pages(async |marker: Option<String>| {
        let question = format!("{name} after {}", marker.as_deref().unwrap_or("nothing"));
        reading.ask(question, page(marker)).await
    })
    .await
}

/// `review.json`: what was seen of the two certificates in CloudFront.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sight {
    /// When the look began.
    pub at: Timestamp,
    /// How many distributions there are in the account.
    pub distributions: usize,
    /// How many tenants bring one of the two certificates themselves.
    pub tenants: usize,
    /// The targets of the rotation, and whatever else serves one of the two.
    pub stands: Vec<Stand>,
}

/// A distribution or tenant in a [`Sight`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// Which one.
    #[serde(flatten)]
    pub target: TargetId,
    /// What it serves.
    pub serves: Serves,
    /// Is that `Deployed`?
    pub deployed: bool,
}

impl Sight {
    /// Of what was seen, what matters to a rotation of these targets.
    pub fn of(
        at: Timestamp,
        fleet: &Fleet,
        seen: &BTreeMap<TargetId, Seen>,
        planned: &BTreeSet<TargetId>,
    ) -> Self {
        let stands = seen
            .iter()
            .filter(|(target, seen)| seen.serves != Serves::Other || planned.contains(target))
            .map(|(target, seen)| Stand {
                target: target.clone(),
                serves: seen.serves,
                deployed: seen.deployed,
            })
            .collect();
        Self { at, distributions: fleet.distributions.len(), tenants: fleet.tenants.len(), stands }
    }
}

impl Fleet {
    /// What every distribution and tenant of this look serves.
    pub fn seen(
        &self,
        old: &CertificateId,
        new: Option<&CertificateId>,
    ) -> BTreeMap<TargetId, Seen> {
        let distributions = self.distributions.iter().map(|facts| {
            let serves = serves(facts.certificate.as_ref(), old, new);
            (distribution(&facts.id), Seen { serves, deployed: facts.status == Status::Deployed })
        });
        let tenants = self.tenants.iter().map(|facts| {
            let serves = tenant_serves(facts, old, new);
            (tenant(&facts.id), Seen { serves, deployed: facts.status == Status::Deployed })
        });
        distributions.chain(tenants).collect()
    }

    /// What serves this certificate.
    pub fn targets_of(&self, id: &CertificateId) -> Vec<TargetId> {
        let seen = self.seen(id, None).into_iter();
        seen.filter(|(_, seen)| seen.serves == Serves::Old).map(|(target, _)| target).collect()
    }
}

/// One target, asked for by its id; none if it is gone.
pub async fn look_at(
    aws: &Aws,
    target: &TargetId,
    old: &CertificateId,
    new: &CertificateId,
) -> Result<Option<Seen>, AwsError> {
    let status = cloudfront::status(aws.cloudfront(), target).await?;
    Ok(status.map(|status| Seen {
        serves: serves(status.certificate.as_ref(), old, Some(new)),
        deployed: status.status == Status::Deployed,
    }))
}

/// Which of the two certificates a viewer certificate is.
pub fn serves(
    certificate: Option<&ViewerCertificateRef>,
    old: &CertificateId,
    new: Option<&CertificateId>,
) -> Serves {
    match certificate {
        Some(certificate) if certificate.is(old) => Serves::Old,
        Some(certificate) if new.is_some_and(|new| certificate.is(new)) => Serves::New,
        _ => Serves::Other,
    }
}

/// Which of the two certificates a tenant brings itself.
pub fn tenant_serves(
    facts: &TenantFacts,
    old: &CertificateId,
    new: Option<&CertificateId>,
) -> Serves {
    serves(facts.certificate_arn.clone().map(ViewerCertificateRef::Acm).as_ref(), old, new)
}

/// The target of a distribution id.
pub fn distribution(id: &str) -> TargetId {
    TargetId { kind: TargetKind::Distribution, id: id.to_owned() }
}

/// The target of a tenant id.
pub fn tenant(id: &str) -> TargetId {
    TargetId { kind: TargetKind::Tenant, id: id.to_owned() }
}
