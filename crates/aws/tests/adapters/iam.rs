use aws_sdk_iam::Client;
use aws_sdk_iam::operation::delete_server_certificate::DeleteServerCertificateOutput;
use aws_sdk_iam::operation::get_account_summary::GetAccountSummaryOutput;
use aws_sdk_iam::operation::get_server_certificate::GetServerCertificateOutput;
use aws_sdk_iam::operation::list_server_certificates::ListServerCertificatesOutput;
use aws_sdk_iam::operation::upload_server_certificate::UploadServerCertificateOutput;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{ServerCertificate, ServerCertificateMetadata, SummaryKeyType, Tag};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use rotation_aws::error::ErrorKind;
use rotation_aws::store::iam::{
    IamUsage, delete, find_by_arn, find_by_fingerprint, find_by_id, list_tagged, upload, usage,
};
use rotation_aws::store::{DeleteResponse, ImportError};
use rotation_core::ids::CertificateId;

use crate::material::{COMMON, assert_kind, material, other, xml_error};

const ARN: &str = "arn:aws:iam::111122223333:server-certificate/cloudfront/www";

fn client(rules: &[&Rule]) -> Client {
    let rules: Vec<Rule> = rules.iter().map(|rule| (*rule).clone()).collect();
    mock_client!(aws_sdk_iam, RuleMode::MatchAny, &rules)
}

fn metadata(name: &str, path: &str) -> ServerCertificateMetadata {
    ServerCertificateMetadata::builder()
        .server_certificate_name(name)
        .server_certificate_id(format!("ASCA{name}"))
        .arn(format!("arn:aws:iam::111122223333:server-certificate{path}{name}"))
        .path(path)
        .expiration(DateTime::from_secs(material().certificate.not_after().as_second()))
        .build()
        .unwrap()
}

fn id(name: &str) -> CertificateId {
    let metadata = metadata(name, "/cloudfront/");
    CertificateId::Iam { id: metadata.server_certificate_id, arn: metadata.arn }
}

fn get(name: &'static str, pem: &'static str) -> Rule {
    mock!(Client::get_server_certificate)
        .match_requests(move |request| request.server_certificate_name() == Some(name))
        .then_output(move || {
            let certificate = ServerCertificate::builder()
                .server_certificate_metadata(metadata(name, "/cloudfront/"))
                .certificate_body(pem)
                .tags(Tag::builder().key("team").value("web").build().unwrap())
                .build()
                .unwrap();
            GetServerCertificateOutput::builder().server_certificate(certificate).build()
        })
}

fn list(names: &'static [(&'static str, &'static str)]) -> Rule {
    mock!(Client::list_server_certificates).then_output(move || {
        let all = names.iter().map(|(name, path)| metadata(name, path)).collect();
        ListServerCertificatesOutput::builder()
            .set_server_certificate_metadata_list(Some(all))
            .is_truncated(false)
            .build()
            .unwrap()
    })
}

