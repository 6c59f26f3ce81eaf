//! One run of a task: fetch, attempt, store what came out, publish it, end the task.
//!
//! What the attempt came to is stored before anything of it is published (rows S5, N4), so a start
//! after a crash repeats the publishing alone; each step of it is looked up before it is repeated.

use std::sync::Arc;

use super::Server;
use super::lanes::LaneEntry;
use super::publish;
use crate::brief::{self, Brief, Origin};
use crate::error::log_internal;
use crate::lane::Slot;
use crate::publish::comment::{self, CommentContext};
use crate::queue::task::Transition;
use crate::run::changeset::Changeset;
use crate::run::mirror::{Mirror, Remote};
use crate::run::report::{Problem, RunReport, RunStatus};
use crate::run::steps::StepEvent;
use crate::server::attempt::{Judged, Order, attempt, blank_report, internal, problem};
use crate::store::StoreError;
use crate::store::models::{ClaimedTask, Effect, EffectPayload};

/// How often a fetch is tried.
const FETCHES: usize = 4;

/// Runs a claimed task to its end.
pub async fn run(server: &Server, entry: &LaneEntry, slot: Slot, task: ClaimedTask) {
    tracing::info!(run = task.run_id, brief = task.brief.id.short(), lane = task.lane, "run begins");
    let brief = match brief::parse(&task.brief.text, &Origin::document()) {
        Ok(brief) => brief,
        Err(_) => {
            let mut report = blank_report(&task.run_id, &task.brief.id, None, &task.brief.text);
            report.problem = Some(problem(
                "brief-outdated",
                "The brief was accepted by an earlier version of the server, and today's rules refuse it.",
                "Post it again; the answer tells what to write instead.",
            ));
            if let Err(error) = finish(server, &task, &report).await {
                log_internal("a run's end cannot be stored", &error);
            }
            return;
        }
    };
    let judged = judge(server, entry, &slot, &task, &brief).await;
    // The lane is free for the next run while this one is published.
    drop(slot);
    server.wakes.queued.notify_one();
    if server.abort.is_cancelled() {
        hand_back(server, &task).await;
        return;
    }
    if let Err(error) = keep(server, &task, &judged).await {
        log_internal("a run's result cannot be stored", &error);
        return;
    }
    publish_and_finish(server, &task, &brief, judged.report, judged.changeset).await;
}

async fn judge(server: &Server, entry: &LaneEntry, slot: &Slot, task: &ClaimedTask, brief: &Brief) -> Judged {
    let mirror = match fetch(server, task).await {
        Ok(mirror) => mirror,
        Err(problem) => {
            let mut report = blank_report(&task.run_id, &task.brief.id, Some(brief), &task.brief.text);
            report.problem = Some(problem);
            return Judged { report, changeset: None };
        }
    };
    let runs_root = server.config.server.state_dir.join("runs");
    let order = Order {
        run_id: &task.run_id,
        brief_id: &task.brief.id,
        brief,
        text: &task.brief.text,
        mirror: &mirror,
        lane: &entry.lane,
        slot,
        runs_root: &runs_root,
        blobs: &server.blobs,
        secrets: &server.secrets,
        stop: &server.abort,
    };
    attempt(order, |event| tell(task, &event)).await
}

async fn fetch(server: &Server, task: &ClaimedTask) -> Result<Arc<Mirror>, Problem> {
    let repository = &task.brief.repository;
    let mirror = server
        .mirrors
        .mirror(task.brief.source.repository_id)
        .map_err(|error| internal("the mirror cannot be opened", &error))?;
    let remote = Remote::http(&server.github.git_url(repository))
        .map_err(|error| internal("the repository has no usable address", &error))?;
    let mut tried = 0;
    loop {
        tried += 1;
        let failed: Box<dyn std::fmt::Display + Send + Sync> = match server
            .github
            .git_token(task.brief.installation_id, task.brief.source.repository_id)
            .await
        {
            Ok(token) => match mirror.fetch(&remote, Some(&token)).await {
                Ok(()) => return Ok(mirror),
                Err(error) => Box::new(error),
            },
            Err(error) => Box::new(error),
        };
        if tried == FETCHES || server.abort.is_cancelled() {
            return Err(internal("the repository cannot be fetched", &failed));
        }
        tracing::warn!(run = task.run_id, repository, error = %failed, "a fetch failed and is tried again");
        tokio::time::sleep(std::time::Duration::from_secs(1 << tried)).await;
    }
}

