//! The Resource Groups Tagging API: finds resources by their tags, a hundred in one call.
//!
//! Its index lags behind the services: it may lack a tag that was just set, and may have tags and
//! resources that were removed (aws-cli#4173, aws-sdk#676). So its response only says which
//! resources to read.

use aws_sdk_resourcegroupstagging::Client;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use rotation_core::request::tags::Tag;

use crate::error::{AwsError, SdkResultExt};

/// The maximum of GetResources.
const PER_PAGE: i32 = 100;

/// A resource in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Its ARN.
    pub arn: String,
    /// Its tags, as far as the index knows them.
    pub tags: Vec<Tag>,
}

/// The resources of these types (`acm:certificate`, `cloudfront:distribution`) that have a tag with
/// this key, and one of these values if there are any.
pub async fn find(
    client: &Client,
    types: &[&str],
    key: &str,
    values: &[&str],
) -> Result<Vec<Tagged>, AwsError> {
    let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    let filter = TagFilter::builder().key(key).set_values(texts(values)).build();
    // A page may be empty although others follow; the last one has an empty token.
    let mut pages = client
        .get_resources()
        .set_resource_type_filters(texts(types))
        .tag_filters(filter)
        .resources_per_page(PER_PAGE)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(mapping) = pages.next().await {
        let mapping = mapping.operation("GetResources", key)?;
        let Some(arn) = mapping.resource_arn else { continue };
        let tags = mapping.tags.unwrap_or_default().into_iter();
        found.push(Tagged { arn, tags: tags.map(|tag| Tag::new(tag.key, tag.value)).collect() });
    }
    Ok(found)
}
