//! The audit log: what happened to tasks, and by whom. Entries are added and never changed; the
//! database itself refuses anything else.

use sqlx::{Row, Sqlite, Transaction};

use super::sqlite::{Store, StoreError, now_ms};

/// Stands for the server itself where an entry names who caused it.
pub const SERVER: &str = "server";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AuditEntry {
    /// Holds the time, in milliseconds since 1970.
    pub at_ms: i64,
    /// Holds the task that it is about, if it is about one.
    pub task: Option<i64>,
    /// Names the run that it is about.
    pub run: Option<String>,
    /// Tells what happened, in one word.
    pub event: String,
    /// Names who caused it: `server`, `operator`, or an account on GitHub.
    pub actor: String,
    /// Tells more.
    pub detail: String,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) task: Option<i64>,
    pub(super) run: Option<&'a str>,
}

/// Adds an entry in the transaction of what it tells of.
pub(super) async fn record(
    tx: &mut Transaction<'_, Sqlite>,
    about: About<'_>,
    event: &str,
    actor: &str,
    detail: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO audit (at, task_id, run_id, event, actor, detail) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(now_ms())
        .bind(about.task)
        .bind(about.run)
        .bind(event)
        .bind(actor)
        .bind(detail)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Store {
    /// Returns the entries about a task, oldest first.
    pub async fn audit_of_task(&self, task: i64) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query("SELECT * FROM audit WHERE task_id = ? ORDER BY id")
            .bind(task)
            .fetch_all(&self.reader)
            .await?;
        let entry = |row: sqlx::sqlite::SqliteRow| AuditEntry {
            at_ms: row.get("at"),
            task: row.get("task_id"),
            run: row.get("run_id"),
            event: row.get("event"),
            actor: row.get("actor"),
            detail: row.get("detail"),
        };
        Ok(rows.into_iter().map(entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_entry_can_neither_be_changed_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        record(&mut tx, About { task: Some(7), run: None }, "stopped", "maria", "why not").await.unwrap();
        tx.commit().await.unwrap();
        for forgery in ["UPDATE audit SET actor = 'olga'", "DELETE FROM audit"] {
            let refused = sqlx::query(forgery).execute(&store.writer).await.unwrap_err().to_string();
            assert!(refused.contains("the audit log is never"), "{refused}");
        }
        let entries = store.audit_of_task(7).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].event.as_str(), entries[0].actor.as_str()), ("stopped", "maria"));
    }
}
