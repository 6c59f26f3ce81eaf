//! Where the App is installed, as whom it writes there, and what people may do there.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::client::{As, GitHub};
use super::error::GitHubError;
pub use super::pulls::PullRequest;
use crate::authorize::permission::Permission;

/// A repository on an installation.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Holds the installation's id.
    pub installation: u64,
    /// Names the repository as `owner/name`.
    pub repository: &'a str,
}

impl Place<'_> {
    pub(super) fn who(&self) -> As {
        As::Installation(self.installation)
    }

    pub(super) fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{rest}", self.repository)
    }
}

#[derive(Deserialize)]
struct PermissionAnswer {
    permission: String,
    role_name: Option<String>,
    user: Option<Id>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Id {
    pub(super) id: u64,
}

/// One account's installation of the App.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Installation {
    /// Holds its id.
    pub id: u64,
    /// Tells since when it is suspended; `None` when it works.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Tells where it is installed; `None` when GitHub does not.
    pub account: Option<InstalledOn>,
    /// Holds the page on which its owner changes it.
    #[serde(default)]
    pub html_url: String,
    /// Holds what its owner granted: permissions, each with `read`, `write` or `admin`.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
}

/// The account of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InstalledOn {
    /// Holds its name; an enterprise has none.
    pub login: Option<String>,
}

impl Installation {
    /// Names the account for people.
    pub fn name(&self) -> String {
        let login = self.account.as_ref().and_then(|account| account.login.clone());
        login.unwrap_or_else(|| format!("installation {}", self.id))
    }
}

/// A repository that an installation reaches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Repository {
    /// Holds its id, which a new name does not change.
    pub id: u64,
    /// Names it as `owner/name`.
    pub full_name: String,
    /// Tells whether it is read-only.
    pub archived: bool,
}

/// The account under which the App writes and commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// Holds the account's id.
    pub id: u64,
    /// Holds the account's name, such as `codex-brief[bot]`.
    pub name: String,
    /// Holds the address by which GitHub knows its commits.
    pub email: String,
}

impl GitHub {
    /// Looks up the account under which the App commits, once in the life of the process; an
    /// installation must ask, since GitHub tells accounts to nobody who has only the App's own JWT.
    pub async fn bot(&self, installation: u64) -> Result<Bot, GitHubError> {
        #[derive(Deserialize)]
        struct App {
            slug: String,
        }
        let look_up = async {
            let app: App = self.get(As::App, "/app").await?;
            let name = format!("{}[bot]", app.slug);
            let route = format!("/users/{}", encode(&name));
            let user: Id = self.get(As::Installation(installation), &route).await?;
            let email = format!("{}+{name}@{}", user.id, self.noreply_host());
            Ok(Bot { id: user.id, name, email })
        };
        self.bot.get_or_try_init(|| look_up).await.cloned()
    }

    /// Looks up what a user may do on a repository; the user is known by id, so an account that took
    /// over somebody's name has [`Permission::None`].
    pub async fn permission(
        &self,
        place: Place<'_>,
        login: &str,
        user_id: u64,
    ) -> Result<Permission, GitHubError> {
        let route = place.route(&format!("collaborators/{}/permission", encode(login)));
        match self.get::<PermissionAnswer>(place.who(), &route).await {
            Ok(answer) if answer.user.as_ref().is_some_and(|user| user.id == user_id) => {
                Ok(Permission::from_api(&answer.permission, answer.role_name.as_deref()))
            }
            Ok(_) => Ok(Permission::None),
            Err(error) if error.status() == Some(404) => Ok(Permission::None),
            Err(error) => Err(error),
        }
    }

    /// Finds the commit that a branch is at; `None` when there is no such branch.
    pub async fn branch_head(&self, place: Place<'_>, branch: &str) -> Result<Option<String>, GitHubError> {
        #[derive(Deserialize)]
        struct Reference {
            object: Object,
        }
        #[derive(Deserialize)]
        struct Object {
            sha: String,
        }
        let route = place.route(&format!("git/ref/heads/{}", encode(branch)));
        let found: Option<Reference> = self.look(place.who(), &route).await?;
        Ok(found.map(|found| found.object.sha))
    }

    /// Lists the App's installations.
    pub async fn installations(&self) -> Result<Vec<Installation>, GitHubError> {
        self.list(As::App, "/app/installations?").await
    }

    /// Finds the installation that reaches a repository.
    pub async fn installation_of(&self, full_name: &str) -> Result<Option<u64>, GitHubError> {
        let found: Option<Id> = self.look(As::App, &format!("/repos/{full_name}/installation")).await?;
        Ok(found.map(|installation| installation.id))
    }

    /// Finds a repository's id by its name; `None` when the installation does not reach it.
    pub async fn repository_id(&self, place: Place<'_>) -> Result<Option<u64>, GitHubError> {
        let found: Option<Id> = self.look(place.who(), &format!("/repos/{}", place.repository)).await?;
        Ok(found.map(|repository| repository.id))
    }

    /// Lists the repositories that an installation reaches.
    pub async fn repositories(&self, installation: u64) -> Result<Vec<Repository>, GitHubError> {
        #[derive(Deserialize)]
        struct Page {
            repositories: Vec<Repository>,
        }
        let mut all = Vec::new();
        let route = "/installation/repositories?";
        self.walk(As::Installation(installation), route, |page: Page| {
            all.extend(page.repositories);
            None::<()>
        })
        .await?;
        Ok(all)
    }

    /// Looks up the name that a repository has now, by its id; an answer is kept for a minute. `None` when the
    /// installation does not reach it any more.
    pub async fn repository_name(
        &self,
        installation: u64,
        repository_id: u64,
    ) -> Result<Option<String>, GitHubError> {
        let key = (installation, repository_id);
        if let Some(name) = self.names.get(&key).await {
            return Ok(Some(name));
        }
        let route = format!("/repositories/{repository_id}");
        let found: Option<Repository> = self.look(As::Installation(installation), &route).await?;
        let Some(found) = found else { return Ok(None) };
        self.names.insert(key, found.full_name.clone()).await;
        Ok(Some(found.full_name))
    }

    /// Forgets a repository's name, such as when a webhook tells that it was renamed.
    pub async fn forget_repository_name(&self, installation: u64, repository_id: u64) {
        self.names.invalidate(&(installation, repository_id)).await;
    }
}

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
