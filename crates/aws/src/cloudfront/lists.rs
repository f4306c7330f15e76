//! Lists of distributions, tenants and policies, page by page.

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::types::{
    ConnectionMode, DistributionSummary, DistributionTenantAssociationFilter,
    DistributionTenantSummary, LambdaFunctionAssociations,
};
use jiff::Timestamp;
use rotation_core::plan::rights::Association;
use serde::{Deserialize, Serialize};

use crate::cloudfront::{Status, ViewerCertificateRef, certificate_ref, served};
use crate::error::{AwsError, SdkResultExt};
use crate::time;

/// A distribution in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DistributionFacts {
    /// `E…`
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// `d….cloudfront.net`
    pub domain_name: String,
    /// `InProgress` or `Deployed`.
    pub status: Status,
    /// When it was changed last.
    #[serde(default)]
    pub changed: Option<Timestamp>,
    /// Its alternate domain names.
    pub aliases: Vec<String>,
    /// Its certificate; `None` for CloudFront's default certificate.
    pub certificate: Option<ViewerCertificateRef>,
    /// `sni-only`, `vip` or `static-ip`.
    pub ssl_support_method: Option<String>,
    /// Lower case: `http1.1`, `http2`, `http2and3`, `http3`.
    pub http_version: String,
    /// Is it a staging distribution?
    pub staging: bool,
    /// Is it the template of tenants?
    pub tenant_only: bool,
    /// Its associations, as far as the list shows them: access logs are missing there.
    #[serde(default)]
    pub associations: Vec<Association>,
}

/// A distribution tenant in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantFacts {
    /// `dt_…`
    pub id: String,
    /// The id of its template.
    pub distribution_id: String,
    /// Its domains.
    pub domains: Vec<String>,
    /// The active domains: CloudFront does not route domains whose validation is pending.
    pub served: Vec<String>,
    /// Its connection group; `None` for the default one.
    pub connection_group: Option<String>,
    /// Is it enabled?
    pub enabled: bool,
    /// Its own certificate; without one, that of its template is served.
    pub certificate_arn: Option<String>,
    /// `InProgress` or `Deployed`.
    pub status: Status,
    /// When it was changed last.
    #[serde(default)]
    pub changed: Option<Timestamp>,
    /// Its own associations.
    #[serde(default)]
    pub associations: Vec<Association>,
}

/// One page of a list, and the marker of the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// The marker of the next page; `None` on the last page.
    pub next: Option<String>,
}

impl<T> Page<T> {
    fn empty() -> Self {
        Self { items: Vec::new(), next: None }
    }

    fn of<F: Into<T>>(items: Option<Vec<F>>, next: Option<String>) -> Self {
        Self {
            items: items.unwrap_or_default().into_iter().map(F::into).collect(),
            next: next.filter(|marker| !marker.is_empty()),
        }
    }
}

/// Reads all pages of a list in sequence.
pub async fn all_pages<T, E>(
    page: impl AsyncFn(Option<String>) -> Result<Page<T>, E>,
) -> Result<Vec<T>, E> {
    let (mut all, mut marker) = (Vec::new(), None);
    loop {
        let Page { items, next } = page(marker).await?;
        all.extend(items);
        if next.is_none() {
            return Ok(all);
        }
        marker = next;
    }
}

/// One page of all distributions of the account.
pub async fn distributions(
    client: &Client,
    marker: Option<String>,
) -> Result<Page<DistributionFacts>, AwsError> {
    const OPERATION: &str = "ListDistributions";
    let answer = client.list_distributions().set_marker(marker).send().await;
    let list = answer
        .operation(OPERATION, "the account")?
        .distribution_list
        .ok_or_else(|| AwsError::malformed(OPERATION, "the account", "no DistributionList"))?;
    Ok(Page::of(list.items, list.next_marker))
}

/// One page of the ids of all continuous-deployment policies.
pub async fn continuous_deployment_policies(
    client: &Client,
    marker: Option<String>,
) -> Result<Page<String>, AwsError> {
    const OPERATION: &str = "ListContinuousDeploymentPolicies";
    let answer = client.list_continuous_deployment_policies().set_marker(marker).send().await;
    let list =
        answer.operation(OPERATION, "the account")?.continuous_deployment_policy_list.ok_or_else(
            || AwsError::malformed(OPERATION, "the account", "no ContinuousDeploymentPolicyList"),
        )?;
    let policies = list.items.unwrap_or_default().into_iter();
    let ids = policies.filter_map(|item| item.continuous_deployment_policy).map(|policy| policy.id);
    Ok(Page::of(Some(ids.collect::<Vec<_>>()), list.next_marker))
}

