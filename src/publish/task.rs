//! The answers to `/task list` and `/task show`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::format::{chars, code_within, inline_within, link, short};
use super::status::TaskLine;
use crate::queue::verdict::{CancelVerdict, PublishVerdict, RetryVerdict, StartVerdict};
use crate::queue::verdict::{cancel_verdict, publish_verdict, retry_verdict, start_verdict};
use crate::store::ApprovalRow;
use crate::store::models::TaskView;

/// Bounds a list, in characters.
const MAX_LIST: usize = 20_000;

/// Returns the newest tasks of a repository as a table.
pub fn task_list(lines: &[TaskLine]) -> String {
    if lines.is_empty() {
        return "No brief of this repository was accepted yet.".to_owned();
    }
    let mut out = String::from("| Brief | Thread | State | Lane | Result |\n|---|---|---|---|---|\n");
    for (shown, line) in lines.iter().enumerate() {
        if chars(&out) > MAX_LIST {
            let _ = writeln!(out, "\n… and {} more.", lines.len() - shown);
            break;
        }
        let pull = line.pull_request_url.as_deref().map_or("–".to_owned(), |url| link("pull request", url));
        // A number behind `#` would notify the thread that it was mentioned.
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {pull} |",
            link(&short(&line.brief), &line.source_url),
            line.thread,
            inline_within(&line.says, 200),
            inline_within(&line.lane, 100),
        );
    }
    out
}

/// Tells everything about a task that a thread may know.
pub fn task_page(task: &TaskView, line: &TaskLine, approval: Option<&ApprovalRow>) -> String {
    let brief = &task.brief;
    let mut out = format!("### Brief {}\n\n", link(&short(&brief.id.to_string()), &brief.source_url));
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(out, "- **{name}:** {value}");
    };
    let before = line.before.filter(|n| *n > 0).map_or(String::new(), |n| format!(", {n} before it"));
    fact("State", &format!("{}{before}", inline_within(&line.says, 400)));
    fact("Lane", &code_within(&task.lane, 100));
    fact("Asked for by", &inline_within(&brief.requested_by, 100));
    if brief.author_id != brief.requested_by_id {
        fact("Written by", &inline_within(&brief.author, 100));
    }
    fact("Queued", &time(task.queued_at_ms));
    fact("Changed last", &time(task.changed_at_ms));
    fact(
        "Text",
        &format!("block {} of its text, SHA-256 {}", brief.block_index + 1, short(&brief.text_digest)),
    );
    for earlier in &line.earlier {
        fact(
            "Earlier run",
            &format!("{}: {}", code_within(&earlier.run, 36), inline_within(&earlier.reason, 200)),
        );
    }
    if let Some(run) = &task.run {
        fact("Last run", &code_within(run, 36));
    }
    if let Some(approval) = approval {
        let by = approval
            .actor
            .as_ref()
            .map_or(String::new(), |(login, _)| format!(" by {}", inline_within(login, 100)));
        fact("Approval", &format!("{}{by}, digest {}", approval.state.as_str(), short(&approval.digest)));
    }
    if let Some(url) = &task.pull_request_url {
        fact("Result", &link("pull request", url));
    }
    if let Some(next) = next(task) {
        fact("What can be done", &next);
    }
    out
}

/// Names the commands that would change something.
fn next(task: &TaskView) -> Option<String> {
    let id = task.brief.id.short();
    let commands = [
        (start_verdict(task.state) == StartVerdict::Start, "/work start"),
        (retry_verdict(task.state) == RetryVerdict::Retry, "/work retry"),
        (publish_verdict(task.state, task.publishing) == PublishVerdict::Publish, "/work publish"),
        (cancel_verdict(task.state) == CancelVerdict::Cancel, "/work cancel"),
        (cancel_verdict(task.state) == CancelVerdict::Runs && !task.publishing, "/stop"),
    ];
    let can: Vec<String> =
        commands.into_iter().filter(|(can, _)| *can).map(|(_, words)| format!("`{words} {id}`")).collect();
    (!can.is_empty()).then(|| can.join(", "))
}

fn time(ms: i64) -> String {
    let at: DateTime<Utc> = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::approval::tests::task;
    use super::super::comment::tests::assert_sound;
    use super::super::inert::tests::hostile;
    use super::*;
    use crate::queue::task::{BlockReason, TaskState};

    fn page(state: TaskState) -> String {
        let view = task(state);
        task_page(&view, &TaskLine::new(&view, vec![], 1, 0), None)
    }

    #[test]
    fn a_page_tells_what_can_be_done_next() {
        let waits = page(TaskState::Blocked(BlockReason::AwaitingStart));
        assert!(waits.contains("`/work start ") && waits.contains("`/work cancel "), "{waits}");
        let failed = page(TaskState::Failed);
        assert!(failed.contains("`/work retry ") && !failed.contains("/stop"), "{failed}");
        assert!(page(TaskState::Running).contains("`/stop "));
        assert!(!page(TaskState::Done).contains("What can be done"));
        assert!(task_list(&[]).contains("No brief"));
    }

    proptest! {
        #[test]
        fn pages_and_lists_are_sound_whatever_stands_in_them(text in hostile()) {
            let mut view = task(TaskState::Cancelled);
            view.lane.clone_from(&text);
            view.reason = Some(text.clone());
            view.brief.requested_by = text;
            let line = TaskLine::new(&view, vec![], 0, 0);
            let own = view.brief.source_url.as_str();
            assert_sound(&task_page(&view, &line, None), &[], &[own]);
            assert_sound(&task_list(&[line.clone(), line]), &[], &[own]);
        }
    }
}
