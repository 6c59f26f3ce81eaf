//! What is entered into the audit log of a text's commands and briefs: who wanted what, and what was refused.

use crate::brief::{Diagnostic, Extraction, Fence, text_digest};
use crate::command::{Command, Commands, Found};
use crate::store::audit::{Actor, Entry, Status, Target, TargetRepository};
use crate::webhook::event::{Pressed, TextEvent};

/// Tells of a command that was looked at, and how many tasks it changed; a decision that changes none was
/// refused.
pub(super) fn command(event: &TextEvent, found: &Found, changed: usize) -> Entry {
    let entry = entry(event, "command", &found.words);
    match &found.command {
        Ok(Command::Approve(_) | Command::Reject(_)) if changed == 0 => {
            entry.ended(Status::Refused).with("error", "nothing came of it; the thread is told why")
        }
        Ok(_) => entry.with("tasks_changed", changed.to_string()),
        Err(_) => entry.ended(Status::Refused).with("error", "it is no command of this program"),
    }
}

/// Tells of all briefs and commands of a text that somebody may not have run.
pub(super) fn not_allowed(
    event: &TextEvent,
    extraction: &Extraction,
    commands: &Commands,
    error: &str,
) -> Vec<Entry> {
    let briefs = extraction.fences.iter().map(|fence| brief(event, fence));
    let commands = commands.found.iter().map(|found| entry(event, "command", &found.words));
    let refused = |entry: Entry| entry.ended(Status::Refused).with("error", error);
    briefs.chain(commands).map(refused).collect()
}

/// Tells of a brief that is not taken because of what is wrong with it.
pub(super) fn wrong(event: &TextEvent, fence: &Fence, found: &[Diagnostic]) -> Entry {
    let codes: Vec<&str> = found.iter().map(|one| one.code).collect();
    brief(event, fence).ended(Status::Refused).with("error", codes.join(", "))
}

/// Tells of a button that somebody pressed for nothing.
pub(super) fn pressed(event: &Pressed, thread: u64, task: i64, error: &str) -> Entry {
    let target = Target {
        repository: Some(TargetRepository { id: event.home.id, name: event.home.name.to_string() }),
        thread: Some(thread),
        task: Some(task),
        ..Target::default()
    };
    let actor = Actor::account(&event.sender.login, event.sender.id);
    Entry::new("button", actor, &event.identifier).about(target).ended(Status::Refused).with("error", error)
}

fn brief(event: &TextEvent, fence: &Fence) -> Entry {
    entry(event, "brief", &event.url).with("text_sha256", text_digest(&fence.text).to_string())
}

fn entry(event: &TextEvent, action: &str, reason: &str) -> Entry {
    let target = Target {
        repository: Some(TargetRepository { id: event.home.id, name: event.home.name.to_string() }),
        thread: Some(event.thread.number),
        ..Target::default()
    };
    Entry::new(action, Actor::account(&event.sender.login, event.sender.id), reason).about(target)
}
