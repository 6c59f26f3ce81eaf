//! A GitHub whose tokens end, whose clock differs, whose repositories move, and whose limits are reached.

use github_sim::Fault;

use crate::support::{REPO, Town, brief};

fn tokens_made(town: &Town) -> usize {
    let minted = |request: &&github_sim::RequestRecord| request.path.ends_with("/access_tokens");
    town.sim.requests().iter().filter(minted).count()
}

#[tokio::test]
async fn tokens_that_end_during_a_run_are_made_anew_once_each() {
    let town = Town::new().await;
    let text = brief(&[("slow", "sleep 2\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Expire", &text).unwrap();
    town.logged("step begins").await;
    let before = tokens_made(&town);
    town.sim.expire_tokens();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    // One for the API and one for git: nothing else ended.
    assert_eq!((before, tokens_made(&town) - before), (2, 2));
    let refused = town.sim.requests().iter().filter(|request| request.status == Some(401)).count();
    assert!(refused > 0, "no token had ended");
    assert_eq!((town.own_comments(issue.number).len(), town.sim.pulls(REPO).len()), (1, 1));
}

#[tokio::test]
async fn a_clock_that_is_five_minutes_off_does_no_harm() {
    let town = Town::new().await;
    town.sim.set_clock(-300);
    let (comment, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    town.logged("GitHub's clock differs").await;
}

#[tokio::test]
async fn a_silence_that_github_asks_for_is_kept() {
    let town = Town::new().await;
    town.sim.fault(Fault::new("POST", "/reactions").rate_limit(403, Some(3)));
    town.sim.fault(Fault::new("POST", "/pulls").rate_limit(429, Some(2)));
    town.sim.fault(Fault::new("POST", "/comments").used_up(403, 2));
    let (comment, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert_eq!(town.sim.faults_left(), 0);
    assert!(town.sim.early_calls().is_empty(), "{:?}", town.sim.early_calls());
}
