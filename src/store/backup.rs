//! Backups: a copy of the store as it was at one moment, with the contents that it names.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::blobs::{self, BlobError, BlobId, Blobs};
use super::sqlite::{BUSY, StoreError};
use super::{check, retention};

/// The store's file, in the state directory and in a backup.
pub const STORE: &str = "codex-brief.sqlite";

/// The folder of contents, in the state directory and in a backup.
const BLOBS: &str = "blobs";

/// Tells what a backup holds; it is written last.
const MANIFEST: &str = "manifest.json";

/// Is in the folder, and locked, while a backup is made; one that was cut off keeps it.
const UNFINISHED: &str = "UNFINISHED";

/// What a backup holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Holds the version of the program that made it.
    pub version: String,
    /// Holds the number of the store's last migration.
    pub schema: i64,
    /// Tells when it was made, RFC 3339.
    pub made_at: String,
    /// Holds the SHA-256 of the store's copy, in hex.
    pub store_sha256: String,
    /// Holds the size of the store's copy, in bytes.
    pub store_bytes: u64,
    /// Counts the deliveries, briefs and runs in it.
    pub deliveries: u64,
    /// Counts the briefs in it.
    pub briefs: u64,
    /// Counts the runs in it.
    pub runs: u64,
    /// Counts the contents beside it.
    pub blobs: u64,
    /// Holds the size of these contents, in bytes.
    pub blob_bytes: u64,
    /// Names the contents that were missing or damaged in the state directory already.
    pub missing: Vec<BlobId>,
}

/// Why a backup was not made, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder holds something already.
    #[error("it holds something already")]
    Exists,
    /// The folder is a link or belongs to somebody else.
    #[error("it is a link, or it belongs to another user")]
    Foreign,
    /// The folder lies within what is copied.
    #[error("it lies within the state directory, and would be lost with it")]
    Inside,
    /// The folder holds no finished backup.
    #[error("it holds no finished backup: {0}")]
    Unusable(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Copies the store in `state` into the folder `to`, which is made; the server may go on meanwhile.
/// `tell` hears how many contents are copied, and of how many.
pub async fn make(state: &Path, to: &Path, tell: impl Fn(u64, u64)) -> Result<Manifest, BackupError> {
    let lock = begin(state, to)?;
    match copy(state, to, tell).await {
        Ok(manifest) => {
            fs::remove_file(to.join(UNFINISHED))?;
            File::open(to)?.sync_all()?;
            Ok(manifest)
        }
        Err(error) => {
            drop(lock);
            clear(to)?;
            fs::remove_dir(to)?;
            Err(error)
        }
    }
}

/// Makes the folder, or takes the one of a backup that was cut off, and locks it.
fn begin(state: &Path, to: &Path) -> Result<File, BackupError> {
    let was_there = to.symlink_metadata().is_ok();
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    let folder = to.symlink_metadata()?;
    // Whoever owns the folder could put something else in the place of what is written.
    if !folder.is_dir() || folder.uid() != nix::unistd::geteuid().as_raw() {
        return Err(BackupError::Foreign);
    }
    if to.canonicalize()?.starts_with(state.canonicalize()?) {
        if !was_there {
            fs::remove_dir(to)?;
        }
        return Err(BackupError::Inside);
    }
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    let marker = to.join(UNFINISHED);
    let empty = fs::read_dir(to)?.next().is_none();
    if !empty && !marker.exists() {
        return Err(BackupError::Exists);
    }
    let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&marker)?;
    if lock.try_lock().is_err() {
        return Err(BackupError::Exists);
    }
    for name in [STORE, MANIFEST] {
        absent(fs::remove_file(to.join(name)))?;
    }
    absent(fs::remove_dir_all(to.join(BLOBS)))?;
    if fs::read_dir(to)?.count() > 1 {
        return Err(BackupError::Exists);
    }
    Ok(lock)
}

/// Removes what a backup puts into its folder.
fn clear(to: &Path) -> io::Result<()> {
    for name in [STORE, MANIFEST, UNFINISHED] {
        absent(fs::remove_file(to.join(name)))?;
    }
    absent(fs::remove_dir_all(to.join(BLOBS)))
}

/// Takes it for done where there was nothing to remove.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

