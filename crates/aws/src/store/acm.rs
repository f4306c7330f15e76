//! Certificates in ACM, region us-east-1.

use aws_sdk_acm::Client;
use aws_sdk_acm::config::retry::RetryConfig;
use aws_sdk_acm::primitives::{Blob, DateTime};
use aws_sdk_acm::types::{
    CertificateDetail, CertificateStatus, CertificateSummary, CertificateType, Filters,
    KeyAlgorithm, Tag as AcmTag,
};
use jiff::{SignedDuration, Timestamp};
use rotation_core::certificate::Certificate;
use rotation_core::certificate::bundle::Bundle;
use rotation_core::certificate::changes;
use rotation_core::ids::CertificateId;
use rotation_core::request::tags::{self, Tag};

use crate::error::{AwsError, ErrorKind, SdkResultExt};
use crate::store::{DeleteResponse, ImportError, Stored};
use crate::tagging;

/// As many as the timeout of an operation allows: with the SDK's backoff 15 seconds on average.
const TAG_ATTEMPTS: u32 = 6;

/// Usage of ACM's quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcmUsage {
    /// All certificates of the region.
    pub certificates: u64,
    /// The imported ones among them.
    pub imported: u64,
    /// Existing certificates that were created or imported in the last 365 days.
    pub created_last_year: u64,
    /// Existing certificates that were imported in the last 365 days.
    pub imported_last_year: u64,
}

/// A certificate with its tags and uses; `None` if the ARN does not exist.
pub async fn describe(client: &Client, arn: &str) -> Result<Option<Stored>, AwsError> {
    let Some(detail) = detail(client, arn).await? else { return Ok(None) };
    let Some((leaf, root)) = content(client, arn).await? else { return Ok(None) };
    Ok(Some(stored(arn, leaf, root, detail, tags(client, arn).await?)))
}

/// Everything but the certificate itself; `None` if the ARN does not exist.
async fn detail(client: &Client, arn: &str) -> Result<Option<CertificateDetail>, AwsError> {
    const OPERATION: &str = "DescribeCertificate";
    let answer = client.describe_certificate().certificate_arn(arn).send().await;
    match answer.operation(OPERATION, arn) {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        answer => answer?
            .certificate
            .map(Some)
            .ok_or_else(|| AwsError::malformed(OPERATION, arn, "no Certificate")),
    }
}

fn stored(
    arn: &str,
    certificate: Certificate,
    root: String,
    detail: CertificateDetail,
    tags: Vec<Tag>,
) -> Stored {
    let id = CertificateId::Acm { arn: arn.to_owned() };
    Stored { id, certificate, root, tags, in_use_by: detail.in_use_by.unwrap_or_default() }
}

/// The imported certificates with this leaf, with their tags.
pub async fn find_by_fingerprint(
    client: &Client,
    wanted: &Certificate,
) -> Result<Vec<(CertificateId, Vec<Tag>)>, AwsError> {
    let mut found = Vec::new();
    for summary in list(client).await? {
        // Reading every certificate would take hours at ACM's rates.
        if summary.r#type != Some(CertificateType::Imported)
            || summary.status.as_ref().is_some_and(|status| *status != CertificateStatus::Issued)
            || !may_be(&summary, wanted)
        {
            continue;
        }
        let Some(arn) = summary.certificate_arn else { continue };
        if content(client, &arn).await?.is_some_and(|(leaf, _)| leaf == *wanted) {
            let tags = tags(client, &arn).await?;
            found.push((CertificateId::Acm { arn }, tags));
        }
    }
    Ok(found)
}

/// Can this summary be of the wanted certificate? Authorities end many certificates at the same
/// second of a day, so its dates alone may leave hundreds.
fn may_be(summary: &CertificateSummary, wanted: &Certificate) -> bool {
    let is = |time: &Option<DateTime>, wanted: Timestamp| {
        time.as_ref().is_none_or(|time| time.secs() == wanted.as_second())
    };
    // A summary has at most a hundred names.
    let names = summary.subject_alternative_name_summaries();
    let has = |wanted: &String| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    let is_complete = summary.has_additional_subject_alternative_names == Some(false);
    is(&summary.not_before, wanted.not_before())
        && is(&summary.not_after, wanted.not_after())
        && (!is_complete || names.is_empty() || wanted.dns_names().iter().all(has))
}

