use aws_sdk_cloudfront::Client;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use rotation_aws::cloudfront::config_document::ConfigDocument;
use rotation_aws::cloudfront::{
    Entrance, Page, Status, ViewerCertificateRef, WriteError, all_pages,
    continuous_deployment_policies, continuous_deployment_policy_of, distributions, entrances,
    read_config, status, tenants_by_certificate, tenants_of, write_config,
};
use rotation_aws::error::ErrorKind;
use rotation_core::ids::{CertificateId, TargetId, TargetKind};
use rotation_core::plan::rights::Association;

use crate::material::{COMMON, answer, assert_kind, xml_error};

const OLD: &str = "arn:aws:acm:us-east-1:111122223333:certificate/old";
const NEW: &str = "arn:aws:acm:us-east-1:111122223333:certificate/new";

fn client(rules: &[&Rule]) -> Client {
    let rules: Vec<Rule> = rules.iter().map(|rule| (*rule).clone()).collect();
    mock_client!(aws_sdk_cloudfront, RuleMode::MatchAny, &rules)
}

fn distribution() -> TargetId {
    TargetId { kind: TargetKind::Distribution, id: "E1".into() }
}

fn tenant() -> TargetId {
    TargetId { kind: TargetKind::Tenant, id: "dt_1".into() }
}

fn new() -> CertificateId {
    CertificateId::Acm { arn: NEW.into() }
}

fn config() -> ConfigDocument {
    let xml = format!(
        "<DistributionConfig><ViewerCertificate><ACMCertificateArn>{OLD}</ACMCertificateArn></ViewerCertificate></DistributionConfig>"
    );
    ConfigDocument::of_distribution("E-TAG", &xml).unwrap()
}

fn tenant_config() -> ConfigDocument {
    let xml = format!(
        "<DistributionTenant><Customizations><Certificate><Arn>{OLD}</Arn></Certificate></Customizations></DistributionTenant>"
    );
    ConfigDocument::of_tenant("E-TAG", &xml).unwrap()
}

/// One item of ListDistributions, with the fields that this crate reads.
fn summary(id: &str, certificate: &str, extra: &str) -> String {
    format!(
        "<DistributionSummary><Id>{id}</Id><ARN>arn:{id}</ARN><Status>Deployed</Status>\
         <LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime><DomainName>{id}.cloudfront.net</DomainName>\
         <Aliases><Quantity>1</Quantity><Items><CNAME>www.example.com</CNAME></Items></Aliases>\
         <Origins><Quantity>0</Quantity></Origins><Comment></Comment><PriceClass>PriceClass_All</PriceClass>\
         <Enabled>true</Enabled><ViewerCertificate>{certificate}<SSLSupportMethod>vip</SSLSupportMethod></ViewerCertificate>\
         <WebACLId></WebACLId><HttpVersion>HTTP2AND3</HttpVersion><IsIPV6Enabled>true</IsIPV6Enabled>{extra}</DistributionSummary>"
    )
}

fn page(items: &str, next: &str) -> String {
    format!(
        "<DistributionList><Marker></Marker>{next}<MaxItems>100</MaxItems><IsTruncated>{}</IsTruncated>\
         <Quantity>1</Quantity><Items>{items}</Items></DistributionList>",
        !next.is_empty()
    )
}

#[tokio::test(start_paused = true)]
async fn every_page_of_distributions() {
    let first = mock!(Client::list_distributions)
        .match_requests(|request| request.marker().is_none())
        .then_http_response(|| {
            let certificate = format!("<ACMCertificateArn>{OLD}</ACMCertificateArn>");
            let extra = "<Staging>false</Staging><ConnectionMode>tenant-only</ConnectionMode>";
            answer(200, &page(&summary("E1", &certificate, extra), "<NextMarker>E1</NextMarker>"))
        });
    let second = mock!(Client::list_distributions)
        .match_requests(|request| request.marker() == Some("E1"))
        .then_http_response(|| {
            let certificate = "<IAMCertificateId>ASCA1</IAMCertificateId>";
            answer(200, &page(&summary("E2", certificate, "<Staging>true</Staging>"), ""))
        });
    let both = client(&[&first, &second]);
    let all = all_pages(async |marker| distributions(&both, marker).await).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].id, "E1");
    assert_eq!(all[0].status, Status::Deployed);
    assert_eq!(all[0].aliases, ["www.example.com"]);
    assert_eq!(all[0].certificate, Some(ViewerCertificateRef::Acm(OLD.into())));
    assert_eq!(all[0].ssl_support_method.as_deref(), Some("vip"));
    assert_eq!(all[0].http_version, "http2and3");
    assert!(all[0].tenant_only && !all[0].staging);
    assert_eq!(all[1].certificate, Some(ViewerCertificateRef::Iam("ASCA1".into())));
    assert!(all[1].staging && !all[1].tenant_only);
}

