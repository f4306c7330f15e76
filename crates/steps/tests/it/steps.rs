//! The tests of each step are in the file with its name; `every_step` has those that apply to all
//! of them.

mod check_quota;
mod delete_certificate;
mod every_step;
mod import_certificate;
mod plan_rotation;
mod poll_deployment;
mod record_target;
mod report_rotation;
mod review_targets;
mod start_rotation;
mod update_distribution;
mod verify_viewers;
