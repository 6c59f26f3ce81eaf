//! Deliveries: what GitHub sent, stored before it is answered.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::approvals::{self, ApprovalState, Ask, Decided};
use super::audit::{self, Entry, SERVER, Status, Target};
use super::changes::{self, TaskChange};
use super::models::{BriefRow, Effect, Origin, PendingDelivery};
use super::policies::{self, Ruling};
use super::sources::{self, SeenRepository, Withdrawal};
use super::sqlite::{Store, StoreError, now_ms, signed};
use super::{anew, budgets, effects, labels, tasks};
use crate::brief::BriefId;
use crate::brief::source::Source;
use crate::crash;

/// Whether a delivery is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is in the store now.
    New,
    /// Its GUID was in the store before.
    Known,
}

/// What looking at a delivery led to; it is written in one transaction.
#[derive(Debug, Default)]
pub struct Intake {
    /// Tells which text it was and when that text was written, in milliseconds since 1970.
    pub seen: Option<(Source, i64)>,
    /// Holds the digests of all blocks of an edited text; queued briefs of other blocks are withdrawn.
    pub edited_to: Option<Vec<String>>,
    /// Tells where the repository was seen.
    pub repository: Option<SeenRepository>,
    /// Tells what was withdrawn.
    pub withdrawn: Option<Withdrawal>,
    /// Holds the commands of the text that were looked at, each with its number among equal ones.
    pub commands: Vec<(String, u32)>,
    /// Holds what becomes of tasks that were there before.
    pub changes: Vec<TaskChange>,
    /// Holds the digests of all blocks of the text, accepted or not, and who sent it: login and id.
    pub blocks: Vec<String>,
    /// See `blocks`.
    pub sender: Option<(String, u64)>,
    /// Holds the briefs to queue, each with its lane.
    pub accepted: Vec<(BriefRow, String)>,
    /// Holds the approvals that those of them, or of the changed tasks, wait for which need one.
    pub asks: Vec<Ask>,
    /// Holds those of them whose gate is shut, each with what they wait for.
    pub shut: Vec<(BriefId, String)>,
    /// Holds the thread whose label of state is to be put right: its repository's id and its number.
    pub relabel: Option<(u64, u64)>,
    /// Holds what was decided on approvals.
    pub decided: Vec<Decided>,
    /// Holds what the policy says of briefs, by the lane that they name.
    pub rulings: BTreeMap<String, Ruling>,
    /// Holds what is owed to GitHub.
    pub effects: Vec<Effect>,
    /// Holds what else was decided, for the audit log.
    pub audit: Vec<Entry>,
    /// Tells why nothing came of it.
    pub ignored: Option<String>,
}

impl Store {
    /// Stores a delivery durably, once per GUID; one that was given up is looked at again.
    pub async fn insert_delivery(&self, guid: &str, event: &str, body: &[u8]) -> Result<Stored, StoreError> {
        let done = sqlx::query(
            "INSERT INTO deliveries (guid, event, body, received_at) VALUES (?, ?, ?, ?) ON CONFLICT (guid) DO UPDATE SET state = 'pending', attempts = 0, not_before = 0, reason = NULL
                 WHERE state = 'failed'",
        )
        .bind(guid)
        .bind(event)
        .bind(body)
        .bind(now_ms())
        .execute(&self.writer)
        .await?;
        Ok(if done.rows_affected() == 1 { Stored::New } else { Stored::Known })
    }

