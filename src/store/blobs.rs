//! Content-addressed files: the bytes of a changeset, safe on disk before any network call.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use std::{fmt, fs::DirBuilder};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A folder of blobs, two hex digits a sub-folder, readable by the server's user alone.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// Opens the folder, makes it where it is missing, and clears what a killed server left half
    /// written a day ago or earlier.
    ///
    /// # Errors
    /// Fails where the folder cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        let tmp = root.join("tmp");
        private_dir(&tmp)?;
        for entry in fs::read_dir(&tmp)?.flatten() {
            let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > LEFT_OVER) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { root })
    }

    /// Stores what the reader gives, at most `limit` bytes, and returns its name and size in bytes.
    /// The blob is on the disk, name and content, before this returns. Storing the same bytes again
    /// replaces the file, which repairs a damaged one.
    ///
    /// # Errors
    /// Fails when the content is longer than `limit`, or when reading or writing fails; nothing is
    /// left behind then.
    pub fn put(&self, mut reader: impl Read, limit: u64) -> Result<(BlobId, u64), BlobError> {
        let mut file = tempfile::Builder::new().prefix("put-").tempfile_in(self.root.join("tmp"))?;
        let (id, size) = copy(&mut reader, file.as_file_mut(), limit)?;
        file.as_file().sync_all()?;
        let path = self.path(&id);
        let dir = self.dir(&id);
        if !dir.exists() {
            private_dir(&dir)?;
            sync_dir(&self.root)?;
        }
        file.persist(&path).map_err(|error| error.error)?;
        sync_dir(&dir)?;
        Ok((id, size))
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

fn copy(reader: &mut dyn Read, writer: &mut dyn Write, limit: u64) -> Result<(BlobId, u64), BlobError> {
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

fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync_dir(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path().join("blobs")).unwrap();
        (dir, blobs)
    }

    #[test]
    fn content_comes_back_under_its_sha_256() {
        let (_dir, blobs) = blobs();
        let (id, size) = blobs.put(&b"hello\n"[..], 6).unwrap();
        assert_eq!(id.to_string(), "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        assert_eq!((size, id), (6, BlobId::of(b"hello\n")));
        assert_eq!(blobs.get(&id, 6).unwrap(), b"hello\n");
        assert!(blobs.contains(&id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<BlobId>(&json).unwrap(), id);
    }

    #[test]
    fn content_beyond_the_limit_leaves_nothing() {
        let (dir, blobs) = blobs();
        let error = blobs.put(io::repeat(7), 1 << 20).unwrap_err();
        assert!(matches!(error, BlobError::TooLarge { limit: 1_048_576 }), "{error}");
        let tmp = fs::read_dir(dir.path().join("blobs/tmp")).unwrap().count();
        assert_eq!(tmp, 0);
    }

    #[test]
    fn a_damaged_blob_is_noticed_and_repaired_by_storing_it_again() {
        let (_dir, blobs) = blobs();
        let (id, _) = blobs.put(&b"one"[..], 9).unwrap();
        fs::write(blobs.path(&id), "two").unwrap();
        assert!(matches!(blobs.get(&id, 9), Err(BlobError::Damaged(_))));
        assert!(matches!(blobs.copy_to(&id, &mut io::sink()), Err(BlobError::Damaged(_))));
        blobs.put(&b"one"[..], 9).unwrap();
        assert_eq!(blobs.get(&id, 9).unwrap(), b"one");
    }

    #[test]
    fn what_a_killed_server_left_goes_after_a_day() {
        let (dir, blobs) = blobs();
        let tmp = dir.path().join("blobs/tmp");
        for (name, age) in [("put-old", 25), ("put-new", 1)] {
            let file = File::create(tmp.join(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - Duration::from_hours(age)).unwrap();
        }
        Blobs::open(&blobs.root).unwrap();
        assert!(!tmp.join("put-old").exists() && tmp.join("put-new").exists());
    }

    #[test]
    fn a_reader_that_fails_stores_nothing() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let (dir, blobs) = blobs();
        assert!(blobs.put((&b"abc"[..]).chain(Failing), 99).is_err());
        assert_eq!(fs::read_dir(dir.path().join("blobs")).unwrap().count(), 1);
    }
}
