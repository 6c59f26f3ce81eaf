//! The comment that shows a task while it waits and runs. It is owed whenever the task goes on, under the key of
//! the result: whatever comes last is what is written, so nothing that is late can take a result's place.

use sqlx::{Row, Sqlite, Transaction};

use super::effects;
use super::models::{BriefRow, Effect, EffectPayload};
use super::sqlite::{Store, StoreError};
use super::tasks::read_brief;

/// Names the comment of a brief, from its acceptance to its result.
pub fn result_key(brief: &str) -> String {
    format!("result:{brief}")
}

/// Names the check run of a run beside the commit that it works on.
pub fn check_key(run: &str) -> String {
    format!("check:{run}")
}

/// Makes the comment that shows a brief's task, as it stands when it is written.
pub fn living_effect(brief: &BriefRow) -> Effect {
    let id = brief.id.to_string();
    Effect::for_brief(brief, result_key(&id), EffectPayload::Living { brief: id })
}

/// Owes the comment of a task that waits or runs, or that was cancelled before it ran.
pub(super) async fn owe_of_task(tx: &mut Transaction<'_, Sqlite>, task: i64) -> Result<BriefRow, StoreError> {
    let row = sqlx::query(
        "SELECT briefs.* FROM briefs JOIN tasks ON tasks.brief_id = briefs.id WHERE tasks.id = ?",
    )
    .bind(task)
    .fetch_one(&mut **tx)
    .await?;
    let brief = read_brief(&row)?;
    effects::owe(tx, &living_effect(&brief)).await?;
    Ok(brief)
}

/// Owes the end of what a check run shows of a run that is over without a result, if it shows anything.
pub(super) async fn end_check(tx: &mut Transaction<'_, Sqlite>, run: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE effects SET state = 'owed', version = version + 1, not_before = 0 WHERE key = ? AND progress",
    )
    .bind(check_key(run))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A run that works, and where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunShown {
    /// Names the run.
    pub run: String,
    /// Holds the commit beside which its check run stands, 40 hex digits, once that is known.
    pub commit: Option<String>,
}

impl Store {
    /// Owes the comment of a task anew, as long as the task waits or the given run of it works; then its check run,
    /// too.
    pub async fn owe_progress(&self, task: i64, run: Option<&RunShown>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let goes_on = sqlx::query(
            "SELECT 1 FROM tasks WHERE id = ?1 AND CASE WHEN ?2 IS NULL THEN state = 'queued' ELSE state = 'running'
                 AND EXISTS (SELECT 1 FROM runs WHERE id = ?2 AND task_id = ?1 AND state = 'running') END",
        )
        .bind(task)
        .bind(run.map(|shown| &shown.run))
        .fetch_optional(&mut *tx)
        .await?;
        if goes_on.is_some() {
            let brief = owe_of_task(&mut tx, task).await?;
            if let Some(RunShown { run, commit: Some(commit) }) = run {
                let (brief_id, run, commit) = (brief.id.to_string(), run.clone(), commit.clone());
                let key = check_key(&run);
                let payload = EffectPayload::LiveCheck { brief: brief_id, run, commit };
                effects::owe(&mut tx, &Effect::for_brief(&brief, key, payload)).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Returns the tasks that a lane takes next, at most so many.
    pub async fn next_in_line(&self, lane: &str, most: u32) -> Result<Vec<i64>, StoreError> {
        let rows =
            sqlx::query("SELECT id FROM tasks WHERE lane = ? AND state = 'queued' ORDER BY id LIMIT ?")
                .bind(lane)
                .bind(most)
                .fetch_all(&self.reader)
                .await?;
        Ok(rows.iter().map(|row| row.get("id")).collect())
    }
}
