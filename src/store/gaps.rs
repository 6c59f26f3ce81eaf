//! Gaps: times in which deliveries were missed, what was missed in each, and what became of it. There is at
//! most one open gap; it is closed when nothing of it is waited for any more.

use std::collections::HashSet;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::audit::{self, About, SERVER};
use super::models::{Gap, Missed, MissedRow, MissedState, RescannedText};
use super::sqlite::{Store, StoreError, now_ms};

/// Begin and end of a time, in milliseconds since 1970; what is noted for it widens the gap to all of it.
pub type Span = (i64, i64);

impl Store {
    /// Returns which of some GUIDs the store knows.
    pub async fn known_guids(&self, guids: &[&str]) -> Result<HashSet<String>, StoreError> {
        // One that was given up is looked at again when it comes again.
        let known = "SELECT guid FROM deliveries
            WHERE state <> 'failed' AND guid IN (SELECT value FROM json_each(?))";
        let rows = sqlx::query(known).bind(serde_json::to_string(guids)?).fetch_all(&self.reader).await?;
        Ok(rows.into_iter().map(|row| row.get("guid")).collect())
    }

    /// Notes deliveries that were missed, each once, in the open gap; opens one if there is none.
    pub async fn note_missed(&self, missed: &[Missed], within: Span) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for one in missed {
            insert_missed(&mut tx, one, MissedState::Missed, None, within).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Stores a text that a rescan found as a delivery of its own, and notes it as missed and recovered, both
    /// once; returns whether it is new.
    pub async fn insert_rescanned(&self, text: &RescannedText, within: Span) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        if !insert_found(&mut tx, text).await? {
            return Ok(false);
        }
        insert_missed(&mut tx, &text.missed, MissedState::Recovered, None, within).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Stores a text that was found by polling as a delivery of its own, once; nothing was missed. Returns whether
    /// it is new.
    pub async fn insert_polled(&self, text: &RescannedText) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let new = insert_found(&mut tx, text).await?;
        tx.commit().await?;
        Ok(new)
    }

    /// Notes something that was missed and cannot be recovered, once; returns whether it is new.
    pub async fn note_lost(&self, lost: &Missed, reason: &str, within: Span) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let new = insert_missed(&mut tx, lost, MissedState::Lost, Some(reason), within).await?;
        tx.commit().await?;
        Ok(new)
    }

    /// Returns what is missed and may still arrive, oldest first.
    pub async fn open_missed(&self) -> Result<Vec<MissedRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM missed WHERE state IN ('missed', 'asked') ORDER BY at, id")
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(read_missed).collect()
    }

    /// Notes that GitHub was asked to deliver something again.
    pub async fn note_asked(&self, name: &str) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE missed SET state = 'asked', asked = asked + 1 WHERE name = ? AND state IN ('missed', 'asked')",
        )
        .bind(name)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Gives something up that was missed.
    pub async fn give_up_missed(&self, name: &str, reason: &str) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE missed SET state = 'lost', reason = ? WHERE name = ? AND state IN ('missed', 'asked')",
        )
        .bind(reason)
        .bind(name)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Notes what has arrived of that which was missed; returns how many are waited for after having been
    /// asked for. `describe` tells from event and body what a delivery is about.
    pub async fn note_arrived(&self, describe: impl Fn(&str, &[u8]) -> String) -> Result<u64, StoreError> {
        let rows = sqlx::query(
            "SELECT missed.id, deliveries.event, deliveries.body FROM missed
             JOIN deliveries ON deliveries.guid = missed.name WHERE missed.state IN ('missed', 'asked')",
        )
        .fetch_all(&self.reader)
        .await?;
        for row in rows {
            sqlx::query("UPDATE missed SET state = 'recovered', what = ? WHERE id = ?")
                .bind(describe(row.get("event"), row.get("body")))
                .bind(row.get::<i64, _>("id"))
                .execute(&self.writer)
                .await?;
        }
        let left = sqlx::query("SELECT COUNT(*) AS n FROM missed WHERE state = 'asked'")
            .fetch_one(&self.reader)
            .await?;
        Ok(super::sqlite::unsigned(left.get("n")))
    }

    /// Tells whether GitHub was asked to deliver this again.
    pub async fn was_missed(&self, guid: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM missed WHERE name = ?")
            .bind(guid)
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.is_some())
    }

    /// Adds to the open gap what kept the server from looking, if there is one.
    pub async fn note_trouble(&self, trouble: &str) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE gaps SET note = CASE WHEN note IS NULL THEN ?1 WHEN instr(note, ?1) > 0 THEN note
                 ELSE note || char(10) || ?1 END WHERE closed_at IS NULL",
        )
        .bind(trouble)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Closes the open gap when nothing of it is waited for, and tells the audit log; returns the gap, closed
    /// or not, with what was missed in it.
    pub async fn settle_gap(&self) -> Result<Option<(Gap, Vec<MissedRow>)>, StoreError> {
        let Some(open) = self.gaps(1).await?.into_iter().find(|gap| gap.closed_at_ms.is_none()) else {
            return Ok(None);
        };
        if open.waiting == 0 {
            let mut tx = self.begin().await?;
            sqlx::query("UPDATE gaps SET closed_at = ? WHERE id = ?")
                .bind(now_ms())
                .bind(open.id)
                .execute(&mut *tx)
                .await?;
            audit::record(&mut tx, About { task: None, run: None }, "gap", SERVER, &open.summary()).await?;
            tx.commit().await?;
        }
        self.gap(open.id).await
    }

    /// Returns the last gaps, newest first.
    pub async fn gaps(&self, most: u32) -> Result<Vec<Gap>, StoreError> {
        let rows = sqlx::query(GAPS).bind(None::<i64>).bind(most).fetch_all(&self.reader).await?;
        Ok(rows.iter().map(read_gap).collect())
    }

    /// Returns a gap with what was missed in it, oldest first.
    pub async fn gap(&self, id: i64) -> Result<Option<(Gap, Vec<MissedRow>)>, StoreError> {
        let gap = sqlx::query(GAPS).bind(id).bind(1).fetch_optional(&self.reader).await?;
        let Some(gap) = gap else { return Ok(None) };
        let rows = sqlx::query(
            "SELECT missed.*, deliveries.state AS outcome, deliveries.reason AS outcome_reason FROM missed
                 LEFT JOIN deliveries ON deliveries.guid = missed.name
             WHERE gap_id = ? ORDER BY missed.at, missed.id",
        )
        .bind(id)
        .fetch_all(&self.reader)
        .await?;
        let with_outcome = |row: &SqliteRow| -> Result<MissedRow, StoreError> {
            let outcome: Option<String> = row.get("outcome");
            let reason: Option<String> = row.get("outcome_reason");
            let outcome = outcome.map(|state| reason.map_or(state.clone(), |why| format!("{state}: {why}")));
            Ok(MissedRow { outcome, ..read_missed(row)? })
        };
        Ok(Some((read_gap(&gap), rows.iter().map(with_outcome).collect::<Result<_, _>>()?)))
    }
}

