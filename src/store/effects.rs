//! The outbox: GitHub writes that are owed until they are confirmed.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::models::Effect;
use super::sqlite::{Store, StoreError, now_ms, signed, unsigned};

/// Owes an effect; under a known key the payload is replaced and owed anew if it is another one.
pub(super) async fn owe(tx: &mut Transaction<'_, Sqlite>, effect: &Effect) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO effects (key, kind, installation_id, repository_id, repository, thread_number, payload)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, version = version + 1, state = 'owed',
             attempts = 0, not_before = 0, reason = NULL
         WHERE payload <> excluded.payload",
    )
    .bind(&effect.key)
    .bind(effect.payload.kind())
    .bind(signed(effect.installation_id))
    .bind(signed(effect.repository_id))
    .bind(&effect.repository)
    .bind(signed(effect.thread_number))
    .bind(serde_json::to_string(&effect.payload)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Store {
    /// Tells whether an effect was ever owed under this key.
    pub async fn effect_known(&self, key: &str) -> Result<bool, StoreError> {
        let row =
            sqlx::query("SELECT 1 FROM effects WHERE key = ?").bind(key).fetch_optional(&self.reader).await?;
        Ok(row.is_some())
    }

    /// Returns the oldest effect that is owed and may be tried by now.
    pub async fn next_effect(&self) -> Result<Option<Effect>, StoreError> {
        let row =
            sqlx::query("SELECT * FROM effects WHERE state = 'owed' AND not_before <= ? ORDER BY id LIMIT 1")
                .bind(now_ms())
                .fetch_optional(&self.reader)
                .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Returns the time at which the next effect may be tried, in milliseconds since 1970.
    pub async fn next_effect_at(&self) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query("SELECT MIN(not_before) AS at FROM effects WHERE state = 'owed'")
            .fetch_one(&self.reader)
            .await?;
        Ok(row.get("at"))
    }

    /// Confirms that a version of an effect was written; a newer version stays owed.
    pub async fn confirm_effect(&self, effect: &Effect, remote_id: Option<u64>) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE effects SET remote_id = COALESCE(?, remote_id),
                 state = CASE WHEN version = ? THEN 'done' ELSE state END
             WHERE id = ?",
        )
        .bind(remote_id.map(signed))
        .bind(effect.version)
        .bind(effect.id)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Puts an effect off after a failure that may pass.
    pub async fn postpone_effect(
        &self,
        effect: &Effect,
        until_ms: i64,
        reason: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE effects SET attempts = attempts + 1, not_before = ?, reason = ? WHERE id = ?")
            .bind(until_ms)
            .bind(reason)
            .bind(effect.id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Gives an effect up after a failure that will not pass.
    pub async fn give_up_effect(&self, effect: &Effect, reason: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE effects SET state = 'given_up', reason = ? WHERE id = ? AND version = ?")
            .bind(reason)
            .bind(effect.id)
            .bind(effect.version)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Counts the effects that are owed.
    pub async fn owed_effects(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS n FROM effects WHERE state = 'owed'")
            .fetch_one(&self.reader)
            .await?;
        Ok(unsigned(row.get("n")))
    }
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
    })
}
