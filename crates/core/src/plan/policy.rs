//! Decides what a failed target means for the others: the effective `onFailure` of a rotation, which
//! targets are restored, and when a rotation stops that was to go on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::certificate::succession::Succession;
use crate::failure::Failure;
use crate::plan::Held;
use crate::plan::state::Plan;
use crate::request::OnFailure;
use crate::target::record::Direction;

/// With `continue`, no further target is begun once this many have failed and they are the majority
/// of those that have ended: then the fault is not that of single targets.
const TOO_MANY: usize = 3;

/// What a failure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The effective `onFailure`.
    pub on_failure: OnFailure,
    /// May targets return to the old certificate?
    pub restores: bool,
    /// Why it is not what the request says, or not the usual default.
    pub note: Option<&'static str>,
}

/// The policy of a rotation.
///
/// Nothing returns to a certificate that has expired. A certificate that was replaced before its
/// end may have been compromised or be revoked soon, so by default nothing returns to it either.
pub fn policy(
    requested: Option<OnFailure>,
    succession: Succession,
    old_has_expired: bool,
) -> Policy {
    let suspect = succession.ends_no_later();
    let (on_failure, restores, note) = match requested {
        None | Some(OnFailure::Rollback) if old_has_expired => (
            OnFailure::Continue,
            false,
            Some(
                "The old certificate has expired: a target that fails is not restored to it, and the others are moved all the same (onFailure: continue).",
            ),
        ),
        None if suspect => (
            OnFailure::Stop,
            false,
            Some(
                "The old certificate may be compromised, or revoked soon, since its replacement ends no later: after a failure no target is restored to it (onFailure: stop).",
            ),
        ),
        None => (OnFailure::Rollback, true, None),
        Some(OnFailure::Rollback) => (OnFailure::Rollback, true, None),
        Some(OnFailure::Stop) => (OnFailure::Stop, false, None),
        Some(OnFailure::Continue) if suspect => (
            OnFailure::Continue,
            false,
            Some(
                "The old certificate may be compromised, or revoked soon, since its replacement ends no later: a target that fails is not restored to it.",
            ),
        ),
        Some(OnFailure::Continue) => (OnFailure::Continue, !old_has_expired, None),
    };
    Policy { on_failure, restores, note }
}

/// How a target that fails gets back to the old certificate while the others go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutBack {
    /// Fingerprint of the old certificate's leaf.
    pub fingerprint: String,
    /// The end of its validity; nothing is put back after it.
    pub not_after: Timestamp,
}

/// Is this target put back now, while the others go on?
pub fn puts_back(
    direction: Direction,
    failure: Option<&Failure>,
    put_back: Option<&PutBack>,
    now: Timestamp,
) -> bool {
    direction == Direction::Forward
        && failure.is_some()
        && put_back.is_some_and(|old| now < old.not_after)
}

/// May another target be begun after `failed` of the `ended` ones have failed?
pub fn goes_on(on_failure: OnFailure, failed: usize, ended: usize) -> bool {
    match on_failure {
        OnFailure::Rollback | OnFailure::Stop => failed == 0,
        OnFailure::Continue => failed < TOO_MANY || failed * 2 <= ended,
    }
}

/// Can the rotation begin without these targets? Only with `continue`, and if others are left.
pub fn begins_without(on_failure: OnFailure, held: &[Held], to_move: usize) -> bool {
    let targets: std::collections::BTreeSet<_> = held.iter().map(|one| &one.target).collect();
    on_failure == OnFailure::Continue && targets.len() < to_move
}

