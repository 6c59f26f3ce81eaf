//! `codex-brief doctor`: what isolates each lane on this machine, and whether it holds; and what GitHub says of the App.

mod app;

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use crate::config::Config;
use crate::error::UserError;
use crate::lane::HOME;
use crate::lane::escape::{self, Finding, Outside, Verdict};
use crate::lane::examine::{Examined, examine};
use crate::store::Store;
use crate::store::backup::STORE;

/// The version of what `--json` prints; it changes when a field is renamed or removed.
const FORMAT: u32 = 1;

/// The least space for the state directory, in bytes.
const LEAST_SPACE: u64 = 1 << 30;

/// The start of 2026 in seconds since 1970: an earlier clock is wrong.
const EARLIEST: i64 = 1_767_225_600;

/// Tells what isolates each lane on this machine, and tries from inside whether it holds.
///
/// Each lane's own sandbox is started, just as for a step, and what a hostile program would begin with is tried
/// in it: seeing the server's files and processes, mounting, user namespaces, system calls that kernels were broken
/// by, the network, more memory, disk, processes than allowed. Each is `held`, `NOT held` or `not tried`, with
/// the reason. What works does no harm, and a running server is not disturbed.
///
/// GitHub is asked about the App: whether id and key fit, its permissions and events against those of app.yml, its
/// webhook and whether a repeated ping arrives (so let the server run), its clock, and where it is installed.
/// --offline leaves that out.
///
/// Run it as the server's user. Exit code: 0 when everything holds, 1 when something does not or could not be
/// tried, 2 when it cannot be looked at.
///
/// Examples:
///   codex-brief doctor --config /etc/codex-brief.toml
///   codex-brief doctor --json | jq '.lanes[].findings[] | select(.verdict == "not_held")'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct DoctorArgs {
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// Examines this lane alone.
    #[arg(long, value_name = "NAME")]
    lane: Option<String>,
    /// Leaves GitHub out.
    #[arg(long)]
    offline: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Makes the attempts right here; what doctor itself calls inside a sandbox.
    #[arg(long, hide = true, value_name = "FILE")]
    inside: Option<PathBuf>,
    /// Takes so much memory right here, in bytes; what doctor itself calls inside a sandbox.
    #[arg(long, hide = true, value_name = "BYTES")]
    take_memory: Option<usize>,
}

impl DoctorArgs {
    /// Does what doctor asks of itself inside a sandbox, without a runtime and its threads; `None` if it is
    /// an operator who asks.
    pub fn inside(&self) -> Option<Result<u8, UserError>> {
        if let Some(bytes) = self.take_memory {
            escape::take_memory(bytes);
            return Some(Ok(0));
        }
        let file = self.inside.as_deref()?;
        Some(try_all(file).map_err(|error| {
            UserError::new(
                "doctor-unable",
                format!("The attempts cannot be made: {error}."),
                "Call `codex-brief doctor` without --inside.",
            )
        }))
    }
}

fn try_all(file: &Path) -> anyhow::Result<u8> {
    let outside: Outside = serde_json::from_slice(&std::fs::read(file)?)?;
    super::print(&serde_json::to_string(&escape::try_all(&outside))?);
    Ok(0)
}

