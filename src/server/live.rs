//! The look at a text as it is now, before a late delivery of it is taken: meanwhile it may have been edited,
//! deleted, or its thread closed.

use chrono::Utc;

use super::attempt::problem;
use super::intake::LookError;
use super::{Server, locate};
use crate::brief::{extract, text_digest};
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::github::texts::ThreadState;
use crate::run::report::Problem;
use crate::store::models::{BriefRow, ClaimedTask, Origin, PendingDelivery};
use crate::webhook::event::TextEvent;

/// A delivery that is looked at so long after its text was written is late, in milliseconds.
const LATE_MS: i64 = 60_000;

/// Tells why a late delivery does nothing any more, if it is one that does not. What runs is its own text
/// all the same, never the one that is looked at here.
pub(super) async fn outdated(
    server: &Server,
    delivery: &PendingDelivery,
    event: &TextEvent,
) -> Result<Option<&'static str>, LookError> {
    let late = delivery.origin == Origin::Rescan
        || Utc::now().timestamp_millis().saturating_sub(event.updated_at_ms) > LATE_MS
        || server.store.was_missed(&delivery.guid).await?;
    if !late {
        return Ok(None);
    }
    let home = &event.home;
    let location = locate::find(server, home.id, home.installation_id, &home.name.to_string()).await?;
    let place = location.place();
    match server.github.thread_state(place, event.thread.number).await? {
        ThreadState::Open => {}
        ThreadState::Closed => return Ok(Some("it came late, and its thread is closed by now")),
        ThreadState::Gone => return Ok(Some("it came late, and its thread is gone by now")),
    }
    let live = server.github.text(place, event.thread.number, event.source).await?;
    Ok(match live {
        None => Some("it came late, and its text is deleted by now"),
        Some(live) if live.body != event.text => Some("it came late, and its text was edited meanwhile"),
        Some(_) => None,
    })
}

/// Tells why a task that waited since before this start, or that ran before, does not run any more: what was
/// withdrawn while the server was away nobody told it, and what works is not cancelled for it. A server that polls
/// is told of nothing.
pub(super) async fn withdrawn(server: &Server, task: &ClaimedTask) -> Result<Option<Problem>, GitHubError> {
    let told = !server.config.webhook.is_polling();
    if told && task.epoch == 1 && task.queued_at_ms >= server.started_ms {
        return Ok(None);
    }
    let location = locate::locate(server, &task.brief).await?;
    let why = taken_back(server, location.place(), &task.brief).await?;
    Ok(why.map(|why| {
        problem(
            "brief-withdrawn",
            format!("The brief was not run, or not once more, since meanwhile {why}."),
            "Post it again if it shall run all the same.",
        )
    }))
}

/// Tells why a brief does not stand any more where it was written, if it does not.
pub(super) async fn taken_back(
    server: &Server,
    place: Place<'_>,
    brief: &BriefRow,
) -> Result<Option<&'static str>, GitHubError> {
    Ok(match server.github.thread_state(place, brief.thread_number).await? {
        ThreadState::Closed => Some("its thread was closed"),
        ThreadState::Gone => Some("its thread is gone"),
        ThreadState::Open => match server.github.text(place, brief.thread_number, brief.source).await? {
            None => Some("its text was deleted"),
            Some(live) if !holds(&live.body, &brief.text_digest) => Some("it was edited out of its text"),
            Some(_) => None,
        },
    })
}

fn holds(body: &str, digest: &str) -> bool {
    extract(body).fences.iter().any(|fence| text_digest(&fence.text).to_string() == digest)
}