/// The continuous-deployment policy attached to a distribution, if the distribution exists and has
/// one.
pub async fn continuous_deployment_policy_of(
    client: &Client,
    id: &str,
) -> Result<Option<String>, AwsError> {
    let answer = client.get_distribution_config().id(id).send().await;
    let answer = match answer.operation("GetDistributionConfig", id) {
        Err(error) if error.is("NoSuchDistribution") => return Ok(None),
        answer => answer?,
    };
    Ok(answer
        .distribution_config
        .and_then(|config| config.continuous_deployment_policy_id)
        .filter(|policy| !policy.is_empty()))
}

/// One page of the tenants that use this ACM certificate as their own.
pub async fn tenants_by_certificate(
    client: &Client,
    arn: &str,
    marker: Option<String>,
) -> Result<Page<TenantFacts>, AwsError> {
    let request = client.list_distribution_tenants_by_customization().certificate_arn(arn);
    let answer = request.set_marker(marker).send().await;
    let list = match answer.operation("ListDistributionTenantsByCustomization", arn) {
        // CloudFront returns this for a certificate that was deleted, or that was imported a moment
        // ago.
        Err(error) if error.is("EntityNotFound") => return Ok(Page::empty()),
        answer => answer?,
    };
    Ok(Page::of(list.distribution_tenant_list, list.next_marker))
}

/// One page of the tenants of a template.
pub async fn tenants_of(
    client: &Client,
    distribution_id: &str,
    marker: Option<String>,
) -> Result<Page<TenantFacts>, AwsError> {
    let filter =
        DistributionTenantAssociationFilter::builder().distribution_id(distribution_id).build();
    let request = client.list_distribution_tenants().association_filter(filter);
    let answer = request.set_marker(marker).send().await;
    let list = match answer.operation("ListDistributionTenants", distribution_id) {
        // The template was deleted meanwhile.
        Err(error) if error.is("EntityNotFound") => return Ok(Page::empty()),
        answer => answer?,
    };
    Ok(Page::of(list.distribution_tenant_list, list.next_marker))
}

impl From<DistributionSummary> for DistributionFacts {
    fn from(summary: DistributionSummary) -> Self {
        let viewer = summary.viewer_certificate.as_ref();
        Self {
            associations: associations(&summary),
            status: Status::of(&summary.status),
            changed: time(&summary.last_modified_time),
            certificate: viewer.and_then(certificate_ref),
            ssl_support_method: viewer
                .and_then(|viewer| viewer.ssl_support_method.as_ref())
                .map(|method| method.as_str().to_owned()),
            aliases: summary.aliases.and_then(|aliases| aliases.items).unwrap_or_default(),
            http_version: summary.http_version.as_str().to_ascii_lowercase(),
            staging: summary.staging,
            tenant_only: summary.connection_mode == Some(ConnectionMode::TenantOnly),
            id: summary.id,
            arn: summary.arn,
            domain_name: summary.domain_name,
        }
    }
}

impl From<DistributionTenantSummary> for TenantFacts {
    fn from(summary: DistributionTenantSummary) -> Self {
        let web_acl = summary.customizations.as_ref().and_then(|all| all.web_acl.as_ref());
        Self {
            associations: web_acl
                .and_then(|own| own.arn.as_ref())
                .map(|_| Association::WebAcl)
                .into_iter()
                .collect(),
            status: Status::of(summary.status.as_deref().unwrap_or_default()),
            changed: time(&summary.last_modified_time),
            certificate_arn: summary
                .customizations
                .and_then(|all| all.certificate)
                .map(|certificate| certificate.arn),
            served: served(&summary.domains),
            domains: summary.domains.into_iter().map(|domain| domain.domain).collect(),
            connection_group: summary.connection_group_id,
            enabled: summary.enabled.unwrap_or(true),
            id: summary.id,
            distribution_id: summary.distribution_id,
        }
    }
}

fn associations(summary: &DistributionSummary) -> Vec<Association> {
    let functions =
        |all: &Option<LambdaFunctionAssociations>| all.as_ref().is_some_and(|all| all.quantity > 0);
    let default = summary.default_cache_behavior.iter();
    let others = summary.cache_behaviors.iter().flat_map(|all| all.items());
    let runs_functions = default.map(|one| &one.lambda_function_associations).any(functions)
        || others.map(|one| &one.lambda_function_associations).any(functions);
    let origins = summary.origins.iter().flat_map(|all| &all.items);
    let has_vpc_origin = origins.into_iter().any(|origin| origin.vpc_origin_config.is_some());
    [
        (!summary.web_acl_id.is_empty()).then_some(Association::WebAcl),
        runs_functions.then_some(Association::EdgeFunction),
        has_vpc_origin.then_some(Association::VpcOrigin),
    ]
    .into_iter()
    .flatten()
    .collect()
}
