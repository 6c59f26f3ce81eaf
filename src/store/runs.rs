//! Runs: what each attempt came to. Every write carries the run's epoch, and one whose epoch is over is
//! refused: the task has another run by then, or none.

use sqlx::{Row, Sqlite, Transaction};

use super::audit::{self, About, SERVER};
use super::models::{ClaimedTask, Effect, JudgedRun};
use super::sqlite::{Store, StoreError, now_ms};
use super::tasks::claimed_task;
use super::{changes, effects, labels, progress};
use crate::crash;
use crate::queue::task::{Event, TaskState};

/// What follows the end of a run's work.
#[derive(Debug)]
pub enum Next<'a> {
    /// It is published; the task runs on until that is done.
    Publish(&'a Effect),
    /// The task ends, and the thread is told.
    End {
        /// Leads to the task's state.
        event: Event,
        /// Tells why, for people, where that is not plain.
        reason: Option<&'a str>,
        /// Holds what the thread is told.
        owed: &'a [Effect],
        /// Tells where a honeytoken of the run was seen, if one was.
        honeytoken: Option<&'a str>,
    },
    /// The task is queued again.
    Retry {
        /// Tells what ended the run.
        reason: &'a str,
        /// Holds the time before which it does not run again, in milliseconds since 1970.
        not_before_ms: i64,
    },
}

/// A run that works, and its lease.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Holds the task with the run.
    pub task: ClaimedTask,
    /// Holds until when the lease was promised, in milliseconds since 1970.
    pub until_ms: i64,
}

