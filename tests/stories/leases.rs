//! Runs that are not their task's any more: ended, and nothing of them counts.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::Row;

use crate::support::{LANE, REPO, Town, brief};

const SHORT: &str =
    "[queue]\nlease_seconds = 3\nlease_renew_seconds = 1\nfailed_task_retry_cooldown_ms = 0\n\n";

#[tokio::test]
async fn a_run_whose_task_was_given_to_another_is_ended_and_does_not_count() {
    let town = Town::with_lanes(&format!("{SHORT}{LANE}")).await;
    let text = brief(&[("work", "test -f fast || sleep 300\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Taken", &text).unwrap();
    town.logged("step begins").await;
    town.sim.push_commit(REPO, "maria", "main", &[("fast", "\n")], "Be fast").unwrap();
    // Another server takes the task, and is never heard of again.
    let mut store = town.store().await;
    let taken =
        "UPDATE tasks SET epoch = 2; INSERT INTO runs (id, task_id, epoch, state, started_at, lease_until)
         SELECT 'of-another-server', id, 2, 'running', 0, 1 FROM tasks";
    sqlx::raw_sql(taken).execute(&mut store).await.unwrap();
    town.logged("the run lost its lease").await;
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert_eq!(result["earlier"][0]["run"], "of-another-server");
    assert_eq!(result["earlier"][0]["reason"], "its lease ran out");
    assert_eq!(town.sim.pulls(REPO).len(), 1);
    let first =
        sqlx::query("SELECT state, report FROM runs WHERE epoch = 1").fetch_one(&mut store).await.unwrap();
    assert_eq!(first.get::<Option<String>, _>("report"), None, "an old epoch was written");
}

#[tokio::test]
async fn a_server_that_hangs_longer_than_a_lease_makes_its_run_again() {
    let town = Town::with_lanes(&format!("{SHORT}{LANE}")).await;
    let text = brief(&[("work", "test -f fast || sleep 300\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Hang", &text).unwrap();
    town.logged("step begins").await;
    town.sim.push_commit(REPO, "maria", "main", &[("fast", "\n")], "Be fast").unwrap();
    let server = Pid::from_raw(town.server.pid().try_into().unwrap());
    // The lease watch has seen the lease before the server hangs.
    let mut store = town.store().await;
    let renewed = "SELECT 1 FROM runs WHERE lease_until > started_at + 3500";
    town.until(async || sqlx::query(renewed).fetch_optional(&mut store).await.unwrap().is_some()).await;
    kill(server, Signal::SIGSTOP).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    kill(server, Signal::SIGCONT).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert_eq!(result["earlier"][0]["reason"], "its lease ran out", "{}", town.server.log());
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.sim.pulls(REPO).len(), 2);
}
