//! What people want of tasks, whether they say so in a comment or on the server's command line.

use serde::{Deserialize, Serialize};

use super::Server;
use crate::error::UserError;
use crate::publish::answer::cancelled_comment;
use crate::publish::status::TaskLine;
use crate::queue::verdict::{
    CancelVerdict, PublishVerdict, StopVerdict, cancel_verdict, publish_verdict, stop_verdict,
};
use crate::store::audit::{Entry, Status, Target};
use crate::store::models::{Effect, EffectPayload, TaskFilter, TaskView};
use crate::store::{Act, OPERATOR, Store, StoreError, TaskChange};

/// How many tasks are listed.
pub const MOST_LISTED: u32 = 50;

/// Who wants something, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Names who: an account on GitHub, or `operator`.
    pub actor: &'a str,
    /// Holds the account's id on GitHub, where it is one.
    pub actor_id: Option<u64>,
    /// Tells by what, for people.
    pub why: &'a str,
}

impl Asker<'_> {
    pub(super) fn change(self, task: &TaskView, act: Act) -> TaskChange {
        let (actor, why) = (self.actor.to_owned(), self.why.to_owned());
        TaskChange { task: task.id, act, actor, actor_id: self.actor_id, why }
    }
}

/// Decides what stopping a task comes to, and with which change.
pub fn stop(task: &TaskView, asker: Asker<'_>) -> (StopVerdict, Option<TaskChange>) {
    let verdict = stop_verdict(task.state, task.publishing, task.stopping);
    let change = match verdict {
        StopVerdict::Cancel => Some(asker.change(task, Act::Cancel)),
        StopVerdict::End => Some(asker.change(task, Act::Stop)),
        StopVerdict::Ending | StopVerdict::TooLate | StopVerdict::Over => None,
    };
    (verdict, change)
}

/// Decides what cancelling a task comes to, and with which change.
pub fn cancel(task: &TaskView, asker: Asker<'_>) -> (CancelVerdict, Option<TaskChange>) {
    let verdict = cancel_verdict(task.state);
    (verdict, (verdict == CancelVerdict::Cancel).then(|| asker.change(task, Act::Cancel)))
}

/// Decides what publishing a task again comes to, and with which change.
pub fn publish(task: &TaskView, asker: Asker<'_>) -> (PublishVerdict, Option<TaskChange>) {
    let verdict = publish_verdict(task.state, task.publishing);
    (verdict, (verdict == PublishVerdict::Publish).then(|| asker.change(task, Act::Republish)))
}

/// Finds the one task whose brief's or run's id begins so.
///
/// Fails for people when there is none, or are several.
pub async fn find(store: &Store, name: &str) -> Result<Result<TaskView, UserError>, StoreError> {
    let filter = TaskFilter { prefix: Some(name.to_owned()), most: 2, ..TaskFilter::default() };
    let mut tasks = store.tasks(&filter).await?;
    Ok(match (tasks.pop(), tasks.pop()) {
        (Some(task), None) => Ok(task),
        (None, _) => Err(UserError::new(
            "task-unknown",
            format!("No brief or run begins with `{name}`."),
            "Give at least 6 digits of an id that `codex-brief status` lists.",
        )),
        (Some(_), Some(_)) => Err(UserError::new(
            "task-ambiguous",
            format!("Several briefs or runs begin with `{name}`."),
            "Give more digits of the id; `codex-brief status --json` lists it whole.",
        )),
    })
}

/// Returns where tasks stand.
pub async fn lines(store: &Store, filter: &TaskFilter) -> Result<Vec<TaskLine>, StoreError> {
    let mut lines = Vec::new();
    for task in store.tasks(filter).await? {
        lines.push(line(store, &task).await?);
    }
    Ok(lines)
}

/// Returns where a task stands.
pub async fn line(store: &Store, task: &TaskView) -> Result<TaskLine, StoreError> {
    let earlier = store.runs_without_result(task.id, i64::MAX).await?;
    let before = store.tasks_before(task.id).await?;
    Ok(TaskLine::new(task, earlier, before, chrono::Utc::now().timestamp_millis()))
}

impl Server {
    /// Lets what runs know of changes that the store has.
    pub fn carry_out(&self, changes: &[TaskChange]) {
        for change in changes {
            match change.act {
                Act::Stop => {
                    tracing::info!(task = change.task, by = change.actor, "a run is to be stopped");
                    self.running.stop(change.task);
                }
                Act::Republish => self.wakes.publish.notify_one(),
                Act::Cancel => tracing::info!(task = change.task, by = change.actor, "a task is cancelled"),
                Act::Start | Act::Open => {
                    tracing::info!(task = change.task, by = change.actor, "a task is started")
                }
                Act::Retry => {
                    tracing::info!(task = change.task, by = change.actor, "a task is run once more")
                }
            }
        }
    }
}

