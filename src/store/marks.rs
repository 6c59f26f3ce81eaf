//! Marks: times by name, such as when the server was last alive, and how it came up by them.

use sqlx::{Row, Sqlite, Transaction};

use super::gaps::open_gap;
use super::models::CameUp;
use super::sqlite::{Store, StoreError, now_ms};

/// Tells when the server was last alive.
const ALIVE: &str = "alive";

/// Tells when the store was first served; what is older was never ours to take.
const FIRST_START: &str = "first_start";

/// How long GitHub keeps its delivery log, in milliseconds.
const LOG_MS: i64 = 3 * 24 * 3_600_000;

/// Begins the mark that tells until when a repository was looked through.
const SCANNED: &str = "scan:";

/// Begins the mark that tells since when the App reaches a repository.
const LET_IN: &str = "let_in:";

/// How long the server must have been down for that to be a gap even when nothing was missed.
const OUTAGE_MS: i64 = 60_000;

impl Store {
    /// Notes that the server starts. With `watching` it opens a gap when it was down for more than a minute.
    pub async fn come_up(&self, watching: bool) -> Result<CameUp, StoreError> {
        let now = now_ms();
        let mut tx = self.begin().await?;
        // Marks that lie ahead were made by a clock that was wrong: from when they are is not known, so what
        // GitHub's delivery log holds is looked at again.
        sqlx::query("UPDATE marks SET at = ?1 - ?2 WHERE at > ?1 + ?3 AND name NOT IN (?4, ?5)")
            .bind(now)
            .bind(LOG_MS)
            .bind(OUTAGE_MS)
            .bind(ALIVE)
            .bind(FIRST_START)
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE marks SET at = ?1 WHERE at > ?1 AND name = ?2")
            .bind(now)
            .bind(FIRST_START)
            .execute(&mut *tx)
            .await?;
        // An earlier version of the server told nobody that it was alive, but took deliveries.
        let alive: Option<i64> = sqlx::query(
            "SELECT COALESCE((SELECT at FROM marks WHERE name = ?), (SELECT MAX(received_at) FROM deliveries)) AS at",
        )
        .bind(ALIVE)
        .fetch_one(&mut *tx)
        .await?
        .get("at");
        sqlx::query("INSERT INTO marks (name, at) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(FIRST_START)
            // GitHub dates to the second: what was written in this one counts as written after it.
            .bind(alive.unwrap_or(now).div_euclid(1_000) * 1_000)
            .execute(&mut *tx)
            .await?;
        let first_start =
            sqlx::query("SELECT at FROM marks WHERE name = ?").bind(FIRST_START).fetch_one(&mut *tx).await?;
        set_mark(&mut tx, ALIVE, now).await?;
        // A clock that was set back tells nothing of how long the server was down; what waits by its old time
        // would wait so much longer.
        let ahead = alive.unwrap_or(now) - now;
        if ahead > OUTAGE_MS {
            super::effects::shift(&mut tx, -ahead).await?;
        }
        let alive = alive.unwrap_or(now).min(now);
        if watching && now - alive > OUTAGE_MS {
            open_gap(&mut tx, alive, now).await?;
        }
        tx.commit().await?;
        Ok(CameUp { first_start_ms: first_start.get("at"), alive_ms: alive, now_ms: now })
    }

    /// Notes that the server is alive.
    pub async fn note_alive(&self) -> Result<(), StoreError> {
        self.set_mark(ALIVE, now_ms()).await
    }

    /// Returns the time that stands under a name, in milliseconds since 1970.
    pub async fn mark(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query("SELECT at FROM marks WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.map(|row| row.get("at")))
    }

    /// Notes that the App does not reach repositories at a time: those that were looked through before and
    /// are not among `reached`, by their ids.
    pub async fn note_kept_out(&self, reached: &[u64], at: i64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO marks (name, at)
                 SELECT ?1 || substr(name, length(?2) + 1), ?3 FROM marks
                 WHERE substr(name, 1, length(?2)) = ?2
                     AND substr(name, length(?2) + 1) NOT IN (SELECT CAST(value AS TEXT) FROM json_each(?4))
             ON CONFLICT DO UPDATE SET at = excluded.at",
        )
        .bind(LET_IN)
        .bind(SCANNED)
        .bind(at)
        .bind(serde_json::to_string(reached)?)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Returns until when a repository was looked through, and since when the App reaches it, where that
    /// is known, in milliseconds since 1970.
    pub async fn scan_marks(&self, repository: u64) -> Result<(Option<i64>, Option<i64>), StoreError> {
        let scanned = self.mark(&format!("{SCANNED}{repository}")).await?;
        Ok((scanned, self.mark(&format!("{LET_IN}{repository}")).await?))
    }

    /// Notes until when a repository was looked through; `let_in` is since when the App reaches it, where
    /// that is new.
    pub async fn note_scanned(
        &self,
        repository: u64,
        until: i64,
        let_in: Option<i64>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        set_mark(&mut tx, &format!("{SCANNED}{repository}"), until).await?;
        if let Some(at) = let_in {
            set_mark(&mut tx, &format!("{LET_IN}{repository}"), at).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Stores a time under a name.
    pub async fn set_mark(&self, name: &str, at: i64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        set_mark(&mut tx, name, at).await?;
        Ok(tx.commit().await?)
    }
}

async fn set_mark(tx: &mut Transaction<'_, Sqlite>, name: &str, at: i64) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO marks (name, at) VALUES (?, ?) ON CONFLICT DO UPDATE SET at = excluded.at")
        .bind(name)
        .bind(at)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Store::open(&folder.path().join("store.sqlite")).await.unwrap(), folder)
    }

    #[tokio::test]
    async fn an_outage_is_a_gap_and_a_restart_is_none() {
        let (store, _folder) = store().await;
        let first = store.come_up(true).await.unwrap();
        assert_eq!(first.first_start_ms, first.now_ms / 1_000 * 1_000);
        assert_eq!(store.come_up(true).await.unwrap().first_start_ms, first.first_start_ms);
        assert!(store.gaps(9).await.unwrap().is_empty());
        let away = first.now_ms - 7_200_000;
        for (watching, gaps) in [(false, 0), (true, 1)] {
            store.set_mark(ALIVE, away).await.unwrap();
            assert_eq!(store.come_up(watching).await.unwrap().alive_ms, away);
            assert_eq!(store.gaps(9).await.unwrap().len(), gaps);
        }
        let (gap, rows) = store.settle_gap().await.unwrap().unwrap();
        assert_eq!((gap.from_ms, gap.missed, rows.len()), (away, 0, 0));
        assert!(gap.closed_at_ms.is_some());
        assert!(store.settle_gap().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_repository_that_is_not_reached_is_let_in_anew() {
        let (store, _folder) = store().await;
        store.note_scanned(7, 100, Some(50)).await.unwrap();
        store.note_scanned(8, 100, None).await.unwrap();
        store.note_kept_out(&[8], 200).await.unwrap();
        assert_eq!(store.scan_marks(7).await.unwrap(), (Some(100), Some(200)));
        assert_eq!(store.scan_marks(8).await.unwrap(), (Some(100), None));
        assert_eq!(store.scan_marks(9).await.unwrap(), (None, None));
    }

    #[tokio::test]
    async fn a_store_of_an_earlier_version_was_alive_when_it_last_took_a_delivery() {
        let (store, _folder) = store().await;
        store.insert_delivery("guid", "issues", b"{}").await.unwrap();
        sqlx::query("UPDATE deliveries SET received_at = 1000").execute(&store.writer).await.unwrap();
        let came_up = store.come_up(true).await.unwrap();
        assert_eq!((came_up.first_start_ms, came_up.alive_ms), (1_000, 1_000));
    }
}