/// The associations for which CloudFront may require further permissions, as a list shows them.
#[tokio::test(start_paused = true)]
async fn associations_of_distributions_and_tenants() {
    use Association::{EdgeFunction, VpcOrigin, WebAcl};
    const NO_ACL: &str = "<WebACLId></WebACLId>";
    const ACL: &str = "<WebACLId>arn:aws:wafv2:us-east-1:111122223333:global/webacl/a/1</WebACLId>";
    const CLASSIC: &str = "<WebACLId>473e64fd-f30b-4765-81a0-62ad96dd167a</WebACLId>";
    const FUNCTIONS: &str = "<LambdaFunctionAssociations><Quantity>1</Quantity><Items><LambdaFunctionAssociation><LambdaFunctionARN>arn:aws:lambda:us-east-1:111122223333:function:f:2</LambdaFunctionARN><EventType>origin-request</EventType></LambdaFunctionAssociation></Items></LambdaFunctionAssociations>";
    const NO_FUNCTIONS: &str =
        "<LambdaFunctionAssociations><Quantity>0</Quantity></LambdaFunctionAssociations>";
    // It runs at the edge, but no permission on it is documented for an update.
    const EDGE_JS: &str = "<FunctionAssociations><Quantity>1</Quantity><Items><FunctionAssociation><FunctionARN>arn:aws:cloudfront::111122223333:function/f</FunctionARN><EventType>viewer-request</EventType></FunctionAssociation></Items></FunctionAssociations>";
    let behavior = |name: &str, inner: &str| {
        format!(
            "<{name}><PathPattern>*</PathPattern><TargetOriginId>o</TargetOriginId><ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy>{inner}</{name}>"
        )
    };
    let default = |inner: &str| behavior("DefaultCacheBehavior", inner);
    let others = |inner: &str| {
        let two = behavior("CacheBehavior", NO_FUNCTIONS) + &behavior("CacheBehavior", inner);
        format!("<CacheBehaviors><Quantity>2</Quantity><Items>{two}</Items></CacheBehaviors>")
    };
    let origins = |inner: &str| {
        format!(
            "<Origins><Quantity>1</Quantity><Items><Origin><Id>o</Id><DomainName>d</DomainName>{inner}</Origin></Items></Origins>"
        )
    };
    let vpc = origins("<VpcOriginConfig><VpcOriginId>vo_1</VpcOriginId></VpcOriginConfig>");
    let no_origins = "<Origins><Quantity>0</Quantity></Origins>".to_owned();
    for (acl, origins, rest, expected) in [
        (NO_ACL, no_origins.clone(), String::new(), &[][..]),
        (ACL, no_origins.clone(), String::new(), &[WebAcl]),
        (CLASSIC, no_origins.clone(), String::new(), &[WebAcl]),
        (NO_ACL, no_origins.clone(), default(FUNCTIONS), &[EdgeFunction]),
        (NO_ACL, no_origins.clone(), others(FUNCTIONS), &[EdgeFunction]),
        (NO_ACL, no_origins.clone(), default(NO_FUNCTIONS) + &others(EDGE_JS), &[]),
        (
            NO_ACL,
            origins(
                "<S3OriginConfig><OriginAccessIdentity></OriginAccessIdentity></S3OriginConfig>",
            ),
            String::new(),
            &[],
        ),
        (NO_ACL, vpc.clone(), String::new(), &[VpcOrigin]),
        (ACL, vpc, default(FUNCTIONS), &[WebAcl, EdgeFunction, VpcOrigin]),
    ] {
        let item = summary("E1", &format!("<ACMCertificateArn>{OLD}</ACMCertificateArn>"), &rest)
            .replace("<WebACLId></WebACLId>", acl)
            .replace(&no_origins, &origins);
        let rule = mock!(Client::list_distributions)
            .then_http_response(move || answer(200, &page(&item, "")));
        let found = distributions(&client(&[&rule]), None).await.unwrap().items;
        assert_eq!(found[0].associations, expected, "{acl} {origins} {rest}");
    }
    for (own, expected) in [
        ("", &[][..]),
        ("<WebAcl><Action>disable</Action></WebAcl>", &[]),
        ("<WebAcl><Action>override</Action><Arn>arn:acl</Arn></WebAcl>", &[WebAcl]),
    ] {
        let rest = format!("<Customizations>{own}</Customizations>");
        let tenant = listed("dt_1", "a.example.com", "active", &rest);
        let rule = mock!(Client::list_distribution_tenants).then_http_response(move || {
            let list = format!("<DistributionTenantList>{tenant}</DistributionTenantList>");
            answer(
                200,
                &format!("<ListDistributionTenantsResult>{list}</ListDistributionTenantsResult>"),
            )
        });
        let found = tenants_of(&client(&[&rule]), "E1", None).await.unwrap().items;
        assert_eq!(found[0].associations, expected, "{own}");
    }
}

