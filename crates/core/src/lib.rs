//! The decisions of a certificate rotation, as pure functions of plain values.
//!
//! Nothing here reads AWS, a clock or an environment variable. The dependencies in `Cargo.toml` are
//! limited: `make check` refuses `aws-*`, `tokio` and `lambda_runtime`.

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

/// `schemaVersion` of `report.json`, `plan.json` and the detail of a notice: it changes when a reader
/// of `docs/schemas` would misread them, and not with a new field. Without the field it is 1.
pub const SCHEMA_VERSION: u8 = 1;

#[cfg(test)]
mod fixtures;
