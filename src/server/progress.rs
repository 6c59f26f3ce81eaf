//! The comment of a task while it waits and runs: when it is owed anew, and what it shows.

use std::sync::Arc;

use super::{Server, conclude};
use crate::brief::{self, Origin};
use crate::error::log_internal;
use crate::publish::check_run::{CheckRunPage, live_check, lost_check};
use crate::publish::living::{Living, living_comment};
use crate::publish::status::TaskLine;
use crate::queue::task::TaskState;
use crate::store::StoreError;
use crate::store::models::{TaskFilter, TaskView};

/// How many of the tasks that a lane takes next are told when the lane took one: whoever is further back is told
/// when it comes near.
const NEXT_IN_LINE: u32 = 3;

/// Owes the comments of runs that have gone on, and of who moved up in line, until the server ends.
pub(super) async fn work(server: Arc<Server>) {
    while server.wait(&server.stop, &server.wakes.progressed, None).await {
        if let Err(error) = owe(&server).await {
            log_internal("the progress of runs cannot be owed", &error);
        }
        server.wakes.owed.notify_one();
    }
}

async fn owe(server: &Server) -> Result<(), StoreError> {
    for (task, run) in server.running.gone_on() {
        server.store.owe_progress(task, Some(&run)).await?;
    }
    for lane in server.running.moved() {
        for task in server.store.next_in_line(&lane, NEXT_IN_LINE).await? {
            server.store.owe_progress(task, None).await?;
        }
    }
    Ok(())
}

/// What a task's comment shows.
pub(super) struct Shown {
    /// Holds the whole body.
    pub(super) body: String,
    /// Tells that there is nothing to tell where nothing was told before.
    pub(super) only_edit: bool,
}

/// Returns what the comment of a brief shows as its task stands; `None` when something else is told of it.
pub(super) async fn text(server: &Server, brief_id: &str) -> Result<Option<Shown>, StoreError> {
    let Some(view) = view(server, brief_id).await? else { return Ok(None) };
    if !matches!(view.state, TaskState::Queued | TaskState::Running | TaskState::Cancelled) {
        return Ok(None);
    }
    let earlier = server.store.runs_without_result(view.id, i64::MAX).await?;
    let before = server.store.tasks_before(view.id).await?;
    let now_ms = chrono::Utc::now().timestamp_millis();
    let brief = brief::parse(&view.brief.text, &Origin::document()).ok();
    let progress =
        server.running.progress(view.id).filter(|progress| view.run.as_ref() == Some(&progress.run));
    let approved = conclude::approved(server, view.id).await?;
    let body = living_comment(&Living {
        line: &TaskLine::new(&view, earlier, before, now_ms),
        state: view.state,
        reason: view.reason.as_deref(),
        brief: brief.as_ref(),
        progress: progress.as_ref(),
        approved: approved.as_ref(),
        now_ms,
        context: &conclude::context(&view.brief),
    });
    Ok(Some(Shown { body, only_edit: view.state == TaskState::Cancelled }))
}

/// Returns what the check run of a run shows as it stands; `None` when its end is told by something else.
pub(super) async fn check(
    server: &Server,
    brief_id: &str,
    run: &str,
) -> Result<Option<CheckRunPage>, StoreError> {
    let Some(view) = view(server, brief_id).await? else { return Ok(None) };
    let url = &view.brief.source_url;
    let earlier = server.store.runs_without_result(view.id, i64::MAX).await?;
    if let Some(over) = earlier.iter().find(|earlier| earlier.run == run) {
        return Ok(Some(lost_check(&over.reason, url)));
    }
    let works = view.state == TaskState::Running && !view.publishing;
    let progress = server.running.progress(view.id).filter(|progress| works && progress.run == run);
    Ok(match view.state {
        TaskState::Cancelled | TaskState::Blocked(_) => {
            Some(lost_check(view.reason.as_deref().unwrap_or("it was stopped"), url))
        }
        _ => progress.map(|progress| live_check(&progress, url)),
    })
}

async fn view(server: &Server, brief_id: &str) -> Result<Option<TaskView>, StoreError> {
    let named = TaskFilter { brief: Some(brief_id.to_owned()), most: 1, ..TaskFilter::default() };
    Ok(server.store.tasks(&named).await?.pop())
}
