//! What a lane is given to run, and what it tells while it runs.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use crate::brief::Step;
use crate::run::redact::Redactor;
use crate::run::report::StepReport;

/// The private folders of one run. Steps see `checkout`, `home` and `tmp`; `root` and `logs` belong
/// to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDirs {
    /// Holds the others.
    pub root: PathBuf,
    /// Holds the working tree, mounted at the path that the brief's `workdir` names.
    pub checkout: PathBuf,
    /// Holds the steps' home, mounted at `/home/codex`.
    pub home: PathBuf,
    /// Holds the steps' `/tmp`.
    pub tmp: PathBuf,
    /// Holds `step-01.log` and so on; no step can see it.
    pub logs: PathBuf,
}

impl RunDirs {
    /// Names the folders below `root`.
    pub fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            checkout: root.join("checkout"),
            home: root.join("home"),
            tmp: root.join("tmp"),
            logs: root.join("logs"),
        }
    }

    /// Makes the folders that do not exist yet, for the server's user only.
    ///
    /// # Errors
    /// Fails when a folder cannot be made.
    pub fn create(&self) -> io::Result<()> {
        for folder in [&self.root, &self.checkout, &self.home, &self.tmp, &self.logs] {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        Ok(())
    }

    /// Names the log of a step, which is counted from 0.
    pub fn step_log(&self, index: usize) -> PathBuf {
        self.logs.join(format!("step-{:02}.log", index + 1))
    }
}

/// One run's steps and what they need.
#[derive(Debug, Clone)]
pub struct StepsOrder<'a> {
    /// Names the run (UUID v7).
    pub run: &'a str,
    /// Holds the steps in their order.
    pub steps: &'a [Step],
    /// Holds the path at which the steps find the checkout, as the brief writes it.
    pub workdir: &'a str,
    /// Holds the run's folders; they must exist.
    pub dirs: &'a RunDirs,
    /// Lists further folders that the steps can read: the path on this machine and the one inside.
    /// They are not seen where the lane has no sandbox.
    pub read_only: Vec<(PathBuf, PathBuf)>,
    /// Masks the secrets that the server knows.
    pub redactor: Redactor,
}

/// What happens while a lane runs steps; steps are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEvent {
    /// A step starts.
    Started {
        /// Counts the step.
        index: usize,
        /// Names the step.
        name: String,
    },
    /// A step printed something; the bytes are redacted, and may end within a character.
    Output {
        /// Counts the step.
        index: usize,
        /// Holds what was printed.
        bytes: Vec<u8>,
    },
    /// A step ended, or was skipped.
    Ended {
        /// Counts the step.
        index: usize,
        /// Tells how.
        report: Box<StepReport>,
    },
}

/// Returns an event sink that passes events to a channel and drops those that a slow reader leaves
/// no room for: what is true stands in the reports and log files, never in events alone.
pub fn into_channel(sender: mpsc::Sender<StepEvent>) -> impl Fn(StepEvent) + Send + Sync {
    move |event| {
        let _dropped_when_full = sender.try_send(event);
    }
}
