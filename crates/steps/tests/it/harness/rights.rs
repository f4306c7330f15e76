//! Who calls what, on what, as far as a policy can tell: `calls.txt` has every call of every test here, and
//! tests/contract/test_rights.py decides each by the policies of the template.
//!
//! What a policy cannot tell apart is one line: names, ids and times are written as NAME, ID and the like.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::harness::account::{ACCOUNT, Account, BUCKET};
use crate::harness::fake_aws::Request;

tokio::task_local! {
    /// Whose calls these are: the name of a step.
    static CALLER: String;
}

/// Whatever this calls, the step of this name calls.
pub(crate) fn calling<T>(step: &str, what: impl Future<Output = T>) -> impl Future<Output = T> {
    // Boxed: as a part of its caller's it is too much for the compiler.
    CALLER.scope(step.to_owned(), Box::pin(what))
}

pub(crate) const LISTED: &str = include_str!("../steps/calls.txt");

/// What was called since the process began.
static CALLED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A request of the step that is running.
pub(crate) fn note(account: &Account, request: &Request) {
    let caller = CALLER.with(Clone::clone);
    let Request { service, operation, .. } = request;
    let resource = resource(account, request);
    note_call(&caller, &format!("{service}:{operation}"), &resource, &context(account, request));
}

/// `make unit` lets the file be written anew next to the tests, and compares; on its own a test fails at the first call
/// that is not listed.
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

/// What the call is about, as policies name it: the Service Authorization Reference has which call names what.
fn resource(account: &Account, request: &Request) -> String {
    let Request { service, operation, resource, region, .. } = request;
    let here = |rest: String| format!("arn:aws:{service}:{region}:{ACCOUNT}:{rest}");
    match (service.as_str(), operation.as_str()) {
        ("cloudfront", list) if list.starts_with("List") => "*".to_owned(),
        ("acm", "ListCertificates")
        | ("iam", "ListServerCertificates" | "GetAccountSummary")
        | ("servicequotas", "GetAWSDefaultServiceQuota") => "*".to_owned(),
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
            // The path of what is there, or comes; of what is not there, AWS does not say.
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

/// The keys of the request's context that a policy may look at, but for `aws:SecureTransport`, which is true.
fn context(account: &Account, request: &Request) -> String {
    let Request { service, operation, resource, .. } = request;
    match (service.as_str(), operation.as_str()) {
        ("s3", "ListObjectsV2") => {
            format!(" s3:prefix={}", key(request.get("prefix").unwrap_or_default()))
        }
        // No key, but S3 looks at another right before it says so.
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

/// Of `BUCKET/KEY`.
pub(crate) fn object(resource: &str) -> String {
    let (bucket, path) = resource.split_once('/').expect("a bucket and a key");
    let path = if bucket == BUCKET { key(path) } else { "OBJECT".to_owned() };
    format!("arn:aws:s3:::{bucket}/{path}")
}

/// A key of the bucket, or the beginning of some.
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

/// `distribution-E1.json` is ID.json, and `1.json` and `review-1.json` are N.json and review-N.json.
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

/// A source's name, which may have been given as an ARN, less the last part of it.
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
