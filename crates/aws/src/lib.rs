//! All calls to AWS, as free functions over the SDK's clients. The SDK's types are not used outside
//! of this crate.

#[cfg(feature = "terminal")]
pub mod artifacts;
#[cfg(feature = "terminal")]
pub mod change_set;
pub mod cloudfront;
pub mod error;
pub mod notices;
pub mod quotas;
pub mod s3;
pub mod source;
#[cfg(feature = "terminal")]
pub mod stack;
pub mod step_functions;
pub mod store;
pub mod tagging;
mod whole_xml;

use std::sync::OnceLock;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::DateTime;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::sdk_config::Builder;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use jiff::Timestamp;
use rotation_core::request::CLOUDFRONT_REGION;

use crate::whole_xml::WholeXml;

/// A time of AWS, in whole seconds; `None` outside of the years that [`Timestamp`] has.
fn time(date: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(date.secs()).ok()
}

/// The clients of one function, each created on first use: a client that a function does not use is
/// not even linked into it.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    #[doc(hidden)]
    pub acm: OnceLock<aws_sdk_acm::Client>,
    #[doc(hidden)]
    pub cloudfront: OnceLock<aws_sdk_cloudfront::Client>,
    #[doc(hidden)]
    pub iam: OnceLock<aws_sdk_iam::Client>,
    #[doc(hidden)]
    pub quotas: OnceLock<aws_sdk_servicequotas::Client>,
    #[doc(hidden)]
    pub s3: OnceLock<aws_sdk_s3::Client>,
    #[doc(hidden)]
    pub states: OnceLock<aws_sdk_sfn::Client>,
    #[doc(hidden)]
    pub tagging: OnceLock<aws_sdk_resourcegroupstagging::Client>,
}

impl Aws {
    /// Clients with a function's credentials, region and endpoints, which Lambda and local runs set
    /// in the environment. The SDK's default chain would also search files, containers and
    /// instances.
    pub fn from_env() -> Self {
        let config = patient(SdkConfig::builder())
            .region(environment("AWS_REGION").map(Region::new))
            .credentials_provider(SharedCredentialsProvider::new(
                EnvironmentVariableCredentialsProvider::new(),
            ))
            .service_config(Endpoints)
            .http_client(https());
        Self::of(config.build())
    }

