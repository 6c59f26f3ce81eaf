//! Answers to commands, and notices of what was cancelled: pure functions, one a text.

use std::fmt::Write as _;

use crate::command::{Entry, MAX_COMMANDS, TABLE, Usage, Wrong};
use crate::queue::task::{BlockReason, TaskState};
use crate::queue::verdict::{CancelVerdict, PublishVerdict, RetryVerdict, StartVerdict, StopVerdict};
use crate::run::report::Problem;
use crate::store::models::TaskView;

use super::comment::marker;
use super::format::{chars, code_within, inline_within, link, sentence_within, short};

/// Bounds the tasks that an answer lists.
const MAX_LISTED: usize = 50;

/// Bounds the parts of an answer, in characters; GitHub takes 65,536.
const MAX_PARTS: usize = 60_000;

/// Returns the comment that answers the commands of a text, one part a command.
pub fn answer_comment(parts: &[String], key: &str) -> String {
    let mut out = marker("notice", key);
    let mut room = MAX_PARTS;
    for (at, part) in parts.iter().enumerate() {
        let size = chars(part) + 2;
        if size > room {
            let _ = write!(out, "\n\n{} more answers find no room here.", parts.len() - at);
            break;
        }
        room -= size;
        let _ = write!(out, "{}{part}", if at == 0 { "\n" } else { "\n\n" });
    }
    out.push('\n');
    out
}

/// Tells what stopping one task comes to.
pub fn stop_part(task: &TaskView, verdict: StopVerdict) -> String {
    let brief = brief(task);
    match (verdict, task.state) {
        (StopVerdict::Cancel, TaskState::Blocked(BlockReason::Publishing | BlockReason::Quarantined)) => {
            format!(
                "⏹️ {brief} is cancelled. What it made is kept, and `codex-brief patch` prints it on the server."
            )
        }
        (StopVerdict::Cancel, _) => format!("⏹️ {brief} is cancelled; it was waiting and will not run."),
        (StopVerdict::End, _) => {
            format!("⏹️ {brief} is being stopped; its result comment tells where it was.")
        }
        (StopVerdict::Ending, _) => format!("{brief} is being stopped already."),
        (StopVerdict::TooLate, _) => {
            format!("{brief} is not stopped: its work has ended and is being published.")
        }
        (StopVerdict::Over, state) => format!("{brief} has ended already: {}.", state.as_str()),
    }
}

/// Tells that a thread has nothing to stop; `last` is its last task, if it had any.
pub fn nothing_to_stop(last: Option<&TaskView>) -> String {
    match last {
        None => "There is nothing to stop: no brief of this thread was accepted.".to_owned(),
        Some(task) => format!(
            "There is nothing to stop. {} was the last of this thread, and it has ended: {}.",
            brief(task),
            task.state.as_str()
        ),
    }
}

/// Tells what publishing one task again comes to.
pub fn publish_part(task: &TaskView, verdict: PublishVerdict) -> String {
    let brief = brief(task);
    match (verdict, task.state) {
        (PublishVerdict::Publish, _) => {
            format!("⏫ {brief} is being published again; its result comment tells how that ends.")
        }
        (PublishVerdict::Publishing, _) => format!("{brief} is being published already."),
        (PublishVerdict::TooEarly, state) => {
            format!("{brief} has nothing to publish yet: it is {}.", state.as_str())
        }
        (PublishVerdict::Nothing, _) => {
            format!("{brief} has nothing to publish: it was blocked before its work had ended.")
        }
        (PublishVerdict::Over, state) => format!("{brief} has ended already: {}.", state.as_str()),
    }
}

/// Tells that the policy keeps somebody from a task.
pub fn kept_out_part(task: &TaskView, login: &str) -> String {
    let login = inline_within(login, 100);
    format!("⛔ The policy of the lane lets {login} do nothing with {}.", lower(&brief(task)))
}

fn lower(brief: &str) -> String {
    brief.replacen("Brief", "brief", 1)
}

/// Tells that nothing of a thread waits to be published.
pub fn nothing_to_publish() -> String {
    "There is nothing to publish: no brief of this thread waits for that. `/work status` tells where each stands."
        .to_owned()
}

/// Tells that a thread has no tasks.
pub fn nothing_known() -> String {
    "No brief of this thread was accepted yet.".to_owned()
}

/// Tells that no task of the repository is named so.
pub fn unknown_task(name: &str) -> String {
    format!(
        "No brief or run of this repository begins with {}. `/work status` lists those of this thread.",
        code_within(name, 80)
    )
}

/// Tells that several tasks of the repository are named so.
pub fn ambiguous_task(name: &str, tasks: &[TaskView]) -> String {
    let briefs: Vec<String> = tasks.iter().take(MAX_LISTED).map(brief).collect();
    format!("{} is the beginning of several: {}. Write more of it.", code_within(name, 80), briefs.join(", "))
}

