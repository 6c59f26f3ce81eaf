//! What the store forgets after a time, in small batches, so that no other writer waits long.
//!
//! Rows stay: GUIDs and digests keep everything from happening twice, and tasks and the audit log tell
//! what happened. Bodies, reports and changesets go.

use std::collections::HashSet;

use sqlx::{Row, Sqlite, SqliteExecutor};

use super::blobs::BlobId;
use super::sqlite::{Store, StoreError};

/// Bounds the rows of one transaction.
const BATCH: i64 = 100;

/// Holds of a run that nothing waits for: its task is ended, and GitHub was told everything in its thread.
const OVER: &str = "runs.state IN ('finished', 'lost') AND EXISTS (
    SELECT 1 FROM tasks JOIN briefs ON briefs.id = tasks.brief_id
    WHERE tasks.id = runs.task_id AND tasks.state IN ('done', 'failed', 'cancelled') AND NOT EXISTS (
        SELECT 1 FROM effects WHERE effects.state = 'owed' AND effects.repository_id = briefs.repository_id
            AND effects.thread_number = briefs.thread_number))";

impl Store {
    /// Empties the bodies of handled deliveries that came before a time, in milliseconds since 1970;
    /// returns their number.
    pub async fn forget_bodies(&self, before: i64) -> Result<u64, StoreError> {
        let past = "state IN ('processed', 'ignored') AND received_at < ? AND length(body) > 0";
        self.forget("deliveries", "id", past, "body = x''", before).await
    }

    /// Empties reports and changesets of runs that ended before a time and are over; returns their number.
    pub async fn forget_runs(&self, before: i64) -> Result<u64, StoreError> {
        let past = format!("{OVER} AND ended_at < ? AND (report IS NOT NULL OR changeset IS NOT NULL)");
        self.forget("runs", "rowid", &past, "report = NULL, changeset = NULL", before).await
    }

    /// Finds rows without holding the writer, and changes them a batch at a time; what is no longer so
    /// by then stays.
    async fn forget(
        &self,
        table: &str,
        key: &str,
        past: &str,
        change: &str,
        before: i64,
    ) -> Result<u64, StoreError> {
        let find =
            format!("SELECT {key} FROM {table} WHERE {key} > ? AND {past} ORDER BY {key} LIMIT {BATCH}");
        let empty =
            format!("UPDATE {table} SET {change} WHERE {key} IN (SELECT value FROM json_each(?)) AND {past}");
        let (mut last, mut count) = (i64::MIN, 0);
        loop {
            let find = sqlx::query_scalar(sqlx::AssertSqlSafe(find.clone())).bind(last).bind(before);
            let keys: Vec<i64> = find.fetch_all(&self.reader).await?;
            let Some(newest) = keys.last() else { return Ok(count) };
            last = *newest;
            let empty = sqlx::query::<Sqlite>(sqlx::AssertSqlSafe(empty.clone()));
            let done = empty.bind(serde_json::to_string(&keys)?).bind(before).execute(&self.writer).await?;
            count += done.rows_affected();
        }
    }

    /// Returns the contents that any changeset names.
    pub async fn named_blobs(&self) -> Result<HashSet<BlobId>, StoreError> {
        named_in(&self.reader).await
    }

    /// Tells whether a run is over and ended before a time; `None` where the store does not know it.
    pub async fn run_is_past(&self, run_id: &str, before: i64) -> Result<Option<bool>, StoreError> {
        let look = format!("SELECT {OVER} AND COALESCE(ended_at, started_at) < ? FROM runs WHERE id = ?");
        let look = sqlx::query_scalar(sqlx::AssertSqlSafe(look)).bind(before).bind(run_id);
        Ok(look.fetch_optional(&self.reader).await?)
    }

    /// Tells whether there is a run whose id, or whose brief's id, begins with `prefix`, and whose report
    /// and changeset were forgotten.
    pub async fn is_forgotten(&self, prefix: &str) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM runs JOIN tasks ON tasks.id = runs.task_id
             WHERE runs.state = 'finished' AND runs.report IS NULL
                 AND (substr(runs.id, 1, length(?1)) = ?1 OR substr(tasks.brief_id, 1, length(?1)) = ?1)",
        );
        Ok(row.bind(prefix).fetch_optional(&self.reader).await?.is_some())
    }
}

/// Returns the contents that any changeset of a store names.
pub(super) async fn named_in(store: impl SqliteExecutor<'_>) -> Result<HashSet<BlobId>, StoreError> {
    let rows = sqlx::query(
        "SELECT DISTINCT json_extract(entry.value, '$.blob') AS blob
         FROM runs, json_each(runs.changeset, '$.entries') AS entry
         WHERE runs.changeset IS NOT NULL AND json_extract(entry.value, '$.blob') IS NOT NULL",
    );
    let rows = rows.fetch_all(store).await?;
    let parse = |row: &sqlx::sqlite::SqliteRow| row.get::<&str, _>("blob").parse();
    rows.iter().map(parse).collect::<Result<_, _>>().map_err(|_| StoreError::Entry("blob".to_owned()))
}
