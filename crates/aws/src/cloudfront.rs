//! Distributions and distribution tenants.

pub mod config_document;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::types::{
    ConnectionMode, Distribution, DistributionSummary, DistributionTenant,
    DistributionTenantAssociationFilter, DistributionTenantSummary, DomainResult, DomainStatus,
    LambdaFunctionAssociations, SslSupportMethod, ViewerCertificate,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use rotation_core::ids::{CertificateId, TargetId, TargetKind};
use rotation_core::plan::rights::Association;
use serde::{Deserialize, Serialize};

use crate::cloudfront::config_document::ConfigDocument;
pub use crate::cloudfront::config_document::ViewerCertificateRef;
use crate::error::{AwsError, SdkResultExt};

/// `Status` of a distribution or tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// On its way to the edges.
    InProgress,
    /// At all edges.
    Deployed,
}

impl Status {
    fn of(status: &str) -> Self {
        if status == "Deployed" { Self::Deployed } else { Self::InProgress }
    }
}

/// What a list says of a distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DistributionFacts {
    /// `E…`
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// `d….cloudfront.net`
    pub domain_name: String,
    /// Deployed?
    pub status: Status,
    /// Its alternate domain names.
    pub aliases: Vec<String>,
    /// Its certificate; none is CloudFront's own.
    pub certificate: Option<ViewerCertificateRef>,
    /// `sni-only`, `vip` or `static-ip`.
    pub ssl_support_method: Option<String>,
    /// Lower case: `http1.1`, `http2`, `http2and3`, `http3`.
    pub http_version: String,
    /// Is it a staging distribution?
    pub staging: bool,
    /// Is it the template of tenants?
    pub tenant_only: bool,
    /// What it is associated with, as far as a list shows it: access logs are not in it.
    #[serde(default)]
    pub associations: Vec<Association>,
}

/// What a list says of a distribution tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantFacts {
    /// `dt_…`
    pub id: String,
    /// Of its template.
    pub distribution_id: String,
    /// Its domains.
    pub domains: Vec<String>,
    /// Those of them that are served: CloudFront routes none whose validation is outstanding.
    pub served: Vec<String>,
    /// The connection group it names; none is the default one.
    pub connection_group: Option<String>,
    /// Is it enabled?
    pub enabled: bool,
    /// The certificate it brings itself; without one its template's is served.
    pub certificate_arn: Option<String>,
    /// Deployed?
    pub status: Status,
    /// What it is associated with itself.
    #[serde(default)]
    pub associations: Vec<Association>,
}

/// What one read says of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// Deployed?
    pub status: Status,
    /// What it serves.
    pub certificate: Option<ViewerCertificateRef>,
    /// How viewers reach it.
    pub reach: Reach,
}

/// How viewers reach a target, as far as one read says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// A disabled one serves nobody.
    pub enabled: bool,
    /// Where they come in.
    pub at: ReachedAt,
}

/// `at` of a [`Reach`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReachedAt {
    /// A distribution's own edge name.
    Edge(Entrance),
    /// A template: wherever its tenants are reached.
    Tenants,
    /// A tenant: at the endpoint of its connection group.
    #[serde(rename_all = "camelCase")]
    ConnectionGroup {
        /// Its id; none is the default one.
        group: Option<String>,
        /// The tenant's domains in use.
        names: Vec<String>,
    },
}

/// Where viewers come in, and which names they ask for there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entrance {
    /// The edge name: `d….cloudfront.net`, of a tenant that of its connection group.
    pub host: String,
    /// Aliases or domains, in use.
    pub names: Vec<String>,
    /// Does it serve viewers that send no name (`vip`)?
    pub without_sni: bool,
}

/// Why a configuration was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It is not the one that was read: 412, or an `If-Match` that is no longer valid.
    #[error("the configuration has changed since it was read")]
    Changed,
    /// Another change of the certificate is on its way.
    #[error("another certificate change is in progress")]
    CertificateChangeInProgress,
    /// `InvalidViewerCertificate`, or another code with words about the certificate.
    #[error("the certificate is not accepted: {message}")]
    CertificateNotAccepted {
        /// CloudFront's words.
        message: String,
    },
    /// The target no longer exists.
    #[error("it no longer exists")]
    Gone,
    /// Anything else.
    #[error(transparent)]
    Aws(AwsError),
}

/// One page of a list, and what to ask for the next one with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The marker of the next page, unless this is the last one.
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

/// What is on all pages of a list, one page after the other.
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

/// A page of all distributions of the account.
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

/// A page of the ids of all continuous-deployment policies.
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

