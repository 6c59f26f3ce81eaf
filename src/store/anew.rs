//! Tasks that are queued by somebody's word: one that waited to be started, or one that had its run.

use sqlx::{Row, Sqlite, Transaction};

use super::changes::TaskChange;
use super::deliveries::Intake;
use super::models::BriefRow;
use super::sqlite::{Store, StoreError, now_ms, signed, unsigned};
use super::{approvals, budgets, policies, tasks};

/// Blocks a task that was just queued until somebody starts it.
pub(super) async fn shut(tx: &mut Transaction<'_, Sqlite>, task: i64, why: &str) -> Result<(), StoreError> {
    let done = sqlx::query(
        "UPDATE tasks SET state = 'blocked', block_reason = 'awaiting_start', reason = ?
         WHERE id = ? AND state = 'queued'",
    )
    .bind(why)
    .bind(task)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 { Err(StoreError::Changed(task)) } else { Ok(()) }
}

/// Queues a task that waits to be started; `by_word` tells that somebody's word lets it run, not a label.
pub(super) async fn start(
    tx: &mut Transaction<'_, Sqlite>,
    change: &TaskChange,
    by_word: bool,
) -> Result<(), StoreError> {
    let done = sqlx::query(
        "UPDATE tasks SET state = 'queued', block_reason = NULL, reason = NULL, started_by = ?1,
             started_by_id = ?2, queued_at = ?3, changed_at = ?3
         WHERE id = ?4 AND state = 'blocked' AND block_reason = 'awaiting_start'",
    )
    .bind(by_word.then_some(&change.actor))
    .bind(change.actor_id.filter(|_| by_word).map(signed))
    .bind(now_ms())
    .bind(change.task)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 { Err(StoreError::Changed(change.task)) } else { Ok(()) }
}

/// Queues a task once more that failed, was cancelled or is quarantined; what was approved before does not
/// count for the new run.
pub(super) async fn retry(tx: &mut Transaction<'_, Sqlite>, change: &TaskChange) -> Result<(), StoreError> {
    let done = sqlx::query(
        "UPDATE tasks SET state = 'queued', block_reason = NULL, reason = NULL, not_before = 0, retries = 0,
             losses = 0, stop_by = NULL, stop_why = NULL, started_by = ?1, started_by_id = ?2, queued_at = ?3,
             changed_at = ?3
         WHERE id = ?4 AND (state IN ('failed', 'cancelled')
             OR (state = 'blocked' AND block_reason = 'quarantined'))",
    )
    .bind(&change.actor)
    .bind(change.actor_id.map(signed))
    .bind(now_ms())
    .bind(change.task)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Changed(change.task));
    }
    approvals::void(tx, change.task, "the brief is run once more").await
}

/// Holds a task that was queued anew to the budget of its lane, and lets it wait for the approval that it
/// needs; returns whether it can run now.
pub(super) async fn hold(
    tx: &mut Transaction<'_, Sqlite>,
    task: i64,
    intake: &Intake,
) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "SELECT briefs.*, tasks.lane FROM briefs JOIN tasks ON tasks.brief_id = briefs.id WHERE tasks.id = ?",
    )
    .bind(task)
    .fetch_one(&mut **tx)
    .await?;
    let brief: BriefRow = tasks::read_brief(&row)?;
    if let Some(ruling) = intake.rulings.get(row.get::<&str, _>("lane")) {
        budgets::hold(tx, &brief, &ruling.budget).await?;
        policies::decided(tx, task, ruling).await?;
    }
    match intake.asks.iter().find(|ask| ask.brief == brief.id) {
        Some(ask) => approvals::ask(tx, task, ask).await.map(|()| false),
        None => Ok(true),
    }
}

impl Store {
    /// Returns who started a task that waited for somebody, or had it run once more.
    pub async fn started_by(&self, task: i64) -> Result<Option<(String, u64)>, StoreError> {
        let row = sqlx::query(
            "SELECT started_by, started_by_id FROM tasks WHERE id = ? AND started_by_id IS NOT NULL",
        )
        .bind(task)
        .fetch_optional(&self.reader)
        .await?;
        Ok(row.map(|row| (row.get("started_by"), unsigned(row.get("started_by_id")))))
    }

    /// Tells whether a run of a task showed a honeytoken.
    pub async fn saw_honeytoken(&self, task: i64) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM audit WHERE task_id = ? AND action = 'honeytoken-seen' LIMIT 1")
            .bind(task)
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brief::{BriefId, Source, SourceKind, text_digest};
    use crate::config::{Approval, Budget};
    use crate::queue::task::{BlockReason, TaskState};
    use crate::store::audit::TargetRepository;
    use crate::store::models::TaskFilter;
    use crate::store::{Act, Ask, Ruling, SeenPolicy};

