//! The decisions of a certificate rotation, as pure functions of plain values.
//!
//! Nothing here can reach AWS, read a clock or an environment variable: what the crate may depend on
//! is in its `Cargo.toml`, and `make check` refuses `aws-*`, `tokio` and `lambda_runtime` there.

pub mod audit;
pub mod bundle;
pub mod certificate;
pub mod claim;
pub mod deletion;
pub mod estimate;
pub mod finding;
pub mod ids;
pub mod key;
pub mod managed;
pub mod metrics;
pub mod new_certificate;
pub mod notice;
pub mod plan;
pub mod quota;
pub mod record;
pub mod report;
pub mod request;
pub mod rights;
pub mod tags;
pub mod target;
pub mod trigger;
pub mod trust;
pub mod viewer;
pub mod watch;

#[cfg(test)]
mod test_authority;
