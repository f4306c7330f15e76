//! Server certificates in IAM.

use aws_sdk_iam::Client;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::types::{ServerCertificateMetadata, SummaryKeyType, Tag as IamTag};
use rotation_core::certificate::Certificate;
use rotation_core::certificate::bundle::Bundle;
use rotation_core::certificate::changes;
use rotation_core::ids::CertificateId;
use rotation_core::request::tags::{self, Tag};

use crate::error::{AwsError, ErrorKind, SdkResultExt};
use crate::store::{DeleteResponse, ImportError, Stored};

/// The path that CloudFront requires as the prefix of a server certificate's path.
const PATH: &str = "/cloudfront/";

/// Usage of IAM's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IamUsage {
    /// Server certificates in the account.
    pub used: u64,
    /// The quota.
    pub quota: u64,
}

/// The server certificate with this ARN.
pub async fn find_by_arn(client: &Client, arn: &str) -> Result<Option<Stored>, AwsError> {
    let found = find_by_name(client, name_of(arn)).await?;
    // Names are unique in the account, whatever the path; the ARN contains both.
    Ok(found.filter(|found| found.id.arn() == arn))
}

/// The server certificate with this id, `ASCA…`. Only the list contains ids.
pub async fn find_by_id(client: &Client, id: &str) -> Result<Option<Stored>, AwsError> {
    let all = list(client).await?;
    match all.into_iter().find(|metadata| metadata.server_certificate_id == id) {
        Some(metadata) => find_by_name(client, &metadata.server_certificate_name).await,
        None => Ok(None),
    }
}

/// The server certificate with this name.
pub async fn find_by_name(client: &Client, name: &str) -> Result<Option<Stored>, AwsError> {
    const OPERATION: &str = "GetServerCertificate";
    let answer = client.get_server_certificate().server_certificate_name(name).send().await;
    let found = match answer.operation(OPERATION, name) {
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        answer => answer?.server_certificate,
    };
    let found =
        found.ok_or_else(|| AwsError::malformed(OPERATION, name, "no ServerCertificate"))?;
    let metadata = found
        .server_certificate_metadata
        .ok_or_else(|| AwsError::malformed(OPERATION, name, "no ServerCertificateMetadata"))?;
    let certificate = Certificate::from_pem(&found.certificate_body)
        .map_err(|error| AwsError::malformed(OPERATION, name, error))?;
    let tags = found
        .tags
        .unwrap_or_default()
        .into_iter()
        .map(|tag| Tag::new(tag.key, tag.value))
        .collect();
    let root = changes::root_name(&certificate, found.certificate_chain.as_deref());
    Ok(Some(Stored { id: id_of(metadata), certificate, root, tags, in_use_by: Vec::new() }))
}

/// The server certificates of CloudFront with this leaf, with their tags.
pub async fn find_by_fingerprint(
    client: &Client,
    wanted: &Certificate,
) -> Result<Vec<(CertificateId, Vec<Tag>)>, AwsError> {
    let mut found = Vec::new();
    for metadata in list(client).await? {
        let same_expiry = metadata
            .expiration
            .as_ref()
            .is_none_or(|expiry| expiry.secs() == wanted.not_after().as_second());
        if !metadata.path.starts_with(PATH) || !same_expiry {
            continue;
        }
        let one = find_by_name(client, &metadata.server_certificate_name).await?;
        found.extend(one.filter(|one| one.certificate == *wanted).map(|one| (one.id, one.tags)));
    }
    Ok(found)
}

