//! Git's objects by the API: blobs, trees and commits, and the branch that points at them.

use axum::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{GitHub, Kind};
use super::error::GitHubError;
use super::installation::{Place, encode};

/// One path of a tree that differs from the tree that it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Holds the path from the repository's root.
    pub path: String,
    /// Holds git's number for the mode.
    pub mode: i32,
    /// Tells what stands there.
    pub content: TreeContent,
}

/// What stands at a path of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeContent {
    /// This text.
    Text(String),
    /// A blob that is there already, by its name.
    Blob(String),
    /// Nothing any more.
    Gone,
}

/// A commit that GitHub made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MadeCommit {
    /// Holds its name, 40 hex digits.
    pub sha: String,
    /// Tells whether GitHub vouches for it.
    pub verification: Verification,
}

/// Whether a commit's signature holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Verification {
    /// Tells that it does.
    pub verified: bool,
    /// Holds GitHub's word for why, such as `valid` or `unsigned`.
    pub reason: String,
}

#[derive(Deserialize)]
struct Named {
    sha: String,
}

impl GitHub {
    /// Makes a blob and returns its name.
    pub async fn create_blob(&self, place: Place<'_>, content: &[u8]) -> Result<String, GitHubError> {
        let body = json!({"content": BASE64_STANDARD.encode(content), "encoding": "base64"});
        let made: Named =
            self.write(place.who(), Kind::Mark, Method::POST, &place.route("git/blobs"), &body).await?;
        Ok(made.sha)
    }

    /// Makes a tree from the tree of a commit, and returns its name.
    pub async fn create_tree(
        &self,
        place: Place<'_>,
        base: &str,
        entries: &[TreeEntry],
    ) -> Result<String, GitHubError> {
        let entries: Vec<Value> = entries
            .iter()
            .map(|TreeEntry { path, mode, content }| {
                let mode = format!("{mode:06o}");
                match content {
                    TreeContent::Text(text) => {
                        json!({"path": path, "mode": mode, "type": "blob", "content": text})
                    }
                    TreeContent::Blob(sha) => json!({"path": path, "mode": mode, "type": "blob", "sha": sha}),
                    TreeContent::Gone => json!({"path": path, "mode": mode, "type": "blob", "sha": null}),
                }
            })
            .collect();
        let body = json!({"base_tree": base, "tree": entries});
        let made: Named =
            self.write(place.who(), Kind::Mark, Method::POST, &place.route("git/trees"), &body).await?;
        Ok(made.sha)
    }

    /// Makes a commit in the App's own name, which GitHub signs.
    pub async fn create_commit(
        &self,
        place: Place<'_>,
        message: &str,
        tree: &str,
        parents: &[String],
    ) -> Result<MadeCommit, GitHubError> {
        let body = json!({"message": message, "tree": tree, "parents": parents});
        self.write(place.who(), Kind::Mark, Method::POST, &place.route("git/commits"), &body).await
    }

    /// Makes a branch; GitHub answers 422 when it is there.
    pub async fn create_branch(&self, place: Place<'_>, branch: &str, sha: &str) -> Result<(), GitHubError> {
        let body = json!({"ref": format!("refs/heads/{branch}"), "sha": sha});
        let _: Value =
            self.write(place.who(), Kind::Mark, Method::POST, &place.route("git/refs"), &body).await?;
        Ok(())
    }

    /// Moves a branch on to a commit that has its present one in its history; GitHub answers 422 when it is not so.
    pub async fn advance_branch(&self, place: Place<'_>, branch: &str, sha: &str) -> Result<(), GitHubError> {
        let route = place.route(&format!("git/refs/heads/{}", encode(branch)));
        let body = json!({"sha": sha, "force": false});
        let _: Value = self.write(place.who(), Kind::Mark, Method::PATCH, &route, &body).await?;
        Ok(())
    }
}
