//! Each step on an AWS in memory: every outcome, every step twice, every call broken in every way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod account;
mod asl;
mod asl_rules;
mod certificates;
mod dice;
mod driver;
mod fake_aws;
mod invariants;
mod rig;
mod rights;

mod check_quota;
mod ending;
mod every_step;
mod import_certificate;
mod payloads;
mod plan_rotation;
mod rotations;
mod scale;
mod start_rotation;
mod targets;
mod viewers;
mod whole_rotations;
mod year;
