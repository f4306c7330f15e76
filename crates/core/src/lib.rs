//! The decisions of a certificate rotation, as pure functions of plain values.
//!
//! Nothing here can reach AWS, read a clock or an environment variable: what the crate may depend on
//! is in its `Cargo.toml`, and `make check` refuses `aws-*`, `tokio` and `lambda_runtime` there.

pub mod automation;
pub mod certificate;
pub mod ending;
pub mod failure;
pub mod finding;
pub mod ids;
pub mod metrics;
pub mod plan;
mod redact;
pub mod report;
pub mod request;
pub mod target;

#[cfg(test)]
mod fixtures;
