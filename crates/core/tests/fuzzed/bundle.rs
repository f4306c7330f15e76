//! What must hold for any content of a source.

use rotation_core::certificate::TrustRoots;
use rotation_core::certificate::bundle::{Bundle, read};
use rotation_core::certificate::chain::Chain;

/// Parses the content, and panics if an invariant is violated.
pub(crate) fn check(content: &[u8]) {
    match read(content) {
        Ok(bundle) => {
            // Written out again in another order, it parses to the same bundle.
            let others = bundle.others.iter().rev().map(|(_, one)| one.to_pem());
            let again: String = std::iter::once(bundle.key.to_pem().to_string())
                .chain(others)
                .chain([bundle.leaf.to_pem()])
                .collect();
            let again = read(again.as_bytes()).expect("what was read once is read again");
            assert_eq!(again.leaf, bundle.leaf);
            assert_eq!(chain(&again), chain(&bundle));
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

fn chain(bundle: &Bundle) -> Vec<String> {
    let chain = Chain::choose(bundle, &TrustRoots::mozilla(), Default::default());
    chain.fingerprints().iter().map(ToString::to_string).collect()
}