/// Examines machine and lanes and prints what was found; 0 when everything holds.
pub async fn run(args: DoctorArgs) -> Result<u8, UserError> {
    let config = super::load_config(&args.config)?;
    let names: Vec<String> =
        config.lanes.iter().filter(|lane| lane.enabled).map(|lane| lane.name.clone()).collect();
    let wanted = args.lane.as_deref();
    if let Some(name) = wanted.filter(|name| !names.iter().any(|known| known == name)) {
        return Err(super::lane_unknown(name, &names));
    }
    let machine = machine(&config).await;
    let app = if args.offline { Vec::new() } else { app::examine(&config).await? };
    let work = Workplace::open(&config.server.state_dir).map_err(|error| {
        UserError::new(
            "doctor-unable",
            format!("There is no place for trials: {error}."),
            "Run it as the server's user, on a disk that has space.",
        )
    })?;
    let mut lanes = Vec::new();
    for lane in config.lanes.iter().filter(|lane| lane.enabled && wanted.is_none_or(|name| name == lane.name))
    {
        let hidden = hidden(&config, &args.config);
        lanes.push(examine(lane, &work.runs, hidden, &work.program).await);
    }
    let sound = |finding: &Finding| matches!(finding.verdict, Verdict::Held | Verdict::Open);
    let mut findings = machine.iter().chain(&app).chain(lanes.iter().flat_map(|lane| &lane.findings));
    let held = findings.all(sound) && lanes.iter().all(|lane| lane.unavailable.is_none());
    if args.json {
        let all = json!({ "format": FORMAT, "held": held, "machine": machine, "app": app, "lanes": lanes });
        super::print(&format!("{all:#}"));
    } else {
        super::print(as_text(&machine, &app, &lanes, held).trim_end());
    }
    Ok(u8::from(!held))
}

/// Where trials lie: beside real runs where that can be, so that they meet the same disk.
struct Workplace {
    runs: PathBuf,
    program: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Workplace {
    fn open(state: &Path) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        if rustix::fs::access(state, rustix::fs::Access::WRITE_OK).is_ok() {
            return Ok(Self { runs: state.join("runs"), program, _temporary: None });
        }
        let folder = tempfile::tempdir()?;
        Ok(Self { runs: folder.path().join("runs"), program, _temporary: Some(folder) })
    }
}

/// Returns the paths that no step may see, but for those in whose place a step has a folder of its own.
fn hidden(config: &Config, file: &Path) -> Vec<PathBuf> {
    let mut paths = config.private_paths();
    paths.extend(std::path::absolute(file));
    paths.extend(std::env::var_os("HOME").map(PathBuf::from));
    paths.retain(|path| {
        path.is_absolute() && ![HOME, "/", "/tmp"].iter().any(|own| Path::new(own).starts_with(path))
    });
    paths
}

/// Looks at what the server needs beside its lanes.
async fn machine(config: &Config) -> Vec<Finding> {
    let folder = &config.server.state_dir;
    vec![git(), clock(), state(folder), space(folder), store(folder).await, secrets(config)]
}

async fn store(folder: &Path) -> Finding {
    let file = folder.join(STORE);
    let (verdict, seen) = match file.try_exists() {
        Ok(false) => (Verdict::Held, "there is none yet; the server makes it".to_owned()),
        _ => match Store::open_to_read(&file).await {
            Ok(store) => {
                store.close().await;
                (Verdict::Held, format!("{} can be read, and is of this version", file.display()))
            }
            Err(error) => (Verdict::NotHeld, format!("{}: {error}", file.display())),
        },
    };
    check(
        "store",
        verdict,
        seen,
        "`codex-brief serve` upgrades an older one, and tells what is wrong with a broken one.",
    )
}

fn check(what: &str, verdict: Verdict, seen: String, help: &str) -> Finding {
    let help = (verdict != Verdict::Held).then(|| help.to_owned());
    Finding { attempt: what.to_owned(), verdict, seen, help }
}

fn git() -> Finding {
    let told = Command::new("git").arg("--version").output().ok().filter(|told| told.status.success());
    let (verdict, seen) = match told {
        Some(told) => (Verdict::Held, String::from_utf8_lossy(&told.stdout).trim().to_owned()),
        None => (Verdict::NotHeld, "the program `git` was not found in PATH".to_owned()),
    };
    check("git", verdict, seen, "Install it (`apt-get install git`).")
}

fn clock() -> Finding {
    let now = clock_gettime(ClockId::Realtime).tv_sec;
    let time = chrono::DateTime::from_timestamp(now, 0).map_or_else(String::new, |time| time.to_rfc3339());
    let verdict = if now < EARLIEST { Verdict::NotHeld } else { Verdict::Held };
    let help = "Set the clock (`timedatectl set-ntp true`): GitHub refuses tokens from another time.";
    check("clock", verdict, time, help)
}

