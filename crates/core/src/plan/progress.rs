//! Progress of a rotation, from the objects in its folder, for display while it runs.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ids::TargetId;
use crate::plan::state::{PlannedTarget, file};
use crate::target::record::Record;

/// The number of the last round of a rollback, and the keys of its lanes. `prefix` is the common
/// prefix of the keys.
pub fn last_round(prefix: &str, keys: Vec<String>) -> Option<(u64, Vec<String>)> {
    let mut rounds: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for key in keys {
        let round = key.strip_prefix(prefix).and_then(|rest| rest.split_once('/'));
        let round = round.and_then(|(round, _)| round.parse().ok()).unwrap_or(0);
        rounds.entry(round).or_default().push(key);
    }
    rounds.pop_last()
}

/// The targets of a rotation and their records, which are keyed by the names of their objects.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// When the plan was made.
    pub made_at: Timestamp,
    /// The number of targets.
    pub total: usize,
    /// The round of the rollback; 0 before one.
    pub round: u64,
    /// The targets of this round, wave by wave, lane by lane.
    pub waves: &'a [Vec<Vec<PlannedTarget>>],
    /// The records of moves to the new certificate.
    pub forward: &'a BTreeMap<String, Record>,
    /// The records of moves back.
    pub back: &'a BTreeMap<String, Record>,
}

impl Progress<'_> {
    /// The targets in progress, and since when: in the first unfinished wave, the first target
    /// without a record in each lane.
    pub fn turns(&self) -> Vec<(TargetId, Timestamp)> {
        let mut since = self.began();
        for wave in self.waves {
            let turns: Vec<_> = wave.iter().filter_map(|lane| self.turn(lane, since)).collect();
            if !turns.is_empty() {
                return turns;
            }
            let records = wave.iter().flatten().filter_map(|target| self.record(target));
            since = records.map(|record| record.at).max().unwrap_or(since);
        }
        Vec::new()
    }

    /// When this round began: with the plan, or with the last record of earlier rounds.
    fn began(&self) -> Timestamp {
        let before = self.forward.values().chain(self.back.values());
        let before = before.filter(|record| record.round < self.round);
        before.map(|record| record.at).max().unwrap_or(self.made_at)
    }

    fn turn(&self, lane: &[PlannedTarget], since: Timestamp) -> Option<(TargetId, Timestamp)> {
        let turn = lane.iter().position(|target| self.record(target).is_none())?;
        let before = turn.checked_sub(1).and_then(|before| self.record(&lane[before]));
        Some((lane[turn].id.clone(), before.map_or(since, |record| record.at)))
    }

    fn record(&self, target: &PlannedTarget) -> Option<&Record> {
        let records = if self.round == 0 { self.forward } else { self.back };
        records.get(&file(&target.id)).filter(|record| record.round == self.round)
    }

    /// Seconds that the remaining targets will take, extrapolated from the finished ones.
    pub fn seconds_left(&self, now: Timestamp) -> Option<i64> {
        let left = i64::try_from(self.total.checked_sub(self.forward.len())?).ok()?;
        let done = i64::try_from(self.forward.len()).ok().filter(|done| *done > 0)?;
        Some(now.duration_since(self.made_at).as_secs() * left / done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Serves;
    use crate::target::record::Direction;

    fn at(minute: i64) -> Timestamp {
        let noon: Timestamp = "2026-11-23T12:00:00Z".parse().expect("time");
        noon + jiff::SignedDuration::from_mins(minute)
    }

    /// Records of these targets, written in these minutes.
    fn records(round: u64, of: &[(&str, i64)]) -> BTreeMap<String, Record> {
        let record = |(id, minute): &(&str, i64)| {
            let direction = if round == 0 { Direction::Forward } else { Direction::Back };
            let record = Record::bare(id, direction, round, at(*minute));
            (file(&record.target), record)
        };
        of.iter().map(record).collect()
    }

    fn lane(ids: &[&str]) -> Vec<PlannedTarget> {
        let target = |id: &&str| PlannedTarget::new(TargetId::distribution(id), Serves::Old);
        ids.iter().map(target).collect()
    }

    #[test]
    fn the_first_of_each_lane_without_a_record_is_in_progress() {
        let waves = [vec![lane(&["E1"])], vec![lane(&["E2", "E4"]), lane(&["E3"])]];
        let check = |forward: &[(&str, i64)], expected: &[(&str, i64)]| {
            let (forward, back) = (records(0, forward), BTreeMap::new());
            let progress = Progress {
                made_at: at(0),
                total: 4,
                round: 0,
                waves: &waves,
                forward: &forward,
                back: &back,
            };
            let expected: Vec<(TargetId, Timestamp)> = expected
                .iter()
                .map(|(id, minute)| (TargetId::distribution(id), at(*minute)))
                .collect();
            assert_eq!(progress.turns(), expected, "{forward:?}");
        };
        check(&[], &[("E1", 0)]);
        check(&[("E1", 5)], &[("E2", 5), ("E3", 5)]);
        check(&[("E1", 5), ("E2", 9)], &[("E4", 9), ("E3", 5)]);
        check(&[("E1", 5), ("E2", 9), ("E3", 8)], &[("E4", 9)]);
        check(&[("E1", 5), ("E2", 9), ("E3", 8), ("E4", 12)], &[]);
    }

    #[test]
    fn a_round_of_a_rollback_begins_with_the_last_record_before_it() {
        let waves = [vec![lane(&["E1"]), lane(&["E2"])]];
        let forward = records(0, &[("E1", 5), ("E2", 7)]);
        let mut back = records(1, &[("E1", 12)]);
        let turns = |round, back: &BTreeMap<String, Record>| {
            let waves = &waves[..];
            Progress { made_at: at(0), total: 2, round, waves, forward: &forward, back }.turns()
        };
        assert_eq!(turns(1, &back), [(TargetId::distribution("E2"), at(7))]);
        back.extend(records(1, &[("E2", 14)]));
        assert_eq!(turns(1, &back), []);
        // Records of the previous round do not count for this one.
        let both = ["E1", "E2"].map(|id| (TargetId::distribution(id), at(14)));
        assert_eq!(turns(2, &back), both);
    }

    #[test]
    fn the_remaining_time_is_extrapolated_from_finished_targets() {
        let back = BTreeMap::new();
        let check = |done: &[(&str, i64)], total, expected| {
            let forward = records(0, done);
            let (made_at, waves) = (at(0), &[][..]);
            let progress =
                Progress { made_at, total, round: 0, waves, forward: &forward, back: &back };
            assert_eq!(progress.seconds_left(at(10)), expected, "{} of {total}", done.len());
        };
        check(&[], 4, None);
        check(&[("E1", 9)], 4, Some(1_800));
        check(&[("E1", 5), ("E2", 9)], 4, Some(600));
        check(&[("E1", 9)], 1, Some(0));
        // More records than planned targets: the plan belongs to another rotation.
        check(&[("E1", 9)], 0, None);
    }

    #[test]
    fn the_last_round_is_the_highest_number() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let prefix = "rotations/a/1/back/";
        assert_eq!(last_round(prefix, Vec::new()), None);
        let all = ["9/0.json", "10/0.json", "10/1.json"].map(|key| format!("{prefix}{key}"));
        let expected = keys(&[&all[1], &all[2]]);
        assert_eq!(last_round(prefix, all.to_vec()), Some((10, expected)));
    }
}
