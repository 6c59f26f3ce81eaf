//! Approvals: what is asked for, what was decided by whom, and what does not count any more.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::audit::{self, About, Actor, SERVER};
use super::models::{ClaimedTask, Effect};
use super::sqlite::{Store, StoreError, now_ms, signed, unsigned};
use super::{changes, effects, labels, runs};
use crate::brief::BriefId;
use crate::config::Approval;

/// An approval to ask for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Names the brief.
    pub brief: BriefId,
    /// Holds the digest that people write.
    pub digest: String,
    /// Tells whose approval is needed.
    pub needed: Approval,
    /// Holds the commit that the run starts from, 40 hex digits.
    pub base_commit: String,
    /// Names the lane's policy.
    pub policy_version: String,
    /// Holds the settings that it stands for.
    pub policy: BTreeMap<String, String>,
    /// Holds when nobody waits for it any more, in milliseconds since 1970; 0 for never.
    pub expires_at_ms: i64,
    /// Tells why an earlier approval does not count any more, a line for each reason; empty for the first.
    pub changed: Vec<String>,
    /// Holds what the thread is told.
    pub owed: Vec<Effect>,
}

/// An approval that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Holds the row's id.
    pub id: i64,
    /// Holds the task's id.
    pub task: i64,
    /// Names the task's brief.
    pub brief: String,
    /// Holds the id of the repository that the brief stands in.
    pub repository: u64,
    /// Holds the number of the thread that the brief stands in.
    pub thread: u64,
    /// Holds the digest that people write.
    pub digest: String,
    /// Tells whose approval is needed.
    pub needed: Approval,
    /// Holds the commit that the run starts from.
    pub base_commit: String,
    /// Names the lane's policy.
    pub policy_version: String,
    /// Holds the settings that it stands for.
    pub policy: BTreeMap<String, String>,
    /// Holds when it is given up, in milliseconds since 1970; 0 for never.
    pub expires_at_ms: i64,
    /// Tells what became of it.
    pub state: ApprovalState,
    /// Names who decided, and their id.
    pub actor: Option<(String, u64)>,
    /// Holds when it was decided, in milliseconds since 1970.
    pub decided_at_ms: Option<i64>,
    /// Tells why it was decided so, or why it does not count.
    pub reason: Option<String>,
}

/// What became of an approval that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalState {
    /// Nothing yet.
    Asked,
    /// Somebody gave it.
    Approved,
    /// Somebody refused it.
    Rejected,
    /// Nobody gave it in time.
    Expired,
    /// It does not count, since what it was for has changed or is gone.
    Void,
}

impl ApprovalState {
    const ALL: [Self; 5] = [Self::Asked, Self::Approved, Self::Rejected, Self::Expired, Self::Void];

    /// Returns the word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Void => "void",
        }
    }

    fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// The end of an approval that is asked for.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Holds the approval's row.
    pub approval: i64,
    /// Holds the task's id.
    pub task: i64,
    /// Tells what becomes of it: [`ApprovalState::Approved`], `Rejected` or `Expired`.
    pub state: ApprovalState,
    /// Names who decided, and their id; `None` for the server.
    pub actor: Option<(String, u64)>,
    /// Tells why, for people.
    pub reason: String,
    /// Tells the task's new reason where it ends.
    pub says: String,
    /// Holds what the thread is told.
    pub owed: Vec<Effect>,
}

/// Blocks a task until somebody approves it.
pub(super) async fn ask(tx: &mut Transaction<'_, Sqlite>, task: i64, ask: &Ask) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO approvals (task_id, digest, needed, base_commit, policy_version, policy, asked_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(task)
    .bind(&ask.digest)
    .bind(ask.needed.as_str())
    .bind(&ask.base_commit)
    .bind(&ask.policy_version)
    .bind(serde_json::to_string(&ask.policy)?)
    .bind(now_ms())
    .bind(ask.expires_at_ms)
    .execute(&mut **tx)
    .await?;
    let base = ask.base_commit.get(..12).unwrap_or_default();
    let done = sqlx::query(
        "UPDATE tasks SET state = 'blocked', block_reason = 'awaiting_approval', reason = ?, not_before = 0,
             changed_at = ? WHERE id = ? AND state IN ('queued', 'running')",
    )
    .bind(format!("/approve {} (on commit {base})", ask.digest))
    .bind(now_ms())
    .bind(task)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Changed(task));
    }
    for effect in &ask.owed {
        effects::owe(tx, effect).await?;
    }
    let detail = format!(
        "{} on {} by policy {}: {}",
        ask.digest,
        ask.base_commit,
        ask.policy_version,
        ask.needed.as_str()
    );
    audit::record(tx, About { task: Some(task), run: None }, "approval-asked", SERVER, &detail).await?;
    labels::owe_of_task(tx, task).await
}