impl Store {
    /// Renews a run's lease.
    ///
    /// Fails with [`StoreError::StaleEpoch`] when the task has another run by now, or when the run's
    /// work has ended.
    pub async fn renew_lease(&self, task: &ClaimedTask, until_ms: i64) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE runs SET lease_until = ? WHERE id = ? AND state = 'running'
                 AND EXISTS (SELECT 1 FROM tasks WHERE id = ? AND epoch = ? AND state = 'running')",
        )
        .bind(until_ms)
        .bind(&task.run_id)
        .bind(task.id)
        .bind(task.epoch)
        .execute(&self.writer)
        .await?;
        fenced(done.rows_affected(), task)
    }

    /// Returns the runs that work now, with their leases; their server may be gone.
    pub async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let rows = sqlx::query(
            "SELECT briefs.*, tasks.id AS task_id, tasks.lane, tasks.epoch, tasks.queued_at, tasks.retries, tasks.losses,
                 runs.id AS run_id, runs.lease_until
             FROM tasks JOIN briefs ON briefs.id = tasks.brief_id
                 JOIN runs ON runs.task_id = tasks.id AND runs.epoch = tasks.epoch
             WHERE tasks.state = 'running' AND runs.state = 'running' ORDER BY tasks.id",
        )
        .fetch_all(&self.reader)
        .await?;
        let read = |row| Ok(Lease { task: claimed_task(row)?, until_ms: row.get("lease_until") });
        rows.iter().map(read).collect()
    }

    /// Stores what a run came to, and what follows, before anything of it is published.
    ///
    /// Fails with [`StoreError::StaleEpoch`] when the task has another run by now, and with
    /// [`StoreError::Changed`] when somebody wants the run stopped and `next` is not that.
    pub async fn end_work(
        &self,
        task: &ClaimedTask,
        report: &str,
        changeset: Option<&str>,
        next: &Next<'_>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let publishing = matches!(next, Next::Publish(_));
        let done = sqlx::query(
            "UPDATE runs SET state = ?, ended_at = ?, report = ?, changeset = ?, reason = ?
             WHERE id = ? AND state = 'running'
                 AND EXISTS (SELECT 1 FROM tasks WHERE id = ? AND epoch = ? AND state = 'running')",
        )
        .bind(if publishing { "judged" } else { "finished" })
        .bind(now_ms())
        .bind(report)
        .bind(changeset)
        .bind(if let Next::Retry { reason, .. } = next { Some(*reason) } else { None })
        .bind(&task.run_id)
        .bind(task.id)
        .bind(task.epoch)
        .execute(&mut *tx)
        .await?;
        fenced(done.rows_affected(), task)?;
        if !matches!(next, Next::End { event: Event::Stopped, .. }) {
            changes::not_stopped(&mut tx, task.id).await?;
        }
        match next {
            Next::Publish(effect) => {
                effects::owe(&mut tx, effect).await?;
                audit::record(&mut tx, about(task), "judged", SERVER, "the change is stored").await?;
                progress::owe_of_task(&mut tx, task.id).await?;
                crash::point("changeset-stored.before-commit");
            }
            Next::End { event, reason, owed, honeytoken } => {
                if let Some(seen) = honeytoken {
                    audit::record(&mut tx, about(task), "honeytoken-seen", SERVER, seen).await?;
                }
                end_task(&mut tx, task, *event, *reason, owed).await?;
            }
            Next::Retry { reason, not_before_ms } => {
                sqlx::query(
                    "UPDATE tasks SET state = 'queued', retries = retries + 1, not_before = ?, changed_at = ?
                     WHERE id = ?",
                )
                .bind(not_before_ms)
                .bind(now_ms())
                .bind(task.id)
                .execute(&mut *tx)
                .await?;
                audit::record(&mut tx, about(task), "retried", SERVER, reason).await?;
                progress::end_check(&mut tx, &task.run_id).await?;
                labels::owe_of_task(&mut tx, task.id).await?;
                progress::owe_of_task(&mut tx, task.id).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Ends a task whose run was being published, confirms or gives up the publishing, and owes what
    /// the thread is told, all at once.
    ///
    /// Fails with [`StoreError::StaleEpoch`] when the task is not being published by this run any more.
    pub async fn end_publishing(
        &self,
        task: &ClaimedTask,
        effect: &Effect,
        event: Event,
        report: &str,
        reason: Option<&str>,
        owed: &[Effect],
    ) -> Result<(), StoreError> {
        let refused = event == Event::PublishingRefused;
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE runs SET state = ?, report = COALESCE(?, report) WHERE id = ? AND state = 'judged'
                 AND EXISTS (SELECT 1 FROM tasks WHERE id = ? AND epoch = ? AND state = 'running')",
        )
        .bind(if refused { "judged" } else { "finished" })
        // What was refused is published later from the report that the run's work ended with.
        .bind(if refused { None } else { Some(report) })
        .bind(&task.run_id)
        .bind(task.id)
        .bind(task.epoch)
        .execute(&mut *tx)
        .await?;
        fenced(done.rows_affected(), task)?;
        sqlx::query("UPDATE effects SET state = ?, reason = ?, written_at = ? WHERE id = ?")
            .bind(if refused { "given_up" } else { "done" })
            .bind(reason)
            .bind(now_ms())
            .bind(effect.id)
            .execute(&mut *tx)
            .await?;
        effects::tell(&mut tx, effect, refused.then_some(reason.unwrap_or_default())).await?;
        end_task(&mut tx, task, event, reason, owed).await?;
        crash::point("done.before-commit");
        Ok(tx.commit().await?)
    }

    /// Counts a run as lost and queues its task again, or quarantines it when it was lost too often;
    /// `owed` is what the thread is told in that case. Returns the task's state.
    ///
    /// Fails with [`StoreError::StaleEpoch`] when the task has another run by now, and when the run's
    /// work had ended: then it is published; with [`StoreError::Changed`] when somebody wants it stopped.
    pub async fn lose_run(
        &self,
        task: &ClaimedTask,
        reason: &str,
        not_before_ms: i64,
        report: &str,
        owed: &[Effect],
    ) -> Result<TaskState, StoreError> {
        let state = TaskState::Running.after(Event::Lost { losses: task.losses });
        let state = state.unwrap_or(TaskState::Queued);
        let mut tx = self.begin().await?;
        let queued = state == TaskState::Queued;
        lose(&mut tx, task, reason, if queued { None } else { Some(report) }).await?;
        changes::not_stopped(&mut tx, task.id).await?;
        sqlx::query("UPDATE tasks SET losses = losses + 1 WHERE id = ?")
            .bind(task.id)
            .execute(&mut *tx)
            .await?;
        audit::record(&mut tx, about(task), "lost", SERVER, reason).await?;
        if queued {
            requeue(&mut tx, task, not_before_ms).await?;
        } else {
            let event = Event::Lost { losses: task.losses };
            end_task(&mut tx, task, event, Some(reason), owed).await?;
        }
        tx.commit().await?;
        Ok(state)
    }

    /// Puts a task back into the queue whose run the server's end cut off; this counts for nothing.
    ///
    /// Fails as [`Self::lose_run`] does.
    pub async fn hand_back(&self, task: &ClaimedTask) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        lose(&mut tx, task, "the server ended", None).await?;
        changes::not_stopped(&mut tx, task.id).await?;
        requeue(&mut tx, task, 0).await?;
        audit::record(&mut tx, about(task), "handed-back", SERVER, "the server ended").await?;
        Ok(tx.commit().await?)
    }

    /// Puts a task back into the queue, for a time, whose run could not begin; this counts for nothing.
    ///
    /// Fails with [`StoreError::StaleEpoch`] as [`Self::lose_run`] does.
    pub async fn put_off_run(
        &self,
        task: &ClaimedTask,
        not_before_ms: i64,
        why: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        changes::not_stopped(&mut tx, task.id).await?;
        lose(&mut tx, task, why, None).await?;
        requeue(&mut tx, task, not_before_ms).await?;
        audit::record(&mut tx, about(task), "put-off", SERVER, why).await?;
        Ok(tx.commit().await?)
    }

    /// Returns a run that waits to be published, or whose publishing was given up.
    pub async fn judged_run(&self, run_id: &str) -> Result<Option<JudgedRun>, StoreError> {
        let row = sqlx::query(
            "SELECT briefs.*, tasks.id AS task_id, tasks.lane, tasks.queued_at, tasks.retries, tasks.losses, runs.epoch,
                 runs.id AS run_id, runs.report, runs.changeset
             FROM runs JOIN tasks ON tasks.id = runs.task_id JOIN briefs ON briefs.id = tasks.brief_id
             WHERE runs.id = ? AND runs.state = 'judged'",
        )
        .bind(run_id)
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| judged(&row)).transpose()
    }

    /// Returns the last run whose work has ended and whose id, or whose brief's id, begins with `prefix`.
    pub async fn find_run(&self, prefix: &str) -> Result<Option<JudgedRun>, StoreError> {
        let row = sqlx::query(
            "SELECT briefs.*, tasks.id AS task_id, tasks.lane, tasks.queued_at, tasks.retries, tasks.losses, runs.epoch,
                 runs.id AS run_id, runs.report, runs.changeset
             FROM runs JOIN tasks ON tasks.id = runs.task_id JOIN briefs ON briefs.id = tasks.brief_id
             WHERE runs.report IS NOT NULL
                 AND (substr(runs.id, 1, length(?1)) = ?1 OR substr(briefs.id, 1, length(?1)) = ?1)
             ORDER BY runs.started_at DESC LIMIT 1",
        )
        .bind(prefix)
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| judged(&row)).transpose()
    }
}

