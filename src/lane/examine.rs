//! Looking at a lane the way an attacker would: what isolates it, and what holds from inside.

use std::io;
use std::net::{Ipv6Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::cgroup::Delegated;
use super::escape::{Finding, Outside, Verdict};
use super::{LaneError, ProcessLane, cannot, probe, self_test};
use crate::config::{LaneConfig, Limits, Network, SandboxKind};
use crate::run::report::{StepReport, StepStatus};
use crate::run::workspace::RunDirs;

/// Where the program and what it is told lie inside.
const PROGRAM: &str = "/tmp/codex-brief";
const OUTSIDE: &str = "/tmp/outside.json";

/// What the two fillers are held to, in bytes, and how much they try to take.
const SMALL: u64 = 64 << 20;
const MUCH: usize = 512 << 20;

/// The longest time for one trial, in seconds.
const TRIAL_SECONDS: u64 = 120;

/// What was found out about a lane.
#[derive(Debug, Clone, Serialize)]
pub struct Examined {
    /// Names the lane.
    pub lane: String,
    /// Tells why it takes no work, and what to do; `None` if it takes work.
    pub unavailable: Option<String>,
    /// Tells what isolates and bounds its steps: a name and what is in force.
    pub isolation: Vec<(String, String)>,
    /// Holds what was tried from inside.
    pub findings: Vec<Finding>,
}

/// Examines a lane with folders below `runs_root`. `hidden` are the paths that no step may see, `program` is
/// a copy of this program, which makes the attempts inside.
pub async fn examine(
    config: &LaneConfig,
    runs_root: &Path,
    hidden: Vec<PathBuf>,
    program: &Path,
) -> Examined {
    let lane = ProcessLane::new(config.clone());
    let isolation = isolation(&lane).await;
    let unavailable = lane.probe(runs_root).await.err().map(|error| error.to_string());
    let findings = match (&unavailable, config.sandbox) {
        (_, SandboxKind::None) => vec![no_sandbox()],
        (Some(why), _) => vec![Finding::new(EVERYTHING, Verdict::NotTried, why.clone())],
        (None, _) => {
            let mut findings = match escapes(&lane, runs_root, hidden, program).await {
                Ok(findings) => findings,
                Err(error) => vec![Finding::new(EVERYTHING, Verdict::NotTried, error.to_string())],
            };
            findings.push(memory(config, runs_root, program).await);
            findings.push(disk(config, runs_root).await);
            findings
        }
    };
    Examined { lane: config.name.clone(), unavailable, isolation, findings }
}

const EVERYTHING: &str = "break out";

fn no_sandbox() -> Finding {
    let seen = "`sandbox = \"none\"`: steps are processes of the server's user; nothing was tried";
    Finding::new(EVERYTHING, Verdict::NotHeld, seen)
        .advise("Take `sandbox = \"none\"` out of the lane, unless nobody but yourself can write briefs.")
}

/// Tells what is in force, without trying it.
async fn isolation(lane: &ProcessLane) -> Vec<(String, String)> {
    let config = lane.config();
    let mut all = Vec::new();
    let mut tell = |name: &str, value: String| all.push((name.to_owned(), value));
    if config.sandbox == SandboxKind::None {
        tell("sandbox", "none, as the operator wrote".to_owned());
        return all;
    }
    tell(
        "sandbox",
        match &lane.bwrap {
            Some(bwrap) => format!("{} ({})", probe::version(bwrap).await, bwrap.display()),
            None => "bubblewrap is missing".to_owned(),
        },
    );
    tell(
        "user",
        match lane.trial_slot().owner() {
            Some(owner) => format!("of its own for each run, from id {}", owner.uid),
            None => "the server's, in a user namespace".to_owned(),
        },
    );
    let Limits { memory_bytes, disk_bytes, processes, .. } = config.limits;
    let (memory, counted) = match Delegated::of_server() {
        Ok(_) => ("by its control group (version 2)".to_owned(), "by its control group and RLIMIT_NPROC"),
        Err(why) => (format!("measured, and RLIMIT_DATA for each process: {why}"), "by RLIMIT_NPROC"),
    };
    let bytes = |bound: u64, how: &str| match bound {
        0 => "not bounded".to_owned(),
        bytes => format!("{} MiB, {how}", bytes >> 20),
    };
    tell("memory", bytes(memory_bytes, &memory));
    tell("disk", bytes(disk_bytes, "measured"));
    tell("processes", format!("{processes}, {counted}"));
    tell("calls", "filtered (seccomp) before the step begins".to_owned());
    tell("network", config.network.to_string());
    all
}

/// Makes the attempts inside the lane's own sandbox, just as a step would.
async fn escapes(
    lane: &ProcessLane,
    runs_root: &Path,
    hidden: Vec<PathBuf>,
    program: &Path,
) -> Result<Vec<Finding>, LaneError> {
    let failed = || cannot("listen for what comes out of the sandbox");
    let ipv4 = TcpListener::bind(("127.0.0.1", 0)).map_err(failed())?;
    let ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
    let name = format!("codex-brief-doctor-{}", uuid::Uuid::now_v7().simple());
    let address = SocketAddr::from_abstract_name(&name).map_err(failed())?;
    let _listens = UnixListener::bind_addr(&address).map_err(failed())?;
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    let outside = Outside {
        hidden,
        process: std::process::id().try_into().unwrap_or(i32::MAX),
        namespaces: self_test::namespaces(true),
        filters: self_test::filters(),
        network_closed: lane.config().network != Network::Full,
        ports: (port(&ipv4).map_err(failed())?, ipv6.as_ref().and_then(|listener| port(listener).ok())),
        abstract_socket: name,
        bounds: Outside::bounds_of(&lane.config().limits),
    };
    let text = serde_json::to_vec(&outside).map_err(|error| LaneError::Sandbox(error.to_string()))?;
    let script = format!("exec {PROGRAM} doctor --inside {OUTSIDE}");
    let report = trial(lane.config(), runs_root, &script, |tmp| {
        put_program(program, tmp)?;
        std::fs::write(tmp.join("outside.json"), &text)
    });
    let report = report.await?;
    let told = report.log.tail.trim();
    serde_json::from_str(told).map_err(|_| {
        let (status, code) = (report.status.word(), report.exit_code.unwrap_or_default());
        LaneError::Sandbox(format!("the program inside did not answer ({status}, code {code}): {told}"))
    })
}

/// Puts the program where steps find it; a link would name a file outside.
fn put_program(program: &Path, tmp: &Path) -> io::Result<()> {
    std::fs::copy(program, tmp.join("codex-brief")).map(drop)
}

/// Takes memory in the lane's sandbox with a smaller bound, so that the machine is not harmed if it does
/// not hold.
async fn memory(config: &LaneConfig, runs_root: &Path, program: &Path) -> Finding {
    const ATTEMPT: &str = "use more memory than the lane allows";
    if config.limits.memory_bytes == 0 {
        return Finding::new(ATTEMPT, Verdict::NotHeld, "`memory_bytes = 0` bounds nothing")
            .advise("Give the lane a `memory_bytes`.");
    }
    let mut small = config.clone();
    small.limits.memory_bytes = SMALL;
    let script = format!("exec {PROGRAM} doctor --take-memory {MUCH}");
    let report = trial(&small, runs_root, &script, |tmp| put_program(program, tmp)).await;
    filled(ATTEMPT, report, StepStatus::OverMemory)
}

async fn disk(config: &LaneConfig, runs_root: &Path) -> Finding {
    const ATTEMPT: &str = "use more disk space than the lane allows";
    if config.limits.disk_bytes == 0 {
        return Finding::new(ATTEMPT, Verdict::NotHeld, "`disk_bytes = 0` bounds nothing")
            .advise("Give the lane a `disk_bytes`.");
    }
    let mut small = config.clone();
    small.limits.disk_bytes = SMALL;
    small.limits.file_bytes = SMALL * 4;
    let script = format!("head -c {} /dev/zero > ~/filler; sleep {TRIAL_SECONDS}", SMALL * 2);
    filled(ATTEMPT, trial(&small, runs_root, &script, |_| Ok(())).await, StepStatus::OverDisk)
}

fn filled(attempt: &str, report: Result<StepReport, LaneError>, expected: StepStatus) -> Finding {
    match report {
        Ok(report) if report.status == expected => {
            Finding::new(attempt, Verdict::Held, format!("the step was ended ({} MiB tried)", SMALL >> 20))
        }
        // The bound of a single process can come before the measure.
        Ok(report) if expected == StepStatus::OverMemory && report.signal == Some(6) => {
            Finding::new(attempt, Verdict::Held, "the kernel gave a process no more")
        }
        Ok(report) => {
            let (word, tail) = (report.status.word(), report.log.tail.trim().to_owned());
            Finding::new(attempt, Verdict::NotHeld, format!("the step was not ended for it: {word} {tail}"))
        }
        Err(error) => Finding::new(attempt, Verdict::NotTried, error.to_string()),
    }
}

/// Runs one step in a lane like this one, in folders of its own.
async fn trial(
    config: &LaneConfig,
    runs_root: &Path,
    script: &str,
    furnish: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<StepReport, LaneError> {
    let mut config = config.clone();
    config.limits.wall_seconds = TRIAL_SECONDS;
    config.limits.idle_seconds = TRIAL_SECONDS;
    config.limits.comment_tail_bytes = 64 << 10;
    let lane = ProcessLane::new(config);
    let name = uuid::Uuid::now_v7().to_string();
    let dirs = RunDirs::create(runs_root, &name).map_err(cannot("make folders for a trial"))?;
    let furnished = furnish(&dirs.tmp).map_err(cannot("copy this program for a trial"));
    let report = match furnished {
        Ok(()) => probe::try_step(&lane, &dirs, script).await,
        Err(error) => Err(error),
    };
    let removed = dirs.remove_all_but_logs().and_then(|()| dirs.remove());
    removed.map_err(cannot("remove the folders of a trial"))?;
    report
}
