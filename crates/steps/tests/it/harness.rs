//! Test harness: an AWS in memory, an interpreter of the state machine, and the invariants to check
//! after every run.

pub(crate) mod account;
pub(crate) mod asl;
pub(crate) mod asl_rules;
pub(crate) mod certificates;
pub(crate) mod dice;
pub(crate) mod driver;
pub(crate) mod fake_aws;
pub(crate) mod invariants;
pub(crate) mod recorded;
pub(crate) mod rig;
pub(crate) mod rights;