/// What a command of the operator came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Tells what was done.
    pub outcome: Outcome,
    /// Holds where the task stands now.
    pub task: TaskLine,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The task is cancelled; it did not run.
    Cancelled,
    /// The task's run is being ended.
    Stopping,
    /// The task is being published again.
    Publishing,
    /// Nothing; where the task stands tells why.
    Nothing,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Stopping => "stopping",
            Self::Publishing => "publishing",
            Self::Nothing => "nothing",
        }
    }
}

/// How often a change is tried anew when its task went on meanwhile.
const TRIES: usize = 5;

/// Stops a task for the operator, and owes its thread the news where no result will tell it.
///
/// # Errors
/// Fails as the store does.
pub async fn stop_for_operator(
    store: &Store,
    name: &str,
) -> Result<Result<(Done, Option<TaskChange>), UserError>, StoreError> {
    let asker = Asker { actor: OPERATOR, actor_id: None, why: "`codex-brief stop` on the server" };
    for_operator(store, name, asker, |task| {
        let (verdict, change) = stop(task, asker);
        match verdict {
            StopVerdict::Cancel => (Outcome::Cancelled, change, Some(cancelled_effect(task, asker))),
            StopVerdict::End | StopVerdict::Ending => (Outcome::Stopping, change, None),
            StopVerdict::TooLate | StopVerdict::Over => (Outcome::Nothing, None, None),
        }
    })
    .await
}

async fn for_operator(
    store: &Store,
    name: &str,
    asker: Asker<'_>,
    decide: impl Fn(&TaskView) -> (Outcome, Option<TaskChange>, Option<Effect>),
) -> Result<Result<(Done, Option<TaskChange>), UserError>, StoreError> {
    let mut tried = 0;
    loop {
        tried += 1;
        let task = match find(store, name).await? {
            Ok(task) => task,
            Err(error) => {
                store.audit(operators(asker, name, None, &error.message)).await?;
                return Ok(Err(error));
            }
        };
        let (outcome, change, effect) = decide(&task);
        match store.change_tasks(change.as_slice(), effect.as_slice()).await {
            Ok(()) => {}
            Err(StoreError::Changed(_)) if tried < TRIES => continue,
            Err(error) => return Err(error),
        }
        store.audit(operators(asker, name, Some(&task), outcome.as_str())).await?;
        let now = match find(store, &task.brief.id.to_string()).await? {
            Ok(now) => now,
            Err(error) => return Ok(Err(error)),
        };
        return Ok(Ok((Done { outcome, task: line(store, &now).await? }, change)));
    }
}

/// Makes the entry of a command of the operator; without a task it was refused.
fn operators(asker: Asker<'_>, name: &str, task: Option<&TaskView>, outcome: &str) -> Entry {
    let entry = Entry::new("command", asker.actor, asker.why).with("name", name);
    match task {
        Some(task) => {
            let target = Target {
                task: Some(task.id),
                brief: Some(task.brief.id.to_string()),
                run: task.run.clone(),
                ..Target::default()
            };
            entry.about(target).with("outcome", outcome)
        }
        None => entry.ended(Status::Refused).with("error", outcome),
    }
}

fn cancelled_effect(task: &TaskView, asker: Asker<'_>) -> Effect {
    let key = format!("cancelled:{}", task.brief.id);
    let body =
        cancelled_comment(std::slice::from_ref(task), asker.actor, "somebody at the server wanted it", &key);
    let marker = body.lines().next().unwrap_or_default().to_owned();
    Effect::for_brief(&task.brief, key, EffectPayload::Comment { marker, body })
}

impl Server {
    /// Stops a task for the operator.
    ///
    /// # Errors
    /// Fails as the store does.
    pub async fn stop_task(&self, name: &str) -> Result<Result<Done, UserError>, StoreError> {
        let done = stop_for_operator(&self.store, name).await?;
        Ok(done.map(|(done, change)| {
            self.carry_out(change.as_slice());
            self.wakes.owed.notify_one();
            done
        }))
    }

    /// Publishes a task again for the operator.
    ///
    /// # Errors
    /// Fails as the store does.
    pub async fn publish_task(&self, name: &str) -> Result<Result<Done, UserError>, StoreError> {
        let asker = Asker { actor: OPERATOR, actor_id: None, why: "`codex-brief publish` on the server" };
        let done = for_operator(&self.store, name, asker, |task| {
            let (verdict, change) = publish(task, asker);
            match verdict {
                PublishVerdict::Publish | PublishVerdict::Publishing => (Outcome::Publishing, change, None),
                PublishVerdict::TooEarly | PublishVerdict::Nothing | PublishVerdict::Over => {
                    (Outcome::Nothing, None, None)
                }
            }
        });
        Ok(done.await?.map(|(done, change)| {
            self.carry_out(change.as_slice());
            done
        }))
    }
}
