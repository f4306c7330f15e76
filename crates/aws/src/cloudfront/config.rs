//! Reads a target's configuration as raw XML, and writes it back with another certificate.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_cloudfront::Client;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use rotation_core::ids::{CertificateId, TargetId, TargetKind};

use crate::cloudfront::config_document::ConfigDocument;
use crate::cloudfront::get_tenant;
use crate::error::{AwsError, SdkResultExt};

/// Why a configuration was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It has changed since it was read: status 412, or an `If-Match` that is no longer valid. The
    /// same code has been seen for other conditions, such as a pricing plan; the message says which.
    #[error("the configuration has changed since it was read: {message}")]
    Changed {
        /// CloudFront's message.
        message: String,
    },
    /// Another change of the certificate is in progress.
    #[error("another certificate change is in progress: {message}")]
    CertificateChangeInProgress {
        /// CloudFront's message.
        message: String,
    },
    /// `InvalidViewerCertificate`, or another code with a message about the certificate.
    #[error("the certificate is not accepted: {message}")]
    CertificateNotAccepted {
        /// CloudFront's message.
        message: String,
    },
    /// The target no longer exists.
    #[error("it no longer exists")]
    Gone,
    /// Any other error.
    #[error(transparent)]
    Aws(AwsError),
}

/// Reads a target's configuration as raw XML; `None` if the target no longer exists.
pub async fn read_config(
    client: &Client,
    target: &TargetId,
) -> Result<Option<ConfigDocument>, AwsError> {
    let TargetId { kind, id } = target;
    let body = KeepBody::default();
    let (operation, etag, document) = match kind {
        TargetKind::Distribution => {
            const OPERATION: &str = "GetDistributionConfig";
            let request = client.get_distribution_config().id(id).customize();
            let answer = request.interceptor(body.clone()).send().await;
            let etag = match answer.operation(OPERATION, id) {
                Err(error) if error.is("NoSuchDistribution") => return Ok(None),
                answer => answer?.e_tag,
            };
            let of: fn(&str, &str) -> _ = ConfigDocument::of_distribution;
            (OPERATION, etag, of)
        }
        TargetKind::Tenant => {
            const OPERATION: &str = "GetDistributionTenant";
            let request = client.get_distribution_tenant().identifier(id).customize();
            let answer = request.interceptor(body.clone()).send().await;
            let etag = match answer.operation(OPERATION, id) {
                Err(error) if error.is("EntityNotFound") => return Ok(None),
                answer => answer?.e_tag,
            };
            let of: fn(&str, &str) -> _ = ConfigDocument::of_tenant;
            (OPERATION, etag, of)
        }
    };
    let etag = etag.ok_or_else(|| AwsError::malformed(operation, id, "no ETag"))?;
    let xml = String::from_utf8(body.take())
        .map_err(|error| AwsError::malformed(operation, id, error))?;
    document(&etag, &xml).map(Some).map_err(|error| AwsError::malformed(operation, id, error))
}

/// Writes a configuration back with another certificate, on the condition that it has not changed
/// since it was read.
pub async fn write_config(
    client: &Client,
    target: &TargetId,
    config: &ConfigDocument,
    certificate: &CertificateId,
) -> Result<(), WriteError> {
    let TargetId { kind, id } = target;
    let body = config.with_certificate(certificate).ok_or_else(|| {
        let error = "there is no element for a certificate in the configuration";
        WriteError::Aws(AwsError::malformed("UpdateDistribution", id, error))
    })?;
    let body = ReplaceBody(body);
    let written = match kind {
        TargetKind::Distribution => client
            .update_distribution()
            .id(id)
            .if_match(&config.etag)
            .customize()
            .interceptor(body)
            .send()
            .await
            .operation("UpdateDistribution", id)
            .map(drop),
        TargetKind::Tenant => client
            .update_distribution_tenant()
            .id(id)
            .if_match(&config.etag)
            .customize()
            .interceptor(body)
            .send()
            .await
            .operation("UpdateDistributionTenant", id)
            .map(drop),
    };
    let error = match written {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    // For a tenant the same code may mean that something it refers to does not exist; then the
    // tenant itself exists.
    if *kind == TargetKind::Tenant && error.is("EntityNotFound") {
        match get_tenant(client, id).await {
            Ok(None) => return Err(WriteError::Gone),
            Ok(Some(_)) => {}
            Err(error) => return Err(WriteError::Aws(error)),
        }
    }
    Err(refused(error))
}

/// Interprets an error of the write.
///
/// The error code alone is not enough: the model of `UpdateDistributionTenant` has neither
/// `InvalidViewerCertificate` nor `IllegalUpdate`, so a certificate that is not visible yet, or a
/// change in progress, must use another code of that operation. A message that mentions the
/// certificate is taken to be about it; the write is then retried for some minutes, after which the
/// error is final anyway.
fn refused(error: AwsError) -> WriteError {
    let words = error.message.to_ascii_lowercase();
    let is_about_the_certificate = words.contains("certificate");
    match error.code.as_deref() {
        Some("PreconditionFailed" | "InvalidIfMatchVersion") => {
            WriteError::Changed { message: error.message }
        }
        Some("NoSuchDistribution") => WriteError::Gone,
        Some("IllegalUpdate" | "InvalidArgument" | "InvalidAssociation")
            if words.contains("certificate change") && words.contains("in progress") =>
        {
            WriteError::CertificateChangeInProgress { message: error.message }
        }
        Some("InvalidViewerCertificate") => {
            WriteError::CertificateNotAccepted { message: error.message }
        }
        Some("InvalidArgument" | "InvalidAssociation" | "EntityNotFound")
            if is_about_the_certificate =>
        {
            WriteError::CertificateNotAccepted { message: error.message }
        }
        _ => WriteError::Aws(error),
    }
}

/// Keeps the raw body of a response, because the SDK's types drop elements that they do not know.
#[derive(Clone, Debug, Default)]
struct KeepBody(Arc<Mutex<Vec<u8>>>);

impl KeepBody {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for KeepBody {
    fn name(&self) -> &'static str {
        "KeepBody"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(bytes) = context.response().body().bytes() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
        }
        Ok(())
    }
}

/// Replaces the body of a request, before it is signed and before its first attempt.
#[derive(Clone, Debug)]
struct ReplaceBody(String);

impl Intercept for ReplaceBody {
    fn name(&self) -> &'static str {
        "ReplaceBody"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.0.len().to_string());
        *request.body_mut() = SdkBody::from(self.0.as_str());
        Ok(())
    }
}
