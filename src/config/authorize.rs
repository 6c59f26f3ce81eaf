//! The `[authorize]` section.

use serde::Deserialize;

/// Who may run briefs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizeConfig {
    /// Holds the least permission on the repository with which somebody's brief runs.
    pub minimum_permission: MinimumPermission,
}

/// The permission that is enough: `write` unless the operator says otherwise, never less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MinimumPermission {
    /// Whoever may push.
    #[default]
    Write,
    /// Whoever may manage the repository without its sensitive settings.
    Maintain,
    /// Whoever may do everything.
    Admin,
}
