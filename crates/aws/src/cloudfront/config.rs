//! Reads a target's configuration as it came over the wire, and writes it back with another certificate.

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
    /// It is not the one that was read: 412, or an `If-Match` that is no longer valid.
    #[error("the configuration has changed since it was read")]
    Changed,
    /// Another change of the certificate is on its way.
    #[error("another certificate change is in progress")]
    CertificateChangeInProgress,
    /// `InvalidViewerCertificate`, or another code with words about the certificate.
    #[error("the certificate is not accepted: {message}")]
    CertificateNotAccepted {
        /// CloudFront's words.
        message: String,
    },
    /// The target no longer exists.
    #[error("it no longer exists")]
    Gone,
    /// Anything else.
    #[error(transparent)]
    Aws(AwsError),
}

/// A target's configuration as it came over the wire; none if the target is gone.
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

/// Writes a configuration back with another certificate, if it is still the one that was read.
pub async fn write_config(
    client: &Client,
    target: &TargetId,
    config: &ConfigDocument,
    certificate: &CertificateId,
) -> Result<(), WriteError> {
    let TargetId { kind, id } = target;
    let body = ReplaceBody(config.with_certificate(certificate));
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
    // Of a tenant the same code says that something it names does not exist: then the tenant itself is there.
    if *kind == TargetKind::Tenant && error.is("EntityNotFound") {
        match get_tenant(client, id).await {
            Ok(None) => return Err(WriteError::Gone),
            Ok(Some(_)) => {}
            Err(error) => return Err(WriteError::Aws(error)),
        }
    }
    Err(refused(error))
}

/// What CloudFront means by not writing.
///
/// Its codes alone do not say it: the model of `UpdateDistributionTenant` has no `InvalidViewerCertificate` and no
/// `IllegalUpdate`, so a certificate that is not visible yet, or a change that is under way, must come under
/// another one of that operation's codes. What names the certificate is believed to be about it; it is tried again
/// for some minutes and then is final all the same.
fn refused(error: AwsError) -> WriteError {
    let words = error.message.to_ascii_lowercase();
    let is_about_the_certificate = words.contains("certificate");
    match error.code.as_deref() {
        Some("PreconditionFailed" | "InvalidIfMatchVersion") => WriteError::Changed,
        Some("NoSuchDistribution") => WriteError::Gone,
        Some("IllegalUpdate" | "InvalidArgument" | "InvalidAssociation")
            if words.contains("certificate change") && words.contains("in progress") =>
        {
            WriteError::CertificateChangeInProgress
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

/// Keeps the body of an answer as it came, since the SDK's types lose what they do not know.
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

/// Puts a document into a request, before it is signed and before the first of its attempts.
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
