//! Approvals by the buttons of a check run.

use github_sim::CheckRun;
use serde_json::json;

use super::{REQUIRED, waiting};
use crate::support::{REPO, SOON, Town};

/// Waits for the check run that asks for an approval.
async fn check_run(town: &Town, digest: &str) -> CheckRun {
    let name = format!("approval:{digest}");
    let found = town.sim.wait_for(SOON, |world| {
        let mut runs = world.check_runs(REPO).into_iter();
        runs.find(|run| run.external_id.as_deref() == Some(&name))
    });
    found.await.unwrap()
}

#[tokio::test]
async fn a_button_counts_as_the_command_of_who_presses_it() {
    let town = Town::with_lanes(REQUIRED).await;
    let (thread, digest) = waiting(&town).await;
    let run = check_run(&town, &digest).await;
    assert_eq!(run.conclusion.as_deref(), Some("action_required"));
    assert_eq!(run.head_sha, town.sim.commit(REPO, "main").unwrap().sha);
    town.sim.press_check_action(REPO, run.id, "rob", "approve").unwrap();
    town.told(thread, "may not run briefs here").await;
    assert!(!town.server.log().contains("run begins"));
    town.sim.press_check_action(REPO, run.id, "olga", "approve").unwrap();
    assert_eq!(town.result(thread, 1).await.1["status"], "success");
    town.told(thread, "Approved by olga").await;
    town.until(async || check_run(&town, &digest).await.conclusion.as_deref() == Some("success")).await;
    assert!(check_run(&town, &digest).await.actions.is_empty());
}

#[tokio::test]
async fn a_button_rejects_and_who_must_not_approve_is_told_once() {
    let lanes = REQUIRED.replace("\"required\"", "\"second-person\"");
    let town = Town::with_lanes(&lanes).await;
    let (thread, digest) = waiting(&town).await;
    let run = check_run(&town, &digest).await;
    for _ in 0..2 {
        town.sim.press_check_action(REPO, run.id, "maria", "approve").unwrap();
    }
    town.told(thread, "the author of a text cannot approve it").await;
    town.sim.press_check_action(REPO, run.id, "olga", "reject").unwrap();
    town.told(thread, "Rejected by olga").await;
    town.until(async || check_run(&town, &digest).await.conclusion.as_deref() == Some("cancelled")).await;
    assert_eq!(town.own_comments(thread).len(), 2);
    assert!(!town.server.log().contains("run begins"));
}

#[tokio::test]
async fn a_press_counts_only_on_the_check_run_that_asks_for_the_approval() {
    let town = Town::with_lanes(REQUIRED).await;
    let (_, digest) = waiting(&town).await;
    let run = check_run(&town, &digest).await;
    town.until(async || {
        let mut store = town.store().await;
        let written = "SELECT COUNT(*) FROM effects WHERE kind = 'check_run' AND remote_id IS NOT NULL";
        sqlx::query_scalar::<_, i64>(written).fetch_one(&mut store).await.unwrap() == 1
    })
    .await;
    let (app, here) = (town.sim.app_id(), town.sim.repository_id(REPO).unwrap());
    let press = |app: u64, repository: u64, run: u64, external_id: &str, head: &str, guid: &str| {
        let body = json!({
            "action": "requested_action",
            "requested_action": {"identifier": "approve"},
            "check_run": {"id": run, "head_sha": head, "external_id": external_id, "app": {"id": app}},
            "repository": {"id": repository, "name": "example", "owner": {"login": "octo"}},
            "installation": {"id": town.sim.installation_id()},
            "sender": {"id": town.sim.user_id("olga"), "login": "olga", "type": "User"},
        });
        town.sim.deliver_raw("check_run", serde_json::to_vec(&body).unwrap(), guid)
    };
    let id = format!("approval:{digest}");
    press(app + 1, here, run.id, &id, &run.head_sha, "forged-app");
    town.logged("the check run is not this App's").await;
    press(app, here, run.id, &format!("approval:{}", "0".repeat(32)), &run.head_sha, "forged-id");
    press(app, here + 999, run.id, &id, &run.head_sha, "forged-repository");
    press(app, here, run.id, &digest, &run.head_sha, "forged-kind");
    town.logged("the check run asks for no approval").await;
    let log = town.server.log();
    assert_eq!(log.matches("the check run is that of no approval of this repository").count(), 2, "{log}");
    press(app, here, run.id, &id, &"0".repeat(40), "forged-commit");
    press(app, here, run.id + 999, &id, &run.head_sha, "forged-run");
    let refused = "the check run is not the one that asks for this approval";
    town.until(async || town.server.log().matches(refused).count() == 2).await;
    assert!(!town.server.log().contains("run begins"));
    press(app, here, run.id, &id, &run.head_sha, "true");
    town.logged("run begins").await;
}
