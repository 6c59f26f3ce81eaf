//! Where a brief stood: the repository and the text on GitHub.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kinds of text on GitHub in which a brief may stand (row P1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SourceKind {
    /// The body of an issue.
    #[serde(rename = "issue")]
    IssueBody,
    /// A comment in the conversation of an issue or of a pull request.
    #[serde(rename = "issue_comment")]
    IssueComment,
    /// The body of a pull request.
    #[serde(rename = "pull_request")]
    PullRequestBody,
    /// A comment on a line of a pull request's diff.
    #[serde(rename = "review_comment")]
    ReviewComment,
    /// The body of a submitted review.
    #[serde(rename = "review")]
    Review,
}

impl SourceKind {
    /// Lists every kind, in the order of row P1.
    pub const ALL: [Self; 5] =
        [Self::IssueBody, Self::IssueComment, Self::PullRequestBody, Self::ReviewComment, Self::Review];

    /// Returns the word that is stored and hashed; it never changes for a kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IssueBody => "issue",
            Self::IssueComment => "issue_comment",
            Self::PullRequestBody => "pull_request",
            Self::ReviewComment => "review_comment",
            Self::Review => "review",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of [`SourceKind`]'s `FromStr`: the word names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of source")]
pub struct UnknownSourceKind;

impl FromStr for SourceKind {
    type Err = UnknownSourceKind;

    /// Reads what [`SourceKind::as_str`] wrote.
    fn from_str(word: &str) -> Result<Self, UnknownSourceKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(UnknownSourceKind)
    }
}

/// One text on GitHub, named by ids that survive renames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// Holds GitHub's numeric id of the repository.
    pub repository_id: u64,
    /// Tells what kind of text it is.
    pub kind: SourceKind,
    /// Holds GitHub's numeric id of the issue, comment, pull request or review (not its number).
    pub id: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_word() {
        for kind in SourceKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!("commit_comment".parse::<SourceKind>(), Err(UnknownSourceKind));
    }
}
