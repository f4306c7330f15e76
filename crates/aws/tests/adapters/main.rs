//! Each adapter against mocked responses of AWS, one test per outcome, through the real SDK client.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acm;
#[cfg(feature = "terminal")]
mod artifacts;
#[cfg(feature = "terminal")]
mod change_set;
mod cloudfront;
mod iam;
mod material;
mod notices;
mod quotas;
mod s3;
mod source;
#[cfg(feature = "terminal")]
mod stack;
mod states;
mod tagging;
mod wire;
