//! Tasks and runs: the queue, and what each attempt left.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::effects;
use super::models::{BriefRow, ClaimedTask, Effect, JudgedRun};
use super::sqlite::{Store, StoreError, now_ms, signed, unsigned};
use crate::brief::Source;
use crate::queue::task::Transition;

/// Stores a brief and its task; returns 0 when the ledger knows the brief.
pub(super) async fn insert(
    tx: &mut Transaction<'_, Sqlite>,
    brief: &BriefRow,
    lane: &str,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "INSERT INTO briefs (id, repository_id, repository, installation_id, source_kind, source_id, source_url,
             block_index, text_digest, text, thread_number, thread_title, requested_by, requested_by_id,
             author, author_id, delivery_guid)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(brief.id.to_string())
    .bind(signed(brief.source.repository_id))
    .bind(&brief.repository)
    .bind(signed(brief.installation_id))
    .bind(brief.source.kind.as_str())
    .bind(signed(brief.source.id))
    .bind(&brief.source_url)
    .bind(brief.block_index)
    .bind(&brief.text_digest)
    .bind(&brief.text)
    .bind(signed(brief.thread_number))
    .bind(&brief.thread_title)
    .bind(&brief.requested_by)
    .bind(signed(brief.requested_by_id))
    .bind(&brief.author)
    .bind(signed(brief.author_id))
    .bind(&brief.delivery_guid)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(0);
    }
    let now = now_ms();
    sqlx::query(
        "INSERT INTO tasks (brief_id, lane, state, queued_at, changed_at) VALUES (?, ?, 'queued', ?, ?)",
    )
    .bind(brief.id.to_string())
    .bind(lane)
    .bind(now)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(1)
}

