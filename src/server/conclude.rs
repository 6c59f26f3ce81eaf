//! What follows the end of a run's work: publishing, another run, or the end of the task. Whatever it
//! is, it is stored together with what the run came to, in one transaction.

use super::attempt::{Judged, blank_report, problem};
use super::engine::Engine;
use crate::crash;
use crate::error::log_internal;
use crate::judge::honeytoken;
use crate::publish::check_run::check_run;
use crate::publish::comment::{self, CommentContext};
use crate::queue::retry::{Interruption, interruption};
use crate::queue::task::{Event, TaskState};
use crate::run::report::{ApprovedBy, Problem, RunReport, RunStatus, StepReport, StepStatus};
use crate::store::models::{BriefRow, ClaimedTask, Effect, EffectPayload, JudgedRun};
use crate::store::{ApprovalState, Next, StopWish, StoreError, check_key, publish_key, result_key};

/// Stores what a run came to, and what follows from it.
///
/// Fails as the store does; with [`StoreError::StaleEpoch`] nothing of the run counts any more, and with
/// [`StoreError::Changed`] somebody wants it stopped since `stopped` was read.
pub(super) async fn conclude(
    engine: &Engine,
    task: &ClaimedTask,
    judged: &Judged,
    stopped: Option<&StopWish>,
) -> Result<(), StoreError> {
    let mut report = judged.report.clone();
    tell_before(engine, task, &mut report).await;
    if let Some(wish) = stopped {
        report.status = RunStatus::Failure;
        if !honeytoken::is_seen(&report) {
            report.problem = Some(stopped_problem(&report, wish));
        }
        return end(engine, task, judged, report, Event::Stopped).await;
    }
    if report.status == RunStatus::Success {
        return publish(engine, task, judged, &report).await;
    }
    if report.problem.as_ref().is_some_and(|problem| problem.code == "brief-withdrawn") {
        return end(engine, task, judged, report, Event::Stopped).await;
    }
    // Whatever ended the steps: it is not tried again.
    if honeytoken::is_seen(&report) {
        return end(engine, task, judged, report, Event::Failed).await;
    }
    let Some(interrupted) = interrupted(&report.steps) else {
        return end(engine, task, judged, report, Event::Failed).await;
    };
    let most = engine.queue.failed_task_max_retry_count;
    let event = Event::Interrupted { retries: task.retries, most };
    if TaskState::Running.after(event) == Some(TaskState::Queued) {
        return retry(engine, task, judged, &report, interrupted).await;
    }
    if task.retries > 0 {
        report.problem = Some(exhausted(&report, task.retries, interrupted));
    }
    end(engine, task, judged, report, event).await
}

async fn publish(
    engine: &Engine,
    task: &ClaimedTask,
    judged: &Judged,
    report: &RunReport,
) -> Result<(), StoreError> {
    let effect = publish_effect(task);
    store(engine, task, judged, report, &Next::Publish(&effect)).await?;
    crash::point("changeset-stored.before-effect");
    tracing::info!(run = task.run_id, "the change is stored and is published next");
    engine.wakes.publish.notify_one();
    Ok(())
}

async fn retry(
    engine: &Engine,
    task: &ClaimedTask,
    judged: &Judged,
    report: &RunReport,
    interrupted: Interruption,
) -> Result<(), StoreError> {
    let cooldown = i64::try_from(engine.queue.failed_task_retry_cooldown_ms).unwrap_or(i64::MAX);
    let not_before_ms = chrono::Utc::now().timestamp_millis().saturating_add(cooldown);
    let reason = interrupted.to_string();
    store(engine, task, judged, report, &Next::Retry { reason: &reason, not_before_ms }).await?;
    tracing::warn!(run = task.run_id, reason, cooldown, "the run was interrupted; it is made again");
    engine.wakes.queued.notify_one();
    Ok(())
}

async fn end(
    engine: &Engine,
    task: &ClaimedTask,
    judged: &Judged,
    report: RunReport,
    event: Event,
) -> Result<(), StoreError> {
    let owed = owed(task, &report, event);
    let reason = report.problem.as_ref().map(|problem| problem.message.as_str());
    let honeytoken = reason.filter(|_| honeytoken::is_seen(&report));
    store(engine, task, judged, &report, &Next::End { event, reason, owed: &owed, honeytoken }).await?;
    engine.wakes.owed.notify_one();
    log_end(task, &report, event);
    Ok(())
}

