//! CloudFront: restXml, version 2020-05-31.

use super::{Answer, Request, element, inner, inners, page};
use crate::harness::account::{Account, Distribution, Tenant, covers, leaf_of};

const NAMESPACE: &str = "xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"";

pub(super) fn operation(method: &str, request: &Request) -> (String, String) {
    let path = request.path.strip_prefix("2020-05-31/").expect("this version of the API");
    let parts: Vec<&str> = path.split('/').collect();
    let (operation, resource) = match (method, parts.as_slice()) {
        ("GET", ["distribution"]) => ("ListDistributions", "*"),
        ("GET", ["distribution", id]) => ("GetDistribution", *id),
        ("GET", ["distribution", id, "config"]) => ("GetDistributionConfig", *id),
        ("PUT", ["distribution", id, "config"]) => ("UpdateDistribution", *id),
        ("GET", ["continuous-deployment-policy"]) => ("ListContinuousDeploymentPolicies", "*"),
        ("POST", ["distribution-tenants-by-customization"]) => (
            "ListDistributionTenantsByCustomization",
            inner(&request.body, "CertificateArn").expect("a certificate"),
        ),
        ("POST", ["distribution-tenants"]) => (
            "ListDistributionTenants",
            inner(&request.body, "DistributionId").expect("a distribution"),
        ),
        ("POST", ["connection-groups"]) => ("ListConnectionGroups", "*"),
        ("GET", ["distribution-tenant", id]) => ("GetDistributionTenant", *id),
        ("PUT", ["distribution-tenant", id]) => ("UpdateDistributionTenant", *id),
        other => panic!("CloudFront has no {other:?} here"),
    };
    (operation.to_owned(), resource.to_owned())
}

pub(super) fn answer(account: &mut Account, request: &Request) -> Answer {
    match request.operation.as_str() {
        "ListDistributions" => list(account, request),
        "ListContinuousDeploymentPolicies" => policies(account),
        "ListConnectionGroups" => connection_groups(account),
        "ListDistributionTenantsByCustomization" => tenants(account, request, |tenant, arn| {
            inner(&tenant.body, "Certificate").and_then(|own| inner(own, "Arn")) == Some(arn)
        }),
        "ListDistributionTenants" => tenants(account, request, |tenant, id| {
            inner(&tenant.body, "DistributionId") == Some(id)
        }),
        "UpdateDistribution" => update(account, request),
        "UpdateDistributionTenant" => update_tenant(account, request),
        "GetDistributionTenant" => match account.tenants.get_mut(&request.resource) {
            None => error(404, "EntityNotFound", "no such tenant"),
            Some(tenant) => {
                let status = seen(&mut tenant.reads_until_deployed);
                tenant_answer(&request.resource, tenant, status)
            }
        },
        operation => {
            let id = request.resource.as_str();
            let Some(distribution) = account.distributions.get_mut(id) else {
                return error(404, "NoSuchDistribution", "no such distribution");
            };
            let etag = Some(distribution.etag());
            let is_edited = operation == "GetDistributionConfig"
                && std::mem::take(&mut account.edited_meanwhile);
            let body = if operation == "GetDistribution" {
                let status = seen(&mut distribution.reads_until_deployed);
                document(id, distribution, status)
            } else {
                format!(
                    "<?xml version=\"1.0\"?>\n<DistributionConfig {NAMESPACE}>{}</DistributionConfig>",
                    distribution.config
                )
            };
            if is_edited {
                distribution.config.push_str("<Edited/>");
                distribution.version += 1;
            }
            Answer { status: 200, etag, body }
        }
    }
}

pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::error("cloudfront", status, code, message)
}

fn status(reads_until_deployed: u32) -> &'static str {
    if reads_until_deployed == 0 { "Deployed" } else { "InProgress" }
}

/// The status that this read returns. Each read advances the deployment.
fn seen(reads_until_deployed: &mut u32) -> &'static str {
    let status = status(*reads_until_deployed);
    *reads_until_deployed = reads_until_deployed.saturating_sub(1);
    status
}

fn list(account: &Account, request: &Request) -> Answer {
    let mut ids: Vec<&String> = account.distributions.keys().collect();
    if account.list_backwards {
        ids.reverse();
    }
    let (ids, next) = page(ids, request.get("Marker"), account.page_size);
    let items: String = ids.into_iter().map(|id| summary(id, &account.distributions[id])).collect();
    Answer::ok(format!(
        "<?xml version=\"1.0\"?><DistributionList {NAMESPACE}><Marker></Marker>{}<MaxItems>100</MaxItems><IsTruncated>{}</IsTruncated><Quantity>1</Quantity><Items>{items}</Items></DistributionList>",
        element("NextMarker", next.as_deref()),
        next.is_some(),
    ))
}

