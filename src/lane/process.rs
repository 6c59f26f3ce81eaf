//! Lane kind `process`: each step is a bash process of this machine, in a sandbox of its own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::check::refuse_network;
use super::environment::{PATH, StepSecret, read_secrets};
use super::give::give_to;
use super::slot::{Slot, SlotPool};
use super::supervise::{Outcome, supervise};
use super::{LaneError, LaneUnavailable, cannot, probe};
use crate::brief::{Step, Timeout};
use crate::config::{LaneConfig, Limits, Network, SandboxKind};
use crate::crash;
use crate::run::log::StepLog;
use crate::run::report::{LogSummary, StepReport, StepStatus};
use crate::run::steps::{StepEvent, StepsOrder};

/// A lane that runs steps on this machine; a clone shares its places.
#[derive(Debug, Clone)]
pub struct ProcessLane {
    pub(super) config: LaneConfig,
    /// Holds bubblewrap's place, as found when the lane was made.
    pub(super) bwrap: Option<PathBuf>,
    pub(super) bash: Option<PathBuf>,
    places: Arc<Semaphore>,
    pool: Arc<SlotPool>,
}

impl ProcessLane {
    /// Makes a lane, looking for bubblewrap in the server's `PATH`.
    pub fn new(config: LaneConfig) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::with_search_path(config, &path)
    }

    /// Makes a lane, looking for bubblewrap in the given `PATH`; folders that are not absolute are
    /// passed over.
    pub fn with_search_path(config: LaneConfig, path: &OsStr) -> Self {
        let places = Arc::new(Semaphore::new(config.parallel.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            config,
            bwrap: find("bwrap", path),
            bash: find("bash", OsStr::new(PATH)),
            places,
            pool: SlotPool::of_process(),
        }
    }

    /// Returns the lane's configuration.
    pub fn config(&self) -> &LaneConfig {
        &self.config
    }

    /// Returns the lane with a run's own bounds, which are never wider than its own; `protected` are paths that
    /// the run may not change, beside those of the lane.
    ///
    /// # Errors
    /// Tells why the lane cannot hold a run to them.
    pub fn bounded(&self, network: Network, limits: Limits, protected: Vec<String>) -> Result<Self, String> {
        let mut bounded = self.clone();
        if self.config.sandbox == SandboxKind::None && network != self.config.network {
            return Err(
                "the lane has no sandbox, so nothing holds its steps to the network of the policy".into()
            );
        }
        bounded.config.network_private_addresses &= matches!(network, Network::Listed(_));
        bounded.config.network = network;
        if let Some(reason) = refuse_network(&bounded.config) {
            return Err(reason.trim_end_matches('.').to_owned());
        }
        bounded.config.limits = limits;
        bounded.config.protected_paths.extend(protected);
        Ok(bounded)
    }

    /// Finds out whether the lane can work here, by a trial step in its sandbox, with folders below
    /// `runs_root`.
    ///
    /// # Errors
    /// Tells the operator what is missing and what to do.
    pub async fn probe(&self, runs_root: &Path) -> Result<(), LaneUnavailable> {
        probe::probe(self, runs_root).await
    }

    /// Reads the secrets that the lane's steps get, anew each time, so that a changed one counts.
    ///
    /// # Errors
    /// Tells the operator which cannot be read, or cannot be masked.
    pub async fn read_secrets(&self) -> Result<Vec<StepSecret>, LaneUnavailable> {
        let config = self.config.clone();
        let read = tokio::task::spawn_blocking(move || read_secrets(&config)).await;
        read.unwrap_or_else(|error| {
            let help = "Look at the server's log and restart the server.".to_owned();
            Err(LaneUnavailable { reason: format!("The lane's secrets cannot be read: {error}."), help })
        })
    }

    /// Waits for a place in the lane: at most `parallel` runs have one at a time.
    ///
    /// # Errors
    /// Fails only if the lane is being taken down.
    pub async fn claim_slot(&self) -> Result<Slot, LaneError> {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        let permit = permit.map_err(|error| LaneError::Sandbox(error.to_string()))?;
        Ok(self.pool.take(Some(permit)))
    }

    /// Takes a place in the lane if one is free.
    pub fn try_claim_slot(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(self.pool.take(Some(permit)))
    }

    /// Counts the places that are free now.
    pub fn free_slots(&self) -> usize {
        self.places.available_permits()
    }

    /// Takes a place beyond `parallel`, for a trial.
    pub(super) fn trial_slot(&self) -> Slot {
        self.pool.take(None)
    }

    /// Runs the steps in their order, each by its own condition on those before it; what does not run is
    /// reported as skipped. Nothing runs after the run was stopped. When it returns, no process of the run is left. `events` must
    /// not block. If the future is dropped, the step at hand is killed.
    ///
    /// A server that is root gives `checkout`, `home` and `tmp` to the slot's user first.
    ///
    /// # Errors
    /// Fails when the lane does not work, never because of what a step does: see [`LaneError`].
    pub async fn run_steps(
        &self,
        slot: &Slot,
        order: &StepsOrder<'_>,
        events: impl Fn(StepEvent) + Send + Sync,
        stop: CancellationToken,
    ) -> Result<Vec<StepReport>, LaneError> {
        self.hand_over(slot, order).await?;
        let mut reports: Vec<StepReport> = Vec::with_capacity(order.steps.len());
        let (mut failed, mut over) = (false, false);
        let watch = order.redactor.watch();
        for (index, step) in order.steps.iter().enumerate() {
            let report = if over || !step.when.holds(failed) {
                not_started(&step.name, StepStatus::Skipped)
            } else if stop.is_cancelled() || watch.is_seen() {
                not_started(&step.name, StepStatus::Stopped)
            } else {
                events(StepEvent::Started { index, name: step.name.clone() });
                self.run_step(slot, order, index, &events, &stop).await?
            };
            over |= report.status == StepStatus::Stopped;
            failed |= report.failed();
            reached(order, "step-ended.before-effect");
            events(StepEvent::Ended { index, report: Box::new(report.clone()) });
            reports.push(report);
            reached(order, "step-ended.before-record");
        }
        Ok(reports)
    }

    /// Gives the run's folders to the user that the steps will be.
    async fn hand_over(&self, slot: &Slot, order: &StepsOrder<'_>) -> Result<(), LaneError> {
        let Some(owner) = slot.owner() else { return Ok(()) };
        if self.config.sandbox == SandboxKind::None {
            return Ok(());
        }
        let dirs = order.dirs;
        let folders = [dirs.checkout.clone(), dirs.home.clone(), dirs.tmp.clone()];
        let given =
            tokio::task::spawn_blocking(move || folders.iter().try_for_each(|folder| give_to(owner, folder)));
        let given = given.await.map_err(cannot("give the run's folders to its user"))?;
        given.map_err(cannot("give the run's folders to its user"))
    }

    async fn run_step(
        &self,
        slot: &Slot,
        order: &StepsOrder<'_>,
        index: usize,
        events: &(impl Fn(StepEvent) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<StepReport, LaneError> {
        let path = order.dirs.step_log(index);
        let step = &order.steps[index];
        let limits = &limits_of(step, &self.config.limits);
        let mut log = StepLog::create(&path, limits).map_err(cannot(format!("create {}", path.display())))?;
        let mut redact = order.redactor.stream();
        let started = Instant::now();
        reached(order, "step-started.before-commit");
        let running = match self.config.sandbox {
            SandboxKind::Bubblewrap => self.start_sandboxed(slot, order, index).await?,
            SandboxKind::None => self.start_bare(order, index).await?,
        };
        reached(order, "step-started.before-record");
        let mut shown = Vec::new();
        let outcome = supervise(running, limits, stop, |bytes| {
            shown.clear();
            redact.push(bytes, &mut shown);
            record(&mut log, index, &shown, events)
        })
        .await?;
        let duration = started.elapsed();
        reached(order, "step-ended.before-commit");
        shown.clear();
        redact.finish(&mut shown);
        record(&mut log, index, &shown, events)?;
        let log = log.finish().map_err(cannot("write a step's log"))?;
        if !outcome.began && outcome.ended_by != Some(StepStatus::Stopped) {
            return Err(LaneError::Sandbox(format!("{} ({})", log.tail.trim(), outcome.exit)));
        }
        Ok(self.report(step, &outcome, duration, log))
    }

    fn report(&self, step: &Step, outcome: &Outcome, duration: Duration, log: LogSummary) -> StepReport {
        let sandboxed = self.config.sandbox == SandboxKind::Bubblewrap;
        let (exit_code, signal) = match outcome.ended_by {
            Some(_) => (None, None),
            None => ended(&outcome.exit, sandboxed),
        };
        let succeeded = if exit_code == Some(0) { StepStatus::Succeeded } else { StepStatus::Failed };
        let status = outcome.ended_by.unwrap_or(succeeded);
        StepReport {
            name: step.name.clone(),
            status,
            tolerated: step.continue_on_error
                && !matches!(status, StepStatus::Succeeded | StepStatus::Stopped),
            exit_code,
            signal,
            duration_ms: duration.as_millis().try_into().unwrap_or(u64::MAX),
            log,
        }
    }
}

/// Is a crash point of runs; a lane's trial has none.
pub(super) fn reached(order: &StepsOrder<'_>, name: &str) {
    if order.run != probe::TRIAL {
        crash::point(name);
    }
}

fn record(
    log: &mut StepLog,
    index: usize,
    bytes: &[u8],
    events: &(impl Fn(StepEvent) + Send + Sync),
) -> Result<(), LaneError> {
    if bytes.is_empty() {
        return Ok(());
    }
    log.write(bytes).map_err(cannot("write a step's log"))?;
    events(StepEvent::Output { index, bytes: bytes.to_vec() });
    Ok(())
}

/// Returns the bounds of one step: the lane's, with the step's own time where that is shorter.
fn limits_of(step: &Step, lane: &Limits) -> Limits {
    let own = step.timeout.as_ref().map_or(u64::MAX, Timeout::seconds);
    Limits { wall_seconds: lane.wall_seconds.min(own), ..lane.clone() }
}

fn not_started(name: &str, status: StepStatus) -> StepReport {
    StepReport {
        name: name.to_owned(),
        status,
        tolerated: false,
        exit_code: None,
        signal: None,
        duration_ms: 0,
        log: LogSummary::default(),
    }
}

/// Returns the exit code or the signal. Bubblewrap tells a signal as 128 and its number, as bash does
/// for its own commands; what is told so is taken for bash's exit code, and the signal is named too.
fn ended(exit: &std::process::ExitStatus, sandboxed: bool) -> (Option<i32>, Option<i32>) {
    use std::os::unix::process::ExitStatusExt;
    match exit.code() {
        Some(code) if sandboxed && (129..=192).contains(&code) => (Some(code), Some(code - 128)),
        Some(code) => (Some(code), None),
        None => (None, exit.signal()),
    }
}

/// Returns the first program of that name that can be executed.
fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute() && !folder.as_os_str().as_bytes().contains(&0))
        .map(|folder| folder.join(name))
        .find(|program| {
            let executable = rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok();
            executable && program.is_file()
        })
}
