//! References in an input: the source of the new certificate, and the old certificate.

use crate::redact;
use crate::request::CLOUDFRONT_REGION;

/// The source of the new certificate, its chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceRef {
    /// A Secrets Manager secret, by name or ARN.
    Secret {
        /// The name or the ARN, as `GetSecretValue` takes it.
        id: String,
        /// The region of the ARN; `None` for a name.
        region: Option<String>,
    },
    /// An SSM parameter of type `SecureString`.
    Parameter {
        /// The name, with its leading slash.
        name: String,
        /// The region of the ARN; `None` for `ssm:/path`.
        region: Option<String>,
    },
    /// An S3 object.
    Object {
        /// The bucket's name.
        bucket: String,
        /// The object's key, without a leading slash.
        key: String,
    },
}

impl SourceRef {
    /// May this be the same source as `other`, however either is named? Only Secrets Manager can
    /// tell whether a name and an ARN mean the same secret, so an uncertain match counts as true.
    pub fn may_be(&self, other: &Self) -> bool {
        let anywhere = |a: &Option<String>, b: &Option<String>| match (a, b) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        match (self, other) {
            (Self::Secret { id: a, region: ra }, Self::Secret { id: b, region: rb }) => {
                let (a, b) = (secret_names(a), secret_names(b));
                anywhere(ra, rb) && a.iter().flatten().any(|a| b.contains(&Some(a)))
            }
            (Self::Parameter { name: a, region: ra }, Self::Parameter { name: b, region: rb }) => {
                anywhere(ra, rb) && a == b
            }
            (Self::Object { .. }, Self::Object { .. }) => self == other,
            _ => false,
        }
    }
}

/// The possible names of a secret: its ARN ends with a hyphen and six random characters that
/// Secrets Manager adds, unless the ARN was given without them.
fn secret_names(id: &str) -> [Option<&str>; 2] {
    match id.strip_prefix("arn:").and_then(|arn| arn.split_once(":secret:")) {
        Some((_, name)) => {
            let own = name.len().checked_sub(7).filter(|at| name[*at..].starts_with('-'));
            [Some(name), own.map(|at| &name[..at])]
        }
        None => [Some(id), None],
    }
}

/// How the input names the old certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OldRef {
    /// By its ACM ARN.
    AcmArn(String),
    /// By its IAM server-certificate ARN.
    IamArn(String),
    /// By its IAM server-certificate id, `ASCA…`.
    IamId(String),
}

impl OldRef {
    /// The string as given.
    pub fn as_str(&self) -> &str {
        match self {
            Self::AcmArn(s) | Self::IamArn(s) | Self::IamId(s) => s,
        }
    }
}

/// Why a value is invalid: the problem and the cure.
pub(super) type Fault = (&'static str, &'static str);

