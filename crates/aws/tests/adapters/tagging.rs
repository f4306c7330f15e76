use aws_sdk_resourcegroupstagging::Client;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use rotation_aws::error::ErrorKind;
use rotation_aws::tagging::{Tagged, find};
use rotation_core::request::tags::Tag;

use crate::material::{COMMON, answer, assert_kind, json_error};

const KEY: &str = "cert-rotation:source";

fn page(arns: &[&str], token: &str) -> String {
    let mapping = |arn: &&str| {
        format!(
            r#"{{"ResourceARN":"{arn}","Tags":[{{"Key":"{KEY}","Value":"tls/www"}},{{"Key":"team","Value":""}}]}}"#
        )
    };
    let mappings: Vec<String> = arns.iter().map(mapping).collect();
    format!(r#"{{"ResourceTagMappingList":[{}],"PaginationToken":"{token}"}}"#, mappings.join(","))
}

/// The type, the tag and its values are the filters, and every page is read, even behind an empty
/// one. The last page has an empty token.
#[tokio::test(start_paused = true)]
async fn resources_are_found_by_type_and_tag_on_every_page() {
    for values in [&[][..], &["tls/www", "tls/shop"]] {
        let rule = mock!(Client::get_resources)
            .match_requests(move |request| {
                let [filter] = request.tag_filters() else { return false };
                request.resource_type_filters() == ["acm:certificate", "cloudfront:distribution"]
                    && filter.key() == Some(KEY)
                    && filter.values() == values
                    && request.resources_per_page() == Some(100)
            })
            .sequence()
            .http_response(|| answer(200, &page(&["arn:1", "arn:2"], "more")))
            .http_response(|| answer(200, &page(&[], "and more")))
            .http_response(|| answer(200, &page(&["arn:3"], "")))
            .build();
        let client = mock_client!(aws_sdk_resourcegroupstagging, RuleMode::Sequential, [&rule]);
        let types = ["acm:certificate", "cloudfront:distribution"];
        let found = find(&client, &types, KEY, values).await.unwrap();
        let tags = vec![Tag::new(KEY, "tls/www"), Tag::new("team", "")];
        let tagged = |arn: &str| Tagged { arn: arn.into(), tags: tags.clone() };
        assert_eq!(found, ["arn:1", "arn:2", "arn:3"].map(tagged));
        assert_eq!(rule.num_calls(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn common_errors_are_classified() {
    for (status, code, kind) in COMMON {
        let rule =
            mock!(Client::get_resources).then_http_response(move || json_error(status, code));
        let client = mock_client!(aws_sdk_resourcegroupstagging, RuleMode::MatchAny, [&rule]);
        assert_kind(find(&client, &["acm:certificate"], KEY, &[]).await, kind);
    }
}

/// The token of a page is valid for 15 minutes, and the next attempt begins with a new one.
#[tokio::test(start_paused = true)]
async fn an_unusable_response_and_an_expired_token() {
    for (status, body, kind) in [
        (200, "<html>a proxy's page</html>", ErrorKind::Unavailable),
        (
            400,
            r#"{"__type":"PaginationTokenExpiredException","message":"expired"}"#,
            ErrorKind::Unavailable,
        ),
    ] {
        let rule = mock!(Client::get_resources).then_http_response(move || answer(status, body));
        let client = mock_client!(aws_sdk_resourcegroupstagging, RuleMode::MatchAny, [&rule]);
        assert_kind(find(&client, &["acm:certificate"], KEY, &[]).await, kind);
    }
}