/// Every imported certificate.
pub async fn list_imported(client: &Client) -> Result<Vec<Stored>, AwsError> {
    let mut found = Vec::new();
    for arn in imported(client).await? {
        found.extend(describe(client, &arn).await?);
    }
    Ok(found)
}

/// Adds tags to a certificate, replacing those with the same keys.
pub async fn tag(client: &Client, arn: &str, tags: &[Tag]) -> Result<(), AwsError> {
    const OPERATION: &str = "AddTagsToCertificate";
    let request = client.add_tags_to_certificate().certificate_arn(arn);
    let request = request.set_tags(Some(sdk_tags(tags, OPERATION)?));
    request.send().await.operation(OPERATION, arn).map(drop)
}

/// The imported certificates that have a tag with this key and a wanted value. Found in the index of
/// tags, since reading the tags of every certificate would take as many calls; what the index
/// returns is then read from ACM, because the index may be outdated.
pub async fn list_tagged(
    client: &Client,
    index: &aws_sdk_resourcegroupstagging::Client,
    key: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Stored>, AwsError> {
    let has_wanted = |tags: &[Tag]| tags::value(tags, key).is_some_and(&is_wanted);
    let mut found = Vec::new();
    for candidate in tagging::find(index, &["acm:certificate"], key, &[]).await? {
        let arn = &candidate.arn;
        if !has_wanted(&candidate.tags) {
            continue;
        }
        let tags = tags(client, arn).await?;
        if !has_wanted(&tags) {
            continue;
        }
        // Others, such as pending ones of Amazon, may have no certificate to get.
        let Some(detail) = detail(client, arn).await? else { continue };
        if detail.r#type != Some(CertificateType::Imported) {
            continue;
        }
        let Some((leaf, root)) = content(client, arn).await? else { continue };
        found.push(stored(arn, leaf, root, detail, tags));
    }
    Ok(found)
}

/// Imports a certificate with this chain and returns its ARN. The request is sent once: ACM has no
/// idempotency token, and a second attempt after a lost response would create a second certificate.
pub async fn import(
    client: &Client,
    bundle: &Bundle,
    chain: &[Certificate],
    tags: &[Tag],
) -> Result<String, ImportError> {
    const OPERATION: &str = "ImportCertificate";
    let chain: String = chain.iter().map(Certificate::to_pem).collect();
    let chain = (!chain.is_empty()).then(|| Blob::new(chain.into_bytes()));
    let tags = sdk_tags(tags, OPERATION).map_err(ImportError::Aws)?;
    let request = client
        .import_certificate()
        .certificate(Blob::new(bundle.leaf.to_pem().into_bytes()))
        .private_key(Blob::new(bundle.key.to_pem().as_bytes()))
        .set_certificate_chain(chain)
        .set_tags(Some(tags));
    let once = aws_sdk_acm::config::Builder::new().retry_config(RetryConfig::disabled());
    let answer = request.customize().config_override(once).send().await;
    let answer = answer.operation(OPERATION, "the new certificate").map_err(|error| match error
        .code
        .as_deref()
    {
        Some("LimitExceededException") => ImportError::QuotaReached(error),
        Some("InvalidParameterException" | "ValidationException") => ImportError::Invalid(error),
        Some("TooManyTagsException" | "InvalidTagException" | "TagPolicyException") => {
            ImportError::Tags(error)
        }
        _ => ImportError::Aws(error),
    })?;
    answer.certificate_arn.ok_or_else(|| {
        ImportError::Aws(AwsError::malformed(OPERATION, "the new certificate", "no CertificateArn"))
    })
}

/// Deletes a certificate that is not in use.
pub async fn delete(client: &Client, arn: &str) -> Result<DeleteResponse, AwsError> {
    let answer = client.delete_certificate().certificate_arn(arn).send().await;
    match answer.operation("DeleteCertificate", arn) {
        Ok(_) => Ok(DeleteResponse::Deleted),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(DeleteResponse::AlreadyGone),
        Err(error) if error.is("ResourceInUseException") => {
            Ok(DeleteResponse::InUse(error.message))
        }
        Err(error) => Err(error),
    }
}

