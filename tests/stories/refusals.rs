//! Who may not, what is wrong, and how each is told.

use github_sim::Permission;

use crate::support::{LANE, REPO, Town, brief, brief_for};

const STEP: [(&str, &str); 1] = [("write", "echo x > x.txt")];

#[tokio::test]
async fn a_stranger_is_told_once_which_permission_is_missing() {
    let town = Town::new().await;
    let text = brief(&STEP, &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "rob", "Let me", &text).unwrap();
    let told = town.told(issue.number, "may not run briefs").await;
    assert!(told.body.contains("`write`") && told.body.contains("`read`"), "{}", told.body);
    // Not even a brief with mistakes is looked into.
    town.sim.comment(REPO, issue.number, "rob", "```codex-brief\nexecuter: x\n```\n").unwrap();
    town.sim.comment(REPO, issue.number, "rob", &text).unwrap();
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.sim.pulls(REPO).len(), 1, "only that of the marker");
}

#[tokio::test]
async fn somebody_elses_text_needs_the_permission_of_both() {
    let town = Town::new().await;
    let issue = town.sim.open_issue(REPO, "rob", "A question", "Why?").unwrap();
    town.sim.edit_issue(REPO, issue.number, "maria", &brief(&STEP, &["x.txt"])).unwrap();
    let told = town.told(issue.number, "may not run briefs").await;
    assert!(told.body.contains("rob"), "{}", told.body);
    let issue = town.sim.open_issue(REPO, "olga", "A question", "Why?").unwrap();
    town.sim.edit_issue(REPO, issue.number, "maria", &brief(&STEP, &["x.txt"])).unwrap();
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
}

#[tokio::test]
async fn who_loses_the_permission_gets_neither_the_run_nor_the_pull_request() {
    let town = Town::with_lanes("[[lane]]\nname = \"devbox-codex\"\nparallel = 1\n").await;
    let slow = brief(&[("slow", "sleep 2\necho x > x.txt")], &["x.txt"]);
    let running = town.sim.open_issue(REPO, "maria", "Running", &slow).unwrap();
    let queued = town.sim.open_issue(REPO, "maria", "Queued", &brief(&STEP, &["x.txt"])).unwrap();
    town.logged("step begins").await;
    town.seen(queued.number).await;
    town.sim.set_permission(REPO, "maria", Permission::Read).unwrap();
    for (issue, status) in [(running, "succeeded"), (queued, "skipped")] {
        let (comment, result) = town.result(issue.number, 1).await;
        assert_eq!(result["problem"]["code"], "permission-missing", "{}", comment.body);
        assert_eq!(result["steps"][0]["status"], status);
    }
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn what_the_app_writes_itself_never_runs() {
    let town = Town::new().await;
    let issue = town.sim.open_issue(REPO, "maria", "Once", &brief(&STEP, &["x.txt"])).unwrap();
    let (_, result) = town.result(issue.number, 1).await;
    // The pull request shows the brief's text, and GitHub delivers that it was opened.
    assert!(town.pull(&result).body.contains("codex-brief"));
    town.logged("is no person but a `Bot`").await;
    town.everything_else_is_done().await;
    assert_eq!(town.sim.pulls(REPO).len(), 2);
}

#[tokio::test]
async fn a_wrong_brief_is_told_with_its_lines_and_mending_it_runs_it() {
    let town = Town::new().await;
    let right = brief(&STEP, &["x.txt"]);
    let wrong = right.replace("executor:", "executer:").replace("branch: main", "branch: a..b");
    let issue = town.sim.open_issue(REPO, "maria", "Broken", &wrong).unwrap();
    let told = town.told(issue.number, "Not run").await;
    assert!(told.body.contains("line 4, column 1") && told.body.contains("executor"), "{}", told.body);
    assert!(told.body.contains("line 6, column"), "{}", told.body);
    town.sim.edit_issue(REPO, issue.number, "maria", &right).unwrap();
    let (_, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success");
    let mended = town.told(issue.number, "Mended").await;
    assert_eq!(mended.id, told.id, "the same comment is updated");
}

#[tokio::test]
async fn an_unknown_lane_is_answered_with_those_that_take_the_repository() {
    let lanes = format!(
        "{LANE}\n[[lane]]\nname = \"asleep\"\nenabled = false\n\n[[lane]]\nname = \"others\"\nrepositories = [\"acme/*\"]\n"
    );
    let town = Town::with_lanes(&lanes).await;
    let issue = town.sim.open_issue(REPO, "maria", "Lanes", "soon").unwrap();
    for (lane, code) in
        [("nowhere", "lane-unknown"), ("asleep", "lane-disabled"), ("others", "lane-not-for-repository")]
    {
        let text = brief_for(lane, REPO, &STEP, &["x.txt"]);
        town.sim.comment(REPO, issue.number, "maria", &text).unwrap();
        let told = town.told(issue.number, code).await;
        let help = told.body.lines().find(|line| line.contains("help:")).unwrap();
        assert!(help.contains("`devbox-codex`") && !help.contains("`asleep`"), "{}", told.body);
    }
}

#[tokio::test]
async fn a_brief_for_another_repository_is_refused() {
    let town = Town::new().await;
    let text = brief_for("devbox-codex", "octo/other", &STEP, &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Elsewhere", &text).unwrap();
    let told = town.told(issue.number, "other-repository").await;
    assert!(told.body.contains(REPO), "{}", told.body);
}

#[tokio::test]
async fn a_quoted_brief_is_no_brief_and_its_author_is_told() {
    let town = Town::new().await;
    let quoted: String = brief(&STEP, &["x.txt"]).lines().map(|line| format!("> {line}\n")).collect();
    let issue = town.sim.open_issue(REPO, "maria", "Quote", &quoted).unwrap();
    let told = town.told(issue.number, "does not count").await;
    assert!(told.body.contains("quote"), "{}", told.body);
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn a_missing_branch_is_told() {
    let town = Town::new().await;
    let text = brief(&STEP, &["x.txt"]).replace("branch: main", "branch: release/none");
    let issue = town.sim.open_issue(REPO, "maria", "Branch", &text).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "branch-not-found", "{}", comment.body);
}

#[tokio::test]
async fn without_bubblewrap_the_lane_takes_nothing_and_says_so() {
    let bin = tempfile::tempdir().unwrap();
    for program in ["git", "bash", "sh"] {
        let found =
            std::process::Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
        let path = String::from_utf8(found.stdout).unwrap();
        std::os::unix::fs::symlink(path.trim(), bin.path().join(program)).unwrap();
    }
    let town = Town::with(LANE, &[("PATH", bin.path().to_str().unwrap())]).await;
    town.sim.open_issue(REPO, "maria", "Sandbox", &brief(&STEP, &["x.txt"])).unwrap();
    town.logged("the lane takes no work").await;
    let ready = reqwest::get(format!("{}/readyz", town.server.url())).await.unwrap();
    assert_eq!(ready.status(), 503);
    let health: serde_json::Value = ready.json().await.unwrap();
    assert_eq!(health["lanes"]["devbox-codex"]["available"], false);
    town.logged("briefs queued").await;
    assert!(town.sim.pulls(REPO).is_empty());
}