/// The continuous-deployment policy attached to a distribution, if it is there and has one.
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

/// A page of the tenants that bring this ACM certificate themselves.
pub async fn tenants_by_certificate(
    client: &Client,
    arn: &str,
    marker: Option<String>,
) -> Result<Page<TenantFacts>, AwsError> {
    let request = client.list_distribution_tenants_by_customization().certificate_arn(arn);
    let answer = request.set_marker(marker).send().await;
    let list = match answer.operation("ListDistributionTenantsByCustomization", arn) {
        // CloudFront knows of no use of a certificate that was deleted, or imported a moment ago.
        Err(error) if error.is("EntityNotFound") => return Ok(Page::empty()),
        answer => answer?,
    };
    Ok(Page::of(list.distribution_tenant_list, list.next_marker))
}

/// A page of the tenants of a template.
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

/// A distribution as it is now; none if it is gone.
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

/// A tenant as it is now; none if it is gone.
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

/// A target's status, certificate and viewers; none if it is gone.
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

/// Where viewers reach a target. For the template of tenants these are the tenants without a certificate of
/// their own. The endpoints of tenants are asked for only `with_hosts`.
pub async fn entrances(
    client: &Client,
    target: &TargetId,
    reach: &Reach,
    with_hosts: bool,
) -> Result<Vec<Entrance>, AwsError> {
    let tenants = match &reach.at {
        ReachedAt::Edge(entrance) => return Ok(vec![entrance.clone()]),
        ReachedAt::ConnectionGroup { group, names } => vec![(group.clone(), names.clone())],
        ReachedAt::Tenants => {
            all_pages(async |marker| tenants_of(client, &target.id, marker).await)
                .await?
                .into_iter()
                .filter(|tenant| tenant.enabled && tenant.certificate_arn.is_none())
                .map(|tenant| (tenant.connection_group, tenant.served))
                .collect()
        }
    };
    tenant_entrances(client, target, tenants, with_hosts).await
}

/// The domains of tenants by the endpoint of their connection group; the default group's for those that
/// name none (CloudFront Developer Guide, "Connection groups").
async fn tenant_entrances(
    client: &Client,
    target: &TargetId,
    tenants: Vec<(Option<String>, Vec<String>)>,
    with_hosts: bool,
) -> Result<Vec<Entrance>, AwsError> {
    const OPERATION: &str = "ListConnectionGroups";
    let entrance = |(host, names)| Entrance { host, names, without_sni: false };
    if tenants.is_empty() {
        return Ok(Vec::new());
    }
    if !with_hosts {
        let names = tenants.into_iter().flat_map(|(_, names)| names).collect();
        return Ok(vec![entrance(("every edge".to_owned(), names))]);
    }
    let mut pages = client.list_connection_groups().into_paginator().items().send();
    let mut groups = Vec::new();
    while let Some(group) = pages.next().await {
        groups.push(group.operation(OPERATION, "the account")?);
    }
    let mut by_host: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (named, names) in tenants {
        let group = groups.iter().find(|group| match &named {
            Some(id) => group.id == *id,
            None => group.is_default == Some(true),
        });
        let group = group.ok_or_else(|| {
            AwsError::malformed(OPERATION, &target.id, "a connection group is not listed")
        })?;
        by_host.entry(group.routing_endpoint.clone()).or_default().extend(names);
    }
    Ok(by_host.into_iter().map(entrance).collect())
}

fn served(domains: &[DomainResult]) -> Vec<String> {
    let is_served = |domain: &&DomainResult| domain.status != Some(DomainStatus::Inactive);
    domains.iter().filter(is_served).map(|domain| domain.domain.clone()).collect()
}

/// A target's configuration as it came over the wire; none if the target is gone.
pub async fn read_config(
    client: &Client,
    target: &TargetId,
) -> Result<Option<ConfigDocument>, AwsError> {
    let TargetId { kind, id } = target;
    let body = KeepBody::default();
    let (operation, etag, document) = match kind {
        TargetKind::Distribution => {
            const OPERATION: &str = "GetDistributionConfig";
            let request = client.get_distribution_config().id(id).customize();
            let answer = request.interceptor(body.clone()).send().await;
            let etag = match answer.operation(OPERATION, id) {
                Err(error) if error.is("NoSuchDistribution") => return Ok(None),
                answer => answer?.e_tag,
            };
            let of: fn(&str, &str) -> _ = ConfigDocument::of_distribution;
            (OPERATION, etag, of)
        }
        TargetKind::Tenant => {
            const OPERATION: &str = "GetDistributionTenant";
            let request = client.get_distribution_tenant().identifier(id).customize();
            let answer = request.interceptor(body.clone()).send().await;
            let etag = match answer.operation(OPERATION, id) {
                Err(error) if error.is("EntityNotFound") => return Ok(None),
                answer => answer?.e_tag,
            };
            let of: fn(&str, &str) -> _ = ConfigDocument::of_tenant;
            (OPERATION, etag, of)
        }
    };
    let etag = etag.ok_or_else(|| AwsError::malformed(operation, id, "no ETag"))?;
    let xml = String::from_utf8(body.take())
        .map_err(|error| AwsError::malformed(operation, id, error))?;
    document(&etag, &xml).map(Some).map_err(|error| AwsError::malformed(operation, id, error))
}

