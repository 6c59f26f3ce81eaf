//! GitHub's rate limits: who asks for silence gets it, and writes keep their distance.
//!
//! Silences are measured by a clock that nobody can set, and a reset is read by the answer's own date.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::clock;

/// The silence when GitHub limits without saying for how long, doubled each further time
/// (<https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>).
const UNSAID: Duration = Duration::from_secs(60);

/// The longest silence that is kept without being told so.
const LONGEST_UNSAID: Duration = Duration::from_secs(3_600);

/// How it stands with one installation.
#[derive(Debug, Default, Clone, Copy)]
struct State {
    silent_until: Option<Instant>,
    /// Counts the limits in a row that did not say for how long.
    unsaid: u32,
}

/// The moment of an installation's last write; whoever holds it is the one whose turn it is.
type Turn = OwnedMutexGuard<Option<Instant>>;

/// The limits of every installation; key 0 is the App itself.
#[derive(Debug, Default)]
pub(super) struct RateLimits {
    states: Mutex<HashMap<u64, State>>,
    last_write: Mutex<HashMap<u64, Arc<TurnMutex<Option<Instant>>>>>,
}

impl RateLimits {
    /// Returns until when an installation must not be called, if that lies ahead.
    pub(super) fn silence(&self, installation: u64) -> Option<DateTime<Utc>> {
        self.silence_at(installation, Instant::now()).map(in_words)
    }

    fn silence_at(&self, installation: u64, now: Instant) -> Option<Duration> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let until = states.get(&installation)?.silent_until?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Learns from an answer; returns until when there must be silence if the call was refused for it.
    pub(super) fn learn(
        &self,
        installation: u64,
        status: StatusCode,
        headers: &HeaderMap,
        message: &str,
    ) -> Option<DateTime<Utc>> {
        self.learn_at(installation, status, headers, message, Instant::now()).map(in_words)
    }

    fn learn_at(
        &self,
        installation: u64,
        status: StatusCode,
        headers: &HeaderMap,
        message: &str,
        now: Instant,
    ) -> Option<Duration> {
        let told = verdict(status, headers, message, clock::date(headers).unwrap_or_else(Utc::now));
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(installation).or_default();
        if status.is_success() {
            state.unsaid = 0;
        }
        let (length, refused) = match told? {
            Verdict::Refused(Some(length)) => (length, true),
            Verdict::Refused(None) => {
                let length = UNSAID.saturating_mul(1 << state.unsaid.min(6)).min(LONGEST_UNSAID);
                state.unsaid += 1;
                (length, true)
            }
            Verdict::LastOfTheHour(length) => (length, false),
        };
        // Several calls may be answered so at once; the longest silence counts.
        state.silent_until = state.silent_until.max(now.checked_add(length));
        refused.then_some(length)
    }

    /// Waits until an installation may write, at least `distance` after its last write; the turn is over
    /// when what is returned is dropped.
    pub(super) async fn write_turn(&self, installation: u64, distance: Duration) -> Turn {
        let last = {
            let mut writes = self.last_write.lock().unwrap_or_else(PoisonError::into_inner);
            writes.entry(installation).or_default().clone()
        };
        let mut turn = last.lock_owned().await;
        if let Some(last) = *turn {
            tokio::time::sleep_until(last + distance).await;
        }
        *turn = Some(Instant::now());
        turn
    }
}

fn in_words(left: Duration) -> DateTime<Utc> {
    let left = TimeDelta::from_std(left).unwrap_or(TimeDelta::days(1));
    Utc::now().checked_add_signed(left).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What an answer says about limits.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The call was refused; holds how long to be silent, where that was said.
    Refused(Option<Duration>),
    /// The call was served, and was the last one for so long.
    LastOfTheHour(Duration),
}

