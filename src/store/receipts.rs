//! Receipts, and the public keys by which they can be checked.

use sqlx::Row;

use super::audit::{self, Entry, SERVER, Target};
use super::models::ClaimedTask;
use super::sqlite::{Store, StoreError, now_ms};

/// A signed receipt, about to be kept.
#[derive(Debug, Clone)]
pub struct NewReceipt {
    /// Names it: the SHA-256 of what is signed, in hex.
    pub digest: String,
    /// Names the commit that it is for.
    pub head_commit: String,
    /// Names the key.
    pub key_id: String,
    /// Holds the envelope, one line of JSON.
    pub envelope: String,
}

/// A receipt that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRow {
    /// Names the run.
    pub run: String,
    /// Names the receipt.
    pub digest: String,
    /// Holds the envelope, one line of JSON.
    pub envelope: String,
}

/// A public key that receipts were signed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptKey {
    /// Names it.
    pub id: String,
    /// Holds it in PEM.
    pub pem: String,
    /// Holds when it was first used, in milliseconds since 1970.
    pub since_ms: i64,
}

impl Store {
    /// Keeps a run's receipt and enters its digest into the audit log; returns the envelope. Where the run has
    /// one for that commit already, that one stays and is returned.
    ///
    /// Fails with [`StoreError::StaleEpoch`] when the task is not being published by this run any more.
    pub async fn keep_receipt(&self, task: &ClaimedTask, new: &NewReceipt) -> Result<String, StoreError> {
        let mut tx = self.begin().await?;
        let current = sqlx::query(
            "SELECT 1 FROM runs JOIN tasks ON tasks.id = runs.task_id
             WHERE runs.id = ? AND runs.state = 'judged' AND tasks.epoch = ? AND tasks.epoch = runs.epoch
                 AND tasks.state = 'running'",
        );
        let current = current.bind(&task.run_id).bind(task.epoch).fetch_optional(&mut *tx).await?;
        if current.is_none() {
            return Err(StoreError::StaleEpoch(task.run_id.clone()));
        }
        let kept = sqlx::query("SELECT envelope FROM receipts WHERE run_id = ? AND head_commit = ?");
        let kept = kept.bind(&task.run_id).bind(&new.head_commit).fetch_optional(&mut *tx).await?;
        if let Some(row) = kept {
            return Ok(row.get("envelope"));
        }
        sqlx::query(
            "INSERT INTO receipts (digest, run_id, head_commit, key_id, envelope, made_at)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&new.digest)
        .bind(&task.run_id)
        .bind(&new.head_commit)
        .bind(&new.key_id)
        .bind(&new.envelope)
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        let target = Target { run: Some(task.run_id.clone()), ..audit::target_of(&mut tx, task.id).await? };
        let entry = Entry::new(RECEIPT, SERVER, "the run's receipt is signed").about(target);
        let entry = entry.with(DIGEST, &new.digest).with("commit", &new.head_commit).with("key", &new.key_id);
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(new.envelope.clone())
    }

    /// Returns the envelope of a run's receipt for a commit.
    pub async fn receipt_of_run(&self, run: &str, head_commit: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT envelope FROM receipts WHERE run_id = ? AND head_commit = ?");
        let row = row.bind(run).bind(head_commit).fetch_optional(&self.reader).await?;
        Ok(row.map(|row| row.get("envelope")))
    }

    /// Returns the last receipt of a task.
    pub async fn receipt_of_task(&self, task: i64) -> Result<Option<ReceiptRow>, StoreError> {
        let row = sqlx::query(
            "SELECT run_id, digest, envelope FROM receipts JOIN runs ON runs.id = run_id
             WHERE runs.task_id = ? ORDER BY receipts.rowid DESC LIMIT 1",
        );
        let row = row.bind(task).fetch_optional(&self.reader).await?;
        Ok(row.map(|row| ReceiptRow {
            run: row.get("run_id"),
            digest: row.get("digest"),
            envelope: row.get("envelope"),
        }))
    }

    /// Notes the public key by which receipts are signed from now on, and enters it into the audit log, unless
    /// it is known.
    pub async fn note_receipt_key(&self, id: &str, pem: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let new = sqlx::query(
            "INSERT INTO receipt_keys (id, public_pem, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        );
        let new = new.bind(id).bind(pem).bind(now_ms()).execute(&mut *tx).await?;
        if new.rows_affected() > 0 {
            let entry = Entry::new("receipt-key", SERVER, "receipts are signed by this key from now on");
            audit::append(&mut tx, entry.with("key", id).with("public", pem)).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Returns every public key that receipts were signed by, the newest first.
    pub async fn receipt_keys(&self) -> Result<Vec<ReceiptKey>, StoreError> {
        let rows =
            sqlx::query("SELECT id, public_pem, since FROM receipt_keys ORDER BY since DESC, rowid DESC");
        let rows = rows.fetch_all(&self.reader).await?;
        let read = |row: &sqlx::sqlite::SqliteRow| ReceiptKey {
            id: row.get("id"),
            pem: row.get("public_pem"),
            since_ms: row.get("since"),
        };
        Ok(rows.iter().map(read).collect())
    }
}

/// Names the audit entry of a receipt.
pub const RECEIPT: &str = "receipt";

/// Names the detail of that entry which holds the receipt's digest.
pub const DIGEST: &str = "digest";
