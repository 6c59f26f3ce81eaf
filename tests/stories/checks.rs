//! The check run of a run: live while it works, with logs, places and buttons.

use github_sim::{CheckRun, Fault};
use serde_json::json;

use crate::support::{REPO, SOON, Town, brief};

fn slow(seconds: u32) -> String {
    brief(&[("first", "echo hello"), ("second", &format!("sleep {seconds}\necho x > x.txt"))], &["x.txt"])
}

/// Waits for the check run that is as wanted, and returns it as it is then.
async fn check(town: &Town, wanted: impl Fn(&CheckRun) -> bool) -> CheckRun {
    let found = town.sim.wait_for(SOON, |world| world.check_runs(REPO).into_iter().find(|run| wanted(run)));
    match found.await {
        Ok(check) => check,
        Err(error) => panic!("{error}: {:#?}\n{}", town.sim.check_runs(REPO), town.server.log()),
    }
}

fn live(check: &CheckRun) -> bool {
    check.status == "in_progress" && check.name == "codex-brief"
}

#[tokio::test]
async fn a_run_is_shown_beside_the_commit_that_it_works_on_while_it_works() {
    let town = Town::new().await;
    let base = town.sim.commit(REPO, "main").unwrap().sha;
    let issue = town.sim.open_issue(REPO, "maria", "Live", &slow(12)).unwrap();
    let shown = check(&town, |check| live(check) && check.output["title"] == "Step 2 of 2: second").await;
    assert_eq!(shown.head_sha, base);
    assert!(shown.output["summary"].as_str().unwrap().contains("| 1 | first | ✅ succeeded |"));
    assert!(shown.output["text"].as_str().unwrap().contains("hello"));
    assert_eq!(shown.actions[0]["identifier"], "stop");
    let (_, result) = town.result(issue.number, 1).await;
    let done = check(&town, |check| check.id == shown.id && check.status == "completed").await;
    assert_eq!((done.conclusion.as_deref(), done.actions.len()), (Some("success"), 0));
    let head = result["head_commit"].as_str().unwrap();
    check(&town, |check| check.head_sha == head && check.conclusion.as_deref() == Some("success")).await;
    town.quiet().await;
    assert_eq!(town.sim.check_runs(REPO).len(), 2);
}

#[tokio::test]
async fn the_stop_button_counts_as_the_command_of_who_presses_it() {
    let town = Town::new().await;
    let issue = town.sim.open_issue(REPO, "maria", "Stop", &slow(60)).unwrap();
    let shown = check(&town, live).await;
    town.sim.press_check_action(REPO, shown.id, "rob", "stop").unwrap();
    town.told(issue.number, "may not run briefs here").await;
    assert_eq!(check(&town, |check| check.id == shown.id).await.status, "in_progress");
    town.sim.press_check_action(REPO, shown.id, "olga", "stop").unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "run-stopped");
    assert!(comment.body.contains("olga"), "{}", comment.body);
    let done = check(&town, |check| check.id == shown.id && check.status == "completed").await;
    assert_eq!(
        (done.conclusion.as_deref(), &done.actions[0]["identifier"]),
        (Some("cancelled"), &json!("rerun"))
    );
}

#[tokio::test]
async fn a_policy_keeps_people_from_the_button_too() {
    let town = Town::new().await;
    let maria = town.sim.user_id("maria").unwrap().to_string();
    let town = town.restart_with(&[("CODEX_COMMAND_ALLOWED_USER_IDS", maria.as_str())]);
    let issue = town.sim.open_issue(REPO, "maria", "Stop", &slow(60)).unwrap();
    let shown = check(&town, live).await;
    town.sim.press_check_action(REPO, shown.id, "olga", "stop").unwrap();
    town.told(issue.number, "The policy of the lane lets olga do nothing with").await;
    town.sim.press_check_action(REPO, shown.id, "maria", "stop").unwrap();
    assert_eq!(town.result(issue.number, 1).await.1["problem"]["code"], "run-stopped");
}

#[tokio::test]
async fn a_re_run_runs_the_brief_again_by_the_word_of_who_pressed() {
    let town = Town::new().await;
    let (_, first) = town.run(&[("fail", "exit 1")], &["x.txt"]).await;
    let failed = check(&town, |check| check.conclusion.as_deref() == Some("failure")).await;
    town.sim.rerequest_check(REPO, failed.id, "rob").unwrap();
    town.told(1, "may not run briefs here").await;
    let mut seen = vec![failed.id];
    for (press, who) in [("rerequested", "olga"), ("rerun", "maria")] {
        let newest = *seen.last().unwrap();
        let before = town.own_comments(1).len();
        let runs = town.server.log().matches("run begins").count();
        match press {
            "rerun" => town.sim.press_check_action(REPO, newest, who, press).unwrap(),
            _ => town.sim.rerequest_check(REPO, newest, who).unwrap(),
        }
        town.until(async || town.server.log().matches("run begins").count() == runs + 1).await;
        town.quiet().await;
        let (_, again) = town.result(1, 1).await;
        assert_eq!((&again["status"], &again["brief"]), (&json!("failure"), &first["brief"]));
        assert_ne!(again["run"], first["run"], "the one comment tells of the newest run");
        assert_eq!(town.own_comments(1).len(), before);
        let again = |check: &CheckRun| check.conclusion.is_some() && !seen.contains(&check.id);
        let newer = check(&town, again).await.id;
        seen.push(newer);
    }
}

