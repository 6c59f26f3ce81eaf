//! One run of a task: fetch, attempt, and storing what came out together with what follows.
//!
//! What the attempt came to is stored before anything of it is published (rows S5, N4), so a start
//! after a crash repeats the publishing alone; each step of it is looked up before it is repeated.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::approval::Leave;
use super::engine::Engine;
use super::intake::LookError;
use super::lanes::LaneEntry;
use super::locate::locate;
use super::recover::Loss;
use super::running::{Cut, Registration};
use super::{Server, access, approval, conclude, gate, lease, live, recover};
use crate::authorize::policy::Bounds;
use crate::brief::{self, Brief, Origin, SourceKind};
use crate::config::SandboxKind;
use crate::crash;
use crate::error::log_internal;
use crate::github::GitHubError;
use crate::judge::honeytoken;
use crate::lane::{Slot, leftovers};
use crate::run::changeset::CommitId;
use crate::run::mirror::{Mirror, Remote};
use crate::run::report::{Problem, RunReport, RunStatus, StepReport, StepStatus};
use crate::run::steps::StepEvent;
use crate::server::attempt::{Judged, Order, attempt, blank_report, internal, problem};
use crate::store::models::ClaimedTask;
use crate::store::{Ask, StoreError};

/// How long to wait before the store is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// How often a fetch is tried.
const FETCHES: usize = 4;

/// How many runs of a task may find GitHub away; with ten minutes between them that is a day.
const MOST_PUT_OFF: i64 = 150;

/// A run gives its place on the lane back rather than wait longer than this for GitHub, in milliseconds.
const LONGEST_WAIT_MS: i64 = 30_000;

/// What a fetch brings.
pub(super) enum Ready {
    /// The repository, and what the run is held to.
    Start(Box<Start>),
    /// The run may not start before this is approved.
    Ask(Box<Ask>),
}

/// What a run begins with.
pub(super) struct Start {
    /// Holds the repository.
    pub(super) mirror: Arc<Mirror>,
    /// Holds the commit that it starts from, where that is not left to its branch.
    pub(super) base: Option<CommitId>,
    /// Holds what the policy holds the run to; without it, the lane's own bounds hold.
    pub(super) bounds: Option<Bounds>,
    /// Holds the head of the pull request in whose thread the brief stands.
    pub(super) thread_head: Option<String>,
}

/// Runs a claimed task, on what GitHub has, until its work has ended and is stored.
pub async fn run(server: &Server, entry: &LaneEntry, slot: Slot, task: ClaimedTask) {
    carry_out(server, entry, slot, &task, async |stop| fetch(server, &task, stop).await).await;
}

/// Runs a claimed task until its work has ended and is stored; `fetch` brings its
/// repository, unless it is told to stop.
pub(super) async fn carry_out(
    engine: &Engine,
    entry: &LaneEntry,
    slot: Slot,
    task: &ClaimedTask,
    fetch: impl AsyncFnOnce(CancellationToken) -> Result<Ready, Problem>,
) {
    tracing::info!(run = task.run_id, brief = task.brief.id.short(), lane = task.lane, "run begins");
    let registered = engine.running.begin(task, &engine.abort);
    engine.wakes.progressed.notify_one();
    crash::point("leased.before-record");
    // A stop that somebody wanted before the run was entered found nothing to end.
    if let Ok(Some(_)) = engine.store.stop_wish(task.id).await {
        engine.running.cut(task.id, &task.run_id, Cut::Stopped);
    }
    let work = async {
        let mut judged = match brief::parse(&task.brief.text, &Origin::document()) {
            Ok(brief) => judge(engine, entry, &slot, task, &brief, &registered, fetch).await,
            Err(_) => outdated(task),
        };
        let left = leftovers(&task.run_id, slot.owner()).await;
        if left > 0 {
            tracing::error!(run = task.run_id, left, "processes of a run cannot be ended");
            entry.suspect();
        }
        judged.report.processes_left = Some(left);
        judged.report.bare = entry.lane.config().sandbox == SandboxKind::None;
        // The lane is free for the next run while this one is stored and published.
        drop(slot);
        engine.wakes.queued.notify_one();
        settle(engine, entry, task, &judged, &registered).await;
    };
    // The lease is kept until the result is stored, however long the store does not take it.
    tokio::select! {
        () = work => {}
        never = lease::keep(engine, task, &registered) => match never {},
    }
}

