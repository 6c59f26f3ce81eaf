//! Texts as they are now: whether one is still there, what it says, and who edited it last.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{As, GitHub};
use super::error::GitHubError;
use super::installation::Place;
use crate::brief::source::{Source, SourceKind};

/// GitHub's limit of ids in one query.
const MOST_IDS: usize = 100;

const EDITORS: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Comment { body lastEditedAt \
    editor { login __typename ... on User { databaseId } ... on Bot { databaseId } } } } }";

/// A text as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveText {
    /// Holds the text, empty where there is none.
    pub body: String,
    /// Tells when it was changed last; for a review, when it was submitted.
    pub updated_at: DateTime<Utc>,
    /// Holds its global id, by which [`GitHub::editors`] finds it.
    pub node_id: String,
}

/// How it stands with an issue or pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadState {
    /// It is open.
    Open,
    /// It is closed or merged.
    Closed,
    /// It was deleted, or never was.
    Gone,
}

/// A text with who edited it last.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EditedText {
    /// Holds the global id.
    pub id: String,
    /// Holds the text.
    pub body: String,
    /// Tells when it was edited last; `None` when it never was.
    pub last_edited_at: Option<DateTime<Utc>>,
    /// Tells who edited it last; `None` when nobody did, or when the account is gone.
    pub editor: Option<Editor>,
}

/// Who edited a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Editor {
    /// Holds the account's name; that of a bot is without `[bot]` here.
    pub login: String,
    /// Holds `User`, `Bot`, `Organization` and the like.
    #[serde(rename = "__typename")]
    pub kind: String,
    /// Holds the account's id; only people and bots have one here.
    pub database_id: Option<u64>,
}

#[derive(Deserialize)]
struct Told {
    node_id: String,
    body: Option<String>,
    updated_at: Option<DateTime<Utc>>,
    submitted_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Thread {
    state: String,
}

#[derive(Deserialize)]
struct Nodes {
    data: Option<NodeList>,
    #[serde(default)]
    errors: Value,
}

#[derive(Deserialize)]
struct NodeList {
    nodes: Vec<Option<Value>>,
}

impl GitHub {
    /// Looks up a text; `None` when it is gone. `thread` is the number of its issue or pull request.
    pub async fn text(
        &self,
        place: Place<'_>,
        thread: u64,
        source: Source,
    ) -> Result<Option<LiveText>, GitHubError> {
        let route = match source.kind {
            SourceKind::IssueBody => format!("issues/{thread}"),
            SourceKind::PullRequestBody => format!("pulls/{thread}"),
            SourceKind::IssueComment => format!("issues/comments/{}", source.id),
            SourceKind::ReviewComment => format!("pulls/comments/{}", source.id),
            SourceKind::Review => format!("pulls/{thread}/reviews/{}", source.id),
        };
        let told: Option<Told> = self.look(place.who(), &place.route(&route)).await?;
        Ok(told.and_then(|told| {
            let updated_at = told.updated_at.or(told.submitted_at)?;
            Some(LiveText { body: told.body.unwrap_or_default(), updated_at, node_id: told.node_id })
        }))
    }

    /// Looks up how it stands with an issue or pull request.
    pub async fn thread_state(&self, place: Place<'_>, number: u64) -> Result<ThreadState, GitHubError> {
        let thread: Option<Thread> =
            self.look(place.who(), &place.route(&format!("issues/{number}"))).await?;
        Ok(match thread {
            Some(thread) if thread.state == "open" => ThreadState::Open,
            Some(_) => ThreadState::Closed,
            None => ThreadState::Gone,
        })
    }

    /// Looks up texts by their global ids, with who edited each last; those that are gone are left out.
    pub async fn editors(
        &self,
        installation: u64,
        node_ids: &[String],
    ) -> Result<HashMap<String, EditedText>, GitHubError> {
        let mut found = HashMap::new();
        for ids in node_ids.chunks(MOST_IDS) {
            let query = json!({"query": EDITORS, "variables": {"ids": ids}});
            let answer: Nodes = self.ask(As::Installation(installation), "/graphql", &query).await?;
            let unreadable = |why: String| GitHubError::Unreadable("POST /graphql".to_owned(), why);
            let Some(data) = answer.data else {
                let errors = answer.errors.to_string();
                return Err(refused(errors));
            };
            // A text that is gone is told as such; anything else beside the data is a failure.
            let errors = answer.errors.as_array().map_or(&[][..], Vec::as_slice);
            if errors.iter().any(|error| error["type"] != "NOT_FOUND") {
                return Err(refused(answer.errors.to_string()));
            }
            for node in data.nodes.into_iter().flatten() {
                let text: EditedText =
                    serde_json::from_value(node).map_err(|error| unreadable(error.to_string()))?;
                found.insert(text.id.clone(), text);
            }
        }
        Ok(found)
    }
}

/// Returns what GraphQL's errors mean, which come with a 200: its limit, a refusal, or a failure that may
/// pass, such as a query that took too long.
fn refused(errors: String) -> GitHubError {
    let call = "POST /graphql".to_owned();
    if errors.contains("RATE_LIMITED") {
        GitHubError::RateLimited(Utc::now() + TimeDelta::seconds(60))
    } else if errors.contains("FORBIDDEN") {
        GitHubError::Status { status: 403, call, message: "it is forbidden".to_owned(), details: errors }
    } else {
        GitHubError::Unreadable(call, errors)
    }
}
