//! The identifiers of certificates and targets in AWS.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The stores that CloudFront can read a viewer certificate from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// AWS Certificate Manager, region us-east-1.
    Acm,
    /// The server certificates of IAM.
    Iam,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acm => "ACM",
            Self::Iam => "IAM",
        })
    }
}

/// A certificate in a store, with its names in CloudFront and in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "store", rename_all = "lowercase")]
pub enum CertificateId {
    /// ACM: the ARN is the only identifier.
    Acm {
        /// `arn:aws:acm:us-east-1:ACCOUNT:certificate/UUID`
        arn: String,
    },
    /// IAM: CloudFront uses the id, the IAM API the name, people the ARN.
    Iam {
        /// `ServerCertificateId`, `ASCA…`: the `IAMCertificateId` of a viewer certificate.
        id: String,
        /// `arn:aws:iam::ACCOUNT:server-certificate/PATH/NAME`
        arn: String,
    },
}

impl CertificateId {
    /// Its store.
    pub fn store(&self) -> Store {
        match self {
            Self::Acm { .. } => Store::Acm,
            Self::Iam { .. } => Store::Iam,
        }
    }

    /// The value in a distribution's viewer certificate: the ACM ARN or the IAM certificate id.
    pub fn id(&self) -> &str {
        match self {
            Self::Acm { arn } => arn,
            Self::Iam { id, .. } => id,
        }
    }

    /// The ARN, in either store.
    pub fn arn(&self) -> &str {
        match self {
            Self::Acm { arn } | Self::Iam { arn, .. } => arn,
        }
    }

    /// The account, from the ARN.
    pub fn account(&self) -> &str {
        self.arn().split(':').nth(4).unwrap_or_default()
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// The last part of a certificate's id: unique in its account, and valid in an S3 key.
pub fn segment(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or_default()
}

/// The kind of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A distribution: standard, staging, or the template of a multi-tenant one.
    Distribution,
    /// A distribution tenant with its own certificate.
    Tenant,
}

/// A target: it serves the old certificate, or already the new one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TargetId {
    /// A distribution or a tenant.
    pub kind: TargetKind,
    /// The distribution id (`E…`) or the tenant id (`dt_…`).
    pub id: String,
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TargetKind::Distribution => write!(f, "distribution {}", self.id),
            TargetKind::Tenant => write!(f, "distribution tenant {}", self.id),
        }
    }
}

/// Which of the two certificates a target serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serves {
    /// The old certificate.
    Old,
    /// The new certificate.
    New,
    /// A third one, or CloudFront's default certificate.
    Other,
}

impl TargetId {
    /// A distribution.
    pub fn distribution(id: &str) -> Self {
        Self { kind: TargetKind::Distribution, id: id.to_owned() }
    }

    /// A distribution tenant.
    pub fn tenant(id: &str) -> Self {
        Self { kind: TargetKind::Tenant, id: id.to_owned() }
    }
}

/// The ARN of an execution, from the ARN of its state machine and its name.
pub fn execution_arn(state_machine_arn: &str, name: &str) -> String {
    format!("{}:{name}", state_machine_arn.replacen(":stateMachine:", ":execution:", 1))
}
