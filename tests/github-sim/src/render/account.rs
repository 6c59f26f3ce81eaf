//! Accounts, the App and its installation.

use super::{addresses, merged, node_id};
use crate::act::Standing;
use crate::auth::Grant;
use crate::model::{Permission, Repository, User, stamp};
use crate::world::World;
use serde_json::{Value, json};

const USER_ADDRESSES: &str = "url\nfollowers_url /followers\nfollowing_url /following{/other_user}
    gists_url /gists{/gist_id}\nstarred_url /starred{/owner}{/repo}\nsubscriptions_url /subscriptions
    organizations_url /orgs\nrepos_url /repos\nevents_url /events{/privacy}
    received_events_url /received_events";

impl World {
    pub(crate) fn user_json(&self, login: &str) -> Value {
        match self.user(login) {
            Some(user) => self.account_json(user),
            None => Value::Null,
        }
    }

    fn account_json(&self, user: &User) -> Value {
        let in_address = user.login.replace('[', "%5B").replace(']', "%5D");
        let page = match user.kind {
            "Bot" => format!("{}/apps/{}", self.base, self.app.slug),
            _ => format!("{}/{in_address}", self.base),
        };
        let fields = json!({
            "login": user.login,
            "id": user.id,
            "node_id": node_id("U", user.id),
            "avatar_url": format!("{}/avatars/u/{}", self.base, user.id),
            "gravatar_id": "",
            "html_url": page,
            "type": user.kind,
            "user_view_type": "public",
            "site_admin": false,
        });
        merged(fields, addresses(&format!("{}/users/{in_address}", self.base), USER_ADDRESSES))
    }

    pub(crate) fn public_user_json(&self, user: &User) -> Value {
        let more = json!({
            "name": user.login, "company": null, "blog": "", "location": null, "email": null,
            "hireable": null, "bio": null, "twitter_username": null, "public_repos": 0,
            "public_gists": 0, "followers": 0, "following": 0,
            "created_at": stamp(user.created_at), "updated_at": stamp(user.created_at),
        });
        merged(self.account_json(user), more)
    }

    pub(crate) fn collaborator_permission_json(&self, repo: &Repository, user: &User) -> Value {
        let permission = self.permission(repo, &user.login);
        let at_least = |level: Permission| permission >= level;
        let rights = json!({
            "admin": at_least(Permission::Admin), "maintain": at_least(Permission::Maintain),
            "push": at_least(Permission::Write), "triage": at_least(Permission::Triage),
            "pull": at_least(Permission::Read),
        });
        let more = json!({"permissions": rights, "role_name": permission.role_name()});
        json!({
            "permission": permission.legacy(),
            "role_name": permission.role_name(),
            "user": merged(self.account_json(user), more),
        })
    }

    pub(crate) fn app_json(&self) -> Value {
        let app = &self.app;
        json!({
            "id": app.id,
            "slug": app.slug,
            "client_id": format!("Iv23li{:014}", app.id),
            "node_id": node_id("A", app.id),
            "owner": self.user_json(&app.account),
            "name": app.name,
            "description": "",
            "external_url": "https://example.com",
            "html_url": format!("{}/apps/{}", self.base, app.slug),
            "created_at": stamp(app.created_at),
            "updated_at": stamp(app.created_at),
            "permissions": app.permissions,
            "events": app.events,
        })
    }

    /// Gives `performed_via_github_app`: the App for what it wrote, null for the rest.
    pub(crate) fn via_app_json(&self, by_app: bool) -> Value {
        if by_app { self.app_json() } else { Value::Null }
    }

    pub(crate) fn installation_json(&self) -> Value {
        let app = &self.app;
        let account = self.user_json(&app.account);
        let suspended = match app.standing {
            Standing::Suspended(at) => Some(at),
            Standing::Installed | Standing::Gone => None,
        };
        let api = format!("{}/app/installations/{}", self.base, app.installation_id);
        json!({
            "id": app.installation_id,
            "client_id": format!("Iv23li{:014}", app.id),
            "account": account,
            "repository_selection": "selected",
            "access_tokens_url": format!("{api}/access_tokens"),
            "repositories_url": format!("{}/installation/repositories", self.base),
            "html_url": format!("{}/settings/installations/{}", self.base, app.installation_id),
            "app_id": app.id,
            "app_slug": app.slug,
            "target_id": account["id"],
            "target_type": account["type"],
            "permissions": app.permissions,
            "events": app.events,
            "created_at": stamp(app.created_at),
            "updated_at": stamp(app.created_at),
            "single_file_name": null,
            "has_multiple_single_files": false,
            "single_file_paths": [],
            "suspended_by": suspended.map(|_| self.user_json(&app.account)),
            "suspended_at": suspended.map(stamp),
        })
    }

    pub(crate) fn token_json(&self, token: &str, grant: &Grant) -> Value {
        let mut answer = json!({
            "token": token,
            "expires_at": stamp(grant.expires_at),
            "permissions": grant.permissions,
            "repository_selection": "selected",
        });
        if grant.repositories.is_some() {
            let reached = self.repositories.iter().filter(|repo| grant.reaches(repo));
            answer["repositories"] = reached.map(|repo| self.repository_json(repo)).collect();
        }
        answer
    }
}