/// Ends an approval that is asked for, and with it the task's wait.
///
/// Fails with [`StoreError::Changed`] when it is not asked for any more.
pub(super) async fn decide(tx: &mut Transaction<'_, Sqlite>, decided: &Decided) -> Result<(), StoreError> {
    let approved = decided.state == ApprovalState::Approved;
    let row = sqlx::query(
        "UPDATE approvals SET state = ?, decided_at = ?, actor = ?, actor_id = ?, reason = ?
         WHERE id = ? AND task_id = ? AND state = 'asked'
         RETURNING digest, base_commit, policy_version",
    )
    .bind(decided.state.as_str())
    .bind(now_ms())
    .bind(decided.actor.as_ref().map(|(login, _)| login))
    .bind(decided.actor.as_ref().map(|(_, id)| signed(*id)))
    .bind(&decided.reason)
    .bind(decided.approval)
    .bind(decided.task)
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(StoreError::Changed(decided.task))?;
    let done = sqlx::query(
        "UPDATE tasks SET state = ?1, block_reason = NULL, reason = ?2, changed_at = ?3,
             queued_at = CASE ?1 WHEN 'queued' THEN ?3 ELSE queued_at END
         WHERE id = ?4 AND state = 'blocked' AND block_reason = 'awaiting_approval'",
    )
    .bind(if approved { "queued" } else { "cancelled" })
    .bind((!approved).then_some(&decided.says))
    .bind(now_ms())
    .bind(decided.task)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Changed(decided.task));
    }
    for effect in &decided.owed {
        effects::owe(tx, effect).await?;
    }
    let actor = match &decided.actor {
        Some((login, id)) => Actor::account(login, *id),
        None => Actor::from(SERVER),
    };
    let detail = format!(
        "{} on {} by policy {}: {}",
        row.get::<String, _>("digest"),
        row.get::<String, _>("base_commit"),
        row.get::<String, _>("policy_version"),
        decided.reason
    );
    let about = About { task: Some(decided.task), run: None };
    audit::record(tx, about, decided.state.as_str(), actor, &detail).await?;
    labels::owe_of_task(tx, decided.task).await
}

/// Notes that the approval of a task does not count any more.
pub(super) async fn void(tx: &mut Transaction<'_, Sqlite>, task: i64, why: &str) -> Result<(), StoreError> {
    let done = sqlx::query(
        "UPDATE approvals SET state = 'void', reason = ? WHERE task_id = ? AND state IN ('asked', 'approved')",
    )
    .bind(why)
    .bind(task)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() > 0 {
        audit::record(tx, About { task: Some(task), run: None }, "approval-void", SERVER, why).await?;
    }
    Ok(())
}

const APPROVAL: &str = "SELECT approvals.*, briefs.id AS brief_id, briefs.repository_id, briefs.thread_number
     FROM approvals JOIN tasks ON tasks.id = approvals.task_id JOIN briefs ON briefs.id = tasks.brief_id";

impl Store {
    /// Returns the approval that a digest is of, the last one that was asked for.
    pub async fn approval(&self, digest: &str) -> Result<Option<ApprovalRow>, StoreError> {
        let query = format!("{APPROVAL} WHERE approvals.digest = ? ORDER BY approvals.id DESC LIMIT 1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(digest).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// Counts the approvals of a repository whose digests begin so.
    pub async fn approvals_beginning(&self, repository: u64, digits: &str) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(DISTINCT digest) AS n FROM approvals JOIN tasks ON tasks.id = approvals.task_id
                 JOIN briefs ON briefs.id = tasks.brief_id
             WHERE briefs.repository_id = ? AND substr(digest, 1, length(?2)) = ?2",
        )
        .bind(signed(repository))
        .bind(digits)
        .fetch_one(&self.reader)
        .await?;
        Ok(unsigned(row.get("n")))
    }

