//! Runs that a time-out or a signal ended: made again once, told of, and nothing else is.

use crate::support::{LANE, REPO, Town, brief};

/// No wait before a run is made again.
const AT_ONCE: (&str, &str) = ("FAILED_TASK_RETRY_COOLDOWN_MS", "0");

fn codes(result: &serde_json::Value) -> (&str, Vec<&str>) {
    let earlier = result["earlier"].as_array().unwrap();
    let reasons = earlier.iter().map(|run| run["reason"].as_str().unwrap()).collect();
    (result["problem"]["code"].as_str().unwrap_or_default(), reasons)
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_made_again_and_the_reason_is_kept() {
    let lane = format!("{LANE}[lane.limits]\nwall_seconds = 2\n");
    let town = Town::with(&lane, &[("FAILED_TASK_RETRY_COOLDOWN_MS", "4000")]).await;
    // The first run finds no `fast` and waits too long; by the second, somebody has pushed it.
    let text = brief(&[("work", "test -f fast || sleep 60\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Slow", &text).unwrap();
    town.logged("the run was interrupted").await;
    town.sim.push_commit(REPO, "maria", "main", &[("fast", "\n")], "Be fast").unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert_eq!(codes(&result), ("", vec!["time-out"]));
    assert!(comment.body.contains("**Earlier runs:**"), "{}", comment.body);
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.sim.pulls(REPO).len(), 1);
}

#[tokio::test]
async fn a_run_that_is_killed_twice_has_exhausted_its_retries() {
    for (code, reason) in [(137, "exit 137"), (130, "exit 130")] {
        let town = Town::with(LANE, &[AT_ONCE]).await;
        let (comment, result) = town.run(&[("die", &format!("exit {code}"))], &["x.txt"]).await;
        assert_eq!(codes(&result), ("retries-exhausted", vec![reason]), "{}", comment.body);
        assert_eq!(town.server.log().matches("run begins").count(), 2);
    }
}

#[tokio::test]
async fn a_run_that_fails_by_itself_is_never_made_again() {
    let town = Town::with(LANE, &[AT_ONCE]).await;
    for code in [1, 2, 124, 143] {
        let issue =
            town.sim.open_issue(REPO, "maria", "Fail", &brief(&[("fail", &format!("exit {code}"))], &["x"]));
        let (_, result) = town.result(issue.unwrap().number, 1).await;
        assert_eq!(codes(&result), ("step-failed", vec![]));
    }
    assert_eq!(town.server.log().matches("run begins").count(), 4);
}

#[tokio::test]
async fn how_often_a_run_is_made_again_is_a_setting() {
    let town = Town::with(LANE, &[AT_ONCE, ("FAILED_TASK_MAX_RETRY_COUNT", "0")]).await;
    let (_, result) = town.run(&[("die", "exit 137")], &["x.txt"]).await;
    assert_eq!(codes(&result), ("step-failed", vec![]));
    let town = Town::with(LANE, &[AT_ONCE, ("FAILED_TASK_MAX_RETRY_COUNT", "3")]).await;
    let (_, result) = town.run(&[("die", "exit 137")], &["x.txt"]).await;
    assert_eq!(codes(&result), ("retries-exhausted", vec!["exit 137"; 3]));
}

#[tokio::test]
async fn a_brief_that_was_deleted_while_it_ran_is_not_run_once_more() {
    let town = Town::with(LANE, &[("FAILED_TASK_RETRY_COOLDOWN_MS", "1000")]).await;
    let issue = town.sim.open_issue(REPO, "maria", "Talk", "soon").unwrap();
    let text = brief(&[("die", "sleep 3\nexit 137")], &["x.txt"]);
    let comment = town.sim.comment(REPO, issue.number, "maria", &text).unwrap();
    town.logged("step begins").await;
    town.sim.delete_comment(REPO, comment.id, "maria").unwrap();
    town.logged("the run was interrupted").await;
    town.until(async || town.server.log().contains("brief-withdrawn")).await;
    town.everything_else_is_done().await;
    assert_eq!(town.server.log().matches("name=\"die\"").count(), 1, "{}", town.server.log());
}
