use aws_sdk_acm::Client;
use aws_sdk_acm::operation::delete_certificate::DeleteCertificateOutput;
use aws_sdk_acm::operation::describe_certificate::DescribeCertificateOutput;
use aws_sdk_acm::operation::get_certificate::GetCertificateOutput;
use aws_sdk_acm::operation::import_certificate::ImportCertificateOutput;
use aws_sdk_acm::operation::list_certificates::ListCertificatesOutput;
use aws_sdk_acm::operation::list_tags_for_certificate::ListTagsForCertificateOutput;
use aws_sdk_acm::primitives::DateTime;
use aws_sdk_acm::types::{
    CertificateDetail, CertificateStatus, CertificateSummary, CertificateType, Tag,
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use rotation_aws::error::ErrorKind;
use rotation_aws::store::acm::{
    AcmUsage, delete, describe, find_by_fingerprint, import, list_tagged, usage,
};
use rotation_aws::store::{DeleteResponse, ImportError};
use rotation_core::ids::CertificateId;

use crate::material::{COMMON, answer, assert_kind, json_error, material, other};

const ARN: &str = "arn:aws:acm:us-east-1:111122223333:certificate/a";

fn client(rules: &[&Rule]) -> Client {
    let rules: Vec<Rule> = rules.iter().map(|rule| (*rule).clone()).collect();
    mock_client!(aws_sdk_acm, RuleMode::MatchAny, &rules)
}

fn id(arn: &str) -> CertificateId {
    CertificateId::Acm { arn: arn.into() }
}

fn get(arn: &'static str, pem: &'static str) -> Rule {
    mock!(Client::get_certificate)
        .match_requests(move |request| request.certificate_arn() == Some(arn))
        .then_output(move || GetCertificateOutput::builder().certificate(pem).build())
}

fn tags(key: &'static str, value: &'static str) -> Rule {
    mock!(Client::list_tags_for_certificate).then_output(move || {
        let tag = Tag::builder().key(key).value(value).build().unwrap();
        ListTagsForCertificateOutput::builder().tags(tag).build()
    })
}

fn summary(arn: &str) -> aws_sdk_acm::types::builders::CertificateSummaryBuilder {
    CertificateSummary::builder()
        .certificate_arn(arn)
        .r#type(CertificateType::Imported)
        .status(CertificateStatus::Issued)
        .not_after(DateTime::from_secs(material().certificate.not_after().as_second()))
}

fn list(summaries: fn() -> Vec<CertificateSummary>) -> Rule {
    mock!(Client::list_certificates)
        .match_requests(|request| {
            // All seven key types: the default lists only RSA 1024 and 2048.
            request.includes().is_some_and(|filters| filters.key_types().len() == 7)
        })
        .then_output(move || {
            ListCertificatesOutput::builder()
                .set_certificate_summary_list(Some(summaries()))
                .build()
        })
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_returned_with_tags_and_uses() {
    let described = mock!(Client::describe_certificate).then_output(|| {
        let detail = CertificateDetail::builder().certificate_arn(ARN).in_use_by("arn:x").build();
        DescribeCertificateOutput::builder().certificate(detail).build()
    });
    let client = client(&[&described, &get(ARN, &material().pem), &tags("team", "web")]);
    let found = describe(&client, ARN).await.unwrap().unwrap();
    assert_eq!(found.id, id(ARN));
    assert_eq!(found.certificate, material().certificate);
    assert_eq!(found.in_use_by, ["arn:x"]);
    assert_eq!(found.tags, [rotation_core::request::tags::Tag::new("team", "web")]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_arn_gives_none() {
    let gone = mock!(Client::describe_certificate)
        .then_http_response(|| json_error(400, "ResourceNotFoundException"));
    assert!(describe(&client(&[&gone]), ARN).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn common_errors_are_classified() {
    for (status, code, kind) in COMMON {
        let rule = mock!(Client::describe_certificate)
            .then_http_response(move || json_error(status, code));
        assert_kind(describe(&client(&[&rule]), ARN).await, kind);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unusable_response_is_unavailable() {
    let rule = mock!(Client::describe_certificate)
        .then_http_response(|| answer(200, "<html>a proxy's page</html>"));
    assert_kind(describe(&client(&[&rule]), ARN).await, ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn only_imported_certificates_with_the_same_leaf_are_copies() {
    let listed = list(|| {
        vec![
            summary("arn:same").build(),
            summary("arn:other-leaf").build(),
            summary("arn:amazon").r#type(CertificateType::AmazonIssued).build(),
            summary("arn:expired").status(CertificateStatus::Expired).build(),
        ]
    });
    let client = client(&[
        &listed,
        &get("arn:same", &material().pem),
        &get("arn:other-leaf", &other().pem),
        &tags("cert-rotation:fingerprint", "x"),
    ]);
    let found = find_by_fingerprint(&client, &material().certificate).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, id("arn:same"));
    assert_eq!(found[0].1[0].key, "cert-rotation:fingerprint");
}

/// Only certificates whose summary fits are read.
#[tokio::test(start_paused = true)]
async fn s6_summaries_of_other_certificates_are_not_read() {
    let with = |names: &[&str], more: Option<bool>| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        summary("arn:1")
            .set_subject_alternative_name_summaries(Some(names))
            .set_has_additional_subject_alternative_names(more)
            .build()
    };
    let start = DateTime::from_secs(material().certificate.not_before().as_second());
    for (what, summary, is_read) in [
        ("no details", summary("arn:1").build(), true),
        ("its start", summary("arn:1").not_before(start).build(), true),
        ("another start", summary("arn:1").not_before(DateTime::from_secs(1)).build(), false),
        ("another end", summary("arn:1").not_after(DateTime::from_secs(1)).build(), false),
        ("its name", with(&["WWW.example.com"], Some(false)), true),
        ("further names, of another type", with(&["www.example.com", "::1"], Some(false)), true),
        ("another name", with(&["shop.example.com"], Some(false)), false),
        ("another name of many", with(&["shop.example.com"], Some(true)), true),
        ("another name of perhaps many", with(&["shop.example.com"], None), true),
    ] {
        let listed = mock!(Client::list_certificates).then_output(move || {
            ListCertificatesOutput::builder().certificate_summary_list(summary.clone()).build()
        });
        let got = get("arn:1", &other().pem);
        let client = client(&[&listed, &got]);
        find_by_fingerprint(&client, &material().certificate).await.unwrap();
        assert_eq!(got.num_calls(), usize::from(is_read), "{what}");
    }
}

/// The index says where to look, ACM what is there: its tags and types count, and what it no longer
/// has is left out.
#[tokio::test(start_paused = true)]
async fn s6_managed_certificates_are_found_in_the_index_and_read_from_acm() {
    const INDEXED: &str = r#"{"ResourceTagMappingList":[{"ResourceARN":"arn:1","Tags":[{"Key":"cert-rotation:source","Value":"tls/www"}]}],"PaginationToken":""}"#;
    let read = async |indexed: &'static str, kind, tags: &Rule, wanted: &'static str| {
        let index = mock!(aws_sdk_resourcegroupstagging::Client::get_resources)
            .match_requests(|request| request.resource_type_filters() == ["acm:certificate"])
            .then_http_response(move || answer(200, indexed));
        let index = mock_client!(aws_sdk_resourcegroupstagging, RuleMode::MatchAny, [&index]);
        let described = mock!(Client::describe_certificate).then_output(move || {
            let detail = CertificateDetail::builder().r#type(CertificateType::from(kind));
            DescribeCertificateOutput::builder().certificate(detail.build()).build()
        });
        let client = client(&[&described, &get("arn:1", &material().pem), tags]);
        let is_wanted = |value: &str| value == wanted;
        let found = list_tagged(&client, &index, "cert-rotation:source", is_wanted).await.unwrap();
        found.into_iter().map(|one| one.id.arn().to_owned()).collect::<Vec<_>>()
    };
    let is = |value| tags("cert-rotation:source", value);
    let gone = mock!(Client::list_tags_for_certificate)
        .then_http_response(|| json_error(400, "ResourceNotFoundException"));
    let none = r#"{"ResourceTagMappingList":[],"PaginationToken":""}"#;
    for (what, indexed, kind, tags, wanted, count) in [
        ("managed", INDEXED, "IMPORTED", is("tls/www"), "tls/www", 1),
        ("for another source", INDEXED, "IMPORTED", is("tls/www"), "tls/shop", 0),
        ("of another source meanwhile", INDEXED, "IMPORTED", is("tls/shop"), "tls/www", 0),
        ("untagged meanwhile", INDEXED, "IMPORTED", tags("team", "web"), "tls/www", 0),
        ("deleted meanwhile", INDEXED, "IMPORTED", gone, "tls/www", 0),
        ("issued by Amazon", INDEXED, "AMAZON_ISSUED", is("tls/www"), "tls/www", 0),
        ("not indexed", none, "IMPORTED", is("tls/www"), "tls/www", 0),
    ] {
        assert_eq!(read(indexed, kind, &tags, wanted).await.len(), count, "{what}");
    }
}

/// Reads of tags alone are throttled within seconds.
#[tokio::test(start_paused = true)]
async fn s6_throttled_reads_of_tags_have_more_attempts() {
    let described = mock!(Client::describe_certificate).then_output(|| {
        DescribeCertificateOutput::builder()
            .certificate(CertificateDetail::builder().build())
            .build()
    });
    let throttled = mock!(Client::list_tags_for_certificate)
        .then_http_response(|| json_error(400, "ThrottlingException"));
    let client = client(&[&described, &get(ARN, &material().pem), &throttled]);
    assert_kind(describe(&client, ARN).await, ErrorKind::Throttled);
    assert_eq!(throttled.num_calls(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_import_carries_certificate_key_and_tags() {
    let rule = mock!(Client::import_certificate)
        .match_requests(|request| {
            let text = |blob: Option<&aws_sdk_acm::primitives::Blob>| {
                blob.map(|blob| String::from_utf8(blob.as_ref().to_vec()).unwrap())
            };
            text(request.certificate()).is_some_and(|pem| pem.contains("BEGIN CERTIFICATE"))
                && text(request.private_key()).is_some_and(|pem| pem.contains("PRIVATE KEY"))
                && request.certificate_chain().is_none()
                && request.certificate_arn().is_none()
                && request.tags()[0].key() == "team"
        })
        .then_output(|| ImportCertificateOutput::builder().certificate_arn(ARN).build());
    let tags = [rotation_core::request::tags::Tag::new("team", "web")];
    assert_eq!(import(&client(&[&rule]), &material().bundle(), &[], &tags).await.unwrap(), ARN);
}

#[tokio::test(start_paused = true)]
async fn refused_imports() {
    for (code, of_its_tags) in [
        ("InvalidParameterException", false),
        ("ValidationException", false),
        ("TooManyTagsException", true),
        ("InvalidTagException", true),
        ("TagPolicyException", true),
    ] {
        let rule =
            mock!(Client::import_certificate).then_http_response(move || json_error(400, code));
        let result = import(&client(&[&rule]), &material().bundle(), &[], &[]).await;
        assert!(
            matches!(result, Err(ImportError::Invalid(_))) != of_its_tags,
            "{code}: {result:?}"
        );
        assert!(matches!(result, Err(ImportError::Tags(_))) == of_its_tags, "{code}: {result:?}");
    }
    let rule = mock!(Client::import_certificate)
        .then_http_response(|| json_error(400, "LimitExceededException"));
    let result = import(&client(&[&rule]), &material().bundle(), &[], &[]).await;
    assert!(matches!(result, Err(ImportError::QuotaReached(_))), "{result:?}");
    assert_eq!(rule.num_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_import_is_sent_once_whatever_the_response() {
    for (status, code, kind) in COMMON {
        let rule =
            mock!(Client::import_certificate).then_http_response(move || json_error(status, code));
        let result = import(&client(&[&rule]), &material().bundle(), &[], &[]).await;
        assert!(
            matches!(&result, Err(ImportError::Aws(error)) if error.kind == kind),
            "{code}: {result:?}"
        );
        assert_eq!(rule.num_calls(), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn deletions() {
    let deleted = mock!(Client::delete_certificate)
        .then_output(|| DeleteCertificateOutput::builder().build());
    assert_eq!(delete(&client(&[&deleted]), ARN).await.unwrap(), DeleteResponse::Deleted);
    let gone = mock!(Client::delete_certificate)
        .then_http_response(|| json_error(400, "ResourceNotFoundException"));
    assert_eq!(delete(&client(&[&gone]), ARN).await.unwrap(), DeleteResponse::AlreadyGone);
    let used = mock!(Client::delete_certificate)
        .then_http_response(|| json_error(400, "ResourceInUseException"));
    assert_eq!(
        delete(&client(&[&used]), ARN).await.unwrap(),
        DeleteResponse::InUse("ResourceInUseException: told so".into())
    );
    let denied = mock!(Client::delete_certificate)
        .then_http_response(|| json_error(400, "AccessDeniedException"));
    assert_kind(delete(&client(&[&denied]), ARN).await, ErrorKind::AccessDenied);
}

#[tokio::test(start_paused = true)]
async fn imported_certificates_and_those_of_a_year_are_counted() {
    let listed = list(|| {
        let at =
            |text: &str| DateTime::from_secs(text.parse::<jiff::Timestamp>().unwrap().as_second());
        vec![
            summary("arn:1").imported_at(at("2026-11-01T00:00:00Z")).build(),
            summary("arn:2").imported_at(at("2025-11-01T00:00:00Z")).build(),
            summary("arn:3")
                .r#type(CertificateType::AmazonIssued)
                .created_at(at("2026-11-01T00:00:00Z"))
                .build(),
        ]
    });
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    assert_eq!(
        usage(&client(&[&listed]), now).await.unwrap(),
        AcmUsage { certificates: 3, imported: 2, created_last_year: 2, imported_last_year: 1 }
    );
}

#[tokio::test(start_paused = true)]
async fn lists_are_read_to_the_last_page() {
    let rule = mock!(Client::list_certificates)
        .sequence()
        .output(|| {
            ListCertificatesOutput::builder()
                .certificate_summary_list(summary("arn:1").build())
                .next_token("more")
                .build()
        })
        .output(|| {
            ListCertificatesOutput::builder()
                .certificate_summary_list(summary("arn:2").build())
                .build()
        })
        .build();
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    assert_eq!(usage(&client(&[&rule]), now).await.unwrap().certificates, 2);
    assert_eq!(rule.num_calls(), 2);
}