async fn store(
    engine: &Engine,
    task: &ClaimedTask,
    judged: &Judged,
    report: &RunReport,
    next: &Next<'_>,
) -> Result<(), StoreError> {
    let report = serde_json::to_string(report)?;
    let changeset = judged.changeset.as_ref().map(serde_json::to_string).transpose()?;
    engine.store.end_work(task, &report, changeset.as_deref(), next).await
}

/// Stores how the publishing of a run ended, and with it the task's end.
///
/// Fails as the store does; with [`StoreError::StaleEpoch`] the run is not its task's any more.
pub(super) async fn end_publishing(
    engine: &Engine,
    task: &ClaimedTask,
    effect: &Effect,
    event: Event,
    report: &RunReport,
) -> Result<(), StoreError> {
    let owed = owed(task, report, event);
    let json = serde_json::to_string(report)?;
    let reason = report.problem.as_ref().map(|problem| problem.message.as_str());
    engine.store.end_publishing(task, effect, event, &json, reason, &owed).await?;
    crash::point("done.before-effect");
    log_end(task, report, event);
    engine.wakes.owed.notify_one();
    Ok(())
}

/// Gives up a write that broke the outbox; `id` is that of the error. The task of a run that cannot be
/// published so is blocked with all that the run made: given up alone, it would wait for ever.
pub(super) async fn give_up_broken(engine: &Engine, effect: &Effect, id: &str) -> Result<(), StoreError> {
    let run = match &effect.payload {
        EffectPayload::Publish { run } => engine.store.judged_run(run).await?,
        _ => None,
    };
    let Some(JudgedRun { task, report, .. }) = run else {
        return engine.store.give_up_effect(effect, &format!("internal error {id}")).await;
    };
    let mut report: RunReport = serde_json::from_str(&report)
        .unwrap_or_else(|_| blank_report(&task.run_id, &task.brief.id, None, &task.brief.text));
    report.status = RunStatus::Failure;
    report.problem = Some(problem(
        "internal-error",
        format!("The work is done and kept, but the server failed to publish it (error {id})."),
        "Ask the operator to look the error up in the server's log; the work can be published again.",
    ));
    end_publishing(engine, &task, effect, Event::PublishingRefused, &report).await
}

/// Logs the end of a task's run.
fn log_end(task: &ClaimedTask, report: &RunReport, event: Event) {
    let state = TaskState::Running.after(event).map_or("unknown", TaskState::as_str);
    let problem = report.problem.as_ref().map(|problem| problem.code.as_str());
    tracing::info!(run = task.run_id, state, pull_request = report.pull_request, problem, "run ended");
}

/// Notes in a report what was before the run: the earlier runs of its task, and who approved it.
pub(super) async fn tell_before(engine: &Engine, task: &ClaimedTask, report: &mut RunReport) {
    match engine.store.earlier_runs(task).await {
        Ok(earlier) => report.earlier = earlier,
        Err(error) => {
            log_internal("the earlier runs of a task cannot be read", &error);
        }
    }
    match approved(engine, task.id).await {
        Ok(approved) => report.approved = approved,
        Err(error) => {
            log_internal("the approval of a task cannot be read", &error);
        }
    }
}

/// Returns who approved a task, if somebody did and it still counts.
pub(super) async fn approved(engine: &Engine, task: i64) -> Result<Option<ApprovedBy>, StoreError> {
    let approval = engine.store.approval_of_task(task).await?;
    let approval = approval.filter(|approval| approval.state == ApprovalState::Approved);
    Ok(approval.and_then(|approval| {
        Some(ApprovedBy {
            login: approval.actor?.0,
            at_ms: approval.decided_at_ms?,
            reason: approval.reason.unwrap_or_default(),
        })
    }))
}

/// Makes the publishing that is owed for a run.
pub(super) fn publish_effect(task: &ClaimedTask) -> Effect {
    let payload = EffectPayload::Publish { run: task.run_id.clone() };
    Effect::for_brief(&task.brief, publish_key(&task.run_id), payload)
}

