//! Records which step makes which call on which resource, in the terms of a policy. `calls.txt` has
//! every call of all tests here, and tests/contract/test_rights.py checks each of them against the
//! policies of the template.
//!
//! Calls that a policy cannot distinguish are one line: names, ids and times are written as NAME,
//! ID and so on.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::harness::account::{ACCOUNT, Account, BUCKET};
use crate::harness::fake_aws::Request;

tokio::task_local! {
    /// The name of the calling step.
    static CALLER: String;
}

/// Attributes all calls of this future to the step.
pub(crate) fn calling<T>(step: &str, what: impl Future<Output = T>) -> impl Future<Output = T> {
    // Boxed: too large for the compiler as a part of its caller's future.
    CALLER.scope(step.to_owned(), Box::pin(what))
}

pub(crate) const LISTED: &str = include_str!("../steps/calls.txt");

/// The calls since the process started.
static CALLED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Records a request of the running step.
pub(crate) fn note(account: &Account, request: &Request) {
    let caller = CALLER.with(Clone::clone);
    let Request { service, operation, .. } = request;
    // The prefix of the actions is not the name in the signature.
    let service = if service == "tagging" { "tag" } else { service };
    let resource = resource(account, request);
    note_call(&caller, &format!("{service}:{operation}"), &resource, &context(account, request));
}

/// `make unit` rewrites the file next to the tests, and compares. A test that runs alone fails at
/// the first call that is not listed.
pub(crate) fn note_call(caller: &str, call: &str, resource: &str, context: &str) {
    let line = format!("{caller} {call} {resource}{context}");
    let mut called = CALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if called.contains(&line) {
        return;
    }
    called.insert(line.clone());
    let Ok(path) = std::env::var("WRITE_CALLS") else {
        drop(called);
        let is_listed = LISTED.lines().any(|listed| listed == line);
        assert!(is_listed, "a call that calls.txt has not, and make calls would write: {line}");
        return;
    };
    let head = LISTED.lines().filter(|line| line.starts_with('#'));
    let all: Vec<&str> = head.chain(called.iter().map(String::as_str)).collect();
    std::fs::write(path, all.join("\n") + "\n").unwrap();
}

/// The resource of the call in policies. The Service Authorization Reference lists the resources of
/// each call.
fn resource(account: &Account, request: &Request) -> String {
    let Request { service, operation, resource, region, .. } = request;
    let here = |rest: String| format!("arn:aws:{service}:{region}:{ACCOUNT}:{rest}");
    match (service.as_str(), operation.as_str()) {
        ("cloudfront", list) if list.starts_with("List") => "*".to_owned(),
        ("acm", "ListCertificates")
        | ("iam", "ListServerCertificates" | "GetAccountSummary")
        | ("servicequotas", "GetAWSDefaultServiceQuota")
        | ("tagging", "GetResources") => "*".to_owned(),
        ("s3", "ListObjectsV2") => format!("arn:aws:s3:::{BUCKET}"),
        ("s3", _) => object(resource),
        ("cloudfront", _) if resource.starts_with("dt_") => {
            format!("arn:aws:cloudfront::{ACCOUNT}:distribution-tenant/ID")
        }
        ("cloudfront", _) => format!("arn:aws:cloudfront::{ACCOUNT}:distribution/ID"),
        // The ARN is new.
        ("acm", "ImportCertificate") => here("certificate/ID".to_owned()),
        ("acm", _) => format!("{}/ID", resource.split('/').next().expect("an ARN")),
        ("iam", _) => {
            // The path of the existing or new certificate. For one that does not exist, AWS does
            // not document the path.
            let there = account.iam.get(resource).map(|one| one.path.as_str());
            let path = there.or(request.get("Path")).unwrap_or("/cloudfront/");
            format!("arn:aws:iam::{ACCOUNT}:server-certificate{path}NAME")
        }
        ("secretsmanager", _) => here(format!("secret:{}-AbCdEf", named(resource))),
        ("ssm", _) => here(format!("parameter{}", named(resource))),
        ("servicequotas", _) => {
            let service = request.json()["ServiceCode"].as_str().map(str::to_owned);
            here(format!("{}/{resource}", service.expect("a service")))
        }
        ("states", "DescribeExecution") => execution(resource),
        ("states" | "sns", _) => resource.clone(),
        ("events", _) => here("event-bus/default".to_owned()),
        other => panic!("what is {other:?} about?"),
    }
}

