//! The rows of the store, as the rest of the program sees them.

use crate::brief::digest::BriefId;
use crate::brief::source::{Source, SourceKind};
use crate::queue::task::TaskState;

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
    /// Holds when it came, in milliseconds since 1970.
    pub received_at_ms: i64,
    /// Tells how it came.
    pub origin: Origin,
}

/// How a delivery came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// GitHub sent it, signed.
    Webhook,
    /// The server found its text on GitHub by itself.
    Rescan,
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
    /// Holds when the task was queued first, or approved, in milliseconds since 1970.
    pub queued_at_ms: i64,
    /// Counts the earlier runs that a time-out or a signal ended.
    pub retries: u32,
    /// Counts the earlier runs that were lost with their lane or server.
    pub losses: u32,
    /// Holds the brief.
    pub brief: BriefRow,
}

/// An earlier run of a task that ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EarlierRun {
    /// Names the run.
    pub run: String,
    /// Tells what ended it.
    pub reason: String,
}

/// Which tasks are wanted.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Takes those of one repository, by its id.
    pub repository: Option<u64>,
    /// Takes those of one thread, by its number.
    pub thread: Option<u64>,
    /// Takes those of one text: its kind and id.
    pub text: Option<(SourceKind, u64)>,
    /// Takes those whose text was written by then, in milliseconds since 1970.
    pub written_until_ms: Option<i64>,
    /// Takes that of one brief, by its whole id.
    pub brief: Option<String>,
    /// Takes those whose brief's or last run's id begins so.
    pub prefix: Option<String>,
    /// Takes only those that have not ended.
    pub open_only: bool,
    /// Bounds how many are returned.
    pub most: u32,
}

/// A task as people are shown it.
#[derive(Debug, Clone)]
pub struct TaskView {
    /// Holds the task's id.
    pub id: i64,
    /// Holds the brief.
    pub brief: BriefRow,
    /// Names the lane.
    pub lane: String,
    /// Tells where it stands.
    pub state: TaskState,
    /// Tells why it is blocked or cancelled.
    pub reason: Option<String>,
    /// Names the last run, if there was one.
    pub run: Option<String>,
    /// Tells whether the last run's work has ended and is published, or waits to be.
    pub publishing: bool,
    /// Tells whether somebody wants the last run stopped.
    pub stopping: bool,
    /// Holds the address of the pull request, if one was made.
    pub pull_request_url: Option<String>,
    /// Counts the processes that were found after the last run's end; `None` when nobody looked.
    pub processes_left: Option<u32>,
    /// Counts the runs that a time-out or a signal ended.
    pub retries: u32,
    /// Counts the runs that were lost.
    pub losses: u32,
    /// Holds the time before which it does not run, in milliseconds since 1970; 0 for at once.
    pub not_before_ms: i64,
    /// Tells whose runs it waits for, if a budget holds it back.
    pub held_by: Option<HeldBy>,
    /// Holds when it was queued first, in milliseconds since 1970.
    pub queued_at_ms: i64,
    /// Holds when its state changed last, in milliseconds since 1970.
    pub changed_at_ms: i64,
}

/// Whose runs are as many at a time as its budget allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBy {
    /// Those of the account that asked.
    User,
    /// Those of the repository.
    Repository,
}

impl HeldBy {
    pub(super) fn read(word: &str) -> Option<Self> {
        match word {
            "user" => Some(Self::User),
            "repository" => Some(Self::Repository),
            _ => None,
        }
    }
}

/// A run whose work has ended.
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
    /// Counts how often it was written anew after somebody had deleted it.
    pub rewritten: i64,
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
    /// The comment of a task that waits or runs, made when it is written.
    Living {
        /// Names the task's brief.
        brief: String,
    },
    /// A reaction to what holds the brief.
    Reaction {
        /// Tells to what.
        source: Source,
        /// Holds GitHub's word, such as `eyes`.
        content: String,
    },
    /// What a run made: its branch and pull request, found again by the branch's name.
    Publish {
        /// Names the run.
        run: String,
    },
    /// A check run beside a commit, found again by the run's id.
    CheckRun {
        /// Names the run.
        run: String,
        /// Holds the commit, 40 hex digits.
        commit: String,
        /// Holds GitHub's word for how it ended, such as `success`.
        conclusion: String,
        /// Tells that it is written only where it was before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        only_edit: bool,
        /// Holds the headline of its page.
        title: String,
        /// Holds the Markdown of its page.
        summary: String,
        /// Holds the logs, Markdown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Holds what stands beside lines of files.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        annotations: Vec<AnnotationText>,
        /// Names it, where that is not the server's usual name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Holds its buttons; `None` where it never has any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        buttons: Option<Vec<Button>>,
    },
    /// The check run of a run that works, made when it is written.
    LiveCheck {
        /// Names the brief.
        brief: String,
        /// Names the run.
        run: String,
        /// Holds the commit beside which it stands, 40 hex digits.
        commit: String,
    },
    /// The label that shows how a thread's briefs stand.
    Label {
        /// Names it; `None` when there is none.
        label: Option<String>,
        /// Tells that a brief waits for a label of its gate, which is made then so that people can choose it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        gates: bool,
    },
}

