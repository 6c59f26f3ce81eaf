//! Commands that only tell, and who may use which.

use github_sim::{Permission, Subject};

use crate::support::{LANE, REPO, SOON, Town, brief};

async fn reacted(town: &Town, comment: u64, content: &str) {
    let found = town.sim.wait_for(SOON, |world| {
        let reactions = world.reactions(REPO, Subject::Comment(comment));
        reactions.iter().any(|it| it.content == content).then_some(())
    });
    assert!(found.await.is_ok(), "no {content}:\n{}", town.server.log());
}

#[tokio::test]
async fn the_server_tells_how_it_is_and_nothing_of_its_machine() {
    let lanes = format!(
        "{LANE}\n[[lane]]\nname = \"asleep\"\nenabled = false\n\n[[lane]]\nname = \"others\"\nrepositories = [\"acme/*\"]\n"
    );
    let town = Town::with_lanes(&lanes).await;
    let issue = town.sim.open_issue(REPO, "maria", "Health", "/status").unwrap();
    let told = town.told(issue.number, "### ✅ Ready for briefs").await.body;
    for part in
        ["| devbox-codex | takes work | 0 of 2 |", "| asleep | switched off |", "There is no audit sink"]
    {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let state = town.state();
    for secret in ["others", state.to_str().unwrap(), "/tmp", "codex-brief.toml"] {
        assert!(!told.contains(secret), "{secret} is in {told}");
    }
}

#[tokio::test]
async fn a_lane_that_takes_no_work_is_told_without_the_reason() {
    let bin = tempfile::tempdir().unwrap();
    let town = Town::with(LANE, &[("PATH", bin.path().to_str().unwrap())]).await;
    town.logged("the lane takes no work").await;
    let issue = town.sim.open_issue(REPO, "maria", "Health", "/status").unwrap();
    let told = town.told(issue.number, "### ❌ Not ready").await.body;
    assert!(told.contains("No lane takes work") && told.contains("the server's log tells why"), "{told}");
    assert!(!told.contains("bwrap") && !told.contains("/tmp"), "{told}");
}

#[tokio::test]
async fn tasks_of_the_repository_are_listed_and_shown() {
    let town = Town::new().await;
    let (_, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    town.run(&[("fail", "exit 1")], &["y.txt"]).await;
    let id = &result["brief"].as_str().unwrap()[..12];
    let issue = town
        .sim
        .open_issue(REPO, "olga", "Tasks", &format!("/task list\n/task show {id}\n/task show ffffff\n"))
        .unwrap();
    let told = town.told(issue.number, "| Brief | Thread | State |").await.body;
    for part in [
        id,
        "| 1 | done |",
        "| failed",
        "[pull request]",
        "**Asked for by:** maria",
        "No brief or run of this repository",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(issue.number).len(), 1, "one comment answers all commands of a text");
}

#[tokio::test]
async fn help_lists_what_the_asker_may_do() {
    let lanes = format!("[commands]\nhelp = \"read\"\nretry = \"maintain\"\nstatus = \"off\"\n\n{LANE}");
    let town = Town::with_lanes(&lanes).await;
    let issue = town.sim.open_issue(REPO, "maria", "Help", "/help").unwrap();
    let told = town.told(issue.number, "### Commands").await.body;
    assert!(told.contains("`/work start [task]`") && told.contains("`/approve DIGEST`"), "{told}");
    assert!(!told.contains("/work retry") && !told.contains("`/status`"), "{told}");
    // Whoever may only read may ask for help where the operator says so, and is told no more.
    let asked = town.sim.open_issue(REPO, "rob", "Help", "/help\n\n/status\n").unwrap();
    let told = town.told(asked.number, "### Commands").await.body;
    assert!(told.contains("`/help`") && !told.contains("/stop"), "{told}");
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(asked.number).len(), 1);
}

#[tokio::test]
async fn who_may_not_use_a_shared_word_is_left_alone() {
    let town = Town::new().await;
    let issue = town
        .sim
        .open_issue(REPO, "rob", "Words", "/help\n\n/status\n\n/ask what now?\n\n/task list\n\n/task me\n")
        .unwrap();
    let other = town.sim.open_issue(REPO, "rob", "Words", "/work retry\n\n/help\n").unwrap();
    town.told(other.number, "may not run briefs here").await;
    town.sim.comment(REPO, other.number, "rob", "/work start").unwrap();
    town.everything_else_is_done().await;
    assert!(town.own_comments(issue.number).is_empty());
    assert_eq!(town.own_comments(other.number).len(), 1);
}

#[tokio::test]
async fn a_command_that_needs_more_is_refused_once_and_the_others_are_obeyed() {
    let lanes = format!("[commands]\nretry = \"maintain\"\nstop = \"triage\"\n\n{LANE}");
    let town = Town::with_lanes(&lanes).await;
    let text = brief(&[("fail", "exit 1")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Needs more", &text).unwrap();
    town.result(issue.number, 1).await;
    town.sim.comment(REPO, issue.number, "maria", "/work retry\n/work status\n").unwrap();
    let told = town.told(issue.number, "(`command-not-allowed`)").await.body;
    assert!(told.contains("`maintain`") && told.contains("`write`"), "{told}");
    town.told(issue.number, "| Brief | State |").await;
    town.sim.comment(REPO, issue.number, "maria", "/work retry").unwrap();
    town.everything_else_is_done().await;
    let refusals =
        town.own_comments(issue.number).into_iter().filter(|it| it.body.contains("command-not-allowed"));
    assert_eq!(refusals.count(), 1);
    assert_eq!(town.server.log().matches("run begins").count(), 2, "that of the marker, and the first");
    // Whoever sorts issues may end a run where the operator says so.
    town.sim.add_user("tina");
    town.sim.set_permission(REPO, "tina", Permission::Triage).unwrap();
    let busy =
        town.sim.open_issue(REPO, "maria", "Busy", &brief(&[("slow", "sleep 600")], &["b.txt"])).unwrap();
    town.until(async || town.server.log().matches("step begins").count() == 3).await;
    let stop = town.sim.comment(REPO, busy.number, "tina", "/stop").unwrap();
    assert_eq!(town.result(busy.number, 1).await.1["problem"]["code"], "run-stopped");
    reacted(&town, stop.id, "eyes").await;
}

#[tokio::test]
async fn a_question_is_answered_with_what_is_missing() {
    let town = Town::new().await;
    let issue = town.sim.open_issue(REPO, "maria", "Ask", "/ask plan how far are we?").unwrap();
    town.told(issue.number, "this server has no model to ask").await;
}

#[tokio::test]
async fn a_wrong_argument_is_answered_with_how_it_is_written() {
    let town = Town::new().await;
    let issue = town.sim.open_issue(REPO, "maria", "Usage", "soon").unwrap();
    let wrong = town.sim.comment(REPO, issue.number, "maria", "/task shw ab12cd\n\n/work retyr\n").unwrap();
    let told = town.told(issue.number, "did you mean `/task show`?").await.body;
    assert!(told.contains("did you mean `/work retry`?") && told.contains("`/task list`"), "{told}");
    reacted(&town, wrong.id, "confused").await;
}
