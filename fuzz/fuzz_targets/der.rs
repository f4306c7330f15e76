//! A file in DER or BER: a certificate, a key, PKCS#7 or PKCS#12, beside a certificate with its key.

#![no_main]

#[path = "../../crates/core/tests/fuzzed/der.rs"]
mod der;

libfuzzer_sys::fuzz_target!(|content: &[u8]| der::check(content));
