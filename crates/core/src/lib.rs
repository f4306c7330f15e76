//! The decisions of a certificate rotation, as pure functions of plain values.
//!
//! Nothing here can reach AWS, read a clock or an environment variable: what the crate may depend on
//! is in its `Cargo.toml`, and `make check` refuses `aws-*`, `tokio` and `lambda_runtime` there.

pub mod audit;
pub mod bundle;
pub mod certificate;
pub mod claim;
pub mod deletion;
pub mod finding;
pub mod ids;
pub mod key;
pub mod new_certificate;
pub mod plan;
pub mod quota;
pub mod record;
pub mod report;
pub mod request;
pub mod tags;
pub mod target;
pub mod trust;
pub mod viewer;

#[cfg(test)]
mod test_authority;
