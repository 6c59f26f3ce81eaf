//! Labels that a policy asks for before briefs run, and labels of state that people change.

use github_sim::Permission;

use crate::approvals::digest;
use crate::support::{LANE, REPO, SOON, Town, brief};

const FILE: &str = ".github/codex-brief.toml";

fn quick() -> String {
    brief(&[("write", "echo x > x.txt")], &["x.txt"])
}

async fn town(gate: &str) -> Town {
    Town::with_lanes(&format!("[[policy]]\ngate = \"{gate}\"\n\n{LANE}")).await
}

/// Opens an issue with a brief as Maria, and waits until its thread tells what it waits for.
async fn waiting(town: &Town, told: &str) -> u64 {
    let issue = town.sim.open_issue(REPO, "maria", "Gate", &quick()).unwrap();
    town.told(issue.number, told).await;
    issue.number
}

async fn labelled(town: &Town, thread: u64, names: &[&str]) {
    town.until(async || town.sim.labels(REPO, thread) == names).await;
}

async fn nothing_ran(town: &Town) {
    town.quiet().await;
    assert!(!town.server.log().contains("run begins"), "{}", town.server.log());
}

#[tokio::test]
async fn a_brief_waits_for_the_label_and_goes_on_when_it_is_added() {
    let town = town("enabled").await;
    let thread = waiting(&town, "### ⏸️ Waits for the label `codex:enabled`").await;
    // Another one of the thread is not told again.
    town.sim.comment(REPO, thread, "maria", &brief(&[("other", "echo y > y.txt")], &["y.txt"])).unwrap();
    town.sim.comment(REPO, thread, "maria", "/work status").unwrap();
    let table = town.told(thread, "| Brief | State |").await.body;
    assert!(table.contains("waits to be started: the label"), "{table}");
    labelled(&town, thread, &["codex:new"]).await;
    nothing_ran(&town).await;
    // The labels to choose are there by then.
    let requests = town.sim.requests();
    let made =
        requests.iter().filter(|it| it.method == "POST" && it.path.ends_with(&format!("{REPO}/labels")));
    assert_eq!(
        made.filter(|it| it.status == Some(201)).count(),
        3,
        "codex:new and the two of the gate: {requests:?}"
    );
    town.sim.label(REPO, thread, "olga", &["codex:enabled"]).unwrap();
    for nth in [1, 2] {
        assert_eq!(town.result(thread, nth).await.1["status"], "success");
    }
    town.told(thread, "### ▶️ Goes on").await;
    labelled(&town, thread, &["codex:enabled", "codex:done"]).await;
    let about_the_gate =
        town.own_comments(thread).into_iter().filter(|it| it.body.contains("codex-brief:notice:gate"));
    assert_eq!(about_the_gate.count(), 1);
    // What comes later finds the label there.
    town.sim.comment(REPO, thread, "maria", &brief(&[("third", "echo z > z.txt")], &["z.txt"])).unwrap();
    assert_eq!(town.result(thread, 3).await.1["status"], "success");
}

#[tokio::test]
async fn a_label_counts_only_by_somebody_who_may_run_briefs() {
    let town = town("enabled").await;
    town.sim.add_user("tina");
    town.sim.set_permission(REPO, "tina", Permission::Triage).unwrap();
    // Before the brief, and after it.
    let early = town.sim.open_issue(REPO, "maria", "Early", "soon").unwrap();
    town.sim.label(REPO, early.number, "tina", &["codex:enabled"]).unwrap();
    town.sim.comment(REPO, early.number, "maria", &quick()).unwrap();
    town.told(early.number, "Waits for the label").await;
    let late = waiting(&town, "Waits for the label").await;
    town.sim.label(REPO, late, "tina", &["codex:enabled", "bug"]).unwrap();
    let told = town.told(late, "label-not-counted").await.body;
    assert!(told.contains("tina") && told.contains("codex:enabled"), "{told}");
    // Told once, however often it is tried.
    town.sim.unlabel(REPO, late, "tina", "codex:enabled").unwrap();
    town.sim.label(REPO, late, "tina", &["codex:enabled"]).unwrap();
    town.sim.comment(REPO, late, "maria", "/work start").unwrap();
    town.told(late, "(`gate-shut`)").await;
    nothing_ran(&town).await;
    let told = town.own_comments(late).into_iter().filter(|it| it.body.contains("label-not-counted")).count();
    assert_eq!(told, 1);
    town.sim.unlabel(REPO, late, "maria", "codex:enabled").unwrap();
    town.sim.label(REPO, late, "maria", &["codex:enabled"]).unwrap();
    assert_eq!(town.result(late, 1).await.1["status"], "success");
}

#[tokio::test]
async fn with_the_gate_auto_an_enabled_thread_waits_for_a_start() {
    let town = town("auto").await;
    let thread = waiting(&town, "### ⏸️ Waits for the label `codex:auto`").await;
    town.sim.comment(REPO, thread, "maria", "/work start").unwrap();
    town.told(thread, "(`gate-shut`)").await;
    town.sim.label(REPO, thread, "maria", &["codex:enabled"]).unwrap();
    town.told(thread, "### ⏸️ Waits for `/work start`").await;
    nothing_ran(&town).await;
    let comment = town.sim.comment(REPO, thread, "olga", "/work start").unwrap();
    assert_eq!(town.result(thread, 1).await.1["status"], "success");
    let done = town.sim.wait_for(SOON, |world| {
        let reactions = world.reactions(REPO, github_sim::Subject::Comment(comment.id));
        reactions.iter().any(|it| it.content == "+1").then_some(())
    });
    done.await.unwrap();
    town.sim.comment(REPO, thread, "olga", "/work start").unwrap();
    town.told(thread, "There is nothing to start").await;
    // With the label of the other, the next one runs by itself.
    town.sim.label(REPO, thread, "maria", &["codex:auto"]).unwrap();
    town.sim.comment(REPO, thread, "maria", &brief(&[("next", "echo y > y.txt")], &["y.txt"])).unwrap();
    assert_eq!(town.result(thread, 2).await.1["status"], "success");
}

