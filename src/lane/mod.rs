//! Lanes: the named executors that briefs address.
//!
//! [`ProcessLane`] runs a run's steps as processes of this machine, each in a sandbox of its own;
//! `docs/decisions/0004-sandbox.md` tells why it is built so, and what it does not protect from.

mod cage;
mod cgroup;
mod check;
mod command;
mod egress;
pub mod environment;
pub mod escape;
pub mod examine;
mod give;
mod kubeconfig;
mod orphans;
mod probe;
mod process;
mod sandbox;
mod seccomp;
mod self_test;
mod slot;
mod spawner;
mod stage;
mod start;
mod supervise;
mod usage;

use std::fmt;
use std::io;

pub use check::check;
pub use give::{Owner, give_to};
pub use kubeconfig::Kubeconfig;
pub use orphans::{kill_orphans, leftovers};
pub use process::ProcessLane;
pub use sandbox::{HOME, refuse_read_only_path};
pub use slot::Slot;

/// Why a lane takes no work, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneUnavailable {
    /// Tells what is missing.
    pub reason: String,
    /// Tells what to do about it.
    pub help: String,
}

impl fmt::Display for LaneUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.reason, self.help)
    }
}

impl std::error::Error for LaneUnavailable {}

/// Why a lane could not run steps; never the fault of what a step did.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The lane cannot work on this machine.
    #[error(transparent)]
    Unavailable(#[from] LaneUnavailable),
    /// The sandbox could not be set up; the step did not start.
    #[error("the sandbox could not be set up: {0}")]
    Sandbox(String),
    /// The checkout cannot be mounted where the brief wants it.
    #[error("the checkout cannot be mounted at {workdir}: {reason}")]
    Workdir {
        /// Holds the path as the brief has it.
        workdir: String,
        /// Tells why.
        reason: String,
    },
    /// Processes of the step were still there after they had been killed.
    #[error("{0} processes of the step could not be ended")]
    Survivors(usize),
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// Tells what was tried.
        what: String,
        /// Tells what came back.
        source: io::Error,
    },
}

/// Turns an I/O error into a [`LaneError::Io`] that tells what was tried.
fn cannot<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> LaneError {
    move |source| LaneError::Io { what: what.into(), source: source.into() }
}
