//! The things that the simulated GitHub remembers, and the small records that it hands out.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Gives the kind of time that every record carries: UTC.
pub type Time = DateTime<Utc>;

/// Writes a time as GitHub does: seconds and `Z`.
pub(crate) fn stamp(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Holds an account: a person, an organisation or the App's bot.
#[derive(Clone, Debug, Serialize)]
pub struct User {
    /// The numeric id, which a rename would keep.
    pub id: u64,
    /// The name of the account.
    pub login: String,
    /// `User`, `Bot` or `Organization`.
    pub kind: &'static str,
    /// When the account was made.
    pub created_at: Time,
}

/// Says what a person may do on a repository, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Nothing.
    None,
    /// May read.
    Read,
    /// May read and sort issues; shown as `read` in the older field.
    Triage,
    /// May push.
    Write,
    /// May push and manage some settings; shown as `write` in the older field.
    Maintain,
    /// May do everything.
    Admin,
}

impl Permission {
    /// Gives the `role_name` field.
    pub fn role_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// Gives the older `permission` field, which knows only none, read, write and admin.
    pub fn legacy(self) -> &'static str {
        match self {
            Self::Triage => "read",
            Self::Maintain => "write",
            other => other.role_name(),
        }
    }
}

/// Holds a repository and everything in it but the git objects.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) installed: bool,
    pub(crate) archived: bool,
    /// Patterns of branches that nobody may push to.
    pub(crate) protected: Vec<String>,
    pub(crate) default_branch: String,
    pub(crate) path: PathBuf,
    pub(crate) created_at: Time,
    pub(crate) next_number: u64,
    pub(crate) permissions: BTreeMap<String, Permission>,
    pub(crate) issues: BTreeMap<u64, Issue>,
    /// Numbers of issues that were deleted, which GitHub remembers.
    pub(crate) deleted: BTreeSet<u64>,
    pub(crate) pulls: BTreeMap<u64, Pull>,
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) reviews: BTreeMap<u64, Review>,
    pub(crate) review_comments: BTreeMap<u64, ReviewComment>,
    pub(crate) labels: BTreeMap<String, Label>,
    pub(crate) reactions: Vec<Reaction>,
    pub(crate) check_runs: BTreeMap<u64, CheckRun>,
}

impl Repository {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// Tells who edited a text last, and when.
#[derive(Clone, Debug, Serialize)]
pub struct Edit {
    /// The editor's login.
    pub by: String,
    /// When.
    pub at: Time,
}

/// Tells that a label was put on a thread, or taken from it.
#[derive(Clone, Debug)]
pub(crate) struct Labelling {
    pub(crate) id: u64,
    pub(crate) put_on: bool,
    pub(crate) label: String,
    pub(crate) by: String,
    pub(crate) at: Time,
}

/// Holds an issue, or the issue half of a pull request.
#[derive(Clone, Debug, Serialize)]
pub struct Issue {
    /// The id, unique on the whole server.
    pub id: u64,
    /// The number in the repository, shared with pull requests.
    pub number: u64,
    /// The title.
    pub title: String,
    /// The Markdown body; `None` when none was given.
    pub body: Option<String>,
    /// Whether it is open.
    pub open: bool,
    /// The author's login.
    pub author: String,
    /// Whether the App wrote it.
    pub by_app: bool,
    /// Whether the number is a pull request.
    pub is_pull: bool,
    /// Names of the labels on it.
    pub labels: Vec<String>,
    /// Who put labels on it and took them away, oldest first.
    #[serde(skip)]
    pub(crate) labellings: Vec<Labelling>,
    /// When it was opened.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// When it was closed.
    pub closed_at: Option<Time>,
    /// `completed`, `not_planned` or `reopened`.
    pub state_reason: Option<String>,
    /// Who closed it.
    pub closed_by: Option<String>,
    /// The last edit of its body.
    pub edited: Option<Edit>,
    /// Logins of the people to whom it is assigned.
    pub assignees: Vec<String>,
}

/// Tells of a copy of a repository from which a pull request comes.
#[derive(Clone, Debug)]
pub(crate) struct Fork {
    pub(crate) id: u64,
    pub(crate) owner: String,
}

/// Holds a team of an organisation.
#[derive(Clone, Debug)]
pub(crate) struct Team {
    pub(crate) id: u64,
    /// Logins in lower case, each with whether the invitation was accepted.
    pub(crate) members: BTreeMap<String, bool>,
}

/// Holds the git half of a pull request.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) head: String,
    /// The account with the fork that the head is in; `None` for the repository itself.
    pub(crate) fork: Option<Fork>,
    pub(crate) base: String,
    pub(crate) head_sha: String,
    pub(crate) base_sha: String,
    pub(crate) draft: bool,
    pub(crate) reviewers: Vec<String>,
    pub(crate) merged_at: Option<Time>,
    pub(crate) merged_by: Option<String>,
    pub(crate) merge_commit: Option<String>,
}

