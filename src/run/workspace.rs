//! The folders of one run, and how they go away whatever steps did to them.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::run::remove;

/// The folders of one run, below `<state>/runs/<run id>`; only the server's user can enter them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDirs {
    /// Holds all others.
    pub root: PathBuf,
    /// Holds the checkout that steps work in.
    pub checkout: PathBuf,
    /// Is the steps' home.
    pub home: PathBuf,
    /// Is the steps' `/tmp`.
    pub tmp: PathBuf,
    /// Holds the steps' output; steps cannot reach it.
    pub logs: PathBuf,
}

impl RunDirs {
    /// Makes the folders of a new run.
    ///
    /// # Errors
    /// Fails for a run id with anything but ASCII letters, digits and `-`, when the run's folder is
    /// there already, and when a folder cannot be made.
    pub fn create(runs_root: &Path, run_id: &str) -> io::Result<Self> {
        let dirs = Self::of(runs_root, run_id)?;
        if let Some(parent) = dirs.root.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        for path in [&dirs.root, &dirs.checkout, &dirs.home, &dirs.tmp, &dirs.logs] {
            DirBuilder::new().mode(0o700).create(path)?;
        }
        Ok(dirs)
    }

    /// Names the folders of a run, by absolute paths, without touching the disk.
    ///
    /// # Errors
    /// Fails for a run id with anything but ASCII letters, digits and `-`, and where the working
    /// directory of the process is gone.
    pub fn of(runs_root: &Path, run_id: &str) -> io::Result<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if run_id.is_empty() || run_id.len() > 100 || !run_id.bytes().all(fits) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{run_id:?} is no run id")));
        }
        let root = std::path::absolute(runs_root)?.join(run_id);
        let below = |name| root.join(name);
        Ok(Self {
            checkout: below("checkout"),
            home: below("home"),
            tmp: below("tmp"),
            logs: below("logs"),
            root,
        })
    }

    /// Names the log of a step, which is counted from 0.
    pub fn step_log(&self, index: usize) -> PathBuf {
        self.logs.join(format!("step-{:02}.log", index + 1))
    }

    /// Removes all folders of the run: also those that steps made unreadable or nested without end.
    /// Links are removed, never followed. Folders that are gone already are no error.
    ///
    /// # Errors
    /// Fails when something cannot be removed, such as a mount.
    pub fn remove(&self) -> io::Result<()> {
        remove::remove_tree(&self.root)
    }

    /// Tells whether any folder but the logs is there.
    pub fn has_workspace(&self) -> bool {
        [&self.checkout, &self.home, &self.tmp].into_iter().any(|path| path.symlink_metadata().is_ok())
    }

    /// Removes all folders of the run but the logs; see [`Self::remove`].
    ///
    /// # Errors
    /// Fails as [`Self::remove`] does.
    pub fn remove_all_but_logs(&self) -> io::Result<()> {
        [&self.checkout, &self.home, &self.tmp].into_iter().try_for_each(|path| remove::remove_tree(path))
    }
}
