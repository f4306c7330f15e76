//! The move of one target from one certificate to another.

pub mod polling;
pub mod record;
pub mod verification;

use crate::ids::Serves;

/// What to do with a target that was just read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It serves the certificate to move from.
    Switch,
    /// It serves the certificate to move to: after an earlier attempt, an earlier rotation or a
    /// manual change.
    AlreadyThere,
    /// It serves a third certificate: another user has changed it.
    Drifted,
}

/// Should this target be moved?
pub fn decide(serves: Serves) -> Move {
    match serves {
        Serves::Old => Move::Switch,
        Serves::New => Move::AlreadyThere,
        Serves::Other => Move::Drifted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_moved_only_from_the_expected_certificate() {
        assert_eq!(decide(Serves::Old), Move::Switch);
        assert_eq!(decide(Serves::New), Move::AlreadyThere);
        assert_eq!(decide(Serves::Other), Move::Drifted);
    }
}
