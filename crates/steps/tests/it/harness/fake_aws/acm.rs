//! ACM: awsJson1.1.

use serde_json::{Value, json};

use super::{Answer, Request, page};
use crate::harness::account::{Account, StoredCertificate, leaf_of, matches_key, now};

pub(super) fn answer(account: &mut Account, request: &Request) -> Answer {
    let input = request.json();
    let arn = request.resource.clone();
    let error = |code: &str, message: &str| Answer::error("acm", 400, code, message);
    match request.operation.as_str() {
        "ListCertificates" => list(account, &input),
        "ImportCertificate" => import(account, &input),
        operation => {
            let in_use_by = account.acm_in_use_by(&arn);
            let Some(stored) = account.acm.get(&arn) else {
                return error("ResourceNotFoundException", "no such certificate");
            };
            match operation {
                "DescribeCertificate" => Answer::json(json!({"Certificate": {
                    "CertificateArn": arn, "Type": stored.kind, "Status": "ISSUED",
                    "KeyAlgorithm": "EC-prime256v1", "InUseBy": in_use_by,
                }})),
                "GetCertificate" => Answer::json(
                    json!({"Certificate": stored.pem, "CertificateChain": stored.chain}),
                ),
                "ListTagsForCertificate" => {
                    let tags: Vec<Value> = stored
                        .tags
                        .iter()
                        .map(|(key, value)| json!({"Key": key, "Value": value}))
                        .collect();
                    Answer::json(json!({ "Tags": tags }))
                }
                "DeleteCertificate" if !in_use_by.is_empty() => {
                    error("ResourceInUseException", &format!("{arn} is in use"))
                }
                "DeleteCertificate" => {
                    account.acm.remove(&arn);
                    account.deletions += 1;
                    Answer::json(json!({}))
                }
                other => panic!("ACM has no {other} here"),
            }
        }
    }
}

fn list(account: &Account, input: &Value) -> Answer {
    // Without a filter AWS lists RSA 1024 and 2048 only, and all certificates here are P-256.
    let every_key = input["Includes"]["keyTypes"]
        .as_array()
        .is_some_and(|types| types.contains(&json!("EC_prime256v1")));
    let all: Vec<Value> = account
        .acm
        .iter()
        .filter(|_| every_key)
        .map(|(arn, stored)| {
            let leaf = leaf_of(&stored.pem);
            json!({
                "CertificateArn": arn, "Type": stored.kind, "Status": "ISSUED",
                "NotBefore": leaf.not_before().as_second(),
                "NotAfter": leaf.not_after().as_second(),
                "SubjectAlternativeNameSummaries": leaf.dns_names(),
                "HasAdditionalSubjectAlternativeNames": false,
                "ImportedAt": stored.imported_at, "CreatedAt": stored.imported_at,
            })
        })
        .collect();
    let (items, next) = page(all, input["NextToken"].as_str(), account.page_size);
    Answer::json(json!({"CertificateSummaryList": items, "NextToken": next}))
}

fn import(account: &mut Account, input: &Value) -> Answer {
    let error = |code: &str, message: &str| Answer::error("acm", 400, code, message);
    assert!(input["CertificateArn"].is_null(), "an import never replaces");
    let blob = |name: &str| input[name].as_str().map(from_base64);
    let (pem, key) = (blob("Certificate").expect("pem"), blob("PrivateKey").expect("key"));
    if !matches_key(&pem, &key) {
        return error("ValidationException", "the private key does not match");
    }
    if account.acm.len() >= account.acm_room {
        return error("LimitExceededException", "you have reached your limit");
    }
    let tags = input["Tags"].as_array().expect("tags").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let tags = tags.map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect();
    let arn = account.next_acm_arn();
    let chain = blob("CertificateChain").unwrap_or_default();
    let imported_at = now().as_second();
    account.acm.insert(
        arn.clone(),
        StoredCertificate { pem, chain, tags, imported_at, ..StoredCertificate::default() },
    );
    Answer::json(json!({ "CertificateArn": arn }))
}

/// Decodes with the SDK's own base64.
fn from_base64(text: &str) -> String {
    let bytes = aws_smithy_types::base64::decode(text).expect("base64");
    String::from_utf8(bytes).expect("PEM")
}
