//! Distributes targets over lanes and waves: which are rotated in parallel, and which in sequence.

use crate::ids::Serves;
use crate::plan::Member;

/// An inline Map of Step Functions runs at most this many iterations at once.
pub const MAX_LANES: u64 = 40;

/// Distributes targets over `concurrency` lanes, [`MAX_LANES`] at most. The targets of a lane are
/// rotated in sequence, so never more are in progress than there are lanes.
pub fn lanes<T: Clone>(targets: &[T], concurrency: u64) -> Vec<Vec<T>> {
    let count = concurrency.clamp(1, MAX_LANES).min(targets.len() as u64) as usize;
    (0..count).map(|lane| targets.iter().skip(lane).step_by(count).cloned().collect()).collect()
}

/// The waves in which targets are moved: each has a number of parallel lanes, and begins when the
/// previous one has ended. With several lanes, one target goes alone first as a canary, so that a
/// bad certificate affects only one: the first target to be moved, if possible one that viewers can
/// reach.
pub fn waves(planned: &[Member], concurrency: u64) -> Vec<Vec<Vec<&Member>>> {
    let mut targets: Vec<&Member> = planned.iter().collect();
    if concurrency > 1 {
        let is_moved = |member: &&Member| member.serves == Serves::Old;
        let first = targets
            .iter()
            .position(|member| is_moved(member) && !member.staging && !member.names.is_empty())
            .or_else(|| targets.iter().position(is_moved));
        if let Some(first) = first {
            let alone = targets.remove(first);
            let others = lanes(&targets, concurrency);
            return [vec![vec![alone]], others]
                .into_iter()
                .filter(|wave| !wave.is_empty())
                .collect();
        }
    }
    [lanes(&targets, concurrency)].into_iter().filter(|wave| !wave.is_empty()).collect()
}
