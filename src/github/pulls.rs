//! Pull requests.

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

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
    /// Holds `open` or `closed`.
    #[serde(default)]
    pub state: String,
    /// Holds the commit that it would merge.
    #[serde(default)]
    pub head: Option<Side>,
    /// Holds where it would be merged into.
    #[serde(default)]
    pub base: Option<Side>,
}

/// One side of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Side {
    /// Names the branch.
    #[serde(rename = "ref")]
    pub branch: String,
    /// Holds the commit, 40 hex digits.
    pub sha: String,
}

/// What a new pull request is made of.
#[derive(Debug, Clone, Copy)]
pub struct NewPullRequest<'a> {
    /// Names the branch with the changes.
    pub head: &'a str,
    /// Names the branch that they are for.
    pub base: &'a str,
    /// Holds the title.
    pub title: &'a str,
    /// Holds the description, Markdown.
    pub body: &'a str,
    /// Tells whether it is a draft.
    pub draft: bool,
}

/// Who opened a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Opener {
    /// Holds the account's name.
    pub login: String,
    /// Holds the account's id.
    pub id: u64,
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
        new: &NewPullRequest<'_>,
    ) -> Result<PullRequest, GitHubError> {
        let NewPullRequest { head, base, title, body, draft } = *new;
        let payload = json!({"head": head, "base": base, "title": title, "body": body, "draft": draft});
        self.write(place.who(), Kind::Content, Method::POST, &place.route("pulls"), &payload).await
    }

    /// Lists the pull requests, open or not, whose head is this branch, the newest first.
    pub async fn pull_requests_of(
        &self,
        place: Place<'_>,
        head_branch: &str,
    ) -> Result<Vec<PullRequest>, GitHubError> {
        let owner = place.repository.split('/').next().unwrap_or_default();
        let head = encode(&format!("{owner}:{head_branch}"));
        self.list(place.who(), &place.route(&format!("pulls?state=all&head={head}"))).await
    }

    /// Gives a pull request another title and description.
    pub async fn rewrite_pull_request(
        &self,
        place: Place<'_>,
        number: u64,
        title: &str,
        body: &str,
    ) -> Result<(), GitHubError> {
        let (route, payload) =
            (place.route(&format!("pulls/{number}")), json!({"title": title, "body": body}));
        let _: Value = self.write(place.who(), Kind::Content, Method::PATCH, &route, &payload).await?;
        Ok(())
    }

    /// Asks people to review a pull request; whoever was asked already stays so. GitHub refuses all of them when one
    /// is no collaborator.
    pub async fn ask_to_review(
        &self,
        place: Place<'_>,
        number: u64,
        logins: &[String],
    ) -> Result<(), GitHubError> {
        let route = place.route(&format!("pulls/{number}/requested_reviewers"));
        let payload = json!({"reviewers": logins});
        let _: Value = self.write(place.who(), Kind::Mark, Method::POST, &route, &payload).await?;
        Ok(())
    }

    /// Assigns a thread to people and returns those, by login, to whom it is assigned afterwards: GitHub leaves out
    /// without a word who cannot be.
    pub async fn assign(
        &self,
        place: Place<'_>,
        thread: u64,
        logins: &[String],
    ) -> Result<Vec<String>, GitHubError> {
        #[derive(Deserialize)]
        struct Told {
            assignees: Vec<Assignee>,
        }
        #[derive(Deserialize)]
        struct Assignee {
            login: String,
        }
        let (route, payload) =
            (place.route(&format!("issues/{thread}/assignees")), json!({"assignees": logins}));
        let told: Told = self.write(place.who(), Kind::Mark, Method::POST, &route, &payload).await?;
        Ok(told.assignees.into_iter().map(|one| one.login).collect())
    }
}