/// The context keys that a policy may check, except `aws:SecureTransport`, which is true.
fn context(account: &Account, request: &Request) -> String {
    let Request { service, operation, resource, .. } = request;
    match (service.as_str(), operation.as_str()) {
        ("s3", "ListObjectsV2") => {
            format!(" s3:prefix={}", key(request.get("prefix").unwrap_or_default()))
        }
        // Not a context key: for a missing object S3 checks another permission before it says so.
        ("s3", "GetObject") if !account.objects.contains_key(resource) => " absent".to_owned(),
        ("s3", "PutObject") if request.if_match.is_some() => " s3:if-match=ETAG".to_owned(),
        ("s3", "PutObject") if request.if_none_match.is_some() => " s3:if-none-match=*".to_owned(),
        ("events", _) => {
            let sources: BTreeSet<String> = request.json()["Entries"]
                .as_array()
                .expect("entries")
                .iter()
                .map(|entry| entry["Source"].as_str().expect("a source").to_owned())
                .collect();
            sources.iter().map(|source| format!(" events:source={source}")).collect()
        }
        ("acm", "ImportCertificate") if request.json()["Tags"].is_array() => {
            " aws:TagKeys=KEY".to_owned()
        }
        ("iam", "UploadServerCertificate") if request.get("Tags.member.1.Key").is_some() => {
            " aws:TagKeys=KEY".to_owned()
        }
        _ => String::new(),
    }
}

/// Generalises `BUCKET/KEY`.
pub(crate) fn object(resource: &str) -> String {
    let (bucket, path) = resource.split_once('/').expect("a bucket and a key");
    let path = if bucket == BUCKET { key(path) } else { "OBJECT".to_owned() };
    format!("arn:aws:s3:::{bucket}/{path}")
}

/// Generalises a key in the bucket, or a prefix.
fn key(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["claims", _] => "claims/ID.json".to_owned(),
        ["notices", .., to] => format!("notices/NAME/{to}"),
        ["rotations", _, _, rest @ ..] => {
            let rest: Vec<String> = rest.iter().map(|part| part_of_folder(part)).collect();
            format!("rotations/NAME/START/{}", rest.join("/"))
        }
        other => panic!("there is no {other:?} in the bucket"),
    }
}

/// `distribution-E1.json` becomes ID.json, `1.json` and `review-1.json` become N.json and
/// review-N.json.
fn part_of_folder(part: &str) -> String {
    if part.starts_with("distribution-") || part.starts_with("tenant-") {
        return "ID.json".to_owned();
    }
    let is_number = |c: char| c.is_ascii_digit();
    let (before, after) = (part.find(is_number), part.rfind(is_number));
    match (before, after) {
        (Some(from), Some(to)) => format!("{}N{}", &part[..from], &part[to + 1..]),
        _ => part.to_owned(),
    }
}

/// A source's name, which may be an ARN, without its last part.
fn named(name: &str) -> String {
    let marks = [":secret:", ":parameter"];
    let name = marks.iter().find_map(|mark| Some(name.split_once(mark)?.1)).unwrap_or(name);
    match name.rsplit_once('/') {
        Some((path, _)) => format!("{path}/NAME"),
        None => name.to_owned(),
    }
}

fn execution(arn: &str) -> String {
    let (machine, _) = arn.rsplit_once(':').expect("an ARN");
    format!("{machine}:NAME")
}