    /// Clients with an operator's credentials: the SDK's default chain, with single sign-on and the
    /// profiles of `~/.aws`. `profile` and `region` take precedence over `AWS_PROFILE` and
    /// `AWS_REGION`. Without any region it is us-east-1, the region of the stack.
    ///
    /// # Errors
    /// When there are no credentials, or they cannot be loaded; the message is the SDK's.
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
        let mut config = patient(loader.load().await.into_builder()).build();
        if config.region().is_none() {
            config = config.to_builder().region(Region::from_static(CLOUDFRONT_REGION)).build();
        }
        let missing = || "no credentials are configured".to_owned();
        // Loaded before the first call, because the error of a call would only say that the
        // connection failed.
        config
            .credentials_provider()
            .ok_or_else(missing)?
            .provide_credentials()
            .await
            .map_err(|error| words(&error))?;
        Ok(Self::of(config))
    }

    /// Clients that send everything to `http`, signed with dummy credentials.
    pub fn with_http_client(http: SharedHttpClient) -> Self {
        let worthless = aws_sdk_s3::config::Credentials::new("test", "test", None, None, "test");
        let config = patient(SdkConfig::builder())
            .region(Region::from_static(CLOUDFRONT_REGION))
            .credentials_provider(SharedCredentialsProvider::new(worthless))
            .http_client(http);
        Self::of(config.build())
    }

    fn of(config: SdkConfig) -> Self {
        Self {
            config,
            acm: OnceLock::new(),
            cloudfront: OnceLock::new(),
            iam: OnceLock::new(),
            quotas: OnceLock::new(),
            s3: OnceLock::new(),
            states: OnceLock::new(),
            tagging: OnceLock::new(),
        }
    }

    /// ACM in us-east-1, the region that CloudFront reads it from.
    pub fn acm(&self) -> &aws_sdk_acm::Client {
        self.acm.get_or_init(|| aws_sdk_acm::Client::new(&self.config_in(Some(CLOUDFRONT_REGION))))
    }

    /// CloudFront.
    pub fn cloudfront(&self) -> &aws_sdk_cloudfront::Client {
        self.cloudfront.get_or_init(|| {
            let config = self.config_in(Some(CLOUDFRONT_REGION));
            let config = aws_sdk_cloudfront::config::Builder::from(&config).interceptor(WholeXml);
            aws_sdk_cloudfront::Client::from_conf(config.build())
        })
    }

    /// IAM.
    pub fn iam(&self) -> &aws_sdk_iam::Client {
        self.iam.get_or_init(|| {
            let config = self.config_in(Some(CLOUDFRONT_REGION));
            let config = aws_sdk_iam::config::Builder::from(&config).interceptor(WholeXml);
            aws_sdk_iam::Client::from_conf(config.build())
        })
    }

    /// Service Quotas in us-east-1, which has the quotas of the global services, and those of ACM
    /// in that region.
    pub fn quotas(&self) -> &aws_sdk_servicequotas::Client {
        self.quotas.get_or_init(|| {
            aws_sdk_servicequotas::Client::new(&self.config_in(Some(CLOUDFRONT_REGION)))
        })
    }

    /// S3 in the function's own region.
    pub fn s3(&self) -> &aws_sdk_s3::Client {
        self.s3.get_or_init(|| {
            let config = aws_sdk_s3::config::Builder::from(&self.config)
                // Local implementations of S3 use one host for all buckets; AWS supports path style
                // as well.
                .force_path_style(true)
                .interceptor(WholeXml);
            aws_sdk_s3::Client::from_conf(config.build())
        })
    }

    /// Step Functions in the function's own region.
    pub fn states(&self) -> &aws_sdk_sfn::Client {
        self.states.get_or_init(|| aws_sdk_sfn::Client::new(&self.config))
    }

    /// The Resource Groups Tagging API in us-east-1, which has the tags of CloudFront and of ACM in
    /// that region.
    pub fn tagging(&self) -> &aws_sdk_resourcegroupstagging::Client {
        self.tagging.get_or_init(|| {
            aws_sdk_resourcegroupstagging::Client::new(&self.config_in(Some(CLOUDFRONT_REGION)))
        })
    }

    /// CloudFormation in the operator's region.
    #[cfg(feature = "terminal")]
    pub(crate) fn stacks(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(&self.config)
    }

    /// STS in the operator's region, which says whose credentials these are.
    #[cfg(feature = "terminal")]
    pub(crate) fn identity(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.config)
    }

    /// The region of the clients.
    #[cfg(feature = "terminal")]
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// EventBridge in the function's own region.
    pub fn events(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.config)
    }

    /// SNS in the function's own region.
    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config)
    }

    /// The configuration for a region other than the function's own.
    pub(crate) fn config_in(&self, region: Option<&str>) -> SdkConfig {
        match region {
            Some(region) => self.config.to_builder().region(Region::new(region.to_owned())).build(),
            None => self.config.clone(),
        }
    }
}

/// `AWS_ENDPOINT_URL_SERVICE` and `AWS_ENDPOINT_URL`, as in all SDKs ("Service-specific endpoints",
/// AWS SDKs and Tools Reference Guide).
#[derive(Debug)]
struct Endpoints;

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace([' ', '-'], "_");
        environment(&format!("{}_{service}", key.env())).or_else(|| environment(key.env()))
    }
}

/// An environment variable, unless it is empty.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// ring, not aws-lc: the cross build then compiles no C code.
fn https() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

/// An error with all its causes, because the SDK puts the details there.
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

/// Three attempts for transport errors, with timeouts shorter than the function's own. Named errors
/// are left to the state machine's Retry.
fn patient(config: Builder) -> Builder {
    config
        .behavior_version(BehaviorVersion::latest())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(3))
                .operation_attempt_timeout(Duration::from_secs(20))
                .operation_timeout(Duration::from_secs(45))
                .build(),
        )
}