async fn copy(state: &Path, to: &Path, tell: impl Fn(u64, u64)) -> Result<Manifest, BackupError> {
    let from = Blobs::open(state.join(BLOBS))?;
    // Contents that the copy names must not go before they are copied.
    let kept = from.keep_all()?;
    let store = to.join(STORE);
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(&store)?;
    let mut source = read(&state.join(STORE)).await?;
    let target = store.to_string_lossy().into_owned();
    sqlx::query("VACUUM INTO ?").bind(target).execute(&mut source).await?;
    source.close().await?;
    File::open(&store)?.sync_all()?;
    let mut copied = read(&store).await?;
    let named = retention::named_in(&mut copied).await?;
    let into = Blobs::open(to.join(BLOBS))?;
    let (mut blobs, mut blob_bytes, mut missing) = (0, 0, Vec::new());
    tell(0, named.len() as u64);
    for id in &named {
        match into.copy_from(&from, id) {
            Ok(size) => (blobs, blob_bytes) = (blobs + 1, blob_bytes + size),
            Err(BlobError::Damaged(_)) => missing.push(*id),
            Err(BlobError::Io(error)) if error.kind() == io::ErrorKind::NotFound => missing.push(*id),
            Err(BlobError::Io(error)) => return Err(error.into()),
            Err(error @ BlobError::TooLarge { .. }) => return Err(io::Error::other(error).into()),
        }
        tell(blobs, named.len() as u64);
    }
    drop(kept);
    missing.sort();
    let (store_sha256, store_bytes) = digest(&store)?;
    let manifest = Manifest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema: count(&mut copied, "MAX(version)", "_sqlx_migrations").await?.cast_signed(),
        made_at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        store_sha256,
        store_bytes,
        deliveries: count(&mut copied, "COUNT(*)", "deliveries").await?,
        briefs: count(&mut copied, "COUNT(*)", "briefs").await?,
        runs: count(&mut copied, "COUNT(*)", "runs").await?,
        blobs,
        blob_bytes,
        missing,
    };
    copied.close().await?;
    write(&to.join(MANIFEST), &serde_json::to_vec_pretty(&manifest).map_err(StoreError::from)?)?;
    Ok(manifest)
}

/// Looks whether a backup is whole; returns what it holds and what is wrong with it.
pub async fn verify(folder: &Path) -> Result<(Manifest, Vec<String>), BackupError> {
    if folder.join(UNFINISHED).exists() {
        return Err(BackupError::Unusable("it was cut off while it was made".to_owned()));
    }
    let unusable = |error: &dyn std::fmt::Display| BackupError::Unusable(format!("{MANIFEST}: {error}"));
    let text = fs::read(folder.join(MANIFEST)).map_err(|error| unusable(&error))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| unusable(&error))?;
    let store = folder.join(STORE);
    let (sha256, _) = digest(&store).map_err(|error| BackupError::Unusable(format!("{STORE}: {error}")))?;
    let mut wrong = Vec::new();
    if sha256 != manifest.store_sha256 {
        wrong.push(format!("{STORE} is not the file that was written: its SHA-256 is {sha256}"));
    }
    match check::examine(&store).await {
        Ok(()) => wrong.extend(look_at_blobs(folder, &store).await?),
        Err(error) => wrong.push(error.to_string()),
    }
    Ok((manifest, wrong))
}

async fn look_at_blobs(folder: &Path, store: &Path) -> Result<Vec<String>, BackupError> {
    let mut copied = read(store).await?;
    let named = retention::named_in(&mut copied).await?;
    copied.close().await?;
    let kept = Blobs::at(folder.join(BLOBS));
    let look = |id: &BlobId| match kept.copy_to(id, &mut io::sink()) {
        Ok(_) => None,
        Err(error) => Some(format!("the content {id} is missing or damaged: {error}")),
    };
    Ok(named.iter().filter_map(look).collect())
}

async fn read(file: &Path) -> Result<SqliteConnection, BackupError> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(BUSY);
    Ok(options.connect().await?)
}

async fn count(store: &mut SqliteConnection, what: &str, table: &str) -> Result<u64, BackupError> {
    let count = sqlx::AssertSqlSafe(format!("SELECT {what} FROM {table}"));
    let count: i64 = sqlx::query_scalar(count).fetch_one(store).await?;
    Ok(count.unsigned_abs())
}

