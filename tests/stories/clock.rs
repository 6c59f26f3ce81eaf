//! A machine whose clock is wrong, or is set while the server runs.

use std::path::Path;

use github_sim::Fault;

use crate::support::{LANE, REPO, Town, brief};

/// Makes the wall clock of a process settable by a file, and leaves the other clocks alone.
fn settable(file: &Path) -> Vec<(String, String)> {
    let multiarch = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let library = multiarch
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.is_file())
        .expect("deploy/bootstrap.sh installs libfaketime");
    [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_NO_CACHE", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

async fn town_at(file: &Path, offset: &str, more: &[(&str, &str)]) -> Town {
    std::fs::write(file, offset).unwrap();
    let variables = settable(file);
    let mut environment: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    environment.extend(more);
    Town::with(LANE, &environment).await
}

#[tokio::test]
async fn a_clock_that_is_five_minutes_off_is_no_reason_to_fail() {
    for offset in ["+300s", "-300s"] {
        let folder = tempfile::tempdir().unwrap();
        let town = town_at(&folder.path().join("clock"), offset, &[]).await;
        let (comment, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
        assert_eq!(result["status"], "success", "{}", comment.body);
        assert_eq!(town.sim.pulls(REPO).len(), 1);
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_an_hour_makes_nothing_wait_an_hour_longer() {
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    let town = town_at(&clock, "+0s", &[("FAILED_TASK_RETRY_COOLDOWN_MS", "6000")]).await;
    town.sim.fault(Fault::new("POST", "/comments").secondary_rate_limit(4));
    let text = brief(&[("work", "test -f fast || exit 137\nsleep 2\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Back", &text).unwrap();
    town.logged("the run was interrupted").await;
    town.sim.push_commit(REPO, "maria", "main", &[("fast", "\n")], "Be fast").unwrap();
    std::fs::write(&clock, "-3600s").unwrap();
    town.logged("the system clock was stepped").await;
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert_eq!(town.sim.faults_left(), 0);
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.sim.pulls(REPO).len(), 2);
}

#[tokio::test]
async fn a_clock_that_is_set_right_between_two_starts_makes_nothing_wait_an_hour_longer() {
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    let mut town = town_at(&clock, "+3600s", &[]).await;
    town.sim.fault(Fault::new("POST", "/comments").secondary_rate_limit(5));
    let text = brief(&[("write", "echo x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Right", &text).unwrap();
    let mut store = town.store().await;
    let put_off = "SELECT 1 FROM effects WHERE state = 'owed' AND not_before > 0";
    town.until(async || sqlx::query(put_off).fetch_optional(&mut store).await.unwrap().is_some()).await;
    drop(store);
    town.crash();
    std::fs::write(&clock, "+0s").unwrap();
    town.start_again();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(issue.number).len(), 1);
}
