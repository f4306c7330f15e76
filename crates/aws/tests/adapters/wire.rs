//! The requests that change a configuration: the same bytes, except the certificate.

use std::sync::{Arc, Mutex};

use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use rotation_aws::Aws;
use rotation_aws::cloudfront::config_document::{ConfigDocument, ViewerCertificateRef};
use rotation_aws::cloudfront::{WriteError, read_config, write_config};
use rotation_core::ids::{CertificateId, TargetId, TargetKind};

const OLD: &str = "arn:aws:acm:us-east-1:111122223333:certificate/old";
const NEW: &str = "arn:aws:acm:us-east-1:111122223333:certificate/new";

/// A configuration with everything that could go wrong: a declaration, namespaces, a comment that
/// looks like a certificate, elements with the certificate's names elsewhere, and settings that no
/// SDK has.
const CONFIG: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DistributionConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><CallerReference>r</CallerReference>
  <Comment>&lt;ViewerCertificate&gt;&lt;ACMCertificateArn&gt;x&lt;/ACMCertificateArn&gt; &amp; ü</Comment><!-- <ViewerCertificate/> -->
  <QuantumSettings mode="entangled"><ViewerCertificate><ACMCertificateArn>keep</ACMCertificateArn></ViewerCertificate></QuantumSettings>
  <ViewerCertificate><CloudFrontDefaultCertificate>false</CloudFrontDefaultCertificate><ACMCertificateArn>arn:aws:acm:us-east-1:111122223333:certificate/old</ACMCertificateArn><SSLSupportMethod>sni-only</SSLSupportMethod><MinimumProtocolVersion>TLSv1.2_2021</MinimumProtocolVersion><Certificate>arn:aws:acm:us-east-1:111122223333:certificate/old</Certificate><CertificateSource>acm</CertificateSource><PostQuantumPolicy level="2">on</PostQuantumPolicy></ViewerCertificate>
  <Enabled>true</Enabled><HttpVersion>http2</HttpVersion>
</DistributionConfig>
"#;

/// The same with the new certificate, and without the elements that contradict it.
fn expected(element: &str) -> String {
    CONFIG
        .replace("<CloudFrontDefaultCertificate>false</CloudFrontDefaultCertificate>", element)
        .replace(&format!("<ACMCertificateArn>{OLD}</ACMCertificateArn>"), "")
        .replace(&format!("<Certificate>{OLD}</Certificate>"), "")
        .replace("<CertificateSource>acm</CertificateSource>", "")
}

const TENANT: &str = r#"<?xml version="1.0"?>
<DistributionTenant xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Id>dt_1</Id><DistributionId>E1</DistributionId><Name>one</Name><Arn>arn:tenant</Arn><Domains><member><Domain>a.example.com</Domain><Status>active</Status></member><member><Domain>b.example.com</Domain><Status>inactive</Status></member></Domains><Tags><Items><Tag><Key>k</Key><Value>v</Value></Tag></Items></Tags><Customizations><WebAcl><Action>override</Action><Arn>arn:acl</Arn></WebAcl><Certificate><Arn>arn:aws:acm:us-east-1:111122223333:certificate/old</Arn></Certificate><NewThing>1</NewThing></Customizations><Parameters><member><Name>n</Name><Value>v</Value></member></Parameters><ConnectionGroupId>cg_1</ConnectionGroupId><CreatedTime>2026-11-01T00:00:00Z</CreatedTime><LastModifiedTime>2026-11-01T00:00:00Z</LastModifiedTime><Enabled>true</Enabled><Status>Deployed</Status><Unheard>of</Unheard></DistributionTenant>"#;

const TENANT_REQUEST: &str = r#"<UpdateDistributionTenantRequest xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><DistributionId>E1</DistributionId><Domains><member><Domain>a.example.com</Domain></member><member><Domain>b.example.com</Domain></member></Domains><Customizations><WebAcl><Action>override</Action><Arn>arn:acl</Arn></WebAcl><Certificate><Arn>arn:aws:acm:us-east-1:111122223333:certificate/new</Arn></Certificate><NewThing>1</NewThing></Customizations><Parameters><member><Name>n</Name><Value>v</Value></member></Parameters><ConnectionGroupId>cg_1</ConnectionGroupId><Enabled>true</Enabled><Unheard>of</Unheard></UpdateDistributionTenantRequest>"#;

/// A request as it was sent.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    path: String,
    body: String,
    if_match: Option<String>,
    length: Option<String>,
    signed: bool,
}

