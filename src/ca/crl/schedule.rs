//! When a list is made anew: pure.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::state::crl::{CrlRow, Published};

/// A clock this much behind a list's thisUpdate was set back: the list must not wait for it.
const AHEAD: Duration = Duration::from_secs(600);

/// The shortest pause between two makings of a list, …
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// … and the longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Caches ask at least this often whether there is a newer list: a revocation is told within this time wherever one is
/// between.
pub const KEPT_BY_CACHES: Duration = Duration::from_secs(3600);

/// How often lists are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// From thisUpdate to nextUpdate.
    pub validity: Duration,
    /// A list is made anew after this long, changed or not.
    pub refresh: Duration,
}

/// The last making of a list, since the program started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Making {
    pub ended: Timestamp,
    pub took: Duration,
}

/// When a list is to be made, by what is known of it and whether its file is there; in the past: at once. `ends` is when
/// its issuer does, which no list outlives.
///
/// Revocations that come one after the other share a list: the longer the making takes, the longer the pause, so that
/// it never takes more than a twentieth of the time.
pub(super) fn due_at(
    row: Option<&CrlRow>,
    in_place: bool,
    last: Option<Making>,
    rhythm: Rhythm,
    ends: Timestamp,
    now: Timestamp,
) -> Timestamp {
    let published = row.and_then(|row| row.published).filter(|_| in_place);
    let Some(Published { this_update, next_update }) = published else { return Timestamp::EPOCH };
    if this_update > now.plus(AHEAD) {
        return Timestamp::EPOCH;
    }
    // A list that was made for a shorter time than is wanted now must not lapse for it.
    let half = if next_update < ends { next_update.since(this_update) / 2 } else { rhythm.refresh };
    let refresh = this_update.plus(rhythm.refresh.min(half));
    match row {
        Some(row) if row.current => refresh,
        _ => last.map_or(Timestamp::EPOCH, |making| making.ended.plus(pause(making.took))).min(refresh),
    }
}

fn pause(took: Duration) -> Duration {
    (took * 20).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

/// How well a list is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// It is made anew in time.
    Fresh,
    /// It should have been made anew long ago: half of the time that was left for it is over.
    Late,
    /// Its nextUpdate is over: verifiers that insist on a list turn everybody away.
    Lapsed,
}

/// How well a list is kept.
pub(super) fn freshness(published: Published, rhythm: Rhythm, now: Timestamp) -> Freshness {
    let due = published.this_update.plus(rhythm.refresh).min(published.next_update);
    let late = due.plus(published.next_update.since(due) / 2);
    match now {
        now if now >= published.next_update => Freshness::Lapsed,
        now if now > late => Freshness::Late,
        _ => Freshness::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::crl::CrlName;

    const DAY: Duration = Duration::from_secs(86_400);
    const SECOND: Duration = Duration::from_secs(1);
    const RHYTHM: Rhythm = Rhythm { validity: DAY.saturating_mul(7), refresh: DAY };
    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn row(this_update: Timestamp, current: bool) -> CrlRow {
        CrlRow {
            name: CrlName { ca: "a".to_owned(), generation: 1, shard: Some(0) },
            number: 1,
            current,
            published: Some(Published { this_update, next_update: this_update.plus(RHYTHM.validity) }),
            base: None,
        }
    }

    fn due(row: Option<&CrlRow>, last: Option<Making>) -> Timestamp {
        due_at(row, true, last, RHYTHM, Timestamp::NEVER, NOW)
    }

    #[test]
    fn a_list_that_is_not_there_is_made_at_once() {
        assert_eq!(due(None, None), Timestamp::EPOCH);
        assert_eq!(due(Some(&CrlRow { published: None, ..row(NOW, false) }), None), Timestamp::EPOCH);
        assert_eq!(due_at(Some(&row(NOW, true)), false, None, RHYTHM, Timestamp::NEVER, NOW), Timestamp::EPOCH);
    }

    #[test]
    fn a_list_with_nothing_new_is_made_daily() {
        assert_eq!(due(Some(&row(NOW, true)), None), NOW.plus(DAY));
    }

    #[test]
    fn what_is_new_is_told_soon_and_a_long_list_less_often() {
        let outdated = row(NOW, false);
        assert_eq!(due(Some(&outdated), None), Timestamp::EPOCH);
        for (took, pause) in [(SECOND / 1000, SECOND), (SECOND, SECOND * 20), (SECOND * 9, SECOND * 60)] {
            assert_eq!(due(Some(&outdated), Some(Making { ended: NOW, took })), NOW.plus(pause));
        }
    }

    #[test]
    fn a_list_made_for_a_shorter_time_is_made_anew_in_time() {
        let mut short = row(NOW, true);
        let next_update = NOW.plus(DAY / 2);
        short.published = Some(Published { this_update: NOW, next_update });
        assert_eq!(due(Some(&short), None), NOW.plus(DAY / 4));
        // With its issuer everything ends: there is nothing to be gained by another.
        assert_eq!(due_at(Some(&short), true, None, RHYTHM, next_update, NOW), NOW.plus(DAY));
    }

    #[test]
    fn a_clock_that_was_set_back_lets_no_list_wait() {
        assert_eq!(due(Some(&row(NOW.plus(DAY), true)), None), Timestamp::EPOCH);
    }

    #[test]
    fn a_list_is_late_before_it_lapses() {
        let published = Published { this_update: NOW, next_update: NOW.plus(RHYTHM.validity) };
        let after = |time| freshness(published, RHYTHM, NOW.plus(time));
        assert_eq!(after(DAY * 4), Freshness::Fresh);
        assert_eq!(after(DAY * 4 + SECOND), Freshness::Late);
        assert_eq!(after(DAY * 7 - SECOND), Freshness::Late);
        assert_eq!(after(DAY * 7), Freshness::Lapsed);
    }
}
