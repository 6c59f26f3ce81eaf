//! What a scenario is played with: a lane, the queue's settings, a folder, and this program.

use std::ffi::OsString;
use std::path::PathBuf;

use super::bench::Bench;
use super::scenarios::Scenario;
use crate::config::{LaneConfig, QueueConfig};

/// The longest that a step may take or be silent where that is not what is rehearsed, in seconds.
const LONGEST_STEP: u64 = 60;

/// The wall time where a step exceeds it, in seconds.
const WALL: u64 = 1;

/// The time in which a step must print where one does not, in seconds.
const SILENCE: u64 = 2;

/// The longest cool-down, in milliseconds.
const LONGEST_COOLDOWN_MS: u64 = 100;

/// How long a lease lasts, how often it is renewed, and how often by a server that is too slow; all
/// in seconds.
const LEASE: u64 = 4;
const RENEW: u64 = 1;
const RENEW_TOO_LATE: u64 = 8;

/// What one scenario is played with.
#[derive(Debug)]
pub struct Cast {
    pub(super) folder: PathBuf,
    pub(super) lane: LaneConfig,
    pub(super) queue: QueueConfig,
    pub(super) program: PathBuf,
    /// Hold what leads the program to the same lane and scenario again.
    pub(super) arguments: Vec<OsString>,
}

impl Cast {
    /// Takes a lane and the queue's settings, with times short enough for a rehearsal.
    ///
    /// `program` with `arguments` calls [`super::serve_in`] with the same lane, settings and scenario
    /// when `--serve-in` and the folder follow.
    pub fn new(
        scenario: Scenario,
        folder: PathBuf,
        mut lane: LaneConfig,
        mut queue: QueueConfig,
        (program, arguments): (PathBuf, Vec<OsString>),
    ) -> Self {
        let limits = &mut lane.limits;
        limits.wall_seconds = limits.wall_seconds.min(LONGEST_STEP);
        limits.idle_seconds = limits.idle_seconds.min(LONGEST_STEP);
        match scenario {
            Scenario::WallTime => limits.wall_seconds = WALL,
            Scenario::Silence | Scenario::SilenceOnce => limits.idle_seconds = SILENCE,
            _ => {}
        }
        queue.failed_task_retry_cooldown_ms = queue.failed_task_retry_cooldown_ms.min(LONGEST_COOLDOWN_MS);
        (queue.lease_seconds, queue.lease_renew_seconds) = (LEASE, RENEW);
        Self { folder, lane, queue, program, arguments }
    }

    /// Opens a server on the scenario's folder.
    pub(super) async fn bench(&self) -> anyhow::Result<Bench> {
        Bench::open(&self.folder, &self.lane, &self.queue).await
    }

    /// Opens a server whose sandbox fails, because a path that it shall show is gone.
    pub(super) async fn broken_bench(&self) -> anyhow::Result<Bench> {
        let mut lane = self.lane.clone();
        lane.read_only_paths.push(self.folder.join("gone"));
        Bench::open(&self.folder, &lane, &self.queue).await
    }

    /// Opens a server that renews its leases too late.
    pub(super) async fn slow_bench(&self) -> anyhow::Result<Bench> {
        let mut queue = self.queue.clone();
        queue.lease_renew_seconds = RENEW_TOO_LATE;
        Bench::open(&self.folder, &self.lane, &queue).await
    }
}
