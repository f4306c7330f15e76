//! Rotations that nobody starts by hand: which event asks for what, whether it is time, who is notified.

pub mod decision;
pub mod notice;
pub mod trigger;
