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
#[cfg(feature = "terminal")]
pub mod stack;
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
        let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https());
        Self::of(&configured(loader).load().await)
    }

    /// Clients with the credentials of a person: the SDK's whole chain, with single sign-on and the profiles of
    /// `~/.aws`. `profile` and `region` go before `AWS_PROFILE` and `AWS_REGION`; without any region it is
    /// us-east-1, where the stack is.
    ///
    /// # Errors
    /// When there are no credentials, or they cannot be had, in the SDK's own words.
    #[cfg(feature = "terminal")]
    pub async fn of_person(profile: Option<&str>, region: Option<&str>) -> Result<Self, String> {
        use aws_credential_types::provider::ProvideCredentials;

        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https());
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let mut config = configured(loader).load().await;
        if config.region().is_none() {
            config = config.to_builder().region(Region::from_static(CLOUDFRONT_REGION)).build();
        }
        let missing = || "no credentials are configured".to_owned();
        // Asked for before the first call, whose error would only say that the connection failed.
        config
            .credentials_provider()
            .ok_or_else(missing)?
            .provide_credentials()
            .await
            .map_err(|error| words(&error))?;
        Ok(Self::of(&config))
    }

    /// CloudFormation in the person's region.
    #[cfg(feature = "terminal")]
    pub(crate) fn stacks(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(&self.config)
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

/// ring, not aws-lc: nothing to compile in C for the cross build.
fn https() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

/// An error with all its causes, which is where the SDK says what is wrong.
#[cfg(feature = "terminal")]
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
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
