//! Tasks: the queue.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::audit::{self, About, Actor, SERVER};
use super::models::{BriefRow, ClaimedTask, EarlierRun, HeldBy, TaskFilter, TaskView};
use super::sqlite::{Store, StoreError, now_ms, signed, unsigned};
use super::{labels, progress};
use crate::brief::Source;
use crate::crash;
use crate::queue::task::TaskState;

/// Stores a brief and its task; returns the task's id, or `None` when the ledger knows the brief.
pub(super) async fn insert(
    tx: &mut Transaction<'_, Sqlite>,
    brief: &BriefRow,
    lane: &str,
) -> Result<Option<i64>, StoreError> {
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
        return Ok(None);
    }
    let now = now_ms();
    let done = sqlx::query(
        "INSERT INTO tasks (brief_id, lane, state, queued_at, changed_at) VALUES (?, ?, 'queued', ?, ?)",
    )
    .bind(brief.id.to_string())
    .bind(lane)
    .bind(now)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    let about = About { task: Some(done.last_insert_rowid()), run: None };
    let asker = Actor::account(&brief.requested_by, brief.requested_by_id);
    audit::record(tx, about, "queued", asker, &brief.source_url).await?;
    labels::owe_of_task(tx, done.last_insert_rowid()).await?;
    progress::owe_of_task(tx, done.last_insert_rowid()).await?;
    Ok(Some(done.last_insert_rowid()))
}

/// Cancels the tasks of a text that are queued or wait for somebody, whose blocks an edit took out of it or
/// wrote anew; `digests` are those of the blocks that it has now.
pub(super) async fn supersede(
    tx: &mut Transaction<'_, Sqlite>,
    source: Source,
    digests: &[String],
) -> Result<(), StoreError> {
    let cancelled = sqlx::query(
        "UPDATE tasks SET state = 'cancelled', block_reason = NULL, changed_at = ?, reason = 'its text was edited'
         WHERE (state = 'queued' OR block_reason IN ('awaiting_approval', 'awaiting_start')) AND brief_id IN (
             SELECT id FROM briefs WHERE repository_id = ? AND source_kind = ? AND source_id = ?
                 AND text_digest NOT IN (SELECT value FROM json_each(?)))
         RETURNING id",
    )
    .bind(now_ms())
    .bind(signed(source.repository_id))
    .bind(source.kind.as_str())
    .bind(signed(source.id))
    .bind(serde_json::to_string(digests)?)
    .fetch_all(&mut **tx)
    .await?;
    for row in cancelled {
        let about = About { task: Some(row.get("id")), run: None };
        audit::record(tx, about, "cancelled", SERVER, "its text was edited").await?;
        labels::owe_of_task(tx, row.get("id")).await?;
        progress::owe_of_task(tx, row.get("id")).await?;
    }
    Ok(())
}

impl Store {
    /// Takes the oldest task of a lane that may run by now and whose user and repository have no more runs
    /// than they may, and begins a run of it with the next epoch and a lease.
    pub async fn claim_task(
        &self,
        lane: &str,
        run_id: &str,
        lease_until_ms: i64,
    ) -> Result<Option<ClaimedTask>, StoreError> {
        let mut tx = self.begin().await?;
        let claimed = sqlx::query(
            "UPDATE tasks SET state = 'running', epoch = epoch + 1, changed_at = ?1
             WHERE id = (SELECT own.id FROM tasks AS own JOIN briefs ON briefs.id = own.brief_id
                 WHERE own.lane = ?2 AND own.state = 'queued' AND own.not_before <= ?1
                     AND (own.user_at_a_time IS NULL OR own.user_at_a_time > (
                         SELECT COUNT(*) FROM running WHERE user = briefs.requested_by_id))
                     AND (own.repository_at_a_time IS NULL OR own.repository_at_a_time > (
                         SELECT COUNT(*) FROM running WHERE running.repository = briefs.repository_id))
                 ORDER BY own.id LIMIT 1)
             RETURNING id, epoch, brief_id, queued_at, retries, losses",
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
            "INSERT INTO runs (id, task_id, epoch, state, started_at, lease_until)
             VALUES (?, ?, ?, 'running', ?, ?)",
        )
        .bind(run_id)
        .bind(id)
        .bind(epoch)
        .bind(now_ms())
        .bind(lease_until_ms)
        .execute(&mut *tx)
        .await?;
        let brief = sqlx::query("SELECT * FROM briefs WHERE id = ?")
            .bind(claimed.get::<String, _>("brief_id"))
            .fetch_one(&mut *tx)
            .await?;
        let task = ClaimedTask {
            id,
            epoch,
            run_id: run_id.to_owned(),
            lane: lane.to_owned(),
            queued_at_ms: claimed.get("queued_at"),
            retries: claimed.get("retries"),
            losses: claimed.get("losses"),
            brief: read_brief(&brief)?,
        };
        let about = About { task: Some(id), run: Some(run_id) };
        audit::record(&mut tx, about, "claimed", SERVER, lane).await?;
        labels::owe_of_task(&mut tx, id).await?;
        progress::owe_of_task(&mut tx, id).await?;
        crash::point("leased.before-commit");
        tx.commit().await?;
        Ok(Some(task))
    }

