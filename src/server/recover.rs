//! At start: takes up what a server that is gone left half done.

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::{Server, execute};
use crate::brief::{self, Origin};
use crate::error::log_internal;
use crate::lane::kill_orphans;
use crate::queue::task::{Event, TaskState};
use crate::run::workspace::RunDirs;
use crate::server::attempt::{blank_report, problem};
use crate::store::StoreError;
use crate::store::models::{ClaimedTask, JudgedRun};

/// Publishes what was judged, queues again what was running, and removes what is left of dead runs.
///
/// Runs before the workers start, so no run of this process exists yet.
pub async fn recover(server: &Arc<Server>) {
    let runs = server.config.server.state_dir.join("runs");
    let cleaned = tokio::task::spawn_blocking(move || remove_workspaces(&runs)).await;
    if let Ok(Err(error)) = cleaned {
        log_internal("workspaces of dead runs cannot be removed", &error);
    }
    let (lost, judged) = match server.store.orphans().await {
        Ok(orphans) => orphans,
        Err(error) => {
            log_internal("the tasks of the last server cannot be read", &error);
            return;
        }
    };
    for task in lost {
        if let Err(error) = take_up(server, &task).await {
            log_internal("a lost task cannot be taken up", &error);
        }
    }
    for run in judged {
        server.tracker.spawn(publish(server.clone(), run));
    }
}

/// Ends what is left of dead runs, and removes their folders but for the logs.
fn remove_workspaces(runs: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    // Only runs that are not cleaned up yet can have left anything; their names are unique.
    let is_left = |name: &String| RunDirs::of(runs, name).is_ok_and(|dirs| dirs.has_workspace());
    let dead: Vec<String> = names.filter(|name| Uuid::try_parse(name).is_ok() && is_left(name)).collect();
    if !dead.is_empty() {
        kill_orphans(&dead);
    }
    dead.iter().try_for_each(|name| RunDirs::of(runs, name)?.remove_all_but_logs())
}

/// Queues a lost task again, or fails it when it was lost too often.
pub(super) async fn take_up(server: &Server, task: &ClaimedTask) -> Result<(), StoreError> {
    let next = TaskState::Running.after(Event::Lost { attempt: task.epoch });
    if next == Some(TaskState::Queued) {
        tracing::warn!(run = task.run_id, "the run was lost with the last server; its task is queued again");
        return server.store.requeue_task(task).await;
    }
    let brief = brief::parse(&task.brief.text, &Origin::document()).ok();
    let mut report = blank_report(&task.run_id, &task.brief.id, brief.as_ref(), &task.brief.text);
    report.problem = Some(problem(
        "server-restarted",
        format!("The server ended during this run, {} times in all.", task.epoch),
        "If the brief itself does not take the server down, post it again.",
    ));
    execute::finish(server, task, &report).await
}

async fn publish(server: Arc<Server>, run: JudgedRun) {
    let read = || -> Result<_, serde_json::Error> {
        let report = serde_json::from_str(&run.report)?;
        let changeset = run.changeset.as_deref().map(serde_json::from_str).transpose()?;
        Ok((report, changeset))
    };
    let brief = brief::parse(&run.task.brief.text, &Origin::document());
    match (read(), brief) {
        (Ok((report, changeset)), Ok(brief)) => {
            tracing::info!(run = run.task.run_id, "a judged run of the last server is published");
            execute::publish_and_finish(&server, &run.task, &brief, report, changeset).await;
        }
        (Ok((report, _)), Err(_)) => execute::finish_outdated(&server, &run.task, report).await,
        (Err(error), _) => {
            log_internal("a judged run cannot be read", &error);
        }
    }
}
