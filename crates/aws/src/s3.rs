//! The bucket of the stack: small JSON objects, and reports as HTML pages.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{AwsError, ErrorKind, SdkResultExt};

/// How many objects are read in parallel.
const SIDE_BY_SIDE: usize = 32;

/// Writes an object.
pub async fn put_json(
    client: &Client,
    bucket: &str,
    key: &str,
    value: &impl Serialize,
) -> Result<(), AwsError> {
    put(client, bucket, key, "application/json", json(bucket, key, value)?).await
}

/// Writes an HTML page.
pub async fn put_html(
    client: &Client,
    bucket: &str,
    key: &str,
    page: String,
) -> Result<(), AwsError> {
    put(client, bucket, key, "text/html; charset=utf-8", page.into_bytes()).await
}

async fn put(
    client: &Client,
    bucket: &str,
    key: &str,
    content_type: &str,
    body: Vec<u8>,
) -> Result<(), AwsError> {
    let request = client.put_object().bucket(bucket).key(key).content_type(content_type);
    let answer = request.body(ByteStream::from(body)).send().await;
    answer.operation("PutObject", &format!("s3://{bucket}/{key}")).map(drop)
}

fn json(bucket: &str, key: &str, value: &impl Serialize) -> Result<Vec<u8>, AwsError> {
    serde_json::to_vec_pretty(value)
        .map_err(|error| AwsError::malformed("PutObject", format!("s3://{bucket}/{key}"), error))
}

/// Writes an object on the condition that it still has this ETag, or does not exist yet. False if
/// another writer was faster (S3 User Guide, "conditional writes").
pub async fn put_json_over(
    client: &Client,
    bucket: &str,
    key: &str,
    value: &impl Serialize,
    etag: Option<String>,
) -> Result<bool, AwsError> {
    let request = client
        .put_object()
        .bucket(bucket)
        .key(key)
        .content_type("application/json")
        .body(ByteStream::from(json(bucket, key, value)?));
    let request = match etag {
        Some(etag) => request.if_match(etag),
        None => request.if_none_match("*"),
    };
    let answer = request.send().await;
    match answer.operation("PutObject", &format!("s3://{bucket}/{key}")) {
        Ok(_) => Ok(true),
        Err(error) if error.is("PreconditionFailed") || error.is("ConditionalRequestConflict") => {
            Ok(false)
        }
        // The object to overwrite was deleted meanwhile.
        Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads an object and its ETag; `None` if it does not exist. Without the permission to list the
/// bucket, S3 returns AccessDenied for a missing object.
pub async fn find_json<T: DeserializeOwned>(
    client: &Client,
    bucket: &str,
    key: &str,
) -> Result<Option<(T, Option<String>)>, AwsError> {
    found(get(client, bucket, key).await)
}

/// Reads an object.
pub async fn get_json<T: DeserializeOwned>(
    client: &Client,
    bucket: &str,
    key: &str,
) -> Result<T, AwsError> {
    Ok(get(client, bucket, key).await?.0)
}

/// Reads the bytes of an object; `None` if it does not exist.
pub async fn find_bytes(
    client: &Client,
    bucket: &str,
    key: &str,
) -> Result<Option<Vec<u8>>, AwsError> {
    Ok(found(get_bytes(client, bucket, key).await)?.map(|(body, _)| body.to_vec()))
}

fn found<T>(answer: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is("NoSuchKey") => Ok(None),
        Err(error) => Err(error),
    }
}

async fn get<T: DeserializeOwned>(
    client: &Client,
    bucket: &str,
    key: &str,
) -> Result<(T, Option<String>), AwsError> {
    let (body, etag) = get_bytes(client, bucket, key).await?;
    let value = serde_json::from_slice(&body.into_bytes())
        .map_err(|error| AwsError::malformed(OPERATION, format!("s3://{bucket}/{key}"), error))?;
    Ok((value, etag))
}

const OPERATION: &str = "GetObject";

async fn get_bytes(
    client: &Client,
    bucket: &str,
    key: &str,
) -> Result<(AggregatedBytes, Option<String>), AwsError> {
    let resource = format!("s3://{bucket}/{key}");
    let answer = client.get_object().bucket(bucket).key(key).send().await;
    let answer = answer.operation(OPERATION, &resource)?;
    let etag = answer.e_tag;
    let body = answer
        .body
        .collect()
        .await
        .map_err(|error| AwsError::malformed(OPERATION, &resource, error))?;
    Ok((body, etag))
}

/// Is there any object under this prefix?
pub async fn any_under(client: &Client, bucket: &str, prefix: &str) -> Result<bool, AwsError> {
    let request = client.list_objects_v2().bucket(bucket).prefix(prefix);
    // A page may be empty and still not be the last.
    let mut pages = request.into_paginator().page_size(1).send();
    while let Some(page) = pages.next().await {
        let page = page.operation("ListObjectsV2", &format!("s3://{bucket}/{prefix}"))?;
        if page.contents.is_some_and(|objects| !objects.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The keys of all objects under a prefix, in order.
pub async fn list_keys(
    client: &Client,
    bucket: &str,
    prefix: &str,
) -> Result<Vec<String>, AwsError> {
    let mut pages = client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.operation("ListObjectsV2", &format!("s3://{bucket}/{prefix}"))?;
        keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
    }
    Ok(keys)
}

/// Reads all objects under a prefix, in the order of their keys.
pub async fn list_json<T: DeserializeOwned>(
    client: &Client,
    bucket: &str,
    prefix: &str,
) -> Result<Vec<T>, AwsError> {
    stream::iter(list_keys(client, bucket, prefix).await?)
        .map(async |key| get_json(client, bucket, &key).await)
        .buffered(SIDE_BY_SIDE)
        .try_collect()
        .await
}
