//! What the input of a rotation asks for, or everything that is wrong with it.
//!
//! The input is checked field by field and all faults are reported at once. A value is quoted in a
//! message only where it cannot be a private key that somebody put into the wrong field.

pub mod managed;
pub mod tags;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::finding::{Ending, Finding};
use crate::ids::Store;

/// Where CloudFront reads certificates of ACM, whatever the region of anything else
/// (CloudFront Developer Guide, "Requirements for using SSL/TLS certificates with CloudFront").
pub const CLOUDFRONT_REGION: &str = "us-east-1";

/// The longest `retainOldDays`: an execution of Step Functions lasts a year at most, and waiting for
/// a quota or for deployments needs some of it.
pub const MAX_RETAIN_DAYS: u64 = 300;

/// The largest `concurrency`. CloudFront throttles updates long before.
pub const MAX_CONCURRENCY: u64 = 1_000;

/// Where the new certificate, its chain and its key wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceRef {
    /// A Secrets Manager secret, by name or ARN.
    Secret {
        /// The name or the ARN, as `GetSecretValue` takes it.
        id: String,
        /// The region of the ARN; none for a name.
        region: Option<String>,
    },
    /// An SSM parameter of type `SecureString`.
    Parameter {
        /// The name, with its leading slash.
        name: String,
        /// The region of the ARN; none for `ssm:/path`.
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
    /// May this be the same source as `other`, however either is named? Two names of one secret can only be
    /// told apart from two secrets by Secrets Manager, so a doubt counts as yes.
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

/// The names that a secret may have: its ARN ends with a hyphen and six characters of Secrets Manager's own,
/// unless it was written down without them.
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
    /// The string it was given as.
    pub fn as_str(&self) -> &str {
        match self {
            Self::AcmArn(s) | Self::IamArn(s) | Self::IamId(s) => s,
        }
    }
}

/// What to do with the targets that were moved when one fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Move them back to the old certificate.
    Rollback,
    /// Leave them where they are.
    Stop,
}

/// An input that was understood, with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `newCertificate` as given: the value of the tag `cert-rotation:source`.
    pub source: String,
    /// `newCertificate`, parsed.
    pub source_ref: SourceRef,
    /// `oldCertificate`; without it the certificate tagged with `source` is looked for.
    pub old: Option<OldRef>,
    /// `store`; without it the store of the old certificate.
    pub store: Option<Store>,
    /// `targets`: ids of distributions and tenants; without it every target of the old certificate.
    pub targets: Option<Vec<String>>,
    /// `concurrency`, at least 1.
    pub concurrency: u64,
    /// `verifyViewers`.
    pub verify_viewers: bool,
    /// `onFailure`.
    pub on_failure: OnFailure,
    /// `deleteOld`.
    pub delete_old: bool,
    /// `retainOldDays`, in days.
    pub retain_old_days: u64,
    /// `dryRun`.
    pub dry_run: bool,
}

const FIELDS: [&str; 10] = [
    "newCertificate",
    "oldCertificate",
    "store",
    "targets",
    "concurrency",
    "verifyViewers",
    "onFailure",
    "deleteOld",
    "retainOldDays",
    "dryRun",
];