/// The server certificates that have a tag with this key and a wanted value. Each one is read: an
/// account has 20 unless its quota was raised, and only that read returns the tags.
pub async fn list_tagged(
    client: &Client,
    key: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Stored>, AwsError> {
    let mut found = Vec::new();
    for metadata in list(client).await? {
        let one = find_by_name(client, &metadata.server_certificate_name).await?;
        found.extend(one.filter(|one| tags::value(&one.tags, key).is_some_and(&is_wanted)));
    }
    Ok(found)
}

/// Every server certificate of CloudFront.
pub async fn list_all(client: &Client) -> Result<Vec<Stored>, AwsError> {
    let mut found = Vec::new();
    for metadata in list(client).await? {
        if metadata.path.starts_with(PATH) {
            found.extend(find_by_name(client, &metadata.server_certificate_name).await?);
        }
    }
    Ok(found)
}

/// Adds tags to a server certificate, replacing those with the same keys.
pub async fn tag(client: &Client, arn: &str, tags: &[Tag]) -> Result<(), AwsError> {
    const OPERATION: &str = "TagServerCertificate";
    let request = client.tag_server_certificate().server_certificate_name(name_of(arn));
    let request = request.set_tags(Some(sdk_tags(tags, OPERATION)?));
    request.send().await.operation(OPERATION, arn).map(drop)
}

/// Uploads a certificate with this chain. The request is sent once: the next attempt of the step
/// first searches for the certificate.
pub async fn upload(
    client: &Client,
    name: &str,
    bundle: &Bundle,
    chain: &[Certificate],
    tags: &[Tag],
) -> Result<CertificateId, ImportError> {
    const OPERATION: &str = "UploadServerCertificate";
    let chain: String = chain.iter().map(Certificate::to_pem).collect();
    let tags = sdk_tags(tags, OPERATION).map_err(ImportError::Aws)?;
    let request = client
        .upload_server_certificate()
        .path(PATH)
        .server_certificate_name(name)
        .certificate_body(bundle.leaf.to_pem())
        .private_key(bundle.key.to_pem().as_str())
        .set_certificate_chain((!chain.is_empty()).then_some(chain))
        .set_tags(Some(tags));
    let once = aws_sdk_iam::config::Builder::new().retry_config(RetryConfig::disabled());
    let answer = request.customize().config_override(once).send().await;
    let answer =
        answer.operation(OPERATION, name).map_err(|error| match error.code.as_deref() {
            Some("LimitExceeded") => ImportError::QuotaReached(error),
            Some("EntityAlreadyExists") => ImportError::AlreadyExists,
            Some(
                "MalformedCertificate" | "KeyPairMismatch" | "InvalidInput" | "ValidationError",
            ) => ImportError::Invalid(error),
            _ => ImportError::Aws(error),
        })?;
    answer.server_certificate_metadata.map(id_of).ok_or_else(|| {
        ImportError::Aws(AwsError::malformed(OPERATION, name, "no ServerCertificateMetadata"))
    })
}

/// Deletes the server certificate with this ARN, if it is not in use.
pub async fn delete(client: &Client, arn: &str) -> Result<DeleteResponse, AwsError> {
    let request = client.delete_server_certificate().server_certificate_name(name_of(arn));
    match request.send().await.operation("DeleteServerCertificate", arn) {
        Ok(_) => Ok(DeleteResponse::Deleted),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(DeleteResponse::AlreadyGone),
        Err(error) if error.is("DeleteConflict") => Ok(DeleteResponse::InUse(error.message)),
        Err(error) => Err(error),
    }
}

/// The usage and the quota of the account, both from GetAccountSummary.
pub async fn usage(client: &Client) -> Result<IamUsage, AwsError> {
    const OPERATION: &str = "GetAccountSummary";
    let answer = client.get_account_summary().send().await.operation(OPERATION, "IAM")?;
    let map = answer.summary_map.unwrap_or_default();
    let number = |key: SummaryKeyType| {
        map.get(&key)
            .and_then(|number| u64::try_from(*number).ok())
            .ok_or_else(|| AwsError::malformed(OPERATION, "IAM", format!("no {key}")))
    };
    Ok(IamUsage {
        used: number(SummaryKeyType::ServerCertificates)?,
        quota: number(SummaryKeyType::ServerCertificatesQuota)?,
    })
}

async fn list(client: &Client) -> Result<Vec<ServerCertificateMetadata>, AwsError> {
    let mut pages = client.list_server_certificates().into_paginator().items().send();
    let mut all = Vec::new();
    while let Some(metadata) = pages.next().await {
        all.push(metadata.operation("ListServerCertificates", "IAM")?);
    }
    Ok(all)
}

/// Converts tags to the SDK's type.
fn sdk_tags(tags: &[Tag], operation: &'static str) -> Result<Vec<IamTag>, AwsError> {
    let tags = tags.iter().map(|tag| IamTag::builder().key(&tag.key).value(&tag.value).build());
    tags.map(|tag| tag.map_err(|error| AwsError::malformed(operation, "a tag", error))).collect()
}

fn id_of(metadata: ServerCertificateMetadata) -> CertificateId {
    CertificateId::Iam { id: metadata.server_certificate_id, arn: metadata.arn }
}

fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
