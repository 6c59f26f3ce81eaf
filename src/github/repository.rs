//! A repository as it is now: who sees it, and what its default branch holds.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::client::{As, GitHub};
use super::error::GitHubError;
use super::installation::Place;
use crate::authorize::policy::Visibility;

/// A file that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundFile {
    /// There is none.
    Missing,
    /// It holds this.
    Bytes(Vec<u8>),
    /// It is there, and no file that could be read: a folder, a link that leads nowhere, or too large.
    Unreadable,
}

impl GitHub {
    /// Looks up who sees a repository, by its id; `None` when the installation does not reach it any more.
    pub async fn visibility(
        &self,
        installation: u64,
        repository_id: u64,
    ) -> Result<Option<Visibility>, GitHubError> {
        #[derive(Deserialize)]
        struct Told {
            private: bool,
            visibility: Option<String>,
        }
        let route = format!("/repositories/{repository_id}");
        let told: Option<Told> = self.look(As::Installation(installation), &route).await?;
        Ok(told.map(|told| Visibility::from_api(told.visibility.as_deref(), told.private)))
    }

    /// Reads a file of a repository's default branch, of at most so many bytes.
    pub async fn file(&self, place: Place<'_>, path: &str, most: usize) -> Result<FoundFile, GitHubError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Told {
            File { encoding: String, content: String, size: usize },
            Other(serde_json::Value),
        }
        let told: Option<Told> = self.look(place.who(), &place.route(&format!("contents/{path}"))).await?;
        Ok(match told {
            None => FoundFile::Missing,
            Some(Told::File { encoding, content, size }) if encoding == "base64" && size <= most => {
                let lines: String = content.split_whitespace().collect();
                BASE64_STANDARD.decode(lines).map_or(FoundFile::Unreadable, FoundFile::Bytes)
            }
            Some(Told::File { .. }) => FoundFile::Unreadable,
            Some(Told::Other(other)) => {
                tracing::debug!(path, kind = ?other.get("type"), "no file");
                FoundFile::Unreadable
            }
        })
    }
}
