//! Takes up what a server or a lane that is gone left half done.

use std::fmt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::engine::Engine;
use super::{Server, conclude, outbox};
use crate::brief::{self, Origin};
use crate::error::log_internal;
use crate::lane::{kill_orphans, leftovers};
use crate::queue::task::{Event, MOST_LOSSES, TaskState};
use crate::run::report::{RunReport, StepStatus};
use crate::run::workspace::RunDirs;
use crate::server::attempt::{Judged, blank_report, problem};
use crate::store::StoreError;
use crate::store::models::ClaimedTask;

/// How a run was lost.
#[derive(Debug)]
pub(super) enum Loss {
    /// Its server is gone.
    Server,
    /// It did not renew its lease in time.
    Lease,
    /// Its lane failed; holds what is told of it.
    Lane(String),
    /// The server broke while it ran; holds the id of the error.
    Defect(String),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("the server ended"),
            Self::Lease => f.write_str("its lease ran out"),
            Self::Lane(why) => f.write_str(why.trim_end_matches('.')),
            Self::Defect(id) => write!(f, "internal error {id}"),
        }
    }
}

/// Takes up what the last server left, and lets the client know what that one wrote.
///
/// Runs before the workers start, so no run of this process exists yet.
pub async fn recover(server: &Server) {
    let dead = end_processes(server).await;
    // A workspace may be big, and nobody waits for its end.
    let runs = server.runs_root.clone();
    tokio::spawn(remove_workspaces(runs, dead));
    queue_again(server).await;
    warn_of_missing_lanes(server).await;
    outbox::remember_writes(server).await;
}

/// Tells the operator of tasks that wait for a lane which the configuration does not have any more.
async fn warn_of_missing_lanes(server: &Server) {
    match server.store.queued_by_lane().await {
        Ok(queued) => {
            for (lane, tasks) in queued.iter().filter(|(lane, _)| server.lanes.get(lane).is_none()) {
                tracing::warn!(lane, tasks, "tasks wait for a lane that is not there or is switched off");
            }
        }
        Err(error) => drop(log_internal("the queued tasks cannot be counted", &error)),
    }
}

/// Queues again what was running, and removes what is left of dead runs; what was judged is owed by the
/// outbox already.
pub(super) async fn take_over(engine: &Engine) {
    let dead = end_processes(engine).await;
    remove_workspaces(engine.runs_root.clone(), dead).await;
    queue_again(engine).await;
}

async fn queue_again(engine: &Engine) {
    match engine.store.leases().await {
        Ok(leases) => {
            for lease in leases {
                take_up(engine, &lease.task, Loss::Server).await;
            }
        }
        Err(error) => {
            log_internal("the runs of the last server cannot be read", &error);
        }
    }
}

/// Ends the processes that dead runs left, and returns the runs that left a workspace.
async fn end_processes(engine: &Engine) -> Vec<String> {
    let runs = engine.runs_root.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let dead = with_workspace(&runs)?;
        if !dead.is_empty() {
            kill_orphans(&dead);
        }
        Ok(dead)
    });
    let why: std::io::Error = match ended.await {
        Ok(Ok(dead)) => return dead,
        Ok(Err(error)) => error,
        Err(error) => error.into(),
    };
    log_internal("what dead runs left cannot be looked for", &why);
    Vec::new()
}

/// Returns the names of the runs that are not cleaned up yet: only they can have left anything.
fn with_workspace(runs: &Path) -> std::io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let is_left = |name: &String| RunDirs::of(runs, name).is_ok_and(|dirs| dirs.has_workspace());
    Ok(names.filter(|name| Uuid::try_parse(name).is_ok() && is_left(name)).collect())
}

