//! Parses the input of a rotation, or reports everything that is wrong with it.
//!
//! The input is checked field by field and all problems are reported at once. A message quotes a
//! value only where it cannot be a private key in the wrong field.

mod fields;
pub mod managed;
mod references;
pub mod tags;

pub use references::{OldRef, SourceRef, old_ref, source_ref};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::finding::Finding;
use crate::ids::Store;
use crate::request::tags::Tag;

use fields::{Fields, invalid, kind};

/// The region that CloudFront reads ACM certificates from, whatever the region of anything else
/// (CloudFront Developer Guide, "Requirements for using SSL/TLS certificates with CloudFront").
pub const CLOUDFRONT_REGION: &str = "us-east-1";

/// The longest `retainOldDays`: an execution of Step Functions lasts a year at most, and waits for
/// a quota or for deployments need part of it.
const MAX_RETAIN_DAYS: u64 = 300;

/// The largest `concurrency`. CloudFront throttles updates long before.
const MAX_CONCURRENCY: u64 = 1_000;

/// What to do when a target fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Begin no other target, and move those that were moved back to the old certificate.
    Rollback,
    /// Begin no other target, and leave those that were moved where they are.
    Stop,
    /// Move the failed target back, and go on with the others.
    Continue,
}

/// A parsed input, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `newCertificate` as given: the value of the tag `cert-rotation:source`.
    pub source: String,
    /// `newCertificate`, parsed.
    pub source_ref: SourceRef,
    /// `oldCertificate`; without it, the certificate tagged with `source` is used.
    pub old: Option<OldRef>,
    /// `store`; without it the store of the old certificate.
    pub store: Option<Store>,
    /// `targets`: ids of distributions and tenants; without it every target of the old certificate.
    pub targets: Option<Vec<String>>,
    /// `excludeTargets`: ids of distributions and tenants that are left alone.
    pub exclude_targets: Vec<String>,
    /// `allowEarlierExpiry`: may the new certificate end no later than the old one, even if it was
    /// not clearly issued later?
    pub allow_earlier_expiry: bool,
    /// `allowKeyChange`: may targets with dedicated IP addresses get an ECDSA key after an RSA one?
    pub allow_key_change: bool,
    /// `tags`: for the new certificate, in addition to those of the old one.
    pub tags: Vec<Tag>,
    /// `concurrency`, at least 1.
    pub concurrency: u64,
    /// `verifyViewers`.
    pub verify_viewers: bool,
    /// `onFailure`; without it, the two certificates decide.
    pub on_failure: Option<OnFailure>,
    /// `deleteOld`.
    pub delete_old: bool,
    /// `retainOldDays`, in days.
    pub retain_old_days: u64,
    /// `dryRun`.
    pub dry_run: bool,
}

const FIELDS: [&str; 14] = [
    "newCertificate",
    "oldCertificate",
    "store",
    "targets",
    "excludeTargets",
    "allowEarlierExpiry",
    "allowKeyChange",
    "tags",
    "concurrency",
    "verifyViewers",
    "onFailure",
    "deleteOld",
    "retainOldDays",
    "dryRun",
];

/// Parses an input, or returns everything that is wrong with it; every finding ends
/// `RequestInvalid`.
pub fn parse(input: &Value) -> Result<Request, Vec<Finding>> {
    let Value::Object(object) = input else {
        return Err(vec![invalid(
            "input",
            format!("is {}, not a JSON object", kind(input)),
            "give an object with at least newCertificate",
        )]);
    };
    let mut fields = Fields { object, findings: Vec::new() };
    fields.refuse_unknown();
    let source = fields.source();
    let old = fields.string("oldCertificate");
    let old = old.as_deref().and_then(|s| fields.check("oldCertificate", old_ref(s)));
    let store = fields.choice("store", &[("acm", Store::Acm), ("iam", Store::Iam)]);
    let targets = fields.ids("targets", "leave the field out to rotate all of them");
    let exclude_targets =
        fields.ids("excludeTargets", "leave the field out to exclude none").unwrap_or_default();
    if let Some(id) = exclude_targets.iter().find(|id| targets.iter().flatten().any(|t| t == *id)) {
        fields.refuse(
            "excludeTargets",
            &format!("names {id}, and so does targets"),
            "name it in one of the two",
        );
    }
    let allow_earlier_expiry = fields.boolean("allowEarlierExpiry").unwrap_or(false);
    let allow_key_change = fields.boolean("allowKeyChange").unwrap_or(false);
    let tags = fields.tags();
    let concurrency = fields.whole("concurrency", 1, MAX_CONCURRENCY).unwrap_or(1);
    let verify_viewers = fields.boolean("verifyViewers").unwrap_or(true);
    let on_failure = fields.choice(
        "onFailure",
        &[
            ("rollback", OnFailure::Rollback),
            ("stop", OnFailure::Stop),
            ("continue", OnFailure::Continue),
        ],
    );
    let delete_old = fields.boolean("deleteOld").unwrap_or(true);
    let retain_old_days = fields.whole("retainOldDays", 0, MAX_RETAIN_DAYS).unwrap_or(0);
    let dry_run = fields.boolean("dryRun").unwrap_or(false);
    if retain_old_days > 0 && !delete_old {
        fields.refuse(
            "retainOldDays",
            "says how long to wait before the old certificate is deleted, and deleteOld is false",
            "leave out one of the two",
        );
    }

    match source {
        Some((source, source_ref)) if fields.findings.is_empty() => Ok(Request {
            source,
            source_ref,
            old,
            store,
            targets,
            exclude_targets,
            allow_earlier_expiry,
            allow_key_change,
            tags,
            concurrency,
            verify_viewers,
            on_failure,
            delete_old,
            retain_old_days,
            dry_run,
        }),
        _ => Err(fields.findings),
    }
}

#[cfg(test)]
mod tests;
