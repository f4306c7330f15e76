//! Distributions and distribution tenants.

mod config;
pub mod config_document;
mod entrances;
mod lists;

pub use config::{WriteError, read_config, write_config};
pub use config_document::ViewerCertificateRef;
pub use entrances::{Entrance, Entrances, Reach, ReachedAt, entrances};
pub use lists::{
    DistributionFacts, Page, TenantFacts, all_pages, continuous_deployment_policies,
    continuous_deployment_policy_of, distributions, tenants_by_certificate, tenants_of,
};

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::types::{
    ConnectionMode, Distribution, DistributionTenant, DomainResult, DomainStatus, SslSupportMethod,
    ViewerCertificate,
};
use rotation_core::ids::{TargetId, TargetKind};
use serde::{Deserialize, Serialize};

use crate::error::{AwsError, SdkResultExt};

/// `Status` of a distribution or tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// A change is being deployed to the edges.
    InProgress,
    /// The last change is on all edges.
    Deployed,
}

impl Status {
    fn of(status: &str) -> Self {
        if status == "Deployed" { Self::Deployed } else { Self::InProgress }
    }
}

/// The result of one read of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// `InProgress` or `Deployed`.
    pub status: Status,
    /// The certificate it serves.
    pub certificate: Option<ViewerCertificateRef>,
    /// How viewers reach it.
    pub reach: Reach,
}

/// A target's status and certificate, and how viewers reach it; `None` if it no longer exists.
pub async fn status(client: &Client, target: &TargetId) -> Result<Option<TargetStatus>, AwsError> {
    let TargetId { kind, id } = target;
    Ok(match kind {
        TargetKind::Distribution => {
            let Some(distribution) = get_distribution(client, id).await? else { return Ok(None) };
            let config = distribution.distribution_config.ok_or_else(|| {
                AwsError::malformed("GetDistribution", id, "no DistributionConfig")
            })?;
            let viewer = config.viewer_certificate.as_ref();
            let at = match config.connection_mode {
                Some(ConnectionMode::TenantOnly) => ReachedAt::Tenants,
                _ => ReachedAt::Edge(Entrance {
                    host: distribution.domain_name,
                    without_sni: viewer.and_then(|viewer| viewer.ssl_support_method.as_ref())
                        == Some(&SslSupportMethod::Vip),
                    names: config.aliases.and_then(|aliases| aliases.items).unwrap_or_default(),
                }),
            };
            Some(TargetStatus {
                status: Status::of(&distribution.status),
                certificate: viewer.and_then(certificate_ref),
                reach: Reach { enabled: config.enabled, at },
            })
        }
        TargetKind::Tenant => {
            let Some(tenant) = get_tenant(client, id).await? else { return Ok(None) };
            let arn = tenant.customizations.and_then(|all| all.certificate).map(|own| own.arn);
            Some(TargetStatus {
                status: Status::of(tenant.status.as_deref().unwrap_or_default()),
                certificate: arn.map(ViewerCertificateRef::Acm),
                reach: Reach {
                    enabled: tenant.enabled.unwrap_or(true),
                    at: ReachedAt::ConnectionGroup {
                        group: tenant.connection_group_id,
                        names: served(&tenant.domains.unwrap_or_default()),
                    },
                },
            })
        }
    })
}

/// The current distribution; `None` if it no longer exists.
async fn get_distribution(client: &Client, id: &str) -> Result<Option<Distribution>, AwsError> {
    const OPERATION: &str = "GetDistribution";
    match client.get_distribution().id(id).send().await.operation(OPERATION, id) {
        Err(error) if error.is("NoSuchDistribution") => Ok(None),
        answer => match answer?.distribution {
            Some(distribution) => Ok(Some(distribution)),
            None => Err(AwsError::malformed(OPERATION, id, "no Distribution")),
        },
    }
}

/// The current tenant; `None` if it no longer exists.
async fn get_tenant(client: &Client, id: &str) -> Result<Option<DistributionTenant>, AwsError> {
    const OPERATION: &str = "GetDistributionTenant";
    let answer = client.get_distribution_tenant().identifier(id).send().await;
    match answer.operation(OPERATION, id) {
        Err(error) if error.is("EntityNotFound") => Ok(None),
        answer => match answer?.distribution_tenant {
            Some(tenant) => Ok(Some(tenant)),
            None => Err(AwsError::malformed(OPERATION, id, "no DistributionTenant")),
        },
    }
}

fn certificate_ref(viewer: &ViewerCertificate) -> Option<ViewerCertificateRef> {
    let named = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
    named(&viewer.acm_certificate_arn)
        .map(ViewerCertificateRef::Acm)
        .or_else(|| named(&viewer.iam_certificate_id).map(ViewerCertificateRef::Iam))
}

fn served(domains: &[DomainResult]) -> Vec<String> {
    let is_served = |domain: &&DomainResult| domain.status != Some(DomainStatus::Inactive);
    domains.iter().filter(is_served).map(|domain| domain.domain.clone()).collect()
}