/// Cancels the queued tasks of a text whose blocks an edit took out of it or wrote anew; `digests` are
/// those of the blocks that it has now.
pub(super) async fn supersede(
    tx: &mut Transaction<'_, Sqlite>,
    source: Source,
    digests: &[String],
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE tasks SET state = 'cancelled', changed_at = ? WHERE state = 'queued' AND brief_id IN (
             SELECT id FROM briefs WHERE repository_id = ? AND source_kind = ? AND source_id = ?
                 AND text_digest NOT IN (SELECT value FROM json_each(?)))",
    )
    .bind(now_ms())
    .bind(signed(source.repository_id))
    .bind(source.kind.as_str())
    .bind(signed(source.id))
    .bind(serde_json::to_string(digests)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Store {
    /// Takes the oldest queued task of a lane and begins a run of it with the next epoch.
    pub async fn claim_task(&self, lane: &str, run_id: &str) -> Result<Option<ClaimedTask>, StoreError> {
        let mut tx = self.begin().await?;
        let claimed = sqlx::query(
            "UPDATE tasks SET state = 'running', epoch = epoch + 1, changed_at = ?
             WHERE id = (SELECT id FROM tasks WHERE lane = ? AND state = 'queued' ORDER BY id LIMIT 1)
             RETURNING id, epoch, brief_id",
        )
        .bind(now_ms())
        .bind(lane)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(claimed) = claimed else {
            return Ok(None);
        };
        let (id, epoch): (i64, i64) = (claimed.get("id"), claimed.get("epoch"));
        sqlx::query(
            "INSERT INTO runs (id, task_id, epoch, state, started_at) VALUES (?, ?, ?, 'running', ?)",
        )
        .bind(run_id)
        .bind(id)
        .bind(epoch)
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        let brief = sqlx::query("SELECT * FROM briefs WHERE id = ?")
            .bind(claimed.get::<String, _>("brief_id"))
            .fetch_one(&mut *tx)
            .await?;
        let brief = read_brief(&brief)?;
        tx.commit().await?;
        Ok(Some(ClaimedTask { id, epoch, run_id: run_id.to_owned(), lane: lane.to_owned(), brief }))
    }

    /// Stores what a run came to before anything of it is published.
    ///
    /// Fails with [`StoreError::StaleEpoch`] when the task has another run by now.
    pub async fn judge_run(
        &self,
        task: &ClaimedTask,
        report: &str,
        changeset: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE runs SET state = 'judged', ended_at = ?, report = ?, changeset = ?
             WHERE id = ? AND state = 'running'
                 AND EXISTS (SELECT 1 FROM tasks WHERE id = ? AND epoch = ? AND state = 'running')",
        )
        .bind(now_ms())
        .bind(report)
        .bind(changeset)
        .bind(&task.run_id)
        .bind(task.id)
        .bind(task.epoch)
        .execute(&mut *tx)
        .await?;
        fenced(done.rows_affected(), task)?;
        Ok(tx.commit().await?)
    }

    /// Ends a task with its run's final report, and owes what GitHub shall be told of it.
    ///
    /// Fails with [`StoreError::StaleEpoch`] when the task has another run by now.
    pub async fn finish_run(
        &self,
        task: &ClaimedTask,
        end: Transition,
        report: &str,
        owed: &[Effect],
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE tasks SET state = ?, changed_at = ? WHERE id = ? AND epoch = ? AND state = 'running'",
        )
        .bind(end.state().as_str())
        .bind(now_ms())
        .bind(task.id)
        .bind(task.epoch)
        .execute(&mut *tx)
        .await?;
        fenced(done.rows_affected(), task)?;
        sqlx::query(
            "UPDATE runs SET state = 'finished', report = ?, ended_at = COALESCE(ended_at, ?) WHERE id = ?",
        )
        .bind(report)
        .bind(now_ms())
        .bind(&task.run_id)
        .execute(&mut *tx)
        .await?;
        for effect in owed {
            effects::owe(&mut tx, effect).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Puts a running task back into the queue; its run counts as lost.
    ///
    /// Fails with [`StoreError::StaleEpoch`] when the task has another run by now, and when the run was
    /// judged: its work is done, and is published by the next start.
    pub async fn requeue_task(&self, task: &ClaimedTask) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE tasks SET state = 'queued', changed_at = ? WHERE id = ? AND epoch = ? AND state = 'running'
                 AND EXISTS (SELECT 1 FROM runs WHERE id = ? AND state = 'running')",
        )
        .bind(now_ms())
        .bind(task.id)
        .bind(task.epoch)
        .bind(&task.run_id)
        .execute(&mut *tx)
        .await?;
        fenced(done.rows_affected(), task)?;
        sqlx::query("UPDATE runs SET state = 'lost', ended_at = ? WHERE id = ?")
            .bind(now_ms())
            .bind(&task.run_id)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Returns the tasks that a server which is gone had running: those whose run was not judged,
    /// and those whose run was.
    pub async fn orphans(&self) -> Result<(Vec<ClaimedTask>, Vec<JudgedRun>), StoreError> {
        let rows = sqlx::query(
            "SELECT briefs.*, tasks.id AS task_id, tasks.lane, tasks.epoch, runs.id AS run_id,
                 runs.state AS run_state, runs.report, runs.changeset
             FROM tasks JOIN briefs ON briefs.id = tasks.brief_id
                 JOIN runs ON runs.task_id = tasks.id AND runs.epoch = tasks.epoch
             WHERE tasks.state = 'running' ORDER BY tasks.id",
        )
        .fetch_all(&self.reader)
        .await?;
        let (mut lost, mut judged) = (Vec::new(), Vec::new());
        for row in rows {
            let task = ClaimedTask {
                id: row.get("task_id"),
                epoch: row.get("epoch"),
                run_id: row.get("run_id"),
                lane: row.get("lane"),
                brief: read_brief(&row)?,
            };
            match row.get::<Option<String>, _>("report") {
                Some(report) if row.get::<&str, _>("run_state") == "judged" => {
                    judged.push(JudgedRun { task, report, changeset: row.get("changeset") });
                }
                _ => lost.push(task),
            }
        }
        Ok((lost, judged))
    }

    /// Counts the tasks in each state.
    pub async fn task_counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS n FROM tasks GROUP BY state")
            .fetch_all(&self.reader)
            .await?;
        Ok(rows.into_iter().map(|row| (row.get("state"), unsigned(row.get("n")))).collect())
    }

    /// Returns the last finished or judged run whose id, or whose brief's id, begins with `prefix`.
    pub async fn find_run(&self, prefix: &str) -> Result<Option<JudgedRun>, StoreError> {
        let row = sqlx::query(
            "SELECT briefs.*, tasks.id AS task_id, tasks.lane, runs.epoch, runs.id AS run_id, runs.report, runs.changeset
             FROM runs JOIN tasks ON tasks.id = runs.task_id JOIN briefs ON briefs.id = tasks.brief_id
             WHERE runs.report IS NOT NULL
                 AND (substr(runs.id, 1, length(?1)) = ?1 OR substr(briefs.id, 1, length(?1)) = ?1)
             ORDER BY runs.started_at DESC LIMIT 1",
        )
        .bind(prefix)
        .fetch_optional(&self.reader)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(JudgedRun {
            task: ClaimedTask {
                id: row.get("task_id"),
                epoch: row.get("epoch"),
                run_id: row.get("run_id"),
                lane: row.get("lane"),
                brief: read_brief(&row)?,
            },
            report: row.get("report"),
            changeset: row.get("changeset"),
        }))
    }
}

fn fenced(rows: u64, task: &ClaimedTask) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::StaleEpoch(task.run_id.clone())) }
}

fn read_brief(row: &SqliteRow) -> Result<BriefRow, StoreError> {
    let entry = |what: &str| StoreError::Entry(what.to_owned());
    let kind: &str = row.get("source_kind");
    let id: String = row.get("id");
    Ok(BriefRow {
        id: id.parse().map_err(|_| entry("brief id"))?,
        source: Source {
            repository_id: unsigned(row.get("repository_id")),
            kind: kind.parse().map_err(|_| entry("source kind"))?,
            id: unsigned(row.get("source_id")),
        },
        repository: row.get("repository"),
        installation_id: unsigned(row.get("installation_id")),
        source_url: row.get("source_url"),
        block_index: row.get("block_index"),
        text_digest: row.get("text_digest"),
        text: row.get("text"),
        thread_number: unsigned(row.get("thread_number")),
        thread_title: row.get("thread_title"),
        requested_by: row.get("requested_by"),
        requested_by_id: unsigned(row.get("requested_by_id")),
        author: row.get("author"),
        author_id: unsigned(row.get("author_id")),
        delivery_guid: row.get("delivery_guid"),
    })
}
