//! `codex-brief rehearse`: what becomes of a task when steps hang, servers crash and GitHub refuses.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::{LaneConfig, QueueConfig};
use crate::error::UserError;
use crate::lane::ProcessLane;
use crate::server::rehearsal::{Cast, Row, Scenario, play, serve_in};

/// How many scenarios are played at a time: most of them wait most of the time.
const AT_A_TIME: usize = 6;

/// Rehearses time-outs, signals and crashes on this machine, without GitHub.
///
/// Each scenario gets a throw-away store with one task, and the queue, lane and recovery that `serve`
/// has; one of its servers is a process that is really killed. What the rules promise stands beside
/// what was seen. Times are shortened, the number of retries is the configured one, and the state
/// directory is not touched. Progress goes to standard error, the table to standard output. The exit
/// code is 0 when everything was as promised, 1 when something was not, 2 when it could not be tried.
#[derive(Debug, Args)]
#[command(
    after_help = "Scenarios: wall-time, silence, silence-once, exit-130, exit-137, exit-1, signal-15, \
server-killed, server-killed-twice, server-ends, lane-lost, lease-lost, stop-running, stop-queued, publishing-refused, publishing-broken. \
docs/operations.md tells what each is about."
)]
pub struct RehearseArgs {
    /// A server's configuration, whose lanes are rehearsed one after the other; without it, a lane with
    /// bubblewrap and the usual settings is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Rehearses only this lane of the configuration.
    #[arg(long, value_name = "NAME", requires = "config")]
    lane: Option<String>,
    /// Plays only this scenario; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = scenario)]
    only: Vec<Scenario>,
    /// Prints the table as JSON.
    #[arg(long)]
    json: bool,
    /// Keeps the throw-away folder, and tells where it is.
    #[arg(long)]
    keep: bool,
    /// Is the server that a scenario kills.
    #[arg(long, value_name = "FOLDER", hide = true)]
    serve_in: Option<PathBuf>,
}

fn scenario(name: &str) -> Result<Scenario, String> {
    let names = || Scenario::ALL.map(Scenario::name).join(", ");
    let found = Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
    found.ok_or_else(|| format!("there is no such scenario; there are {}", names()))
}

/// Plays the scenarios on each lane.
pub async fn run(args: RehearseArgs) -> Result<u8, UserError> {
    let (lanes, queue) = settings(&args)?;
    if let Some(folder) = &args.serve_in {
        let (lane, scenario) = (lanes.into_iter().next(), args.only.first().copied());
        let (Some(lane), Some(scenario)) = (lane, scenario) else { return Ok(super::TROUBLE) };
        let cast = Cast::new(scenario, folder.clone(), lane, queue, Default::default());
        return serve_in(&cast).await.map(|()| 0).map_err(|error| trouble(&format!("{error:#}")));
    }
    let folder = tempfile::Builder::new().prefix("codex-brief-rehearsal-").tempdir();
    let mut folder = folder.map_err(|error| trouble(&error))?;
    folder.disable_cleanup(args.keep);
    for lane in &lanes {
        probe(lane, &folder.path().join("trials")).await?;
    }
    let mut rows = Vec::new();
    for (at, lane) in lanes.iter().enumerate() {
        let state = folder.path().join(at.to_string());
        std::fs::create_dir(&state).map_err(|error| trouble(&error))?;
        tokio::select! {
            played = rehearse(&args, lane, &queue, &state) => rows.append(&mut played?),
            () = super::told_to_end() => return Err(told_to_end()),
        }
    }
    if args.json {
        super::print_json(&rows);
    } else {
        super::print(&table(&rows));
    }
    if args.keep {
        eprintln!("the throw-away folder is {}", folder.path().display());
    }
    Ok(u8::from(rows.iter().any(|row| !row.ok)))
}

fn trouble(error: &dyn std::fmt::Display) -> UserError {
    UserError::new(
        "rehearsal-impossible",
        format!("The rehearsal cannot be held: {error}."),
        "Look at the space in the folder for temporary files (TMPDIR) and its permissions.",
    )
}

fn told_to_end() -> UserError {
    UserError::new("rehearsal-ended", "The rehearsal was told to end before it was over.", "Start it again.")
}

/// Returns the lanes that are rehearsed, and the queue's settings.
fn settings(args: &RehearseArgs) -> Result<(Vec<LaneConfig>, QueueConfig), UserError> {
    let Some(file) = &args.config else {
        return Ok((vec![LaneConfig::named("rehearsal")], QueueConfig::without_file()?));
    };
    let config = super::load_config(file)?;
    let names: Vec<String> = config.lanes.iter().map(|lane| lane.name.clone()).collect();
    let is_wanted = |lane: &LaneConfig| args.lane.as_ref().is_none_or(|name| *name == lane.name);
    let wanted = config.lanes.into_iter().filter(|lane| lane.enabled && is_wanted(lane));
    let lanes: Vec<LaneConfig> = wanted.collect();
    if lanes.is_empty() {
        return Err(super::lane_unknown(args.lane.as_deref().unwrap_or("*"), &names));
    }
    Ok((lanes, config.queue))
}

