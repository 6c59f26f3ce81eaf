//! Pull requests.

use axum::http::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{GitHub, Kind};
use super::error::GitHubError;
use super::installation::{Id, Place, encode};

/// A pull request, as far as the server looks at one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PullRequest {
    /// Holds its number.
    pub number: u64,
    /// Holds its page's address.
    pub html_url: String,
    /// Holds who opened it, if the account is still there.
    pub user: Option<Opener>,
}

/// Who opened a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Opener {
    /// Holds the account's name.
    pub login: String,
}

/// Where a pull request's changes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullOrigin {
    /// A branch of the same repository.
    Own,
    /// A fork, or a repository that is gone.
    Fork,
}

impl GitHub {
    /// Returns the commit at the head of a pull request whose branch is this repository's; `None` for any other
    /// number.
    pub async fn pull_head(
        &self,
        place: Place<'_>,
        repository_id: u64,
        number: u64,
    ) -> Result<Option<String>, GitHubError> {
        #[derive(Deserialize)]
        struct Told {
            head: Head,
        }
        #[derive(Deserialize)]
        struct Head {
            sha: String,
            repo: Option<Id>,
        }
        let told: Option<Told> = self.look(place.who(), &place.route(&format!("pulls/{number}"))).await?;
        let own = |told: &Told| told.head.repo.as_ref().is_some_and(|repo| repo.id == repository_id);
        Ok(told.filter(own).map(|told| told.head.sha))
    }

    /// Looks up where a pull request comes from; `None` when the number is an issue's.
    pub async fn pull_origin(
        &self,
        place: Place<'_>,
        repository_id: u64,
        number: u64,
    ) -> Result<Option<PullOrigin>, GitHubError> {
        #[derive(Deserialize)]
        struct Told {
            head: Head,
        }
        #[derive(Deserialize)]
        struct Head {
            repo: Option<Id>,
        }
        let told: Option<Told> = self.look(place.who(), &place.route(&format!("pulls/{number}"))).await?;
        Ok(told.map(|told| match told.head.repo {
            Some(repository) if repository.id == repository_id => PullOrigin::Own,
            _ => PullOrigin::Fork,
        }))
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
        self.write(place.who(), Kind::Content, Method::POST, &place.route("pulls"), &payload).await
    }
}
