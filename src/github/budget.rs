//! How much content an installation may create: so many writes in a minute, so many in an hour.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// The sliding windows of every installation, by a clock that nobody can set.
#[derive(Debug)]
pub(super) struct Budget {
    per_minute: usize,
    per_hour: usize,
    begun: Instant,
    /// Holds when content was created, in milliseconds since `begun` (before it, when negative).
    created: Mutex<HashMap<u64, VecDeque<i64>>>,
}

impl Budget {
    pub(super) fn new(per_minute: usize, per_hour: usize) -> Self {
        Self { per_minute, per_hour, begun: Instant::now(), created: Mutex::default() }
    }

    /// Counts a write in, or returns how long to wait until there is room for it.
    pub(super) fn take(&self, installation: u64) -> Result<(), Duration> {
        self.take_at(installation, self.now())
    }

    fn take_at(&self, installation: u64, now: i64) -> Result<(), Duration> {
        let mut all = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        let created = all.entry(installation).or_default();
        while created.front().is_some_and(|at| *at <= now - HOUR_MS) {
            created.pop_front();
        }
        let minute = wait(created, now, self.per_minute, MINUTE_MS);
        let wait = wait(created, now, self.per_hour, HOUR_MS).max(minute);
        if wait > 0 {
            return Err(Duration::from_millis(wait.unsigned_abs()));
        }
        created.push_back(now);
        Ok(())
    }

    /// Tells whether less than half of both windows is taken.
    pub(super) fn has_room(&self, installation: u64) -> bool {
        self.has_room_at(installation, self.now())
    }

    fn has_room_at(&self, installation: u64, now: i64) -> bool {
        let all = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(created) = all.get(&installation) else { return true };
        let since = |window: i64| created.iter().filter(|at| **at > now - window).count();
        since(MINUTE_MS) * 2 < self.per_minute && since(HOUR_MS) * 2 < self.per_hour
    }

    /// Counts in what was created so many milliseconds ago, such as before the server was started anew.
    pub(super) fn remember(&self, installation: u64, ages_ms: impl Iterator<Item = i64>) {
        self.remember_at(installation, ages_ms, self.now());
    }

    fn remember_at(&self, installation: u64, ages_ms: impl Iterator<Item = i64>, now: i64) {
        let mut all = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        let created = all.entry(installation).or_default();
        created.extend(ages_ms.filter(|age| (0..HOUR_MS).contains(age)).map(|age| now - age));
        created.make_contiguous().sort_unstable();
    }

    fn now(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// Returns in how many milliseconds a window has room for one more; 0 or less when it has.
fn wait(created: &VecDeque<i64>, now: i64, most: usize, window_ms: i64) -> i64 {
    // There is room when the one that stands `most` places from the end has left the window.
    let blocking = created.len().checked_sub(most.max(1)).and_then(|at| created.get(at));
    blocking.map_or(0, |at| at + window_ms - now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000;

    #[test]
    fn the_minute_and_the_hour_are_both_kept() {
        let budget = Budget::new(2, 3);
        let wait = |seconds: u64| Err(Duration::from_secs(seconds));
        assert_eq!((budget.take_at(5, 0), budget.take_at(5, 0)), (Ok(()), Ok(())));
        assert_eq!(budget.take_at(5, 0), wait(60));
        assert_eq!(budget.take_at(6, 0), Ok(()), "each installation has its own");
        assert_eq!(budget.take_at(5, 59 * SECOND), wait(1));
        assert_eq!(budget.take_at(5, 60 * SECOND), Ok(()));
        assert_eq!(budget.take_at(5, 60 * SECOND), wait(3_540));
        assert_eq!(budget.take_at(5, 3_600 * SECOND), Ok(()));
    }

    #[test]
    fn what_was_created_before_the_start_counts() {
        let budget = Budget::new(2, 100);
        budget.remember_at(5, [7_200 * SECOND, 50 * SECOND, 10 * SECOND, -5].into_iter(), 0);
        assert_eq!(budget.take_at(5, 0), Err(Duration::from_secs(10)));
        assert_eq!(budget.take_at(5, 10 * SECOND), Ok(()));
        assert_eq!(budget.take_at(5, 10 * SECOND), Err(Duration::from_secs(40)));
    }

    #[test]
    fn what_can_wait_leaves_half_of_both_windows() {
        let budget = Budget::new(4, 6);
        let room = |at| budget.has_room_at(5, at);
        assert!(room(0));
        budget.take_at(5, 0).unwrap();
        assert!(room(0));
        budget.take_at(5, 0).unwrap();
        assert!(!room(0) && budget.has_room_at(6, 0));
        assert!(room(61 * SECOND));
        budget.take_at(5, 61 * SECOND).unwrap();
        assert!(!room(200 * SECOND), "three of six in this hour");
        assert!(room(3_601 * SECOND));
    }

    proptest::proptest! {
        #[test]
        fn no_window_ever_holds_more(steps in proptest::collection::vec(0_i64..40_000, 1..300)) {
            let budget = Budget::new(5, 40);
            let (mut now, mut taken) = (0, Vec::new());
            for step in steps {
                now += step;
                if budget.take_at(1, now).is_ok() {
                    taken.push(now);
                }
            }
            for (most, window) in [(5, MINUTE_MS), (40, HOUR_MS)] {
                for (at, end) in taken.iter().enumerate() {
                    let inside = taken[..=at].iter().filter(|begin| **begin > end - window).count();
                    assert!(inside <= most, "{inside} in {window} ms");
                }
            }
        }
    }
}