fn judged(row: &sqlx::sqlite::SqliteRow) -> Result<JudgedRun, StoreError> {
    Ok(JudgedRun { task: claimed_task(row)?, report: row.get("report"), changeset: row.get("changeset") })
}

/// Ends a running task; whoever calls has fenced the run.
async fn end_task(
    tx: &mut Transaction<'_, Sqlite>,
    task: &ClaimedTask,
    event: Event,
    reason: Option<&str>,
    owed: &[Effect],
) -> Result<(), StoreError> {
    let state = TaskState::Running.after(event).ok_or_else(|| StoreError::Entry(format!("{event:?}")))?;
    let done = sqlx::query(
        "UPDATE tasks SET state = ?, block_reason = ?, reason = ?, not_before = 0, changed_at = ?,
             stop_by = NULL, stop_why = NULL
         WHERE id = ? AND epoch = ? AND state = 'running'",
    )
    .bind(state.as_str())
    .bind(state.block_reason().map(|reason| reason.as_str()))
    .bind(reason)
    .bind(now_ms())
    .bind(task.id)
    .bind(task.epoch)
    .execute(&mut **tx)
    .await?;
    fenced(done.rows_affected(), task)?;
    progress::end_check(tx, &task.run_id).await?;
    for effect in owed {
        effects::owe(tx, effect).await?;
    }
    labels::owe_of_task(tx, task.id).await?;
    audit::record(tx, about(task), state.as_str(), SERVER, reason.unwrap_or_default()).await
}

pub(super) async fn lose(
    tx: &mut Transaction<'_, Sqlite>,
    task: &ClaimedTask,
    reason: &str,
    report: Option<&str>,
) -> Result<(), StoreError> {
    let done = sqlx::query(
        "UPDATE runs SET state = 'lost', ended_at = ?, reason = ?, report = ?
         WHERE id = ? AND state = 'running'
             AND EXISTS (SELECT 1 FROM tasks WHERE id = ? AND epoch = ? AND state = 'running')",
    )
    .bind(now_ms())
    .bind(reason)
    .bind(report)
    .bind(&task.run_id)
    .bind(task.id)
    .bind(task.epoch)
    .execute(&mut **tx)
    .await?;
    fenced(done.rows_affected(), task)?;
    progress::end_check(tx, &task.run_id).await
}

async fn requeue(
    tx: &mut Transaction<'_, Sqlite>,
    task: &ClaimedTask,
    not_before_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE tasks SET state = 'queued', not_before = ?, changed_at = ? WHERE id = ?")
        .bind(not_before_ms)
        .bind(now_ms())
        .bind(task.id)
        .execute(&mut **tx)
        .await?;
    progress::owe_of_task(tx, task.id).await?;
    labels::owe_of_task(tx, task.id).await
}

fn about(task: &ClaimedTask) -> About<'_> {
    About { task: Some(task.id), run: Some(&task.run_id) }
}

fn fenced(rows: u64, task: &ClaimedTask) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::StaleEpoch(task.run_id.clone())) }
}
