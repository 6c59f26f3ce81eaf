//! The `[authorize]` section.

use serde::{Deserialize, Serialize};

use super::policy::check_pattern;
use super::{Team, invalid};
use crate::error::UserError;

use super::approval::{ApprovalBase, Approvers, MovedBase};
/// Who may run and approve briefs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizeConfig {
    /// Holds the least permission on the repository with which somebody's brief runs.
    pub minimum_permission: MinimumPermission,
    /// Lists ids of the people who may, of those who have the permission; with `teams`, whoever is in either
    /// may. `CODEX_COMMAND_ALLOWED_USER_IDS` in the environment comes first.
    pub users: Option<Vec<u64>>,
    /// Lists the teams whose members may; `CODEX_COMMAND_ALLOWED_ROLE_IDS` in the environment comes first.
    pub teams: Option<Vec<Team>>,
    /// Lists the public repositories in which briefs run, as `owner/name` or `owner/*`.
    pub public_repositories: Vec<String>,
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
            users: None,
            teams: None,
            public_repositories: Vec::new(),
            approvers: None,
            approval_base: ApprovalBase::default(),
            moved_base: MovedBase::default(),
            approval_expires_hours: 168,
        }
    }
}

/// The permission that is enough: `write` unless the operator says otherwise, never less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

impl AuthorizeConfig {
    /// Lets the variables of the environment that have names of their own come first; an empty one says
    /// nothing.
    pub(super) fn override_by(&mut self, read: impl Fn(&str) -> Option<String>) -> Result<(), UserError> {
        let list = |name: &str| {
            let words = |text: String| text.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>();
            read(name).filter(|text| !text.trim().is_empty()).map(words)
        };
        if let Some(words) = list("CODEX_COMMAND_ALLOWED_USER_IDS") {
            let ids: Result<_, _> = words.iter().map(|word| word.parse()).collect();
            self.users = Some(ids.map_err(|_| {
                invalid(
                    "the variable CODEX_COMMAND_ALLOWED_USER_IDS is no list of numbers with commas."
                        .to_owned(),
                )
            })?);
        }
        if let Some(words) = list("CODEX_COMMAND_ALLOWED_ROLE_IDS") {
            let teams: Result<_, _> = words.into_iter().map(Team::try_from).collect();
            self.teams = Some(teams.map_err(|error| {
                invalid(format!("the variable CODEX_COMMAND_ALLOWED_ROLE_IDS: {error}."))
            })?);
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), UserError> {
        let names_nobody = |it: &Approvers| it.minimum_permission.is_none() && it.users.is_empty();
        if self.approvers.as_ref().is_some_and(names_nobody) {
            return Err(invalid(
                "authorize.approvers names nobody, so nothing could be approved.".to_owned(),
            ));
        }
        self.public_repositories
            .iter()
            .try_for_each(|pattern| check_pattern(pattern, "authorize.public_repositories"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_users_and_teams() {
        let mut config = AuthorizeConfig { users: Some(vec![1]), ..AuthorizeConfig::default() };
        config.override_by(|_| Some(" ".to_owned())).unwrap();
        assert_eq!((config.users.as_deref(), config.teams.as_deref()), (Some(&[1][..]), None));
        let read = |name: &str| {
            Some(if name.ends_with("USER_IDS") { "7, 8" } else { "octo/release:42,octo/ops" }.to_owned())
        };
        config.override_by(read).unwrap();
        assert_eq!(config.users, Some(vec![7, 8]));
        let teams: Vec<String> = config.teams.iter().flatten().map(Team::to_string).collect();
        assert_eq!(teams, ["octo/release:42", "octo/ops"]);
        for name in ["CODEX_COMMAND_ALLOWED_USER_IDS", "CODEX_COMMAND_ALLOWED_ROLE_IDS"] {
            let error = config.override_by(|asked| (asked == name).then(|| "maria".to_owned())).unwrap_err();
            assert!(error.message.contains(name), "{error}");
        }
    }
}
