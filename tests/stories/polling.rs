//! A server behind a firewall: no webhook comes, and GitHub is asked for what people write.

use github_sim::Fault;

use crate::support::{LANE, REPO, SOON, Town, brief};

/// A server that asks every second; its App has no webhook.
async fn town() -> Town {
    let town = Town::with_lanes(&format!("[webhook]\nmode = \"polling\"\npoll_seconds = 1\n{LANE}")).await;
    town.sim.set_webhook_active(false);
    town
}

fn work(file: &str) -> String {
    brief(&[("write", &format!("echo yes > {file}"))], &[file])
}

#[tokio::test]
async fn a_brief_becomes_a_pull_request_without_any_webhook() {
    let town = town().await;
    let issue = town.sim.open_issue(REPO, "maria", "Do it", &work("one.txt")).unwrap();
    let (_, result) = town.result(issue.number, 1).await;
    assert_eq!(town.pull(&result).title, "Reports: add it");
    // Comments and edits are found, too, and each brief runs once.
    let comment = town.sim.comment(REPO, issue.number, "olga", &work("two.txt")).unwrap();
    town.result(issue.number, 2).await;
    // GitHub dates to the second, and an edit of the same second cannot be told from the text.
    town.until(async || {
        chrono::Utc::now() > comment_time(&town, issue.number, comment.id) + chrono::TimeDelta::seconds(3)
    })
    .await;
    town.sim
        .edit_comment(REPO, comment.id, "olga", &format!("{}\n{}", work("two.txt"), work("three.txt")))
        .unwrap();
    town.result(issue.number, 3).await;
    town.sim.comment(REPO, issue.number, "maria", "/work status").unwrap();
    town.told(issue.number, "done").await;
    let looks = asked(&town);
    town.until(async || asked(&town) >= looks + 3).await;
    assert_eq!(town.sim.pulls(REPO).len(), 3, "{}", town.server.log());
    assert_eq!(town.sim.deliveries().len(), 0);
    // That is how it hears, and nothing was missed.
    let told = town.command(&["gaps"]);
    assert_eq!(String::from_utf8_lossy(&told.stdout), "No delivery was missed.\n");
}

fn comment_time(town: &Town, thread: u64, id: u64) -> chrono::DateTime<chrono::Utc> {
    town.sim.comments(REPO, thread).into_iter().find(|comment| comment.id == id).unwrap().created_at
}

/// Counts the looks.
fn asked(town: &Town) -> usize {
    town.sim.requests().iter().filter(|one| one.path == "/app/installations").count()
}

#[tokio::test]
async fn what_is_written_while_github_does_not_answer_is_found_later() {
    let mut town =
        Town::with_lanes(&format!("[webhook]\nmode = \"polling\"\npoll_seconds = 1\n{LANE}")).await;
    town.sim.set_webhook_active(false);
    town.crash();
    std::fs::remove_dir_all(town.state()).unwrap();
    town.sim.fault(Fault::new("GET", "/app/installations").drop_connection().times(3));
    town.start_again();
    town.logged("is put off").await;
    let issue = town.sim.open_issue(REPO, "maria", "Do it", &work("one.txt")).unwrap();
    town.result(issue.number, 1).await;
    assert_eq!(town.sim.faults_left(), 0);
}

#[tokio::test]
async fn nothing_listens_for_webhooks() {
    let town = town().await;
    let client = reqwest::Client::new();
    let hook = client.post(format!("{}/webhooks/github", town.server.url())).body("{}").send().await.unwrap();
    assert_eq!(hook.status(), 404);
    let well = client.get(format!("{}/healthz", town.server.url())).send().await.unwrap();
    assert_eq!(well.status(), 200);
    assert!(town.sim.requests().iter().all(|one| !one.path.contains("/app/hook")), "there is no log to read");
}

#[tokio::test]
async fn who_may_not_runs_nothing_by_being_found() {
    let town = town().await;
    let issue = town.sim.open_issue(REPO, "rob", "Let me", &work("no.txt")).unwrap();
    town.told(issue.number, "permission").await;
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn what_was_taken_back_while_it_waited_does_not_run() {
    let lane = "[[lane]]\nname = \"devbox-codex\"\nparallel = 1\n";
    let town = Town::with_lanes(&format!("[webhook]\nmode = \"polling\"\npoll_seconds = 1\n{lane}")).await;
    town.sim.set_webhook_active(false);
    let wait = "for i in $(seq 600); do [ -e /tmp/never ] && exit; sleep 0.1; done; echo x > slow.txt";
    let slow = town.sim.open_issue(REPO, "maria", "Slow", &brief(&[("wait", wait)], &["slow.txt"])).unwrap();
    town.logged("step begins").await;
    let issue = town.sim.open_issue(REPO, "maria", "Not this", &work("never.txt")).unwrap();
    town.until(async || town.server.log().matches("briefs queued").count() == 2).await;
    town.sim.close_issue(REPO, issue.number, "maria").unwrap();
    town.sim.comment(REPO, slow.number, "maria", "/stop").unwrap();
    let (comment, _) = town.result(issue.number, 1).await;
    assert!(comment.body.contains("its thread was closed"), "{}", comment.body);
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn an_approval_is_asked_for_without_buttons_and_given_by_a_comment() {
    let lane = "[[lane]]\nname = \"devbox-codex\"\napproval = \"required\"\n";
    let town = Town::with_lanes(&format!("[webhook]\nmode = \"polling\"\npoll_seconds = 1\n{lane}")).await;
    town.sim.set_webhook_active(false);
    let issue = town.sim.open_issue(REPO, "maria", "Do it", &work("one.txt")).unwrap();
    let asked = town.told(issue.number, "/approve ").await;
    assert!(!asked.body.contains("press a button"), "{}", asked.body);
    let found = town
        .sim
        .wait_for(SOON, |world| world.check_runs(REPO).into_iter().find(|run| run.name.contains("approval")));
    let run = found.await.unwrap();
    assert!(run.actions.is_empty(), "nobody would hear it: {run:?}");
    let digest = asked.body.split("/approve ").nth(1).unwrap();
    let digest: String = digest.chars().take_while(char::is_ascii_hexdigit).collect();
    town.sim.comment(REPO, issue.number, "olga", &format!("/approve {digest}")).unwrap();
    let (_, result) = town.result(issue.number, 1).await;
    town.pull(&result);
}
