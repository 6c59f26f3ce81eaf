//! Waiting for people, with an end.

use std::time::{Duration, Instant};

use super::say;

/// How often a wait tells that it still waits.
const REMINDER: Duration = Duration::from_secs(60);

/// Waits for something and tells from time to time that it does; `None` when the time is over.
pub(super) async fn patiently<T>(most: Duration, what: &str, wanted: impl Future<Output = T>) -> Option<T> {
    let (begun, mut wanted) = (Instant::now(), std::pin::pin!(wanted));
    loop {
        let left = most.saturating_sub(begun.elapsed());
        if let Ok(found) = tokio::time::timeout(left.min(REMINDER), &mut wanted).await {
            return Some(found);
        }
        let left = most.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return None;
        }
        say(&format!(
            "Still waiting for {what}, for {} minutes more; Ctrl-C interrupts.",
            left.as_secs().div_ceil(60)
        ));
    }
}
