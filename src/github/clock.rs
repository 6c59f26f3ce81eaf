//! GitHub's clock, learned from the `Date` of its answers: a token is dated by it, not by ours.

use std::sync::atomic::{AtomicI64, Ordering};

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};

/// A smaller difference is network and rounding; App tokens are dated a minute back anyway.
const NEGLIGIBLE_S: i64 = 30;

/// How far GitHub's clock is ahead of ours, in seconds.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead_s: AtomicI64,
}

impl Clock {
    /// Returns the time on GitHub's clock.
    pub(super) fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::seconds(self.ahead_s.load(Ordering::Relaxed))
    }

    /// Returns how far GitHub's clock is ahead of ours, in seconds; 0 when that does not matter.
    pub(super) fn ahead_s(&self) -> i64 {
        self.ahead_s.load(Ordering::Relaxed)
    }

    /// Learns from an answer; a difference that matters is logged when it comes, changes or goes.
    pub(super) fn learn(&self, headers: &HeaderMap) {
        let Some(date) = date(headers) else { return };
        let ahead = difference(date, Utc::now());
        let before = self.ahead_s.swap(ahead, Ordering::Relaxed);
        if (ahead - before).abs() > NEGLIGIBLE_S {
            tracing::warn!(
                seconds = ahead,
                "GitHub's clock differs from this machine's (seconds that it is ahead); tokens are dated by GitHub's"
            );
        }
    }
}

/// Returns the time that an answer is dated by.
pub(super) fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get("date")?.to_str().ok()?;
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc())
}

fn difference(date: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    let ahead = (date - now).num_seconds();
    if ahead.abs() > NEGLIGIBLE_S { ahead } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_difference_that_matters_counts() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        for (ahead, counted) in [(0, 0), (29, 0), (-30, 0), (31, 31), (-300, -300), (3_600, 3_600)] {
            assert_eq!(difference(now + TimeDelta::seconds(ahead), now), counted);
        }
    }

    #[test]
    fn the_clock_follows_the_last_answer() {
        let answer = |ahead: i64| {
            let date = Utc::now() + TimeDelta::seconds(ahead);
            let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            HeaderMap::from_iter([(axum::http::header::DATE, date.parse().unwrap())])
        };
        let clock = Clock::default();
        for ahead in [-300, 3_600, 0] {
            clock.learn(&answer(ahead));
            assert!(((clock.now() - Utc::now()).num_seconds() - ahead).abs() <= 2, "{ahead}");
        }
        clock.learn(&answer(600));
        clock.learn(&HeaderMap::new());
        assert!((clock.now() - Utc::now()).num_seconds() > 500, "an answer without a date teaches nothing");
    }
}
