//! The rehearsal: what an operator learns of a machine and its lanes before anything goes wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml lets off only #[test] functions

use std::process::{Command, Output};

use serde_json::Value;

fn rehearse(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex-brief"));
    command.arg("rehearse").args(arguments).envs(environment.iter().copied()).env_remove("RUST_LOG");
    command.output().unwrap()
}

/// Returns the rows of the JSON table, and fails with all that was printed where there is none.
fn rows(output: &Output) -> Vec<Value> {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn row<'a>(rows: &'a [Value], scenario: &str) -> &'a Value {
    rows.iter().find(|row| row["scenario"] == scenario).unwrap_or_else(|| panic!("no {scenario}: {rows:?}"))
}

#[test]
fn every_scenario_goes_as_the_rules_promise() {
    let output = rehearse(&["--json"], &[]);
    let rows = rows(&output);
    assert_eq!(output.status.code(), Some(0), "{rows:#?}");
    let seen: Vec<(&str, &str)> =
        rows.iter().map(|row| (row["scenario"].as_str().unwrap(), row["seen"].as_str().unwrap())).collect();
    // Written out here too: what the program expects must not move with what it does.
    let promised = [
        ("wall-time", "failed (retries-exhausted), 2 runs; before: time-out; nothing left"),
        ("silence", "failed (retries-exhausted), 2 runs; before: time-out; nothing left"),
        ("silence-once", "done, 2 runs; before: time-out; nothing left"),
        ("exit-130", "failed (retries-exhausted), 2 runs; before: exit 130; nothing left"),
        ("exit-137", "failed (retries-exhausted), 2 runs; before: exit 137; nothing left"),
        ("exit-1", "failed (step-failed), 1 run; nothing left"),
        ("signal-15", "failed (step-failed), 1 run; nothing left"),
        ("server-killed", "done, 2 runs; before: the server ended; nothing left"),
        ("server-killed-twice", "blocked (quarantined), 2 runs; before: the server ended; nothing left"),
        ("server-ends", "done, 2 runs; before: the server ended; nothing left"),
        ("lane-lost", "done, 2 runs; before: The lane `rehearsal` could not run the steps"),
        (
            "lease-lost",
            "done, 2 runs; before: its lease ran out; 4 late writes refused, unchanged; nothing left",
        ),
        ("stop-running", "cancelled (run-stopped), 1 run; part.txt kept; nothing left"),
        ("stop-queued", "cancelled, no run; stopped true, again false"),
        ("publishing-refused", "blocked (publishing), 1 run; made.txt kept; then done, 1 run"),
        ("publishing-broken", "blocked (publishing), 1 run; made.txt kept; then done, 1 run"),
    ];
    assert_eq!(seen, promised);
    assert!(rows.iter().all(|row| row["ok"] == true && row["expected"] == row["seen"]), "{rows:#?}");
    let progress = String::from_utf8_lossy(&output.stderr);
    assert_eq!(progress.lines().filter(|line| line.starts_with("ok ")).count(), promised.len(), "{progress}");
}

#[test]
fn a_lane_that_does_not_hold_its_processes_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("codex-brief.toml");
    let text = "[github]\napp_id = 1\nprivate_key = { environment = \"NONE\" }\n\
        webhook_secret = { environment = \"NONE\" }\n\n\
        [[lane]]\nname = \"caged\"\n\n[[lane]]\nname = \"bare\"\nsandbox = \"none\"\n";
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let only = ["stop-running", "server-killed", "exit-1", "lane-lost"];
    let scenarios = only.map(|name| ["--only", name]).concat();
    let output = rehearse(&[&["--json", "--config", config], &scenarios[..]].concat(), &[]);
    let rows = rows(&output);
    assert_eq!(output.status.code(), Some(1), "{rows:#?}");
    let (caged, bare) = rows.split_at(only.len());
    assert!(caged.iter().all(|row| row["lane"] == "caged" && row["ok"] == true), "{caged:#?}");
    assert!(bare.iter().all(|row| row["lane"] == "bare"), "{bare:#?}");
    // What a killed server leaves, its next start ends by the run's mark.
    assert!(["exit-1", "server-killed"].iter().all(|name| row(bare, name)["ok"] == true), "{bare:#?}");
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(bare.len() == 3 && progress.contains("skipped bare lane-lost: "), "{progress}");
    // Nothing holds the process that hid itself.
    let row = row(bare, "stop-running");
    assert_eq!(row["ok"], false, "{row}");
    assert!(row["expected"].as_str().unwrap().ends_with("; nothing left"), "{row}");
    assert!(row["seen"].as_str().unwrap().contains("process left"), "{row}");
    let table = rehearse(&[&["--config", config, "--lane", "bare"], &scenarios[..]].concat(), &[]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert_eq!(table.lines().filter(|line| line.ends_with("| NO")).count(), 1, "{table}");
    assert_eq!(table.lines().filter(|line| line.ends_with("| yes")).count(), 2, "{table}");
}

#[test]
fn the_number_of_retries_is_the_configured_one() {
    let environment = [("FAILED_TASK_MAX_RETRY_COUNT", "0")];
    let arguments = ["--json", "--only", "exit-137", "--only", "silence-once"];
    let output = rehearse(&arguments, &environment);
    let rows = rows(&output);
    assert_eq!(output.status.code(), Some(0), "{rows:#?}");
    assert_eq!(row(&rows, "exit-137")["seen"], "failed (step-failed), 1 run; nothing left");
    assert_eq!(row(&rows, "silence-once")["seen"], "failed (step-idle), 1 run; nothing left");
}

#[test]
fn without_a_sandbox_nothing_is_rehearsed() {
    let output = rehearse(&["--json"], &[("PATH", "/nowhere")]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("[lane-unusable]") && told.contains("bwrap"), "{told}");
    assert!(output.stdout.is_empty());
}

#[test]
fn the_throw_away_folder_is_kept_when_asked_and_gone_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("TMPDIR", folder.path().to_str().unwrap())];
    let entries = || std::fs::read_dir(folder.path()).unwrap().count();
    let output = rehearse(&["--only", "stop-queued"], &environment);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(entries(), 0);
    let output = rehearse(&["--only", "stop-queued", "--keep"], &environment);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let kept = told.lines().find_map(|line| line.strip_prefix("the throw-away folder is ")).unwrap();
    assert!(std::path::Path::new(kept).join("0/stop-queued/codex-brief.sqlite").is_file(), "{told}");
}
