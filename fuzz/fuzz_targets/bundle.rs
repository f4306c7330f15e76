//! The content of a source: certificate, chain and key, as PEM or JSON.

#![no_main]

#[path = "../../crates/core/tests/fuzzed/bundle.rs"]
mod bundle;

libfuzzer_sys::fuzz_target!(|content: &[u8]| bundle::check(content));
