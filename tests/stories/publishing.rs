//! Finished work that GitHub does not take: kept, told of, and published when it can be.

use github_sim::{Fault, Permission};

use crate::support::{LANE, REPO, Town, brief};

const STEP: [(&str, &str); 1] = [("write", "echo x > x.txt")];

/// Finished work is published again by itself after this wait.
const SOON_AGAIN: (&str, &str) = ("BLOCKED_TASK_RETRY_COOLDOWN_MS", "3000");

#[tokio::test]
async fn work_that_github_refuses_is_published_once_it_can_be_and_not_done_again() {
    let town = Town::with(LANE, &[SOON_AGAIN]).await;
    town.sim.fault(Fault::new("POST", "/pulls").status(403));
    let (comment, result) = town.run(&STEP, &["x.txt"]).await;
    assert_eq!(result["problem"]["code"], "pull-request-refused", "{}", comment.body);
    assert!(comment.body.contains("/work publish"), "{}", comment.body);
    let published = town.told(1, "Success").await;
    assert_eq!(published.id, comment.id, "the same comment tells of it");
    assert_eq!(town.sim.pulls(REPO).len(), 1);
    assert_eq!(town.server.log().matches("run begins").count(), 1);
}

#[tokio::test]
async fn work_of_somebody_who_lost_the_permission_waits_until_it_is_back() {
    let town = Town::with(LANE, &[SOON_AGAIN]).await;
    let text = brief(&[("slow", "sleep 2\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Revoked", &text).unwrap();
    town.logged("step begins").await;
    town.sim.set_permission(REPO, "maria", Permission::Read).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "permission-missing", "{}", comment.body);
    assert!(town.sim.pulls(REPO).is_empty());
    town.sim.set_permission(REPO, "maria", Permission::Write).unwrap();
    town.told(issue.number, "Success").await;
    assert_eq!(town.sim.pulls(REPO).len(), 1);
}

#[tokio::test]
async fn a_comment_that_somebody_deletes_is_written_anew_once() {
    let town = Town::new().await;
    let wrong = |n: u32| format!("```codex-brief\nexecutor: {n}\n```\n");
    let issue = town.sim.open_issue(REPO, "maria", "Wrong", &wrong(1)).unwrap();
    for n in 2..4 {
        let told = town.told(issue.number, "Not run").await;
        town.sim.delete_comment(REPO, told.id, "maria").unwrap();
        town.sim.edit_issue(REPO, issue.number, "maria", &wrong(n)).unwrap();
    }
    town.logged("a comment was deleted again").await;
    town.everything_else_is_done().await;
    assert!(town.own_comments(issue.number).is_empty());
}

#[tokio::test]
async fn edits_of_a_comment_that_follow_each_other_become_one() {
    let town = Town::new().await;
    let wrong = |n: u32| format!("```codex-brief\nexecutor: lane-{n}\nrepo: {REPO}\nbrunch: main\n```\n");
    let issue = town.sim.open_issue(REPO, "maria", "Wrong", &wrong(0)).unwrap();
    town.told(issue.number, "Not run").await;
    for n in 1..20 {
        town.sim.edit_issue(REPO, issue.number, "maria", &format!("{n}\n\n\n{}", wrong(n))).unwrap();
        town.sim.edit_issue(REPO, issue.number, "maria", &wrong(n)).unwrap();
    }
    town.sim.edit_issue(REPO, issue.number, "maria", &wrong(77).replace("brunch", "bench")).unwrap();
    let told = town.told(issue.number, "bench").await;
    let edits = |requests: Vec<github_sim::RequestRecord>| {
        requests.iter().filter(|it| it.method == "PATCH" && it.path.contains("/issues/comments/")).count()
    };
    town.everything_else_is_done().await;
    let edits = edits(town.sim.requests());
    assert!((1..=3).contains(&edits), "{edits} edits of {}", told.id);
}

#[tokio::test]
async fn a_write_that_cannot_be_read_keeps_no_other_waiting() {
    let town = Town::new().await;
    town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    let mut store = town.store().await;
    let foreign = "INSERT INTO effects
            (key, kind, installation_id, repository_id, repository, thread_number, payload)
        SELECT 'foreign', 'comment', installation_id, repository_id, repository, thread_number, '{\"of\":\"later\"}'
        FROM effects LIMIT 1";
    sqlx::query(foreign).execute(&mut store).await.unwrap();
    let (_, result) = town.run(&[("write", "echo y > y.txt")], &["y.txt"]).await;
    assert_eq!(result["status"], "success");
    assert!(town.server.log().contains("an effect cannot be read and is given up"));
    let state = "SELECT state FROM effects WHERE key = 'foreign'";
    let state: String = sqlx::query_scalar(state).fetch_one(&mut store).await.unwrap();
    assert_eq!(state, "given_up");
}
