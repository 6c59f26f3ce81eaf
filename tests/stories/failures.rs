//! A server that dies and a GitHub that fails: one pull request and one comment all the same.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use github_sim::Fault;

use crate::support::{LANE, REPO, Town, brief};

#[tokio::test]
async fn a_server_that_dies_during_a_run_ends_it_after_the_next_start() {
    let town = Town::new().await;
    let text = brief(&[("slow", "echo begun\nsleep 3\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Crash", &text).unwrap();
    town.logged("step begins").await;
    let town = town.crash_and_restart();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.sim.pulls(REPO).len(), 2);
}

#[tokio::test]
async fn what_a_dead_run_left_behind_is_ended_and_removed_at_the_next_start() {
    let town = Town::new().await;
    let run = town.state().join("runs/01a1fae7-9bba-77d0-801e-258452616822");
    for folder in ["checkout", "home", "tmp", "logs"] {
        std::fs::create_dir_all(run.join(folder)).unwrap();
    }
    let mount =
        format!("mount --bind '{}' /mnt && echo mounted && exec sleep 1000", run.join("home").display());
    let mut left = Command::new("unshare")
        .args(["-Urm", "sh", "-c", &mount])
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare of util-linux starts");
    let mut line = String::new();
    BufReader::new(left.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "mounted\n");
    let town = town.crash_and_restart();
    town.logged("left behind").await;
    assert_eq!(left.wait().unwrap().signal(), Some(9));
    town.until(async || !run.join("checkout").exists()).await;
    assert!(run.join("logs").exists());
    town.everything_else_is_done().await;
}

#[tokio::test]
async fn a_server_that_is_told_to_end_finishes_what_runs() {
    let town = Town::new().await;
    let text = brief(&[("slow", "sleep 2\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "End", &text).unwrap();
    town.logged("step begins").await;
    let town = town.end_and_restart().await;
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(issue.number).len(), 1);
    let pulls = town.sim.pulls(REPO);
    assert_eq!(pulls.len(), 2, "{pulls:?}");
    assert!(!town.server.log().contains("queued again"), "the run was lost");
}

#[tokio::test]
async fn a_brief_that_takes_the_server_down_twice_is_not_tried_again() {
    let mut town = Town::new().await;
    let text = brief(&[("slow", "sleep 60")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Crash", &text).unwrap();
    for _ in 0..2 {
        town.logged("step begins").await;
        town = town.crash_and_restart();
    }
    let (_, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "quarantined");
}

#[tokio::test]
async fn a_brief_that_takes_its_lane_down_twice_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    // A run's own user starts its sandbox.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    // Each call but those that ask for the version takes a line of `fates`, and fails if it is `broken`.
    let bubblewrap = folder.path().join("bwrap");
    let real = std::process::Command::new("sh").args(["-c", "command -v bwrap"]).output().unwrap();
    let (fates, real) = (folder.path().join("fates"), String::from_utf8(real.stdout).unwrap());
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] || {{ fate=$(head -n 1 '{0}'); sed -i 1d '{0}'; }}\n\
         [ \"$fate\" = broken ] && exit 1\nexec {1} \"$@\"\n",
        fates.display(),
        real.trim()
    );
    std::fs::write(&fates, "").unwrap();
    std::fs::write(&bubblewrap, script).unwrap();
    std::fs::set_permissions(&bubblewrap, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let town = Town::with(LANE, &[("PATH", &path)]).await;
    town.logged("the lane takes work").await;
    // The second run comes after a trial that finds nothing wrong.
    std::fs::write(&fates, "broken\nfine\nbroken\n").unwrap();
    let (comment, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    assert_eq!(result["problem"]["code"], "quarantined", "{}", comment.body);
    assert_eq!(town.server.log().matches("run begins").count(), 2);
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_no_reason_to_write_twice() {
    let town = Town::new().await;
    town.sim.fault(Fault::new("GET", "/app").status(502));
    town.sim.fault(Fault::new("POST", "/pulls").status_after_effect(502));
    town.sim.fault(Fault::new("POST", "/comments").status_after_effect(502));
    let (_, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    assert_eq!(result["status"], "success");
    town.everything_else_is_done().await;
    assert_eq!(town.sim.faults_left(), 0);
    assert_eq!(town.sim.pulls(REPO).len(), 2);
    let thread = town.pull(&result).body;
    assert!(!thread.is_empty());
    assert_eq!(town.own_comments(1).len(), 1);
}

#[tokio::test]
async fn a_failing_permission_look_up_delays_a_brief_and_does_not_lose_it() {
    let town = Town::new().await;
    town.sim.fault(Fault::new("GET", "/permission").status(502).times(2));
    let (_, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    assert_eq!(result["status"], "success");
    assert_eq!(town.sim.faults_left(), 0);
}

#[tokio::test]
async fn a_rate_limit_is_obeyed() {
    let town = Town::new().await;
    town.sim.fault(Fault::new("GET", "/permission").secondary_rate_limit(3));
    let before = std::time::Instant::now();
    let (_, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    assert_eq!(result["status"], "success");
    assert!(before.elapsed().as_secs() >= 3, "GitHub was called early");
    assert!(town.sim.early_calls().is_empty(), "{:?}", town.sim.early_calls());
}

#[tokio::test]
async fn a_branch_that_is_there_already_is_left_alone() {
    let town = Town::new().await;
    let slow = brief(&[("slow", "sleep 2\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Conflict", &slow).unwrap();
    town.logged("step begins").await;
    let log = town.server.log();
    let short = log.split("brief=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let branch = format!("codex-brief/{}-reports-add-it-{short}", issue.number);
    let theirs = town.sim.push_commit(REPO, "olga", &branch, &[("o.txt", "o\n")], "Mine").unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "branch-conflict", "{}", comment.body);
    assert_eq!(town.sim.commit(REPO, &branch).unwrap().sha, theirs);
}

#[tokio::test]
async fn a_token_that_ends_early_is_made_anew() {
    let town = Town::new().await;
    let text = brief(&[("slow", "sleep 2\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Tokens", &text).unwrap();
    town.logged("step begins").await;
    town.sim.expire_tokens();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
}
