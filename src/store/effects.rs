//! The outbox: GitHub writes that are owed until they are confirmed.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::audit::{self, Entry, SERVER, Status};
use super::models::Effect;
use super::sqlite::{Store, StoreError, now_ms, signed, unsigned};
use crate::error::log_internal;

/// The least time between two edits of a comment or label, in milliseconds: whoever reads along sees
/// enough, and GitHub is not flooded.
pub(super) const EDIT_DISTANCE_MS: i64 = 5_000;

/// Names the effect that publishes a run.
pub fn publish_key(run_id: &str) -> String {
    format!("publish:{run_id}")
}

/// Owes an effect; under a known key the payload is replaced and owed anew if it is another one. A
/// comment that was written just now waits, so that several changes of it become one. Progress waits from its
/// first time on, so that what is over before needs one write, and what it becomes in the end waits for nothing.
pub(super) async fn owe(tx: &mut Transaction<'_, Sqlite>, effect: &Effect) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO effects (key, kind, installation_id, repository_id, repository, thread_number, payload,
             progress, not_before)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, CASE ?8 WHEN 1 THEN ?9 + ?10 ELSE 0 END)
         ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, version = version + 1, state = 'owed',
             attempts = 0, reason = NULL, installation_id = excluded.installation_id,
             repository = excluded.repository, progress = excluded.progress,
             not_before = CASE
                 WHEN excluded.progress AND progress AND state = 'owed' THEN not_before
                 WHEN excluded.progress OR (kind IN ('comment', 'label') AND NOT progress)
                     THEN MIN(written_at, ?9) + ?10
                 ELSE 0 END
         WHERE payload <> excluded.payload OR state = 'given_up' OR excluded.progress",
    )
    .bind(&effect.key)
    .bind(effect.payload.kind())
    .bind(signed(effect.installation_id))
    .bind(signed(effect.repository_id))
    .bind(&effect.repository)
    .bind(signed(effect.thread_number))
    .bind(serde_json::to_string(&effect.payload)?)
    .bind(effect.payload.is_progress())
    // The clock may have been set back since.
    .bind(now_ms())
    .bind(EDIT_DISTANCE_MS)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Enters that an effect is confirmed, or with `given_up` why it never will be.
pub(super) async fn tell(
    tx: &mut Transaction<'_, Sqlite>,
    effect: &Effect,
    given_up: Option<&str>,
) -> Result<(), StoreError> {
    let target = audit::thread(effect.repository_id, &effect.repository, effect.thread_number);
    let action = if given_up.is_some() { "given-up" } else { "confirmed" };
    let entry = Entry::new(action, SERVER, "").about(target);
    let mut entry = entry.with("kind", effect.payload.kind()).with("key", &effect.key);
    if let Some(error) = given_up {
        entry = entry.ended(Status::Failure).with("error", error);
    }
    audit::append(tx, entry).await
}

impl Store {
    /// Tells whether an effect was ever owed under this key.
    pub async fn effect_known(&self, key: &str) -> Result<bool, StoreError> {
        let row =
            sqlx::query("SELECT 1 FROM effects WHERE key = ?").bind(key).fetch_optional(&self.reader).await?;
        Ok(row.is_some())
    }