    /// Returns the time at which the next task that is held back may run, in milliseconds since 1970.
    pub async fn next_task_at(&self) -> Result<Option<i64>, StoreError> {
        let row =
            sqlx::query("SELECT MIN(not_before) AS at FROM tasks WHERE state = 'queued' AND not_before > ?")
                .bind(now_ms())
                .fetch_one(&self.reader)
                .await?;
        Ok(row.get("at"))
    }

    /// Returns the earlier runs of a task that ended without a result, oldest first, and why each did.
    pub async fn earlier_runs(&self, task: &ClaimedTask) -> Result<Vec<EarlierRun>, StoreError> {
        self.runs_without_result(task.id, task.epoch).await
    }

    /// Returns the runs of a task before an epoch that ended without a result, oldest first.
    pub async fn runs_without_result(&self, task: i64, before: i64) -> Result<Vec<EarlierRun>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, reason FROM runs WHERE task_id = ? AND epoch < ? AND reason IS NOT NULL ORDER BY epoch",
        )
        .bind(task)
        .bind(before)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.iter().map(|row| EarlierRun { run: row.get("id"), reason: row.get("reason") }).collect())
    }

    /// Returns the tasks that are blocked by their publishing and whose next try by the server itself is due:
    /// after `for_ms` milliseconds, then after twice as long each time, some twenty times in all.
    pub async fn unpublished_tasks(&self, for_ms: i64) -> Result<Vec<i64>, StoreError> {
        let rows = sqlx::query(
            "SELECT id FROM (
                 SELECT id, changed_at, (SELECT COUNT(*) FROM audit WHERE task_id = tasks.id
                     AND action = 'republished' AND actor_id = ?1) AS tries
                 FROM tasks WHERE state = 'blocked' AND block_reason = 'publishing')
             WHERE tries < 20 AND MIN(changed_at, ?2) + ?3 * (1 << MIN(tries, 6)) <= ?2",
        )
        .bind(SERVER)
        .bind(now_ms())
        .bind(for_ms)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.iter().map(|row| row.get("id")).collect())
    }

    /// Counts the tasks that a queued task's lane takes before it.
    pub async fn tasks_before(&self, task: i64) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS n FROM tasks AS other JOIN tasks AS own ON own.lane = other.lane
             WHERE own.id = ? AND other.id < own.id AND other.state = 'queued' AND other.not_before <= ?",
        )
        .bind(task)
        .bind(now_ms())
        .fetch_one(&self.reader)
        .await?;
        Ok(unsigned(row.get("n")))
    }

    /// Counts the tasks that are queued, by lane.
    pub async fn queued_by_lane(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows = sqlx::query("SELECT lane, COUNT(*) AS n FROM tasks WHERE state = 'queued' GROUP BY lane")
            .fetch_all(&self.reader)
            .await?;
        Ok(rows.iter().map(|row| (row.get("lane"), unsigned(row.get("n")))).collect())
    }

    /// Counts the tasks in each state.
    pub async fn task_counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS n FROM tasks GROUP BY state")
            .fetch_all(&self.reader)
            .await?;
        Ok(rows.into_iter().map(|row| (row.get("state"), unsigned(row.get("n")))).collect())
    }

    /// Returns the tasks that match, newest first, as people are shown them.
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<Vec<TaskView>, StoreError> {
        // A range of ids, unlike another condition, is never looked for from the newest task on.
        let (first, last) = match &filter.brief {
            None => (0, i64::MAX),
            Some(brief) => {
                let found =
                    sqlx::query_scalar::<_, i64>("SELECT id FROM tasks WHERE brief_id = ?").bind(brief);
                let Some(id) = found.fetch_optional(&self.reader).await? else { return Ok(Vec::new()) };
                (id, id)
            }
        };
        let rows = sqlx::query(
            "SELECT briefs.*, tasks.id AS task_id, tasks.lane, tasks.state, tasks.block_reason, tasks.reason,
                 tasks.epoch, tasks.retries, tasks.losses, tasks.not_before, tasks.queued_at, tasks.changed_at,
                 tasks.stop_by IS NOT NULL AS stopping, runs.id AS run_id, runs.state AS run_state,
                 json_extract(runs.report, '$.pull_request_url') AS pull_request_url,
                 json_extract(runs.report, '$.processes_left') AS processes_left,
                 CASE WHEN tasks.state <> 'queued' THEN NULL
                     WHEN tasks.user_at_a_time <= (
                         SELECT COUNT(*) FROM running WHERE user = briefs.requested_by_id) THEN 'user'
                     WHEN tasks.repository_at_a_time <= (
                         SELECT COUNT(*) FROM running WHERE running.repository = briefs.repository_id)
                         THEN 'repository'
                 END AS held_by
             FROM tasks JOIN briefs ON briefs.id = tasks.brief_id
                 LEFT JOIN runs ON runs.task_id = tasks.id AND runs.epoch = tasks.epoch
                 LEFT JOIN sources ON sources.repository_id = briefs.repository_id
                     AND sources.kind = briefs.source_kind AND sources.source_id = briefs.source_id
             WHERE tasks.id BETWEEN ?9 AND ?10 AND (?1 IS NULL OR briefs.repository_id = ?1) AND (?2 IS NULL OR briefs.thread_number = ?2)
                 AND (?3 IS NULL OR substr(briefs.id, 1, length(?3)) = ?3 OR substr(runs.id, 1, length(?3)) = ?3)
                 AND (?4 = 0 OR tasks.state IN ('queued', 'running', 'blocked'))
                 AND (?5 IS NULL OR (briefs.source_kind = ?5 AND briefs.source_id = ?6))
                 AND (?7 IS NULL OR COALESCE(sources.updated_at, 0) <= ?7)
             ORDER BY tasks.id DESC LIMIT ?8",
        )
        .bind(filter.repository.map(signed))
        .bind(filter.thread.map(signed))
        .bind(filter.prefix.as_deref())
        .bind(filter.open_only)
        .bind(filter.text.map(|(kind, _)| kind.as_str()))
        .bind(filter.text.map(|(_, id)| signed(id)))
        .bind(filter.written_until_ms)
        .bind(filter.most)
        .bind(first)
        .bind(last)
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(read_view).collect()
    }
}

