//! Texts and threads as they were seen last: what is new, what is gone, which commands were looked at.

use std::collections::{HashMap, HashSet};

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::sqlite::{Store, StoreError, signed, unsigned};
use crate::brief::source::Source;

/// What was withdrawn, or may be written to again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// A text was deleted.
    Text(Source),
    /// A thread was closed or is gone, with what was written in it until then, in milliseconds since 1970.
    Thread {
        /// Holds the repository's id.
        repository: u64,
        /// Holds the thread's number.
        number: u64,
        /// Holds the time; `i64::MAX` when the thread is gone.
        at_ms: i64,
    },
    /// Everything in a thread that was written before a time was stopped.
    Stopped {
        /// Holds the repository's id.
        repository: u64,
        /// Holds the thread's number.
        number: u64,
        /// Holds the time, in milliseconds since 1970.
        at_ms: i64,
    },
    /// A thread was opened again.
    Reopened {
        /// Holds the repository's id.
        repository: u64,
        /// Holds the thread's number.
        number: u64,
        /// Holds the time, in milliseconds since 1970.
        at_ms: i64,
    },
}

/// Where a repository was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRepository {
    /// Holds the repository's id.
    pub id: u64,
    /// Holds its owner and name.
    pub name: String,
    /// Holds the App's installation there.
    pub installation_id: u64,
}

/// Remembers a withdrawal, so that what comes late of it does nothing.
pub(super) async fn withdraw(
    tx: &mut Transaction<'_, Sqlite>,
    withdrawal: Withdrawal,
) -> Result<(), StoreError> {
    match withdrawal {
        Withdrawal::Text(source) => {
            sqlx::query(
                "INSERT INTO sources (repository_id, kind, source_id, updated_at, gone) VALUES (?, ?, ?, 0, 1)
                 ON CONFLICT DO UPDATE SET gone = 1",
            )
            .bind(signed(source.repository_id))
            .bind(source.kind.as_str())
            .bind(signed(source.id))
            .execute(&mut **tx)
            .await?;
        }
        Withdrawal::Thread { repository, number, at_ms } => {
            thread_times(tx, repository, number, at_ms, 0, 0).await?;
        }
        Withdrawal::Reopened { repository, number, at_ms } => {
            thread_times(tx, repository, number, 0, at_ms, 0).await?;
        }
        Withdrawal::Stopped { repository, number, at_ms } => {
            thread_times(tx, repository, number, 0, 0, at_ms).await?;
        }
    }
    Ok(())
}

async fn thread_times(
    tx: &mut Transaction<'_, Sqlite>,
    repository: u64,
    number: u64,
    closed_ms: i64,
    reopened_ms: i64,
    stopped_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO closed_threads (repository_id, number, closed_at, reopened_at, stopped_at)
         VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET closed_at = MAX(closed_at, excluded.closed_at),
             reopened_at = MAX(reopened_at, excluded.reopened_at),
             stopped_at = MAX(stopped_at, excluded.stopped_at)",
    )
    .bind(signed(repository))
    .bind(signed(number))
    .bind(closed_ms)
    .bind(reopened_ms)
    .bind(stopped_ms)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Remembers a version of a text.
pub(super) async fn see(
    tx: &mut Transaction<'_, Sqlite>,
    source: Source,
    updated_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sources (repository_id, kind, source_id, updated_at) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET updated_at = MAX(updated_at, excluded.updated_at)",
    )
    .bind(signed(source.repository_id))
    .bind(source.kind.as_str())
    .bind(signed(source.id))
    .bind(updated_ms)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Remembers who brought blocks into a text, each by whom it came first.
