//! What people wrote since a time: the texts in which a brief may stand, looked for without webhooks.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;

use super::client::GitHub;
use super::error::GitHubError;
use super::installation::{Id, Place};
use crate::brief::source::SourceKind;

/// Who wrote a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Author {
    /// Holds the account's id.
    pub id: u64,
    /// Holds the account's name.
    pub login: String,
    /// Holds `User`, `Bot` or `Organization`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A text on GitHub that was written or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundText {
    /// Tells what kind of text it is.
    pub kind: SourceKind,
    /// Holds the id that webhooks tell: of the issue, pull request, comment or review.
    pub id: u64,
    /// Holds the global id, by which GraphQL knows it.
    pub node_id: String,
    /// Holds the number of its issue or pull request.
    pub thread: u64,
    /// Tells whether the thread is a pull request.
    pub on_pull_request: bool,
    /// Holds the title of an issue or pull request; empty for every other kind.
    pub title: String,
    /// Holds the text, empty where there is none.
    pub body: String,
    /// Tells who wrote it; `None` when the account is gone.
    pub author: Option<Author>,
    /// Tells when it was written.
    pub created_at: DateTime<Utc>,
    /// Tells when it was changed last; for a review, when it was submitted.
    pub updated_at: DateTime<Utc>,
    /// Holds its address.
    pub html_url: String,
    /// Holds the id of the App that wrote it, where one did.
    pub by_app: Option<u64>,
}

/// The parts that all kinds have in GitHub's answers.
#[derive(Deserialize)]
struct Told {
    id: u64,
    node_id: String,
    body: Option<String>,
    user: Option<Author>,
    created_at: Option<DateTime<Utc>>,
    /// Only reviews have it, and have none while they are being written.
    submitted_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    html_url: String,
    performed_via_github_app: Option<Id>,
    number: Option<u64>,
    title: Option<String>,
    pull_request: Option<serde_json::Value>,
    issue_url: Option<String>,
    pull_request_url: Option<String>,
}

impl Told {
    fn found(self, kind: SourceKind) -> Option<FoundText> {
        let number_in = |url: &String| url.rsplit('/').next()?.parse::<u64>().ok();
        let thread = self
            .number
            .or_else(|| self.issue_url.as_ref().and_then(number_in))
            .or_else(|| self.pull_request_url.as_ref().and_then(number_in))?;
        let on_issue_page = matches!(kind, SourceKind::IssueBody)
            || (kind == SourceKind::IssueComment && !self.html_url.contains("/pull/"));
        let created_at = self.created_at.or(self.submitted_at)?;
        Some(FoundText {
            kind,
            id: self.id,
            node_id: self.node_id,
            thread,
            on_pull_request: !on_issue_page,
            title: self.title.unwrap_or_default(),
            body: self.body.unwrap_or_default(),
            author: self.user,
            created_at,
            updated_at: self.updated_at.unwrap_or(created_at),
            html_url: self.html_url,
            by_app: self.performed_via_github_app.map(|app| app.id),
        })
    }
}

#[derive(Deserialize)]
struct Pull {
    id: u64,
    number: u64,
    updated_at: DateTime<Utc>,
}

impl GitHub {
    /// Lists the open issues and pull requests that changed since a time, the newest change first.
    pub async fn issues_changed(
        &self,
        place: Place<'_>,
        since: DateTime<Utc>,
    ) -> Result<Vec<FoundText>, GitHubError> {
        let list = format!("issues?state=open&{}", by_change(since));
        let told: Vec<Told> = self.list(place.who(), &place.route(&list)).await?;
        let any_pull = told.iter().any(|one| one.pull_request.is_some());
        let pulls = if any_pull { self.ids_of_pulls(place, since).await? } else { HashMap::new() };
        let found = told.into_iter().filter_map(|one| match one.pull_request {
            None => one.found(SourceKind::IssueBody),
            Some(_) => {
                let mut found = one.found(SourceKind::PullRequestBody)?;
                // One that is missing was closed between the two look-ups.
                found.id = *pulls.get(&found.thread)?;
                Some(found)
            }
        });
        Ok(once_each(found))
    }

    /// Finds the ids of the open pull requests that changed since a time: the list of issues tells another
    /// id of theirs than webhooks do.
    async fn ids_of_pulls(
        &self,
        place: Place<'_>,
        since: DateTime<Utc>,
    ) -> Result<HashMap<u64, u64>, GitHubError> {
        let mut ids = HashMap::new();
        let route = place.route("pulls?state=open&sort=updated&direction=desc");
        self.walk(place.who(), &route, |page: Vec<Pull>| {
            let older = page.iter().any(|pull| pull.updated_at < since);
            ids.extend(page.into_iter().map(|pull| (pull.number, pull.id)));
            older.then_some(())
        })
        .await?;
        Ok(ids)
    }

    /// Lists the comments in issues and conversations of pull requests that changed since a time.
    pub async fn comments_changed(
        &self,
        place: Place<'_>,
        since: DateTime<Utc>,
    ) -> Result<Vec<FoundText>, GitHubError> {
        let route = place.route(&format!("issues/comments?{}", by_change(since)));
        let told: Vec<Told> = self.list(place.who(), &route).await?;
        Ok(once_each(told.into_iter().filter_map(|one| one.found(SourceKind::IssueComment))))
    }

    /// Lists the comments on lines of diffs that changed since a time.
    pub async fn review_comments_changed(
        &self,
        place: Place<'_>,
        since: DateTime<Utc>,
    ) -> Result<Vec<FoundText>, GitHubError> {
        let route = place.route(&format!("pulls/comments?{}", by_change(since)));
        let told: Vec<Told> = self.list(place.who(), &route).await?;
        Ok(once_each(told.into_iter().filter_map(|one| one.found(SourceKind::ReviewComment))))
    }

    /// Lists the submitted reviews of a pull request, oldest first.
    pub async fn reviews(&self, place: Place<'_>, pull: u64) -> Result<Vec<FoundText>, GitHubError> {
        let told: Vec<Told> = self.list(place.who(), &place.route(&format!("pulls/{pull}/reviews?"))).await?;
        Ok(once_each(told.into_iter().filter_map(|one| one.found(SourceKind::Review))))
    }
}

/// Asks for what changed since a time, the newest change first: what changes while pages are read moves to the
/// front, so that something may be told twice but nothing is left out.
fn by_change(since: DateTime<Utc>) -> String {
    let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("sort=updated&direction=desc&since={since}")
}

fn once_each(found: impl Iterator<Item = FoundText>) -> Vec<FoundText> {
    let mut seen = HashSet::new();
    found.filter(|text| seen.insert(text.id)).collect()
}