    /// Returns the last approval that was asked for a task.
    pub async fn approval_of_task(&self, task: i64) -> Result<Option<ApprovalRow>, StoreError> {
        let query = format!("{APPROVAL} WHERE approvals.task_id = ? ORDER BY approvals.id DESC LIMIT 1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(task).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// Returns the approvals that are asked for and whose time is over, or whose task does not wait for
    /// them any more.
    pub async fn stale_approvals(&self) -> Result<Vec<ApprovalRow>, StoreError> {
        let query = format!(
            "{APPROVAL} WHERE approvals.state = 'asked'
                 AND ((approvals.expires_at > 0 AND approvals.expires_at <= ?) OR tasks.state <> 'blocked')
             ORDER BY approvals.id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).bind(now_ms()).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// Ends an approval that is asked for, and with it the wait of its task.
    pub async fn decide_approval(&self, decided: &Decided) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        decide(&mut tx, decided).await?;
        Ok(tx.commit().await?)
    }

    /// Notes that an approval is not asked for any more, since its task ended otherwise, and owes the
    /// thread the news.
    ///
    /// Fails with [`StoreError::Changed`] when somebody decided it meanwhile.
    pub async fn close_approval(
        &self,
        approval: &ApprovalRow,
        why: &str,
        owed: &[Effect],
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let done =
            sqlx::query("UPDATE approvals SET state = 'void', reason = ? WHERE id = ? AND state = 'asked'")
                .bind(why)
                .bind(approval.id)
                .execute(&mut *tx)
                .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Changed(approval.task));
        }
        audit::record(&mut tx, About { task: Some(approval.task), run: None }, "approval-void", SERVER, why)
            .await?;
        for effect in owed {
            effects::owe(&mut tx, effect).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Ends a run that may not begin, and asks for the approval that it needs.
    ///
    /// Fails with [`StoreError::StaleEpoch`] when the task has another run by now, and with
    /// [`StoreError::Changed`] when somebody wants it stopped.
    pub async fn ask_again(&self, task: &ClaimedTask, again: &Ask) -> Result<(), StoreError> {
        let why = again.changed.join("; ");
        let mut tx = self.begin().await?;
        changes::not_stopped(&mut tx, task.id).await?;
        runs::lose(&mut tx, task, &why, None).await?;
        void(&mut tx, task.id, &why).await?;
        ask(&mut tx, task.id, again).await?;
        Ok(tx.commit().await?)
    }

    /// Returns the id that GitHub gave to what was written under a key.
    pub async fn remote_id(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query("SELECT remote_id FROM effects WHERE key = ?")
            .bind(key)
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.and_then(|row| row.get::<Option<i64>, _>("remote_id")).map(unsigned))
    }
}

fn read(row: &SqliteRow) -> Result<ApprovalRow, StoreError> {
    let entry = |what: &str| StoreError::Entry(what.to_owned());
    let actor: Option<String> = row.get("actor");
    let id: Option<i64> = row.get("actor_id");
    Ok(ApprovalRow {
        id: row.get("id"),
        task: row.get("task_id"),
        brief: row.get("brief_id"),
        repository: unsigned(row.get("repository_id")),
        thread: unsigned(row.get("thread_number")),
        digest: row.get("digest"),
        needed: Approval::read(row.get("needed")).ok_or_else(|| entry("approval"))?,
        base_commit: row.get("base_commit"),
        policy_version: row.get("policy_version"),
        policy: serde_json::from_str(row.get("policy"))?,
        expires_at_ms: row.get("expires_at"),
        state: ApprovalState::read(row.get("state")).ok_or_else(|| entry("approval state"))?,
        actor: actor.zip(id.map(unsigned)),
        decided_at_ms: row.get("decided_at"),
        reason: row.get("reason"),
    })
}

#[cfg(test)]
mod tests;
