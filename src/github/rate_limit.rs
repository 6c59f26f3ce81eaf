//! GitHub's rate limits: who asks for silence gets it, and writes keep their distance.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// The silence when GitHub limits without saying for how long
/// (<https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>).
const UNSAID: TimeDelta = TimeDelta::seconds(60);

/// The limits of every installation; key 0 is the App itself.
#[derive(Debug, Default)]
pub(super) struct RateLimits {
    silent_until: Mutex<HashMap<u64, DateTime<Utc>>>,
    last_write: Mutex<HashMap<u64, Arc<tokio::sync::Mutex<Option<Instant>>>>>,
}

impl RateLimits {
    /// Returns until when an installation must not be called, if that lies ahead.
    pub(super) fn silence(&self, installation: u64) -> Option<DateTime<Utc>> {
        let silent = self.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        silent.get(&installation).copied().filter(|until| *until > Utc::now())
    }

    /// Learns from an answer; returns until when there must be silence if the call was refused for it.
    pub(super) fn learn(
        &self,
        installation: u64,
        status: StatusCode,
        headers: &HeaderMap,
        message: &str,
    ) -> Option<DateTime<Utc>> {
        let now = Utc::now();
        let (until, refused) = verdict(status, headers, message, now)?;
        let mut silent = self.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        silent.insert(installation, until);
        refused.then_some(until)
    }

    /// Waits until an installation may write, at least `distance` after its last write.
    pub(super) async fn write_turn(&self, installation: u64, distance: Duration) {
        let last = {
            let mut writes = self.last_write.lock().unwrap_or_else(PoisonError::into_inner);
            writes.entry(installation).or_default().clone()
        };
        let mut last = last.lock().await;
        if let Some(last) = *last {
            tokio::time::sleep_until(last + distance).await;
        }
        *last = Some(Instant::now());
    }
}

/// Tells from an answer until when there must be silence, and whether the call itself was refused.
fn verdict(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    now: DateTime<Utc>,
) -> Option<(DateTime<Utc>, bool)> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let reset = || number("x-ratelimit-reset").and_then(|at| DateTime::from_timestamp(at, 0));
    let used_up = number("x-ratelimit-remaining") == Some(0);
    let limited = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::FORBIDDEN
            && (used_up
                || headers.contains_key("retry-after")
                || message.to_ascii_lowercase().contains("rate limit")));
    if !limited {
        return used_up.then(reset).flatten().map(|until| (until, false));
    }
    let until = number("retry-after")
        .and_then(|seconds| now.checked_add_signed(TimeDelta::try_seconds(seconds)?))
        .or_else(|| used_up.then(reset).flatten())
        .unwrap_or(now + UNSAID);
    Some((until, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_comes_first_then_the_reset_then_a_minute() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let at = |seconds| now + TimeDelta::seconds(seconds);
        let limited = StatusCode::TOO_MANY_REQUESTS;
        let both = headers(&[
            ("retry-after", "7"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1000050"),
        ]);
        assert_eq!(verdict(limited, &both, "", now), Some((at(7), true)));
        let reset = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000050")]);
        assert_eq!(verdict(StatusCode::FORBIDDEN, &reset, "", now), Some((at(50), true)));
        assert_eq!(verdict(limited, &headers(&[]), "", now), Some((at(60), true)));
        let secondary = "You have exceeded a secondary rate limit";
        assert_eq!(verdict(StatusCode::FORBIDDEN, &headers(&[]), secondary, now), Some((at(60), true)));
    }

    #[test]
    fn a_missing_permission_is_no_rate_limit_and_the_last_call_of_an_hour_is() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let plenty = headers(&[("x-ratelimit-remaining", "4999")]);
        assert_eq!(verdict(StatusCode::FORBIDDEN, &plenty, "Resource not accessible", now), None);
        let last = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000050")]);
        let until = now + TimeDelta::seconds(50);
        assert_eq!(verdict(StatusCode::OK, &last, "", now), Some((until, false)));
    }

    #[test]
    fn silence_is_kept_per_installation() {
        let limits = RateLimits::default();
        let refused = limits.learn(5, StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "30")]), "");
        assert!(refused.is_some() && limits.silence(5).is_some());
        assert!(limits.silence(6).is_none());
    }
}
