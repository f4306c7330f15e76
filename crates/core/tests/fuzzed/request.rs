//! What must hold for any input of an execution.

use rotation_core::request::parse;

/// Parses the content as the input of an execution, if it is JSON, and panics if an invariant is
/// violated.
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