#[tokio::test(start_paused = true)]
async fn a_certificate_by_arn_and_by_id() {
    let client = client(&[&get("www", &material().pem), &list(&[("www", "/cloudfront/")])]);
    for found in [find_by_arn(&client, ARN).await, find_by_id(&client, "ASCAwww").await] {
        let found = found.unwrap().unwrap();
        assert_eq!(found.id, id("www"));
        assert_eq!(found.certificate, material().certificate);
        assert_eq!(found.tags, [rotation_core::request::tags::Tag::new("team", "web")]);
    }
    assert!(find_by_id(&client, "ASCAelse").await.unwrap().is_none());
    let other_path = "arn:aws:iam::111122223333:server-certificate/other/www";
    assert!(find_by_arn(&client, other_path).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_gives_none() {
    let rule = mock!(Client::get_server_certificate)
        .then_http_response(|| xml_error(404, "NoSuchEntity", "no such certificate"));
    assert!(find_by_arn(&client(&[&rule]), ARN).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn common_errors_are_classified() {
    for (status, code, kind) in COMMON {
        let rule = mock!(Client::get_server_certificate)
            .then_http_response(move || xml_error(status, code, "told so"));
        assert_kind(find_by_arn(&client(&[&rule]), ARN).await, kind);
    }
}

#[tokio::test(start_paused = true)]
async fn only_cloudfront_certificates_with_the_same_leaf_are_copies() {
    let listed = list(&[("same", "/cloudfront/"), ("other", "/cloudfront/"), ("elsewhere", "/")]);
    let client = client(&[&listed, &get("same", &material().pem), &get("other", &other().pem)]);
    let found = find_by_fingerprint(&client, &material().certificate).await.unwrap();
    assert_eq!(found.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [id("same")]);
}

#[tokio::test(start_paused = true)]
async fn certificates_are_found_by_tag() {
    let client = client(&[&list(&[("www", "/cloudfront/")]), &get("www", &material().pem)]);
    let found = list_tagged(&client, "team", |value| value == "web").await.unwrap();
    assert_eq!(found.into_iter().map(|one| one.id).collect::<Vec<_>>(), [id("www")]);
    assert!(list_tagged(&client, "team", |value| value == "shop").await.unwrap().is_empty());
    assert!(list_tagged(&client, "shop", |_| true).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_upload_uses_the_path_that_cloudfront_requires() {
    let rule = mock!(Client::upload_server_certificate)
        .match_requests(|request| {
            request.path() == Some("/cloudfront/")
                && request.server_certificate_name() == Some("www")
                && request.private_key().is_some_and(|key| key.contains("PRIVATE KEY"))
                && request.certificate_chain().is_none()
                && request.tags()[0].key() == "team"
        })
        .then_output(|| {
            UploadServerCertificateOutput::builder()
                .server_certificate_metadata(metadata("www", "/cloudfront/"))
                .build()
        });
    let tags = [rotation_core::request::tags::Tag::new("team", "web")];
    let uploaded = upload(&client(&[&rule]), "www", &material().bundle(), &[], &tags).await;
    assert_eq!(uploaded.unwrap(), id("www"));
}

#[tokio::test(start_paused = true)]
async fn refused_uploads() {
    for (code, expected) in [
        ("LimitExceeded", "quota"),
        ("EntityAlreadyExists", "exists"),
        ("MalformedCertificate", "invalid"),
        ("KeyPairMismatch", "invalid"),
        ("ConcurrentModification", "aws"),
    ] {
        let rule = mock!(Client::upload_server_certificate)
            .then_http_response(move || xml_error(409, code, "told so"));
        let error =
            upload(&client(&[&rule]), "www", &material().bundle(), &[], &[]).await.unwrap_err();
        let got = match &error {
            ImportError::QuotaReached(_) => "quota",
            ImportError::AlreadyExists => "exists",
            ImportError::Invalid(_) => "invalid",
            ImportError::Tags(_) => "tags",
            ImportError::Aws(_) => "aws",
        };
        assert_eq!(got, expected, "{code}: {error}");
        assert_eq!(rule.num_calls(), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_sent_once_whatever_the_response() {
    for (status, code, kind) in COMMON {
        let rule = mock!(Client::upload_server_certificate)
            .then_http_response(move || xml_error(status, code, "told so"));
        let result = upload(&client(&[&rule]), "www", &material().bundle(), &[], &[]).await;
        assert!(
            matches!(&result, Err(ImportError::Aws(error)) if error.kind == kind),
            "{code}: {result:?}"
        );
        assert_eq!(rule.num_calls(), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn deletions() {
    let deleted = mock!(Client::delete_server_certificate)
        .match_requests(|request| request.server_certificate_name() == Some("www"))
        .then_output(|| DeleteServerCertificateOutput::builder().build());
    assert_eq!(delete(&client(&[&deleted]), ARN).await.unwrap(), DeleteResponse::Deleted);
    let gone = mock!(Client::delete_server_certificate)
        .then_http_response(|| xml_error(404, "NoSuchEntity", "gone"));
    assert_eq!(delete(&client(&[&gone]), ARN).await.unwrap(), DeleteResponse::AlreadyGone);
    let used = mock!(Client::delete_server_certificate).then_http_response(|| {
        xml_error(409, "DeleteConflict", "Certificate: ASCAwww is being used by CloudFront.")
    });
    assert_eq!(
        delete(&client(&[&used]), ARN).await.unwrap(),
        DeleteResponse::InUse(
            "DeleteConflict: Certificate: ASCAwww is being used by CloudFront.".into()
        )
    );
    let denied = mock!(Client::delete_server_certificate)
        .then_http_response(|| xml_error(403, "AccessDenied", "no"));
    assert_kind(delete(&client(&[&denied]), ARN).await, ErrorKind::AccessDenied);
}

#[tokio::test(start_paused = true)]
async fn usage_and_quota_come_from_the_account_summary() {
    let rule = mock!(Client::get_account_summary).then_output(|| {
        GetAccountSummaryOutput::builder()
            .summary_map(SummaryKeyType::ServerCertificates, 19)
            .summary_map(SummaryKeyType::ServerCertificatesQuota, 20)
            .build()
    });
    assert_eq!(usage(&client(&[&rule])).await.unwrap(), IamUsage { used: 19, quota: 20 });
    let empty = mock!(Client::get_account_summary)
        .then_output(|| GetAccountSummaryOutput::builder().build());
    assert_kind(usage(&client(&[&empty])).await, ErrorKind::Unavailable);
}