    fn brief(text: &str) -> BriefRow {
        let source = Source { repository_id: 7, kind: SourceKind::IssueBody, id: 70 };
        let digest = text_digest(text);
        BriefRow {
            id: BriefId::new(&source, 0, digest),
            source,
            repository: "octo/example".to_owned(),
            installation_id: 1,
            source_url: "u".to_owned(),
            block_index: 0,
            text_digest: digest.to_string(),
            text: text.to_owned(),
            thread_number: 1,
            thread_title: "T".to_owned(),
            requested_by: "maria".to_owned(),
            requested_by_id: 9,
            author: "maria".to_owned(),
            author_id: 9,
            delivery_guid: text.to_owned(),
        }
    }

    fn change(task: i64, act: Act) -> TaskChange {
        let (actor, why) = ("olga".to_owned(), "`/work retry` in the thread".to_owned());
        TaskChange { task, act, actor, actor_id: Some(8), why }
    }

    fn ruling(budget: Budget) -> Ruling {
        let policy = SeenPolicy {
            repository: TargetRepository { id: 7, name: "octo/example".to_owned() },
            lane: "lane".to_owned(),
            version: "1".to_owned(),
        };
        Ruling { policy, rule: "a test".to_owned(), approval: Approval::None, budget }
    }

    fn accepting(texts: &[&str]) -> Intake {
        let accepted = texts.iter().map(|text| (brief(text), "lane".to_owned())).collect();
        Intake { accepted, ..Intake::default() }
    }

    async fn states(store: &Store) -> Vec<TaskState> {
        let tasks = store.tasks(&TaskFilter { most: 9, ..TaskFilter::default() }).await.unwrap();
        tasks.iter().rev().map(|task| task.state).collect()
    }

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn what_is_run_once_more_takes_its_place_in_todays_budget() {
        let (_folder, store) = store().await;
        store.finish_delivery(0, &accepting(&["a", "b"])).await.unwrap();
        // Cancelled before it ran, it does not count.
        store.change_tasks(&[change(1, Act::Cancel)], &[]).await.unwrap();
        let once_more = |most| Intake {
            changes: vec![change(1, Act::Retry)],
            rulings: [("lane".to_owned(), ruling(Budget { user_per_day: Some(most), ..Budget::default() }))]
                .into(),
            ..Intake::default()
        };
        let refused = store.finish_delivery(0, &once_more(1)).await;
        assert!(matches!(refused, Err(StoreError::Changed(1))), "{refused:?}");
        assert_eq!(states(&store).await, [TaskState::Cancelled, TaskState::Queued]);
        assert_eq!(store.finish_delivery(0, &once_more(2)).await.unwrap(), 1);
        assert_eq!(states(&store).await, [TaskState::Queued, TaskState::Queued]);
        assert_eq!(store.started_by(1).await.unwrap(), Some(("olga".to_owned(), 8)));
        let twice = store.finish_delivery(0, &once_more(9)).await;
        assert!(matches!(twice, Err(StoreError::Changed(1))), "it waits already: {twice:?}");
    }

    #[tokio::test]
    async fn what_waits_for_its_gate_is_started_once_and_waits_for_its_approval_then() {
        let (_folder, store) = store().await;
        let shut = Intake { shut: vec![(brief("a").id, "the label".to_owned())], ..accepting(&["a"]) };
        assert_eq!(store.finish_delivery(0, &shut).await.unwrap(), 0, "nothing can run");
        assert_eq!(states(&store).await, [TaskState::Blocked(BlockReason::AwaitingStart)]);
        assert!(store.claim_task("lane", "run", 0).await.unwrap().is_none());
        let ask = Ask {
            brief: brief("a").id,
            digest: "d".repeat(32),
            needed: Approval::Required,
            base_commit: "c".repeat(40),
            policy_version: "p".to_owned(),
            policy: [].into(),
            expires_at_ms: 0,
            changed: Vec::new(),
            owed: Vec::new(),
        };
        let started = Intake { changes: vec![change(1, Act::Start)], asks: vec![ask], ..Intake::default() };
        assert_eq!(store.finish_delivery(0, &started).await.unwrap(), 0);
        assert_eq!(states(&store).await, [TaskState::Blocked(BlockReason::AwaitingApproval)]);
        assert!(matches!(store.finish_delivery(0, &started).await, Err(StoreError::Changed(1))));
    }
}
