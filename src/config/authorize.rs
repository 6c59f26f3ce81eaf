//! The `[authorize]` section.

use serde::Deserialize;

use crate::authorize::permission::Permission;

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

impl From<MinimumPermission> for Permission {
    fn from(minimum: MinimumPermission) -> Self {
        match minimum {
            MinimumPermission::Write => Self::Write,
            MinimumPermission::Maintain => Self::Maintain,
            MinimumPermission::Admin => Self::Admin,
        }
    }
}
