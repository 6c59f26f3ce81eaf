//! Stopping: nothing of a stopped run is left, what it made is kept, and the thread is told once.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use github_sim::Fault;
use serde_json::Value;

use crate::support::{REPO, SOON, Town, brief};

/// Is printed by a step once all its processes are there.
const BUSY: &str = "all is started";

/// Returns the processes that have a folder of a run mounted, or name the run in their environment.
fn processes_of(run: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let read = |name: &str| std::fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
        let holds = |bytes: &[u8]| bytes.windows(run.len()).any(|window| window == run.as_bytes());
        if holds(&read("mountinfo")) || holds(&read("environ")) {
            found.push(format!("{id} {}", String::from_utf8_lossy(&read("cmdline"))));
        }
    }
    found
}

/// Tells whether a git of the server runs, which has a home below the state directory.
fn git_runs(town: &Town) -> bool {
    let home = town.state().join("mirrors/home");
    !processes_of(home.to_str().unwrap()).is_empty()
}

/// Waits until a step has written a file, which shows that it is where it shall be.
async fn printed(town: &Town, text: &str) {
    let wait = async {
        loop {
            let logs = walk(&town.state().join("runs"));
            if logs.iter().any(|log| log.contains(text)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(SOON, wait).await.is_ok(),
        "no step printed `{text}`:\n{}",
        town.server.log()
    );
}

/// Returns the contents of all logs of runs.
fn walk(runs: &std::path::Path) -> Vec<String> {
    let Ok(runs) = std::fs::read_dir(runs) else { return vec![] };
    let logs = runs.flatten().filter_map(|run| std::fs::read_dir(run.path().join("logs")).ok());
    logs.flat_map(|logs| logs.flatten())
        .map(|log| std::fs::read_to_string(log.path()).unwrap_or_default())
        .collect()
}

/// Checks what holds after every stop: one comment, nothing left, the lane free.
async fn is_over(town: &Town, thread: u64, result: &Value) {
    assert_eq!(result["problem"]["code"], "run-stopped", "{result}");
    assert_eq!(result["processes_left"], 0);
    let left = processes_of(result["run"].as_str().unwrap());
    assert!(left.is_empty(), "{left:?}");
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(thread).len(), 1, "{:#?}", town.own_comments(thread));
    assert_eq!(town.sim.pulls(REPO).len(), 1, "only that of the marker");
}

/// Has a run with this script stopped by a comment once it is busy, and returns its result.
async fn stopped(town: &Town, script: &str) -> (u64, String, Value) {
    let text = brief(&[("fine", "true"), ("slow", script), ("later", "true")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Stop it", &text).unwrap();
    printed(town, BUSY).await;
    let run = std::fs::read_dir(town.state().join("runs")).unwrap().next().unwrap().unwrap();
    let run = run.file_name().into_string().unwrap();
    assert!(!processes_of(&run).is_empty(), "this test finds processes of a run");
    town.sim.comment(REPO, issue.number, "olga", "Enough.\n\n/stop\n").unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["run"], run.as_str());
    (issue.number, comment.body, result)
}

const ONE_PLACE: &str = "[[lane]]\nname = \"devbox-codex\"\nparallel = 1\n";

#[tokio::test]
async fn a_run_is_stopped_where_it_is_and_what_it_changed_is_kept() {
    let town = Town::with_lanes(ONE_PLACE).await;
    let (thread, body, result) = stopped(&town, &format!("echo half > x.txt\necho {BUSY}\nsleep 600")).await;
    for words in
        ["Stopped: step 2 of 3", "in step 2 (`slow`)", "`olga`", "No process of it is left (checked)"]
    {
        assert!(body.contains(words), "{words}: {body}");
    }
    let status = |step: usize| result["steps"][step]["status"].as_str().unwrap().to_owned();
    assert_eq!([status(0), status(1), status(2)], ["succeeded", "stopped", "skipped"]);
    assert!(body.contains("+half"), "{body}");
    is_over(&town, thread, &result).await;
    let (code, patch, _) = town.operator(&["patch", result["brief"].as_str().unwrap()]).await;
    assert!(code == 0 && patch.contains("+half"), "{patch}");
}

#[tokio::test]
async fn no_process_survives_a_stop_however_it_hides() {
    let town = Town::with_lanes(ONE_PLACE).await;
    let script = format!(
        "trap '' TERM\nsleep 601 &\n(setsid sh -c 'trap \"\" TERM; sleep 602 & sleep 603' >/dev/null 2>&1 &)\n\
         for i in 1 2 3 4 5; do (nohup sh -c 'while :; do sleep 0.1; done' >/dev/null 2>&1 &); done\n\
         echo half > x.txt\necho {BUSY}\nwhile :; do sleep 1; done"
    );
    let (thread, body, result) = stopped(&town, &script).await;
    assert!(body.contains("in step 2 (`slow`)"), "{body}");
    is_over(&town, thread, &result).await;
}

#[tokio::test]
async fn a_run_is_stopped_while_it_fetches() {
    let town = Town::with_lanes(ONE_PLACE).await;
    town.sim.fault(Fault::new("GET", "info/refs").delay(Duration::from_secs(40)));
    let issue = town.sim.open_issue(REPO, "maria", "Stop it", &brief(&[("x", "true")], &["x.txt"])).unwrap();
    town.logged("run begins").await;
    let fetching = async {
        while !git_runs(&town) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, fetching).await.is_ok(), "{}", town.server.log());
    let before = std::time::Instant::now();
    town.sim.comment(REPO, issue.number, "maria", "/stop").unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert!(before.elapsed() < Duration::from_secs(35), "the fetch was waited for");
    assert!(comment.body.contains("before its first step"), "{}", comment.body);
    assert!(!git_runs(&town), "git is left");
    town.sim.clear_faults();
    is_over(&town, issue.number, &result).await;
}

#[tokio::test]
async fn a_run_is_stopped_while_its_changes_are_collected() {
    let lanes = format!("{ONE_PLACE}[lane.limits]\nchanged_files = 100000\n");
    let town = Town::with_lanes(&lanes).await;
    let text = brief(&[("many", "mkdir d; for i in $(seq 6000); do echo $i > d/$i; done")], &["d/1"]);
    let issue = town.sim.open_issue(REPO, "maria", "Stop it", &text).unwrap();
    town.logged("step ended").await;
    town.sim.comment(REPO, issue.number, "maria", "/stop").unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert!(comment.body.contains("after step 1 (`many`), its last"), "{}", comment.body);
    is_over(&town, issue.number, &result).await;
}

#[tokio::test]
async fn what_waits_is_cancelled_and_what_is_over_is_told() {
    let town = Town::with_lanes(ONE_PLACE).await;
    let slow =
        town.sim.open_issue(REPO, "maria", "Busy", &brief(&[("slow", "sleep 600")], &["x.txt"])).unwrap();
    town.logged("step begins").await;
    let issue = town.sim.open_issue(REPO, "maria", "Waits", &brief(&[("x", "true")], &["x.txt"])).unwrap();
    town.seen(issue.number).await;
    town.sim.comment(REPO, issue.number, "maria", "/stop").unwrap();
    town.told(issue.number, "is cancelled; it was waiting and will not run").await;
    town.sim.comment(REPO, issue.number, "maria", "/stop").unwrap();
    town.told(issue.number, "has ended: cancelled").await;
    town.sim.comment(REPO, slow.number, "maria", "/stop").unwrap();
    let (_, result) = town.result(slow.number, 1).await;
    let id = &result["brief"].as_str().unwrap()[..12];
    town.sim.comment(REPO, slow.number, "maria", &format!("/stop {id}")).unwrap();
    town.told(slow.number, "has ended already: cancelled").await;
    town.sim.comment(REPO, slow.number, "maria", "/stop 0123456789ab").unwrap();
    town.told(slow.number, "No brief or run of this repository begins with").await;
    town.everything_else_is_done().await;
    assert_eq!(town.sim.pulls(REPO).len(), 1);
}

#[tokio::test]
async fn work_that_is_being_published_is_not_stopped() {
    let town = Town::new().await;
    town.sim.fault(Fault::new("POST", "/pulls").status(502).times(2));
    let issue =
        town.sim.open_issue(REPO, "maria", "Late", &brief(&[("x", "echo x > x.txt")], &["x.txt"])).unwrap();
    town.logged("a write is put off").await;
    town.sim.comment(REPO, issue.number, "maria", "/stop").unwrap();
    town.told(issue.number, "its work has ended and is being published").await;
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
}

#[tokio::test]
async fn who_may_not_run_briefs_may_not_stop_them() {
    let town = Town::new().await;
    let text = brief(&[("slow", "sleep 3\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Mine", &text).unwrap();
    town.logged("step begins").await;
    town.sim.comment(REPO, issue.number, "rob", "/stop").unwrap();
    town.told(issue.number, "may not run briefs").await;
    // Also not by having somebody touch the text who may.
    let comments = town.sim.comments(REPO, issue.number);
    let rob = comments.iter().find(|comment| comment.author == "rob").unwrap();
    town.sim.edit_comment(REPO, rob.id, "maria", "/stop\n\n/stop").unwrap();
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
}

#[tokio::test]
async fn a_stop_outlives_the_server_that_was_asked() {
    let town = Town::with_lanes(ONE_PLACE).await;
    let script = format!("trap '' TERM\necho {BUSY}\nwhile :; do sleep 0.1; done");
    let text = brief(&[("fine", "true"), ("slow", &script)], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Stop it", &text).unwrap();
    printed(&town, BUSY).await;
    town.sim.comment(REPO, issue.number, "maria", "/stop").unwrap();
    // The step ignores that it is asked, so the server dies before the run has ended.
    town.logged("a run is to be stopped").await;
    let town = town.crash_and_restart();
    let (comment, result) = town.result(issue.number, 1).await;
    assert!(comment.body.contains("in step 2 (`slow`)"), "{}", comment.body);
    is_over(&town, issue.number, &result).await;
}

#[tokio::test]
async fn the_operator_stops_a_run_and_waits_for_its_end() {
    let town = Town::with_lanes(ONE_PLACE).await;
    let text = brief(&[("slow", &format!("echo {BUSY}\nsleep 600"))], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Stop it", &text).unwrap();
    printed(&town, BUSY).await;
    let (code, printed, told) = town.operator(&["status", "--json"]).await;
    let lines: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, lines[0]["state"].as_str()), (0, Some("running")), "{told}");
    let id = lines[0]["brief"].as_str().unwrap()[..12].to_owned();
    let (code, printed, told) = town.operator(&["stop", &id]).await;
    assert_eq!(code, 0, "{printed}{told}");
    assert!(
        printed.contains("in step 1 (`slow`)") && printed.contains("No process of it is left"),
        "{printed}"
    );
    assert!(told.contains("being stopped"), "{told}");
    let (comment, result) = town.result(issue.number, 1).await;
    assert!(comment.body.contains("`operator` stopped the run"), "{}", comment.body);
    is_over(&town, issue.number, &result).await;
    assert_eq!(town.operator(&["stop", &id]).await.0, 1, "there is nothing to stop any more");
    let (code, _, told) = town.operator(&["stop", "0123456789ab"]).await;
    assert!(code == 2 && told.contains("task-unknown"), "{told}");
}

#[tokio::test]
async fn without_a_server_what_waits_is_cancelled_and_told_later() {
    let mut town = Town::with_lanes(ONE_PLACE).await;
    let busy = brief(&[("slow", "sleep 600")], &["x.txt"]);
    let running = town.sim.open_issue(REPO, "maria", "Busy", &busy).unwrap();
    town.logged("step begins").await;
    let waiting = town.sim.open_issue(REPO, "maria", "Waits", &brief(&[("x", "true")], &["x.txt"])).unwrap();
    town.seen(waiting.number).await;
    town.crash();
    let (code, printed, told) = town.operator(&["status", "--json"]).await;
    assert_eq!(code, 0, "{told}");
    let lines: Value = serde_json::from_str(&printed).unwrap();
    let id = |thread: u64| {
        let mut lines = lines.as_array().unwrap().iter();
        lines.find(|line| line["thread"] == thread).unwrap()["brief"].as_str().unwrap().to_owned()
    };
    for arguments in [["stop", &id(running.number)], ["publish", &id(waiting.number)]] {
        let (code, _, told) = town.operator(&arguments).await;
        assert!(code == 2 && told.contains("server-not-running"), "{told}");
    }
    let (code, printed, told) = town.operator(&["stop", &id(waiting.number)]).await;
    assert!(code == 0 && printed.contains("cancelled"), "{printed}{told}");
    town.start_again();
    town.told(waiting.number, "cancelled").await;
    town.sim.comment(REPO, running.number, "maria", "/stop").unwrap();
    town.result(running.number, 1).await;
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(waiting.number).len(), 1);
}

#[tokio::test]
async fn whatever_has_a_folder_of_the_run_mounted_is_found_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let run = "01a1fae7-9bba-77d0-801e-258452616899";
    let home = folder.path().join("runs").join(run).join("home");
    std::fs::create_dir_all(&home).unwrap();
    let mount = format!("mount --bind '{}' /mnt && echo mounted && exec sleep 1000", home.display());
    let mut left = Command::new("setsid")
        .args(["unshare", "-Urm", "env", "-i", "sh", "-c", &mount])
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare of util-linux starts");
    let mut line = String::new();
    BufReader::new(left.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "mounted\n");
    assert_eq!(codex_brief::lane::leftovers(run, None).await, 0);
    let found = processes_of(run);
    left.kill().unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(left.wait().unwrap().signal(), Some(9));
}

#[tokio::test]
async fn a_step_cannot_reach_the_control_socket() {
    let town = Town::with_lanes("[[lane]]\nname = \"devbox-codex\"\nnetwork = \"full\"\n").await;
    let socket = town.state().join("control.sock");
    assert!(socket.exists());
    let look = format!(
        "ls -la '{}' 2>&1 || echo no socket\ncat /proc/net/unix | grep -c control.sock || true\n\
         find / -xdev -name 'control.sock' 2>/dev/null | head\necho x > x.txt",
        socket.display()
    );
    let (comment, result) = town.run(&[("look", &look)], &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert!(comment.body.contains("no socket"), "{}", comment.body);
    assert!(!comment.body.contains("srw"), "{}", comment.body);
}