/// Returns the SHA-256 of a file, in hex, and its size.
fn digest(file: &Path) -> io::Result<(String, u64)> {
    let (id, size) =
        blobs::copy(&mut File::open(file)?, &mut io::sink(), u64::MAX).map_err(io::Error::other)?;
    Ok((id.to_string(), size))
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(file)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    /// A state directory with one run that names a content.
    async fn state() -> (tempfile::TempDir, Store, BlobId) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().join(BLOBS)).unwrap();
        let (id, _) = blobs.put(&b"changed\n"[..], 99).unwrap();
        blobs.put(&b"nobody names it\n"[..], 99).unwrap();
        let store = Store::open(&folder.path().join(STORE)).await.unwrap();
        let rows = [
            "INSERT INTO briefs VALUES ('b', 1, 'o/r', 1, 'issue', 1, '', 0, '', '', 1, '', 'm', 1, 'm', 1, 'g')",
            "INSERT INTO tasks (id, brief_id, lane, state, queued_at, changed_at) VALUES (1, 'b', 'l', 'done', 0, 0)",
            "INSERT INTO runs (id, task_id, epoch, state, started_at, changeset)
             VALUES ('r', 1, 1, 'finished', 0, json_object('entries', json_array(json_object('blob', ?))))",
        ];
        for row in rows {
            // Only the last one has a place for it.
            sqlx::query(row).bind(id.to_string()).execute(&store.writer).await.unwrap();
        }
        (folder, store, id)
    }

    #[tokio::test]
    async fn a_backup_holds_the_store_and_what_it_names_and_nobody_else_may_read_it() {
        let (state, _store, id) = state().await;
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("a/b");
        let made = make(state.path(), &to, |_, _| {}).await.unwrap();
        assert_eq!((made.runs, made.blobs, made.blob_bytes, made.missing.len()), (1, 1, 8, 0));
        let (manifest, wrong) = verify(&to).await.unwrap();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(manifest.store_sha256, made.store_sha256);
        assert_eq!(Blobs::at(to.join(BLOBS)).get(&id, 99).unwrap(), b"changed\n");
        for (path, mode) in [("", 0o700), (STORE, 0o600), (MANIFEST, 0o600), (BLOBS, 0o700)] {
            let found = fs::metadata(to.join(path)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{path:?}");
        }
        assert!(!to.join(UNFINISHED).exists());
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_backup_is_told() {
        let (state, _store, id) = state().await;
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("b");
        make(state.path(), &to, |_, _| {}).await.unwrap();
        fs::remove_dir_all(to.join(BLOBS)).unwrap();
        assert!(verify(&to).await.unwrap().1[0].contains(&id.to_string()));
        let mut bytes = fs::read(to.join(STORE)).unwrap();
        bytes.push(0);
        fs::write(to.join(STORE), bytes).unwrap();
        assert!(verify(&to).await.unwrap().1[0].contains("SHA-256"));
        fs::remove_file(to.join(MANIFEST)).unwrap();
        assert!(matches!(verify(&to).await, Err(BackupError::Unusable(_))));
    }

    #[tokio::test]
    async fn only_an_empty_folder_or_what_was_cut_off_is_taken() {
        let (state, _store, _) = state().await;
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path();
        fs::write(to.join("letter"), "mine").unwrap();
        assert!(matches!(make(state.path(), to, |_, _| {}).await, Err(BackupError::Exists)));
        assert!(to.join("letter").exists());
        fs::rename(to.join("letter"), to.join(UNFINISHED)).unwrap();
        fs::write(to.join(STORE), "half").unwrap();
        assert!(matches!(verify(to).await, Err(BackupError::Unusable(_))));
        make(state.path(), to, |_, _| {}).await.unwrap();
        assert!(verify(to).await.unwrap().1.is_empty());
        let inside = state.path().join("backup");
        assert!(matches!(make(state.path(), &inside, |_, _| {}).await, Err(BackupError::Inside)));
        assert!(!inside.exists());
    }

    #[tokio::test]
    async fn a_backup_that_fails_leaves_nothing_and_a_content_that_is_gone_is_named() {
        let (state, store, id) = state().await;
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("b");
        let hex = id.to_string();
        fs::write(state.path().join(BLOBS).join(&hex[..2]).join(&hex), "damaged").unwrap();
        assert_eq!(make(state.path(), &to, |_, _| {}).await.unwrap().missing, [id]);
        assert_eq!(verify(&to).await.unwrap().1.len(), 1);
        clear(&to).unwrap();
        store.close().await;
        fs::remove_file(state.path().join(STORE)).unwrap();
        assert!(make(state.path(), &to, |_, _| {}).await.is_err());
        assert!(!to.exists());
    }
}
