//! Opening what strangers' steps left behind: one name at a time from the handle of its folder, so
//! that no link is ever followed and no swapped folder leads outside.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::run::changeset::RefusalReason;

/// Tells what an entry is, as the folder's handle shows it, without opening it.
pub(super) fn stat(dir: impl AsFd, name: &[u8]) -> Result<Stat, Errno> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Returns an entry's type.
pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Opens the top folder, which must not be a link itself.
pub(super) fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, flags() | OFlags::DIRECTORY, Mode::empty())
}

/// Opens a folder within a folder.
pub(super) fn open_dir(dir: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    open_beneath(dir, name, flags() | OFlags::DIRECTORY)
}

/// Opens a file within a folder; never waits, whatever the entry has become in the meantime.
pub(super) fn open_file(dir: impl AsFd, name: &[u8]) -> Result<File, Errno> {
    open_beneath(dir, name, flags()).map(File::from)
}

/// Returns a link's target.
pub(super) fn read_link(dir: impl AsFd, name: &[u8]) -> Result<Vec<u8>, Errno> {
    rustix::fs::readlinkat(dir, name, Vec::new()).map(CString::into_bytes)
}

/// Returns a folder's entries, sorted by their bytes; at most `limit`, or `None` when there are more.
pub(super) fn names(dir: impl AsFd, limit: u64) -> Result<Option<Vec<OsString>>, Errno> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() as u64 >= limit {
            return Ok(None);
        }
        names.push(OsString::from_vec(name));
    }
    names.sort_unstable();
    Ok(Some(names))
}

/// Sorts an error at opening into the reasons that lie in the entry; `None` when the machine failed.
pub(super) fn reason(error: Errno) -> Option<RefusalReason> {
    match error {
        Errno::ACCESS | Errno::PERM => Some(RefusalReason::Unreadable),
        Errno::XDEV => Some(RefusalReason::OtherFileSystem),
        // The entry was there, of another type, when its folder was listed.
        Errno::LOOP
        | Errno::NOENT
        | Errno::NOTDIR
        | Errno::ISDIR
        | Errno::NXIO
        | Errno::INVAL
        | Errno::WOULDBLOCK
        | Errno::STALE => Some(RefusalReason::Unstable),
        Errno::NAMETOOLONG => Some(RefusalReason::PathTooLong),
        _ => None,
    }
}

fn flags() -> OFlags {
    // NONBLOCK: a pipe put in a file's place does not stop the server, nor does a leased file.
    OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY
}

fn open_beneath(dir: impl AsFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    loop {
        match rustix::fs::openat2(&dir, name, flags, Mode::empty(), resolve) {
            // The kernel asks to try again when a rename happened just then.
            Err(Errno::INTR | Errno::AGAIN) => {}
            result => return result,
        }
    }
}
