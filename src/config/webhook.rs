//! The `[webhook]` section.

use std::time::Duration;

use serde::Deserialize;

use super::invalid;
use crate::error::UserError;

/// How the server hears of what people write.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// Tells whether GitHub calls the server, or the server asks GitHub.
    pub mode: WebhookMode,
    /// Holds how often it asks, in seconds, when it does; with many repositories it asks less often.
    pub poll_seconds: u64,
}

/// Who begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookMode {
    /// GitHub calls the server's webhook.
    #[default]
    Push,
    /// The server asks GitHub; it needs no webhook, no secret, and nothing that reaches it from outside.
    Polling,
}

/// The shortest and the longest time between two looks, in seconds.
const BOUNDS: std::ops::RangeInclusive<u64> = 1..=3_600;

/// Calls that a look takes for each repository: three lists, and a reserve for pull requests and pages.
const CALLS: u64 = 5;

/// Calls an hour that looks may take, half of the least that GitHub gives an installation (5,000).
const CALLS_AN_HOUR: u64 = 2_500;

impl Default for WebhookConfig {
    fn default() -> Self {
        Self { mode: WebhookMode::Push, poll_seconds: 60 }
    }
}

impl WebhookConfig {
    pub(super) fn check(&self) -> Result<(), UserError> {
        if !BOUNDS.contains(&self.poll_seconds) {
            return Err(invalid(format!(
                "webhook.poll_seconds is not between {} and {}.",
                BOUNDS.start(),
                BOUNDS.end()
            )));
        }
        Ok(())
    }

    /// Tells whether the server asks GitHub.
    pub fn is_polling(&self) -> bool {
        self.mode == WebhookMode::Polling
    }

    /// Returns how often the server asks when an installation reaches so many repositories: as often as it is
    /// set, and never so often that it takes more than half of what GitHub allows.
    pub fn poll_every(&self, repositories: usize) -> Duration {
        let repositories = u64::try_from(repositories).unwrap_or(u64::MAX);
        let least = repositories.saturating_mul(CALLS * 3_600).div_ceil(CALLS_AN_HOUR);
        Duration::from_secs(self.poll_seconds.max(least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_repositories_are_asked_less_often() {
        let config = WebhookConfig::default();
        let every = |repositories| config.poll_every(repositories).as_secs();
        assert_eq!([every(0), every(8), every(9), every(100)], [60, 60, 65, 720]);
        for repositories in [9_u64, 10, 33, 100, 1_000] {
            let looks = 3_600.0 / every(usize::try_from(repositories).unwrap()) as f64;
            assert!(looks * (repositories * CALLS) as f64 <= CALLS_AN_HOUR as f64, "{repositories}");
        }
    }

    #[test]
    fn a_look_without_a_pause_is_refused() {
        let config = |poll_seconds| WebhookConfig { poll_seconds, ..WebhookConfig::default() };
        assert!(config(1).check().is_ok() && config(3_600).check().is_ok());
        assert!(config(0).check().is_err() && config(3_601).check().is_err());
    }
}