#[tokio::test]
async fn what_steps_tell_of_lines_stands_beside_them_once() {
    let town = Town::new().await;
    town.sim.fault(Fault::new("POST", "/check-runs").status_after_effect(502));
    let script = "echo '::error file=README.md,line=1::No title'\n\
         echo '/home/codex/work/example/data/numbers.txt:2:1: warning: an even number'\n\
         echo 'missing.rs:1:1: error: not there'\n\
         echo '::error file=../../etc/passwd,line=1::out'\nexit 1";
    town.run(&[("lint", script)], &["x.txt"]).await;
    let failed = check(&town, |check| check.conclusion.as_deref() == Some("failure")).await;
    town.quiet().await;
    assert_eq!(town.sim.faults_left(), 0);
    let failed = check(&town, |check| check.id == failed.id).await;
    let told: Vec<_> = failed
        .annotations
        .iter()
        .map(|note| {
            (
                note["annotation_level"].as_str().unwrap(),
                note["path"].as_str().unwrap(),
                note["start_line"].as_u64().unwrap(),
                note["message"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("failure", "README.md", 1, "No title"), ("warning", "data/numbers.txt", 2, "an even number"),]
    );
    assert_eq!(town.sim.check_runs(REPO).len(), 1);
}

#[tokio::test]
async fn in_a_pull_requests_thread_it_stands_beside_the_head() {
    let town = Town::new().await;
    let pull =
        town.sim.open_pull_with_files(REPO, "maria", "feature", &[("new.md", "new\n")], ("Add", "")).unwrap();
    let head = town.sim.commit(REPO, "feature").unwrap().sha;
    let text = brief(&[("fail", "sleep 8\nexit 1")], &["x.txt"]);
    town.sim.comment(REPO, pull.number, "maria", &text).unwrap();
    let shown = check(&town, live).await;
    assert_eq!(shown.head_sha, head);
    check(&town, |check| check.id == shown.id && check.conclusion.as_deref() == Some("failure")).await;
}

#[tokio::test]
async fn a_run_that_was_lost_with_its_server_is_not_shown_as_working() {
    let mut town = Town::new().await;
    let issue = town.sim.open_issue(REPO, "maria", "Lost", &slow(20)).unwrap();
    let lost = check(&town, live).await;
    // What is owed would be written by the next server in any case.
    town.quiet().await;
    town = town.crash_and_restart();
    let over = check(&town, |check| check.id == lost.id && check.status == "completed").await;
    assert_eq!((over.conclusion.as_deref(), over.actions.len()), (Some("cancelled"), 0));
    assert!(over.output["summary"].as_str().unwrap().contains("the server ended"));
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
}

#[tokio::test]
async fn a_press_on_a_check_run_of_no_run_here_does_nothing() {
    let town = Town::new().await;
    town.sim.open_issue(REPO, "maria", "Forged", &slow(20)).unwrap();
    let shown = check(&town, live).await;
    town.until(async || {
        let mut store = town.store().await;
        let written = "SELECT COUNT(*) FROM effects WHERE kind = 'check_run' AND remote_id IS NOT NULL";
        sqlx::query_scalar::<_, i64>(written).fetch_one(&mut store).await.unwrap() == 1
    })
    .await;
    let here = town.sim.repository_id(REPO).unwrap();
    let press = |repository: u64, run: u64, external_id: &str, guid: &str| {
        let body = json!({
            "action": "requested_action",
            "requested_action": {"identifier": "stop"},
            "check_run": {"id": run, "head_sha": shown.head_sha, "external_id": external_id,
                "app": {"id": town.sim.app_id()}},
            "repository": {"id": repository, "name": "example", "owner": {"login": "octo"}},
            "installation": {"id": town.sim.installation_id()},
            "sender": {"id": town.sim.user_id("olga"), "login": "olga", "type": "User"},
        });
        town.sim.deliver_raw("check_run", serde_json::to_vec(&body).unwrap(), guid)
    };
    let run = shown.external_id.clone().unwrap();
    press(here, shown.id + 999, &run, "another-check");
    press(here + 999, shown.id, &run, "another-repository");
    press(here, shown.id, &run[..8], "a-beginning");
    let ignored = "the check run is that of no run of this repository";
    town.until(async || town.server.log().matches(ignored).count() == 3).await;
    assert!(!town.server.log().contains("a run is to be stopped"));
    press(here, shown.id, &run, "true");
    town.logged("a run is to be stopped").await;
}
