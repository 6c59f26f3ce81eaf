//! How much was run, by whom and where: what a policy's budget is held against.

use sqlx::{Row, Sqlite, SqliteExecutor, Transaction};

use super::models::BriefRow;
use super::sqlite::{Store, StoreError, now_ms, signed};
use crate::config::Budget;

/// The time in which the briefs of a day count, in milliseconds.
pub const DAY_MS: i64 = 24 * 3_600_000;

/// What was queued within the last day, and when the oldest of it was, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Counts the briefs.
    pub briefs: u32,
    /// Holds when the brief was queued that stops counting next.
    pub oldest_ms: i64,
}

/// Tells since when a budget is spent that leaves so many, if it is.
fn over(most: Option<u32>, spent: Spent) -> bool {
    most.is_some_and(|most| spent.briefs > most)
}

impl Store {
    /// Counts the briefs that a user had queued within the last day, in any repository.
    pub async fn spent_by_user(&self, user: u64) -> Result<Spent, StoreError> {
        spent(&self.reader, Some(user), None).await
    }

    /// Counts the briefs that were queued in a repository within the last day.
    pub async fn spent_in_repository(&self, repository: u64) -> Result<Spent, StoreError> {
        spent(&self.reader, None, Some(repository)).await
    }
}

/// What was cancelled before it ever ran does not count.
async fn spent(
    executor: impl SqliteExecutor<'_>,
    user: Option<u64>,
    repository: Option<u64>,
) -> Result<Spent, StoreError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS n, COALESCE(MIN(queued_at), 0) AS oldest
         FROM tasks JOIN briefs ON briefs.id = tasks.brief_id
         WHERE queued_at > ?1 AND (?2 IS NULL OR requested_by_id = ?2) AND (?3 IS NULL OR repository_id = ?3)
             AND NOT (state = 'cancelled' AND epoch = 0)",
    )
    .bind(now_ms() - DAY_MS)
    .bind(user.map(signed))
    .bind(repository.map(signed))
    .fetch_one(executor)
    .await?;
    let briefs = u32::try_from(row.get::<i64, _>("n")).unwrap_or(u32::MAX);
    Ok(Spent { briefs, oldest_ms: row.get("oldest") })
}

/// Holds a task that was just queued to its budget: what it may have at a time is kept for the lane, and more
/// than a day's budget undoes the transaction.
///
/// Fails with [`StoreError::Changed`] when others were queued meanwhile and the day's budget is spent.
pub(super) async fn hold(
    tx: &mut Transaction<'_, Sqlite>,
    brief: &BriefRow,
    budget: &Budget,
) -> Result<(), StoreError> {
    let task = sqlx::query(
        "UPDATE tasks SET user_at_a_time = ?, repository_at_a_time = ? WHERE brief_id = ? RETURNING id",
    )
    .bind(budget.user_at_a_time)
    .bind(budget.repository_at_a_time)
    .bind(brief.id.to_string())
    .fetch_one(&mut **tx)
    .await?;
    let (user, repository) = (Some(brief.requested_by_id), Some(brief.source.repository_id));
    let days = [(budget.user_per_day, user, None), (budget.repository_per_day, None, repository)];
    // Counting reads all of a day, so only where there is something to hold to.
    for (most, user, repository) in days.into_iter().filter(|(most, ..)| most.is_some()) {
        if over(most, spent(&mut **tx, user, repository).await?) {
            return Err(StoreError::Changed(task.get("id")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brief::{BriefId, Source, SourceKind, text_digest};
    use crate::config::Approval;
    use crate::store::audit::TargetRepository;
    use crate::store::{Intake, Ruling, SeenPolicy};

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

    /// Queues briefs as one delivery, with a budget that was decided on before.
    async fn queue(store: &Store, texts: &[&str], budget: Budget) -> Result<u64, StoreError> {
        store.insert_delivery(texts[0], "issues", b"{}").await.unwrap();
        let delivery = store.next_delivery().await.unwrap().unwrap();
        let accepted = texts.iter().map(|text| (brief(text), "lane".to_owned())).collect();
        let policy = SeenPolicy {
            repository: TargetRepository { id: 7, name: "octo/example".to_owned() },
            lane: "lane".to_owned(),
            version: "1".to_owned(),
        };
        let ruling = Ruling { policy, rule: "a test".to_owned(), approval: Approval::None, budget };
        let rulings = [("lane".to_owned(), ruling)].into();
        store.finish_delivery(delivery.id, &Intake { accepted, rulings, ..Intake::default() }).await
    }

    #[tokio::test]
    async fn what_was_decided_before_others_were_queued_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        let two = Budget { user_per_day: Some(2), ..Budget::default() };
        assert_eq!(queue(&store, &["a"], two).await.unwrap(), 1);
        // Both were looked at when there was room for one.
        assert!(matches!(queue(&store, &["b", "c"], two).await, Err(StoreError::Changed(_))));
        assert_eq!(store.spent_by_user(9).await.unwrap().briefs, 1, "nothing of it is queued");
        let three = Budget { repository_per_day: Some(3), ..Budget::default() };
        assert_eq!(queue(&store, &["b", "c"], three).await.unwrap(), 2);
        let spent = store.spent_in_repository(7).await.unwrap();
        assert_eq!((spent.briefs, now_ms() - spent.oldest_ms < 60_000), (3, true));
        assert_eq!(store.spent_by_user(8).await.unwrap().briefs, 0);
        sqlx::query("UPDATE tasks SET queued_at = queued_at - ?")
            .bind(DAY_MS)
            .execute(&store.writer)
            .await
            .unwrap();
        assert_eq!(store.spent_by_user(9).await.unwrap().briefs, 0, "a day later");
    }

    #[tokio::test]
    async fn a_claim_passes_over_who_has_enough_runs() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        let one = Budget { repository_at_a_time: Some(1), ..Budget::default() };
        queue(&store, &["a", "b"], one).await.unwrap();
        let first = store.claim_task("lane", "r1", i64::MAX).await.unwrap().unwrap();
        assert!(store.claim_task("lane", "r2", i64::MAX).await.unwrap().is_none());
        store.hand_back(&first).await.unwrap();
        assert!(store.claim_task("lane", "r3", i64::MAX).await.unwrap().is_some());
        assert!(store.claim_task("lane", "r4", i64::MAX).await.unwrap().is_none());
    }
}
