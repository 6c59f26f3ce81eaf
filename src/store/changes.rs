//! What people want of tasks: cancelled, stopped, started, run once more, published again. What they are told was decided on
//! what the store held before, so a change that does not fit any more is refused, and all with it.

use sqlx::{Row, Sqlite, Transaction};

use super::audit::{self, About, Actor};
use super::models::Effect;
use super::sqlite::{Store, StoreError, now_ms};
use super::{anew, effects, labels, progress};

/// A change of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChange {
    /// Holds the task's id.
    pub task: i64,
    /// Tells what is done.
    pub act: Act,
    /// Names who wants it: an account on GitHub, `operator` or `server`.
    pub actor: String,
    /// Holds the account's id on GitHub, where it is one.
    pub actor_id: Option<u64>,
    /// Tells why, for people.
    pub why: String,
}

/// What is done to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A queued or blocked task is cancelled.
    Cancel,
    /// A task's run that works shall be ended; kept until it is.
    Stop,
    /// A task whose publishing GitHub refused is published again.
    Republish,
    /// A task that waits to be started is queued.
    Start,
    /// As [`Self::Start`], by a label that counts as long as it is there.
    Open,
    /// A task that failed, was cancelled or is quarantined is queued once more.
    Retry,
}

impl Act {
    /// Tells whether it queues a task.
    pub fn queues(self) -> bool {
        matches!(self, Self::Start | Self::Open | Self::Retry)
    }
}

/// The wish that a task's run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopWish {
    /// Names who has it.
    pub actor: String,
    /// Tells why, for people.
    pub why: String,
}

/// Makes a change; fails with [`StoreError::Changed`] when the task is not as it must be.
pub(super) async fn apply(tx: &mut Transaction<'_, Sqlite>, change: &TaskChange) -> Result<(), StoreError> {
    let worked = change.act == Act::Cancel && was_worked_on(tx, change.task).await?;
    let (event, run) = match change.act {
        Act::Cancel => ("cancelled", cancel(tx, change).await?),
        Act::Stop => ("stop-wanted", stop(tx, change).await?),
        Act::Republish => ("republished", Some(republish(tx, change.task).await?)),
        Act::Start => ("started", anew::start(tx, change, true).await.map(|()| None)?),
        Act::Open => ("started", anew::start(tx, change, false).await.map(|()| None)?),
        Act::Retry => ("retry-wanted", anew::retry(tx, change).await.map(|()| None)?),
    };
    let about = About { task: Some(change.task), run: run.as_deref() };
    let actor = Actor::known(&change.actor, change.actor_id);
    audit::record(tx, about, event, actor, &change.why).await?;
    labels::owe_of_task(tx, change.task).await?;
    // What was worked on has its result, which stays.
    if worked || change.act == Act::Republish {
        return Ok(());
    }
    progress::owe_of_task(tx, change.task).await?;
    Ok(())
}

async fn was_worked_on(tx: &mut Transaction<'_, Sqlite>, task: i64) -> Result<bool, StoreError> {
    let blocked = sqlx::query(
        "SELECT 1 FROM tasks WHERE id = ? AND state = 'blocked' AND block_reason IN ('publishing', 'quarantined')",
    );
    Ok(blocked.bind(task).fetch_optional(&mut **tx).await?.is_some())
}

async fn cancel(tx: &mut Transaction<'_, Sqlite>, change: &TaskChange) -> Result<Option<String>, StoreError> {
    let done = sqlx::query(
        "UPDATE tasks SET state = 'cancelled', block_reason = NULL, reason = ?, changed_at = ?
         WHERE id = ? AND state IN ('queued', 'blocked')",
    )
    .bind(format!("{} ({})", change.why, change.actor))
    .bind(now_ms())
    .bind(change.task)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Changed(change.task));
    }
    // What waited to be published is over, too.
    sqlx::query("UPDATE runs SET state = 'finished' WHERE task_id = ? AND state = 'judged'")
        .bind(change.task)
        .execute(&mut **tx)
        .await?;
    Ok(None)
}

