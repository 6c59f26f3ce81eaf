//! The `[retention]` section.

use serde::Deserialize;

/// How many days things are kept that nothing waits for any more; 0 keeps them for ever.
///
/// What keeps a brief from running twice (GUIDs, digests, keys of effects) is always kept, so every
/// number of days is safe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Counts the days for the bodies of handled deliveries.
    pub deliveries_days: u32,
    /// Counts the days for the reports and changes of ended runs.
    pub runs_days: u32,
    /// Counts the days for what the steps of ended runs printed.
    pub logs_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { deliveries_days: 30, runs_days: 180, logs_days: 30 }
    }
}