    /// Returns the installations for which something is owed and may be tried by now: of what publishes
    /// runs, or of all else.
    pub async fn owing_installations(&self, publishing: bool) -> Result<Vec<u64>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT installation_id FROM effects AS effect
             WHERE state = 'owed' AND not_before <= ?1 AND (kind = 'publish') = ?2
                 AND NOT EXISTS (
                     SELECT 1 FROM effects AS earlier
                     WHERE earlier.state = 'owed' AND earlier.installation_id = effect.installation_id
                         AND (earlier.kind = 'publish') = ?2 AND earlier.id < effect.id
                         AND earlier.kind NOT IN ('label', 'check_run') AND NOT earlier.progress
                         AND earlier.repository_id = effect.repository_id
                         AND earlier.thread_number = effect.thread_number AND earlier.not_before > ?1)",
        )
        .bind(now_ms())
        .bind(publishing)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.iter().map(|row| unsigned(row.get("installation_id"))).collect())
    }

    /// Returns the oldest effect that is owed to an installation and may be tried by now; check runs and
    /// labels come after what people read, and progress comes last. What comes after one that was put off in the same thread
    /// waits for it, so that a thread reads in order. One that this program cannot read is given up, so that
    /// it keeps no other waiting.
    pub async fn next_effect(
        &self,
        installation: u64,
        publishing: bool,
    ) -> Result<Option<Effect>, StoreError> {
        while let Some(row) = self.next_effect_row(installation, publishing).await? {
            match read(&row) {
                Err(StoreError::Entry(error)) => {
                    log_internal("an effect cannot be read and is given up", &error);
                    sqlx::query("UPDATE effects SET state = 'given_up', reason = ? WHERE id = ?")
                        .bind(format!("it cannot be read: {error}"))
                        .bind(row.get::<i64, _>("id"))
                        .execute(&self.writer)
                        .await?;
                }
                effect => return effect.map(Some),
            }
        }
        Ok(None)
    }

    async fn next_effect_row(
        &self,
        installation: u64,
        publishing: bool,
    ) -> Result<Option<SqliteRow>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM effects AS effect
             WHERE state = 'owed' AND installation_id = ?1 AND not_before <= ?2 AND (kind = 'publish') = ?3
                 AND NOT EXISTS (
                     SELECT 1 FROM effects AS earlier
                     WHERE earlier.state = 'owed' AND earlier.installation_id = ?1
                         AND (earlier.kind = 'publish') = ?3 AND earlier.id < effect.id
                         AND earlier.kind NOT IN ('label', 'check_run') AND NOT earlier.progress
                         AND earlier.repository_id = effect.repository_id
                         AND earlier.thread_number = effect.thread_number AND earlier.not_before > ?2)
             ORDER BY progress, kind = 'label', kind = 'check_run', id LIMIT 1",
        )
        .bind(signed(installation))
        .bind(now_ms())
        .bind(publishing)
        .fetch_optional(&self.reader)
        .await?;
        Ok(row)
    }

    /// Returns the time at which the next effect that was put off may be tried, in milliseconds since 1970.
    pub async fn next_effect_at(&self, publishing: bool) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query(
            "SELECT MIN(not_before) AS at FROM effects
             WHERE state = 'owed' AND (kind = 'publish') = ? AND not_before > ?",
        )
        .bind(publishing)
        .bind(now_ms())
        .fetch_one(&self.reader)
        .await?;
        Ok(row.get("at"))
    }

    /// Confirms that a version of an effect was written; a newer version stays owed, and waits if it is
    /// a comment's. `anew` tells that it was written anew, because somebody had deleted it.
    pub async fn confirm_effect(
        &self,
        effect: &Effect,
        remote_id: Option<u64>,
        anew: bool,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE effects SET remote_id = COALESCE(?, remote_id), written_at = ?, rewritten = rewritten + ?,
                 state = CASE WHEN version = ? THEN 'done' ELSE state END,
                 not_before = CASE WHEN version <> ? AND (kind IN ('comment', 'label') OR progress)
                     AND progress >= ? THEN ? ELSE not_before END
             WHERE id = ?",
        )
        .bind(remote_id.map(signed))
        .bind(now_ms())
        .bind(anew)
        .bind(effect.version)
        .bind(effect.version)
        // What ends the progress that was just written does not wait for it.
        .bind(effect.payload.is_progress())
        .bind(now_ms() + EDIT_DISTANCE_MS)
        .bind(effect.id)
        .execute(&mut *tx)
        .await?;
        if !effect.payload.is_progress() {
            tell(&mut tx, effect, None).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Puts an effect off after a failure that may pass.
    pub async fn postpone_effect(
        &self,
        effect: &Effect,
        until_ms: i64,
        reason: &str,
    ) -> Result<(), StoreError> {
        // What has taken its place meanwhile waits for nothing.
        sqlx::query(
            "UPDATE effects SET attempts = attempts + 1, not_before = ?, reason = ? WHERE id = ? AND version = ?",
        )
            .bind(until_ms)
            .bind(reason)
            .bind(effect.id)
            .bind(effect.version)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Gives an effect up after a failure that will not pass.
    pub async fn give_up_effect(&self, effect: &Effect, reason: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE effects SET state = 'given_up', reason = ? WHERE id = ? AND version = ?")
            .bind(reason)
            .bind(effect.id)
            .bind(effect.version)
            .execute(&mut *tx)
            .await?;
        tell(&mut tx, effect, Some(reason)).await?;
        Ok(tx.commit().await?)
    }

    /// Counts the refusals that an installation was told in the last hour, or is about to be told.
    pub async fn recent_refusals(&self, installation: u64) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM effects WHERE installation_id = ?1 AND state = 'owed'
                     AND substr(key, 1, 8) = 'refused:')
                 + (SELECT COUNT(*) FROM effects WHERE installation_id = ?1 AND state <> 'owed'
                     AND written_at > ?2 AND written_at > 0 AND substr(key, 1, 8) = 'refused:') AS n",
        )
        .bind(signed(installation))
        .bind(now_ms() - 3_600_000)
        .fetch_one(&self.reader)
        .await?;
        Ok(unsigned(row.get("n")))
    }

    /// Returns when an installation was written to since a time, both in milliseconds since 1970.
    pub async fn writes_since(&self, since_ms: i64) -> Result<Vec<(u64, i64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT installation_id, written_at FROM effects WHERE written_at > ? AND written_at > 0
             ORDER BY written_at",
        )
        .bind(since_ms)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.iter().map(|row| (unsigned(row.get("installation_id")), row.get("written_at"))).collect())
    }

    /// Moves everything that waits for a time by so many milliseconds, as the clock was.
    pub async fn shift_waits(&self, by_ms: i64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        shift(&mut tx, by_ms).await?;
        Ok(tx.commit().await?)
    }

    /// Counts the effects that are owed.
    pub async fn owed_effects(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS n FROM effects WHERE state = 'owed'")
            .fetch_one(&self.reader)
            .await?;
        Ok(unsigned(row.get("n")))
    }
}

