//! What a run reports: its steps, how each ended, and what was logged.

use serde::{Deserialize, Serialize};

use crate::run::changeset::FileMode;
use crate::run::network::NetworkReport;
use crate::run::output::OutputReport;
use crate::run::problem_lines::ProblemLine;
use crate::store::models::EarlierRun;

/// How one step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Ended with exit code 0.
    Succeeded,
    /// Ended with another exit code or by a signal.
    Failed,
    /// Was ended because its wall time was over.
    WallTimeout,
    /// Was ended because it printed nothing for the idle time.
    IdleTimeout,
    /// Was ended because its processes used more memory than the lane gives.
    OverMemory,
    /// Was ended because the run's folders held more than the lane gives.
    OverDisk,
    /// Was ended because the run was stopped.
    Stopped,
    /// Never started: an earlier step failed, or the step's own condition did not hold.
    Skipped,
}

impl StepStatus {
    /// Returns the words for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::WallTimeout => "over its time",
            Self::IdleTimeout => "silent too long",
            Self::OverMemory => "over its memory",
            Self::OverDisk => "over its disk space",
            Self::Stopped => "stopped",
            Self::Skipped => "skipped",
        }
    }
}

/// One step's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// Names the step as the brief does.
    pub name: String,
    /// Tells how the step ended.
    pub status: StepStatus,
    /// Tells that the step failed and the run went on as if it had not, as its brief says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tolerated: bool,
    /// Holds bash's exit code; `None` when a limit ended it, or when it never started. In a sandbox a
    /// code from 129 to 192 stands here and as `signal`, since bubblewrap does not tell them apart.
    pub exit_code: Option<i32>,
    /// Holds the number of the signal that ended it.
    pub signal: Option<i32>,
    /// Holds the wall time in milliseconds.
    pub duration_ms: u64,
    /// Holds what was printed, within bounds.
    pub log: LogSummary,
}

impl StepReport {
    /// Tells whether the step makes its run fail.
    pub fn failed(&self) -> bool {
        !self.tolerated && !matches!(self.status, StepStatus::Succeeded | StepStatus::Skipped)
    }
}

/// What is kept of a step's output: bytes are counted after redaction, text is lossy UTF-8.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSummary {
    /// Counts all bytes that the step printed.
    pub total_bytes: u64,
    /// Counts the bytes between head and tail that were dropped.
    pub omitted_bytes: u64,
    /// Holds the last lines, at most [`crate::config::Limits::comment_tail_bytes`].
    pub tail: String,
    /// Holds the SHA-256 of the stored log, in hex; empty when the step never started.
    #[serde(default)]
    pub sha256: String,
}

/// How a whole run ended, by the words of protocol row P8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Every step succeeded and every output was made.
    Success,
    /// Some outputs were made.
    Partial,
    /// A step failed, or no output could be made.
    Failure,
}

/// Why a run did not succeed, in a user's words; the codes stand in `docs/messages.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Names the message.
    pub code: String,
    /// Tells what happened.
    pub message: String,
    /// Tells what to do.
    pub help: String,
}

/// One changed path of a run, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSummary {
    /// Holds the path relative to the repository's root, `/` between its parts.
    pub path: String,
    /// Tells what happened to it.
    pub kind: ChangeKind,
    /// Counts the lines that came in; 0 for a binary file.
    pub added_lines: u64,
    /// Counts the lines that went out; 0 for a binary file.
    pub removed_lines: u64,
    /// Tells whether its content is not text.
    pub binary: bool,
    /// Tells whether the brief declares it.
    pub declared: bool,
    /// Holds the mode before the run; `None` where there was no file.
    #[serde(default)]
    pub old_mode: Option<FileMode>,
    /// Holds the mode after the run; `None` where there is no file.
    #[serde(default)]
    pub new_mode: Option<FileMode>,
    /// Holds where a changed symbolic link leads.
    #[serde(default)]
    pub link: Option<String>,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The path is new.
    Added,
    /// The path's content or mode is another.
    Modified,
    /// The path is gone.
    Deleted,
}

/// Who approved a run, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedBy {
    /// Names the account.
    pub login: String,
    /// Holds when, in milliseconds since 1970.
    pub at_ms: i64,
    /// Holds what they wrote beside it; may be empty.
    pub reason: String,
}

/// Everything that a finished run tells; it is stored, and comment, pull request and history are
/// made from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// Names the run (UUID v7).
    pub run: String,
    /// Names the brief: 64 lower-case hex digits; people are shown the first 12.
    pub brief: String,
    /// Holds the SHA-256 of the block's text: 64 lower-case hex digits.
    pub text_digest: String,
    /// Names the lane.
    pub executor: String,
    /// Names the repository as `owner/name`.
    pub repo: String,
    /// Names the base branch.
    pub branch: String,
    /// Tells how the run ended.
    pub status: RunStatus,
    /// Tells why it did not succeed.
    pub problem: Option<Problem>,
    /// Holds the commit that the checkout was made from: 40 hex digits; `None` if there was none.
    pub base_commit: Option<String>,
    /// Holds the time at which the run started, in milliseconds since 1970.
    pub started_at_ms: i64,
    /// Holds the time at which the run ended, in milliseconds since 1970.
    pub ended_at_ms: i64,
    /// Holds each step of the brief, also those that never started.
    pub steps: Vec<StepReport>,
    /// Holds what the run changed, declared or not, sorted by path.
    pub changes: Vec<ChangeSummary>,
    /// Holds the changes as a unified diff, cut to a bound.
    pub diff: String,
    /// Tells whether `diff` was cut.
    pub diff_cut: bool,
    /// Names the branch that was pushed.
    pub head_branch: Option<String>,
    /// Holds the commit that was pushed: 40 hex digits.
    pub head_commit: Option<String>,
    /// Holds the pull request's number.
    pub pull_request: Option<u64>,
    /// Holds the pull request's address.
    pub pull_request_url: Option<String>,
    /// Holds the earlier runs of the same brief that ended without a result, oldest first.
    #[serde(default)]
    pub earlier: Vec<EarlierRun>,
    /// Counts the processes that were found after its end and could not be ended either; `None` where
    /// nobody looked.
    #[serde(default)]
    pub processes_left: Option<usize>,
    /// Tells that the lane has no sandbox, so that a process which hides is not among those looked for.
    #[serde(default)]
    pub bare: bool,
    /// Tells what the steps reached and what they were refused; `None` where the lane has no list.
    #[serde(default)]
    pub network: Option<NetworkReport>,
    /// Holds each output that the brief asks for, in its order, once its steps have succeeded.
    #[serde(default)]
    pub outputs: Vec<OutputReport>,
    /// Tells who approved it; `None` where that was not needed.
    #[serde(default)]
    pub approved: Option<ApprovedBy>,
    /// Holds the places in files that its steps told of.
    #[serde(default)]
    pub problem_lines: Vec<ProblemLine>,
    /// Holds the head of the pull request in whose thread its brief stands: 40 hex digits.
    #[serde(default)]
    pub thread_head: Option<String>,
}