/// What a check run tells beside a line of a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AnnotationText {
    /// Holds the path relative to the repository's root.
    pub path: String,
    /// Holds the line, counted from 1.
    pub line: u32,
    /// Holds the column, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Holds `notice`, `warning` or `failure`.
    pub level: String,
    /// Holds what is told, plain text.
    pub message: String,
}

/// A button of a check run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Button {
    /// Holds what stands on it, at most 20 characters.
    pub label: String,
    /// Holds what is shown beside it, at most 40 characters.
    pub description: String,
    /// Holds what GitHub tells when somebody presses it, at most 20 characters.
    pub identifier: String,
}

impl Effect {
    /// Makes an effect that is owed to a brief's thread.
    pub fn for_brief(brief: &BriefRow, key: String, payload: EffectPayload) -> Self {
        Self {
            id: 0,
            key,
            installation_id: brief.installation_id,
            repository_id: brief.source.repository_id,
            repository: brief.repository.clone(),
            thread_number: brief.thread_number,
            payload,
            version: 0,
            remote_id: None,
            attempts: 0,
            rewritten: 0,
        }
    }
}

impl EffectPayload {
    /// Returns the word for the kind in the store.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Comment { .. } | Self::Living { .. } => "comment",
            Self::Reaction { .. } => "reaction",
            Self::Publish { .. } => "publish",
            Self::CheckRun { .. } | Self::LiveCheck { .. } => "check_run",
            Self::Label { .. } => "label",
        }
    }

    /// Tells whether it shows a task as it goes on, so that it yields to all else.
    pub fn is_progress(&self) -> bool {
        matches!(self, Self::Living { .. } | Self::LiveCheck { .. })
    }
}

/// What the server finds when it starts.
#[derive(Debug, Clone, Copy)]
pub struct CameUp {
    /// Holds when a server first served with this store, in milliseconds since 1970.
    pub first_start_ms: i64,
    /// Holds when the last server was alive last; the present time at the first start.
    pub alive_ms: i64,
    /// Holds the present time.
    pub now_ms: i64,
}

/// A delivery or a text that was missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Holds the GUID of the delivery, or what names a text that a rescan found.
    pub name: String,
    /// Tells what it is about, for people.
    pub what: String,
    /// Holds when it was delivered, or when the text was written, in milliseconds since 1970.
    pub at_ms: i64,
}

/// What became of something that was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MissedState {
    /// Nothing yet.
    Missed,
    /// GitHub was asked to deliver it again.
    Asked,
    /// It is here.
    Recovered,
    /// It could not be recovered.
    Lost,
}

impl MissedState {
    const ALL: [Self; 4] = [Self::Missed, Self::Asked, Self::Recovered, Self::Lost];

    /// Returns the word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Asked => "asked",
            Self::Recovered => "recovered",
            Self::Lost => "lost",
        }
    }

    /// Reads what [`MissedState::as_str`] wrote.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Something that was missed, and what became of it.
#[derive(Debug, Clone)]
pub struct MissedRow {
    /// Tells what it is.
    pub missed: Missed,
    /// Tells what became of it.
    pub state: MissedState,
    /// Counts how often GitHub was asked to deliver it again.
    pub asked: i64,
    /// Tells why it could not be recovered.
    pub reason: Option<String>,
    /// Tells what came of it once it was here, where that is asked for.
    pub outcome: Option<String>,
}

/// A text that a rescan found, as a delivery of its own.
#[derive(Debug, Clone)]
pub struct RescannedText {
    /// Names it.
    pub missed: Missed,
    /// Holds the event's name, which no webhook can have.
    pub event: String,
    /// Holds the body that is stored.
    pub body: Vec<u8>,
}

/// A time in which deliveries were missed, or could have been.
#[derive(Debug, Clone)]
pub struct Gap {
    /// Holds the row's id.
    pub id: i64,
    /// Holds when it began, in milliseconds since 1970.
    pub from_ms: i64,
    /// Holds when it ended.
    pub to_ms: i64,
    /// Holds when it was found.
    pub found_at_ms: i64,
    /// Holds when everything of it was recovered or given up.
    pub closed_at_ms: Option<i64>,
    /// Counts what was missed.
    pub missed: i64,
    /// Counts what of it is here.
    pub recovered: i64,
    /// Counts what of it could not be recovered.
    pub lost: i64,
    /// Counts what of it is waited for.
    pub waiting: i64,
    /// Tells what kept the server from looking at once, a line for each.
    pub note: Option<String>,
}

impl Gap {
    /// Returns the report in one line.
    pub fn summary(&self) -> String {
        format!(
            "from {} to {}: {} missed, {} recovered, {} lost, {} waited for",
            time_text(self.from_ms),
            time_text(self.to_ms),
            self.missed,
            self.recovered,
            self.lost,
            self.waiting
        )
    }
}

/// Writes a time of the store as people and programs read it: UTC, to the second.
pub fn time_text(ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