    /// Returns the oldest delivery that waits and may be tried by now.
    pub async fn next_delivery(&self) -> Result<Option<PendingDelivery>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM deliveries WHERE state = 'pending' AND not_before <= ? ORDER BY id LIMIT 1",
        )
        .bind(now_ms())
        .fetch_optional(&self.reader)
        .await?;
        Ok(row.map(|row| read_pending(&row)))
    }

    /// Returns the next delivery that waits after the one with this id, also one that was put off.
    pub async fn pending_after(&self, id: i64) -> Result<Option<PendingDelivery>, StoreError> {
        let row =
            sqlx::query("SELECT * FROM deliveries WHERE state = 'pending' AND id > ? ORDER BY id LIMIT 1")
                .bind(id)
                .fetch_optional(&self.reader)
                .await?;
        Ok(row.map(|row| read_pending(&row)))
    }

    /// Returns the time at which the next postponed delivery may be tried, in milliseconds since 1970.
    pub async fn next_delivery_at(&self) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query("SELECT MIN(not_before) AS at FROM deliveries WHERE state = 'pending'")
            .fetch_one(&self.reader)
            .await?;
        Ok(row.get("at"))
    }

    /// Puts a delivery off.
    pub async fn postpone_delivery(&self, id: i64, until_ms: i64, reason: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE deliveries SET attempts = attempts + 1, not_before = ?, reason = ? WHERE id = ?")
            .bind(until_ms)
            .bind(reason)
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Puts a delivery off without counting it as tried.
    pub async fn hold_delivery(&self, id: i64, until_ms: i64, reason: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE deliveries SET not_before = ?, reason = ? WHERE id = ?")
            .bind(until_ms)
            .bind(reason)
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Gives a delivery up; its body stays in the store.
    pub async fn fail_delivery(&self, id: i64, reason: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let failed =
            sqlx::query("UPDATE deliveries SET state = 'failed', reason = ? WHERE id = ? RETURNING guid")
                .bind(reason)
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?;
        let target = Target { delivery: failed.map(|row| row.get("guid")), ..Target::default() };
        let entry = Entry::new("delivery-given-up", SERVER, "").about(target).ended(Status::Failure);
        audit::append(&mut tx, entry.with("error", reason)).await?;
        Ok(tx.commit().await?)
    }

    /// Returns the digests of all briefs that a text has had.
    pub async fn known_digests(&self, source: Source) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "SELECT text_digest FROM briefs WHERE repository_id = ? AND source_kind = ? AND source_id = ?",
        )
        .bind(signed(source.repository_id))
        .bind(source.kind.as_str())
        .bind(signed(source.id))
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.into_iter().map(|row| row.get("text_digest")).collect())
    }

    /// Writes what looking at a delivery led to, all or nothing; returns how many tasks are
    /// newly queued.
    ///
    /// Fails with [`StoreError::Changed`] when a task that it changes is not as it was; then the delivery
    /// is to be looked at once more. So it does when a brief would go over the day's budget.
    pub async fn finish_delivery(&self, id: i64, intake: &Intake) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        if let Some(repository) = &intake.repository {
            sources::see_repository(&mut tx, id, repository).await?;
        }
        if let Some((source, updated_at)) = intake.seen {
            sources::see(&mut tx, source, updated_at).await?;
            sources::see_commands(&mut tx, source, &intake.commands).await?;
            if let Some(sender) = &intake.sender {
                sources::see_blocks(&mut tx, source, sender, &intake.blocks).await?;
            }
        }
        if let Some(withdrawal) = intake.withdrawn {
            sources::withdraw(&mut tx, withdrawal).await?;
        }
        for ruling in intake.rulings.values() {
            policies::see(&mut tx, &ruling.policy).await?;
        }
        for entry in &intake.audit {
            audit::append(&mut tx, entry.clone()).await?;
        }
        let mut queued = 0;
        for change in &intake.changes {
            changes::apply(&mut tx, change).await?;
            if change.act.queues() {
                queued += u64::from(anew::hold(&mut tx, change.task, intake).await?);
            }
        }
        if let Some(thread) = intake.relabel {
            labels::owe_again(&mut tx, thread).await?;
        }
        // Owed first, so that a thread shows at once that it was seen.
        for effect in &intake.effects {
            effects::owe(&mut tx, effect).await?;
        }
        // Before what was decided: a brief that is approved here takes its place in today's budget here.
        for (brief, lane) in &intake.accepted {
            let Some(task) = tasks::insert(&mut tx, brief, lane).await? else { continue };
            if let Some(ruling) = intake.rulings.get(lane) {
                budgets::hold(&mut tx, brief, &ruling.budget).await?;
                policies::decided(&mut tx, task, ruling).await?;
            }
            if let Some((_, why)) = intake.shut.iter().find(|(shut, _)| *shut == brief.id) {
                anew::shut(&mut tx, task, why).await?;
                labels::owe_of_task(&mut tx, task).await?;
                continue;
            }
            match intake.asks.iter().find(|ask| ask.brief == brief.id) {
                Some(ask) => approvals::ask(&mut tx, task, ask).await?,
                None => queued += 1,
            }
        }
        for decided in &intake.decided {
            approvals::decide(&mut tx, decided).await?;
            queued += u64::from(decided.state == ApprovalState::Approved);
        }
        if let (Some((source, _)), Some(digests)) = (intake.seen, &intake.edited_to) {
            tasks::supersede(&mut tx, source, digests).await?;
        }
        let state = if intake.ignored.is_some() { "ignored" } else { "processed" };
        sqlx::query("UPDATE deliveries SET state = ?, reason = ? WHERE id = ?")
            .bind(state)
            .bind(intake.ignored.as_deref())
            .bind(id)
            .execute(&mut *tx)
            .await?;
        if queued > 0 {
            crash::point("queued.before-commit");
        }
        tx.commit().await?;
        Ok(queued)
    }
}

fn read_pending(row: &SqliteRow) -> PendingDelivery {
    PendingDelivery {
        id: row.get("id"),
        guid: row.get("guid"),
        event: row.get("event"),
        body: row.get("body"),
        attempts: row.get("attempts"),
        received_at_ms: row.get("received_at"),
        origin: match row.get("origin") {
            "rescan" => Origin::Rescan,
            _ => Origin::Webhook,
        },
    }
}
