//! Lists everything in CloudFront that may serve one of the two certificates.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rotation_aws::Aws;
use rotation_aws::cloudfront::{
    self, DistributionFacts, Page, Status, TenantFacts, ViewerCertificateRef, all_pages,
};
use rotation_aws::error::AwsError;
use rotation_core::ids::Serves;
use rotation_core::ids::{CertificateId, TargetId};
use rotation_core::plan::state::{FleetSnapshot, PlannedTarget, TargetSnapshot, TargetState};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::account::reading::Reading;
use crate::lambda::error::StepError;

/// All distributions, and the tenants whose own certificate is the old or the new one.
pub struct Fleet {
    /// Every distribution of the account, including staging distributions and templates.
    pub distributions: Vec<DistributionFacts>,
    /// Tenants whose own certificate is the old or the new one.
    pub tenants: Vec<TenantFacts>,
}

/// Lists all distributions, and for each ACM certificate the tenants that use it.
///
/// # Errors
/// Those of [`Reading::ask`].
pub async fn list_fleet(
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

/// Lists all distributions of the account.
///
/// # Errors
/// Those of [`Reading::ask`].
pub async fn distributions(reading: &Reading<'_>) -> Result<Vec<DistributionFacts>, StepError> {
    let client = reading.context().aws.cloudfront();
    list(reading, "distributions", async |marker| cloudfront::distributions(client, marker).await)
        .await
}

/// Lists the tenants of a template.
///
/// # Errors
/// Those of [`Reading::ask`].
pub async fn tenants_of(reading: &Reading<'_>, id: &str) -> Result<Vec<TenantFacts>, StepError> {
    let client = reading.context().aws.cloudfront();
    let page = async |marker| cloudfront::tenants_of(client, id, marker).await;
    list(reading, &format!("tenants of {id}"), page).await
}

/// Reads all pages of a list; each page is kept separately.
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

impl Fleet {
    /// The state of every distribution and tenant.
    pub fn states(
        &self,
        old: &CertificateId,
        new: Option<&CertificateId>,
    ) -> BTreeMap<TargetId, TargetState> {
        let distributions = self.distributions.iter().map(|facts| {
            let serves = serves(facts.certificate.as_ref(), old, new);
            (
                TargetId::distribution(&facts.id),
                TargetState { serves, deployed: facts.status == Status::Deployed },
            )
        });
        let tenants = self.tenants.iter().map(|facts| {
            let serves = tenant_serves(facts, old, new);
            (
                TargetId::tenant(&facts.id),
                TargetState { serves, deployed: facts.status == Status::Deployed },
            )
        });
        distributions.chain(tenants).collect()
    }

    /// The targets that serve this certificate.
    pub fn targets_of(&self, id: &CertificateId) -> Vec<TargetId> {
        let states = self.states(id, None).into_iter();
        states.filter(|(_, state)| state.serves == Serves::Old).map(|(target, _)| target).collect()
    }

    /// A snapshot of the states that matter to the deletion decision for these planned targets, in
    /// the format that is stored.
    pub fn snapshot(
        &self,
        at: Timestamp,
        states: &BTreeMap<TargetId, TargetState>,
        planned: &[PlannedTarget],
    ) -> FleetSnapshot {
        let planned = planned.iter().map(|target| target.id.clone()).collect();
        FleetSnapshot {
            at,
            distributions: self.distributions.len(),
            tenants: self.tenants.len(),
            targets: TargetSnapshot::of_interest(states, &planned),
        }
    }
}

/// Reads one target by its id. `None` if it no longer exists.
pub async fn read_target(
    aws: &Aws,
    target: &TargetId,
    old: &CertificateId,
    new: &CertificateId,
) -> Result<Option<TargetState>, AwsError> {
    let status = cloudfront::status(aws.cloudfront(), target).await?;
    Ok(status.map(|status| TargetState {
        serves: serves(status.certificate.as_ref(), old, Some(new)),
        deployed: status.status == Status::Deployed,
    }))
}

/// Compares a viewer certificate with the two certificates.
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

/// Compares a tenant's own certificate with the two certificates.
pub fn tenant_serves(
    facts: &TenantFacts,
    old: &CertificateId,
    new: Option<&CertificateId>,
) -> Serves {
    serves(facts.certificate_arn.clone().map(ViewerCertificateRef::Acm).as_ref(), old, new)
}
