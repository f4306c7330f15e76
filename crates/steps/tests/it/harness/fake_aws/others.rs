//! S3 and SNS, and the JSON services besides ACM: Secrets Manager, Systems Manager, Service Quotas,
//! Step Functions, EventBridge.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Request};
use crate::harness::account::{Account, Execution, QuotaRequest, now};

/// The operation, from a target such as `CertificateManager.ListCertificates`, and the resource,
/// from the body.
pub(super) fn json_operation(target: &str, request: &Request) -> (String, String) {
    let operation = target.split('.').nth(1).expect("a target with an operation");
    let input = request.json();
    let resource =
        ["CertificateArn", "QuotaCode", "SecretId", "Name", "executionArn", "stateMachineArn"]
            .iter()
            .find_map(|name| input[*name].as_str())
            .unwrap_or("*");
    (operation.to_owned(), resource.to_owned())
}

pub(super) fn s3_operation(method: &str, request: &Request) -> (String, String) {
    match (method, request.get("list-type")) {
        ("GET", Some("2")) => {
            let prefix = request.get("prefix").unwrap_or_default();
            let bucket = request.path.trim_end_matches('/');
            ("ListObjectsV2".to_owned(), format!("{bucket}/{prefix}"))
        }
        ("GET", None) => ("GetObject".to_owned(), request.path.clone()),
        ("PUT", None) => ("PutObject".to_owned(), request.path.clone()),
        other => panic!("S3 has no {other:?} here"),
    }
}

pub(super) fn s3(account: &mut Account, request: &Request) -> Answer {
    let key = request.resource.clone();
    match request.operation.as_str() {
        "GetObject" => match account.objects.get(&key) {
            Some(content) => Answer { etag: Some(etag(content)), ..Answer::ok(content.as_str()) },
            None => Answer::error("s3", 404, "NoSuchKey", "no such key"),
        },
        "PutObject" => {
            let there = account.objects.get(&key).map(|content| etag(content));
            let is_stale = request.if_match.is_some() && request.if_match != there;
            if is_stale || request.if_none_match.is_some() && there.is_some() {
                return Answer::error("s3", 412, "PreconditionFailed", "a condition does not hold");
            }
            account.objects.insert(key, request.body.clone());
            Answer::ok("")
        }
        "ListObjectsV2" => {
            let (bucket, prefix) = key.split_once('/').expect("bucket and prefix");
            let most = request.get("max-keys").map_or(1_000, |n| n.parse().expect("a number"));
            let contents: String = account
                .objects
                .keys()
                .filter_map(|key| key.strip_prefix(bucket)?.strip_prefix('/'))
                .filter(|key| key.starts_with(prefix))
                .take(most)
                .map(|key| format!("<Contents><Key>{key}</Key></Contents>"))
                .collect();
            Answer::ok(format!(
                "<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
            ))
        }
        other => panic!("S3 has no {other} here"),
    }
}

fn etag(content: &str) -> String {
    format!(
        "\"{:x}\"",
        content.bytes().fold(content.len(), |sum, byte| sum * 31 % 65_521 + usize::from(byte))
    )
}

pub(super) fn states(account: &mut Account, request: &Request, at: Timestamp) -> Answer {
    let error = |code: &str, message: &str| Answer::error("states", 400, code, message);
    let input = request.json();
    match request.operation.as_str() {
        "DescribeExecution" => match account.executions.get(&request.resource) {
            Some(execution) => {
                let mut answer = json!({
                    "executionArn": request.resource, "stateMachineArn": "arn", "name": "n",
                    "status": execution.status, "startDate": execution.started.as_second(),
                    "input": execution.input,
                });
                if let Some((stopped, name, cause)) = &execution.ended {
                    answer["stopDate"] = stopped.as_second().into();
                    // An execution that timed out, or was stopped without an error, has neither
                    // field.
                    for (field, text) in [("error", name), ("cause", cause)] {
                        if !text.is_empty() {
                            answer[field] = json!(text);
                        }
                    }
                }
                Answer::json(answer)
            }
            None => error("ExecutionDoesNotExist", "no such execution"),
        },
        "StartExecution" => {
            let machine = input["stateMachineArn"].as_str().expect("a state machine");
            let name = input["name"].as_str().expect("a name");
            assert!(name.len() <= 80, "{name}");
            let arn = format!("{}:{name}", machine.replace(":stateMachine:", ":execution:"));
            let text = input["input"].as_str().expect("an input").to_owned();
            let answer = |started: Timestamp| {
                Answer::json(json!({"executionArn": arn, "startDate": started.as_second()}))
            };
            match account.executions.get(&arn) {
                // While it is running, the same input returns the same execution, with its original
                // start date.
                Some(there) if there.status == "RUNNING" && there.input == text => {
                    answer(there.started)
                }
                Some(_) => {
                    error("ExecutionAlreadyExists", &format!("Execution Already Exists: '{arn}'"))
                }
                None => {
                    let execution = Execution { input: text, ..Execution::running(at) };
                    account.executions.insert(arn.clone(), execution);
                    answer(at)
                }
            }
        }
        other => panic!("Step Functions has no {other} here"),
    }
}

