//! The Resource Groups Tagging API: awsJson1.1.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Request, page};
use crate::harness::account::Account;

pub(super) fn answer(account: &Account, request: &Request) -> Answer {
    assert_eq!(request.operation, "GetResources");
    assert_eq!(request.region, "us-east-1", "ACM's region for CloudFront, and CloudFront's");
    let input = request.json();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let types = list(&input["ResourceTypeFilters"]);
    let is_tagged = |tags: &[(String, String)]| {
        list(&input["TagFilters"]).iter().all(|filter| {
            let values = list(&filter["Values"]);
            let has = |value: &str| values.is_empty() || values.contains(&json!(value));
            tags.iter().any(|(key, value)| filter["Key"] == json!(key) && has(value))
        })
    };
    let found: Vec<Value> = index(account)
        .into_iter()
        .filter(|((kind, _), tags)| {
            let service = kind.split(':').next();
            let is_wanted = types.contains(&json!(kind)) || types.contains(&json!(service));
            is_wanted && is_tagged(tags)
        })
        .map(|((_, arn), tags)| {
            let tag = |(key, value)| json!({"Key": key, "Value": value});
            let tags: Vec<Value> = tags.into_iter().map(tag).collect();
            json!({"ResourceARN": arn, "Tags": tags})
        })
        .collect();
    let most = input["ResourcesPerPage"].as_u64().map_or(50, |most| most as usize);
    let token = input["PaginationToken"].as_str();
    let (found, next) = page(found, token, most.min(account.page_size));
    let next = next.unwrap_or_default();
    Answer::json(json!({"ResourceTagMappingList": found, "PaginationToken": next}))
}

/// The tags of every resource, by its type and ARN.
fn index(account: &Account) -> BTreeMap<(&'static str, String), Vec<(String, String)>> {
    let acm = account.acm.iter().map(|(arn, one)| (arn.clone(), one.tags.clone()));
    let distributions = account.distributions.iter();
    let distributions =
        distributions.map(|(id, one)| (Account::distribution_arn(id), one.tags.clone()));
    let tenants = account.tenants.iter();
    let tenants = tenants.map(|(id, one)| (Account::tenant_arn(id), one.tags.clone()));
    let outdated = account.outdated_tags.clone();
    let all = acm.chain(distributions).chain(tenants).chain(outdated);
    all.map(|(arn, tags)| ((type_of(&arn), arn), tags)).collect()
}

fn type_of(arn: &str) -> &'static str {
    let types = [
        (":distribution-tenant/", "cloudfront:distribution-tenant"),
        (":distribution/", "cloudfront:distribution"),
        (":certificate/", "acm:certificate"),
    ];
    let found = types.iter().find(|(part, _)| arn.contains(part));
    found.expect("a type of the tagging API").1
}
