//! The bucket from which CloudFormation takes template and packages.
//!
//! Names of buckets are shared by all accounts, so each call says whose bucket it must be.

use std::time::Duration;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumMode, Delete, ObjectIdentifier, PublicAccessBlockConfiguration, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::Aws;
use crate::error::{AwsError, ErrorKind, SdkResultExt};

/// A bucket of this account.
#[derive(Clone, Debug)]
pub struct Bucket<'a> {
    /// Clients of the account.
    pub aws: &'a Aws,
    /// The name of the bucket.
    pub name: &'a str,
    /// The account that owns it.
    pub account: &'a str,
}

/// What there is under the name of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A bucket of this account in this region.
    Ours,
    /// A bucket in another region.
    Elsewhere,
    /// A bucket of another account, or one that this account's policies hide: S3 does not tell them
    /// apart.
    Closed,
}

/// The number of the caller's account.
///
/// # Errors
/// Errors of STS.
pub async fn account(aws: &Aws) -> Result<String, AwsError> {
    const OPERATION: &str = "GetCallerIdentity";
    let answer = aws.identity().get_caller_identity().send().await;
    let account = answer.operation(OPERATION, "the caller")?.account;
    account.ok_or_else(|| AwsError::malformed(OPERATION, "the caller", "no account"))
}

impl Bucket<'_> {
    /// Looks for the bucket.
    ///
    /// # Errors
    /// Errors of S3 other than that it does not exist or is not ours.
    pub async fn find(&self) -> Result<Found, AwsError> {
        let request = self.aws.s3().head_bucket().bucket(self.name);
        let answer = request.expected_bucket_owner(self.account).send().await;
        // A redirect, or "the region is wrong" as 400: an answer to HEAD has no body that says which.
        if answer.as_ref().is_err_and(|error| {
            error.raw_response().is_some_and(|raw| matches!(raw.status().as_u16(), 301 | 400))
        }) {
            return Ok(Found::Elsewhere);
        }
        match answer.operation("HeadBucket", self.name) {
            Ok(found) => {
                let region = found.bucket_region;
                let same = region.is_none() || region.as_deref() == self.aws.region();
                Ok(if same { Found::Ours } else { Found::Elsewhere })
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) if error.kind == ErrorKind::AccessDenied => Ok(Found::Closed),
            Err(error) => Err(error),
        }
    }

    /// Creates the bucket in us-east-1: private, encrypted, reached over TLS only. False if the
    /// name is taken.
    ///
    /// # Errors
    /// Errors of S3.
    pub async fn create(&self) -> Result<bool, AwsError> {
        let s3 = self.aws.s3();
        let answer = s3.create_bucket().bucket(self.name).send().await;
        match answer.operation("CreateBucket", self.name) {
            Err(error) if error.is("BucketAlreadyExists") => return Ok(false),
            answer => answer?,
        };
        let closed = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .block_public_policy(true)
            .ignore_public_acls(true)
            .restrict_public_buckets(true)
            .build();
        let request = s3.put_public_access_block().bucket(self.name);
        let request = request.public_access_block_configuration(closed);
        let answer = request.expected_bucket_owner(self.account).send().await;
        answer.operation("PutPublicAccessBlock", self.name)?;

        let malformed = |error| AwsError::malformed("PutBucketEncryption", self.name, error);
        let by = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::Aes256)
            .build()
            .map_err(malformed)?;
        let rule =
            ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(by).build();
        let rules =
            ServerSideEncryptionConfiguration::builder().rules(rule).build().map_err(malformed)?;
        let request = s3.put_bucket_encryption().bucket(self.name);
        let request = request.server_side_encryption_configuration(rules);
        let answer = request.expected_bucket_owner(self.account).send().await;
        answer.operation("PutBucketEncryption", self.name)?;

        let policy = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "OnlyOverTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [
                    format!("arn:aws:s3:::{}", self.name),
                    format!("arn:aws:s3:::{}/*", self.name),
                ],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }],
        });
        let request = s3.put_bucket_policy().bucket(self.name).policy(policy.to_string());
        let answer = request.expected_bucket_owner(self.account).send().await;
        answer.operation("PutBucketPolicy", self.name)?;
        Ok(true)
    }

    /// Is there an object with this content? By the digest that S3 verified when it was stored, not
    /// by its name.
    ///
    /// # Errors
    /// Errors of S3.
    pub async fn has(&self, key: &str, sha256: &[u8]) -> Result<bool, AwsError> {
        let request = self.aws.s3().head_object().bucket(self.name).key(key);
        let request = request.checksum_mode(ChecksumMode::Enabled);
        let answer = request.expected_bucket_owner(self.account).send().await;
        match answer.operation("HeadObject", &self.object(key)) {
            Ok(found) => Ok(found.checksum_sha256 == Some(BASE64_STANDARD.encode(sha256))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stores an object. S3 refuses it if it arrives with another content than this digest.
    ///
    /// # Errors
    /// Errors of S3.
    pub async fn put(&self, key: &str, sha256: &[u8], body: Vec<u8>) -> Result<(), AwsError> {
        // A package has some megabytes, and the line of an operator may be slow.
        let patient = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_mins(10))
            .operation_timeout(Duration::from_mins(30))
            .build();
        let request = self
            .aws
            .s3()
            .put_object()
            .bucket(self.name)
            .key(key)
            .expected_bucket_owner(self.account)
            .checksum_sha256(BASE64_STANDARD.encode(sha256))
            .body(ByteStream::from(body))
            .customize()
            .config_override(aws_sdk_s3::config::Builder::new().timeout_config(patient));
        request.send().await.operation("PutObject", &self.object(key)).map(drop)
    }

    /// Deletes the objects under a prefix, and the bucket unless it has others. Says whether the
    /// bucket is gone.
    ///
    /// # Errors
    /// Errors of S3.
    pub async fn empty_and_delete(&self, prefix: &str) -> Result<bool, AwsError> {
        let s3 = self.aws.s3();
        let keys = crate::s3::list_keys(s3, self.name, prefix).await?;
        // As many as one call may delete.
        for keys in keys.chunks(1000) {
            let objects: Result<Vec<_>, _> =
                keys.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
            let objects = objects
                .and_then(|objects| Delete::builder().set_objects(Some(objects)).build())
                .map_err(|error| AwsError::malformed("DeleteObjects", self.name, error))?;
            let request = s3.delete_objects().bucket(self.name).delete(objects);
            let answer = request.expected_bucket_owner(self.account).send().await;
            answer.operation("DeleteObjects", self.name)?;
        }
        let request = s3.delete_bucket().bucket(self.name);
        let answer = request.expected_bucket_owner(self.account).send().await;
        match answer.operation("DeleteBucket", self.name) {
            Ok(_) => Ok(true),
            Err(error) if error.is("BucketNotEmpty") => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn object(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }
}
