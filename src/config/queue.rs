//! The `[queue]` section.

use std::time::Duration;

use serde::Deserialize;

use super::invalid;
use crate::error::UserError;

/// How tasks are retried, leased and withdrawn.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// Holds how long a run may go without renewing its lease before it counts as lost, in seconds.
    pub lease_seconds: u64,
    /// Holds how often a run renews its lease, in seconds.
    pub lease_renew_seconds: u64,
    /// Holds how long a task whose run was interrupted or lost waits before its next run, in
    /// milliseconds; `FAILED_TASK_RETRY_COOLDOWN_MS` in the environment comes first.
    pub failed_task_retry_cooldown_ms: u64,
    /// Counts how often an interrupted run is made again; `FAILED_TASK_MAX_RETRY_COUNT` in the
    /// environment comes first.
    pub failed_task_max_retry_count: u32,
    /// Holds how long a task that GitHub did not take waits before it is published again by itself,
    /// in milliseconds, 0 for never; `BLOCKED_TASK_RETRY_COOLDOWN_MS` in the environment comes first.
    pub blocked_task_retry_cooldown_ms: u64,
    /// Holds how long a lane that takes no work is left alone before it is tried again, in
    /// milliseconds; `DISPATCH_RETRY_DELAY_MS` in the environment comes first.
    pub dispatch_retry_delay_ms: u64,
    /// Tells what becomes of a run whose comment is deleted or whose thread is closed.
    pub running_on_withdrawal: OnWithdrawal,
}

/// What becomes of a run when its brief is withdrawn; a task that is queued is cancelled always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnWithdrawal {
    /// It runs to its end and is published.
    #[default]
    Finish,
    /// It is stopped.
    Stop,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            lease_seconds: 45,
            lease_renew_seconds: 10,
            failed_task_retry_cooldown_ms: 30_000,
            failed_task_max_retry_count: 1,
            blocked_task_retry_cooldown_ms: 3_600_000,
            dispatch_retry_delay_ms: 60_000,
            running_on_withdrawal: OnWithdrawal::Finish,
        }
    }
}

/// The most retries of an interrupted run: more would hide a brief that never ends.
const MOST_RETRIES: u32 = 10;

/// The longest cool-down, in milliseconds: a month.
const LONGEST_COOLDOWN_MS: u64 = 30 * 24 * 3_600_000;

impl QueueConfig {
    /// Returns what holds without a configuration file: the defaults, and the environment before them.
    ///
    /// Fails with `config-invalid` for a variable that is no number, or too large a one.
    pub fn without_file() -> Result<Self, UserError> {
        let mut config = Self::default();
        config.override_by(|name| std::env::var(name).ok())?;
        Ok(config)
    }

    /// Lets the variables of the environment that have names of their own come first; `read` returns a
    /// variable's value.
    pub(super) fn override_by(&mut self, read: impl Fn(&str) -> Option<String>) -> Result<(), UserError> {
        let number = |name: &str, value: &mut u64| {
            let Some(text) = read(name) else { return Ok(()) };
            *value = text.trim().parse().map_err(|_| {
                invalid(format!("the variable {name} is no number of milliseconds or times."))
            })?;
            Ok(())
        };
        number("FAILED_TASK_RETRY_COOLDOWN_MS", &mut self.failed_task_retry_cooldown_ms)?;
        number("BLOCKED_TASK_RETRY_COOLDOWN_MS", &mut self.blocked_task_retry_cooldown_ms)?;
        number("DISPATCH_RETRY_DELAY_MS", &mut self.dispatch_retry_delay_ms)?;
        let mut most = u64::from(self.failed_task_max_retry_count);
        number("FAILED_TASK_MAX_RETRY_COUNT", &mut most)?;
        self.failed_task_max_retry_count = u32::try_from(most).unwrap_or(u32::MAX);
        self.check()
    }

    pub(super) fn check(&self) -> Result<(), UserError> {
        if self.lease_renew_seconds == 0 || self.lease_seconds < 2 * self.lease_renew_seconds {
            return Err(invalid(
                "queue.lease_seconds must be at least twice queue.lease_renew_seconds, which must not be 0."
                    .to_owned(),
            ));
        }
        if self.lease_seconds > 3_600 {
            return Err(invalid("queue.lease_seconds is longer than an hour.".to_owned()));
        }
        if self.failed_task_max_retry_count > MOST_RETRIES {
            return Err(invalid(format!("queue.failed_task_max_retry_count is more than {MOST_RETRIES}.")));
        }
        let cooldowns = [
            self.failed_task_retry_cooldown_ms,
            self.blocked_task_retry_cooldown_ms,
            self.dispatch_retry_delay_ms,
        ];
        if cooldowns.iter().any(|ms| *ms > LONGEST_COOLDOWN_MS) {
            return Err(invalid("a cool-down in [queue] is longer than 30 days.".to_owned()));
        }
        Ok(())
    }

    /// Returns how long a lease lasts.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    /// Returns how often a lease is renewed.
    pub fn lease_renewal(&self) -> Duration {
        Duration::from_secs(self.lease_renew_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_comes_first_under_the_names_that_operators_know() {
        let mut config = QueueConfig::default();
        let read = |name: &str| match name {
            "FAILED_TASK_RETRY_COOLDOWN_MS" => Some("5".to_owned()),
            "FAILED_TASK_MAX_RETRY_COUNT" => Some("3".to_owned()),
            "BLOCKED_TASK_RETRY_COOLDOWN_MS" => Some("7".to_owned()),
            "DISPATCH_RETRY_DELAY_MS" => Some("9".to_owned()),
            _ => None,
        };
        config.override_by(read).unwrap();
        assert_eq!(config.failed_task_retry_cooldown_ms, 5);
        assert_eq!(config.failed_task_max_retry_count, 3);
        assert_eq!(config.blocked_task_retry_cooldown_ms, 7);
        assert_eq!(config.dispatch_retry_delay_ms, 9);
        let error = config.override_by(|_| Some("soon".to_owned())).unwrap_err();
        assert!(error.message.contains("FAILED_TASK_RETRY_COOLDOWN_MS"), "{error}");
    }

    #[test]
    fn a_lease_that_could_not_be_renewed_in_time_is_refused() {
        let config = QueueConfig { lease_seconds: 10, lease_renew_seconds: 6, ..QueueConfig::default() };
        assert!(config.check().is_err());
    }
}
