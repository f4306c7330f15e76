//! What holds for whatever an execution is started with.

use rotation_core::request::parse;

/// Reads it as the input of an execution, if it is JSON at all, and panics if a promise is broken.
pub(crate) fn check(content: &[u8]) {
    let Ok(input) = serde_json::from_slice(content) else { return };
    match parse(&input) {
        Ok(request) => {
            assert!(!request.source.contains("-----BEGIN"));
            assert!(request.concurrency >= 1);
        }
        Err(findings) => {
            assert!(!findings.is_empty());
            for finding in findings {
                assert!(!finding.to_string().contains("-----BEGIN PRIVATE"), "{finding}");
            }
        }
    }
}
