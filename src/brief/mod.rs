//! The brief protocol: from Markdown to a checked [`Brief`], as pure rules without I/O.
//!
//! [`extract::extract`] finds the fences, [`parse`] turns one fence's text into a [`Brief`] or into
//! all the [`Diagnostic`]s that its author needs, and [`digest`] names it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A checked brief: every field has passed the rules of `docs/brief-reference.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// Names the lane that does the work.
    pub executor: String,
    /// Names the repository that is worked on.
    pub repo: RepoName,
    /// Names the branch that is the base of the work and of the pull request.
    pub branch: String,
    /// Holds the path at which the steps find the checkout: absolute, or `~/…` below the run's home.
    pub workdir: String,
    /// Holds the steps in the order in which they run; never empty.
    pub steps: Vec<Step>,
    /// Holds what the run shall produce; never empty.
    pub outputs: Vec<Output>,
    /// Holds context for people and models; kept and shown, never interpreted.
    pub context_header: Option<String>,
    /// Holds remarks for people; kept and shown, never interpreted.
    pub notes: Option<String>,
}

impl Brief {
    /// Returns the pull request that the brief asks for, if it asks for one.
    pub fn pull_request(&self) -> Option<&PullRequestOutput> {
        self.outputs.iter().map(|Output::Pr(pr)| pr).next()
    }
}

/// One entry of `steps`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Names the step in logs and comments.
    pub name: String,
    /// Holds the bash script.
    pub shell: String,
}

/// One entry of `outputs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Output {
    /// Asks for one pull request with one commit.
    Pr(PullRequestOutput),
}

/// A `pr` output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestOutput {
    /// Holds the pull request's title.
    pub title: String,
    /// Holds the commit's message without trailers.
    pub commit_message: String,
    /// Holds the paths, relative to the repository's root, that the run must change, and no others.
    pub files: Vec<String>,
    /// Names an issue of the same repository that the pull request refers to.
    pub link_issue: Option<u64>,
}

/// A repository's name on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RepoName {
    /// Names the user or organisation.
    pub owner: String,
    /// Names the repository.
    pub name: String,
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}
