//! What carries a task through its runs, GitHub aside: the server has one, and so has a rehearsal.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::Wakes;
use super::running::Running;
use crate::config::QueueConfig;
use crate::store::Store;
use crate::store::blobs::Blobs;

/// The store with what the rules of the queue need around it.
#[derive(Debug)]
pub struct Engine {
    /// Holds the store.
    pub store: Store,
    /// Tells how tasks are retried and leased.
    pub queue: QueueConfig,
    /// Holds the folder in which each run has its own.
    pub runs_root: PathBuf,
    /// Holds the contents of changesets.
    pub blobs: Blobs,
    /// Holds the secrets that are masked in logs.
    pub secrets: Vec<SecretString>,
    /// Holds the runs that work now.
    pub running: Running,
    /// Wakes the workers.
    pub wakes: Wakes,
    /// Is cancelled when nothing new shall begin.
    pub stop: CancellationToken,
    /// Is cancelled when what runs shall end, too; its tasks go back to the queue.
    pub abort: CancellationToken,
}

impl Engine {
    /// Makes an engine in which nothing runs yet; `state` is the state directory.
    pub fn new(
        state: &Path,
        store: Store,
        blobs: Blobs,
        queue: QueueConfig,
        secrets: Vec<SecretString>,
    ) -> Self {
        Self {
            store,
            queue,
            runs_root: state.join("runs"),
            blobs,
            secrets,
            running: Running::default(),
            wakes: Wakes::default(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        }
    }
}