/// Moves all waits by so many milliseconds.
pub(super) async fn shift(tx: &mut Transaction<'_, Sqlite>, by_ms: i64) -> Result<(), StoreError> {
    for shift in [
        "UPDATE deliveries SET not_before = not_before + ? WHERE state = 'pending' AND not_before > 0",
        "UPDATE effects SET not_before = not_before + ? WHERE state = 'owed' AND not_before > 0",
        "UPDATE tasks SET not_before = not_before + ? WHERE state = 'queued' AND not_before > 0",
        "UPDATE approvals SET expires_at = expires_at + ? WHERE state = 'asked' AND expires_at > 0",
    ] {
        sqlx::query(shift).bind(by_ms).execute(&mut **tx).await?;
    }
    Ok(())
}

fn read(row: &SqliteRow) -> Result<Effect, StoreError> {
    Ok(Effect {
        id: row.get("id"),
        key: row.get("key"),
        installation_id: unsigned(row.get("installation_id")),
        repository_id: unsigned(row.get("repository_id")),
        repository: row.get("repository"),
        thread_number: unsigned(row.get("thread_number")),
        payload: serde_json::from_str(row.get("payload"))?,
        version: row.get("version"),
        remote_id: row.get::<Option<i64>, _>("remote_id").map(unsigned),
        attempts: row.get("attempts"),
        rewritten: row.get("rewritten"),
    })
}