/// Shows a pull request whole, as a test wants to read it.
#[derive(Clone, Debug, Serialize)]
pub struct PullRequest {
    /// The id of the pull request.
    pub id: u64,
    /// The number in the repository.
    pub number: u64,
    /// The title.
    pub title: String,
    /// The Markdown body; empty when none was given.
    pub body: String,
    /// Whether it is open.
    pub open: bool,
    /// Whether it was merged.
    pub merged: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// The author's login.
    pub author: String,
    /// Whether the App opened it.
    pub by_app: bool,
    /// Name of the branch with the changes.
    pub head: String,
    /// Name of the branch that they are for.
    pub base: String,
    /// The commit at the head.
    pub head_sha: String,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Logins of the people who are asked to review it.
    pub reviewers: Vec<String>,
    /// Logins of the people to whom it is assigned.
    pub assignees: Vec<String>,
    /// Address of the page.
    pub html_url: String,
}

/// Holds a comment on an issue or on a pull request's conversation.
#[derive(Clone, Debug, Serialize)]
pub struct Comment {
    /// The id, unique on the whole server.
    pub id: u64,
    /// Number of the issue or pull request.
    pub number: u64,
    /// The author's login.
    pub author: String,
    /// Whether the App wrote it.
    pub by_app: bool,
    /// The Markdown body.
    pub body: String,
    /// When it was written.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// The last edit of its body.
    pub edited: Option<Edit>,
}

/// Holds a review of a pull request.
#[derive(Clone, Debug, Serialize)]
pub struct Review {
    /// The id.
    pub id: u64,
    /// Number of the pull request.
    pub number: u64,
    /// The author's login.
    pub author: String,
    /// The Markdown body.
    pub body: String,
    /// The last edit of its body.
    pub edited: Option<Edit>,
    /// `APPROVED`, `CHANGES_REQUESTED` or `COMMENTED`.
    pub state: String,
    /// The commit that was reviewed.
    pub commit_id: String,
    /// When it was submitted.
    pub submitted_at: Time,
}

/// Holds a comment on a line of a pull request's diff.
#[derive(Clone, Debug, Serialize)]
pub struct ReviewComment {
    /// The id.
    pub id: u64,
    /// Number of the pull request.
    pub number: u64,
    /// The review that it belongs to.
    pub review_id: u64,
    /// The author's login.
    pub author: String,
    /// Whether the App wrote it.
    pub by_app: bool,
    /// The Markdown body.
    pub body: String,
    /// The file.
    pub path: String,
    /// The line in the file, counted from 1.
    pub line: u64,
    /// `RIGHT` (new file) or `LEFT` (old file).
    pub side: String,
    /// The commit that was commented on.
    pub commit_id: String,
    /// The part of the diff up to the line.
    pub diff_hunk: String,
    /// Line within the file's diff, counted from 1 below the first hunk header.
    pub position: u64,
    /// The comment that it answers.
    pub in_reply_to: Option<u64>,
    /// When it was written.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// The last edit of its body.
    pub edited: Option<Edit>,
}

/// Holds a label of a repository.
#[derive(Clone, Debug, Serialize)]
pub struct Label {
    /// The id.
    pub id: u64,
    /// The name.
    pub name: String,
    /// Six hex digits.
    pub color: String,
    /// The description.
    pub description: Option<String>,
}

/// Names what a reaction is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Subject {
    /// An issue or a pull request, by number.
    Issue(u64),
    /// An issue comment, by id.
    Comment(u64),
    /// A review comment, by id.
    ReviewComment(u64),
}

/// Holds one reaction.
#[derive(Clone, Debug, Serialize)]
pub struct Reaction {
    /// The id.
    pub id: u64,
    /// What it is on.
    pub subject: Subject,
    /// Who reacted.
    pub user: String,
    /// `+1`, `-1`, `laugh`, `confused`, `heart`, `hooray`, `rocket` or `eyes`.
    pub content: String,
    /// When.
    pub created_at: Time,
}

/// Holds a check run.
#[derive(Clone, Debug, Serialize)]
pub struct CheckRun {
    /// The id.
    pub id: u64,
    /// The commit that it is for.
    pub head_sha: String,
    /// The name.
    pub name: String,
    /// What the App calls it.
    pub external_id: Option<String>,
    /// Address of the App's own page.
    pub details_url: Option<String>,
    /// `queued`, `in_progress`, `completed` …
    pub status: String,
    /// `success`, `failure` …, once completed.
    pub conclusion: Option<String>,
    /// When it started.
    pub started_at: Option<String>,
    /// When it ended.
    pub completed_at: Option<String>,
    /// `title`, `summary`, `text` as given.
    pub output: Value,
    /// All annotations given so far.
    pub annotations: Vec<Value>,
    /// The buttons offered.
    pub actions: Vec<Value>,
}

/// Points at an issue or pull request.
#[derive(Clone, Debug, Serialize)]
pub struct IssueRef {
    /// `owner/name` of the repository.
    pub repository: String,
    /// The number.
    pub number: u64,
    /// The id.
    pub id: u64,
    /// Address of the page.
    pub html_url: String,
}

/// Points at a comment of any kind, or at a review.
#[derive(Clone, Debug, Serialize)]
pub struct CommentRef {
    /// `owner/name` of the repository.
    pub repository: String,
    /// Number of the issue or pull request.
    pub number: u64,
    /// The id.
    pub id: u64,
    /// Address on the page.
    pub html_url: String,
}
