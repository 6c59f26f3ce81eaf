//! Watching one step: output is taken as it comes, limits are held, and nothing is left behind.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::cage::Cage;
use super::cgroup::StepGroup;
use super::egress::Proxy;
use super::usage::Usage;
use super::{LaneError, cannot};
use crate::config::Limits;
use crate::run::report::StepStatus;

/// How long a step has to end by itself after it was asked to.
const GRACE: Duration = Duration::from_secs(2);

/// How long killed processes and the rest of their output may take.
const END_WITHIN: Duration = Duration::from_secs(10);

/// The longest limit that is kept, in seconds: a year. It keeps the clock's arithmetic whole.
const LONGEST: u64 = 365 * 24 * 3600;

/// How much is read at a time, in bytes.
const BUFFER: usize = 128 << 10;

/// A step that was started.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) cage: Cage,
    /// Bounds the step where there are control groups.
    pub(super) group: Option<StepGroup>,
    pub(super) output: pipe::Receiver,
    /// Gets one byte when the limits are set and the script is about to run.
    pub(super) ready: OwnedFd,
    /// Stays open until the end: bubblewrap would die of writing into a closed pipe.
    pub(super) _status: pipe::Receiver,
    /// Holds the run's folders, to measure them.
    pub(super) folders: Vec<PathBuf>,
    /// Serves the step until the end, where its lane has a list of what can be reached.
    pub(super) _proxy: Option<Proxy>,
}

/// How a step ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Tells how the first process ended.
    pub(super) exit: ExitStatus,
    /// Tells which limit ended it, or that it was stopped.
    pub(super) ended_by: Option<StepStatus>,
    /// Tells whether the script began.
    pub(super) began: bool,
}

/// Where a step is on its way to the end.
enum Phase {
    Running,
    Asked { until: Instant },
    Killed { until: Instant },
}

/// Runs a step to its end, passing its output to `take`. When it returns, no process is left.
///
/// # Errors
/// Fails when `take` does, when processes survive, and when reading or waiting fails.
pub(super) async fn supervise(
    mut running: Running,
    limits: &Limits,
    stop: &CancellationToken,
    mut take: impl FnMut(&[u8]) -> Result<(), LaneError>,
) -> Result<Outcome, LaneError> {
    let watched = watch(&mut running, limits, stop, &mut take).await;
    if watched.is_err() {
        let _gone_already = running.child.start_kill();
    }
    running.cage.kill(watched.is_err());
    running.cage.emptied().await?;
    let (exit, mut ended_by) = watched?;
    if ended_by.is_none() && running.group.as_ref().is_some_and(StepGroup::was_out_of_memory) {
        ended_by = Some(StepStatus::OverMemory);
    }
    if let Some(group) = running.group.take() {
        group.end().await;
    }
    let mut byte = [0];
    rustix::io::ioctl_fionbio(&running.ready, true).map_err(cannot("look whether the step began"))?;
    let began = rustix::io::read(&running.ready, &mut byte).is_ok_and(|count| count == 1);
    Ok(Outcome { exit, ended_by, began })
}

async fn watch(
    running: &mut Running,
    limits: &Limits,
    stop: &CancellationToken,
    take: &mut impl FnMut(&[u8]) -> Result<(), LaneError>,
) -> Result<(ExitStatus, Option<StepStatus>), LaneError> {
    let wall = Instant::now() + Duration::from_secs(limits.wall_seconds.min(LONGEST));
    let idle = Duration::from_secs(limits.idle_seconds.min(LONGEST));
    let mut printed = Instant::now();
    let (mut exit, mut open) = (None, true);
    let (mut phase, mut ended_by) = (Phase::Running, None);
    let mut buffer = vec![0; BUFFER];
    let usage = Usage { processes: running.cage.processes(), folders: running.folders.clone() };
    let mut exceeded = std::pin::pin!(usage.exceeded(limits));
    loop {
        if let (Some(exit), false) = (exit, open) {
            return Ok((exit, ended_by));
        }
        let next = match phase {
            Phase::Running => wall.min(printed + idle),
            Phase::Asked { until } | Phase::Killed { until } => until,
        };
        let limit = if next == wall { StepStatus::WallTimeout } else { StepStatus::IdleTimeout };
        let mut asked = None;
        tokio::select! {
            read = running.output.read(&mut buffer), if open => {
                let count = read.map_err(cannot("read a step's output"))?;
                open = count > 0;
                take(&buffer[..count])?;
                printed = Instant::now();
            }
            status = running.child.wait(), if exit.is_none() => {
                exit = Some(status.map_err(cannot("wait for a step"))?);
                // What the step left behind holds the output open.
                running.cage.kill(false);
                phase = Phase::Killed { until: Instant::now() + END_WITHIN };
            }
            () = sleep_until(next) => match phase {
                Phase::Running => asked = Some(limit),
                Phase::Asked { .. } => {
                    running.cage.kill(true);
                    let _gone_already = running.child.start_kill();
                    phase = Phase::Killed { until: Instant::now() + END_WITHIN };
                }
                Phase::Killed { .. } => return Err(LaneError::Survivors(1)),
            },
            over = &mut exceeded, if ended_by.is_none() && exit.is_none() => {
                // It would go on taking while it is asked.
                ended_by = Some(over);
                running.cage.kill(true);
                let _gone_already = running.child.start_kill();
                phase = Phase::Killed { until: Instant::now() + END_WITHIN };
            }
            () = stop.cancelled(), if matches!(phase, Phase::Running) => asked = Some(StepStatus::Stopped),
        }
        if asked.is_some() {
            ended_by = asked;
            running.cage.ask_to_end(true);
            phase = Phase::Asked { until: Instant::now() + GRACE };
        }
    }
}
