//! Whole rotations by the real state machine, in virtual time.

mod payloads;
mod scale;
mod whole_rotations;
mod year;
