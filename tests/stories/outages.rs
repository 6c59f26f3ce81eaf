//! A GitHub that fails, limits, moves and locks: nothing is lost, nothing is made twice.

use github_sim::{Fault, FaultKind};
use serde_json::json;

use crate::support::{LANE, REPO, Town, brief, is_result};

const STEP: [(&str, &str); 1] = [("write", "echo x > x.txt")];
const SLOW: [(&str, &str); 1] = [("slow", "sleep 2\necho x > x.txt")];

/// Finished work is published again by itself after this wait.
const SOON_AGAIN: (&str, &str) = ("BLOCKED_TASK_RETRY_COOLDOWN_MS", "2000");

#[tokio::test]
async fn a_limit_without_a_time_is_kept_for_a_minute_and_nothing_is_called_early() {
    let town = Town::new().await;
    let body = json!({"message": "You have exceeded a secondary rate limit."});
    let limit = FaultKind::Answer { status: 403, body, headers: Default::default() };
    town.sim.fault(Fault::new("POST", "/pulls").kind(limit));
    town.sim.fault(Fault::new("POST", "/comments").secondary_rate_limit(2));
    let (_, result) = town.run(&STEP, &["x.txt"]).await;
    assert_eq!(result["status"], "success");
    assert_eq!(town.sim.faults_left(), 0);
    let early = town.sim.early_calls();
    assert!(early.is_empty(), "{early:?}");
    assert_eq!(town.sim.pulls(REPO).len(), 1);
}

#[tokio::test]
async fn more_writes_than_github_takes_in_a_minute_wait_and_none_is_lost() {
    let town = Town::with_github("content_per_minute = 6\n", LANE).await;
    let threads: Vec<u64> = (0..4)
        .map(|_| town.sim.open_issue(REPO, "maria", "Many", &brief(&STEP, &["x.txt"])).unwrap().number)
        .collect();
    for thread in &threads {
        let (_, result) = town.result(*thread, 1).await;
        assert_eq!(result["status"], "success");
    }
    let written = town.sim.content_requests();
    assert!(written.len() >= 8, "{written:?}");
    let in_a_minute = |from: usize| {
        let until = written[from].at + chrono::TimeDelta::seconds(58);
        written[from..].iter().filter(|request| request.at < until).count()
    };
    assert!((0..written.len()).all(|from| in_a_minute(from) <= 6), "{written:?}");
    assert_eq!(town.sim.pulls(REPO).len(), 4);
}

#[tokio::test]
async fn a_suspended_app_publishes_once_it_is_let_in_again() {
    let town = Town::with(LANE, &[SOON_AGAIN]).await;
    let issue = town.sim.open_issue(REPO, "maria", "Suspend", &brief(&SLOW, &["x.txt"])).unwrap();
    town.logged("step begins").await;
    town.sim.suspend_installation();
    town.logged("state=\"blocked\"").await;
    town.sim.unsuspend_installation();
    town.until(async || town.sim.pulls(REPO).len() == 1).await;
    assert_eq!(town.server.log().matches("run begins").count(), 1);
    assert!(town.sim.issue(REPO, issue.number).is_some());
}

#[tokio::test]
async fn an_app_that_is_taken_out_publishes_once_it_is_let_in_again() {
    let town = Town::with(LANE, &[SOON_AGAIN]).await;
    let issue = town.sim.open_issue(REPO, "maria", "Uninstall", &brief(&SLOW, &["x.txt"])).unwrap();
    town.logged("step begins").await;
    town.sim.set_installed(REPO, false).unwrap();
    town.logged("state=\"blocked\"").await;
    assert!(town.sim.pulls(REPO).is_empty());
    town.sim.set_installed(REPO, true).unwrap();
    town.until(async || town.result(issue.number, 1).await.1["status"] == "success").await;
    assert_eq!(town.sim.pulls(REPO).len(), 1);
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.server.log().matches("run begins").count(), 1);
}

#[tokio::test]
async fn a_run_that_finds_github_away_waits_and_runs_once_it_is_back() {
    let town = Town::new().await;
    town.sim.fault(Fault::new("*", ".git/").status(502).times(1_000));
    let issue = town.sim.open_issue(REPO, "maria", "Away", &brief(&STEP, &["x.txt"])).unwrap();
    town.logged("GitHub cannot be reached; the task waits").await;
    town.told(issue.number, "GitHub could not be reached").await;
    assert!(!town.own_comments(issue.number).iter().any(is_result));
    town.sim.clear_faults();
    // It would be tried again after half a minute.
    let mut store = town.store().await;
    sqlx::query("UPDATE tasks SET not_before = 1").execute(&mut store).await.unwrap();
    town.everything_else_is_done().await;
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.sim.pulls(REPO).len(), 2);
}