fn read_view(row: &SqliteRow) -> Result<TaskView, StoreError> {
    let state = TaskState::read(row.get("state"), row.get("block_reason"));
    Ok(TaskView {
        id: row.get("task_id"),
        brief: read_brief(row)?,
        lane: row.get("lane"),
        state: state.ok_or_else(|| StoreError::Entry("task state".to_owned()))?,
        reason: row.get("reason"),
        run: row.get("run_id"),
        publishing: row.get::<Option<&str>, _>("run_state") == Some("judged"),
        stopping: row.get("stopping"),
        pull_request_url: row.get("pull_request_url"),
        processes_left: row.get("processes_left"),
        retries: row.get("retries"),
        losses: row.get("losses"),
        not_before_ms: row.get("not_before"),
        held_by: row.get::<Option<&str>, _>("held_by").and_then(HeldBy::read),
        queued_at_ms: row.get("queued_at"),
        changed_at_ms: row.get("changed_at"),
    })
}

/// Reads a task with its run from a row that has both and the brief's columns.
pub(super) fn claimed_task(row: &SqliteRow) -> Result<ClaimedTask, StoreError> {
    Ok(ClaimedTask {
        id: row.get("task_id"),
        epoch: row.get("epoch"),
        run_id: row.get("run_id"),
        lane: row.get("lane"),
        queued_at_ms: row.get("queued_at"),
        retries: row.get("retries"),
        losses: row.get("losses"),
        brief: read_brief(row)?,
    })
}

pub(super) fn read_brief(row: &SqliteRow) -> Result<BriefRow, StoreError> {
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