async fn stop(tx: &mut Transaction<'_, Sqlite>, change: &TaskChange) -> Result<Option<String>, StoreError> {
    let row = sqlx::query(
        "UPDATE tasks SET stop_by = ?, stop_why = ?
         WHERE id = ? AND state = 'running' AND stop_by IS NULL AND EXISTS (
             SELECT 1 FROM runs WHERE task_id = tasks.id AND epoch = tasks.epoch AND state = 'running')
         RETURNING (SELECT id FROM runs WHERE task_id = tasks.id AND epoch = tasks.epoch) AS run_id",
    )
    .bind(&change.actor)
    .bind(&change.why)
    .bind(change.task)
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| Some(row.get("run_id"))).ok_or(StoreError::Changed(change.task))
}

async fn republish(tx: &mut Transaction<'_, Sqlite>, task: i64) -> Result<String, StoreError> {
    let row = sqlx::query(
        "UPDATE tasks SET state = 'running', block_reason = NULL, reason = NULL, changed_at = ?
         WHERE id = ? AND state = 'blocked' AND block_reason = 'publishing'
         RETURNING (SELECT id FROM runs WHERE task_id = tasks.id AND epoch = tasks.epoch) AS run_id",
    )
    .bind(now_ms())
    .bind(task)
    .fetch_optional(&mut **tx)
    .await?;
    let run: String = row.ok_or(StoreError::Changed(task))?.get("run_id");
    sqlx::query(
        "UPDATE effects SET state = 'owed', attempts = 0, not_before = 0, reason = NULL WHERE key = ?",
    )
    .bind(effects::publish_key(&run))
    .execute(&mut **tx)
    .await?;
    Ok(run)
}

/// Refuses what would let a task go on whose stop somebody wants.
pub(super) async fn not_stopped(tx: &mut Transaction<'_, Sqlite>, task: i64) -> Result<(), StoreError> {
    let wanted = sqlx::query("SELECT 1 FROM tasks WHERE id = ? AND stop_by IS NOT NULL")
        .bind(task)
        .fetch_optional(&mut **tx)
        .await?;
    if wanted.is_some() { Err(StoreError::Changed(task)) } else { Ok(()) }
}