fn state(folder: &Path) -> Finding {
    let shown = folder.display();
    let (verdict, seen) = match folder.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            (Verdict::Held, format!("{shown} is not there yet; the server makes it with mode 700"))
        }
        Err(error) => (Verdict::NotTried, format!("{shown}: {error}")),
        Ok(found) if found.mode() & 0o077 != 0 => {
            (Verdict::NotHeld, format!("{shown} can be entered by others (mode {:o})", found.mode() & 0o777))
        }
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => {
            (Verdict::NotHeld, format!("{shown} belongs to user {}, and this is another", found.uid()))
        }
        Ok(_) => (Verdict::Held, format!("{shown} can be entered by its user alone")),
    };
    check("state directory", verdict, seen, "`chmod 700` it, and run this as the server's user.")
}

fn space(folder: &Path) -> Finding {
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let (verdict, seen) = match rustix::fs::statvfs(there) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let verdict = if free < LEAST_SPACE { Verdict::NotHeld } else { Verdict::Held };
            (verdict, format!("{} MiB are free for the state directory", free >> 20))
        }
        Err(error) => (Verdict::NotTried, error.to_string()),
    };
    check("disk space", verdict, seen, "Make room, or choose another disk by server.state_dir.")
}

fn secrets(config: &Config) -> Finding {
    let sources = [Some(&config.github.private_key), config.github.webhook_secret.as_ref()];
    let files = sources.into_iter().flatten().filter_map(|source| source.file.as_deref());
    let wrong: Vec<String> = files
        .filter_map(|file| match file.metadata() {
            Ok(found) if found.mode() & 0o077 == 0 => None,
            Ok(found) => {
                Some(format!("{} can be read by others (mode {:o})", file.display(), found.mode() & 0o777))
            }
            Err(error) => Some(format!("{}: {error}", file.display())),
        })
        .collect();
    let verdict = if wrong.is_empty() { Verdict::Held } else { Verdict::NotHeld };
    let seen =
        if wrong.is_empty() { "files of secrets are the user's alone".to_owned() } else { wrong.join(", ") };
    check("secrets", verdict, seen, "`chmod 600` each, as the server's user.")
}

fn as_text(machine: &[Finding], app: &[Finding], lanes: &[Examined], held: bool) -> String {
    let mut text = String::from("This machine\n");
    for finding in machine {
        row(&mut text, finding, ["ok", "NOT ok", "unknown", "ok"]);
    }
    if !app.is_empty() {
        text.push_str("\nThe App\n");
    }
    for finding in app {
        row(&mut text, finding, ["ok", "NOT ok", "unknown", "look"]);
    }
    for lane in lanes {
        let _ = writeln!(text, "\nLane {}", lane.lane);
        for (name, value) in &lane.isolation {
            let _ = writeln!(text, "  {name:<10} {value}");
        }
        if let Some(why) = &lane.unavailable {
            let _ = writeln!(text, "  It takes no work: {why}");
        }
        for finding in &lane.findings {
            row(&mut text, finding, ["held", "NOT held", "not tried", "open"]);
        }
    }
    let told = if held { "Everything holds." } else { "Not everything holds, or could be tried." };
    let _ = writeln!(text, "\n{told}");
    text
}

/// Writes one line; the words are for held, not held, not tried, open.
fn row(text: &mut String, finding: &Finding, words: [&str; 4]) {
    let word = match finding.verdict {
        Verdict::Held => words[0],
        Verdict::NotHeld => words[1],
        Verdict::NotTried => words[2],
        Verdict::Open => words[3],
    };
    let _ = writeln!(text, "  {word:<9}  {}: {}", finding.attempt, finding.seen);
    if let Some(help) = &finding.help {
        let _ = writeln!(text, "             {help}");
    }
}
