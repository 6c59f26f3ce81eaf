//! Queuing a stored brief by somebody's word: one that waited to be started, or another run of one that has
//! ended. Everything is decided anew, on exactly the text that was stored.

use chrono::Utc;

use super::attempt::problem;
use super::gate::By;
use super::intake::LookError;
use super::operate::Asker;
use super::{Server, access, approval, gate, live};
use crate::authorize::gate::Passage;
use crate::authorize::policy::budget_spent;
use crate::brief::{self, Origin};
use crate::config::Budget;
use crate::error::UserError;
use crate::github::installation::Place;
use crate::publish::answer;
use crate::queue::task::TaskState;
use crate::queue::verdict::{RetryVerdict, StartVerdict, retry_verdict, start_verdict};
use crate::run::report::Problem;
use crate::store::models::TaskView;
use crate::store::{Act, Ask, DAY_MS, Ruling, Spent, StoreError, TaskChange};

/// Why a task is not queued.
pub(super) enum NotQueued {
    /// Its gate is shut.
    Gate(Passage),
    /// Something else.
    Problem(Problem),
}

impl NotQueued {
    /// Returns it as people are told.
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::Gate(passage) => gate::shut(passage),
            Self::Problem(problem) => problem,
        }
    }
}

impl From<UserError> for NotQueued {
    fn from(error: UserError) -> Self {
        Self::Problem(problem(error.code, error.message, &error.help))
    }
}

/// What queues a task: to be written together, in one [`crate::store::Intake`].
pub(super) struct Queued {
    /// Holds the change of the task.
    pub(super) change: TaskChange,
    /// Holds the approval that it waits for, if its lane wants one.
    pub(super) ask: Option<Ask>,
    /// Names its lane.
    pub(super) lane: String,
    /// Holds what the policy says of it.
    pub(super) ruling: Ruling,
}

/// Decides what another run of a task comes to; reads GitHub and the store, and writes neither. Whoever asks
/// has the permission to run briefs; what the lane's policy says of them is looked up here. `also` counts what is
/// queued together with it, for the budget.
///
/// The inner error is what the thread is told when there is no other run.
pub(super) async fn retry_task(
    server: &Server,
    place: Place<'_>,
    task: &TaskView,
    asker: Asker<'_>,
    also: u32,
) -> Result<Result<Queued, String>, LookError> {
    match retry_verdict(task.state) {
        RetryVerdict::Retry => {}
        verdict => return Ok(Err(answer::retry_part(task, verdict))),
    }
    if server.store.saw_honeytoken(task.id).await? {
        let error = problem(
            "honeytoken-seen",
            "A run of it read a made-up credential, so it is not run once more.",
            "Find the command that read it; when you trust the brief all the same, post it again.",
        );
        return Ok(Err(answer::not_queued_part(task, &error)));
    }
    let queued = queue(server, place, task, (asker, also), Wish::Retry).await?;
    Ok(queued.map_err(|why| answer::not_queued_part(task, &why.problem())))
}

/// Decides what starting a task comes to that waits for somebody, as [`retry_task`] does.
pub(super) async fn start_task(
    server: &Server,
    place: Place<'_>,
    task: &TaskView,
    asker: Asker<'_>,
    also: u32,
) -> Result<Result<Queued, String>, LookError> {
    match start_verdict(task.state) {
        StartVerdict::Start => {}
        verdict => return Ok(Err(answer::start_part(task, verdict))),
    }
    let queued = queue(server, place, task, (asker, also), Wish::Start).await?;
    Ok(queued.map_err(|why| answer::not_queued_part(task, &why.problem())))
}

/// Decides what a label that was just put on comes to for a task that waits: it opens the gate, and starts
/// nothing by itself.
pub(super) async fn open_task(
    server: &Server,
    place: Place<'_>,
    task: &TaskView,
    label: &str,
    asker: Asker<'_>,
    also: u32,
) -> Result<Result<Queued, NotQueued>, LookError> {
    queue(server, place, task, (asker, also), Wish::Label(label)).await
}

