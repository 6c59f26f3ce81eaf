//! Opening a store that may be broken: what is looked at before a server touches it, and what its
//! operator is told when it cannot be used.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};

use super::sqlite::{BUSY, Store, StoreError};
use super::wal;
use crate::error::UserError;

/// Bounds the files whose indexes are compared with their tables at every start, in bytes: that takes
/// about two seconds then. Of larger ones the structure alone is read, so that a start stays short.
const WHOLE: u64 = 256 << 20;

/// Bounds what is told of a corrupt store.
const MOST_FINDINGS: usize = 5;

impl Store {
    /// Opens a store to read from it: makes and changes nothing, and takes only a store that has this
    /// program's schema.
    pub async fn open_to_read(file: &Path) -> Result<Self, StoreError> {
        let store = Self::read_only(file).await?;
        let has: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
            .fetch_one(&store.reader)
            .await?;
        let needs = sqlx::migrate!("migrations/sqlite").iter().map(|one| one.version).max().unwrap_or(0);
        if has == needs {
            return Ok(store);
        }
        store.close().await;
        Err(StoreError::Entry(format!("its schema is {has}, and that of this program is {needs}")))
    }

    /// Opens the store as a server does: looks first whether it is whole, without writing anything,
    /// and last whether it takes writes.
    pub async fn open_to_serve(file: &Path) -> Result<Self, StoreError> {
        if is_begun(file)? {
            examine(file).await?;
        }
        let store = Self::open(file).await?;
        if let Err(error) = store.mark_now("store-opened").await {
            store.close().await;
            return Err(error);
        }
        Ok(store)
    }
}

