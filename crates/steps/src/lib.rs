//! One module and one binary per step of a rotation. Each step reads, decides, acts: the decisions
//! are in `rotation-core`, the reading and acting in `rotation-aws`, order and retries in
//! `statemachine/rotation.asl.json`.

pub mod account;
pub mod lambda;

pub mod check_quota;
pub mod delete_certificate;
pub mod import_certificate;
pub mod plan_rotation;
pub mod poll_deployment;
pub mod record_target;
pub mod report_rotation;
pub mod review_targets;
pub mod start_rotation;
pub mod update_distribution;
pub mod verify_viewers;

pub use lambda::{Context, Settings, attempt, run, serve};
