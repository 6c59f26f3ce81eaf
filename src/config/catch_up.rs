//! The `[catch_up]` section.

use std::time::Duration;

use serde::Deserialize;

use super::invalid;
use crate::error::UserError;

/// How deliveries are found that were missed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatchUpConfig {
    /// Tells whether they are looked for at all.
    pub enabled: bool,
    /// Holds how often they are looked for, in seconds; the first look is at the start.
    pub every_seconds: u64,
}

/// The longest time between two looks, in seconds: a day, since GitHub forgets deliveries after three.
const LONGEST: u64 = 24 * 3_600;

impl Default for CatchUpConfig {
    fn default() -> Self {
        Self { enabled: true, every_seconds: 900 }
    }
}

impl CatchUpConfig {
    pub(super) fn check(&self) -> Result<(), UserError> {
        if !(1..=LONGEST).contains(&self.every_seconds) {
            return Err(invalid(format!("catch_up.every_seconds is not between 1 and {LONGEST}.")));
        }
        Ok(())
    }

    /// Returns how often missed deliveries are looked for.
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.every_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_comes_too_late_for_githubs_log_is_refused() {
        let config = |every_seconds| CatchUpConfig { every_seconds, ..CatchUpConfig::default() };
        assert!(config(1).check().is_ok() && config(24 * 3_600).check().is_ok());
        assert!(config(0).check().is_err() && config(72 * 3_600).check().is_err());
    }
}
