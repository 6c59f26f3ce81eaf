//! The `[authorize]` section.

use serde::Deserialize;

use super::approval::{ApprovalBase, Approvers, MovedBase};
use super::invalid;
use crate::error::UserError;

/// Who may run and approve briefs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizeConfig {
    /// Holds the least permission on the repository with which somebody's brief runs.
    pub minimum_permission: MinimumPermission,
    /// Tells who may approve; without it, whoever may run briefs.
    pub approvers: Option<Approvers>,
    /// Tells from which commit an approved run starts.
    pub approval_base: ApprovalBase,
    /// Tells what becomes of an approval whose branch moved.
    pub moved_base: MovedBase,
    /// Holds how long a brief waits for its approval, in hours; 0 for ever.
    pub approval_expires_hours: u32,
}

impl Default for AuthorizeConfig {
    fn default() -> Self {
        Self {
            minimum_permission: MinimumPermission::default(),
            approvers: None,
            approval_base: ApprovalBase::default(),
            moved_base: MovedBase::default(),
            approval_expires_hours: 168,
        }
    }
}

impl AuthorizeConfig {
    pub(super) fn check(&self) -> Result<(), UserError> {
        let names_nobody = |it: &Approvers| it.minimum_permission.is_none() && it.users.is_empty();
        if self.approvers.as_ref().is_some_and(names_nobody) {
            return Err(invalid(
                "authorize.approvers names nobody, so nothing could be approved.".to_owned(),
            ));
        }
        Ok(())
    }
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
