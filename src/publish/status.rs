//! Where tasks stand: as lines for programs, as a table for a comment, as text for a terminal.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::queue::task::{BlockReason, TaskState};
use crate::store::models::{EarlierRun, HeldBy, TaskView};

use super::format::{chars, id_span, inline_within, link, short};
use super::inert::truncate_middle;
use super::terminal::line as one_line;

/// Bounds the runs of a task that are listed.
const MAX_RUNS: usize = 10;

/// Bounds a table, in characters; the row that crosses it is the last.
const MAX_TABLE: usize = 25_000;

/// A task with what is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLine {
    /// Holds the task's id.
    pub task: i64,
    /// Holds the brief's id.
    pub brief: String,
    /// Names the repository.
    pub repository: String,
    /// Holds the thread's number.
    pub thread: u64,
    /// Holds the address of the text that the brief stands in.
    pub source_url: String,
    /// Names the lane.
    pub lane: String,
    /// Holds the state's word.
    pub state: String,
    /// Tells why it is blocked, in one word.
    pub block_reason: Option<String>,
    /// Tells the state with its reason, for people.
    pub says: String,
    /// Tells whether its work has ended and is being published.
    pub publishing: bool,
    /// Tells whether somebody wants it stopped.
    pub stopping: bool,
    /// Names its last run.
    pub run: Option<String>,
    /// Holds the runs that ended without a result.
    pub earlier: Vec<EarlierRun>,
    /// Counts the queued tasks before it on its lane; `None` when it is not queued.
    pub before: Option<u64>,
    /// Holds the address of its pull request.
    pub pull_request_url: Option<String>,
    /// Counts the processes that were left after its last run; `None` when nobody looked.
    pub processes_left: Option<u32>,
}

impl TaskLine {
    /// Makes the line of a task; `earlier` are its runs without a result, `before` counts the queued
    /// tasks before it on its lane.
    pub fn new(view: &TaskView, earlier: Vec<EarlierRun>, before: u64, now_ms: i64) -> Self {
        Self {
            task: view.id,
            brief: view.brief.id.to_string(),
            repository: view.brief.repository.clone(),
            thread: view.brief.thread_number,
            source_url: view.brief.source_url.clone(),
            lane: view.lane.clone(),
            state: view.state.as_str().to_owned(),
            block_reason: view.state.block_reason().map(|reason| reason.as_str().to_owned()),
            says: says(view, &earlier, now_ms),
            publishing: view.publishing && view.state == TaskState::Running,
            stopping: view.stopping,
            run: view.run.clone(),
            before: (view.state == TaskState::Queued).then_some(before),
            earlier,
            pull_request_url: view.pull_request_url.clone(),
            processes_left: view.processes_left,
        }
    }
}

fn says(view: &TaskView, earlier: &[EarlierRun], now_ms: i64) -> String {
    let because = |word: &str| match view.reason.as_deref() {
        Some(reason) => format!("{word}: {reason}"),
        None => word.to_owned(),
    };
    match view.state {
        TaskState::Queued => queued(view, earlier, now_ms),
        TaskState::Running if view.publishing => "being published".to_owned(),
        TaskState::Running if view.stopping => "being stopped".to_owned(),
        TaskState::Running => "running".to_owned(),
        TaskState::Blocked(BlockReason::Publishing) => because("not published"),
        TaskState::Blocked(BlockReason::Quarantined) => because("blocked"),
        TaskState::Blocked(BlockReason::AwaitingApproval) => because("awaiting approval"),
        TaskState::Blocked(BlockReason::AwaitingStart) => because("waits to be started"),
        TaskState::Done | TaskState::Failed | TaskState::Cancelled => because(view.state.as_str()),
    }
}

/// Tells both that a run failed and that another follows.
fn queued(view: &TaskView, earlier: &[EarlierRun], now_ms: i64) -> String {
    let held = match view.held_by {
        Some(HeldBy::User) => {
            format!(
                ", waits for a run of `{}`, who has as many at a time as allowed",
                view.brief.requested_by
            )
        }
        Some(HeldBy::Repository) => {
            ", waits for a run of the repository, which has as many at a time as allowed".to_owned()
        }
        None => String::new(),
    };
    let Some(last) = earlier.last() else { return format!("queued{held}") };
    let word = if view.retries > 0 { "failed" } else { "lost" };
    let wait = view.not_before_ms.saturating_sub(now_ms);
    match wait {
        ..=0 => format!("{word} ({}), waits to run again{held}", last.reason),
        _ => format!("{word} ({}), run again in {} s", last.reason, (wait + 999) / 1_000),
    }
}

/// Returns a Markdown table of tasks.
pub fn status_table(lines: &[TaskLine]) -> String {
    let mut out = String::from("| Brief | State | Lane | Runs so far | Result |\n|---|---|---|---|---|\n");
    for (shown, line) in lines.iter().enumerate() {
        if chars(&out) > MAX_TABLE {
            let _ = writeln!(out, "\n… and {} more.", lines.len() - shown);
            break;
        }
        let brief = link(&short(&line.brief), &line.source_url);
        let before = match line.before {
            None | Some(0) => String::new(),
            Some(n) => format!(", {n} before it"),
        };
        let runs: Vec<String> = runs(line)
            .map(|(run, why)| format!("{}: {}", id_span(&run, 36), inline_within(&why, 120)))
            .collect();
        let pull = line.pull_request_url.as_deref().map_or("–".to_owned(), |url| link("pull request", url));
        let _ = writeln!(
            out,
            "| {brief} | {}{before} | {} | {} | {pull} |",
            inline_within(&line.says, 400),
            inline_within(&line.lane, 100),
            if runs.is_empty() { "–".to_owned() } else { runs.join("; ") },
        );
    }
    out
}

/// Returns tasks for a terminal, one a line, with their runs below.
pub fn status_text(lines: &[TaskLine]) -> String {
    let mut out = String::new();
    for line in lines {
        let place = one_line(&format!("{}#{}", line.repository, line.thread));
        let before = line.before.filter(|n| *n > 0).map_or(String::new(), |n| format!(", {n} before it"));
        let says = one_line(&truncate_middle(&line.says, 400));
        let brief = line.brief.get(..12).unwrap_or(&line.brief);
        let _ = writeln!(out, "{brief}  {place}  {}  {says}{before}", one_line(&line.lane));
        for (run, why) in runs(line) {
            let _ = writeln!(out, "              run {}: {}", one_line(&run), one_line(&why));
        }
        if let Some(url) = &line.pull_request_url {
            let _ = writeln!(out, "              {}", one_line(url));
        }
    }
    out
}

/// Returns the runs of a task, each with what became of it.
fn runs(line: &TaskLine) -> impl Iterator<Item = (String, String)> {
    let told = |run: &String| line.earlier.iter().any(|earlier| earlier.run == *run);
    let last = line.run.as_ref().filter(|run| !told(run)).map(|run| (run.clone(), line.state.clone()));
    let earlier = line.earlier.iter().take(MAX_RUNS).map(|run| (run.run.clone(), run.reason.clone()));
    earlier.chain(last).collect::<Vec<_>>().into_iter()
}