/// Counts the certificates.
pub async fn usage(client: &Client, now: Timestamp) -> Result<AcmUsage, AwsError> {
    let year_ago = (now - SignedDuration::from_hours(365 * 24)).as_second();
    let recent = |time: &Option<DateTime>| time.as_ref().is_some_and(|t| t.secs() >= year_ago);
    let mut usage = AcmUsage::default();
    for summary in list(client).await? {
        let imported = summary.r#type == Some(CertificateType::Imported);
        let is_new = recent(&summary.imported_at) || recent(&summary.created_at);
        usage.certificates += 1;
        usage.imported += u64::from(imported);
        usage.created_last_year += u64::from(is_new);
        usage.imported_last_year += u64::from(imported && is_new);
    }
    Ok(usage)
}

/// Converts tags to the SDK's type.
fn sdk_tags(tags: &[Tag], operation: &'static str) -> Result<Vec<AcmTag>, AwsError> {
    let tags = tags.iter().map(|tag| AcmTag::builder().key(&tag.key).value(&tag.value).build());
    tags.map(|tag| tag.map_err(|error| AwsError::malformed(operation, "a tag", error))).collect()
}

/// The ARNs of all imported certificates.
async fn imported(client: &Client) -> Result<Vec<String>, AwsError> {
    let all = list(client).await?.into_iter();
    let imported = all.filter(|summary| summary.r#type == Some(CertificateType::Imported));
    Ok(imported.filter_map(|summary| summary.certificate_arn).collect())
}

/// All certificates. Without a filter ListCertificates returns only RSA 1024 and 2048.
async fn list(client: &Client) -> Result<Vec<CertificateSummary>, AwsError> {
    let every_key = Filters::builder()
        .set_key_types(Some(vec![
            KeyAlgorithm::Rsa1024,
            KeyAlgorithm::Rsa2048,
            KeyAlgorithm::Rsa3072,
            KeyAlgorithm::Rsa4096,
            KeyAlgorithm::EcPrime256v1,
            KeyAlgorithm::EcSecp384r1,
            KeyAlgorithm::EcSecp521r1,
        ]))
        .build();
    let mut pages = client
        .list_certificates()
        .includes(every_key)
        .max_items(1_000)
        .into_paginator()
        .items()
        .send();
    let mut all = Vec::new();
    while let Some(summary) = pages.next().await {
        all.push(summary.operation("ListCertificates", "ACM")?);
    }
    Ok(all)
}

/// The leaf, and the name of its root; `None` if the certificate no longer exists.
async fn content(client: &Client, arn: &str) -> Result<Option<(Certificate, String)>, AwsError> {
    const OPERATION: &str = "GetCertificate";
    let answer = client.get_certificate().certificate_arn(arn).send().await;
    let answer = match answer.operation(OPERATION, arn) {
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        answer => answer?,
    };
    let malformed = |why: &dyn std::fmt::Display| AwsError::malformed(OPERATION, arn, why);
    let pem = answer.certificate.ok_or_else(|| malformed(&"no Certificate"))?;
    let leaf = Certificate::from_pem(&pem).map_err(|error| malformed(&error))?;
    let root = changes::root_name(&leaf, answer.certificate_chain.as_deref());
    Ok(Some((leaf, root)))
}

/// The tags; none if the certificate no longer exists.
async fn tags(client: &Client, arn: &str) -> Result<Vec<Tag>, AwsError> {
    // ACM has throttled accounts after some 14 reads of tags in a row
    // (cloudformation-dns-certificate#12), and `start-rotation` reads those of every managed
    // certificate in one attempt, so these reads alone have more retries.
    let retries = aws_sdk_acm::config::Builder::new()
        .retry_config(RetryConfig::standard().with_max_attempts(TAG_ATTEMPTS));
    let request = client.list_tags_for_certificate().certificate_arn(arn);
    let answer = request.customize().config_override(retries).send().await;
    let tags = match answer.operation("ListTagsForCertificate", arn) {
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Vec::new()),
        answer => answer?.tags.unwrap_or_default(),
    };
    Ok(tags.into_iter().map(|tag| Tag::new(tag.key, tag.value.unwrap_or_default())).collect())
}
