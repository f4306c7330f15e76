//! Every step against an AWS in memory: each step by itself, then whole rotations by the real state
//! machine.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

mod harness;
mod rotations;
mod steps;