/// Makes what is owed to GitHub once a task's run has ended so.
pub(super) fn owed(task: &ClaimedTask, report: &RunReport, event: Event) -> Vec<Effect> {
    let mut owed = vec![result_effect(task, report, event)];
    let page = check_run(report, event == Event::Stopped, &task.brief.source_url);
    let check = |commit: &str, only_edit: bool| EffectPayload::CheckRun {
        run: task.run_id.clone(),
        commit: commit.to_owned(),
        conclusion: page.conclusion.unwrap_or("neutral").to_owned(),
        only_edit,
        title: page.title.clone(),
        summary: page.summary.clone(),
        text: page.text.clone(),
        annotations: page.annotations.clone(),
        name: None,
        buttons: Some(page.buttons.clone()),
    };
    // What GitHub refused gets that of its own commit when it is published.
    let refused = event == Event::PublishingRefused;
    let published = report.head_commit.as_deref().filter(|_| !refused);
    if let Some(worked_on) = check_commit(report) {
        // What was published is shown beside its own commit; here stays what was shown while it worked.
        let payload = check(worked_on, refused || (published.is_some() && report.thread_head.is_none()));
        owed.push(Effect::for_brief(&task.brief, check_key(&task.run_id), payload));
    }
    if let Some(published) = published {
        let key = format!("{}:published", check_key(&task.run_id));
        owed.push(Effect::for_brief(&task.brief, key, check(published, false)));
    }
    owed
}

/// Returns the commit beside which a run is shown while it works: the head of its thread's pull request, else the
/// one that it works on; `None` for a run that never had one.
fn check_commit(report: &RunReport) -> Option<&str> {
    report.thread_head.as_deref().or(report.base_commit.as_deref())
}

/// Makes the result comment that is owed to a run's thread.
pub(super) fn result_effect(task: &ClaimedTask, report: &RunReport, event: Event) -> Effect {
    let publishable = event == Event::PublishingRefused;
    let context = CommentContext { publishable, ..context(&task.brief) };
    let body = comment::result_comment(report, &context);
    let payload = EffectPayload::Comment { marker: comment::marker("result", &report.brief), body };
    Effect::for_brief(&task.brief, result_key(&task.brief.id.to_string()), payload)
}

/// Tells of the server and the thread, for what goes to GitHub.
pub(super) fn context(brief: &BriefRow) -> CommentContext {
    CommentContext {
        server: "codex-brief".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source_url: Some(brief.source_url.clone()),
        publishable: false,
    }
}

/// Returns what interrupted the steps, if something did that is worth another run.
fn interrupted(steps: &[StepReport]) -> Option<Interruption> {
    let step = steps.iter().find(|step| step.failed())?;
    let timed_out = matches!(step.status, StepStatus::WallTimeout | StepStatus::IdleTimeout);
    let failed = step.status == StepStatus::Failed;
    (timed_out || failed).then(|| interruption(timed_out, step.exit_code, step.signal)).flatten()
}

fn exhausted(report: &RunReport, retries: u32, interrupted: Interruption) -> Problem {
    let first = report.problem.as_ref().map_or("", |problem| problem.message.as_str());
    let times = if retries == 1 { "once".to_owned() } else { format!("{retries} times") };
    problem(
        "retries-exhausted",
        format!(
            "Retries exhausted: {first} The run was made again {times}, and ended by {interrupted} again."
        ),
        "Make the step faster or lighter, or ask the operator for higher limits of the lane; then post the brief \
         again.",
    )
}

fn stopped_problem(report: &RunReport, wish: &StopWish) -> Problem {
    let StopWish { actor, why } = wish;
    let told = format!("`{actor}` stopped the run {}: {why}.", stopped_place(&report.steps));
    let none_left = match report.bare {
        false => "No process of it is left (checked).",
        true => "No process of it was found afterwards; the lane has no sandbox, so one may hide.",
    };
    match report.processes_left {
        Some(0) => problem(
            "run-stopped",
            format!("{told} {none_left}"),
            "What it had changed until then is kept, and `codex-brief patch` prints it on the server; post the \
             brief again to run it anew.",
        ),
        left => problem(
            "stop-unproven",
            format!("{told} {} of it could not be ended.", processes(left)),
            "Ask the operator to end what is left on the server, by its log; the lane is tried before it takes \
             the next brief.",
        ),
    }
}

