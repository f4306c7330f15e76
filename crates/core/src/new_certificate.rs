//! Will the new certificate do?

use jiff::Timestamp;

use crate::bundle::Bundle;
use crate::certificate::Fingerprint;
use crate::finding::Finding;
use crate::ids::Store;
use crate::trust::TrustRoots;

/// What matters about the certificate that is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldCertificate {
    /// Its digest.
    pub fingerprint: Fingerprint,
    /// The last moment it is valid.
    pub not_after: Timestamp,
}

/// All findings at once.
pub fn check(
    bundle: &Bundle,
    old: &OldCertificate,
    store: Store,
    roots: &TrustRoots,
    now: Timestamp,
) -> Vec<Finding> {
    let _ = (bundle, old, store, roots, now);
    Vec::new()
}
