//! Comments and reactions.

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{GitHub, Kind};
use super::error::GitHubError;
use super::installation::{Id, Place};
use super::limits::CommentBody;
use crate::brief::source::{Source, SourceKind};

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    performed_via_github_app: Option<Id>,
    #[serde(default)]
    html_url: String,
}

impl GitHub {
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

    /// Finds this App's own comment as [`Self::find_comment`] does, and returns its address.
    pub async fn find_comment_page(
        &self,
        place: Place<'_>,
        thread: u64,
        marker: &str,
    ) -> Result<Option<String>, GitHubError> {
        let app_id = self.app_id();
        let own = |comment: Comment| {
            let by_app = comment.performed_via_github_app.is_some_and(|app| app.id == app_id);
            (by_app && comment.body.is_some_and(|body| body.starts_with(marker))).then_some(comment.html_url)
        };
        self.find(place.who(), &place.route(&format!("issues/{thread}/comments?")), own).await
    }

    /// Writes a comment in a thread and returns its address.
    pub async fn create_comment_page(
        &self,
        place: Place<'_>,
        thread: u64,
        body: &str,
    ) -> Result<String, GitHubError> {
        #[derive(Deserialize)]
        struct Made {
            html_url: String,
        }
        let (route, body) = (place.route(&format!("issues/{thread}/comments")), json!({"body": body}));
        let made: Made = self.write(place.who(), Kind::Content, Method::POST, &route, &body).await?;
        Ok(made.html_url)
    }

    /// Writes a comment in a thread and returns its id.
    /// Writes a comment in a thread and returns its id; what is longer than GitHub takes is cut.
    pub async fn create_comment(
        &self,
        place: Place<'_>,
        thread: u64,
        body: &str,
    ) -> Result<u64, GitHubError> {
        let route = place.route(&format!("issues/{thread}/comments"));
        let body = json!({"body": CommentBody::cut(body)});
        let comment: Id = self.write(place.who(), Kind::Content, Method::POST, &route, &body).await?;
        Ok(comment.id)
    }

    /// Replaces a comment's text; what is longer than GitHub takes is cut.
    pub async fn update_comment(
        &self,
        place: Place<'_>,
        comment: u64,
        body: &str,
    ) -> Result<(), GitHubError> {
        let route = place.route(&format!("issues/comments/{comment}"));
        let body = json!({"body": CommentBody::cut(body)});
        let _: Value = self.write(place.who(), Kind::Content, Method::PATCH, &route, &body).await?;
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
        let (route, body) = (place.route(&route), json!({"content": content}));
        let _: Value = self.write(place.who(), Kind::Mark, Method::POST, &route, &body).await?;
        Ok(())
    }
}