/// Logs progress; the output itself stays in the run's log files.
fn tell(task: &ClaimedTask, event: &StepEvent) {
    let run = &task.run_id;
    match event {
        StepEvent::Started { index, name } => tracing::info!(run, step = index + 1, name, "step begins"),
        StepEvent::Ended { index, report } => {
            let ms = report.duration_ms;
            tracing::info!(run, step = index + 1, status = ?report.status, ms, "step ended");
        }
        StepEvent::Output { .. } => {}
    }
}

async fn keep(server: &Server, task: &ClaimedTask, judged: &Judged) -> Result<(), StoreError> {
    let report = serde_json::to_string(&judged.report)?;
    let changeset = judged.changeset.as_ref().map(serde_json::to_string).transpose()?;
    server.store.judge_run(task, &report, changeset.as_deref()).await
}

/// Publishes what was judged and ends the task; repeatable, and repeated after a crash.
pub async fn publish_and_finish(
    server: &Server,
    task: &ClaimedTask,
    brief: &Brief,
    mut report: RunReport,
    changeset: Option<Changeset>,
) {
    if report.status == RunStatus::Success {
        let published = match &changeset {
            Some(changeset) => publish::publish(server, task, brief, &mut report, changeset).await,
            None => Ok(()),
        };
        match published {
            Ok(()) => {}
            // The server ends; the next one finds the run judged and publishes it.
            Err(publish::Unpublished::Ending) => return,
            Err(publish::Unpublished::Refused(problem)) => {
                report.status = RunStatus::Failure;
                report.problem = Some(problem);
            }
        }
    }
    if let Err(error) = finish(server, task, &report).await {
        log_internal("a run's end cannot be stored", &error);
    }
}

/// Ends a task with its report, and owes the result comment.
pub async fn finish(server: &Server, task: &ClaimedTask, report: &RunReport) -> Result<(), StoreError> {
    let done = report.status == RunStatus::Success;
    let end = if done { Transition::Done } else { Transition::Failed };
    let body = comment::result_comment(report, &context(task));
    let effect = Effect {
        id: 0,
        key: format!("result:{}", task.brief.id),
        installation_id: task.brief.installation_id,
        repository_id: task.brief.source.repository_id,
        repository: task.brief.repository.clone(),
        thread_number: task.brief.thread_number,
        payload: EffectPayload::Comment { marker: comment::marker("result", &report.brief), body },
        version: 0,
        remote_id: None,
        attempts: 0,
    };
    server.store.finish_run(task, end, &serde_json::to_string(report)?, &[effect]).await?;
    server.wakes.owed.notify_one();
    let problem = report.problem.as_ref().map(|problem| problem.code.as_str());
    tracing::info!(
        run = task.run_id,
        state = end.state().as_str(),
        pull_request = report.pull_request,
        problem,
        "run ended"
    );
    Ok(())
}

/// Tells of the server and the thread, for what goes to GitHub.
pub(super) fn context(task: &ClaimedTask) -> CommentContext {
    CommentContext {
        server: "codex-brief".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source_url: Some(task.brief.source_url.clone()),
        ..CommentContext::default()
    }
}

async fn hand_back(server: &Server, task: &ClaimedTask) {
    match server.store.requeue_task(task).await {
        Ok(()) => tracing::info!(run = task.run_id, "the task went back to the queue"),
        Err(error) => {
            log_internal("a task cannot be handed back", &error);
        }
    }
}
