//! Texts that are deleted and threads that are closed: what waits of them is cancelled.

use super::Server;
use super::operate::{self, Asker, MOST_LISTED};
use crate::config::OnWithdrawal;
use crate::publish::answer;
use crate::queue::task::{BlockReason, TaskState};
use crate::queue::verdict::StopVerdict;
use crate::store::models::{Effect, EffectPayload, TaskFilter, TaskView};
use crate::store::{Intake, StoreError, Withdrawal};
use crate::webhook::event::{What, Withdrawn};

/// Decides what a withdrawal leads to; reads the store, and writes nothing.
pub(super) async fn look(server: &Server, event: &Withdrawn) -> Result<Intake, StoreError> {
    let (repository, number) = (event.home.id, event.thread.number);
    let (withdrawal, why) = match event.what {
        What::Text(source) => (Withdrawal::Text(source), "its comment was deleted"),
        What::Closed(at_ms) => (Withdrawal::Thread { repository, number, at_ms }, "its thread was closed"),
        What::Gone => (Withdrawal::Thread { repository, number, at_ms: i64::MAX }, "its thread is gone"),
        What::Reopened(at_ms) => {
            let withdrawn = Some(Withdrawal::Reopened { repository, number, at_ms });
            let ignored = Some("the thread was opened again; what is written from now on counts".to_owned());
            return Ok(Intake { withdrawn, ignored, ..Intake::default() });
        }
    };
    let mut intake = Intake { withdrawn: Some(withdrawal), ..Intake::default() };
    let asker = Asker { actor: &event.actor, actor_id: event.actor_id, why };
    let mut cancelled = Vec::new();
    for task in affected(server, event).await? {
        let stops = server.config.queue.running_on_withdrawal == OnWithdrawal::Stop;
        match operate::stop(&task, asker) {
            // What else is blocked has been worked on; it waits for a person, not for its text.
            (StopVerdict::Cancel, Some(change))
                if matches!(
                    task.state,
                    TaskState::Queued
                        | TaskState::Blocked(BlockReason::AwaitingApproval | BlockReason::AwaitingStart)
                ) =>
            {
                intake.changes.push(change);
                cancelled.push(task);
            }
            (StopVerdict::End, Some(change)) if stops => intake.changes.push(change),
            _ => {}
        }
    }
    if intake.changes.is_empty() {
        intake.ignored = Some("nothing that waits or may be stopped came from it".to_owned());
    }
    // Nobody reads in a thread that is gone.
    if !cancelled.is_empty() && event.what != What::Gone {
        intake.effects.push(notice(event, &cancelled, why));
    }
    Ok(intake)
}

/// Returns the open tasks that came from what is withdrawn.
async fn affected(server: &Server, event: &Withdrawn) -> Result<Vec<TaskView>, StoreError> {
    let all = TaskFilter {
        repository: Some(event.home.id),
        open_only: true,
        most: MOST_LISTED * 20,
        ..TaskFilter::default()
    };
    let number = Some(event.thread.number);
    let filter = match event.what {
        What::Text(source) => TaskFilter { text: Some((source.kind, source.id)), ..all },
        What::Closed(at_ms) => {
            let (_, reopened) = server.store.thread_times(event.home.id, event.thread.number).await?;
            let until = if reopened >= at_ms { at_ms - 1 } else { at_ms };
            TaskFilter { thread: number, written_until_ms: Some(until), ..all }
        }
        What::Gone | What::Reopened(_) => TaskFilter { thread: number, ..all },
    };
    server.store.tasks(&filter).await
}

fn notice(event: &Withdrawn, cancelled: &[TaskView], why: &str) -> Effect {
    let what = match event.what {
        What::Text(source) => format!("{}:{}", source.kind, source.id),
        What::Closed(at) | What::Reopened(at) => format!("thread:{}:{at}", event.thread.number),
        What::Gone => format!("thread:{}", event.thread.number),
    };
    let key = format!("withdrawn:{}:{what}", event.home.id);
    let body = answer::cancelled_comment(cancelled, &event.actor, why, &key);
    let marker = body.lines().next().unwrap_or_default().to_owned();
    Effect {
        id: 0,
        key,
        installation_id: event.home.installation_id,
        repository_id: event.home.id,
        repository: event.home.name.to_string(),
        thread_number: event.thread.number,
        payload: EffectPayload::Comment { marker, body },
        version: 0,
        remote_id: None,
        attempts: 0,
        rewritten: 0,
    }
}

/// Tells why a text does not count any more, if it was withdrawn before it was looked at.
pub(super) async fn withdrawn_before(
    server: &Server,
    event: &crate::webhook::event::TextEvent,
) -> Result<Option<&'static str>, StoreError> {
    if server.store.is_gone(event.source).await? {
        return Ok(Some("its text was deleted"));
    }
    let (closed, reopened) = server.store.thread_times(event.home.id, event.thread.number).await?;
    let at = event.updated_at_ms;
    let withdrawn = at < closed || (at == closed && reopened < closed);
    if withdrawn {
        return Ok(Some("its thread was closed after it was written"));
    }
    let stopped = server.store.thread_stopped_at(event.home.id, event.thread.number).await?;
    Ok((at < stopped).then_some("everything in its thread was stopped after it was written"))
}