/// Tells whether there is a store to look at, rather than none yet.
///
/// A server's first start makes the file, and only then anything else: an empty file beside other
/// things was emptied later.
fn is_begun(file: &Path) -> Result<bool, StoreError> {
    let length = |path: &Path| match fs::metadata(path) {
        Ok(data) => Ok(data.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(StoreError::from(sqlx::Error::Io(error))),
    };
    if length(file)? > 0 {
        return Ok(true);
    }
    let emptied = file.exists() && file.with_file_name("blobs").exists();
    if emptied || length(&beside(file, "-wal"))? > 0 {
        return Err(StoreError::Corrupt("the file is empty, and what belongs to it is not".to_owned()));
    }
    Ok(false)
}

/// Names one of the files that SQLite keeps beside the store.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Looks whether a store is whole; neither it nor its write-ahead log is changed by that.
pub(super) async fn examine(file: &Path) -> Result<(), StoreError> {
    let log = beside(file, "-wal");
    let broken = tokio::task::spawn_blocking(move || wal::is_broken(&log)).await;
    if broken.map_err(io::Error::other).flatten().map_err(sqlx::Error::Io)? {
        return Err(StoreError::Corrupt("the write-ahead log is damaged in its middle".to_owned()));
    }
    let size = fs::metadata(file).map_err(sqlx::Error::Io)?.len();
    // A rollback journal is only there when the very first start was killed; it must be played back.
    let unwritten = !beside(file, "-journal").exists();
    let options = SqliteConnectOptions::new().filename(file).read_only(unwritten).busy_timeout(BUSY);
    let mut connection = options.connect().await?;
    let look = if size <= WHOLE { "PRAGMA integrity_check(5)" } else { "PRAGMA quick_check(5)" };
    let mut found: Vec<String> = sqlx::query_scalar(look).fetch_all(&mut connection).await?;
    found.retain(|finding| finding != "ok");
    let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await?;
    found.extend(orphans.iter().map(|row| {
        let (table, parent): (String, String) = (row.get("table"), row.get("parent"));
        format!("a row of {table} belongs to a row of {parent} that is missing")
    }));
    connection.close().await?;
    if found.is_empty() {
        return Ok(());
    }
    found.truncate(MOST_FINDINGS);
    Err(StoreError::Corrupt(found.join("; ").replace('\n', " ")))
}

/// Returns what the operator is told of a store that cannot be used.
pub fn refusal(file: &Path, error: &StoreError) -> UserError {
    let file = file.display();
    match trouble(error) {
        Trouble::Corrupt(found) => UserError::new(
            "store-corrupt",
            format!("The store {file} is damaged: {found}. It was not changed."),
            "Do not start on it: keep all files of the state directory as they are, then restore the last \
             backup, or recover what can be read with `sqlite3 FILE .recover`; docs/operations.md shows both.",
        ),
        Trouble::Newer(version) => UserError::new(
            "store-newer",
            format!("The store {file} was written by a newer version of codex-brief (schema {version})."),
            "Run that version again, or restore the backup from before the update.",
        ),
        Trouble::Changed(version) => UserError::new(
            "store-changed",
            format!(
                "The store {file} was written by another build of codex-brief: its schema {version} differs."
            ),
            "Run the build that wrote it, or restore a backup that an official version made.",
        ),
        Trouble::ReadOnly => UserError::new(
            "store-read-only",
            format!("The store {file} cannot be written: {error}."),
            "Let the server's user write the file and its folder, and look whether the disk is mounted read-only.",
        ),
        Trouble::Locked => UserError::new(
            "store-locked",
            format!("The store {file} is locked by another process."),
            "End what holds it, such as an open `sqlite3` or a copying program; `fuser FILE` names it.",
        ),
        Trouble::Full => UserError::new(
            "store-full",
            format!("The disk of the store {file} is full."),
            "Make room, then start again; nothing was lost.",
        ),
        Trouble::Other => UserError::new(
            "store-unusable",
            format!("The store {file} cannot be opened: {error}."),
            "Look at the files' permissions and at the disk; nothing was changed.",
        ),
    }
}

enum Trouble {
    Corrupt(String),
    Newer(i64),
    Changed(i64),
    ReadOnly,
    Locked,
    Full,
    Other,
}

fn trouble(error: &StoreError) -> Trouble {
    match error {
        StoreError::Corrupt(found) => Trouble::Corrupt(found.clone()),
        StoreError::Migration(MigrateError::VersionMissing(version)) => Trouble::Newer(*version),
        StoreError::Migration(MigrateError::VersionMismatch(version)) => Trouble::Changed(*version),
        StoreError::Database(error)
        | StoreError::Migration(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            trouble_of(error)
        }
        _ => Trouble::Other,
    }
}

fn trouble_of(error: &sqlx::Error) -> Trouble {
    if let sqlx::Error::Io(error) = error {
        return match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Trouble::ReadOnly,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::Full,
            _ => Trouble::Other,
        };
    }
    let Some(error) = error.as_database_error() else { return Trouble::Other };
    let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
    // The lower byte is SQLite's primary result code: BUSY, LOCKED, READONLY, CORRUPT, FULL, NOTADB.
    match code & 0xff {
        5 | 6 => Trouble::Locked,
        8 => Trouble::ReadOnly,
        11 | 26 => Trouble::Corrupt(error.message().to_owned()),
        13 => Trouble::Full,
        _ => Trouble::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn code_of(file: &Path) -> &'static str {
        match Store::open_to_serve(file).await {
            Ok(store) => {
                store.close().await;
                "fine"
            }
            Err(error) => refusal(file, &error).code,
        }
    }

    /// Makes a store with a hundred deliveries, all of them in its file.
    async fn filled(folder: &Path) -> PathBuf {
        let file = folder.join("store.sqlite");
        let store = Store::open(&file).await.unwrap();
        for n in 0..100 {
            store.insert_delivery(&format!("guid-{n}"), "ping", &[b'x'; 3000]).await.unwrap();
        }
        store.close().await;
        assert!(!beside(&file, "-wal").exists());
        file
    }

    #[tokio::test]
    async fn a_store_that_is_whole_opens_and_so_does_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(code_of(&folder.path().join("new.sqlite")).await, "fine");
        let file = filled(folder.path()).await;
        assert_eq!(code_of(&file).await, "fine");
    }

    #[tokio::test]
    async fn a_store_that_is_not_whole_is_refused_and_left_as_it_is() {
        type Damage = (&'static str, fn(&mut Vec<u8>));
        let damages: [Damage; 4] = [
            ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
            ("cut within a page", |bytes| bytes.truncate(bytes.len() - 5000)),
            ("flipped", |bytes| bytes.iter_mut().skip(4096).step_by(4096).for_each(|byte| *byte ^= 0xff)),
            ("no store at all", |bytes| *bytes = b"A letter to somebody. ".repeat(500)),
        ];
        for (what, damage) in damages {
            let folder = tempfile::tempdir().unwrap();
            let file = filled(folder.path()).await;
            let mut bytes = fs::read(&file).unwrap();
            damage(&mut bytes);
            fs::write(&file, &bytes).unwrap();
            assert_eq!(code_of(&file).await, "store-corrupt", "{what}");
            assert!(fs::read(&file).unwrap() == bytes, "{what}: the file was changed");
        }
    }

    #[tokio::test]
    async fn an_emptied_store_is_not_taken_for_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = filled(folder.path()).await;
        fs::write(&file, "").unwrap();
        assert_eq!(code_of(&file).await, "fine", "a first start may have been killed here");
        fs::create_dir(folder.path().join("blobs")).unwrap();
        fs::write(&file, "").unwrap();
        assert_eq!(code_of(&file).await, "store-corrupt");
    }

    #[tokio::test]
    async fn a_row_without_the_row_it_belongs_to_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = filled(folder.path()).await;
        let options = SqliteConnectOptions::new().filename(&file).foreign_keys(false);
        let mut connection = options.connect().await.unwrap();
        let orphan = "INSERT INTO runs (id, task_id, epoch, state, started_at) VALUES ('r', 7, 1, 'lost', 0)";
        sqlx::query(orphan).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let error = Store::open_to_serve(&file).await.unwrap_err();
        assert!(error.to_string().contains("a row of runs"), "{error}");
    }

    #[tokio::test]
    async fn another_schema_is_refused() {
        for (change, code) in [
            ("INSERT INTO _sqlx_migrations VALUES (9999, 'later', 0, 1, x'00', 0)", "store-newer"),
            ("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1", "store-changed"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = filled(folder.path()).await;
            let mut connection = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
            sqlx::query(change).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            assert_eq!(code_of(&file).await, code);
        }
    }

    /// Returns a copy of a store as a crash leaves it, with its write-ahead log cut or changed.
    async fn crashed(folder: &Path, damage: impl FnOnce(&mut Vec<u8>, [usize; 4])) -> PathBuf {
        let live = folder.join("live.sqlite");
        let store = Store::open(&live).await.unwrap();
        let mut ends = [0; 4];
        for (n, end) in ends.iter_mut().enumerate() {
            store.insert_delivery(&format!("guid-{n}"), "ping", &[b'x'; 9000]).await.unwrap();
            *end = fs::metadata(beside(&live, "-wal")).unwrap().len().try_into().unwrap();
        }
        let file = folder.join("crashed.sqlite");
        fs::copy(&live, &file).unwrap();
        let mut bytes = fs::read(beside(&live, "-wal")).unwrap();
        damage(&mut bytes, ends);
        fs::write(beside(&file, "-wal"), bytes).unwrap();
        file
    }

    async fn guids(file: &Path) -> Vec<String> {
        let store = Store::open_to_serve(file).await.unwrap();
        let guids = sqlx::query_scalar("SELECT guid FROM deliveries ORDER BY id").fetch_all(&store.reader);
        guids.await.unwrap()
    }

    #[tokio::test]
    async fn what_a_crash_cut_off_the_log_takes_nothing_with_it_that_was_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let file = crashed(folder.path(), |bytes, ends| bytes.truncate(ends[3] - 3000)).await;
        assert_eq!(guids(&file).await, ["guid-0", "guid-1", "guid-2"]);
        let folder = tempfile::tempdir().unwrap();
        let file = crashed(folder.path(), |bytes, ends| bytes[ends[2] + 100..].fill(0)).await;
        assert_eq!(guids(&file).await, ["guid-0", "guid-1", "guid-2"]);
    }

    #[tokio::test]
    async fn a_log_that_is_damaged_before_its_end_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = crashed(folder.path(), |bytes, ends| bytes[ends[0] + 2000] ^= 1).await;
        let before = [fs::read(&file).unwrap(), fs::read(beside(&file, "-wal")).unwrap()];
        assert_eq!(code_of(&file).await, "store-corrupt");
        assert!([fs::read(&file).unwrap(), fs::read(beside(&file, "-wal")).unwrap()] == before);
    }
}
