//! The label that shows on a thread how its briefs stand; it is owed anew whenever one of them changes.

use sqlx::{Row, Sqlite, Transaction};

use super::effects;
use super::models::{Effect, EffectPayload};
use super::sqlite::{StoreError, now_ms, signed, unsigned};
use crate::queue::label::StateLabel;
use crate::queue::task::{BlockReason, TaskState};

/// Owes the label of the thread that a task belongs to.
pub(super) async fn owe_of_task(tx: &mut Transaction<'_, Sqlite>, task: i64) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "SELECT tasks.state, tasks.block_reason, briefs.installation_id, briefs.repository_id,
             briefs.repository, briefs.thread_number
         FROM tasks JOIN briefs ON briefs.id = tasks.brief_id
         WHERE (briefs.repository_id, briefs.thread_number) = (
             SELECT repository_id, thread_number FROM briefs JOIN tasks ON tasks.brief_id = briefs.id
             WHERE tasks.id = ?)
         ORDER BY tasks.id DESC",
    )
    .bind(task)
    .fetch_all(&mut **tx)
    .await?;
    let Some(newest) = rows.first() else { return Ok(()) };
    let states = rows.iter().filter_map(|row| TaskState::read(row.get("state"), row.get("block_reason")));
    let states: Vec<TaskState> = states.collect();
    let label = StateLabel::of(states.iter().copied()).map(|label| label.as_str().to_owned());
    let gates = states.contains(&TaskState::Blocked(BlockReason::AwaitingStart));
    let repository_id = unsigned(newest.get("repository_id"));
    let thread_number = unsigned(newest.get("thread_number"));
    let effect = Effect {
        id: 0,
        key: label_key(signed(repository_id), signed(thread_number)),
        installation_id: unsigned(newest.get("installation_id")),
        repository_id,
        repository: newest.get("repository"),
        thread_number,
        payload: EffectPayload::Label { label, gates },
        version: 0,
        remote_id: None,
        attempts: 0,
        rewritten: 0,
    };
    effects::owe(tx, &effect).await
}

/// Owes the label of a thread once more that somebody else changed, if it ever had one.
pub(super) async fn owe_again(
    tx: &mut Transaction<'_, Sqlite>,
    (repository, number): (u64, u64),
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE effects SET state = 'owed', version = version + 1, attempts = 0, reason = NULL,
             not_before = MIN(written_at, ?1) + ?2
         WHERE key = ?3 AND state <> 'owed'",
    )
    .bind(now_ms())
    .bind(effects::EDIT_DISTANCE_MS)
    .bind(label_key(signed(repository), signed(number)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn label_key(repository: i64, number: i64) -> String {
    format!("label:{repository}:{number}")
}
