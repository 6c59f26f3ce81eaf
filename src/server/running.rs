//! The runs of this process that work now, and how each can be ended before its own end.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::brief::Brief;
use crate::run::progress::Progress;
use crate::run::steps::StepEvent;
use crate::store::RunShown;
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
pub struct Running {
    entries: Mutex<HashMap<i64, Entry>>,
    /// Names the lanes that took a task since somebody asked last.
    moved: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct Entry {
    run: String,
    token: CancellationToken,
    cut: Option<Cut>,
    progress: Progress,
    /// Tells that its progress is not owed to GitHub yet.
    fresh: bool,
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
        let progress = Progress::begin(&task.run_id, chrono::Utc::now().timestamp_millis());
        let entry =
            Entry { run: task.run_id.clone(), token: token.clone(), cut: None, progress, fresh: false };
        self.lock().insert(task.id, entry);
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).insert(task.lane.clone());
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

    /// Returns how far the run of a task is that works here.
    pub fn progress(&self, task: i64) -> Option<Progress> {
        self.lock().get(&task).map(|entry| entry.progress.clone())
    }

    /// Returns the tasks, each with its run, that went on since this was asked last.
    pub fn gone_on(&self) -> Vec<(i64, RunShown)> {
        let mut entries = self.lock();
        let mut told = |(task, entry): (&i64, &mut Entry)| {
            let shown = || RunShown { run: entry.run.clone(), commit: entry.progress.commit.clone() };
            std::mem::take(&mut entry.fresh).then(|| (*task, shown()))
        };
        entries.iter_mut().filter_map(&mut told).collect()
    }

    /// Returns the lanes that took a task since this was asked last.
    pub fn moved(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.moved.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration<'_> {
    /// Returns why the run is ended early, if it is.
    pub fn cut(&self) -> Option<Cut> {
        self.running.lock().get(&self.task).filter(|entry| entry.run == self.run)?.cut
    }

    /// Notes the run's steps, and the commit beside which it is shown.
    pub fn prepare(&self, brief: &Brief, commit: Option<String>) {
        self.go_on(|progress| {
            progress.prepare(commit, brief.steps.iter().map(|step| step.name.clone()));
            true
        });
    }

    /// Notes what happened to a step; returns whether that is worth telling.
    pub fn note(&self, event: &StepEvent) -> bool {
        let now = chrono::Utc::now().timestamp_millis();
        self.go_on(|progress| progress.note(event, now))
    }

    fn go_on(&self, change: impl FnOnce(&mut Progress) -> bool) -> bool {
        let mut entries = self.running.lock();
        let entry = entries.get_mut(&self.task).filter(|entry| entry.run == self.run);
        entry.is_some_and(|entry| {
            let told = change(&mut entry.progress);
            entry.fresh |= told;
            told
        })
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
