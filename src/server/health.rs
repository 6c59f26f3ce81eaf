//! How the server is: its store, its lanes, and what is missing of its set-up.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Server;
use crate::config::SandboxKind;
use crate::store::StoreError;

/// What the server can tell about itself without telling anything about briefs.
#[derive(Debug, Serialize)]
pub struct Health {
    /// Tells whether briefs are stored and at least one lane takes work.
    pub ready: bool,
    /// Holds the version of the program.
    pub version: &'static str,
    /// Tells whether the store can be read.
    pub store: bool,
    /// Tells whether the store takes writes; it does not when its disk is full or it is locked.
    pub store_writable: bool,
    /// Tells each lane's state.
    pub lanes: BTreeMap<String, LaneHealth>,
    /// Counts the tasks in each state.
    pub tasks: BTreeMap<String, u64>,
    /// Counts the GitHub writes that are owed.
    pub owed_writes: u64,
    /// Tells what the operator should look at though briefs run.
    pub warnings: Vec<String>,
}

/// One lane's state.
#[derive(Debug, Serialize)]
pub struct LaneHealth {
    /// Tells whether it takes work.
    pub available: bool,
    /// Counts the runs that it has now.
    pub running: usize,
    /// Bounds the runs that it has at a time.
    pub parallel: usize,
}

/// Looks how the server is.
pub async fn look(server: &Server) -> Health {
    let lanes: BTreeMap<String, LaneHealth> = server
        .lanes
        .iter()
        .map(|entry| {
            let parallel = entry.lane.config().parallel;
            let running = parallel.saturating_sub(entry.lane.free_slots());
            let health = LaneHealth { available: entry.unavailable().is_none(), running, parallel };
            (entry.name().to_owned(), health)
        })
        .collect();
    let counts = counts(server).await;
    let store = counts.is_ok();
    let (tasks, owed_writes) = counts.unwrap_or_default();
    let store_writable = store && server.store.takes_writes().await;
    let ready = store_writable && lanes.values().any(|lane| lane.available);
    let (version, warnings) = (env!("CARGO_PKG_VERSION"), server.warnings());
    Health { ready, version, store, store_writable, lanes, tasks, owed_writes, warnings }
}

async fn counts(server: &Server) -> Result<(BTreeMap<String, u64>, u64), StoreError> {
    Ok((server.store.task_counts().await?, server.store.owed_effects().await?))
}

impl Health {
    /// Tells in sentences what keeps briefs from running.
    pub fn problems(&self) -> Vec<&'static str> {
        let mut problems = Vec::new();
        match (self.store, self.store_writable) {
            (true, true) => {}
            (true, false) => problems.push("The store takes no writes."),
            (false, _) => problems.push("The store cannot be read."),
        }
        if !self.lanes.values().any(|lane| lane.available) {
            problems.push("No lane takes work.");
        }
        problems
    }
}

impl Server {
    /// Tells what the operator should look at, without naming anything of the machine.
    pub fn public_warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        match (&self.config.audit.sink, self.sink_trouble.get()) {
            (None, _) => warnings.push("There is no audit sink: the audit log is kept in the store alone."),
            (Some(_), Some(_)) => {
                warnings.push("The audit sink takes no entries; the server's log tells why.")
            }
            _ => {}
        }
        let lanes = &self.config.lanes;
        if lanes.iter().any(|lane| lane.enabled && lane.sandbox == SandboxKind::None) {
            warnings.push("A lane runs steps without a sandbox.");
        }
        if !self.config.catch_up.enabled {
            warnings.push("Missed deliveries are not looked for: `catch_up.enabled` is off.");
        }
        if !self.config.github.check_runs || !self.config.github.labels {
            warnings.push("Labels or check runs are switched off.");
        }
        warnings
    }
}