/// Understands an input, or says everything that is wrong with it; every finding ends `RequestInvalid`.
pub fn parse(input: &Value) -> Result<Request, Vec<Finding>> {
    let Value::Object(object) = input else {
        return Err(vec![invalid(
            "input",
            format!("is {}, not a JSON object", kind(input)),
            "give an object with at least newCertificate",
        )]);
    };
    let mut fields = Fields { object, findings: Vec::new() };
    for name in object.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        fields.refuse(
            &shown(name),
            "is not a field of a rotation",
            &format!("leave it out, or correct its spelling: the fields are {}", FIELDS.join(", ")),
        );
    }

    let source = fields.string("newCertificate");
    if !object.contains_key("newCertificate") {
        fields.refuse(
            "newCertificate",
            "is missing",
            "name the source of the new certificate: a Secrets Manager name or ARN, ssm:/path, or s3://bucket/key",
        );
    }
    let source_ref = source.as_deref().and_then(|s| fields.check("newCertificate", source_ref(s)));
    let old = fields.string("oldCertificate");
    let old = old.as_deref().and_then(|s| fields.check("oldCertificate", old_ref(s)));
    let store = fields.choice("store", &[("acm", Store::Acm), ("iam", Store::Iam)]);
    let targets = fields.targets();
    let concurrency = fields.whole("concurrency", 1, MAX_CONCURRENCY).unwrap_or(1);
    let verify_viewers = fields.boolean("verifyViewers").unwrap_or(true);
    let on_failure = fields
        .choice("onFailure", &[("rollback", OnFailure::Rollback), ("stop", OnFailure::Stop)])
        .unwrap_or(OnFailure::Rollback);
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

    match (source, source_ref, fields.findings.is_empty()) {
        (Some(source), Some(source_ref), true) => Ok(Request {
            source,
            source_ref,
            old,
            store,
            targets,
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

/// Why a value will not do: the problem and the cure.
type Fault = (&'static str, &'static str);

/// The source that a `newCertificate` value names.
pub fn source_ref(value: &str) -> Result<SourceRef, Fault> {
    const CURE: &str = "name it as a Secrets Manager name or ARN, ssm:/path, an SSM parameter ARN, or s3://bucket/key";
    if value.contains("-----BEGIN") {
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
    // BM: cloudfront ServerCertificateId: at most 32 characters; ids begin with A and are upper case.
    if value.starts_with('A') && (16..=32).contains(&value.len()) && is_word(value, "") {
        return Ok(OldRef::IamId(value.into()));
    }
    Err(("names no certificate", CURE))
}

fn is_word(value: &str, extra: &str) -> bool {
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

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// An unknown field's name as a message may have it. What does not look like the name of a field may be a
/// key that somebody put there.
fn shown(name: &str) -> String {
    let is_plausible = name.len() <= 32 && is_word(name, "_-") && !name.contains("--");
    if is_plausible { name.to_owned() } else { "(its name is not shown)".to_owned() }
}

fn invalid(field: &str, problem: impl Into<String>, cure: impl Into<String>) -> Finding {
    let subject = if field == "input" { "input".to_owned() } else { format!("field {field}") };
    Finding::new(Ending::RequestInvalid, subject, problem, cure)
}

struct Fields<'a> {
    object: &'a Map<String, Value>,
    findings: Vec<Finding>,
}

impl Fields<'_> {
    fn refuse(&mut self, field: &str, problem: &str, cure: &str) {
        self.findings.push(invalid(field, problem, cure));
    }

    fn check<T>(&mut self, field: &str, parsed: Result<T, Fault>) -> Option<T> {
        parsed.map_err(|(problem, cure)| self.refuse(field, problem, cure)).ok()
    }

    /// A field's value as `T`; absent is fine, another type is a finding.
    fn typed<'v, T>(
        &'v mut self,
        field: &str,
        wanted: &str,
        convert: impl Fn(&'v Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.object.get(field)?;
        let converted = convert(value);
        if converted.is_none() {
            self.findings.push(invalid(
                field,
                format!("is {}", kind(value)),
                format!("give {wanted}, or leave it out for the default"),
            ));
        }
        converted
    }

    fn string(&mut self, field: &str) -> Option<String> {
        self.typed(field, "a string", |v| v.as_str().map(str::to_owned))
    }

    fn boolean(&mut self, field: &str) -> Option<bool> {
        self.typed(field, "true or false", Value::as_bool)
    }

    fn whole(&mut self, field: &str, least: u64, most: u64) -> Option<u64> {
        let wanted = format!("a whole number from {least} to {most}");
        let number = self.typed(field, &wanted, |v| v.is_number().then_some(v))?;
        let whole = number.as_u64().filter(|n| (least..=most).contains(n));
        if whole.is_none() {
            let problem = format!("is {number}");
            self.refuse(field, &problem, &format!("give {wanted}"));
        }
        whole
    }

    fn choice<T: Copy>(&mut self, field: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.string(field)?;
        let chosen = choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(field, "is not one of its values", &format!("give {}", names.join(" or ")));
        }
        chosen
    }

    fn targets(&mut self) -> Option<Vec<String>> {
        let wanted = "an array of distribution and tenant ids";
        let items = self.typed("targets", wanted, |v| v.as_array().cloned())?;
        if items.is_empty() {
            self.refuse(
                "targets",
                "is empty",
                "name the distributions, or leave the field out to rotate all of them",
            );
        }
        let mut ids: Vec<String> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.as_str() {
                Some(id) if id.len() <= 64 && is_word(id, "_-") => {
                    if !ids.iter().any(|known| known == id) {
                        ids.push(id.to_owned());
                    }
                }
                _ => self.refuse(
                    &format!("targets[{index}]"),
                    "is not the id of a distribution (E…) or of a distribution tenant (dt_…)",
                    "give ids, not ARNs or domain names",
                ),
            }
        }
        Some(ids)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACM: &str =
        "arn:aws:acm:us-east-1:111122223333:certificate/0a1b2c3d-0000-4000-8000-000000000000";

    fn faults(input: Value) -> Vec<String> {
        match parse(&input) {
            Ok(_) => Vec::new(),
            Err(findings) => {
                assert!(findings.iter().all(|f| f.ending == Ending::RequestInvalid));
                findings.into_iter().map(|f| f.to_string()).collect()
            }
        }
    }

    #[test]
    fn only_the_source_is_required_and_the_rest_has_the_contracts_defaults() {
        let request = parse(&json!({"newCertificate": "tls/www", "oldCertificate": ACM})).unwrap();
        assert_eq!(
            request,
            Request {
                source: "tls/www".into(),
                source_ref: SourceRef::Secret { id: "tls/www".into(), region: None },
                old: Some(OldRef::AcmArn(ACM.into())),
                store: None,
                targets: None,
                concurrency: 1,
                verify_viewers: true,
                on_failure: OnFailure::Rollback,
                delete_old: true,
                retain_old_days: 0,
                dry_run: false,
            }
        );
    }

    #[test]
    fn every_fault_is_reported_at_once_and_names_its_field() {
        let faults = faults(json!({
            "newCertificate": 7,
            "oldCertificate": "arn:aws:acm:eu-west-1:111122223333:certificate/x",
            "store": "s3",
            "targets": ["E1A2B3C4D5E6F7", "https://www.example.com", 3],
            "concurrency": 0,
            "verifyViewers": "yes",
            "onFailure": "panic",
            "deleteOld": false,
            "retainOldDays": 3,
            "dryrun": true,
        }));
        let fields: Vec<&str> = faults.iter().map(|f| f.split(':').next().unwrap()).collect();
        assert_eq!(
            fields,
            [
                "field dryrun",
                "field newCertificate",
                "field oldCertificate",
                "field store",
                "field targets[1]",
                "field targets[2]",
                "field concurrency",
                "field verifyViewers",
                "field onFailure",
                "field retainOldDays",
            ]
        );
    }

    #[test]
    fn anything_but_an_object_is_refused() {
        for input in [json!(null), json!("tls/www"), json!([1]), json!(3), json!(true)] {
            assert_eq!(faults(input).len(), 1);
        }
        assert!(faults(json!({}))[0].starts_with("field newCertificate: is missing"));
    }

    #[test]
    fn whole_numbers_are_whole_and_in_range() {
        for (field, bad) in [
            ("concurrency", json!(1.5)),
            ("concurrency", json!(-1)),
            ("concurrency", json!(1001)),
            ("concurrency", json!("1")),
            ("retainOldDays", json!(301)),
            ("retainOldDays", json!(null)),
        ] {
            let faults = faults(json!({"newCertificate": "tls/www", field: bad}));
            assert_eq!(faults.len(), 1, "{field}");
            assert!(faults[0].starts_with(&format!("field {field}: is ")), "{faults:?}");
        }
    }

    #[test]
    fn sources() {
        let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:tls/www-AbCdEf";
        for (value, expected) in [
            ("tls/www", SourceRef::Secret { id: "tls/www".into(), region: None }),
            (arn, SourceRef::Secret { id: arn.into(), region: Some("eu-west-1".into()) }),
            ("ssm:/tls/www", SourceRef::Parameter { name: "/tls/www".into(), region: None }),
            (
                "arn:aws:ssm:us-east-1:111122223333:parameter/tls/www",
                SourceRef::Parameter { name: "/tls/www".into(), region: Some("us-east-1".into()) },
            ),
            (
                "s3://certs-bucket/www/new.pem",
                SourceRef::Object { bucket: "certs-bucket".into(), key: "www/new.pem".into() },
            ),
        ] {
            assert_eq!(source_ref(value), Ok(expected), "{value}");
        }
        for bad in [
            "",
            "two words",
            "ssm:tls/www",
            "s3://bucket",
            "s3://bucket/",
            "s3:///key",
            "arn:aws:secretsmanager",
            "arn:aws:secretsmanager:us-east-1:1:secret:x",
            "arn:aws:lambda:us-east-1:111122223333:function:x",
            "arn:aws:ssm:us-east-1:111122223333:document/x",
        ] {
            assert!(source_ref(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_in_the_wrong_field_is_refused_and_not_repeated() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49";
        let faults = faults(json!({"newCertificate": key, "oldCertificate": key, "store": key}));
        assert_eq!(faults.len(), 3);
        assert!(faults.iter().all(|fault| !fault.contains("MIGHAgEA")), "{faults:?}");
        assert!(faults[0].contains("treat a key that was in the input as exposed"));
        // As a field's name; found by the fuzzer.
        let faults =
            super::parse(&json!({"newCertificate": "tls/www", key: 1, "MIGHAgEAMBMGByqG/": 1}));
        let told: Vec<String> = faults.unwrap_err().iter().map(Finding::to_string).collect();
        assert_eq!(told.len(), 2);
        assert!(
            told.iter().all(|one| one.starts_with("field (its name is not shown): is not a field")),
            "{told:?}"
        );
    }

    #[test]
    fn old_certificates() {
        let iam = "arn:aws:iam::111122223333:server-certificate/cloudfront/www-2026";
        assert_eq!(old_ref(ACM), Ok(OldRef::AcmArn(ACM.into())));
        assert_eq!(old_ref(iam), Ok(OldRef::IamArn(iam.into())));
        assert_eq!(
            old_ref("ASCA1A2B3C4D5E6F7G8H9"),
            Ok(OldRef::IamId("ASCA1A2B3C4D5E6F7G8H9".into()))
        );
        for bad in [
            "",
            "www.example.com",
            "arn:aws:acm:us-east-1:111122223333:certificate/",
            "arn:aws:acm:us-east-1::certificate/x",
            "arn:aws:acm:us-east-1",
            "arn:aws:iam::111122223333:role/x",
            "arn:aws-cn:acm:cn-north-1:111122223333:certificate/x",
            "E1A2B3C4D5E6F7",
        ] {
            assert!(old_ref(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_same_target_twice_is_one_target() {
        let request =
            parse(&json!({"newCertificate": "tls/www", "targets": ["E1", "dt_2", "E1"]})).unwrap();
        assert_eq!(request.targets, Some(vec!["E1".to_owned(), "dt_2".to_owned()]));
        assert!(
            faults(json!({"newCertificate": "tls/www", "targets": []}))[0].contains("is empty")
        );
    }

    #[test]
    fn one_source_by_several_names() {
        const ARN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/www-AbCdEf";
        const BARE: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/www";
        const PARAMETER: &str = "arn:aws:ssm:us-east-1:111122223333:parameter/tls/www";
        let check = |a: &str, b: &str, expected: bool| {
            let (a, b) = (source_ref(a).expect(a), source_ref(b).expect(b));
            assert_eq!(a.may_be(&b), expected, "{a:?} {b:?}");
            assert_eq!(b.may_be(&a), expected, "{b:?} {a:?}");
        };
        check("tls/www", "tls/www", true);
        check("tls/www", ARN, true);
        check("tls/www", BARE, true);
        check(BARE, ARN, true);
        check("tls/www2", ARN, false);
        check("tls/ww", ARN, false);
        check(&ARN.replace("us-east-1", "eu-west-1"), ARN, false);
        check("ssm:/tls/www", PARAMETER, true);
        check("ssm:/tls/www", &PARAMETER.replace("www", "shop"), false);
        check("ssm:/tls/www", "tls/www", false);
        check("s3://bucket/a.pem", "s3://bucket/a.pem", true);
        check("s3://bucket/a.pem", "s3://bucket/b.pem", false);
    }
}