/// Finds out whether a lane works at all.
async fn probe(lane: &LaneConfig, runs_root: &Path) -> Result<(), UserError> {
    let probed = ProcessLane::new(lane.clone()).probe(runs_root).await;
    probed.map_err(|why| {
        let message = format!("The lane `{}` cannot run a step here: {}", lane.name, why.reason);
        UserError::new("lane-unusable", message, why.help)
    })
}

/// Plays the scenarios on a lane, several at a time, and returns them in their order.
async fn rehearse(
    args: &RehearseArgs,
    lane: &LaneConfig,
    queue: &QueueConfig,
    state: &Path,
) -> Result<Vec<Row>, UserError> {
    let program = std::env::current_exe().map_err(|error| trouble(&error))?;
    let scenarios = Scenario::ALL.into_iter();
    let wanted = scenarios.filter(|scenario| args.only.is_empty() || args.only.contains(scenario));
    let (wanted, skipped): (Vec<_>, Vec<_>) = wanted.partition(|scenario| scenario.applies_to(lane));
    for scenario in skipped {
        eprintln!("skipped {} {}: the lane has no sandbox that could fail", lane.name, scenario.name());
    }
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut playing = JoinSet::new();
    for (at, scenario) in wanted.into_iter().enumerate() {
        let folder = state.join(scenario.name());
        std::fs::create_dir(&folder).map_err(|error| trouble(&error))?;
        let again = (program.clone(), arguments(args, lane, scenario));
        let cast = Cast::new(scenario, folder, lane.clone(), queue.clone(), again);
        let places = places.clone();
        playing.spawn(async move {
            let _place = places.acquire_owned().await;
            (at, play(scenario, &cast).await)
        });
    }
    let mut rows = Vec::new();
    while let Some(played) = playing.join_next().await {
        let (at, row) = played.map_err(|error| trouble(&error))?;
        let (word, seconds) = (if row.ok { "ok" } else { "DIFFERS" }, row.ms as f64 / 1000.0);
        eprintln!("{word:<7} {} {} ({seconds:.1} s)", row.lane, row.scenario);
        rows.push((at, row));
    }
    rows.sort_by_key(|(at, _)| *at);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Returns the arguments by which this program finds the same lane and scenario again.
fn arguments(args: &RehearseArgs, lane: &LaneConfig, scenario: Scenario) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["rehearse", "--only", scenario.name()].map(OsString::from).into();
    if let Some(config) = &args.config {
        words.extend(["--config".into(), config.into(), "--lane".into(), OsString::from(&lane.name)]);
    }
    words
}

/// Makes the table: what was expected and seen, a line a scenario.
fn table(rows: &[Row]) -> String {
    let head = ["lane", "scenario", "expected", "seen", "ok"].map(str::to_owned);
    let line = |row: &Row| {
        let seen = if row.ok { "as expected" } else { &row.seen };
        let ok = if row.ok { "yes" } else { "NO" };
        [&row.lane, row.scenario, &row.expected, seen, ok].map(str::to_owned)
    };
    let lines: Vec<[String; 5]> = std::iter::once(head).chain(rows.iter().map(line)).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let padded = |line: &[String; 5]| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join(" | ").trim_end().to_owned()
    };
    lines.iter().map(padded).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[derive(clap::Parser)]
    struct Alone {
        #[command(flatten)]
        _args: RehearseArgs,
    }

    #[test]
    fn the_help_names_every_scenario() {
        let help = Alone::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for scenario in Scenario::ALL {
            assert!(help.contains(scenario.name()), "{}: {help}", scenario.name());
        }
    }

    #[test]
    fn the_table_shows_a_difference_in_full() {
        let row = |ok, seen: &str| Row {
            lane: "rehearsal".to_owned(),
            scenario: "exit-1",
            expected: "failed, 1 run".to_owned(),
            seen: seen.to_owned(),
            ok,
            ms: 1,
        };
        let table = table(&[row(true, "failed, 1 run"), row(false, "done")]);
        assert_eq!(
            table,
            "lane      | scenario | expected      | seen        | ok\n\
             rehearsal | exit-1   | failed, 1 run | as expected | yes\n\
             rehearsal | exit-1   | failed, 1 run | done        | NO"
        );
    }
}
