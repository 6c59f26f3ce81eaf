//! Content-addressed files: the bytes of a changeset, safe on disk before any network call.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use std::{fmt, fs::DirBuilder};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::crash;

/// Bounds one read, in bytes: memory stays the same whatever a file's size.
const CHUNK: usize = 64 << 10;

/// Is the age from which a half-written file counts as left over: no write takes that long.
const LEFT_OVER: Duration = Duration::from_hours(24);

/// Names a blob by the SHA-256 of its bytes; shown and stored as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobId([u8; 32]);

impl BlobId {
    /// Returns the name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

impl From<BlobId> for String {
    fn from(id: BlobId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for BlobId {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for BlobId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// Why a blob could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The content is longer than the caller allows.
    #[error("the content is longer than {limit} bytes")]
    TooLarge {
        /// Holds the bound, in bytes.
        limit: u64,
    },
    /// The stored bytes are not those that the name stands for.
    #[error("the stored content of {0} is damaged")]
    Damaged(BlobId),
    /// The disk, or the reader, failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A folder of blobs, two hex digits a sub-folder, readable by the server's user alone.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
    /// Is held to put a blob in its place, and alone to look at one's age and remove it.
    placing: Arc<RwLock<()>>,
}

/// Keeps every blob where it is until it is dropped, in this process and in others.
#[derive(Debug)]
pub struct Kept {
    _lock: File,
}

impl Blobs {
    /// Opens the folder, makes it where it is missing, and clears what a killed server left half
    /// written a day ago or earlier.
    ///
    /// # Errors
    /// Fails where the folder cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        Self::open_and_clear(root.into(), LEFT_OVER)
    }

    /// Opens the folder for the one process that stores blobs in it: everything that is half written
    /// is left over, and goes.
    ///
    /// # Errors
    /// Fails where the folder cannot be made.
    pub fn open_alone(root: impl Into<PathBuf>) -> io::Result<Self> {
        Self::open_and_clear(root.into(), Duration::ZERO)
    }

    /// Names a folder of blobs that is only read.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), placing: Arc::default() }
    }

