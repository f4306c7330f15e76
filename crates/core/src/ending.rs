//! How a rotation ends.
//!
//! After each Map [`rollback`] says what follows from where the targets are: it is complete, they are moved back, or
//! they stay where they are. Then [`deletion`] says whether the old certificate may go, and in the end [`conclude`]
//! makes the contract's output of it all, or the name and the cause that the execution fails with.

mod conclude;
pub mod deletion;
mod output;
pub mod rollback;
mod words;

pub use conclude::{End, RotationState, Unconcluded, conclude};
pub use output::{CertificateSummary, Counts, NewCertificate, OldCertificate, Output};