/// Stores what a run came to, as soon as the store takes it.
async fn settle(
    engine: &Engine,
    entry: &LaneEntry,
    task: &ClaimedTask,
    judged: &Judged,
    registered: &Registration<'_>,
) {
    if judged.lane_lost {
        entry.suspect();
    }
    loop {
        if registered.cut() == Some(Cut::LeaseLost) {
            tracing::warn!(run = task.run_id, "the run lost its lease; what it came to does not count");
            return;
        }
        match settle_once(engine, task, judged).await {
            Ok(()) => return,
            // Somebody wants it stopped since it was looked at.
            Err(StoreError::Changed(_)) => continue,
            Err(StoreError::Database(error)) if !engine.abort.is_cancelled() => {
                log_internal("a run's result cannot be stored yet", &error);
            }
            // What is not stored, the next start finds as it was before the run.
            Err(error) => {
                log_internal("a run's result cannot be stored", &error);
                return;
            }
        }
        tokio::select! {
            () = engine.abort.cancelled() => {}
            () = tokio::time::sleep(STORE_AGAIN) => {}
        }
    }
}

async fn settle_once(engine: &Engine, task: &ClaimedTask, judged: &Judged) -> Result<(), StoreError> {
    let wish = engine.store.stop_wish(task.id).await?;
    if honeytoken::is_seen(&judged.report) {
        return conclude::conclude(engine, task, judged, wish.as_ref()).await;
    }
    if wish.is_none()
        && let Some(ask) = &judged.ask
    {
        engine.store.ask_again(task, ask).await?;
        engine.wakes.owed.notify_one();
        return Ok(());
    }
    if wish.is_none() && engine.abort.is_cancelled() && !is_whole(judged) {
        engine.store.hand_back(task).await?;
        tracing::info!(run = task.run_id, "the task went back to the queue");
        return Ok(());
    }
    if wish.is_none()
        && is_away(judged)
        && let runs = engine.store.runs_since_queued(task.id).await?
        && let Some(not_before) = try_again_ms(runs, chrono::Utc::now().timestamp_millis())
    {
        engine.store.put_off_run(task, not_before, "GitHub could not be reached").await?;
        tracing::warn!(run = task.run_id, "GitHub cannot be reached; the task waits");
        engine.wakes.queued.notify_one();
        return Ok(());
    }
    if wish.is_none() && judged.lane_lost {
        let problem = judged.report.problem.as_ref();
        let why = problem.map(|problem| problem.message.clone()).unwrap_or_default();
        recover::lose(engine, task, Loss::Lane(why), judged.report.clone()).await;
        return Ok(());
    }
    conclude::conclude(engine, task, judged, wish.as_ref()).await
}

/// Tells whether a run could not begin because GitHub was away.
fn is_away(judged: &Judged) -> bool {
    judged.report.problem.as_ref().is_some_and(|problem| problem.code == "github-unreachable")
}

/// Returns when a task that found GitHub away is tried again, in milliseconds since 1970: after a wait that
/// grows with each run to ten minutes, for about a day; `None` after that.
fn try_again_ms(runs: i64, now_ms: i64) -> Option<i64> {
    let wait = (30_000_i64 << runs.saturating_sub(1).clamp(0, 5)).min(600_000);
    (runs < MOST_PUT_OFF).then_some(now_ms + wait)
}

/// Makes the result of a brief that today's rules refuse.
fn outdated(task: &ClaimedTask) -> Judged {
    let mut report = blank_report(&task.run_id, &task.brief.id, None, &task.brief.text);
    outdate(&mut report);
    Judged { report, changeset: None, lane_lost: false, ask: None }
}