impl Plan {
    /// May targets return to the old certificate now?
    pub fn restores(&self, now: Timestamp) -> bool {
        !self.old_certificate.has_expired(now)
            && match self.on_failure {
                OnFailure::Rollback => true,
                OnFailure::Stop => false,
                OnFailure::Continue => self.put_back.is_some(),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Ending;
    use crate::finding::Finding;
    use crate::ids::TargetId;

    #[test]
    fn s1_s2_what_a_failure_leads_to() {
        use OnFailure::{Continue, Rollback, Stop};
        use Succession::{Older, OlderAndLonger, Reissue, Renewal, Unclear};
        let check = |requested, succession, expired, on_failure, restores, noted| {
            let policy = policy(requested, succession, expired);
            let expected = (on_failure, restores, noted);
            let case = format!("{requested:?} {succession:?} {expired}");
            assert_eq!(
                (policy.on_failure, policy.restores, policy.note.is_some()),
                expected,
                "{case}"
            );
        };
        for longer in [Renewal, OlderAndLonger] {
            check(None, longer, false, Rollback, true, false);
            check(Some(Rollback), longer, false, Rollback, true, false);
            check(Some(Stop), longer, false, Stop, false, false);
            check(Some(Continue), longer, false, Continue, true, false);
            check(None, longer, true, Continue, false, true);
            check(Some(Rollback), longer, true, Continue, false, true);
            check(Some(Stop), longer, true, Stop, false, false);
            check(Some(Continue), longer, true, Continue, false, false);
        }
        for suspect in [Reissue, Unclear, Older] {
            check(None, suspect, false, Stop, false, true);
            check(Some(Rollback), suspect, false, Rollback, true, false);
            check(Some(Stop), suspect, false, Stop, false, false);
            check(Some(Continue), suspect, false, Continue, false, true);
        }
    }

    #[test]
    fn s2_a_target_is_put_back_while_the_old_certificate_is_valid() {
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().expect("time");
        let until = |not_after: &str| {
            let not_after = not_after.parse().expect("time");
            Some(PutBack { fingerprint: "sha256:old".into(), not_after })
        };
        let failure = Failure { error: "Refused".into(), cause: "why".into() };
        let check = |direction, failed: bool, put_back: Option<PutBack>, expected| {
            let failure = failed.then_some(&failure);
            assert_eq!(puts_back(direction, failure, put_back.as_ref(), now), expected);
        };
        check(Direction::Forward, true, until("2026-12-01T00:00:01Z"), true);
        check(Direction::Forward, true, until("2026-12-01T00:00:00Z"), false);
        check(Direction::Forward, true, None, false);
        check(Direction::Forward, false, until("2027-01-01T00:00:00Z"), false);
        check(Direction::Back, true, until("2027-01-01T00:00:00Z"), false);
    }

    #[test]
    fn s2_one_bad_target_stops_nothing_but_a_bad_rotation_is_stopped() {
        for (on_failure, failed, ended, expected) in [
            (OnFailure::Rollback, 0, 9, true),
            (OnFailure::Rollback, 1, 9, false),
            (OnFailure::Stop, 0, 9, true),
            (OnFailure::Stop, 1, 9, false),
            (OnFailure::Continue, 0, 0, true),
            (OnFailure::Continue, 1, 1, true),
            (OnFailure::Continue, 2, 2, true),
            (OnFailure::Continue, 3, 3, false),
            (OnFailure::Continue, 3, 5, false),
            (OnFailure::Continue, 3, 6, true),
            (OnFailure::Continue, 50, 99, false),
            (OnFailure::Continue, 50, 100, true),
        ] {
            assert_eq!(
                goes_on(on_failure, failed, ended),
                expected,
                "{on_failure:?} {failed}/{ended}"
            );
        }
    }

    #[test]
    fn s2_only_continue_begins_without_some_targets() {
        let held = |ids: &[&str]| {
            let finding = Finding::new(Ending::AliasNotCovered, "it", "is bad", "mend it");
            let of =
                |id: &&str| Held { target: TargetId::distribution(id), finding: finding.clone() };
            ids.iter().map(of).collect::<Vec<_>>()
        };
        for (on_failure, ids, to_move, expected) in [
            (OnFailure::Continue, &["E1"][..], 2, true),
            (OnFailure::Continue, &["E1", "E1"], 2, true),
            (OnFailure::Continue, &["E1", "E2"], 2, false),
            (OnFailure::Rollback, &["E1"], 2, false),
            (OnFailure::Stop, &["E1"], 2, false),
        ] {
            assert_eq!(begins_without(on_failure, &held(ids), to_move), expected, "{ids:?}");
        }
    }
}
