//! Automatic rotations: which event triggers what, whether a certificate is due, who is notified.

pub mod decision;
pub mod notice;
pub mod trigger;
