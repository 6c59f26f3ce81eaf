//! Removes a folder that strangers' steps have filled.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::run::handles;

/// Names the folders that wait for their turn at the top.
const WAITING: &str = ".removing-";

/// Removes a folder and all that is in it; a folder that is not there is no error.
///
/// However deep the folders are nested, one handle is held for the top and one for the folder in
/// hand: a folder found within another is moved up to the top and waits there for its turn.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = match handles::open_root(parent) {
        Err(Errno::NOENT) => return Ok(()),
        parent => parent?,
    };
    let top = match open_writable(&parent, name.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        top => top?,
    };
    let mut moved = 0u64;
    loop {
        let mut left = false;
        for entry in listed(&top)? {
            if unlinked(&top, &entry)? {
                continue;
            }
            left = true;
            empty(&top, &entry, &mut moved)?;
            rustix::fs::unlinkat(&top, entry.as_slice(), AtFlags::REMOVEDIR)?;
        }
        if !left {
            break;
        }
    }
    Ok(rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
}

/// Empties one folder of the top: files go, folders move up.
fn empty(top: &OwnedFd, name: &[u8], moved: &mut u64) -> io::Result<()> {
    let dir = open_writable(top, name)?;
    for entry in listed(&dir)? {
        if unlinked(&dir, &entry)? {
            continue;
        }
        // A folder that moves must be writable itself: its `..` changes.
        open_writable(&dir, &entry)?;
        loop {
            *moved += 1;
            let waiting = format!("{WAITING}{moved}");
            match rustix::fs::renameat(&dir, entry.as_slice(), top, waiting) {
                // Steps can have made folders of that name.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                result => break result?,
            }
        }
    }
    Ok(())
}

fn listed(dir: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let names = handles::names(dir, u64::MAX)?.unwrap_or_default();
    Ok(names.into_iter().map(std::os::unix::ffi::OsStringExt::into_vec).collect())
}

/// Removes an entry that is no folder; `false` for a folder.
fn unlinked(dir: &OwnedFd, name: &[u8]) -> io::Result<bool> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder that is no link, with all permissions for its owner.
fn open_writable(dir: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    // A path handle opens without any permission on the folder itself.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let path = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    if rustix::fs::fstat(&path)?.st_mode & 0o700 != 0o700 {
        // chmod cannot be told to leave links alone on older kernels; this name leads to the handle.
        rustix::fs::chmod(format!("/proc/self/fd/{}", path.as_raw_fd()), Mode::RWXU)?;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(&path, ".", flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use crate::run::workspace::RunDirs;

    #[test]
    fn whatever_steps_left_goes_and_nothing_outside() {
        let state = tempfile::tempdir().unwrap();
        let outside = state.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        let dirs = RunDirs::create(&state.path().join("runs"), "run-1").unwrap();
        let locked = dirs.checkout.join("locked/inner");
        fs::create_dir_all(locked.join("x/y")).unwrap();
        fs::create_dir_all(dirs.root.join(".removing-1/a/.removing-2")).unwrap();
        fs::write(dirs.root.join(".removing-3"), "").unwrap();
        fs::write(locked.join("file"), "x").unwrap();
        symlink(&outside, dirs.checkout.join("link")).unwrap();
        symlink(&outside, locked.join("link")).unwrap();
        for path in [locked.join("x"), locked.clone(), dirs.checkout.join("locked"), dirs.home.clone()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }
        dirs.remove().unwrap();
        assert!(!dirs.root.exists());
        assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
        dirs.remove().unwrap();
    }

    #[test]
    fn folders_nested_deeper_than_handles_or_paths_reach_go() {
        let state = tempfile::tempdir().unwrap();
        let dirs = RunDirs::create(state.path(), "run-2").unwrap();
        let mut at = super::handles::open_root(&dirs.tmp).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::RWXU).unwrap();
            at = super::handles::open_dir(&at, b"d").unwrap();
        }
        drop(at);
        dirs.remove().unwrap();
        assert!(!dirs.root.exists());
    }

    #[test]
    fn a_root_that_is_a_link_is_not_followed() {
        let state = tempfile::tempdir().unwrap();
        let outside = state.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let dirs = RunDirs::of(state.path(), "run-3").unwrap();
        symlink(&outside, &dirs.root).unwrap();
        assert!(dirs.remove().is_err());
        assert!(outside.exists());
    }

    #[test]
    fn a_run_id_is_no_path() {
        let state = tempfile::tempdir().unwrap();
        for id in ["", "..", "a/b", "a\0", ".hidden"] {
            assert!(RunDirs::create(state.path(), id).is_err(), "{id:?}");
        }
        RunDirs::create(state.path(), "0198-a").unwrap();
        assert!(RunDirs::create(state.path(), "0198-a").is_err(), "a run's folders are its own");
    }
}
