//! The output of the contract.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `targets` of the output: the states of the plan's targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All targets of the plan; the sum of the others without `excluded`.
    pub total: usize,
    /// Moved from the old certificate to the new one.
    pub updated: usize,
    /// On the new certificate already when the plan was made.
    pub already_current: usize,
    /// Given a third certificate by another user meanwhile, and left alone.
    pub drifted: usize,
    /// Deleted by another user meanwhile.
    pub gone: usize,
    /// Not moved, or not deployed in time.
    pub failed: usize,
    /// Not targets, since they are excluded or ignored, and serve the old certificate.
    #[serde(default)]
    pub excluded: usize,
}

/// The output of a rotation that did not fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// `rotated`, `nothingToDo` or `planned`.
    pub outcome: String,
    /// The certificate that was replaced.
    pub old_certificate: OldCertificate,
    /// The certificate that replaces it.
    pub new_certificate: NewCertificate,
    /// The states of the targets; for a dry run, as they were when it was made.
    pub targets: Counts,
    /// Where the plan is stored, `s3://bucket/key`.
    pub plan: String,
    /// Notes, one sentence each.
    pub notes: Vec<String>,
}

/// A certificate, for display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSummary {
    /// ACM ARN or IAM server-certificate id; null when it is in no store yet.
    pub id: Option<String>,
    /// `sha256:` and the hex digest of the leaf's DER; null when an earlier rotation deleted it and
    /// it can no longer be read.
    pub fingerprint: Option<String>,
    /// End of its validity; null like the fingerprint.
    pub not_after: Option<Timestamp>,
}

/// `oldCertificate` of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldCertificate {
    /// The certificate.
    #[serde(flatten)]
    pub certificate: CertificateSummary,
    /// Was it deleted from its store?
    pub deleted: bool,
    /// Why not, if it was to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `newCertificate` of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCertificate {
    /// The certificate.
    #[serde(flatten)]
    pub certificate: CertificateSummary,
    /// Was it imported by this rotation? False when it was in the store already.
    pub imported: bool,
}