pub(super) async fn see_blocks(
    tx: &mut Transaction<'_, Sqlite>,
    source: Source,
    (login, id): &(String, u64),
    digests: &[String],
) -> Result<(), StoreError> {
    for digest in digests {
        sqlx::query(
            "INSERT INTO blocks (repository_id, kind, source_id, text_digest, sender, sender_id)
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(signed(source.repository_id))
        .bind(source.kind.as_str())
        .bind(signed(source.id))
        .bind(digest)
        .bind(login)
        .bind(signed(*id))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Remembers where a repository is; what an older delivery tells does not count.
pub(super) async fn see_repository(
    tx: &mut Transaction<'_, Sqlite>,
    delivery: i64,
    seen: &SeenRepository,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO repositories (id, name, installation_id, seen_at)
             SELECT ?, ?, ?, received_at FROM deliveries WHERE id = ?
         ON CONFLICT DO UPDATE SET name = excluded.name, installation_id = excluded.installation_id,
             seen_at = excluded.seen_at
         WHERE excluded.seen_at >= seen_at
             -- What was delivered again was sent long before it was received.
             AND NOT EXISTS (SELECT 1 FROM missed JOIN deliveries ON deliveries.guid = missed.name
                 WHERE deliveries.id = ?)",
    )
    .bind(signed(seen.id))
    .bind(&seen.name)
    .bind(signed(seen.installation_id))
    .bind(delivery)
    .bind(delivery)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Remembers commands of a text, each with its number among equal ones.
pub(super) async fn see_commands(
    tx: &mut Transaction<'_, Sqlite>,
    source: Source,
    commands: &[(String, u32)],
) -> Result<(), StoreError> {
    for (words, nth) in commands {
        sqlx::query(
            "INSERT INTO commands (repository_id, kind, source_id, command, nth) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind(signed(source.repository_id))
        .bind(source.kind.as_str())
        .bind(signed(source.id))
        .bind(words)
        .bind(nth)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

impl Store {
    /// Returns who brought each block of a text first, login and id, by the digests of the blocks.
    pub async fn bringers(&self, source: Source) -> Result<HashMap<String, (String, u64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT text_digest, sender, sender_id FROM blocks
             WHERE repository_id = ? AND kind = ? AND source_id = ?",
        )
        .bind(signed(source.repository_id))
        .bind(source.kind.as_str())
        .bind(signed(source.id))
        .fetch_all(&self.reader)
        .await?;
        let bringer = |row: &SqliteRow| (row.get("sender"), unsigned(row.get("sender_id")));
        Ok(rows.iter().map(|row| (row.get("text_digest"), bringer(row))).collect())
    }

    /// Returns when the newest known version of a text was written, in milliseconds since 1970.
    pub async fn source_updated_at(&self, source: Source) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query(
            "SELECT updated_at FROM sources WHERE repository_id = ? AND kind = ? AND source_id = ?",
        )
        .bind(signed(source.repository_id))
        .bind(source.kind.as_str())
        .bind(signed(source.id))
        .fetch_optional(&self.reader)
        .await?;
        Ok(row.map(|row| row.get("updated_at")))
    }

    /// Tells whether a text was deleted.
    pub async fn is_gone(&self, source: Source) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM sources WHERE repository_id = ? AND kind = ? AND source_id = ? AND gone = 1",
        )
        .bind(signed(source.repository_id))
        .bind(source.kind.as_str())
        .bind(signed(source.id))
        .fetch_optional(&self.reader)
        .await?;
        Ok(row.is_some())
    }

    /// Returns when a thread was closed and opened again last, in milliseconds since 1970; 0 for never.
    pub async fn thread_times(&self, repository: u64, number: u64) -> Result<(i64, i64), StoreError> {
        let row = sqlx::query(
            "SELECT closed_at, reopened_at FROM closed_threads WHERE repository_id = ? AND number = ?",
        )
        .bind(signed(repository))
        .bind(signed(number))
        .fetch_optional(&self.reader)
        .await?;
        Ok(row.map_or((0, 0), |row| (row.get("closed_at"), row.get("reopened_at"))))
    }

    /// Returns where a repository was seen last.
    pub async fn repository(&self, id: u64) -> Result<Option<SeenRepository>, StoreError> {
        let row = sqlx::query("SELECT name, installation_id FROM repositories WHERE id = ?")
            .bind(signed(id))
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.map(|row| SeenRepository {
            id,
            name: row.get("name"),
            installation_id: unsigned(row.get("installation_id")),
        }))
    }

    /// Returns when the last stop of everything in a thread was written, in milliseconds since 1970; 0 for
    /// never.
    pub async fn thread_stopped_at(&self, repository: u64, number: u64) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT stopped_at FROM closed_threads WHERE repository_id = ? AND number = ?")
            .bind(signed(repository))
            .bind(signed(number))
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.map_or(0, |row| row.get("stopped_at")))
    }

    /// Returns the commands of a text that were looked at, each with its number among equal ones.
    pub async fn known_commands(&self, source: Source) -> Result<HashSet<(String, u32)>, StoreError> {
        let rows = sqlx::query(
            "SELECT command, nth FROM commands WHERE repository_id = ? AND kind = ? AND source_id = ?",
        )
        .bind(signed(source.repository_id))
        .bind(source.kind.as_str())
        .bind(signed(source.id))
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.iter().map(|row| (row.get("command"), row.get("nth"))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Intake;

    #[tokio::test]
    async fn an_older_delivery_does_not_move_a_repository_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        for guid in ["old", "new"] {
            store.insert_delivery(guid, "issues", b"{}").await.unwrap();
        }
        sqlx::query("UPDATE deliveries SET received_at = id").execute(&store.writer).await.unwrap();
        for (delivery, name) in [(2, "octo/new"), (1, "octo/old")] {
            let repository = SeenRepository { id: 7, name: name.to_owned(), installation_id: 3 };
            let intake = Intake { repository: Some(repository), ..Intake::default() };
            store.finish_delivery(delivery, &intake).await.unwrap();
        }
        assert_eq!(store.repository(7).await.unwrap().unwrap().name, "octo/new");
    }

    #[tokio::test]
    async fn what_was_withdrawn_is_remembered_in_whatever_order_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        let source = Source { repository_id: 7, kind: crate::brief::SourceKind::Review, id: 70 };
        let thread = |at_ms| Withdrawal::Thread { repository: 7, number: 1, at_ms };
        let reopened = Withdrawal::Reopened { repository: 7, number: 1, at_ms: 20 };
        for withdrawal in [Withdrawal::Text(source), reopened, thread(10), thread(5)] {
            let intake = Intake { withdrawn: Some(withdrawal), ..Intake::default() };
            store.finish_delivery(0, &intake).await.unwrap();
        }
        let seen = Intake { seen: Some((source, 8)), ..Intake::default() };
        store.finish_delivery(0, &seen).await.unwrap();
        assert!(store.is_gone(source).await.unwrap());
        assert_eq!(store.thread_times(7, 1).await.unwrap(), (10, 20));
    }
}