fn summary(id: &str, distribution: &Distribution) -> String {
    let config = &distribution.config;
    let copied: String = [
        "Aliases",
        "DefaultCacheBehavior",
        "CacheBehaviors",
        "ViewerCertificate",
        "Staging",
        "ConnectionMode",
    ]
    .iter()
    .map(|name| element(name, inner(config, name)))
    .collect();
    let origins = inner(config, "Origins").unwrap_or("<Quantity>0</Quantity>");
    let web_acl = inner(config, "WebACLId").unwrap_or_default();
    let version = inner(config, "HttpVersion").unwrap_or("http2").to_uppercase();
    format!(
        "<DistributionSummary><Id>{id}</Id><ARN>{}</ARN><Status>{}</Status><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime><DomainName>{id}.cloudfront.net</DomainName><Origins>{origins}</Origins><Comment></Comment><PriceClass>PriceClass_All</PriceClass><Enabled>true</Enabled><WebACLId>{web_acl}</WebACLId><HttpVersion>{version}</HttpVersion><IsIPV6Enabled>true</IsIPV6Enabled>{copied}</DistributionSummary>",
        Account::distribution_arn(id),
        status(distribution.reads_until_deployed),
    )
}

fn document(id: &str, distribution: &Distribution, status: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Distribution {NAMESPACE}><Id>{id}</Id><ARN>{}</ARN><Status>{status}</Status><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime><InProgressInvalidationBatches>0</InProgressInvalidationBatches><DomainName>{id}.cloudfront.net</DomainName><DistributionConfig>{}</DistributionConfig></Distribution>",
        Account::distribution_arn(id),
        distribution.config,
    )
}

/// The default group, and another one that tenants may name.
fn connection_groups(account: &Account) -> Answer {
    let group = |id: &str, is_default: bool| {
        let enabled = !account.disabled_groups.iter().any(|one| one == id);
        format!(
            "<ConnectionGroupSummary><Id>{id}</Id><Name>{id}</Name><Arn>arn:{id}</Arn><RoutingEndpoint>{id}.cloudfront.net</RoutingEndpoint><CreatedTime>2026-11-01T00:00:00Z</CreatedTime><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime><ETag>E</ETag><Enabled>{enabled}</Enabled><IsDefault>{is_default}</IsDefault></ConnectionGroupSummary>"
        )
    };
    let items = format!("{}{}", group("cg_other", false), group("cg_default", true));
    Answer::ok(format!(
        "<ListConnectionGroupsResult {NAMESPACE}><ConnectionGroups>{items}</ConnectionGroups></ListConnectionGroupsResult>"
    ))
}

fn policies(account: &Account) -> Answer {
    let items: String = account
        .policies()
        .iter()
        .map(|id| format!("<ContinuousDeploymentPolicySummary><ContinuousDeploymentPolicy><Id>{id}</Id><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime></ContinuousDeploymentPolicy></ContinuousDeploymentPolicySummary>"))
        .collect();
    Answer::ok(format!(
        "<ContinuousDeploymentPolicyList {NAMESPACE}><MaxItems>100</MaxItems><Quantity>0</Quantity><Items>{items}</Items></ContinuousDeploymentPolicyList>"
    ))
}

fn tenants(account: &Account, request: &Request, wanted: impl Fn(&Tenant, &str) -> bool) -> Answer {
    let all: Vec<(&String, &Tenant)> =
        account.tenants.iter().filter(|(_, tenant)| wanted(tenant, &request.resource)).collect();
    let (tenants, next) = page(all, inner(&request.body, "Marker"), account.page_size);
    let items: String = tenants
        .into_iter()
        .map(|(id, tenant)| {
            let content = tenant_content(id, tenant, status(tenant.reads_until_deployed));
            format!("<DistributionTenantSummary>{content}</DistributionTenantSummary>")
        })
        .collect();
    let root = format!("{}Result", request.operation);
    Answer::ok(format!(
        "<{root} {NAMESPACE}>{}<DistributionTenantList>{items}</DistributionTenantList></{root}>",
        element("NextMarker", next.as_deref())
    ))
}

/// The read-only parts of a tenant: its names and times, and the status of its domains.
fn tenant_content(id: &str, tenant: &Tenant, status: &str) -> String {
    let body = tenant.body.replace("</Domain>", "</Domain><Status>active</Status>");
    // A tenant may say otherwise.
    let body = body.replace("<Status>active</Status><Status>", "<Status>");
    format!(
        "<Id>{id}</Id><Name>{id}</Name><Arn>arn:aws:cloudfront:::{id}</Arn><CreatedTime>2026-11-01T00:00:00Z</CreatedTime><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime><Status>{status}</Status>{body}"
    )
}