/// SNS: awsQuery.
pub(super) fn sns(account: &mut Account, request: &Request) -> Answer {
    assert_eq!(request.operation, "Publish");
    let field = |name: &str| request.get(name).expect("a field of Publish").to_owned();
    let subject = field("Subject");
    // SNS API, Publish: ASCII, begins with a letter, number or punctuation mark, at most 100
    // characters.
    assert!(subject.is_ascii() && subject.len() <= 100 && !subject.contains('\n'), "{subject}");
    account.messages.push((subject, field("Message")));
    Answer::ok(
        "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>",
    )
}

pub(super) fn events(account: &mut Account, request: &Request) -> Answer {
    assert_eq!(request.operation, "PutEvents");
    let entries = request.json()["Entries"].as_array().expect("entries").clone();
    let ids: Vec<Value> = entries.iter().map(|_| json!({"EventId": "e"})).collect();
    account.events.extend(entries);
    Answer::json(json!({"FailedEntryCount": 0, "Entries": ids}))
}

pub(super) fn secrets_manager(account: &mut Account, request: &Request) -> Answer {
    assert_eq!(request.operation, "GetSecretValue");
    match account.secrets.get(&request.resource) {
        Some(content) => Answer::json(json!({ "SecretString": content })),
        None => Answer::error("secretsmanager", 400, "ResourceNotFoundException", "no such secret"),
    }
}

pub(super) fn ssm(account: &mut Account, request: &Request) -> Answer {
    assert_eq!(request.operation, "GetParameter");
    assert_eq!(request.json()["WithDecryption"], json!(true));
    match account.parameters.get(&request.resource) {
        Some((kind, content)) => {
            Answer::json(json!({"Parameter": {"Type": kind, "Value": content}}))
        }
        None => Answer::error("ssm", 400, "ParameterNotFound", ""),
    }
}

pub(super) fn service_quotas(account: &mut Account, request: &Request) -> Answer {
    let code = request.resource.as_str();
    let input = request.json();
    let error = |code: &str| Answer::error("servicequotas", 400, code, "told so");
    let value = |value: Option<f64>| match value {
        Some(value) => Answer::json(json!({"Quota": {"QuotaCode": code, "Value": value}})),
        None => error("NoSuchResourceException"),
    };
    let (applied, default) = account.quotas.get(code).copied().unwrap_or_default();
    match request.operation.as_str() {
        "GetServiceQuota" => value(applied),
        "GetAWSDefaultServiceQuota" => value(default),
        "ListRequestedServiceQuotaChangeHistoryByQuota" => {
            let requests = account.quota_requests.iter().filter(|request| request.code == code);
            let requests: Vec<Value> = requests.map(change).collect();
            Answer::json(json!({ "RequestedQuotas": requests }))
        }
        "RequestServiceQuotaIncrease" => {
            let is_open = |request: &&QuotaRequest| request.status == "PENDING";
            let mut open = account.quota_requests.iter().filter(is_open);
            if open.any(|request| request.code == code) {
                return error("ResourceAlreadyExistsException");
            }
            // At most two open requests per region, for any quotas.
            if account.quota_requests.iter().filter(is_open).count() >= 2 {
                return error("QuotaExceededException");
            }
            let request = QuotaRequest {
                id: format!("request-{}", account.quota_requests.len() + 1),
                code: code.to_owned(),
                status: "PENDING".to_owned(),
                desired: input["DesiredValue"].as_f64().expect("a number"),
                created: now(),
            };
            account.quota_requests.push(request.clone());
            if account.quotas_granted {
                account.quotas.insert(request.code.clone(), (Some(request.desired), None));
            }
            Answer::json(json!({ "RequestedQuota": change(&request) }))
        }
        other => panic!("Service Quotas has no {other} here"),
    }
}

fn change(request: &QuotaRequest) -> Value {
    json!({
        "Id": request.id, "QuotaCode": request.code, "Status": request.status,
        "DesiredValue": request.desired, "Created": request.created.as_second(),
    })
}
