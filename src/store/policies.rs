//! By which policy each repository's lanes were last decided about: what tells that it changed.

use sqlx::{Row, Sqlite, SqliteExecutor, Transaction};

use super::audit::{self, Entry, SERVER, Target, TargetRepository};
use super::sqlite::{Store, StoreError, now_ms, signed};
use crate::config::{Approval, Budget};

/// What a policy says of a brief.
#[derive(Debug, Clone)]
pub struct Ruling {
    /// Tells which policy it was.
    pub policy: SeenPolicy,
    /// Names the rule that decided: where it is written, or what holds where nothing is.
    pub rule: String,
    /// Tells whose approval the brief needs.
    pub approval: Approval,
    /// Bounds how much is run.
    pub budget: Budget,
}

/// A policy that was decided by: that of one lane in one repository.
#[derive(Debug, Clone)]
pub struct SeenPolicy {
    /// Holds the repository.
    pub repository: TargetRepository,
    /// Names the lane.
    pub lane: String,
    /// Is the SHA-256 of everything written that goes into its decisions, in hex.
    pub version: String,
}

impl Store {
    /// Enters into the audit log that a policy is not the one that was last decided by, if it is not.
    pub async fn see_policy(&self, policy: &SeenPolicy) -> Result<(), StoreError> {
        if last_version(&self.reader, policy).await?.as_ref() == Some(&policy.version) {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        see(&mut tx, policy).await?;
        Ok(tx.commit().await?)
    }
}

/// Does what [`Store::see_policy`] does, in the transaction of the decision.
pub(super) async fn see(tx: &mut Transaction<'_, Sqlite>, policy: &SeenPolicy) -> Result<(), StoreError> {
    let before = last_version(&mut **tx, policy).await?;
    if before.as_ref() == Some(&policy.version) {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO policies (repository_id, lane, version, seen_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (repository_id, lane) DO UPDATE SET version = excluded.version, seen_at = excluded.seen_at",
    )
    .bind(signed(policy.repository.id))
    .bind(&policy.lane)
    .bind(&policy.version)
    .bind(now_ms())
    .execute(&mut **tx)
    .await?;
    let target = Target {
        repository: Some(policy.repository.clone()),
        lane: Some(policy.lane.clone()),
        ..Target::default()
    };
    let why = if before.is_some() { "it was changed" } else { "it is decided by for the first time" };
    let entry = Entry::new("policy", SERVER, why).about(target).with("policy", &policy.version);
    let entry = match before {
        Some(before) => entry.with("before", before),
        None => entry,
    };
    audit::append(tx, entry).await
}

/// Enters what let a task be queued.
pub(super) async fn decided(
    tx: &mut Transaction<'_, Sqlite>,
    task: i64,
    ruling: &Ruling,
) -> Result<(), StoreError> {
    let entry = Entry::new("decided", SERVER, "it may run")
        .about(audit::target_of(tx, task).await?)
        .with("rule", &ruling.rule)
        .with("policy", &ruling.policy.version)
        .with("approval", ruling.approval.as_str());
    audit::append(tx, entry).await
}

async fn last_version(
    executor: impl SqliteExecutor<'_>,
    policy: &SeenPolicy,
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT version FROM policies WHERE repository_id = ? AND lane = ?")
        .bind(signed(policy.repository.id))
        .bind(&policy.lane)
        .fetch_optional(executor)
        .await?;
    Ok(row.map(|row| row.get("version")))
}