#[tokio::test(start_paused = true)]
async fn common_errors_are_classified() {
    for (status_code, code, kind) in COMMON {
        let rule = mock!(Client::list_distributions)
            .then_http_response(move || xml_error(status_code, code, "told so"));
        assert_kind(distributions(&client(&[&rule]), None).await, kind);
        let rule = mock!(Client::update_distribution)
            .then_http_response(move || xml_error(status_code, code, "told so"));
        match write_config(&client(&[&rule]), &distribution(), &config(), &new()).await {
            Err(WriteError::Aws(error)) => assert_eq!(error.kind, kind),
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn continuous_deployment_policies_and_their_distributions() {
    let policies = mock!(Client::list_continuous_deployment_policies).then_http_response(|| {
        answer(
            200,
            "<ContinuousDeploymentPolicyList><MaxItems>100</MaxItems><Quantity>1</Quantity><Items><ContinuousDeploymentPolicySummary>\
             <ContinuousDeploymentPolicy><Id>p-1</Id><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime>\
             <ContinuousDeploymentPolicyConfig><StagingDistributionDnsNames><Quantity>0</Quantity></StagingDistributionDnsNames><Enabled>true</Enabled></ContinuousDeploymentPolicyConfig>\
             </ContinuousDeploymentPolicy></ContinuousDeploymentPolicySummary></Items></ContinuousDeploymentPolicyList>",
        )
    });
    let page = continuous_deployment_policies(&client(&[&policies]), None).await.unwrap();
    assert_eq!(page, Page { items: vec!["p-1".to_owned()], next: None });
    for (element, expected) in [
        ("<ContinuousDeploymentPolicyId>p-1</ContinuousDeploymentPolicyId>", Some("p-1")),
        ("<ContinuousDeploymentPolicyId></ContinuousDeploymentPolicyId>", None),
        ("", None),
    ] {
        let rule = mock!(Client::get_distribution_config).then_http_response(move || {
            answer(200, &format!("<DistributionConfig><CallerReference>r</CallerReference><Comment></Comment><Enabled>true</Enabled>{element}</DistributionConfig>"))
        });
        let policy = continuous_deployment_policy_of(&client(&[&rule]), "E1").await.unwrap();
        assert_eq!(policy.as_deref(), expected);
    }
}

fn tenants(root: &'static str) -> String {
    format!(
        "<{root}><DistributionTenantList><DistributionTenantSummary><Id>dt_1</Id><DistributionId>E1</DistributionId><Name>one</Name>\
         <Arn>arn:dt</Arn><Domains><member><Domain>a.example.com</Domain><Status>active</Status></member></Domains>\
         <Customizations><Certificate><Arn>{OLD}</Arn></Certificate></Customizations>\
         <CreatedTime>2026-11-01T00:00:00Z</CreatedTime><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime>\
         <ETag>e</ETag><Enabled>true</Enabled><Status>InProgress</Status></DistributionTenantSummary></DistributionTenantList></{root}>"
    )
}

#[tokio::test(start_paused = true)]
async fn tenants_by_certificate_and_by_template() {
    let by_certificate = mock!(Client::list_distribution_tenants_by_customization)
        .match_requests(|request| request.certificate_arn() == Some(OLD))
        .then_http_response(|| {
            answer(200, &tenants("ListDistributionTenantsByCustomizationResult"))
        });
    let by_template = mock!(Client::list_distribution_tenants)
        .match_requests(|request| {
            request.association_filter().and_then(|filter| filter.distribution_id()) == Some("E1")
        })
        .then_http_response(|| answer(200, &tenants("ListDistributionTenantsResult")));
    let client = client(&[&by_certificate, &by_template]);
    let found = tenants_by_certificate(&client, OLD, None).await.unwrap().items;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id.as_str(), found[0].status), ("dt_1", Status::InProgress));
    assert_eq!(found[0].domains, ["a.example.com"]);
    assert_eq!(found[0].certificate_arn.as_deref(), Some(OLD));
    assert_eq!(tenants_of(&client, "E1", None).await.unwrap().items, found);
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_target() {
    let rule = mock!(Client::get_distribution).then_http_response(|| {
        answer(
            200,
            &format!(
                "<Distribution><Id>E1</Id><ARN>a</ARN><Status>InProgress</Status><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime>\
                 <InProgressInvalidationBatches>0</InProgressInvalidationBatches><DomainName>d</DomainName>\
                 <DistributionConfig><CallerReference>r</CallerReference><Comment></Comment><Enabled>true</Enabled>\
                 <ViewerCertificate><ACMCertificateArn>{OLD}</ACMCertificateArn></ViewerCertificate></DistributionConfig></Distribution>"
            ),
        )
    });
    let seen = status(&client(&[&rule]), &distribution()).await.unwrap().unwrap();
    assert_eq!(seen.status, Status::InProgress);
    assert_eq!(seen.certificate, Some(ViewerCertificateRef::Acm(OLD.into())));

    let rule = mock!(Client::get_distribution_tenant).then_http_response(|| {
        answer(
            200,
            &format!("<DistributionTenant><Id>dt_1</Id><Status>Deployed</Status><Customizations><Certificate><Arn>{OLD}</Arn></Certificate></Customizations></DistributionTenant>"),
        )
    });
    let seen = status(&client(&[&rule]), &tenant()).await.unwrap().unwrap();
    assert_eq!(seen.status, Status::Deployed);
    assert_eq!(seen.certificate, Some(ViewerCertificateRef::Acm(OLD.into())));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_no_longer_exists() {
    let get = mock!(Client::get_distribution)
        .then_http_response(|| xml_error(404, "NoSuchDistribution", "gone"));
    let get_config = mock!(Client::get_distribution_config)
        .then_http_response(|| xml_error(404, "NoSuchDistribution", "gone"));
    let get_tenant = mock!(Client::get_distribution_tenant)
        .then_http_response(|| xml_error(404, "EntityNotFound", "gone"));
    let client = client(&[&get, &get_config, &get_tenant]);
    for target in [distribution(), tenant()] {
        assert_eq!(status(&client, &target).await.unwrap(), None);
        assert_eq!(read_config(&client, &target).await.unwrap(), None);
    }
    assert_eq!(continuous_deployment_policy_of(&client, "E1").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_configuration_is_an_error() {
    for body in ["<DistributionConfig><Aliases>", "<Other/>"] {
        let rule = mock!(Client::get_distribution_config).then_http_response(move || {
            let mut answer = answer(200, body);
            answer.headers_mut().insert("etag", "e");
            answer
        });
        assert_kind(read_config(&client(&[&rule]), &distribution()).await, ErrorKind::Unavailable);
    }
}

/// The meaning of errors of a write. The codes are those of the API reference. No source documents
/// which code a tenant gets when its certificate is not visible yet; those messages are assumed.
#[tokio::test(start_paused = true)]
async fn errors_of_writes_are_interpreted() {
    const STALE: &str = "The request failed because it didn't meet the preconditions.";
    const PLAN: &str =
        "You can't change this distribution while it's subscribed to a pricing plan.";
    const IN_PROGRESS: &str = "Only one viewer certificate change may be in progress at a time.";
    const POLICY: &str = "One or more fields updated are not supported for continuous deployment.";
    const NOT_THERE: &str = "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid, or doesn't include a valid certificate chain.";
    const OWNER: &str = "The provided Domain Name is not valid. Could not verify Domain Name ownership. It may not be pointing to a valid CloudFront resource.";
    const NO_ENTITY: &str = "The specified connection group does not exist.";
    // Status, code, message; the meaning for a distribution, and for a tenant that still exists.
    for (status_code, code, message, of_distribution, of_tenant) in [
        (412, "PreconditionFailed", STALE, "changed", "changed"),
        (412, "PreconditionFailed", PLAN, "changed", "changed"),
        (400, "InvalidIfMatchVersion", STALE, "changed", "changed"),
        (400, "IllegalUpdate", IN_PROGRESS, "in progress", "in progress"),
        (400, "InvalidArgument", IN_PROGRESS, "in progress", "in progress"),
        (409, "InvalidAssociation", IN_PROGRESS, "in progress", "in progress"),
        (400, "IllegalUpdate", POLICY, "refused", "refused"),
        (
            400,
            "IllegalUpdate",
            "You cannot update Origin or CallerReference.",
            "refused",
            "refused",
        ),
        (400, "InvalidViewerCertificate", NOT_THERE, "not accepted", "not accepted"),
        (400, "InvalidArgument", NOT_THERE, "not accepted", "not accepted"),
        (409, "InvalidAssociation", NOT_THERE, "not accepted", "not accepted"),
        (404, "EntityNotFound", NOT_THERE, "not accepted", "not accepted"),
        (400, "InvalidArgument", OWNER, "refused", "refused"),
        (400, "InvalidArgument", "The parameter Comment is too long.", "refused", "refused"),
        (409, "InvalidAssociation", "The resources cannot be associated.", "refused", "refused"),
        (404, "NoSuchDistribution", "The specified distribution does not exist.", "gone", "gone"),
        (404, "EntityNotFound", NO_ENTITY, "not there", "not there"),
        (400, "InvalidWebACLId", "The web ACL is gone.", "refused", "refused"),
        (400, "TooManyCertificates", "No more certificates.", "refused", "refused"),
        (409, "CNAMEAlreadyExists", "One or more of the CNAMEs are taken.", "refused", "refused"),
    ] {
        let one = mock!(Client::update_distribution)
            .match_requests(|request| request.if_match() == Some("E-TAG"))
            .then_http_response(move || xml_error(status_code, code, message));
        let two = mock!(Client::update_distribution_tenant)
            .match_requests(|request| request.if_match() == Some("E-TAG"))
            .then_http_response(move || xml_error(status_code, code, message));
        let there = mock!(Client::get_distribution_tenant).then_http_response(|| {
            answer(200, "<DistributionTenant><Id>dt_1</Id></DistributionTenant>")
        });
        let client = client(&[&one, &two, &there]);
        for (target, config, expected) in
            [(distribution(), config(), of_distribution), (tenant(), tenant_config(), of_tenant)]
        {
            let error = write_config(&client, &target, &config, &new()).await.unwrap_err();
            let got = match &error {
                WriteError::Changed { message: said } => {
                    assert!(said.contains(message), "{said}");
                    "changed"
                }
                WriteError::CertificateChangeInProgress { message: said } => {
                    assert!(said.contains(message), "{said}");
                    "in progress"
                }
                WriteError::CertificateNotAccepted { message: said } => {
                    assert!(said.contains(message), "{said}");
                    "not accepted"
                }
                WriteError::Gone => "gone",
                WriteError::Aws(error) => {
                    assert!(error.to_string().contains(message), "{error}");
                    match error.kind {
                        ErrorKind::Refused => "refused",
                        ErrorKind::NotFound => "not there",
                        other => panic!("{other:?}"),
                    }
                }
            };
            assert_eq!(got, expected, "{code}: {message} of {target}");
        }
    }
}

/// For a tenant, `EntityNotFound` means that it no longer exists, or that something it refers to
/// does not exist. So the tenant is read once more.
#[tokio::test(start_paused = true)]
async fn a_tenant_is_gone_only_if_a_read_does_not_find_it() {
    let update = mock!(Client::update_distribution_tenant)
        .then_http_response(|| xml_error(404, "EntityNotFound", "no such entity"));
    for (status_code, code, expected) in
        [(404, "EntityNotFound", None), (503, "ServiceUnavailable", Some(ErrorKind::Unavailable))]
    {
        let look = mock!(Client::get_distribution_tenant)
            .then_http_response(move || xml_error(status_code, code, "told so"));
        let client = client(&[&update, &look]);
        match write_config(&client, &tenant(), &tenant_config(), &new()).await.unwrap_err() {
            WriteError::Gone => assert_eq!(expected, None),
            WriteError::Aws(error) => assert_eq!(Some(error.kind), expected),
            other => panic!("{other:?}"),
        }
    }
}

/// CloudFront may not know a certificate that was just imported, or deleted, and a template may be
/// deleted while its tenants are listed.
#[tokio::test(start_paused = true)]
async fn unknown_certificates_and_templates_have_no_tenants() {
    let gone = || xml_error(404, "EntityNotFound", "The entity was not found.");
    let by_certificate =
        mock!(Client::list_distribution_tenants_by_customization).then_http_response(gone);
    let by_template = mock!(Client::list_distribution_tenants).then_http_response(gone);
    let client = client(&[&by_certificate, &by_template]);
    let none = Page { items: Vec::new(), next: None };
    assert_eq!(tenants_by_certificate(&client, NEW, None).await.unwrap(), none);
    assert_eq!(tenants_of(&client, "E1", None).await.unwrap(), none);
}

/// A distribution in the format of GetDistribution.
fn described(aliases: &str, method: &str, extra: &str) -> String {
    format!(
        "<Distribution><Id>E1</Id><ARN>arn:E1</ARN><Status>Deployed</Status><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime>\
         <InProgressInvalidationBatches>0</InProgressInvalidationBatches><DomainName>d1.cloudfront.net</DomainName>\
         <DistributionConfig><CallerReference>r</CallerReference><Comment></Comment><Enabled>true</Enabled>\
         <Aliases><Quantity>1</Quantity><Items>{aliases}</Items></Aliases><ViewerCertificate><ACMCertificateArn>{NEW}</ACMCertificateArn>\
         <SSLSupportMethod>{method}</SSLSupportMethod></ViewerCertificate>{extra}</DistributionConfig></Distribution>"
    )
}

/// A tenant in the format of the list.
fn listed(id: &str, domain: &str, status: &str, rest: &str) -> String {
    format!(
        "<DistributionTenantSummary><Id>{id}</Id><DistributionId>E1</DistributionId><Name>{id}</Name><Arn>arn:{id}</Arn>\
         <Domains><member><Domain>{domain}</Domain><Status>{status}</Status></member></Domains><CreatedTime>2026-11-01T00:00:00Z</CreatedTime>\
         <LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime><ETag>E</ETag>{rest}</DistributionTenantSummary>"
    )
}

#[tokio::test(start_paused = true)]
async fn endpoints_and_names_of_each_kind_of_target() {
    let entrance = |host: &str, names: &[&str], without_sni| Entrance {
        host: host.into(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        without_sni,
    };
    let check = async |method: &'static str,
                       extra: &'static str,
                       with_hosts,
                       expected: &[Entrance],
                       closed: &[&str]| {
        let distribution = mock!(Client::get_distribution).then_http_response(move || {
            answer(200, &described("<CNAME>a.example.com</CNAME>", method, extra))
        });
        let own = "<Customizations><Certificate><Arn>arn:own</Arn></Certificate></Customizations>";
        let tenants = [
            listed("dt_1", "t1.example.com", "active", ""),
            listed(
                "dt_2",
                "t2.example.com",
                "active",
                "<ConnectionGroupId>cg_2</ConnectionGroupId>",
            ),
            listed("dt_3", "t3.example.com", "active", own),
            listed("dt_4", "t4.example.com", "active", "<Enabled>false</Enabled>"),
            listed("dt_5", "t5.example.com", "inactive", ""),
            listed(
                "dt_6",
                "t6.example.com",
                "active",
                "<ConnectionGroupId>cg_3</ConnectionGroupId>",
            ),
        ]
        .concat();
        let tenants = mock!(Client::list_distribution_tenants).then_http_response(move || {
            let list = format!("<DistributionTenantList>{tenants}</DistributionTenantList>");
            answer(
                200,
                &format!("<ListDistributionTenantsResult>{list}</ListDistributionTenantsResult>"),
            )
        });
        let groups = mock!(Client::list_connection_groups).then_http_response(|| {
            let group = |id: &str, default: bool, enabled: bool| {
                format!("<ConnectionGroupSummary><Id>{id}</Id><Name>n</Name><Arn>a</Arn><RoutingEndpoint>{id}.cloudfront.net</RoutingEndpoint>\
                         <CreatedTime>2026-11-01T00:00:00Z</CreatedTime><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime><ETag>E</ETag>\
                         <Enabled>{enabled}</Enabled><IsDefault>{default}</IsDefault></ConnectionGroupSummary>")
            };
            let all = [group("cg_1", true, true), group("cg_2", false, true), group("cg_3", false, false)];
            let all = all.concat();
            answer(200, &format!("<ListConnectionGroupsResult><ConnectionGroups>{all}</ConnectionGroups></ListConnectionGroupsResult>"))
        });
        let client = client(&[&distribution, &tenants, &groups]);
        let target = self::distribution();
        let found = status(&client, &target).await.unwrap().unwrap();
        assert_eq!(found.certificate, Some(ViewerCertificateRef::Acm(NEW.into())));
        assert!(found.reach.enabled);
        // It is part of the state of the state machine, as JSON.
        let reach = serde_json::from_value(serde_json::to_value(found.reach).unwrap()).unwrap();
        let found = entrances(&client, &target, &reach, with_hosts).await.unwrap();
        assert_eq!(found.open, expected);
        assert_eq!(found.closed, closed);
    };
    check("sni-only", "", true, &[entrance("d1.cloudfront.net", &["a.example.com"], false)], &[])
        .await;
    check("static-ip", "", true, &[entrance("d1.cloudfront.net", &["a.example.com"], false)], &[])
        .await;
    check("vip", "", false, &[entrance("d1.cloudfront.net", &["a.example.com"], true)], &[]).await;
    let template = "<ConnectionMode>tenant-only</ConnectionMode>";
    let default = entrance("cg_1.cloudfront.net", &["t1.example.com"], false);
    let other = entrance("cg_2.cloudfront.net", &["t2.example.com"], false);
    check("sni-only", template, true, &[default, other], &["t6.example.com"]).await;
    // One endpoint stands in for all edges, and no connection group is read.
    let all = &["t1.example.com", "t2.example.com", "t6.example.com"];
    let anywhere = entrance("every edge", all, false);
    check("sni-only", template, false, &[anywhere], &[]).await;

    let gone = mock!(Client::get_distribution)
        .then_http_response(|| xml_error(404, "NoSuchDistribution", "no"));
    assert_eq!(status(&client(&[&gone]), &distribution()).await.unwrap(), None);
    let gone = mock!(Client::get_distribution_tenant)
        .then_http_response(|| xml_error(404, "EntityNotFound", "no"));
    assert_eq!(status(&client(&[&gone]), &tenant()).await.unwrap(), None);
}
