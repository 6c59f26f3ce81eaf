//! What the App does on an installation: each method is one look-up or one write.

use axum::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{As, GitHub};
use super::error::GitHubError;
use crate::authorize::permission::Permission;
use crate::brief::source::{Source, SourceKind};

/// A repository on an installation.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Holds the installation's id.
    pub installation: u64,
    /// Names the repository as `owner/name`.
    pub repository: &'a str,
}

impl Place<'_> {
    fn who(&self) -> As {
        As::Installation(self.installation)
    }

    fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{rest}", self.repository)
    }
}

/// A pull request, as far as the server looks at one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PullRequest {
    /// Holds its number.
    pub number: u64,
    /// Holds its page's address.
    pub html_url: String,
}

#[derive(Deserialize)]
struct PermissionAnswer {
    permission: String,
    role_name: Option<String>,
    user: Option<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: u64,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    performed_via_github_app: Option<Id>,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

/// The account under which the App writes and commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
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
            Ok(Bot { name, email })
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

    /// Returns a token with which git may read and write this one repository and nothing else.
    pub async fn git_token(
        &self,
        installation: u64,
        repository_id: u64,
    ) -> Result<SecretString, GitHubError> {
        let route = format!("/app/installations/{installation}/access_tokens");
        let narrowed = json!({"repository_ids": [repository_id], "permissions": {"contents": "write"}});
        self.git_tokens
            .try_get_with((installation, repository_id), async {
                let token: Token = self.write(As::App, Method::POST, &route, &narrowed).await?;
                Ok(SecretString::from(token.token))
            })
            .await
            .map_err(|error: std::sync::Arc<GitHubError>| match &*error {
                GitHubError::RateLimited(until) => GitHubError::RateLimited(*until),
                GitHubError::Status { status, call, message, details } => GitHubError::Status {
                    status: *status,
                    call: call.clone(),
                    message: message.clone(),
                    details: details.clone(),
                },
                other => GitHubError::NoAnswer(route.clone(), other.to_string()),
            })
    }

    /// Forgets a repository's token for git, so that the next try makes a new one: git does not say
    /// whether it failed because the token had ended.
    pub async fn forget_git_token(&self, installation: u64, repository_id: u64) {
        self.git_tokens.invalidate(&(installation, repository_id)).await;
    }

    /// Finds the pull request, open or not, whose head is this branch.
    pub async fn find_pull_request(
        &self,
        place: Place<'_>,
        head_branch: &str,
    ) -> Result<Option<PullRequest>, GitHubError> {
        let owner = place.repository.split('/').next().unwrap_or_default();
        let head = encode(&format!("{owner}:{head_branch}"));
        self.find(place.who(), &place.route(&format!("pulls?state=all&head={head}")), Some).await
    }

    /// Opens a pull request.
    pub async fn open_pull_request(
        &self,
        place: Place<'_>,
        head: &str,
        base: &str,
        title: &str,
        body: &str,
    ) -> Result<PullRequest, GitHubError> {
        let payload = json!({"head": head, "base": base, "title": title, "body": body});
        self.write(place.who(), Method::POST, &place.route("pulls"), &payload).await
    }

    /// Finds this App's own comment in a thread by the marker that its text begins with.
    pub async fn find_comment(
        &self,
        place: Place<'_>,
        thread: u64,
        marker: &str,
    ) -> Result<Option<u64>, GitHubError> {
        let app_id = self.app_id();
        let own = |comment: Comment| {
            let by_app = comment.performed_via_github_app.is_some_and(|app| app.id == app_id);
            (by_app && comment.body.is_some_and(|body| body.starts_with(marker))).then_some(comment.id)
        };
        self.find(place.who(), &place.route(&format!("issues/{thread}/comments?")), own).await
    }

    /// Writes a comment in a thread and returns its id.
    pub async fn create_comment(
        &self,
        place: Place<'_>,
        thread: u64,
        body: &str,
    ) -> Result<u64, GitHubError> {
        let route = place.route(&format!("issues/{thread}/comments"));
        let comment: Id = self.write(place.who(), Method::POST, &route, &json!({"body": body})).await?;
        Ok(comment.id)
    }

    /// Replaces a comment's text.
    pub async fn update_comment(
        &self,
        place: Place<'_>,
        comment: u64,
        body: &str,
    ) -> Result<(), GitHubError> {
        let route = place.route(&format!("issues/comments/{comment}"));
        let _: Value = self.write(place.who(), Method::PATCH, &route, &json!({"body": body})).await?;
        Ok(())
    }

    /// Reacts to what holds a brief; GitHub keeps one reaction of a kind, so this can be repeated.
    pub async fn react(
        &self,
        place: Place<'_>,
        thread: u64,
        source: Source,
        content: &str,
    ) -> Result<(), GitHubError> {
        let route = match source.kind {
            SourceKind::IssueBody | SourceKind::PullRequestBody => format!("issues/{thread}/reactions"),
            SourceKind::IssueComment => format!("issues/comments/{}/reactions", source.id),
            SourceKind::ReviewComment => format!("pulls/comments/{}/reactions", source.id),
            // GitHub has no reactions to a review.
            SourceKind::Review => return Ok(()),
        };
        let body = json!({"content": content});
        let _: Value = self.write(place.who(), Method::POST, &place.route(&route), &body).await?;
        Ok(())
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
