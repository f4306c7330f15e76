//! Sources (a secret, a parameter or an object): reads the content, and writes a new version.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use rotation_core::certificate::bundle::MAX_SOURCE_BYTES;
use rotation_core::request::SourceRef;
use zeroize::Zeroizing;

use crate::Aws;
use crate::error::{AwsError, ErrorKind, SdkResultExt};

/// Why a source could not be read. `Display` is the problem, [`SourceError::cure`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It does not exist, or has no value yet.
    #[error("does not exist, or has no value: {0}")]
    Missing(String),
    /// The permission to read it is missing.
    #[error("may not be read by this stack: {0}")]
    Denied(String),
    /// Too large for a certificate with chain and key.
    #[error("has {bytes} bytes; the maximum is {MAX_SOURCE_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// A parameter that is not a SecureString.
    #[error("is a parameter of type {0}, which stores a private key unencrypted")]
    NotSecure(String),
    /// AWS refused finally for another reason, for example because the KMS key is disabled.
    #[error("cannot be read: {0}")]
    Refused(String),
    /// A transient error.
    #[error(transparent)]
    Aws(AwsError),
}

impl SourceError {
    /// What to do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Missing(_) => "put the new certificate there, or correct newCertificate",
            Self::Denied(_) => {
                "deploy the stack with a SecretNames, ParameterPaths or SourceBucket that covers it, \
                 and with SourceKeyArn if your own KMS key encrypts it"
            }
            Self::TooLarge { .. } => "put only the certificate, its chain and its key there",
            Self::NotSecure(_) => {
                "make it a SecureString, and treat a key that was stored unencrypted as exposed"
            }
            Self::Refused(_) => {
                "make it readable in its own service, then start the rotation again"
            }
            Self::Aws(_) => "try again",
        }
    }

    fn of(error: AwsError) -> Self {
        match error.kind {
            ErrorKind::NotFound => Self::Missing(error.message),
            ErrorKind::AccessDenied => Self::Denied(error.message),
            ErrorKind::Refused => Self::Refused(error.message),
            ErrorKind::Throttled | ErrorKind::Unavailable => Self::Aws(error),
        }
    }
}

/// Reads the content of a source; the buffer is overwritten when it is dropped.
///
/// # Errors
/// See [`SourceError`].
pub async fn read(aws: &Aws, source: &SourceRef) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    let content = match source {
        SourceRef::Secret { id, region } => secret(aws, id, region.as_deref()).await?,
        SourceRef::Parameter { name, region } => parameter(aws, name, region.as_deref()).await?,
        SourceRef::Object { bucket, key } => object(aws, bucket, key).await?,
    };
    if content.len() > MAX_SOURCE_BYTES {
        return Err(SourceError::TooLarge { bytes: content.len() as u64 });
    }
    Ok(content)
}

/// Reads a parameter of any type, for a text that is no secret.
///
/// # Errors
/// See [`SourceError`].
pub async fn read_public(aws: &Aws, parameter: &str) -> Result<String, SourceError> {
    let (_, content) = any_parameter(aws, parameter, None).await?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

async fn secret(
    aws: &Aws,
    id: &str,
    region: Option<&str>,
) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    let client = aws_sdk_secretsmanager::Client::new(&aws.config_in(region));
    let answer = client.get_secret_value().secret_id(id).send().await;
    let answer = answer.operation("GetSecretValue", id).map_err(SourceError::of)?;
    let content = match (answer.secret_string, answer.secret_binary) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(binary)) => binary.into_inner(),
        (None, None) => Vec::new(),
    };
    Ok(Zeroizing::new(content))
}

async fn parameter(
    aws: &Aws,
    name: &str,
    region: Option<&str>,
) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    match any_parameter(aws, name, region).await? {
        (Some(ParameterType::SecureString), content) => Ok(content),
        (other, _) => Err(SourceError::NotSecure(
            other.map_or_else(|| "unknown".to_owned(), |kind| kind.as_str().to_owned()),
        )),
    }
}

async fn any_parameter(
    aws: &Aws,
    name: &str,
    region: Option<&str>,
) -> Result<(Option<ParameterType>, Zeroizing<Vec<u8>>), SourceError> {
    let client = aws_sdk_ssm::Client::new(&aws.config_in(region));
    let answer = client.get_parameter().name(name).with_decryption(true).send().await;
    let answer = answer.operation("GetParameter", name).map_err(SourceError::of)?;
    let parameter = answer
        .parameter
        .ok_or_else(|| SourceError::Missing("no Parameter in the answer".into()))?;
    let content = parameter.value.unwrap_or_default().into_bytes();
    Ok((parameter.r#type, Zeroizing::new(content)))
}

async fn object(aws: &Aws, bucket: &str, key: &str) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    const OPERATION: &str = "GetObject";
    let resource = format!("s3://{bucket}/{key}");
    let answer = aws.s3().get_object().bucket(bucket).key(key).send().await;
    let answer = answer.operation(OPERATION, &resource).map_err(SourceError::of)?;
    let bytes = answer.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
    if bytes > MAX_SOURCE_BYTES as u64 {
        return Err(SourceError::TooLarge { bytes });
    }
    let body = answer
        .body
        .collect()
        .await
        .map_err(|error| SourceError::Aws(AwsError::malformed(OPERATION, &resource, error)))?;
    Ok(Zeroizing::new(body.to_vec()))
}

/// The outcome of a write to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The source did not exist before.
    Created,
    /// The source has a new version.
    Updated,
}

/// Writes a new version of a secret, a parameter or an object, and creates it if it does not exist.
///
/// # Errors
/// Errors of AWS calls; a secret named by an ARN must exist.
pub async fn put(aws: &Aws, source: &SourceRef, content: &str) -> Result<Put, AwsError> {
    match source {
        SourceRef::Secret { id, region } => {
            let client = aws_sdk_secretsmanager::Client::new(&aws.config_in(region.as_deref()));
            let answer = client.put_secret_value().secret_id(id).secret_string(content);
            match answer.send().await.operation("PutSecretValue", id) {
                Ok(_) => Ok(Put::Updated),
                Err(error) if error.kind == ErrorKind::NotFound && !id.starts_with("arn:") => {
                    let answer = client.create_secret().name(id).secret_string(content);
                    answer.send().await.operation("CreateSecret", id).map(|_| Put::Created)
                }
                Err(error) => Err(error),
            }
        }
        SourceRef::Parameter { name, region } => {
            let client = aws_sdk_ssm::Client::new(&aws.config_in(region.as_deref()));
            let request = client
                .put_parameter()
                .name(name)
                .value(content)
                .r#type(ParameterType::SecureString)
                // A standard parameter holds 4 KB, and a chain with its key is larger.
                .tier(ParameterTier::IntelligentTiering)
                .overwrite(true);
            let answer = request.send().await.operation("PutParameter", name)?;
            Ok(if answer.version == 1 { Put::Created } else { Put::Updated })
        }
        SourceRef::Object { bucket, key } => {
            let request = aws.s3().put_object().bucket(bucket).key(key);
            let body = ByteStream::from(content.as_bytes().to_vec());
            let resource = format!("s3://{bucket}/{key}");
            request.body(body).send().await.operation("PutObject", &resource).map(|_| Put::Updated)
        }
    }
}