const GAPS: &str =
    "SELECT gaps.*, COUNT(missed.id) AS missed, COALESCE(SUM(missed.state = 'recovered'), 0) AS recovered,
        COALESCE(SUM(missed.state = 'lost'), 0) AS lost
    FROM gaps LEFT JOIN missed ON missed.gap_id = gaps.id
    WHERE (?1 IS NULL OR gaps.id = ?1) GROUP BY gaps.id ORDER BY gaps.id DESC LIMIT ?2";

/// Opens a gap, or widens the one that is open.
pub(super) async fn open_gap(
    tx: &mut Transaction<'_, Sqlite>,
    from: i64,
    to: i64,
) -> Result<i64, StoreError> {
    let widened = sqlx::query(
        "UPDATE gaps SET from_at = MIN(from_at, ?), to_at = MAX(to_at, ?) WHERE closed_at IS NULL RETURNING id",
    )
    .bind(from)
    .bind(to)
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(open) = widened {
        return Ok(open.get("id"));
    }
    let done = sqlx::query("INSERT INTO gaps (from_at, to_at, found_at) VALUES (?, ?, ?)")
        .bind(from)
        .bind(to)
        .bind(now_ms())
        .execute(&mut **tx)
        .await?;
    Ok(done.last_insert_rowid())
}

