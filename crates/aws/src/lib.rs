//! What talks to AWS: free functions over the SDK's clients. The SDK's types stop here.

pub mod acm;
pub mod cloudfront;
pub mod config_document;
pub mod error;
pub mod iam;
pub mod notices;
pub mod quotas;
pub mod s3;
pub mod source;
pub mod states;
mod whole_xml;

use std::time::Duration;

use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use rotation_core::request::CLOUDFRONT_REGION;

use crate::whole_xml::WholeXml;

/// The clients of one function.
#[derive(Clone, Debug)]
pub struct Aws {
    /// ACM in us-east-1, where CloudFront reads it.
    pub acm: aws_sdk_acm::Client,
    /// CloudFront.
    pub cloudfront: aws_sdk_cloudfront::Client,
    /// IAM.
    pub iam: aws_sdk_iam::Client,
    /// Service Quotas in us-east-1, which has those of the global services and of ACM there.
    pub quotas: aws_sdk_servicequotas::Client,
    /// S3 in the function's own region.
    pub s3: aws_sdk_s3::Client,
    /// Step Functions in the function's own region.
    pub states: aws_sdk_sfn::Client,
    config: SdkConfig,
}

impl Aws {
    /// Clients with the function's credentials and the SDK's own environment variables.
    pub async fn from_env() -> Self {
        // ring, not aws-lc: nothing to compile in C for the cross build.
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        Self::of(&configured(loader).load().await)
    }

    /// Clients that send everything to `http`, signed with credentials that are worth nothing.
    pub async fn with_http_client(http: SharedHttpClient) -> Self {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::from_static(CLOUDFRONT_REGION))
            .credentials_provider(aws_sdk_s3::config::Credentials::new(
                "test", "test", None, None, "test",
            ));
        Self::of(&configured(loader).load().await)
    }

    fn of(config: &SdkConfig) -> Self {
        let global = config.to_builder().region(Region::from_static(CLOUDFRONT_REGION)).build();
        Self {
            acm: aws_sdk_acm::Client::new(&global),
            cloudfront: aws_sdk_cloudfront::Client::from_conf(
                aws_sdk_cloudfront::config::Builder::from(&global).interceptor(WholeXml).build(),
            ),
            iam: aws_sdk_iam::Client::from_conf(
                aws_sdk_iam::config::Builder::from(&global).interceptor(WholeXml).build(),
            ),
            quotas: aws_sdk_servicequotas::Client::new(&global),
            s3: aws_sdk_s3::Client::from_conf(
                // Local implementations of S3 answer at one host for all buckets; on AWS it is as good.
                aws_sdk_s3::config::Builder::from(config)
                    .force_path_style(true)
                    .interceptor(WholeXml)
                    .build(),
            ),
            states: aws_sdk_sfn::Client::new(config),
            config: config.clone(),
        }
    }

    /// EventBridge in the function's own region; made when there is something to tell, which is seldom, and
    /// by one function only.
    pub fn events(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.config)
    }

    /// SNS in the function's own region; the same.
    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config)
    }

    /// The configuration for a source in the region that its ARN names.
    pub(crate) fn config_in(&self, region: Option<&str>) -> SdkConfig {
        match region {
            Some(region) => self.config.to_builder().region(Region::new(region.to_owned())).build(),
            None => self.config.clone(),
        }
    }
}

/// Three attempts at transport, and an end to them before the function's own time is over; everything
/// with a name is the state machine's to retry.
fn configured(loader: ConfigLoader) -> ConfigLoader {
    loader.retry_config(RetryConfig::standard().with_max_attempts(3)).timeout_config(
        TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(20))
            .operation_timeout(Duration::from_secs(45))
            .build(),
    )
}
