//! A PKCS#12 file, with the password `secret` or none.

#![no_main]
#![allow(dead_code)]

#[path = "../../crates/cli/src/pkcs12.rs"]
mod pkcs12;

libfuzzer_sys::fuzz_target!(|content: &[u8]| {
    for password in ["", "secret"] {
        let _ = pkcs12::open(content, password);
    }
});
