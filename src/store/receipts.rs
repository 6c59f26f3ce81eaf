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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brief::{BriefId, Source, SourceKind};
    use crate::store::models::{BriefRow, Effect, EffectPayload};
    use crate::store::{Intake, Next};

    fn brief() -> BriefRow {
        BriefRow {
            id: BriefId::from([7; 32]),
            source: Source { repository_id: 7, kind: SourceKind::IssueBody, id: 70 },
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

    fn receipt(digest: &str, commit: &str) -> NewReceipt {
        NewReceipt {
            digest: digest.to_owned(),
            head_commit: commit.to_owned(),
            key_id: "key".to_owned(),
            envelope: format!("{{\"{digest}\"}}"),
        }
    }

    #[tokio::test]
    async fn a_run_has_one_receipt_for_a_commit_and_only_while_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        let intake = Intake { accepted: vec![(brief(), "lane".to_owned())], ..Intake::default() };
        store.finish_delivery(0, &intake).await.unwrap();
        let task = store.claim_task("lane", "run", i64::MAX).await.unwrap().unwrap();
        for _ in 0..2 {
            store.note_receipt_key("key", "pem").await.unwrap();
        }
        let early = store.keep_receipt(&task, &receipt("d1", "c1")).await;
        assert!(matches!(early, Err(StoreError::StaleEpoch(_))), "its work has not ended");
        let payload = EffectPayload::Publish { run: "run".to_owned() };
        let effect = Effect::for_brief(&task.brief, "publish:run".to_owned(), payload);
        store.end_work(&task, "{}", None, &Next::Publish(&effect)).await.unwrap();
        let first = store.keep_receipt(&task, &receipt("d1", "c1")).await.unwrap();
        let again = store.keep_receipt(&task, &receipt("d2", "c1")).await.unwrap();
        assert_eq!((first.as_str(), again.as_str()), ("{\"d1\"}", "{\"d1\"}"));
        assert_eq!(store.receipt_of_run("run", "c1").await.unwrap(), Some(first));
        store.keep_receipt(&task, &receipt("d3", "c3")).await.unwrap();
        assert_eq!(store.receipt_of_task(task.id).await.unwrap().unwrap().digest, "d3");
        let old = ClaimedTask { epoch: task.epoch - 1, ..task.clone() };
        let stale = store.keep_receipt(&old, &receipt("d4", "c4")).await;
        assert!(matches!(stale, Err(StoreError::StaleEpoch(_))));
        let entries = store.audit_after(0, 99).await.unwrap();
        let entries: Vec<_> = entries.iter().map(|row| row.entry().unwrap()).collect();
        let of = |action: &str| entries.iter().filter(|entry| entry.action == action).count();
        assert_eq!((of(RECEIPT), of("receipt-key")), (2, 1));
        assert_eq!(store.receipt_keys().await.unwrap().len(), 1);
    }
}