    fn open_and_clear(root: PathBuf, left_over: Duration) -> io::Result<Self> {
        let tmp = root.join("tmp");
        private_dir(&tmp)?;
        for entry in fs::read_dir(&tmp)?.flatten() {
            // The server may give it its name at this very moment.
            match is_older(&entry.path(), left_over) {
                Ok(older) if left_over.is_zero() || older => fs::remove_file(entry.path())?,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(Self::at(root))
    }

    /// Stores what the reader gives, at most `limit` bytes, and returns its name and size in bytes.
    /// The blob is on the disk, name and content, before this returns. Storing the same bytes again
    /// replaces the file, which repairs a damaged one.
    ///
    /// # Errors
    /// Fails when the content is longer than `limit`, or when reading or writing fails; nothing is
    /// left behind then.
    pub fn put(&self, mut reader: impl Read, limit: u64) -> Result<(BlobId, u64), BlobError> {
        let (file, id, size) = self.write(&mut reader, limit)?;
        self.place(file, &id)?;
        Ok((id, size))
    }

    /// Copies a blob of another folder, checked against its name, and returns its size in bytes.
    ///
    /// # Errors
    /// Fails when the blob is missing or damaged, or when writing fails; nothing is left behind then.
    pub fn copy_from(&self, other: &Self, id: &BlobId) -> Result<u64, BlobError> {
        let (file, found, size) = self.write(&mut other.file(id)?, u64::MAX)?;
        if found != *id {
            return Err(BlobError::Damaged(*id));
        }
        self.place(file, id)?;
        Ok(size)
    }

    /// Writes content beside its place, and finds its name.
    fn write(&self, reader: &mut dyn Read, limit: u64) -> Result<(NamedTempFile, BlobId, u64), BlobError> {
        let mut file = tempfile::Builder::new().prefix("put-").tempfile_in(self.root.join("tmp"))?;
        let (id, size) = copy(reader, file.as_file_mut(), limit)?;
        file.as_file().sync_all()?;
        Ok((file, id, size))
    }

    fn place(&self, file: NamedTempFile, id: &BlobId) -> io::Result<()> {
        let dir = self.dir(id);
        if !dir.exists() {
            private_dir(&dir)?;
            sync_dir(&self.root)?;
        }
        {
            crash::point("collected.before-effect");
            let _placing = self.placing.read().unwrap_or_else(PoisonError::into_inner);
            file.persist(self.path(id)).map_err(|error| error.error)?;
        }
        sync_dir(&dir)
    }

    /// Keeps every blob where it is, whatever names it, until the value is dropped.
    ///
    /// # Errors
    /// Fails where the folder cannot be locked.
    pub fn keep_all(&self) -> io::Result<Kept> {
        let lock = File::open(&self.root)?;
        lock.lock_shared()?;
        Ok(Kept { _lock: lock })
    }

    /// Removes the blobs that are not among the named ones and were stored longer ago than `age`; returns
    /// their number, 0 while somebody keeps them all.
    ///
    /// A run that stores a blob names it only later; but storing it made it young again.
    ///
    /// # Errors
    /// Fails where a folder cannot be read or a blob cannot be removed.
    pub fn sweep(&self, named: &HashSet<BlobId>, age: Duration) -> io::Result<u64> {
        let lock = File::open(&self.root)?;
        if lock.try_lock().is_err() {
            return Ok(0);
        }
        let mut count = 0;
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?;
            if folder.file_name() == "tmp" || !folder.file_type()?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(folder.path())? {
                let entry = entry?;
                let id = entry.file_name().to_str().and_then(|name| name.parse::<BlobId>().ok());
                if id.is_some_and(|id| !named.contains(&id)) {
                    let _alone = self.placing.write().unwrap_or_else(PoisonError::into_inner);
                    if is_older(&entry.path(), age)? {
                        fs::remove_file(entry.path())?;
                        count += 1;
                    }
                }
            }
        }
        Ok(count)
    }

    /// Writes a blob's bytes to `writer` and returns their number. What was written counts only
    /// when this succeeds: a damaged blob is noticed at its end.
    ///
    /// # Errors
    /// Fails when the blob is missing or damaged, or when writing fails.
    pub fn copy_to(&self, id: &BlobId, writer: &mut dyn Write) -> Result<u64, BlobError> {
        let (found, size) = copy(&mut self.file(id)?, writer, u64::MAX)?;
        if found == *id { Ok(size) } else { Err(BlobError::Damaged(*id)) }
    }

    /// Returns a blob's bytes, checked against its name; for small ones.
    ///
    /// # Errors
    /// Fails when the blob is missing, damaged, or longer than `limit` bytes.
    pub fn get(&self, id: &BlobId, limit: u64) -> Result<Vec<u8>, BlobError> {
        let mut bytes = Vec::new();
        let (found, _) = copy(&mut self.file(id)?, &mut bytes, limit)?;
        if found == *id { Ok(bytes) } else { Err(BlobError::Damaged(*id)) }
    }

    /// Tells whether a blob of that name is there; its content is not looked at.
    pub fn contains(&self, id: &BlobId) -> bool {
        self.path(id).is_file()
    }

    fn file(&self, id: &BlobId) -> io::Result<File> {
        File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(self.path(id))
    }

    fn dir(&self, id: &BlobId) -> PathBuf {
        self.root.join(hex::encode(&id.0[..1]))
    }

    fn path(&self, id: &BlobId) -> PathBuf {
        self.dir(id).join(id.to_string())
    }
}

/// Copies at most `limit` bytes, and returns the name of what was copied and its size in bytes.
pub(super) fn copy(
    reader: &mut dyn Read,
    writer: &mut dyn Write,
    limit: u64,
) -> Result<(BlobId, u64), BlobError> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut size = 0u64;
    loop {
        let read = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        size = size.saturating_add(read as u64);
        if size > limit {
            return Err(BlobError::TooLarge { limit });
        }
        let bytes = chunk.get(..read).unwrap_or_default();
        hasher.update(bytes);
        writer.write_all(bytes)?;
    }
    Ok((BlobId(hasher.finalize().into()), size))
}

/// Tells whether a file was written longer ago than `age`; one whose time cannot be told was not.
fn is_older(path: &Path, age: Duration) -> io::Result<bool> {
    Ok(fs::metadata(path)?.modified()?.elapsed().is_ok_and(|since| since > age))
}

fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync_dir(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
