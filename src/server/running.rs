//! The runs of this process that work now, and how each can be ended before its own end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::store::models::ClaimedTask;

/// Why a run is ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Somebody wants it stopped; who and why stands in the store.
    Stopped,
    /// Its lease was not renewed in time, so that its task may have another run.
    LeaseLost,
}

/// The runs that work, by task.
#[derive(Debug, Default)]
pub struct Running(Mutex<HashMap<i64, Entry>>);

#[derive(Debug)]
struct Entry {
    run: String,
    token: CancellationToken,
    cut: Option<Cut>,
}

/// One run's entry, which is there for as long as this is.
#[derive(Debug)]
pub struct Registration<'a> {
    running: &'a Running,
    task: i64,
    run: String,
    /// Is cancelled when the run shall end.
    pub token: CancellationToken,
}

impl Running {
    /// Enters a run; `abort` ends every run.
    pub fn begin(&self, task: &ClaimedTask, abort: &CancellationToken) -> Registration<'_> {
        let token = abort.child_token();
        let entry = Entry { run: task.run_id.clone(), token: token.clone(), cut: None };
        self.lock().insert(task.id, entry);
        Registration { running: self, task: task.id, run: task.run_id.clone(), token }
    }

    /// Ends a task's run, unless it is being ended already; returns whether that run works here. The task
    /// may have its next run by now, which is not meant.
    pub fn cut(&self, task: i64, run: &str, cut: Cut) -> bool {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&task).filter(|entry| entry.run == run) else { return false };
        entry.cut.get_or_insert(cut);
        entry.token.cancel();
        true
    }

    /// Ends whichever run of a task works here, because somebody wants it stopped.
    pub fn stop(&self, task: i64) {
        if let Some(entry) = self.lock().get_mut(&task) {
            entry.cut.get_or_insert(Cut::Stopped);
            entry.token.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration<'_> {
    /// Returns why the run is ended early, if it is.
    pub fn cut(&self) -> Option<Cut> {
        self.running.lock().get(&self.task).filter(|entry| entry.run == self.run)?.cut
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let mut entries = self.running.lock();
        // After a lost lease the task may have its next run here already.
        if entries.get(&self.task).is_some_and(|entry| entry.run == self.run) {
            entries.remove(&self.task);
        }
    }
}
