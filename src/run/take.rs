//! Takes one file or link of a touched checkout: from the very handle that was checked.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsRawFd;
use std::path::Path;

use git2::{ObjectType, Oid, Tree};
use rustix::fs::{FileType, Stat};

use crate::config::Taken;
use crate::run::changeset::{FileMode, Refusal, RefusalReason};
use crate::run::collect::{CollectError, Collector, Entry, Stop, failed, refusal};
use crate::run::handles;
use crate::run::names;
use crate::run::report::ChangeKind;
use crate::store::blobs::BlobError;

/// Bounds the files that are hashed in memory, in bytes; longer ones are streamed.
const HASH_IN_MEMORY: u64 = 1 << 20;

/// Bounds the bytes at a file's start in which a NUL makes it binary: as many as git looks at.
const NUL_WITHIN: usize = 8000;

/// Passes content on, and tells by the very bytes that pass whether it is text.
struct Sniffed<R> {
    inner: R,
    looked_at: usize,
    is_binary: bool,
}

impl<R: Read> Read for Sniffed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let looked_at = buffer.iter().take(read).take(NUL_WITHIN - self.looked_at);
        self.is_binary |= looked_at.clone().any(|byte| *byte == 0);
        self.looked_at += looked_at.len();
        Ok(read)
    }
}

impl Collector<'_> {
    pub(super) fn file(&mut self, entry: &Entry<'_, '_>) -> Result<(), Stop> {
        let path = entry.path;
        let mut file = match handles::open_file(entry.dir, entry.name) {
            Ok(file) => file,
            Err(error) => return self.unopened(path, error),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| failed(path, error))?;
        if !same_file(&stat, &entry.stat) {
            return self.refuse(path, RefusalReason::Unstable);
        }
        let mode = if stat.st_mode & 0o100 == 0 { FileMode::Regular } else { FileMode::Executable };
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if self.is_unchanged(entry, &mut file, mode, size)? {
            return Ok(());
        }
        let path_text = match names::check_path(path) {
            Ok(text) => text,
            Err(reason) => return self.refuse(path, reason),
        };
        if stat.st_mode & 0o6000 != 0 {
            return self.refuse(path, RefusalReason::SetId);
        }
        if stat.st_nlink > 1 {
            return self.refuse(path, RefusalReason::HardLink);
        }
        if size > self.request.limits.changed_file_bytes {
            return self.refuse(path, RefusalReason::TooLarge);
        }
        self.spend(size)?;
        let mut content = Sniffed { inner: &mut file, looked_at: 0, is_binary: false };
        let stored = self.request.blobs.put(&mut content, size);
        let is_binary = content.is_binary;
        let blob = match stored {
            Ok((blob, stored)) if stored == size => blob,
            Ok(_) | Err(BlobError::TooLarge { .. }) => return self.refuse(path, RefusalReason::Unstable),
            Err(error) => return Err(error.into()),
        };
        let after = rustix::fs::fstat(&file).map_err(|error| failed(path, error))?;
        if !same_file(&after, &stat) || after.st_nlink > 1 {
            return self.refuse(path, RefusalReason::Unstable);
        }
        self.change(path_text, kind_of(entry), Some((mode, blob, size)))?;
        if is_binary && self.request.contract.binaries == Taken::Refuse {
            self.also(path_text, RefusalReason::Binary);
        }
        Ok(())
    }

    fn is_unchanged(
        &self,
        entry: &Entry<'_, '_>,
        file: &mut File,
        mode: FileMode,
        size: u64,
    ) -> Result<bool, Stop> {
        let Some(base) = entry.base.filter(|_| entry.base_is(ObjectType::Blob)) else { return Ok(false) };
        // 100664 is an old form of 100644, which git reads as such.
        let base_mode = if base.filemode() == 0o100_664 { 0o100_644 } else { base.filemode() };
        // The size first: a huge hole in a file's place costs nothing.
        if base_mode != mode.git() || self.odb.read_header(base.id())?.0 as u64 != size {
            return Ok(false);
        }
        let read = |error| Stop::Failed(CollectError::Checkout { path: names::printable(entry.path), error });
        let found = if size <= HASH_IN_MEMORY {
            let mut bytes = Vec::new();
            file.take(HASH_IN_MEMORY + 1).read_to_end(&mut bytes).map_err(read)?;
            Oid::hash_object(ObjectType::Blob, &bytes)?
        } else {
            // The name leads back to the handle that was checked, so nothing is looked up again.
            Oid::hash_file(ObjectType::Blob, format!("/proc/self/fd/{}", file.as_raw_fd()))?
        };
        file.rewind().map_err(read)?;
        Ok(found == base.id())
    }

    pub(super) fn link(&mut self, entry: &Entry<'_, '_>) -> Result<(), Stop> {
        let path = entry.path;
        let target = match handles::read_link(entry.dir, entry.name) {
            Ok(target) => target,
            Err(error) => return self.unopened(path, error),
        };
        if let Some(base) = entry.base.filter(|base| base.filemode() == FileMode::Symlink.git())
            && base.id() == Oid::hash_object(ObjectType::Blob, &target)?
        {
            return Ok(());
        }
        let checked = names::check_path(path).and_then(|text| Ok((text, names::check_link(text, &target)?)));
        let (path_text, leads_to) = match checked {
            Ok(checked) => checked,
            Err(reason) => return self.refuse(path, reason),
        };
        let size = target.len() as u64;
        self.spend(size)?;
        let (blob, _) = self.request.blobs.put(target.as_slice(), size)?;
        self.links.push((path_text.to_owned(), leads_to));
        self.change(path_text, kind_of(entry), Some((FileMode::Symlink, blob, size)))?;
        if self.request.contract.links == Taken::Refuse {
            self.also(path_text, RefusalReason::LinkNotTaken);
        }
        Ok(())
    }

    /// Refuses changed links whose way leads through another link: where they end depends on more
    /// than their own text.
    pub(super) fn links_through_links(&mut self, base: &Tree<'_>) {
        let refused: Vec<Refusal> = self
            .links
            .iter()
            .filter(|(_, leads_to)| {
                leads_to.match_indices('/').any(|(at, _)| self.is_link(base, leads_to.get(..at)))
            })
            .map(|(path, _)| refusal(path.as_bytes(), RefusalReason::SymlinkThroughSymlink))
            .collect();
        self.found.refused.extend(refused);
    }

    fn is_link(&self, base: &Tree<'_>, path: Option<&str>) -> bool {
        let Some(path) = path else { return false };
        match self.found.entries.iter().find(|change| change.path == path) {
            Some(change) => change.mode == Some(FileMode::Symlink),
            None => {
                base.get_path(Path::new(path)).is_ok_and(|entry| entry.filemode() == FileMode::Symlink.git())
            }
        }
    }
}

fn kind_of(entry: &Entry<'_, '_>) -> ChangeKind {
    if entry.base.is_none() || entry.base_is(ObjectType::Tree) {
        ChangeKind::Added
    } else {
        ChangeKind::Modified
    }
}

/// Tells whether both describe one file in one state.
fn same_file(one: &Stat, other: &Stat) -> bool {
    handles::kind(one) == FileType::RegularFile
        && (one.st_dev, one.st_ino, one.st_mode, one.st_size)
            == (other.st_dev, other.st_ino, other.st_mode, other.st_size)
        && (one.st_mtime, one.st_mtime_nsec) == (other.st_mtime, other.st_mtime_nsec)
        && (one.st_ctime, one.st_ctime_nsec) == (other.st_ctime, other.st_ctime_nsec)
}
