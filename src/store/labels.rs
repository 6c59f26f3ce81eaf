//! The label that shows on a thread how its briefs stand; it is owed anew whenever one of them changes.

use sqlx::{Row, Sqlite, Transaction};

use super::effects;
use super::models::{Effect, EffectPayload};
use super::sqlite::{StoreError, unsigned};
use crate::queue::label::StateLabel;
use crate::queue::task::TaskState;

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
    let label = StateLabel::of(states).map(|label| label.as_str().to_owned());
    let repository_id = unsigned(newest.get("repository_id"));
    let thread_number = unsigned(newest.get("thread_number"));
    let effect = Effect {
        id: 0,
        key: format!("label:{repository_id}:{thread_number}"),
        installation_id: unsigned(newest.get("installation_id")),
        repository_id,
        repository: newest.get("repository"),
        thread_number,
        payload: EffectPayload::Label { label },
        version: 0,
        remote_id: None,
        attempts: 0,
        rewritten: 0,
    };
    effects::owe(tx, &effect).await
}