/// A CloudFront that answers reads with `config` and writes with `statuses` in turn, repeating the
/// last one, and records the requests.
async fn cloudfront(
    config: &'static str,
    statuses: &'static [u16],
) -> (Aws, Arc<Mutex<Vec<Sent>>>) {
    let log = Arc::new(Mutex::new(Vec::<Sent>::new()));
    let writer = Arc::clone(&log);
    let http = infallible_client_fn(move |request: http::Request<SdkBody>| {
        let header = |name: &str| {
            request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let sent = Sent {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            body: String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap(),
            if_match: header("if-match"),
            length: header("content-length"),
            signed: header("authorization").is_some_and(|v| v.contains("us-east-1/cloudfront")),
        };
        let mut log = writer.lock().unwrap();
        let writes = log.iter().filter(|sent| sent.method == "PUT").count();
        let is_read = sent.method == "GET";
        log.push(sent);
        let response = http::Response::builder().header("etag", "E-TAG");
        if is_read {
            return response.status(200).body(SdkBody::from(config)).unwrap();
        }
        let status = *statuses.get(writes).or(statuses.last()).unwrap();
        let body = if status == 200 {
            let root = if config == TENANT { "DistributionTenant" } else { "Distribution" };
            format!("<{root}/>")
        } else {
            format!("<ErrorResponse><Error><Code>Code{status}</Code></Error></ErrorResponse>")
        };
        response.status(status).body(SdkBody::from(body)).unwrap()
    });
    (Aws::with_http_client(http), log)
}

fn target(kind: TargetKind, id: &str) -> TargetId {
    TargetId { kind, id: id.into() }
}

async fn rotate(aws: &Aws, target: &TargetId, id: &CertificateId) -> Result<(), WriteError> {
    let config = read_config(aws.cloudfront(), target).await.unwrap().unwrap();
    assert_eq!(config.certificate(), Some(&ViewerCertificateRef::Acm(OLD.into())));
    write_config(aws.cloudfront(), target, &config, id).await
}

#[tokio::test(start_paused = true)]
async fn nothing_but_the_certificate_changes_known_to_the_sdk_or_not() {
    let acm = CertificateId::Acm { arn: NEW.into() };
    let iam = CertificateId::Iam { id: "ASCA1".into(), arn: "arn:iam".into() };
    for (id, element) in [
        (acm, format!("<ACMCertificateArn>{NEW}</ACMCertificateArn>")),
        (iam, "<IAMCertificateId>ASCA1</IAMCertificateId>".to_owned()),
    ] {
        let (aws, log) = cloudfront(CONFIG, &[200]).await;
        rotate(&aws, &target(TargetKind::Distribution, "E1"), &id).await.unwrap();
        let sent = log.lock().unwrap().clone();
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[1].path, "/2020-05-31/distribution/E1/config");
        assert_eq!(sent[1].body, expected(&element));
        assert_eq!(sent[1].if_match.as_deref(), Some("E-TAG"));
        assert_eq!(sent[1].length, Some(sent[1].body.len().to_string()));
        assert!(sent[1].signed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_request_keeps_every_writable_element() {
    let (aws, log) = cloudfront(TENANT, &[200]).await;
    let id = CertificateId::Acm { arn: NEW.into() };
    rotate(&aws, &target(TargetKind::Tenant, "dt_1"), &id).await.unwrap();
    let sent = log.lock().unwrap().clone();
    assert_eq!(sent[1].path, "/2020-05-31/distribution-tenant/dt_1");
    assert_eq!(sent[1].body, TENANT_REQUEST);
    assert_eq!(sent[1].if_match.as_deref(), Some("E-TAG"));
}

#[tokio::test(start_paused = true)]
async fn every_attempt_carries_the_whole_configuration() {
    let (aws, log) = cloudfront(CONFIG, &[500, 503, 200]).await;
    let id = CertificateId::Acm { arn: NEW.into() };
    rotate(&aws, &target(TargetKind::Distribution, "E1"), &id).await.unwrap();
    let sent = log.lock().unwrap().clone();
    let writes: Vec<&Sent> = sent.iter().filter(|sent| sent.method == "PUT").collect();
    assert_eq!(writes.len(), 3);
    for write in writes {
        assert_eq!(write.body, expected(&format!("<ACMCertificateArn>{NEW}</ACMCertificateArn>")));
        assert!(write.signed);
    }
}

#[test]
fn a_malformed_document_is_not_written() {
    for xml in [
        "",
        "no XML",
        "<DistributionConfig>",
        "<DistributionConfig></Other>",
        "<Other><ViewerCertificate><A/></ViewerCertificate></Other>",
    ] {
        assert!(ConfigDocument::of_distribution("e", xml).is_err(), "{xml}");
        assert!(ConfigDocument::of_tenant("e", xml).is_err(), "{xml}");
    }
}

/// A client may have removed the certificate since the plan: then there is nothing to replace.
#[test]
fn a_document_without_a_certificate_serves_none_and_is_not_written() {
    let new = CertificateId::Acm { arn: "arn:new".into() };
    for xml in [
        "<DistributionConfig><ViewerCertificate/></DistributionConfig>",
        "<DistributionConfig><Aliases/></DistributionConfig>",
    ] {
        let config = ConfigDocument::of_distribution("e", xml).expect("a document");
        assert_eq!((config.certificate(), config.with_certificate(&new)), (None, None), "{xml}");
    }
    let xml = "<DistributionTenant><Id>x</Id></DistributionTenant>";
    let config = ConfigDocument::of_tenant("e", xml).expect("a document");
    assert_eq!((config.certificate(), config.with_certificate(&new)), (None, None));
}

#[test]
fn cloudfronts_own_certificate_is_none() {
    let xml = "<DistributionConfig><ViewerCertificate><CloudFrontDefaultCertificate>true</CloudFrontDefaultCertificate></ViewerCertificate></DistributionConfig>";
    assert_eq!(ConfigDocument::of_distribution("e", xml).unwrap().certificate(), None);
}
