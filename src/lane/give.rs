//! Giving a run's folders to the user that its steps are.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};

/// A user and group of this machine, by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Holds the user's id.
    pub uid: u32,
    /// Holds the group's id.
    pub gid: u32,
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Gives a folder and all in it to `owner`, without following links; the server must be root.
///
/// # Errors
/// Fails on a file with several hard links, as another name of it may lie outside; and when the
/// system refuses.
pub fn give_to(owner: Owner, folder: &Path) -> io::Result<()> {
    let root = fs::openat(CWD, folder, FOLDER, Mode::empty())?;
    give(owner, &root, OsStr::new(""), AtFlags::EMPTY_PATH)?;
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        // Opened anew from the root each time, so that a deep tree does not hold many descriptors.
        let here = match path.as_os_str().is_empty() {
            true => fs::openat(&root, ".", FOLDER, Mode::empty())?,
            false => {
                let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
                fs::openat2(&root, &path, FOLDER, Mode::empty(), resolve)?
            }
        };
        for entry in Dir::read_from(&here)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if give(owner, &here, name, AtFlags::SYMLINK_NOFOLLOW)? {
                waiting.push(path.join(name));
            }
        }
    }
    Ok(())
}

/// Gives one entry away and tells whether it is a folder.
fn give(owner: Owner, folder: &OwnedFd, name: &OsStr, flags: AtFlags) -> io::Result<bool> {
    let found = fs::statat(folder, name, flags)?;
    let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    if found.st_uid == owner.uid && found.st_gid == owner.gid {
        return Ok(is_folder);
    }
    if !is_folder && found.st_nlink > 1 {
        let what = format!("{} has several hard links", name.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    fs::chownat(folder, name, Some(uid), Some(gid), flags)?;
    Ok(is_folder)
}

/// Makes the folders of `relative` below `base` so that something can be mounted there. An earlier
/// step may have put anything in their place: a link is refused, not followed.
pub(super) fn make_mount_point(base: &Path, relative: &Path, owner: Option<Owner>) -> io::Result<()> {
    let mut here = fs::openat(CWD, base, FOLDER, Mode::empty())?;
    for part in relative.components() {
        let Component::Normal(name) = part else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not plain"));
        };
        let made = match fs::mkdirat(&here, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        here = fs::openat(&here, name, FOLDER, Mode::empty())?;
        if let (true, Some(owner)) = (made, owner) {
            fs::fchown(&here, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn me() -> Owner {
        Owner { uid: rustix::process::getuid().as_raw(), gid: rustix::process::getgid().as_raw() }
    }

    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("victim"), "x").unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        symlink(outside.path(), folder.path().join("a/b/link")).unwrap();
        symlink("/nowhere", folder.path().join("dangling")).unwrap();
        let root = rustix::process::getuid().is_root();
        let owner = if root { Owner { uid: 2_000_000_999, gid: 2_000_000_999 } } else { me() };
        give_to(owner, folder.path()).unwrap();
        let uid = |path: &Path| std::fs::symlink_metadata(path).unwrap().uid();
        assert_eq!(uid(&folder.path().join("a/b/link")), owner.uid);
        assert_eq!(uid(&folder.path().join("dangling")), owner.uid);
        assert_eq!(uid(&outside.path().join("victim")), me().uid);
        assert_eq!(uid(outside.path()), me().uid);
    }

    #[test]
    fn a_file_with_another_name_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("in");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        std::fs::hard_link(folder.path().join("secret"), inside.join("link")).unwrap();
        let other = Owner { uid: me().uid + 1, gid: me().gid };
        assert!(give_to(other, &inside).is_err());
        assert_eq!(std::fs::metadata(folder.path().join("secret")).unwrap().uid(), me().uid);
    }

    #[test]
    fn a_mount_point_is_not_made_through_a_link() {
        let base = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        make_mount_point(base.path(), Path::new("work/x"), None).unwrap();
        make_mount_point(base.path(), Path::new("work/x"), None).unwrap();
        assert!(base.path().join("work/x").is_dir());
        symlink(outside.path(), base.path().join("evil")).unwrap();
        assert!(make_mount_point(base.path(), Path::new("evil/x"), None).is_err());
        assert!(make_mount_point(base.path(), Path::new("../x"), None).is_err());
        assert!(!outside.path().join("x").exists());
    }
}