#[tokio::test]
async fn a_repository_that_is_renamed_during_a_run_gets_its_pull_request_all_the_same() {
    let town = Town::new().await;
    let issue = town.sim.open_issue(REPO, "maria", "Rename", &brief(&SLOW, &["x.txt"])).unwrap();
    town.logged("step begins").await;
    town.sim.rename_repository(REPO, "renamed").unwrap();
    let name = "octo/renamed";
    town.until(async || town.sim.comments(name, issue.number).iter().any(|it| it.body.contains("Success")))
        .await;
    assert_eq!(town.sim.pulls(name).len(), 1);
    let comments = town.sim.comments(name, issue.number);
    assert_eq!(comments.iter().filter(|comment| comment.by_app).count(), 1);
}

#[tokio::test]
async fn a_repository_whose_old_name_is_given_to_another_is_not_mistaken_for_it() {
    let town = Town::new().await;
    town.sim.open_issue(REPO, "maria", "Rename", &brief(&SLOW, &["x.txt"])).unwrap();
    town.logged("step begins").await;
    town.sim.rename_repository(REPO, "renamed").unwrap();
    town.sim.create_repository(REPO, &[("other.txt", "other\n")]).unwrap();
    town.until(async || !town.sim.pulls("octo/renamed").is_empty()).await;
    assert!(town.sim.pulls(REPO).is_empty());
    assert_eq!(town.sim.branches(REPO).len(), 1, "the other repository was written to");
}

#[tokio::test]
async fn a_repository_that_moves_to_another_owner_is_followed() {
    let town = Town::with(LANE, &[SOON_AGAIN]).await;
    let issue = town.sim.open_issue(REPO, "maria", "Move", &brief(&SLOW, &["x.txt"])).unwrap();
    town.logged("step begins").await;
    town.sim.transfer_repository(REPO, "elsewhere").unwrap();
    let name = "elsewhere/example";
    town.until(async || !town.sim.pulls(name).is_empty()).await;
    town.until(async || town.sim.comments(name, issue.number).iter().any(|it| it.body.contains("Success")))
        .await;
    assert_eq!(town.sim.pulls(name).len(), 1);
}

#[tokio::test]
async fn work_for_an_archived_repository_or_a_protected_branch_waits_until_that_changes() {
    let town = Town::with(LANE, &[SOON_AGAIN]).await;
    let issue = town.sim.open_issue(REPO, "maria", "Archive", &brief(&SLOW, &["x.txt"])).unwrap();
    town.logged("step begins").await;
    town.sim.archive_repository(REPO).unwrap();
    town.logged("state=\"blocked\"").await;
    town.sim.set_archived(REPO, false).unwrap();
    town.told(issue.number, "Success").await;

    town.sim.protect_branch(REPO, "codex-brief/*").unwrap();
    let issue = town.sim.open_issue(
        REPO,
        "maria",
        "Protect",
        &brief(&SLOW, &["y.txt"]).replace("x.txt\n", "y.txt\n"),
    );
    let issue = issue.unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "push-rejected", "{}", comment.body);
    town.sim.unprotect_branches(REPO).unwrap();
    let published = town.told(issue.number, "Success").await;
    assert_eq!(published.id, comment.id);
    assert_eq!(town.sim.pulls(REPO).len(), 2);
    assert_eq!(town.server.log().matches("run begins").count(), 2);
}

#[tokio::test]
async fn a_pull_request_that_is_there_already_is_taken() {
    let town = Town::new().await;
    // Its answer is lost, and so is that of the look-up which follows.
    town.sim.fault(Fault::new("POST", "/pulls").drop_after_effect());
    town.sim.fault(Fault::new("GET", "/pulls").status(500).after(1).times(2));
    let (_, result) = town.run(&STEP, &["x.txt"]).await;
    assert_eq!(result["status"], "success");
    town.everything_else_is_done().await;
    assert_eq!(town.sim.pulls(REPO).len(), 2);
    assert_eq!(town.sim.faults_left(), 0);
}
