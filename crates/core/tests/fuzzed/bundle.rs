//! What holds for whatever a source may contain.

use rotation_core::certificate::bundle::read;

/// Reads it, and panics if a promise is broken.
pub(crate) fn check(content: &[u8]) {
    match read(content) {
        Ok(bundle) => {
            // In another order and in our own words it is the same.
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
            // Part of a key may stand anywhere in it.
            for line in
                content.split(|byte| !byte.is_ascii_alphanumeric() && !b"+/=".contains(byte))
            {
                let line = String::from_utf8_lossy(line);
                assert!(line.len() < 40 || !message.contains(&*line), "{line} in {message}");
            }
        }
    }
}
