//! What several steps do in the account: read it, claim a certificate, notify.

pub mod claim;
pub mod fleet;
pub mod notify;
pub mod reading;
pub mod source;