/// Removes the folders of runs but for the logs.
async fn remove_workspaces(runs: PathBuf, dead: Vec<String>) {
    let removed = tokio::task::spawn_blocking(move || {
        for name in &dead {
            // One that cannot be removed does not keep the others.
            if let Err(error) = RunDirs::of(&runs, name).and_then(|dirs| dirs.remove_all_but_logs()) {
                log_internal("the workspace of a dead run cannot be removed", &error);
            }
        }
    });
    if let Err(error) = removed.await {
        log_internal("workspaces of dead runs cannot be removed", &error);
    }
}

/// Queues a task whose run was lost again, or quarantines it when that happened too often.
pub(super) async fn take_up(engine: &Engine, task: &ClaimedTask, loss: Loss) {
    let brief = brief::parse(&task.brief.text, &Origin::document()).ok();
    let report = blank_report(&task.run_id, &task.brief.id, brief.as_ref(), &task.brief.text);
    lose(engine, task, loss, report).await;
}

/// Counts a run as lost; `report` is what is told of it if its task is quarantined for it.
pub(super) async fn lose(engine: &Engine, task: &ClaimedTask, loss: Loss, mut report: RunReport) {
    let why = loss.to_string();
    report.problem = Some(problem(
        "quarantined",
        format!("The lane or the server was lost during this run, {MOST_LOSSES} times in all: {why}."),
        "The operator finds the cause in the server's log; if the brief is not to blame, post it again.",
    ));
    conclude::tell_before(engine, task, &mut report).await;
    let owed = [conclude::result_effect(task, &report, Event::Lost { losses: task.losses })];
    let json = match serde_json::to_string(&report) {
        Ok(json) => json,
        Err(error) => return drop(log_internal("a report cannot be written", &error)),
    };
    // The start after a crash goes on at once; a lane that fails gets time.
    let wait = match loss {
        Loss::Server => 0,
        _ => i64::try_from(engine.queue.failed_task_retry_cooldown_ms).unwrap_or(i64::MAX),
    };
    let not_before = chrono::Utc::now().timestamp_millis().saturating_add(wait);
    match engine.store.lose_run(task, &why, not_before, &json, &owed).await {
        Ok(TaskState::Queued) => {
            tracing::warn!(run = task.run_id, why, "the run was lost; its task is queued again");
            engine.wakes.queued.notify_one();
        }
        Ok(_) => {
            tracing::error!(run = task.run_id, why, "the run was lost; its task is quarantined");
            engine.wakes.owed.notify_one();
        }
        Err(StoreError::Changed(_)) => stop(engine, task, report).await,
        Err(StoreError::StaleEpoch(run)) => tracing::warn!(run, "the run is not its task's any more"),
        Err(error) => {
            log_internal("a lost task cannot be taken up", &error);
        }
    }
}

/// Ends a task that somebody wanted stopped before its run was lost.
async fn stop(engine: &Engine, task: &ClaimedTask, mut report: RunReport) {
    report.processes_left = Some(leftovers(&task.run_id, None).await);
    mark_step(engine, &mut report);
    let judged = Judged { report, changeset: None, lane_lost: false, ask: None };
    let ended = match engine.store.stop_wish(task.id).await {
        Ok(wish) => conclude::conclude(engine, task, &judged, wish.as_ref()).await,
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        log_internal("a task that was to be stopped cannot be ended", &error);
    }
}

/// Marks the step in which a run was lost, which is the last that has a log.
fn mark_step(engine: &Engine, report: &mut RunReport) {
    let Ok(dirs) = RunDirs::of(&engine.runs_root, &report.run) else { return };
    let last = (0..report.steps.len()).rev().find(|index| dirs.step_log(*index).exists());
    if report.steps.iter().any(|step| step.status != StepStatus::Skipped) {
        return;
    }
    for (index, step) in report.steps.iter_mut().enumerate() {
        match last {
            // A clean-up step may have left out some before it; how those ended that began is not known.
            Some(last) if index < last && dirs.step_log(index).exists() => {
                step.status = StepStatus::Succeeded
            }
            Some(last) if index == last => (step.status, step.duration_ms) = (StepStatus::Stopped, 1),
            _ => {}
        }
    }
}
