//! The input of an execution.

#![no_main]

#[path = "../../crates/core/tests/fuzzed/request.rs"]
mod request;

libfuzzer_sys::fuzz_target!(|content: &[u8]| request::check(content));
