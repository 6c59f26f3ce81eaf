//! The audit log: what happened, to what, by whom, each entry chained to the one before by its hash. Entries
//! are added in the transaction of what they tell of and never changed; the database itself refuses anything
//! else, and [`chain`] finds what was done in spite of that.

pub mod chain;
mod entry;
mod sink;
pub mod verify;

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

pub use entry::{Actor, AuditEntry, Entry, Status, Target, TargetRepository};
pub use sink::Sink;

use super::sqlite::{Store, StoreError, now_ms, unsigned};
use chain::GENESIS;

/// Stands for the server itself where an entry names who caused it.
pub const SERVER: &str = "server";

/// Stands for whoever has the server's command line.
pub const OPERATOR: &str = "operator";

/// Tells that the configuration is another one than at the last start.
const CONFIGURATION: &str = "configuration";

/// What a detail's name begins with that holds the digest of a section of the configuration.
const SECTION: &str = "section.";

/// What an entry is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) task: Option<i64>,
    pub(super) run: Option<&'a str>,
}

/// An entry as it is kept: its place, its canonical JSON and its hash.
#[derive(Debug, Clone)]
pub struct AuditRow {
    /// Holds the place, counted from 1.
    pub sequence: i64,
    /// Holds the canonical JSON, without the hash.
    pub line: String,
    /// Holds the hash, in hex.
    pub hash: String,
}

impl AuditRow {
    /// Reads the entry, and puts its hash into it.
    pub fn entry(&self) -> Result<AuditEntry, StoreError> {
        Ok(AuditEntry { hash: Some(self.hash.clone()), ..serde_json::from_str(&self.line)? })
    }
}

/// Adds an entry about a task or run, in the transaction of what it tells of.
pub(super) async fn record(
    tx: &mut Transaction<'_, Sqlite>,
    about: About<'_>,
    action: &str,
    actor: impl Into<Actor>,
    reason: &str,
) -> Result<(), StoreError> {
    let mut target = match about.task {
        Some(task) => target_of(tx, task).await?,
        None => Target::default(),
    };
    target.run = about.run.map(str::to_owned);
    let mut entry = Entry::new(action, actor, reason).about(target);
    if matches!(action, "failed" | "blocked" | "lost") {
        entry = entry.ended(Status::Failure).with("error", reason);
    }
    append(tx, entry).await
}

/// Adds an entry in the transaction of what it tells of.
pub(super) async fn append(tx: &mut Transaction<'_, Sqlite>, entry: Entry) -> Result<(), StoreError> {
    append_at(tx, entry, now_ms()).await
}