/// By what a task is queued.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish<'a> {
    Start,
    Retry,
    Label(&'a str),
}

async fn queue(
    server: &Server,
    place: Place<'_>,
    task: &TaskView,
    (asker, also): (Asker<'_>, u32),
    wish: Wish<'_>,
) -> Result<Result<Queued, NotQueued>, LookError> {
    let row = &task.brief;
    if brief::parse(&row.text, &Origin::document()).is_err() {
        let why = UserError::new(
            "brief-outdated",
            "The server's present rules refuse it.",
            "Post it again; the answer tells what to write instead.",
        );
        return Ok(Err(why.into()));
    }
    if let Some(why) = live::taken_back(server, place, row).await? {
        let why = UserError::new(
            "brief-withdrawn",
            format!("Meanwhile {why}."),
            "Post it again if it shall run all the same.",
        );
        return Ok(Err(why.into()));
    }
    let who = (asker.actor, asker.actor_id.unwrap_or_default());
    let by_label = match wish {
        Wish::Label(label) => Some((label, who)),
        Wish::Start | Wish::Retry => None,
    };
    if by_label.is_none()
        && access::is_kept_out(server, place, row.source.repository_id, &task.lane, who).await?
    {
        let why = UserError::new(
            "user-not-named",
            format!("`{}` may not run briefs on the lane `{}`, by its policy.", who.0, task.lane),
            "Ask somebody who may, or whoever keeps the policy.",
        );
        return Ok(Err(why.into()));
    }
    let decision = match access::decide_on(server, row, &task.lane, &row.id.short()).await? {
        Ok(decision) => decision,
        Err(problem) => return Ok(Err(NotQueued::Problem(problem))),
    };
    if let Some(error) = spent(server, task, decision.bounds.budget, also).await? {
        return Ok(Err(error.into()));
    }
    let gate = (task.lane.as_str(), decision.bounds.gate);
    let started = by_label.is_none().then_some(who);
    let passage = gate::look_at(server, place, row, gate, By { started, labelled: by_label }).await?;
    if passage != Passage::Open {
        return Ok(Err(NotQueued::Gate(passage)));
    }
    let Some(lane) = server.config.lanes.iter().find(|lane| lane.name == task.lane) else {
        return Err(LookError::Defect(format!("there is no lane {}", task.lane)));
    };
    let ask = match approval::first(server, place, row, lane, &decision).await? {
        Ok(ask) => ask,
        Err(error) => return Ok(Err(error.into())),
    };
    let act = match wish {
        Wish::Retry => Act::Retry,
        Wish::Start => Act::Start,
        Wish::Label(_) => Act::Open,
    };
    let change = asker.change(task, act);
    let ruling = access::ruling((row.source.repository_id, place.repository), lane, &decision);
    Ok(Ok(Queued { change, ask, lane: task.lane.clone(), ruling }))
}

/// Tells why a brief is one too many for today's budget, if it is, where so many others are queued with it.
async fn spent(
    server: &Server,
    task: &TaskView,
    budget: Budget,
    also: u32,
) -> Result<Option<UserError>, StoreError> {
    let now = Utc::now().timestamp_millis();
    let never_ran = task.state == TaskState::Cancelled && task.run.is_none();
    // What counts already takes no further place.
    let counts = task.queued_at_ms > now - DAY_MS && !never_ran;
    let more = also + u32::from(!counts);
    let row = &task.brief;
    let user = (budget.user_per_day, server.store.spent_by_user(row.requested_by_id).await?);
    let repository =
        (budget.repository_per_day, server.store.spent_in_repository(row.source.repository_id).await?);
    let names = [format!("`{}`", row.requested_by), format!("The repository `{}`", row.repository)];
    let over = |((most, spent), whose): ((Option<u32>, Spent), String)| {
        let most = most.filter(|most| spent.briefs.saturating_add(more) > *most)?;
        let oldest = if spent.briefs == 0 { now } else { spent.oldest_ms };
        Some(budget_spent(&whose, most, oldest + DAY_MS - now))
    };
    Ok([user, repository].into_iter().zip(names).find_map(over))
}
