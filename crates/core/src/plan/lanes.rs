//! Which targets are rotated side by side, and which one after the other.

use crate::ids::Serves;
use crate::plan::Member;

/// As many lanes as an inline Map of Step Functions runs at once.
pub const MAX_LANES: u64 = 40;

/// Deals targets out to `concurrency` lanes, [`MAX_LANES`] at most. The targets of a lane are taken one
/// after the other, so there are never more under way than there are lanes.
pub fn lanes<T: Clone>(targets: &[T], concurrency: u64) -> Vec<Vec<T>> {
    let count = concurrency.clamp(1, MAX_LANES).min(targets.len() as u64) as usize;
    (0..count).map(|lane| targets.iter().skip(lane).step_by(count).cloned().collect()).collect()
}

/// The waves in which targets are moved: each is a number of lanes side by side, and begins when the one
/// before has ended. With several at once one target goes alone before all others, so that a bad
/// certificate meets one: the first that is to be moved, if possible one that viewers can reach.
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