async fn insert_found(tx: &mut Transaction<'_, Sqlite>, text: &RescannedText) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO deliveries (guid, event, body, received_at, origin) VALUES (?, ?, ?, ?, 'rescan')
         ON CONFLICT (guid) DO NOTHING",
    )
    .bind(&text.missed.name)
    .bind(&text.event)
    .bind(&text.body)
    .bind(now_ms())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn insert_missed(
    tx: &mut Transaction<'_, Sqlite>,
    missed: &Missed,
    state: MissedState,
    reason: Option<&str>,
    within: Span,
) -> Result<bool, StoreError> {
    let known = sqlx::query("SELECT 1 FROM missed WHERE name = ?").bind(&missed.name);
    if known.fetch_optional(&mut **tx).await?.is_some() {
        return Ok(false);
    }
    let gap = open_gap(tx, within.0.min(missed.at_ms), within.1.max(missed.at_ms)).await?;
    sqlx::query("INSERT INTO missed (gap_id, name, what, at, state, reason) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(gap)
        .bind(&missed.name)
        .bind(&missed.what)
        .bind(missed.at_ms)
        .bind(state.as_str())
        .bind(reason)
        .execute(&mut **tx)
        .await?;
    Ok(true)
}

fn read_gap(row: &SqliteRow) -> Gap {
    let (missed, recovered, lost): (i64, i64, i64) =
        (row.get("missed"), row.get("recovered"), row.get("lost"));
    Gap {
        id: row.get("id"),
        from_ms: row.get("from_at"),
        to_ms: row.get("to_at"),
        found_at_ms: row.get("found_at"),
        closed_at_ms: row.get("closed_at"),
        missed,
        recovered,
        lost,
        waiting: missed - recovered - lost,
        note: row.get("note"),
    }
}

fn read_missed(row: &SqliteRow) -> Result<MissedRow, StoreError> {
    let state: &str = row.get("state");
    Ok(MissedRow {
        missed: Missed { name: row.get("name"), what: row.get("what"), at_ms: row.get("at") },
        state: MissedState::read(state).ok_or_else(|| StoreError::Entry(format!("missed state {state}")))?,
        asked: row.get("asked"),
        reason: row.get("reason"),
        outcome: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_SPAN: Span = (i64::MAX, i64::MIN);

    async fn store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Store::open(&folder.path().join("store.sqlite")).await.unwrap(), folder)
    }

    fn missed(name: &str, at_ms: i64) -> Missed {
        Missed { name: name.to_owned(), what: "issues opened".to_owned(), at_ms }
    }

    #[tokio::test]
    async fn what_is_missed_is_noted_once_and_its_gap_is_closed_when_nothing_is_waited_for() {
        let (store, _folder) = store().await;
        let both = [missed("a", 2_000), missed("b", 9_000)];
        for _ in 0..2 {
            store.note_missed(&both, NO_SPAN).await.unwrap();
        }
        store.note_asked("a").await.unwrap();
        let (open, rows) = store.settle_gap().await.unwrap().unwrap();
        assert_eq!((open.from_ms, open.to_ms, open.waiting, open.closed_at_ms), (2_000, 9_000, 2, None));
        assert_eq!((rows[0].state, rows[0].asked), (MissedState::Asked, 1));
        store.insert_delivery("a", "issues", b"{}").await.unwrap();
        assert_eq!(store.note_arrived(|event, _| format!("{event} here")).await.unwrap(), 0);
        store.give_up_missed("b", "gone").await.unwrap();
        store.give_up_missed("a", "not this one, which is here").await.unwrap();
        store.note_trouble("502").await.unwrap();
        store.note_trouble("502").await.unwrap();
        let (closed, rows) = store.settle_gap().await.unwrap().unwrap();
        assert_eq!((closed.recovered, closed.lost, closed.note.as_deref()), (1, 1, Some("502")));
        assert!(closed.closed_at_ms.is_some());
        assert_eq!(
            (rows[0].missed.what.as_str(), rows[0].outcome.as_deref()),
            ("issues here", Some("pending"))
        );
        assert_eq!(rows[1].reason.as_deref(), Some("gone"));
        let told = store.audit_head().await.unwrap().unwrap().entry().unwrap();
        assert_eq!((told.action.as_str(), told.reason), ("gap", closed.summary()));
        // What was lost is not asked for again.
        store.note_missed(&both, NO_SPAN).await.unwrap();
        assert_eq!(store.gaps(9).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_text_that_is_found_twice_is_one_delivery() {
        let (store, _folder) = store().await;
        let text = RescannedText {
            missed: missed("rescan:1", 5_000),
            event: "rescan:text".to_owned(),
            body: b"{}".to_vec(),
        };
        assert!(store.insert_rescanned(&text, (1_000, 2_000)).await.unwrap());
        assert!(!store.insert_rescanned(&text, NO_SPAN).await.unwrap());
        let gap = store.gaps(9).await.unwrap().remove(0);
        assert_eq!((gap.from_ms, gap.to_ms, gap.missed, gap.recovered), (1_000, 5_000, 1, 1));
        let pending = store.pending_after(0).await.unwrap().unwrap();
        assert!(store.pending_after(pending.id).await.unwrap().is_none());
        assert_eq!(pending.origin, crate::store::models::Origin::Rescan);
    }
}
