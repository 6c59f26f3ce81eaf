//! `codex-brief doctor` and the App: what GitHub says of it, and whether its deliveries arrive.

use github_sim::{Fault, Permission};
use serde_json::Value;

use crate::support::{LANE, REPO, Town};

/// Returns what doctor finds of the App: each with its verdict and what was seen and advised.
async fn examine(town: &Town) -> (i32, Vec<(String, String, String)>) {
    let (code, printed, told) = town.operator(&["doctor", "--json"]).await;
    let json: Value = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}{told}"));
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |finding: &Value| {
        let text = format!("{} | {}", word(&finding["seen"]), word(&finding["help"]));
        (word(&finding["attempt"]), word(&finding["verdict"]), text)
    };
    (code, json["app"].as_array().unwrap().iter().map(one).collect())
}

/// Asserts that something is found so, and that nothing else is wrong.
async fn only(town: &Town, attempt: &str, verdict: &str, text: &str) {
    let (code, found) = examine(town).await;
    let wrong: Vec<_> = found.iter().filter(|(_, verdict, _)| verdict != "held").collect();
    let [(what, how, told)] = wrong[..] else { panic!("{attempt}: {found:#?}") };
    assert!(what == attempt && how == verdict && told.contains(text), "{found:#?}");
    assert_eq!(code, i32::from(verdict != "open"), "{found:#?}");
}

#[tokio::test]
async fn what_is_wrong_with_the_app_is_told_with_what_to_change() {
    let town = Town::new().await;
    town.sim.ping();
    town.quiet().await;
    let (code, found) = examine(&town).await;
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    let all =
        ["App", "GitHub's clock", "permissions", "events", "webhook", "delivery", "installation on octo"];
    assert_eq!((code, &names[..]), (0, &all[..]), "{found:#?}");
    assert!(found.iter().all(|(_, verdict, _)| verdict == "held"), "{found:#?}");
    assert!(found[5].2.contains("a repeated ping arrived"), "{found:#?}");

    town.sim.grant_app_permission("workflows", "write");
    only(&town, "permissions", "open", "workflows: write").await;
    let least = [
        ("checks", "write"),
        ("contents", "read"),
        ("issues", "write"),
        ("metadata", "read"),
        ("pull_requests", "write"),
    ];
    town.sim.set_app_permissions(&least);
    let (code, found) = examine(&town).await;
    assert!(
        code == 1 && found[2].1 == "not_held" && found[2].2.contains("missing: contents: write"),
        "{found:#?}"
    );
    assert!(found[6].2.contains("accept the App's new permissions"), "{found:#?}");
    town.sim.grant_app_permission("contents", "write");

    town.sim.set_app_events(&["issues"]);
    only(&town, "events", "not_held", "issue_comment").await;
    town.sim.set_app_events(&[
        "check_run",
        "issue_comment",
        "issues",
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "repository",
    ]);

    town.sim.set_clock(-600);
    let (code, found) = examine(&town).await;
    assert!(
        code == 1 && found[1].1 == "not_held" && found[1].2.contains("s ahead of GitHub's"),
        "{found:#?}"
    );
    town.sim.set_clock(0);

    town.sim.suspend_installation();
    only(&town, "installation on octo", "not_held", "suspended").await;
    town.sim.uninstall();
    only(&town, "installations", "not_held", "/apps/codex-brief/installations/new").await;
    town.sim.install();
    only_good(&town).await;
}

async fn only_good(town: &Town) {
    let (code, found) = examine(town).await;
    assert!(code == 0 && found.iter().all(|(_, verdict, _)| verdict == "held"), "{found:#?}");
}

#[tokio::test]
async fn whether_deliveries_arrive_is_tried_by_a_repeated_ping() {
    let mut town = Town::with_github("labels = false\ncheck_runs = false\n", LANE).await;
    town.sim.forget_deliveries();
    only(&town, "delivery", "not_tried", "holds nothing to deliver again").await;
    // Without a ping it is a delivery that the server knows, so that nothing happens twice.
    town.sim.set_permission(REPO, "maria", Permission::Write).unwrap();
    town.sim.open_issue(REPO, "maria", "Just talk", "Hello").unwrap();
    town.quiet().await;
    let (_, found) = examine(&town).await;
    assert!(found[5].1 == "held" && found[5].2.contains("a repeated issues arrived"), "{found:#?}");
    town.sim.ping();
    town.quiet().await;
    let server = town.server.url();
    town.sim.set_webhook_url(&format!("{server}/elsewhere"));
    let (_, found) = examine(&town).await;
    assert!(found[4].1 == "open" && found[5].2.contains("was answered 404"), "{found:#?}");
    town.sim.set_webhook_url(&format!("{server}/webhooks/github"));
    only_good(&town).await;
    town.sim.set_webhook_secret("another");
    only(&town, "delivery", "not_held", "The secrets differ").await;
    town.crash();
    only(&town, "delivery", "not_held", "GitHub does not reach the server").await;
}

#[tokio::test]
async fn a_key_or_a_github_that_does_not_answer_is_told() {
    let town = Town::new().await;
    let config = std::fs::read_to_string(&town.config).unwrap();
    std::fs::write(&town.config, config.replace("app_id = 1234", "app_id = 99")).unwrap();
    only(&town, "App", "not_held", "Compare github.app_id").await;
    std::fs::write(&town.config, &config).unwrap();
    town.sim.fault(Fault::new("GET", "/app").status(401).times(2));
    only(&town, "App", "not_held", "Make a new key").await;
    town.sim.fault(Fault::new("GET", "/app").drop_connection().times(9));
    only(&town, "App", "not_held", "--offline leaves GitHub out").await;
    town.sim.clear_faults();
    let (code, printed, _) = town.operator(&["doctor", "--offline"]).await;
    assert!(code == 0 && !printed.contains("The App"), "{printed}");
    std::fs::write(town.config.with_file_name("app.pem"), "no key").unwrap();
    only(&town, "App", "not_held", "private key cannot be used").await;
}
