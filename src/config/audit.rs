//! The `[audit]` section.

use std::path::PathBuf;

use serde::Deserialize;

/// Where the entries of the audit log go besides the store.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Holds the file that each entry is appended to as a line of JSON; without one the server warns.
    pub sink: Option<PathBuf>,
}
