//! The rows of the store, as the rest of the program sees them.

use crate::brief::digest::BriefId;
use crate::brief::source::Source;

/// A delivery that waits to be looked at.
#[derive(Debug, Clone)]
pub struct PendingDelivery {
    /// Holds the row's id.
    pub id: i64,
    /// Holds `X-GitHub-Delivery`.
    pub guid: String,
    /// Holds `X-GitHub-Event`.
    pub event: String,
    /// Holds the body as it came.
    pub body: Vec<u8>,
    /// Counts how often it was tried.
    pub attempts: i64,
}

/// An accepted brief with the thread that it came from.
#[derive(Debug, Clone)]
pub struct BriefRow {
    /// Names the brief.
    pub id: BriefId,
    /// Tells where it stands.
    pub source: Source,
    /// Names the repository as it was called when the delivery came.
    pub repository: String,
    /// Names the App's installation there.
    pub installation_id: u64,
    /// Holds the address of the issue, comment or review.
    pub source_url: String,
    /// Counts the briefs before it in the same text.
    pub block_index: u32,
    /// Holds the SHA-256 of the text.
    pub text_digest: String,
    /// Holds the text that was delivered and that runs.
    pub text: String,
    /// Holds the number of the issue or pull request.
    pub thread_number: u64,
    /// Holds the title of the issue or pull request.
    pub thread_title: String,
    /// Names the account whose delivery brought it.
    pub requested_by: String,
    /// Holds that account's id.
    pub requested_by_id: u64,
    /// Names the account that wrote the text, which an edit by somebody else does not change.
    pub author: String,
    /// Holds that account's id.
    pub author_id: u64,
    /// Names the delivery.
    pub delivery_guid: String,
}

/// A task that was taken from the queue, with the run that begins.
#[derive(Debug, Clone)]
pub struct ClaimedTask {
    /// Holds the task's id.
    pub id: i64,
    /// Counts the runs of the task; every write of a run carries it.
    pub epoch: i64,
    /// Names the run.
    pub run_id: String,
    /// Names the lane.
    pub lane: String,
    /// Holds the brief.
    pub brief: BriefRow,
}

/// A run that was judged but not published, found at start.
#[derive(Debug, Clone)]
pub struct JudgedRun {
    /// Holds the task and the run.
    pub task: ClaimedTask,
    /// Holds the report as it was stored, JSON.
    pub report: String,
    /// Holds the changeset as it was stored, JSON.
    pub changeset: Option<String>,
}

/// A GitHub write that is owed.
#[derive(Debug, Clone)]
pub struct Effect {
    /// Holds the row's id; 0 before it is stored.
    pub id: i64,
    /// Names the effect; owing the same key again replaces the payload.
    pub key: String,
    /// Names the App's installation.
    pub installation_id: u64,
    /// Holds the repository's id.
    pub repository_id: u64,
    /// Names the repository.
    pub repository: String,
    /// Holds the number of the issue or pull request.
    pub thread_number: u64,
    /// Tells what is to be written.
    pub payload: EffectPayload,
    /// Counts the payloads that this key has had.
    pub version: i64,
    /// Holds the id that GitHub gave to what was written before under this key.
    pub remote_id: Option<u64>,
    /// Counts the tries of this version.
    pub attempts: i64,
}

/// What an effect writes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EffectPayload {
    /// A comment in the thread, found again by its marker.
    Comment {
        /// Holds the marker, the first line of the body.
        marker: String,
        /// Holds the whole body.
        body: String,
    },
    /// A reaction to what holds the brief.
    Reaction {
        /// Tells to what.
        source: Source,
        /// Holds GitHub's word, such as `eyes`.
        content: String,
    },
}

impl EffectPayload {
    /// Returns the word for the kind in the store.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Comment { .. } => "comment",
            Self::Reaction { .. } => "reaction",
        }
    }
}
