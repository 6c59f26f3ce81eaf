//! The lanes of this server: room for runs, and whether each can take any.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use crate::config::LaneConfig;
use crate::lane::ProcessLane;

/// All lanes, in the order of the configuration.
#[derive(Debug)]
pub struct Lanes(Vec<Arc<LaneEntry>>);

/// One lane.
#[derive(Debug)]
pub struct LaneEntry {
    /// Holds what runs the steps.
    pub lane: ProcessLane,
    unavailable: RwLock<Option<String>>,
}

impl Lanes {
    /// Makes the lanes that are switched on; none is known to be available before [`LaneEntry::probe`].
    pub fn new(configs: &[LaneConfig]) -> Self {
        let entry = |config: &LaneConfig| {
            Arc::new(LaneEntry {
                lane: ProcessLane::new(config.clone()),
                unavailable: RwLock::new(Some("it was not probed yet".to_owned())),
            })
        };
        Self(configs.iter().filter(|config| config.enabled).map(entry).collect())
    }

    /// Walks the lanes.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<LaneEntry>> {
        self.0.iter()
    }

    /// Finds a lane by its name.
    pub fn get(&self, name: &str) -> Option<&Arc<LaneEntry>> {
        self.0.iter().find(|entry| entry.name() == name)
    }
}

impl LaneEntry {
    /// Returns the lane's name.
    pub fn name(&self) -> &str {
        &self.lane.config().name
    }

    /// Returns why the lane takes no work now, if it does not.
    pub fn unavailable(&self) -> Option<String> {
        self.unavailable.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that a run failed for the lane's own fault, so that it is tried before it gets the next.
    pub fn suspect(&self) {
        let mut kept = self.unavailable.write().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert_with(|| "a run failed on it, and it was not probed since".to_owned());
    }

    /// Tries whether the lane can isolate a step, in folders below `runs_root`, and keeps the answer; logs
    /// when it changes.
    pub async fn probe(&self, runs_root: &Path) -> bool {
        let answer = self.lane.probe(runs_root).await.err().map(|error| error.to_string());
        let mut kept = self.unavailable.write().unwrap_or_else(PoisonError::into_inner);
        if *kept != answer {
            match &answer {
                Some(reason) => tracing::error!(lane = self.name(), reason, "the lane takes no work"),
                None => tracing::info!(lane = self.name(), "the lane takes work"),
            }
        }
        *kept = answer;
        kept.is_none()
    }
}