/// Tells how a command is written that could not be read.
pub fn usage_part(usage: &Usage) -> String {
    let line = code_within(&usage.line, 200);
    let wrong = match &usage.wrong {
        Wrong::NoWord(group) => format!("it lacks a word behind `{group}`"),
        Wrong::Word(words, None) => format!("there is no {}", code_within(words, 100)),
        Wrong::Word(words, Some(meant)) => {
            format!("there is no {}; did you mean `{meant}`?", code_within(words, 100))
        }
        Wrong::Task(word) => format!(
            "{} names no brief or run: write at least 6 digits of the id that the comments show",
            code_within(word, 100)
        ),
        Wrong::NoTask => "write at least 6 digits of a brief's or run's id behind it".to_owned(),
        Wrong::NoDigest => {
            "write the digest behind it, whole, as the comment that asks for approval shows it".to_owned()
        }
        Wrong::NoReason => "write the reason behind the digest".to_owned(),
        Wrong::TooMuch => "nothing may stand behind it on its line".to_owned(),
    };
    // Those that begin as the line does, or all of them.
    let group = usage.line.split_whitespace().next().unwrap_or_default().to_lowercase();
    let alike = |entry: &&Entry| entry.words.split(' ').next() == Some(group.as_str());
    let mut out = format!("❓ {line} was not obeyed: {wrong}\n\n");
    for entry in TABLE.iter().filter(alike) {
        let _ = writeln!(out, "- `{}{}` {}", entry.words, entry.arguments, entry.does);
    }
    out.push_str("\n`/help` lists all commands.");
    out
}

/// Tells that somebody's decision on a brief counts.
pub fn decided_part(task: &TaskView) -> String {
    format!("{} is decided; the comment that asked for it tells how.", brief(task))
}

/// Tells what cancelling one task comes to.
pub fn cancel_part(task: &TaskView, verdict: CancelVerdict) -> String {
    match verdict {
        CancelVerdict::Cancel => stop_part(task, StopVerdict::Cancel),
        CancelVerdict::Runs => {
            format!("{} is not cancelled: it has a run. `/stop` ends what runs.", brief(task))
        }
        CancelVerdict::Over => stop_part(task, StopVerdict::Over),
    }
}

/// Tells that a thread has nothing to cancel.
pub fn nothing_to_cancel() -> String {
    "There is nothing to cancel: no brief of this thread waits. `/stop` ends what runs.".to_owned()
}

/// Tells that nothing of a thread waits to be started.
pub fn nothing_to_start() -> String {
    "There is nothing to start: no brief of this thread waits for it. `/work status` tells where each stands, and \
     `/work retry` runs one once more."
        .to_owned()
}

/// Tells that a task was started.
pub fn started_part(task: &TaskView) -> String {
    format!("▶️ {} is started; its result comment tells how it ends.", brief(task))
}

/// Tells why a task is not started.
pub fn start_part(task: &TaskView, verdict: StartVerdict) -> String {
    let brief = brief(task);
    match verdict {
        StartVerdict::Start => started_part(task),
        StartVerdict::Waits => format!("{brief} waits for its lane already."),
        StartVerdict::Unapproved => {
            format!("{brief} waits for approval: `/approve` with the digest of the comment that asks for it.")
        }
        StartVerdict::Runs => format!("{brief} has a run already."),
        StartVerdict::Over => format!(
            "{brief} had its run: it is {}. `/work retry` runs it once more, `/work publish` publishes what GitHub did \
             not take.",
            task.state.as_str()
        ),
    }
}

/// Tells what running one task once more comes to.
pub fn retry_part(task: &TaskView, verdict: RetryVerdict) -> String {
    let brief = brief(task);
    match verdict {
        RetryVerdict::Retry => {
            format!("🔁 {brief} is run once more, as it is stored; its result comment tells how it ends.")
        }
        RetryVerdict::Waits => format!("{brief} waits for its lane already, so it is not run twice."),
        RetryVerdict::WaitsForSomebody => {
            format!("{brief} waits for somebody: `/work status` tells for what. It has had no run yet.")
        }
        RetryVerdict::Runs => {
            format!("{brief} is not run once more: it has a run that has not ended. `/stop` ends it.")
        }
        RetryVerdict::Unpublished => {
            format!("{brief} is not run once more: its work is done and kept. `/work publish` publishes it.")
        }
        RetryVerdict::Done => {
            format!(
                "{brief} is not run once more: it ended with all it asked for. Post it again, if it shall."
            )
        }
    }
}

/// Tells why a task is neither started nor run once more.
pub fn not_queued_part(task: &TaskView, problem: &Problem) -> String {
    format!(
        "⛔ {} does not run: {} {} ({})",
        brief(task),
        sentence_within(&problem.message, 1_000),
        sentence_within(&problem.help, 500),
        code_within(&problem.code, 60)
    )
}

/// Tells that an earlier command of the same text wants something else of a task.
pub fn touched_part(task: &TaskView) -> String {
    format!("{} is not run once more: an earlier command of the same text is about it.", brief(task))
}

/// Tells that a text holds more commands than are obeyed.
pub fn too_many_part(more: usize) -> String {
    let (s, were) = if more == 1 { ("", "was") } else { ("s", "were") };
    format!("❓ {more} more command{s} of this text {were} not obeyed; it may hold {MAX_COMMANDS}.")
}

/// Returns the notice that briefs were cancelled; `why` tells what was taken back.
pub fn cancelled_comment(tasks: &[TaskView], actor: &str, why: &str, key: &str) -> String {
    let briefs: Vec<String> = tasks.iter().take(MAX_LISTED).map(brief).collect();
    let (verb, they) = if tasks.len() == 1 { ("is", "it") } else { ("are", "they") };
    format!(
        "{}\n⏹️ {} {verb} cancelled, since {} ({}); {they} will not run.\n",
        marker("notice", key),
        briefs.join(", "),
        inline_within(why, 200),
        inline_within(actor, 100)
    )
}

fn brief(task: &TaskView) -> String {
    let id = short(&task.brief.id.to_string());
    format!("Brief {}", link(&id, &task.brief.source_url))
}

#[cfg(test)]
mod tests;
