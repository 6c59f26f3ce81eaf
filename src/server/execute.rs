//! One run of a task: fetch, attempt, store what came out, publish it, end the task.
//!
//! What the attempt came to is stored before anything of it is published (rows S5, N4), so a start
//! after a crash repeats the publishing alone; each step of it is looked up before it is repeated.

use std::sync::Arc;
use std::time::Duration;

use super::lanes::LaneEntry;
use super::publish;
use super::{Server, access};
use crate::brief::{self, Brief, Origin};
use crate::error::log_internal;
use crate::github::GitHubError;
use crate::lane::Slot;
use crate::publish::comment::{self, CommentContext};
use crate::queue::task::Transition;
use crate::run::changeset::Changeset;
use crate::run::mirror::{Mirror, Remote};
use crate::run::report::{Problem, RunReport, RunStatus, StepReport, StepStatus};
use crate::run::steps::StepEvent;
use crate::server::attempt::{Judged, Order, attempt, blank_report, internal, problem};
use crate::store::StoreError;
use crate::store::models::{ClaimedTask, Effect, EffectPayload};

/// How long to wait before the store is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// How often a fetch is tried.
const FETCHES: usize = 4;

/// Runs a claimed task to its end.
pub async fn run(server: &Server, entry: &LaneEntry, slot: Slot, task: ClaimedTask) {
    tracing::info!(run = task.run_id, brief = task.brief.id.short(), lane = task.lane, "run begins");
    let brief = match brief::parse(&task.brief.text, &Origin::document()) {
        Ok(brief) => brief,
        Err(_) => {
            let report = blank_report(&task.run_id, &task.brief.id, None, &task.brief.text);
            return finish_outdated(server, &task, report).await;
        }
    };
    let judged = judge(server, entry, &slot, &task, &brief).await;
    // The lane is free for the next run while this one is published.
    drop(slot);
    server.wakes.queued.notify_one();
    if server.abort.is_cancelled() && !is_whole(&judged) {
        hand_back(server, &task).await;
        return;
    }
    let kept = loop {
        if let Some(kept) = settled(server, "a run's result", keep(server, &task, &judged).await).await {
            break kept;
        }
    };
    if !kept {
        return;
    }
    publish_and_finish(server, &task, &brief, judged.report, judged.changeset).await;
}

/// Tells whether a run came to its own end, rather than to that of the server: then its work is kept,
/// however late it is.
fn is_whole(judged: &Judged) -> bool {
    let stopped = |step: &StepReport| step.status == StepStatus::Stopped;
    judged.changeset.is_some() && !judged.report.steps.iter().any(stopped)
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
        let (why, least) = match fetch_once(server, task, &mirror, &remote).await {
            Ok(None) => return Ok(mirror),
            Ok(Some(revoked)) => return Err(revoked),
            Err(unready) => unready,
        };
        if tried == FETCHES || server.abort.is_cancelled() {
            return Err(internal("the repository cannot be fetched", &why));
        }
        tracing::warn!(run = task.run_id, repository, error = why, "a fetch failed and is tried again");
        let wait = least.max(1_000 << tried).unsigned_abs();
        tokio::select! {
            () = server.abort.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
        }
    }
}

/// Looks whether the run may still begin, and fetches; a failure tells what failed, and the least
/// milliseconds before it may be tried again.
async fn fetch_once(
    server: &Server,
    task: &ClaimedTask,
    mirror: &Mirror,
    remote: &Remote,
) -> Result<Option<Problem>, (String, i64)> {
    let unready = |error: GitHubError| (error.to_string(), error.retry_after_ms(0));
    if let Some(problem) = access::revoked(server, task).await.map_err(unready)? {
        return Ok(Some(problem));
    }
    let brief = &task.brief;
    let token = server.github.git_token(brief.installation_id, brief.source.repository_id).await;
    let token = token.map_err(unready)?;
    if let Err(error) = mirror.fetch(remote, Some(&token)).await {
        server.github.forget_git_token(brief.installation_id, brief.source.repository_id).await;
        return Err((error.to_string(), 0));
    }
    Ok(None)
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
    finish_when_possible(server, task, &report).await;
}

/// Ends a task whose brief today's rules refuse; what its run changed, if it had one, is kept.
pub(super) async fn finish_outdated(server: &Server, task: &ClaimedTask, mut report: RunReport) {
    report.status = RunStatus::Failure;
    report.problem = Some(problem(
        "brief-outdated",
        "The brief was accepted by an earlier version of the server, and today's rules refuse it.",
        "Post it again; the answer tells what to write instead.",
    ));
    finish_when_possible(server, task, &report).await;
}

/// Ends a task as soon as the store takes it; see [`settled`].
async fn finish_when_possible(server: &Server, task: &ClaimedTask, report: &RunReport) {
    while settled(server, "a run's end", finish(server, task, report).await).await.is_none() {}
}

/// Tells whether something was stored; `None`, after a wait, when the store may take it next time.
/// What is not stored before the server ends, the next start finds as it was before.
async fn settled(server: &Server, what: &str, result: Result<(), StoreError>) -> Option<bool> {
    match result {
        Ok(()) => return Some(true),
        Err(StoreError::Database(error)) if !server.stop.is_cancelled() => {
            log_internal(&format!("{what} cannot be stored yet"), &error);
        }
        Err(error) => {
            log_internal(&format!("{what} cannot be stored"), &error);
            return Some(false);
        }
    }
    tokio::select! {
        () = server.stop.cancelled() => {}
        () = tokio::time::sleep(STORE_AGAIN) => {}
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brief::BriefId;
    use crate::run::changeset::Changeset;

    fn judged(status: StepStatus, collected: bool) -> Judged {
        let id = BriefId::from([0; 32]);
        let brief =
            brief::parse_document(include_str!("../../fixtures/briefs/good/flow-style.yaml")).unwrap();
        let mut report = blank_report("run", &id, Some(&brief), "");
        report.steps[0].status = status;
        let changeset = || -> Changeset {
            let base_commit = "1111111111111111111111111111111111111111".parse().unwrap();
            Changeset { base_commit, entries: vec![], ignored: 0, refused: vec![], exceeded: None }
        };
        Judged { report, changeset: collected.then(changeset) }
    }

    #[test]
    fn only_what_the_servers_end_cut_off_goes_back_to_the_queue() {
        assert!(is_whole(&judged(StepStatus::Succeeded, true)));
        assert!(is_whole(&judged(StepStatus::Failed, true)));
        assert!(!is_whole(&judged(StepStatus::Stopped, true)));
        assert!(!is_whole(&judged(StepStatus::Skipped, false)), "the fetch was cut off");
    }
}
