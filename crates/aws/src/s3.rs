//! The rotation's own bucket: small JSON objects.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{AwsError, Context};

/// Writes an object.
pub async fn put_json(
    client: &Client,
    bucket: &str,
    key: &str,
    value: &impl Serialize,
) -> Result<(), AwsError> {
    const OPERATION: &str = "PutObject";
    let resource = format!("s3://{bucket}/{key}");
    let body = serde_json::to_vec_pretty(value)
        .map_err(|error| AwsError::malformed(OPERATION, &resource, error))?;
    client
        .put_object()
        .bucket(bucket)
        .key(key)
        .content_type("application/json")
        .body(ByteStream::from(body))
        .send()
        .await
        .during(OPERATION, &resource)?;
    Ok(())
}

/// Reads an object.
pub async fn get_json<T: DeserializeOwned>(
    client: &Client,
    bucket: &str,
    key: &str,
) -> Result<T, AwsError> {
    const OPERATION: &str = "GetObject";
    let resource = format!("s3://{bucket}/{key}");
    let answer = client.get_object().bucket(bucket).key(key).send().await;
    let body = answer
        .during(OPERATION, &resource)?
        .body
        .collect()
        .await
        .map_err(|error| AwsError::malformed(OPERATION, &resource, error))?;
    serde_json::from_slice(&body.into_bytes())
        .map_err(|error| AwsError::malformed(OPERATION, &resource, error))
}

/// Is there any object under this prefix?
pub async fn any_under(client: &Client, bucket: &str, prefix: &str) -> Result<bool, AwsError> {
    let answer = client.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(1).send().await;
    let answer = answer.during("ListObjectsV2", &format!("s3://{bucket}/{prefix}"))?;
    Ok(!answer.contents.unwrap_or_default().is_empty())
}

/// Reads all objects under a prefix, in the order of their keys.
pub async fn list_json<T: DeserializeOwned>(
    client: &Client,
    bucket: &str,
    prefix: &str,
) -> Result<Vec<T>, AwsError> {
    let mut pages = client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut all = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("ListObjectsV2", &format!("s3://{bucket}/{prefix}"))?;
        for key in page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key) {
            all.push(get_json(client, bucket, &key).await?);
        }
    }
    Ok(all)
}
