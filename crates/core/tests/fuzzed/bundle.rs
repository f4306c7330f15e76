//! What must hold for any content of a source.

use rotation_core::certificate::bundle::read;

/// Parses the content, and panics if an invariant is violated.
pub(crate) fn check(content: &[u8]) {
    match read(content) {
        Ok(bundle) => {
            // Written out again in another order, it parses to the same bundle.
            let chain = bundle.intermediates.iter().rev().map(|one| one.to_pem());
            let again: String = std::iter::once(bundle.key.to_pem().to_string())
                .chain(chain)
                .chain([bundle.leaf.to_pem()])
                .collect();
            let again = read(again.as_bytes()).expect("what was read once is read again");
            assert_eq!(again.leaf, bundle.leaf);
            assert_eq!(again.intermediates, bundle.intermediates);
        }
        Err(error) => {
            let message = format!("{error} {} {error:?}", error.finding());
            assert!(!message.contains("-----BEGIN PRIVATE"), "{message}");
            // Any token may be part of a key.
            for line in
                content.split(|byte| !byte.is_ascii_alphanumeric() && !b"+/=".contains(byte))
            {
                let line = String::from_utf8_lossy(line);
                assert!(line.len() < 40 || !message.contains(&*line), "{line} in {message}");
            }
        }
    }
}