/// Reads an answer that was given at `now` on GitHub's clock.
fn verdict(status: StatusCode, headers: &HeaderMap, message: &str, now: DateTime<Utc>) -> Option<Verdict> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let seconds = |seconds: i64| Duration::from_secs(seconds.clamp(1, 86_400).unsigned_abs());
    let reset = || number("x-ratelimit-reset").map(|at| seconds(at.saturating_sub(now.timestamp())));
    let used_up = number("x-ratelimit-remaining") == Some(0);
    let limited = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::FORBIDDEN
            && (used_up
                || headers.contains_key("retry-after")
                || message.to_ascii_lowercase().contains("rate limit")));
    if !limited {
        return used_up.then(reset).flatten().map(Verdict::LastOfTheHour);
    }
    let told = number("retry-after").map(seconds).or_else(|| used_up.then(reset).flatten());
    Some(Verdict::Refused(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITED: StatusCode = StatusCode::TOO_MANY_REQUESTS;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn seconds_left(limits: &RateLimits, installation: u64) -> i64 {
        limits.silence(installation).map_or(0, |until| (until - Utc::now()).num_seconds())
    }

    #[test]
    fn retry_after_comes_first_then_the_reset_then_nothing_was_said() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let said = |seconds| Some(Verdict::Refused(Some(Duration::from_secs(seconds))));
        let both = headers(&[
            ("retry-after", "7"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1000050"),
        ]);
        assert_eq!(verdict(LIMITED, &both, "", now), said(7));
        let reset = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000050")]);
        assert_eq!(verdict(StatusCode::FORBIDDEN, &reset, "", now), said(50));
        assert_eq!(verdict(LIMITED, &headers(&[]), "", now), Some(Verdict::Refused(None)));
        let secondary = "You have exceeded a secondary rate limit";
        let told = verdict(StatusCode::FORBIDDEN, &headers(&[]), secondary, now);
        assert_eq!(told, Some(Verdict::Refused(None)));
    }

    #[test]
    fn a_missing_permission_is_no_rate_limit_and_the_last_call_of_an_hour_is() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let plenty = headers(&[("x-ratelimit-remaining", "4999")]);
        assert_eq!(verdict(StatusCode::FORBIDDEN, &plenty, "Resource not accessible", now), None);
        let last = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000050")]);
        let told = verdict(StatusCode::OK, &last, "", now);
        assert_eq!(told, Some(Verdict::LastOfTheHour(Duration::from_secs(50))));
    }

    #[test]
    fn silence_is_kept_per_installation_and_never_shortened() {
        let limits = RateLimits::default();
        let refused = limits.learn(5, LIMITED, &headers(&[("retry-after", "30")]), "");
        assert!(refused.is_some() && limits.silence(5).is_some());
        assert!(limits.silence(6).is_none());
        limits.learn(5, LIMITED, &headers(&[("retry-after", "2")]), "");
        assert!(seconds_left(&limits, 5) > 20);
    }

    #[test]
    fn a_reset_is_read_by_githubs_clock_and_not_by_ours() {
        let limits = RateLimits::default();
        // GitHub's clock stands in 2001, and the reset is 50 seconds away there.
        let answer = headers(&[
            ("date", "Sun, 09 Sep 2001 01:46:40 GMT"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1000000050"),
        ]);
        limits.learn(5, StatusCode::FORBIDDEN, &answer, "");
        assert!((45..=50).contains(&seconds_left(&limits, 5)));
    }

    #[test]
    fn a_limit_that_does_not_say_for_how_long_doubles_until_a_success() {
        let limits = RateLimits::default();
        let (mut now, mut lengths) = (Instant::now(), Vec::new());
        for _ in 0..8 {
            limits.learn_at(5, LIMITED, &headers(&[]), "", now);
            let length = limits.silence_at(5, now).unwrap();
            lengths.push(length.as_secs());
            now += length;
            assert_eq!(limits.silence_at(5, now), None);
        }
        assert_eq!(lengths, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        limits.learn_at(5, StatusCode::OK, &headers(&[]), "", now);
        limits.learn_at(5, LIMITED, &headers(&[]), "", now);
        assert_eq!(limits.silence_at(5, now), Some(UNSAID));
    }

    #[tokio::test]
    async fn writes_of_an_installation_keep_their_distance() {
        let (limits, distance) = (RateLimits::default(), Duration::from_millis(40));
        let begun = Instant::now();
        for _ in 0..3 {
            drop(limits.write_turn(5, distance).await);
        }
        assert!(begun.elapsed() >= distance * 2);
    }
}