/// Writes a configuration back with another certificate, if it is still the one that was read.
pub async fn write_config(
    client: &Client,
    target: &TargetId,
    config: &ConfigDocument,
    certificate: &CertificateId,
) -> Result<(), WriteError> {
    let TargetId { kind, id } = target;
    let body = ReplaceBody(config.with_certificate(certificate));
    let written = match kind {
        TargetKind::Distribution => client
            .update_distribution()
            .id(id)
            .if_match(&config.etag)
            .customize()
            .interceptor(body)
            .send()
            .await
            .operation("UpdateDistribution", id)
            .map(drop),
        TargetKind::Tenant => client
            .update_distribution_tenant()
            .id(id)
            .if_match(&config.etag)
            .customize()
            .interceptor(body)
            .send()
            .await
            .operation("UpdateDistributionTenant", id)
            .map(drop),
    };
    let error = match written {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    // Of a tenant the same code says that something it names does not exist: then the tenant itself is there.
    if *kind == TargetKind::Tenant && error.is("EntityNotFound") {
        match get_tenant(client, id).await {
            Ok(None) => return Err(WriteError::Gone),
            Ok(Some(_)) => {}
            Err(error) => return Err(WriteError::Aws(error)),
        }
    }
    Err(refused(error))
}

/// What CloudFront means by not writing.
///
/// Its codes alone do not say it: the model of `UpdateDistributionTenant` has no `InvalidViewerCertificate` and no
/// `IllegalUpdate`, so a certificate that is not visible yet, or a change that is under way, must come under
/// another one of that operation's codes. What names the certificate is believed to be about it; it is tried again
/// for some minutes and then is final all the same.
fn refused(error: AwsError) -> WriteError {
    let words = error.message.to_ascii_lowercase();
    let is_about_the_certificate = words.contains("certificate");
    match error.code.as_deref() {
        Some("PreconditionFailed" | "InvalidIfMatchVersion") => WriteError::Changed,
        Some("NoSuchDistribution") => WriteError::Gone,
        Some("IllegalUpdate" | "InvalidArgument" | "InvalidAssociation")
            if words.contains("certificate change") && words.contains("in progress") =>
        {
            WriteError::CertificateChangeInProgress
        }
        Some("InvalidViewerCertificate") => {
            WriteError::CertificateNotAccepted { message: error.message }
        }
        Some("InvalidArgument" | "InvalidAssociation" | "EntityNotFound")
            if is_about_the_certificate =>
        {
            WriteError::CertificateNotAccepted { message: error.message }
        }
        _ => WriteError::Aws(error),
    }
}

impl From<DistributionSummary> for DistributionFacts {
    fn from(summary: DistributionSummary) -> Self {
        let viewer = summary.viewer_certificate.as_ref();
        Self {
            associations: associations(&summary),
            status: Status::of(&summary.status),
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

fn certificate_ref(viewer: &ViewerCertificate) -> Option<ViewerCertificateRef> {
    let named = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
    named(&viewer.acm_certificate_arn)
        .map(ViewerCertificateRef::Acm)
        .or_else(|| named(&viewer.iam_certificate_id).map(ViewerCertificateRef::Iam))
}

/// Keeps the body of an answer as it came, since the SDK's types lose what they do not know.
#[derive(Clone, Debug, Default)]
struct KeepBody(Arc<Mutex<Vec<u8>>>);

impl KeepBody {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for KeepBody {
    fn name(&self) -> &'static str {
        "KeepBody"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(bytes) = context.response().body().bytes() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
        }
        Ok(())
    }
}

/// Puts a document into a request, before it is signed and before the first of its attempts.
#[derive(Clone, Debug)]
struct ReplaceBody(String);

impl Intercept for ReplaceBody {
    fn name(&self) -> &'static str {
        "ReplaceBody"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.0.len().to_string());
        *request.body_mut() = SdkBody::from(self.0.as_str());
        Ok(())
    }
}