/// The source that a `newCertificate` value names.
pub fn source_ref(value: &str) -> Result<SourceRef, Fault> {
    const CURE: &str = "name it as a Secrets Manager name or ARN, ssm:/path, an SSM parameter ARN, or s3://bucket/key";
    if redact::holds_pem(value) {
        return Err((
            "contains a certificate or key itself, and Step Functions keeps inputs in the execution's history",
            "put it into a Secrets Manager secret and name that here; treat a key that was in the input as exposed",
        ));
    }
    if let Some(object) = value.strip_prefix("s3://") {
        return match object.split_once('/') {
            Some((bucket, key)) if is_bucket(bucket) && !key.is_empty() => {
                Ok(SourceRef::Object { bucket: bucket.into(), key: key.into() })
            }
            _ => Err(("is not s3://bucket/key", CURE)),
        };
    }
    if let Some(name) = value.strip_prefix("ssm:") {
        return if is_parameter(name) {
            Ok(SourceRef::Parameter { name: name.into(), region: None })
        } else {
            Err(("is not ssm: and a parameter's full path, which begins with a slash", CURE))
        };
    }
    if value.starts_with("arn:") {
        let parts: Vec<&str> = value.splitn(6, ':').collect();
        let [_, partition, service, region, account, resource] = parts[..] else {
            return Err(("is not a complete ARN", CURE));
        };
        if !partition.starts_with("aws") || region.is_empty() || !is_account(account) {
            return Err(("is not a complete ARN: partition, region or account is missing", CURE));
        }
        let region = Some(region.to_owned());
        return match service {
            "secretsmanager" if resource.strip_prefix("secret:").is_some_and(is_secret_name) => {
                Ok(SourceRef::Secret { id: value.into(), region })
            }
            "ssm" => match resource.strip_prefix("parameter") {
                Some(name) if is_parameter(name) => {
                    Ok(SourceRef::Parameter { name: name.into(), region })
                }
                _ => Err(("is not the ARN of an SSM parameter", CURE)),
            },
            _ => Err(("is the ARN of a resource that cannot be a source", CURE)),
        };
    }
    if is_secret_name(value) {
        Ok(SourceRef::Secret { id: value.into(), region: None })
    } else {
        Err(("is not the name of a secret", CURE))
    }
}

/// The certificate that an `oldCertificate` value names.
pub fn old_ref(value: &str) -> Result<OldRef, Fault> {
    const CURE: &str = "give an ACM certificate ARN of us-east-1, an IAM server-certificate ARN, or an IAM server-certificate id (ASCA…)";
    if let Some(rest) = value.strip_prefix("arn:") {
        let parts: Vec<&str> = rest.splitn(5, ':').collect();
        let [partition, service, region, account, resource] = parts[..] else {
            return Err(("is not a complete ARN", CURE));
        };
        if !partition.starts_with("aws") || !is_account(account) {
            return Err(("is not a complete ARN: partition or account is missing", CURE));
        }
        return match service {
            "acm" if partition == "aws-cn" => Err((
                "is an ACM certificate of the China partition, where CloudFront accepts certificates from IAM only",
                CURE,
            )),
            "acm" if region != CLOUDFRONT_REGION => Err((
                "is an ACM certificate of another region, and CloudFront reads ACM in us-east-1 only",
                CURE,
            )),
            "acm" => match resource.strip_prefix("certificate/") {
                Some(id) if is_word(id, "-") => Ok(OldRef::AcmArn(value.into())),
                _ => Err(("is not the ARN of an ACM certificate", CURE)),
            },
            "iam" => match resource.strip_prefix("server-certificate/") {
                Some(name) if region.is_empty() && is_word(name, "/+=,.@-_") => {
                    Ok(OldRef::IamArn(value.into()))
                }
                _ => Err(("is not the ARN of an IAM server certificate", CURE)),
            },
            _ => Err(("is not the ARN of a certificate in ACM or IAM", CURE)),
        };
    }
    // CloudFront API, `ServerCertificateId`: at most 32 characters; ids begin with A and are upper
    // case.
    if value.starts_with('A') && (16..=32).contains(&value.len()) && is_word(value, "") {
        return Ok(OldRef::IamId(value.into()));
    }
    Err(("names no certificate", CURE))
}

pub(super) fn is_word(value: &str, extra: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

fn is_account(value: &str) -> bool {
    value.len() == 12 && value.bytes().all(|b| b.is_ascii_digit())
}

/// Secrets Manager API, CreateSecret: letters, digits and `/_+=.@-`, at most 512.
fn is_secret_name(value: &str) -> bool {
    value.len() <= 512 && is_word(value, "/_+=.@-")
}

/// SSM API, PutParameter: letters, digits and `_.-/`; here always with the full path.
fn is_parameter(value: &str) -> bool {
    value.starts_with('/') && value.len() <= 1011 && is_word(&value[1..], "_.-/")
}

fn is_bucket(value: &str) -> bool {
    (3..=63).contains(&value.len()) && is_word(value, ".-")
}