impl Store {
    /// Makes changes and owes what the threads are told of them, all or nothing.
    ///
    /// Fails with [`StoreError::Changed`] when a task is not as it must be.
    pub async fn change_tasks(&self, changes: &[TaskChange], owed: &[Effect]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for change in changes {
            apply(&mut tx, change).await?;
        }
        for effect in owed {
            effects::owe(&mut tx, effect).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Returns the wish that a task's run ends, if somebody has it.
    pub async fn stop_wish(&self, task: i64) -> Result<Option<StopWish>, StoreError> {
        let row = sqlx::query("SELECT stop_by, stop_why FROM tasks WHERE id = ? AND stop_by IS NOT NULL")
            .bind(task)
            .fetch_optional(&self.reader)
            .await?;
        let why = |row: &sqlx::sqlite::SqliteRow| row.get::<Option<String>, _>("stop_why");
        Ok(row.map(|row| StopWish { actor: row.get("stop_by"), why: why(&row).unwrap_or_default() }))
    }

    /// Lets a task be published again whose publishing GitHub refused; returns whether it was so.
    pub async fn republish_task(&self, task: i64, actor: &str) -> Result<bool, StoreError> {
        let actor = actor.to_owned();
        let change = TaskChange { task, act: Act::Republish, actor, actor_id: None, why: String::new() };
        match self.change_tasks(&[change], &[]).await {
            Ok(()) => Ok(true),
            Err(StoreError::Changed(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brief::{BriefId, Source, SourceKind};
    use crate::queue::task::{Event, TaskState};
    use crate::store::models::{BriefRow, ClaimedTask, EffectPayload, TaskFilter};
    use crate::store::{Intake, Next, SERVER};

    fn brief() -> BriefRow {
        let source = Source { repository_id: 7, kind: SourceKind::IssueBody, id: 70 };
        BriefRow {
            id: BriefId::from([7; 32]),
            source,
            repository: "octo/example".to_owned(),
            installation_id: 3,
            source_url: "https://github.com/octo/example/issues/1".to_owned(),
            block_index: 0,
            text_digest: "d".repeat(64),
            text: String::new(),
            thread_number: 1,
            thread_title: "T".to_owned(),
            requested_by: "maria".to_owned(),
            requested_by_id: 9,
            author: "maria".to_owned(),
            author_id: 9,
            delivery_guid: "guid".to_owned(),
        }
    }

    async fn claimed() -> (tempfile::TempDir, Store, ClaimedTask) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        let intake = Intake {
            seen: Some((brief().source, 5)),
            accepted: vec![(brief(), "lane".to_owned())],
            ..Intake::default()
        };
        store.finish_delivery(0, &intake).await.unwrap();
        let task = store.claim_task("lane", "run-1", 0).await.unwrap().unwrap();
        (folder, store, task)
    }

    fn change(task: i64, act: Act) -> [TaskChange; 1] {
        [TaskChange { task, act, actor: "maria".to_owned(), actor_id: Some(9), why: "enough".to_owned() }]
    }

    fn is_changed<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
        matches!(result, Err(StoreError::Changed(_)))
    }

    async fn state(store: &Store) -> TaskState {
        store.tasks(&TaskFilter { most: 1, ..TaskFilter::default() }).await.unwrap()[0].state
    }

    #[tokio::test]
    async fn a_wanted_stop_lets_a_run_end_in_no_other_way() {
        let (_folder, store, task) = claimed().await;
        store.change_tasks(&change(task.id, Act::Stop), &[]).await.unwrap();
        assert!(
            is_changed(store.change_tasks(&change(task.id, Act::Stop), &[]).await),
            "it is wanted already"
        );
        let publish = Effect::for_brief(
            &task.brief,
            "p".to_owned(),
            EffectPayload::Publish { run: "run-1".to_owned() },
        );
        assert!(is_changed(store.end_work(&task, "{}", None, &Next::Publish(&publish)).await));
        assert!(is_changed(
            store.end_work(&task, "{}", None, &Next::Retry { reason: "x", not_before_ms: 0 }).await
        ));
        let failed = Next::End { event: Event::Failed, reason: None, owed: &[], honeytoken: None };
        assert!(is_changed(store.end_work(&task, "{}", None, &failed).await));
        assert!(is_changed(store.hand_back(&task).await));
        assert!(is_changed(store.lose_run(&task, "x", 0, "{}", &[]).await));
        assert_eq!(state(&store).await, TaskState::Running);
        assert_eq!(store.stop_wish(task.id).await.unwrap().unwrap().actor, "maria");
        let stopped =
            Next::End { event: Event::Stopped, reason: Some("stopped"), owed: &[], honeytoken: None };
        store.end_work(&task, "{}", None, &stopped).await.unwrap();
        assert_eq!(state(&store).await, TaskState::Cancelled);
        assert_eq!(store.stop_wish(task.id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_change_that_does_not_fit_any_more_is_refused_with_all_that_belongs_to_it() {
        let (_folder, store, task) = claimed().await;
        let owed =
            Effect::for_brief(&task.brief, "told".to_owned(), EffectPayload::Publish { run: "x".to_owned() });
        for act in [Act::Cancel, Act::Republish] {
            assert!(is_changed(store.change_tasks(&change(task.id, act), std::slice::from_ref(&owed)).await));
        }
        assert!(!store.effect_known("told").await.unwrap());
        let publish = Effect::for_brief(
            &task.brief,
            "p".to_owned(),
            EffectPayload::Publish { run: "run-1".to_owned() },
        );
        store.end_work(&task, "{}", None, &Next::Publish(&publish)).await.unwrap();
        assert!(
            is_changed(store.change_tasks(&change(task.id, Act::Stop), &[]).await),
            "it is being published"
        );
        assert!(!store.republish_task(task.id, SERVER).await.unwrap());
    }
}