/// Notes in a report that its brief is refused by today's rules.
pub(super) fn outdate(report: &mut RunReport) {
    report.status = RunStatus::Failure;
    report.problem = Some(problem(
        "brief-outdated",
        "The brief was accepted by an earlier version of the server, and today's rules refuse it.",
        "Post it again; the answer tells what to write instead.",
    ));
}

/// Tells whether a run came to its own end, rather than to that of the server: then its work is kept,
/// however late it is.
fn is_whole(judged: &Judged) -> bool {
    let stopped = |step: &StepReport| step.status == StepStatus::Stopped;
    judged.changeset.is_some() && !judged.report.steps.iter().any(stopped)
}

async fn judge(
    engine: &Engine,
    entry: &LaneEntry,
    slot: &Slot,
    task: &ClaimedTask,
    brief: &Brief,
    registered: &Registration<'_>,
    fetch: impl AsyncFnOnce(CancellationToken) -> Result<Ready, Problem>,
) -> Judged {
    let (failed, ask, started) = match fetch(registered.token.clone()).await {
        Ok(Ready::Start(start)) => (None, None, Some(start)),
        Ok(Ready::Ask(ask)) => (None, Some(ask), None),
        Err(problem) => (Some(problem), None, None),
    };
    let Some(Start { mirror, base, bounds, thread_head }) = started.map(|start| *start) else {
        let mut report = blank_report(&task.run_id, &task.brief.id, Some(brief), &task.brief.text);
        report.problem = failed;
        return Judged { report, changeset: None, lane_lost: false, ask };
    };
    let lane = match bounds {
        Some(bounds) => entry.lane.bounded(bounds.network, bounds.limits, bounds.protected_paths),
        None => Ok(entry.lane.clone()),
    };
    let lane = match lane {
        Ok(lane) => lane,
        Err(why) => {
            let mut report = blank_report(&task.run_id, &task.brief.id, Some(brief), &task.brief.text);
            report.problem = Some(problem(
                "policy-not-held",
                format!("The lane cannot hold the run to the policy: {why}."),
                "Choose another lane, or ask whoever keeps the policy.",
            ));
            return Judged { report, changeset: None, lane_lost: false, ask: None };
        }
    };
    // What is told while it works is told of the commit that it works on.
    let base = base.or_else(|| mirror.resolve_branch(&brief.branch).ok().flatten());
    registered.prepare(brief, thread_head.clone().or_else(|| base.map(|base| base.to_string())));
    engine.wakes.progressed.notify_one();
    let order = Order {
        run_id: &task.run_id,
        brief_id: &task.brief.id,
        brief,
        text: &task.brief.text,
        mirror: &mirror,
        base,
        lane: &lane,
        slot,
        runs_root: &engine.runs_root,
        blobs: &engine.blobs,
        secrets: &engine.secrets,
        stop: &registered.token,
    };
    let progress = |event: StepEvent| {
        tell(task, &event);
        if registered.note(&event) {
            engine.wakes.progressed.notify_one();
        }
    };
    let mut judged = attempt(order, progress).await;
    judged.report.thread_head = thread_head;
    judged
}