#[tokio::test]
async fn a_label_that_is_taken_away_before_the_run_keeps_it_from_beginning() {
    let lanes = "[[policy]]\ngate = \"enabled\"\n\n[[lane]]\nname = \"devbox-codex\"\nparallel = 1\n";
    let town = Town::with_lanes(lanes).await;
    let busy = town.sim.open_issue(REPO, "maria", "Busy", "soon").unwrap().number;
    let gated = town.sim.open_issue(REPO, "maria", "Gated", "soon").unwrap().number;
    for thread in [busy, gated] {
        town.sim.label(REPO, thread, "maria", &["codex:enabled"]).unwrap();
    }
    town.sim.comment(REPO, busy, "maria", &brief(&[("slow", "sleep 600")], &["b.txt"])).unwrap();
    town.logged("step begins").await;
    town.sim.comment(REPO, gated, "maria", &quick()).unwrap();
    labelled(&town, gated, &["codex:enabled", "codex:new"]).await;
    town.sim.unlabel(REPO, gated, "olga", "codex:enabled").unwrap();
    town.sim.comment(REPO, busy, "maria", "/stop").unwrap();
    let (comment, result) = town.result(gated, 1).await;
    assert_eq!(result["problem"]["code"], "gate-shut", "{}", comment.body);
    assert!(town.sim.pulls(REPO).is_empty());
    // Back again, the same brief is run once more.
    town.sim.label(REPO, gated, "maria", &["codex:enabled"]).unwrap();
    town.sim.comment(REPO, gated, "maria", "/work retry").unwrap();
    town.until(async || town.sim.pulls(REPO).len() == 1).await;
}

#[tokio::test]
async fn a_repository_can_ask_for_a_label_and_cannot_take_the_servers_away() {
    let town = Town::new().await;
    town.sim
        .push_commit(REPO, "maria", "main", &[(FILE, "[[policy]]\ngate = \"auto\"\n")], "stricter")
        .unwrap();
    waiting(&town, "Waits for the label `codex:auto`").await;
    let strict = self::town("enabled").await;
    strict
        .sim
        .push_commit(REPO, "maria", "main", &[(FILE, "[[policy]]\ngate = \"none\"\n")], "wider")
        .unwrap();
    let thread = waiting(&strict, "Waits for the label `codex:enabled`").await;
    strict.told(thread, "gate = \"none\"").await;
    nothing_ran(&strict).await;
}

#[tokio::test]
async fn what_a_label_lets_go_on_waits_for_its_approval_next() {
    let lanes =
        "[[policy]]\ngate = \"enabled\"\n\n[[lane]]\nname = \"devbox-codex\"\napproval = \"required\"\n";
    let town = Town::with_lanes(lanes).await;
    let thread = waiting(&town, "Waits for the label").await;
    town.quiet().await;
    assert!(!town.own_comments(thread).iter().any(|it| it.body.contains("Waits for approval")));
    town.sim.label(REPO, thread, "maria", &["codex:enabled"]).unwrap();
    let digest = digest(&town, thread).await;
    nothing_ran(&town).await;
    crate::approvals::approve(&town, thread, "olga", &digest);
    assert_eq!(town.result(thread, 1).await.1["status"], "success");
}

#[tokio::test]
async fn what_waits_for_a_label_is_cancelled_by_an_edit_a_command_and_a_closed_thread() {
    let town = town("enabled").await;
    let edited = waiting(&town, "Waits for the label").await;
    town.sim.edit_issue(REPO, edited, "maria", "Never mind.").unwrap();
    let cancelled = waiting(&town, "Waits for the label").await;
    town.sim.comment(REPO, cancelled, "maria", "/work cancel").unwrap();
    let closed = waiting(&town, "Waits for the label").await;
    town.sim.close_issue(REPO, closed, "maria").unwrap();
    for thread in [edited, cancelled, closed] {
        labelled(&town, thread, &[]).await;
        town.sim.label(REPO, thread, "maria", &["codex:enabled"]).unwrap();
    }
    nothing_ran(&town).await;
}

#[tokio::test]
async fn a_label_of_state_that_a_person_changes_is_put_right() {
    let town = Town::new().await;
    let (_, _) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    labelled(&town, 1, &["codex:done"]).await;
    town.sim.unlabel(REPO, 1, "rob", "codex:done").unwrap();
    labelled(&town, 1, &["codex:done"]).await;
    town.sim.label(REPO, 1, "maria", &["codex:failed", "bug"]).unwrap();
    town.until(async || {
        let labels = town.sim.labels(REPO, 1);
        labels.contains(&"bug".to_owned()) && !labels.contains(&"codex:failed".to_owned())
    })
    .await;
    assert!(town.sim.labels(REPO, 1).contains(&"codex:done".to_owned()));
    // What is put right causes webhooks, too, and they change nothing.
    town.quiet().await;
    let writes = town
        .sim
        .requests()
        .iter()
        .filter(|it| it.path.contains("/issues/1/labels") && it.method != "GET")
        .count();
    town.quiet().await;
    let after = town
        .sim
        .requests()
        .iter()
        .filter(|it| it.path.contains("/issues/1/labels") && it.method != "GET")
        .count();
    assert_eq!(writes, after);
}
