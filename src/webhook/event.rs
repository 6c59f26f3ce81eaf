//! A delivery's body as the event that it tells of: only the fields that are needed, by rules of
//! our own, since GitHub's payloads vary.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::brief::RepoName;
use crate::brief::source::{Source, SourceKind};

/// A text that was written or edited, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextEvent {
    /// Tells where the text stands.
    pub source: Source,
    /// Holds the text as the delivery has it.
    pub text: String,
    /// Tells whether the text is an edited one.
    pub edited: bool,
    /// Holds when the text was written, in milliseconds since 1970.
    pub updated_at_ms: i64,
    /// Holds the address of the text.
    pub url: String,
    /// Holds the issue or pull request.
    pub thread: Thread,
    /// Holds who wrote the text.
    pub author: Account,
    /// Holds who caused the delivery.
    pub sender: Account,
    /// Names the repository.
    pub repository: RepoName,
    /// Holds the App's installation on it.
    pub installation_id: u64,
}

/// An issue or a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Holds its number.
    pub number: u64,
    /// Holds its title.
    pub title: String,
}

/// An account on GitHub; the id is what counts, since names can change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// Holds the id.
    pub id: u64,
    /// Holds the name.
    pub login: String,
    /// Holds `User`, `Bot`, `Organization` or `Mannequin`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What a delivery means to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// A person wrote a text.
    Text(Box<TextEvent>),
    /// Nothing that concerns the server, with the reason.
    Ignored(String),
}

#[derive(Deserialize)]
struct Payload {
    action: String,
    repository: Option<Repository>,
    installation: Option<Installation>,
    sender: Option<Account>,
    issue: Option<Item>,
    comment: Option<Item>,
    pull_request: Option<Item>,
    review: Option<Item>,
    changes: Option<Value>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    name: String,
    owner: Owner,
}

#[derive(Deserialize)]
struct Owner {
    login: String,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

/// An issue, pull request, comment or review, as far as they are alike.
#[derive(Deserialize)]
struct Item {
    id: u64,
    number: Option<u64>,
    title: Option<String>,
    body: Option<String>,
    html_url: String,
    user: Option<Account>,
    updated_at: Option<DateTime<Utc>>,
    submitted_at: Option<DateTime<Utc>>,
    performed_via_github_app: Option<App>,
}

#[derive(Deserialize)]
struct App {
    id: u64,
}

/// Reads a stored delivery.
///
/// `app_id` is this App's own id: what it wrote itself never counts, nor does what a bot wrote or
/// edited. Whatever cannot be read is ignored with the reason; nothing here fails.
pub fn parse(event: &str, body: &[u8], app_id: u64) -> Parsed {
    let Some(kind) = Kind::of(event) else {
        return ignored(format!("the event `{event}` is not one that holds briefs"));
    };
    let payload: Payload = match serde_json::from_slice(body) {
        Ok(payload) => payload,
        Err(error) => return ignored(format!("the body cannot be read: {error}")),
    };
    match read(kind, payload, app_id) {
        Ok(event) => Parsed::Text(Box::new(event)),
        Err(reason) => ignored(reason),
    }
}

fn ignored(reason: impl Into<String>) -> Parsed {
    Parsed::Ignored(reason.into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Issue,
    IssueComment,
    PullRequest,
    ReviewComment,
    Review,
}

impl Kind {
    fn of(event: &str) -> Option<Self> {
        Some(match event {
            "issues" => Self::Issue,
            "issue_comment" => Self::IssueComment,
            "pull_request" => Self::PullRequest,
            "pull_request_review_comment" => Self::ReviewComment,
            "pull_request_review" => Self::Review,
            _ => return None,
        })
    }

    /// Tells whether an action brings a text, and whether that text is an edited one.
    fn edited(self, action: &str) -> Option<bool> {
        match (self, action) {
            (Self::Issue | Self::PullRequest, "opened")
            | (Self::IssueComment | Self::ReviewComment, "created")
            | (Self::Review, "submitted") => Some(false),
            (_, "edited") => Some(true),
            _ => None,
        }
    }
}

fn read(kind: Kind, payload: Payload, app_id: u64) -> Result<TextEvent, String> {
    let edited = kind
        .edited(&payload.action)
        .ok_or_else(|| format!("the action `{}` brings no text", payload.action))?;
    if edited && payload.changes.as_ref().is_none_or(|changes| changes.get("body").is_none()) {
        return Err("the edit did not change the text".to_owned());
    }
    let repository = payload.repository.ok_or("there is no repository in it")?;
    let installation = payload.installation.ok_or("there is no installation in it")?;
    let sender = payload.sender.ok_or("there is no sender in it")?;
    let (source_kind, item, thread) = match kind {
        Kind::Issue => (SourceKind::IssueBody, payload.issue, None),
        Kind::PullRequest => (SourceKind::PullRequestBody, payload.pull_request, None),
        Kind::IssueComment => (SourceKind::IssueComment, payload.comment, payload.issue),
        Kind::ReviewComment => (SourceKind::ReviewComment, payload.comment, payload.pull_request),
        Kind::Review => (SourceKind::Review, payload.review, payload.pull_request),
    };
    let item = item.ok_or("the text's own part is missing")?;
    let author = item.user.ok_or("the author is gone")?;
    if item.performed_via_github_app.is_some_and(|app| app.id == app_id) {
        return Err("the App wrote it itself".to_owned());
    }
    for account in [&author, &sender] {
        if account.kind != "User" {
            return Err(format!("`{}` is no person but a `{}`", account.login, account.kind));
        }
    }
    let (number, title) = match &thread {
        Some(thread) => (thread.number, thread.title.clone()),
        None => (item.number, item.title),
    };
    Ok(TextEvent {
        source: Source { repository_id: repository.id, kind: source_kind, id: item.id },
        text: item.body.unwrap_or_default(),
        edited,
        updated_at_ms: item.updated_at.or(item.submitted_at).map_or(0, |at| at.timestamp_millis()),
        url: item.html_url,
        thread: Thread {
            number: number.ok_or("the thread has no number")?,
            title: title.unwrap_or_default(),
        },
        author,
        sender,
        repository: RepoName { owner: repository.owner.login, name: repository.name },
        installation_id: installation.id,
    })
}
