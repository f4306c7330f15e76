//! Each adapter against mocked responses of AWS, one test per outcome, through the real SDK client.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acm;
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
