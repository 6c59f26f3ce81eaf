//! A system clock that is stepped: what was put off keeps its distance from now.
//!
//! Waits are stored as times of the wall clock. When that clock is set back by an hour, nothing may wait
//! an hour longer for it, and when it is set forward, nothing may happen early.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Server;
use crate::error::log_internal;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The least step that counts, in milliseconds; below lies what a clock that is being slewed, or a
/// busy machine, shows.
const LEAST_STEP_MS: i64 = 5_000;

/// Watches the clock until the server ends.
pub(super) async fn work(server: Arc<Server>) {
    let mut last = (chrono::Utc::now().timestamp_millis(), Instant::now());
    loop {
        tokio::select! {
            () = server.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let now = (chrono::Utc::now().timestamp_millis(), Instant::now());
        if let Some(step) = step_ms(now.0 - last.0, now.1 - last.1) {
            tracing::warn!(
                seconds = step / 1000,
                "the system clock was stepped; what waits keeps its distance"
            );
            if let Err(error) = server.store.shift_waits(step).await {
                log_internal("what waits cannot be moved with the clock", &error);
                // It is seen as the same step at the next look.
                continue;
            }
            for wake in
                [&*server.wakes.arrived, &server.wakes.queued, &server.wakes.owed, &server.wakes.publish]
            {
                wake.notify_one();
            }
        }
        last = now;
    }
}

/// Returns by how much the wall clock was stepped, in milliseconds, when it went on by `wall_ms` while
/// `passed` went by.
fn step_ms(wall_ms: i64, passed: Duration) -> Option<i64> {
    let passed = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
    let step = wall_ms.saturating_sub(passed);
    (step.abs() >= LEAST_STEP_MS).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_what_the_wall_clock_went_beside_the_time() {
        let second = Duration::from_secs(1);
        assert_eq!(step_ms(1_000, second), None);
        assert_eq!(step_ms(4_000, second), None);
        assert_eq!(step_ms(-3_599_000, second), Some(-3_600_000));
        assert_eq!(step_ms(301_000, second), Some(300_000));
        // A machine that stood still for a minute has not had its clock stepped.
        assert_eq!(step_ms(60_000, Duration::from_secs(60)), None);
    }
}
