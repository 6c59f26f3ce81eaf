//! Opening the SQLite file.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, Transaction};
use thiserror::Error;
use tokio::sync::Mutex;

use super::audit;

/// How long a statement waits for another process that has locked the file.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// How long an answer holds whether the store takes writes.
const WRITTEN_AGAIN: Duration = Duration::from_secs(5);

/// How long a write may wait before the store counts as one that takes none.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// Why the store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the store failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the store's schema could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The file is not a whole store; holds what was found.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A row holds what this version does not understand.
    #[error("the store holds an entry that this version does not understand: {0}")]
    Entry(String),
    /// A run wrote with an epoch that is over.
    #[error("run {0} is no longer the task's run")]
    StaleEpoch(String),
    /// A task is not any more as it was when it was decided what becomes of it.
    #[error("task {0} changed meanwhile")]
    Changed(i64),
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Entry(error.to_string())
    }
}

/// The store, cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) writer: SqlitePool,
    pub(super) reader: SqlitePool,
    /// Tells when it was last seen whether the store takes writes, and whether it did.
    written: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Store {
    /// Opens the file, makes it if it is missing, and brings its schema up to date.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        // It holds texts of private repositories; SQLite's other files get the same mode.
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(file)
            .map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        // SQLite ends a transaction that finds the disk full; sqlx takes it for open then, for ever.
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
            .connect_with(options.clone())
            .await?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        let reader =
            SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await?;
        let store = Self { writer, reader, written: Arc::default() };
        let mut tx = store.begin().await?;
        let adopted = audit::adopt(&mut tx).await?;
        tx.commit().await?;
        if adopted > 0 {
            tracing::info!(entries = adopted, "the audit log is a chain from now on");
        }
        Ok(store)
    }

    /// Opens a file that is there, for reading alone.
    pub(super) async fn read_only(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(BUSY);
        let reader = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        Ok(Self { writer: reader.clone(), reader, written: Arc::default() })
    }

    /// Opens a store of this program's schema to write to it beside the server; makes and migrates nothing.
    pub async fn open_beside(file: &Path) -> Result<Self, StoreError> {
        let store = Self::open_to_read(file).await?;
        store.close().await;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        Ok(Self { writer: writer.clone(), reader: writer, written: Arc::default() })
    }

    /// Begins a transaction that may write.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Answers whether the store can be read.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM deliveries LIMIT 1").fetch_optional(&self.reader).await?;
        Ok(())
    }

    /// Tells whether the store takes writes, by writing; at most once in some seconds, for anybody may ask.
    pub async fn takes_writes(&self) -> bool {
        let mut written = self.written.lock().await;
        match *written {
            Some((at, answer)) if at.elapsed() < WRITTEN_AGAIN => answer,
            _ => {
                let writing = tokio::time::timeout(WRITTEN_WITHIN, self.mark_now("store-written")).await;
                let answer = matches!(writing, Ok(Ok(())));
                *written = Some((Instant::now(), answer));
                answer
            }
        }
    }

    /// Notes the present time under a name.
    pub(super) async fn mark_now(&self, name: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO marks (name, at) VALUES (?, ?) ON CONFLICT DO UPDATE SET at = excluded.at")
            .bind(name)
            .bind(now_ms())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Closes the file; everything committed is in it.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Returns the present time in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// SQLite's integers are signed; GitHub's ids stay far below the difference.
pub(super) fn signed(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// Reads an id back.
pub(super) fn unsigned(id: i64) -> u64 {
    u64::try_from(id).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[tokio::test]
    async fn nobody_else_reads_the_store_even_where_its_folder_was_made_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.sqlite");
        let store = Store::open(&file).await.unwrap();
        store.insert_delivery("guid", "ping", b"{}").await.unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        }
    }
}