fn tenant_answer(id: &str, tenant: &Tenant, status: &str) -> Answer {
    let content = tenant_content(id, tenant, status);
    let body = format!("<DistributionTenant {NAMESPACE}>{content}</DistributionTenant>");
    Answer { status: 200, etag: Some(tenant.etag()), body }
}

fn update(account: &mut Account, request: &Request) -> Answer {
    let id = request.resource.as_str();
    let Some(before) = account.distributions.get(id) else {
        return error(404, "NoSuchDistribution", "no such distribution");
    };
    if request.if_match.as_ref() != Some(&before.etag()) {
        return error(412, "PreconditionFailed", "the ETag is not the current one");
    }
    let config = request
        .body
        .split_once(&format!("<DistributionConfig {NAMESPACE}>"))
        .and_then(|(_, rest)| rest.split_once("</DistributionConfig>"))
        .expect("a DistributionConfig")
        .0
        .to_owned();
    let viewer = inner(&config, "ViewerCertificate").expect("a ViewerCertificate");
    let is_changed = Some(viewer) != inner(&before.config, "ViewerCertificate");
    if is_changed && before.reads_until_deployed > 0 {
        return error(
            400,
            "IllegalUpdate",
            "Only one viewer certificate change may be in progress at a time.",
        );
    }
    if config.contains("<WebACLId>gone</WebACLId>") {
        return error(400, "InvalidWebACLId", "no such web ACL");
    }
    if is_changed && before.policy().is_some() {
        return error(
            400,
            "IllegalUpdate",
            "One or more fields updated are not supported for continuous deployment",
        );
    }
    let aliases =
        inner(&config, "Aliases").map(|aliases| inners(aliases, "CNAME")).unwrap_or_default();
    if let Err(message) = accepts(account, viewer, &aliases) {
        return error(400, "InvalidViewerCertificate", &message);
    }
    let reads = account.reads_until_deployed;
    let distribution = account.distributions.get_mut(id).expect("it was there");
    distribution.config = config;
    distribution.version += 1;
    distribution.reads_until_deployed = reads;
    let body = document(id, distribution, status(reads));
    Answer { status: 200, etag: Some(distribution.etag()), body }
}

/// Accepts exactly one certificate, in its store, that covers all aliases.
fn accepts(account: &Account, viewer: &str, aliases: &[&str]) -> Result<(), String> {
    let stored = match (inner(viewer, "ACMCertificateArn"), inner(viewer, "IAMCertificateId")) {
        (Some(arn), None) => account.acm.get(arn),
        (None, Some(id)) => {
            account.iam.values().find(|one| one.id == id && one.path.starts_with("/cloudfront/"))
        }
        _ => return Err("not exactly one certificate".into()),
    };
    for deprecated in ["<Certificate>", "<CertificateSource>"] {
        if viewer.contains(deprecated) {
            return Err(format!("does not match the given {deprecated} field"));
        }
    }
    let stored = stored.ok_or("The specified SSL certificate doesn't exist")?;
    match aliases.iter().find(|alias| !covers(leaf_of(&stored.pem).dns_names(), alias)) {
        Some(alias) => Err(format!("the certificate doesn't cover {alias}")),
        None => Ok(()),
    }
}

fn update_tenant(account: &mut Account, request: &Request) -> Answer {
    let id = request.resource.as_str();
    let Some(before) = account.tenants.get(id) else {
        return error(404, "EntityNotFound", "no such tenant");
    };
    if request.if_match.as_ref() != Some(&before.etag()) {
        return error(412, "PreconditionFailed", "the ETag is not the current one");
    }
    let root = "UpdateDistributionTenantRequest";
    let body = request
        .body
        .split_once(&format!("<{root} {NAMESPACE}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{root}>")))
        .expect("an update of a tenant")
        .0
        .to_owned();
    for read_only in ["<Status>", "<Id>", "<CreatedTime>"] {
        assert!(!body.contains(read_only), "an update has no {read_only}: {body}");
    }
    let arn = inner(&body, "Certificate").and_then(|own| inner(own, "Arn")).expect("a certificate");
    let viewer = element("ACMCertificateArn", Some(arn));
    if let Err(message) = accepts(account, &viewer, &inners(&body, "Domain")) {
        return error(400, "InvalidViewerCertificate", &message);
    }
    let reads = account.reads_until_deployed;
    let tenant = account.tenants.get_mut(id).expect("it was there");
    tenant.body = body;
    tenant.version += 1;
    tenant.reads_until_deployed = reads;
    tenant_answer(id, tenant, status(reads))
}
