//! The staging mounts of a server that is root.
//!
//! The steps' user must not be able to walk into the server's state directory, so bubblewrap, which
//! runs as that user, could not reach the run's folders either. Before it gives up its rights, the
//! new process therefore makes a mount namespace of its own and mounts the folders where everybody
//! can walk. Handing over descriptors does not do: bubblewrap 0.8 resolves a descriptor to its path,
//! and a descriptor's mount cannot be bound in another mount namespace.

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Folders that exist on ordinary systems and that a sandbox does not need; one is covered, in the
/// new process's own namespace, by the staging mounts.
const PLACES: [&str; 4] = ["/mnt", "/media", "/srv", "/tmp"];

/// What the new process mounts before it becomes the steps' user.
#[derive(Debug)]
pub(super) struct Stage {
    place: CString,
    mounts: Vec<(CString, CString)>,
}

impl Stage {
    /// Plans to mount `folders`, and returns where each will be found. `needed` are paths that must
    /// stay visible.
    pub(super) fn plan(folders: &[&Path], needed: &[&Path]) -> io::Result<(Self, Vec<PathBuf>)> {
        let folders = folders.iter().map(|path| path.canonicalize()).collect::<io::Result<Vec<_>>>()?;
        let free = |place: &&Path| {
            place.is_dir()
                && !folders.iter().any(|folder| folder.starts_with(place))
                && !needed.iter().any(|path| path.starts_with(place))
        };
        let place = PLACES.iter().map(Path::new).find(free).ok_or_else(|| {
            let what = format!("each of {} is missing or in use by the run itself", PLACES.join(", "));
            io::Error::new(io::ErrorKind::NotFound, what)
        })?;
        let staged: Vec<PathBuf> = (0..folders.len()).map(|number| place.join(number.to_string())).collect();
        let mounts = folders
            .iter()
            .zip(&staged)
            .map(|(from, to)| Ok((c_path(from)?, c_path(to)?)))
            .collect::<io::Result<_>>()?;
        Ok((Self { place: c_path(place)?, mounts }, staged))
    }

    /// Makes the mounts. Runs between fork and exec: system calls only, nothing that allocates.
    #[allow(unsafe_code)]
    pub(super) fn apply(&self) -> io::Result<()> {
        // SAFETY: unsharing the mount namespace changes no memory or descriptor that Rust relies on.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
        mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount(c"tmpfs", self.place.as_c_str(), c"tmpfs", flags, c"mode=0755,size=64k")?;
        for (from, to) in &self.mounts {
            rustix::fs::mkdir(to.as_c_str(), rustix::fs::Mode::from_raw_mode(0o755))?;
            mount_bind_recursive(from.as_c_str(), to.as_c_str())?;
        }
        Ok(())
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(OsString::from(path).as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_covers_nothing_that_is_needed() {
        let (stage, staged) = Stage::plan(&[Path::new("/usr")], &[Path::new("/mnt/tool")]).unwrap();
        assert_ne!(stage.place.to_str().unwrap(), "/mnt");
        assert_eq!(staged.len(), 1);
        let all: Vec<&Path> = PLACES.iter().map(Path::new).collect();
        assert!(Stage::plan(&[Path::new("/usr")], &all).is_err());
    }
}