fn processes(left: Option<usize>) -> String {
    match left {
        None | Some(1) => "A process".to_owned(),
        Some(left) => format!("{left} processes"),
    }
}

/// Tells where the steps were when the run was stopped.
fn stopped_place(steps: &[StepReport]) -> String {
    let numbered: Vec<(usize, &StepReport)> = (1..).zip(steps).collect();
    let at = numbered.iter().find(|(_, step)| step.status == StepStatus::Stopped);
    let last = numbered.iter().rfind(|(_, step)| step.status != StepStatus::Skipped);
    match (at, last) {
        (Some((number, step)), _) if step.duration_ms > 0 => format!("in step {number} (`{}`)", step.name),
        (Some((number, step)), _) => format!("before step {number} (`{}`)", step.name),
        (None, Some((number, step))) => format!("after step {number} (`{}`), its last", step.name),
        (None, None) => "before its first step".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::report::LogSummary;

    fn step(status: StepStatus, exit_code: Option<i32>, signal: Option<i32>) -> StepReport {
        let log = LogSummary::default();
        StepReport { name: "s".to_owned(), status, tolerated: false, exit_code, signal, duration_ms: 1, log }
    }

    #[test]
    fn a_stop_names_the_step_and_claims_no_more_than_was_checked() {
        let names = |steps: &[StepReport]| stopped_place(steps);
        let (fine, skipped) =
            (step(StepStatus::Succeeded, Some(0), None), step(StepStatus::Skipped, None, None));
        let mut ended = step(StepStatus::Stopped, None, None);
        assert_eq!(names(&[fine.clone(), ended.clone(), skipped.clone()]), "in step 2 (`s`)");
        ended.duration_ms = 0;
        assert_eq!(names(&[ended, skipped.clone()]), "before step 1 (`s`)");
        assert_eq!(names(&[fine.clone(), fine]), "after step 2 (`s`), its last");
        assert_eq!(names(&[skipped]), "before its first step");
        let wish = StopWish { actor: "maria".to_owned(), why: "`/stop` in the thread".to_owned() };
        let told = |left| {
            let id = crate::brief::BriefId::from([0; 32]);
            let mut report = crate::server::attempt::blank_report("run", &id, None, "");
            report.processes_left = left;
            stopped_problem(&report, &wish)
        };
        assert_eq!(told(Some(0)).code, "run-stopped");
        assert!(told(Some(0)).message.ends_with("No process of it is left (checked)."));
        for (left, words) in [(Some(2), "2 processes of it could not"), (None, "A process of it could not")] {
            assert_eq!(told(left).code, "stop-unproven");
            assert!(told(left).message.contains(words), "{}", told(left).message);
        }
    }

    #[test]
    fn only_the_first_step_that_failed_is_looked_at() {
        let fine = step(StepStatus::Succeeded, Some(0), None);
        let killed = step(StepStatus::Failed, Some(137), Some(9));
        let skipped = step(StepStatus::Skipped, None, None);
        assert_eq!(
            interrupted(&[fine.clone(), killed.clone(), skipped.clone()]),
            Some(Interruption::Exit137)
        );
        let failed = step(StepStatus::Failed, Some(1), None);
        assert_eq!(interrupted(&[fine.clone(), failed.clone(), skipped.clone()]), None);
        let mut tolerated = killed.clone();
        tolerated.tolerated = true;
        assert_eq!(interrupted(&[fine.clone(), tolerated.clone()]), None);
        assert_eq!(
            interrupted(&[tolerated, failed.clone(), killed.clone()]),
            None,
            "the first is no interruption"
        );
        assert_eq!(interrupted(&[skipped, killed, failed]), Some(Interruption::Exit137));
        assert_eq!(interrupted(&[fine]), None);
        assert_eq!(interrupted(&[step(StepStatus::IdleTimeout, None, None)]), Some(Interruption::TimeOut));
        assert_eq!(interrupted(&[step(StepStatus::Stopped, None, None)]), None);
    }
}
