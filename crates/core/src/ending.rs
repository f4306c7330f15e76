//! How a rotation ends.
//!
//! After each Map [`rollback`] decides, from the states of the targets, whether the rotation is
//! complete, the targets are moved back, or they are left. Then [`deletion`] decides whether the
//! old certificate may be deleted. At the end [`conclude`] turns everything into the output of the
//! contract, or into the name and the cause that the execution fails with.

mod conclude;
pub mod deletion;
mod output;
pub mod rollback;
mod words;

pub use conclude::{End, RotationState, Unconcluded, conclude};
pub use output::{CertificateSummary, Counts, NewCertificate, OldCertificate, Output};
