//! Running a brief once more by somebody's word.

use github_sim::{Permission, Subject};

use crate::approvals::{approve, digest};
use crate::support::{LANE, REPO, SOON, Town, brief};

/// Waits until the one result comment of a thread tells a text.
async fn tells(town: &Town, thread: u64, text: &str) {
    let found = town.sim.wait_for(SOON, |world| {
        let comments = world.comments(REPO, thread);
        comments
            .iter()
            .any(|it| it.body.contains("codex-brief:result:") && it.body.contains(text))
            .then_some(())
    });
    assert!(found.await.is_ok(), "no result in #{thread} tells {text}:\n{}", town.server.log());
}

#[tokio::test]
async fn a_failed_brief_is_run_once_more_as_it_is_stored() {
    let town = Town::new().await;
    let text = brief(&[("look", "cat extra.txt > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Again", &text).unwrap();
    let (_, first) = town.result(issue.number, 1).await;
    assert_eq!(first["problem"]["code"], "step-failed");
    town.sim.push_commit(REPO, "maria", "main", &[("extra.txt", "there\n")], "extra").unwrap();
    let retry = town.sim.comment(REPO, issue.number, "olga", "Now it is there.\n\n/work retry\n").unwrap();
    tells(&town, issue.number, "\"status\":\"success\"").await;
    let (_, second) = town.result(issue.number, 1).await;
    assert_eq!((&second["brief"], first["run"] != second["run"]), (&first["brief"], true));
    let reactions = town.sim.reactions(REPO, Subject::Comment(retry.id));
    assert!(reactions.iter().any(|it| it.content == "+1"), "{reactions:?}");
    // Nothing is left to run once more, and the answer tells what is there instead.
    town.sim.comment(REPO, issue.number, "olga", "/work retry").unwrap();
    town.told(issue.number, "ended with all it asked for").await;
    assert_eq!(town.sim.pulls(REPO).len(), 1);
    let (_, log, _) = town.operator(&["audit", "list"]).await;
    assert!(log.contains("retry-wanted") && log.contains("olga"), "{log}");
}

#[tokio::test]
async fn what_runs_or_waits_is_not_run_twice() {
    let town = Town::with_lanes("[[lane]]\nname = \"devbox-codex\"\nparallel = 1\n").await;
    let busy =
        town.sim.open_issue(REPO, "maria", "Busy", &brief(&[("slow", "sleep 600")], &["b.txt"])).unwrap();
    town.logged("step begins").await;
    let text = brief(&[("write", "echo x > x.txt")], &["x.txt"]);
    let queued = town.sim.open_issue(REPO, "maria", "Queued", &text).unwrap();
    town.seen(queued.number).await;
    let retry = town.sim.comment(REPO, busy.number, "maria", "/work retry").unwrap();
    town.told(busy.number, "it has a run that has not ended").await;
    let confused = town.sim.reactions(REPO, Subject::Comment(retry.id));
    assert!(confused.iter().any(|it| it.content == "confused"), "{confused:?}");
    town.sim.comment(REPO, busy.number, "maria", "/work cancel").unwrap();
    town.told(busy.number, "There is nothing to cancel").await;
    town.sim.comment(REPO, queued.number, "maria", "/work retry").unwrap();
    town.told(queued.number, "waits for its lane already").await;
    // Cancelled, it can be run once more.
    town.sim.comment(REPO, queued.number, "maria", "/work cancel").unwrap();
    town.until(async || town.sim.labels(REPO, queued.number).is_empty()).await;
    town.sim.comment(REPO, queued.number, "maria", "/work retry").unwrap();
    town.sim.comment(REPO, busy.number, "maria", "/stop").unwrap();
    assert_eq!(town.result(queued.number, 1).await.1["status"], "success");
}

#[tokio::test]
async fn another_run_needs_its_permission_its_policy_and_its_text_as_they_are_now() {
    let town = Town::new().await;
    let text = brief(&[("fail", "exit 3")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Decided anew", &text).unwrap();
    town.result(issue.number, 1).await;
    town.sim.set_permission(REPO, "maria", Permission::Read).unwrap();
    town.sim.comment(REPO, issue.number, "olga", "/work retry").unwrap();
    town.told(issue.number, "(`permission-missing`)").await;
    town.sim.set_permission(REPO, "maria", Permission::Write).unwrap();
    town.sim
        .push_commit(REPO, "olga", "main", &[(".github/codex-brief.toml", "lanes = []\n")], "none")
        .unwrap();
    town.sim.comment(REPO, issue.number, "olga", "/work retry").unwrap();
    town.told(issue.number, "(`lane-kept-out`)").await;
    town.sim.push_commit(REPO, "olga", "main", &[(".github/codex-brief.toml", "")], "all").unwrap();
    town.sim.edit_issue(REPO, issue.number, "maria", "Another text.").unwrap();
    town.sim.comment(REPO, issue.number, "olga", "/work retry").unwrap();
    town.told(issue.number, "(`brief-withdrawn`)").await;
    town.quiet().await;
    assert_eq!(town.server.log().matches("run begins").count(), 1, "{}", town.server.log());
}

#[tokio::test]
async fn another_run_needs_another_approval() {
    let town = Town::with_lanes(crate::approvals::REQUIRED).await;
    let text = brief(&[("fail", "exit 3")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Approved", &text).unwrap();
    let first = digest(&town, issue.number).await;
    approve(&town, issue.number, "olga", &first);
    town.result(issue.number, 1).await;
    town.sim.comment(REPO, issue.number, "maria", "/work retry").unwrap();
    town.until(async || town.sim.labels(REPO, issue.number) == ["codex:new"]).await;
    town.quiet().await;
    assert_eq!(town.server.log().matches("run begins").count(), 1, "{}", town.server.log());
    let again = digest(&town, issue.number).await;
    approve(&town, issue.number, "olga", &again);
    town.until(async || town.server.log().matches("run begins").count() == 2).await;
}

#[tokio::test]
async fn a_brief_that_reads_credentials_is_not_run_once_more() {
    let town = Town::with_lanes(LANE).await;
    let text = brief(&[("steal", "cat ~/.aws/credentials")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Trap", &text).unwrap();
    let (_, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "honeytoken-seen");
    town.sim.comment(REPO, issue.number, "maria", "/work retry").unwrap();
    town.told(issue.number, "is not run once more").await;
    town.quiet().await;
    assert_eq!(town.server.log().matches("run begins").count(), 1);
}