async fn fetch(server: &Server, task: &ClaimedTask, stop: CancellationToken) -> Result<Ready, Problem> {
    let repository = &task.brief.repository;
    let mirror = server
        .mirrors
        .mirror(task.brief.source.repository_id)
        .map_err(|error| internal("the mirror cannot be opened", &error))?;
    let mut tried = 0;
    loop {
        tried += 1;
        let fetched = tokio::select! {
            fetched = fetch_once(server, task, &mirror) => fetched,
            () = stop.cancelled() => Err(Unready::new(&"the run was ended", false, 0)),
        };
        let Unready { why, passing, least } = match fetched {
            Ok(Ok((Leave::Start(base), bounds, thread_head))) => {
                let start = Start { mirror, base, bounds: Some(bounds), thread_head };
                return Ok(Ready::Start(Box::new(start)));
            }
            Ok(Ok((Leave::Ask(ask), ..))) => return Ok(Ready::Ask(ask)),
            Ok(Err(refused)) => return Err(refused),
            Err(unready) => unready,
        };
        if stop.is_cancelled() {
            return Err(problem(
                "run-stopped",
                "The run was ended while it fetched.",
                "Post the brief again.",
            ));
        }
        if passing && (tried == FETCHES || least > LONGEST_WAIT_MS) {
            return Err(problem(
                "github-unreachable",
                format!("GitHub could not be reached for about a day: {why}."),
                "Look at GitHub's status, then post the brief again.",
            ));
        }
        if tried == FETCHES {
            return Err(internal("the repository cannot be fetched", &why));
        }
        tracing::warn!(run = task.run_id, repository, error = why, "a fetch failed and is tried again");
        let wait = least.max(1_000 << tried).unsigned_abs();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
        }
    }
}

/// Why a repository is not here yet.
struct Unready {
    why: String,
    /// Tells whether it may be otherwise later, without anybody's doing.
    passing: bool,
    /// Holds the least milliseconds before it may be tried again.
    least: i64,
}

impl Unready {
    fn new(why: &dyn std::fmt::Display, passing: bool, least: i64) -> Self {
        Self { why: why.to_string(), passing, least }
    }
}

/// Looks whether the run may still begin, and fetches.
async fn fetch_once(
    server: &Server,
    task: &ClaimedTask,
    mirror: &Mirror,
) -> Result<Result<(Leave, Bounds, Option<String>), Problem>, Unready> {
    let unready = |error: GitHubError| {
        let passing = error.is_transient() || error.is_gone_installation();
        Unready::new(&error, passing, error.retry_after_ms(0))
    };
    let unlooked = |error: LookError| match error {
        LookError::GitHub(error) => unready(error),
        LookError::Store(error) => Unready::new(&error, true, 1_000),
        LookError::Defect(why) => Unready::new(&why, false, 0),
    };
    let decision = match access::decide_again(server, task).await.map_err(unlooked)? {
        Ok(decision) => decision,
        Err(problem) => return Ok(Err(problem)),
    };
    if let Some(problem) = live::withdrawn(server, task).await.map_err(unready)? {
        return Ok(Err(problem));
    }
    let id = task.brief.source.repository_id;
    let location = locate(server, &task.brief).await.map_err(unready)?;
    let place = location.place();
    let remote = Remote::http(&server.github.git_url(place.repository))
        .map_err(|error| Unready::new(&error, false, 0))?;
    let token = server.github.git_token(place.installation, id).await.map_err(unready)?;
    if let Err(error) = mirror.fetch(&remote, Some(&token)).await {
        server.github.forget_git_token(place.installation, id).await;
        server.github.forget_repository_name(place.installation, id).await;
        return Err(Unready::new(&error, error.is_passing(), 0));
    }
    if let Some(problem) = gate::before_run(server, place, task, &decision).await.map_err(unlooked)? {
        return Ok(Err(problem));
    }
    let leave = approval::before_run(server, place, task, &decision, mirror).await;
    let leave = leave.map_err(unlooked)?;
    let thread = task.brief.thread_number;
    let thread_head = match task.brief.source.kind {
        SourceKind::IssueBody => None,
        _ if !server.config.github.check_runs => None,
        _ => server.github.pull_head(place, id, thread).await.map_err(unready)?,
    };
    Ok(leave.map(|leave| (leave, decision.bounds, thread_head)))
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
        Judged { report, changeset: collected.then(changeset), lane_lost: false, ask: None }
    }

    #[test]
    fn only_what_the_servers_end_cut_off_goes_back_to_the_queue() {
        assert!(is_whole(&judged(StepStatus::Succeeded, true)));
        assert!(is_whole(&judged(StepStatus::Failed, true)));
        assert!(!is_whole(&judged(StepStatus::Stopped, true)));
        assert!(!is_whole(&judged(StepStatus::Skipped, false)), "the fetch was cut off");
    }
}