async fn append_at(tx: &mut Transaction<'_, Sqlite>, entry: Entry, at_ms: i64) -> Result<(), StoreError> {
    // The transaction holds the file's only write lock, so nobody else follows on the same entry.
    let head = sqlx::query("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1");
    let head = head.fetch_optional(&mut **tx).await?;
    let head = head.map_or((0, GENESIS.to_owned()), |row| (row.get("sequence"), row.get("hash")));
    let entry = entry.follow(head, at_ms);
    let (line, hash) = entry.seal()?;
    sqlx::query("INSERT INTO audit (sequence, entry, hash) VALUES (?, ?, ?)")
        .bind(entry.sequence)
        .bind(line)
        .bind(hash)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn target_of(tx: &mut Transaction<'_, Sqlite>, task: i64) -> Result<Target, StoreError> {
    let row = sqlx::query(
        "SELECT briefs.id, repository_id, repository, thread_number, lane
         FROM tasks JOIN briefs ON briefs.id = brief_id WHERE tasks.id = ?",
    );
    let row = row.bind(task).fetch_optional(&mut **tx).await?;
    let known = row.map(|row| Target {
        brief: Some(row.get("id")),
        lane: Some(row.get("lane")),
        repository: Some(TargetRepository {
            id: unsigned(row.get("repository_id")),
            name: row.get("repository"),
        }),
        thread: Some(unsigned(row.get("thread_number"))),
        ..Target::default()
    });
    Ok(Target { task: Some(task), ..known.unwrap_or_default() })
}

/// Chains what was entered before there was a chain, once; tells how many entries that were.
pub(super) async fn adopt(tx: &mut Transaction<'_, Sqlite>) -> Result<usize, StoreError> {
    let there = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'audit_unchained'");
    if there.fetch_optional(&mut **tx).await?.is_none() {
        return Ok(0);
    }
    let rows = sqlx::query("SELECT * FROM audit_unchained ORDER BY id").fetch_all(&mut **tx).await?;
    for row in &rows {
        let target = match row.get("task_id") {
            Some(task) => target_of(tx, task).await?,
            None => Target::default(),
        };
        let target = Target { run: row.get("run_id"), ..target };
        let actor: &str = row.get("actor");
        let entry = Entry::new(row.get("event"), actor, row.get::<&str, _>("detail")).about(target);
        append_at(tx, entry.with("chained", "later"), row.get("at")).await?;
    }
    if !rows.is_empty() {
        let reason = "the entries before this one were made before there was a chain";
        append(tx, Entry::new("chained", SERVER, reason).with("entries", rows.len().to_string())).await?;
    }
    sqlx::query("DROP TABLE audit_unchained").execute(&mut **tx).await?;
    Ok(rows.len())
}

impl Store {
    /// Adds an entry that tells of nothing else in the store.
    pub async fn audit(&self, entry: Entry) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        append(&mut tx, entry).await?;
        Ok(tx.commit().await?)
    }

    /// Enters that the server starts, and, where the configuration is not that of the last start, which sections
    /// of it differ; returns their names. `sections` has the digest of each.
    pub async fn audit_start(
        &self,
        version: &str,
        sections: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        append(&mut tx, Entry::new("server-started", SERVER, "").with("version", version)).await?;
        let last = sqlx::query("SELECT * FROM audit WHERE action = ? ORDER BY sequence DESC LIMIT 1");
        let last = last.bind(CONFIGURATION).fetch_optional(&mut *tx).await?;
        let last = last.map(|row| read(&row).entry()).transpose()?.map(|entry| entry.details);
        let before: BTreeMap<&str, &str> = last
            .iter()
            .flatten()
            .filter_map(|(name, digest)| Some((name.strip_prefix(SECTION)?, digest.as_str())))
            .collect();
        let names = before.keys().copied().chain(sections.keys().map(String::as_str));
        let mut changed: Vec<String> = names
            .filter(|name| before.get(name).copied() != sections.get(*name).map(String::as_str))
            .map(str::to_owned)
            .collect();
        changed.sort();
        changed.dedup();
        if last.is_none() || !changed.is_empty() {
            let reason = match last {
                None => "the first start that is entered".to_owned(),
                Some(_) => format!("changed since the last start: {}", changed.join(", ")),
            };
            let entry = Entry::new(CONFIGURATION, SERVER, reason).with("changed", changed.join(", "));
            let told = sections.iter();
            let entry =
                told.fold(entry, |entry, (name, digest)| entry.with(&format!("{SECTION}{name}"), digest));
            append(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

    /// Returns the entries about a task, oldest first.
    pub async fn audit_of_task(&self, task: i64) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query("SELECT * FROM audit WHERE task_id = ? ORDER BY sequence")
            .bind(task)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(|row| read(row).entry()).collect()
    }

    /// Returns the entries that follow on one, oldest first, at most so many.
    pub async fn audit_after(&self, sequence: i64, most: u32) -> Result<Vec<AuditRow>, StoreError> {
        // Only these columns: the others cannot be read where somebody broke an entry.
        let rows = sqlx::query(
            "SELECT sequence, entry, hash FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?",
        );
        let rows = rows.bind(sequence).bind(most).fetch_all(&self.reader).await?;
        Ok(rows.iter().map(read).collect())
    }

    /// Returns the last entry, if there is one.
    pub async fn audit_head(&self) -> Result<Option<AuditRow>, StoreError> {
        let row = sqlx::query("SELECT sequence, entry, hash FROM audit ORDER BY sequence DESC LIMIT 1");
        Ok(row.fetch_optional(&self.reader).await?.map(|row| read(&row)))
    }

    /// Returns the sequence number of the last entry that is known to be in the sink; 0 for none.
    pub async fn audit_in_sink(&self) -> Result<i64, StoreError> {
        let row = sqlx::query_scalar::<_, i64>("SELECT sequence FROM audit_sink");
        Ok(row.fetch_optional(&self.reader).await?.unwrap_or(0))
    }

    /// Notes the last entry that is in the sink.
    pub async fn note_audit_in_sink(&self, sequence: i64) -> Result<(), StoreError> {
        let note = sqlx::query(
            "INSERT INTO audit_sink (one, sequence) VALUES (1, ?)
             ON CONFLICT DO UPDATE SET sequence = excluded.sequence",
        );
        note.bind(sequence).execute(&self.writer).await?;
        Ok(())
    }
}

fn read(row: &SqliteRow) -> AuditRow {
    AuditRow { sequence: row.get("sequence"), line: row.get("entry"), hash: row.get("hash") }
}

/// Makes the target of something that was done in a thread.
pub(super) fn thread(repository_id: u64, repository: &str, thread: u64) -> Target {
    Target {
        repository: Some(TargetRepository { id: repository_id, name: repository.to_owned() }),
        thread: Some(thread),
        ..Target::default()
    }
}

#[cfg(test)]
mod tests;
