//! An App that is made from a manifest, as a person with a browser makes it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

#[path = "support/description.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod description;

use description::{Description, complaints, folder};
use github_sim::GithubSim;
use reqwest::{Client, Response, redirect::Policy};
use serde_json::{Value, json};
use support::sim_with_repository;

fn manifest() -> Value {
    json!({
        "name": "briefs of octo",
        "url": "https://example.com",
        "hook_attributes": {"url": "http://127.0.0.1:1/hook"},
        "redirect_url": "http://127.0.0.1:1/back",
        "default_permissions": {"issues": "write", "pull_requests": "write"},
        "default_events": ["issues", "issue_comment"],
    })
}

fn browser() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

/// Posts fields to a page, as a form does.
async fn post(sim: &GithubSim, page: &str, fields: &[(&str, &str)]) -> Response {
    let encode = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let request = browser().post(format!("{}{page}", sim.url()));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(body.join("&")).send().await.unwrap()
}

const NEW: &str = "/settings/apps/new?state=abc";

async fn code(sim: &GithubSim) -> String {
    let text = manifest().to_string();
    let answer = post(sim, NEW, &[("manifest", &text), ("name", "Briefs of Octo"), ("create", "yes")]).await;
    assert_eq!(answer.status(), 303);
    let there = answer.headers()["location"].to_str().unwrap().to_owned();
    let query = there.strip_prefix("http://127.0.0.1:1/back?code=").unwrap();
    query.strip_suffix("&state=abc").unwrap().to_owned()
}

async fn convert(sim: &GithubSim, code: &str) -> (u16, Value) {
    let url = format!("{}/api/v3/app-manifests/{code}/conversions", sim.url());
    let answer = browser().post(url).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_click_makes_the_app_and_its_code_counts_once() {
    let sim = sim_with_repository().await;
    let text = manifest().to_string();
    let page = post(&sim, NEW, &[("manifest", &text)]).await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.ends_with("form-action 'self' http://127.0.0.1:1"), "{policy}");
    assert!(page.text().await.unwrap().contains(">Create GitHub App</button>"));
    let code = code(&sim).await;
    let (status, app) = convert(&sim, &code).await;
    assert_eq!(status, 201, "{app}");
    if let Some(folder) = folder() {
        let description = Description::read(&folder, "openapi-subset.json");
        let schema = description.answer("POST", "/app-manifests/{code}/conversions", 201).unwrap().unwrap();
        assert_eq!(complaints(&schema, &app), Vec::<String>::new());
    }
    assert_eq!((&app["slug"], &app["permissions"]["metadata"]), (&json!("briefs-of-octo"), &json!("read")));
    assert_eq!(app["webhook_secret"], sim.webhook_secret());
    assert_eq!(convert(&sim, &code).await.0, 404, "a code counts once");
    assert_eq!(sim.deliveries().len(), 1, "the ping");
}

#[tokio::test]
async fn a_code_ends_after_an_hour() {
    let sim = sim_with_repository().await;
    let code = code(&sim).await;
    sim.set_clock(3_601);
    assert_eq!(convert(&sim, &code).await.0, 404);
}

#[tokio::test]
async fn what_github_refuses_is_refused_in_its_words() {
    let sim = sim_with_repository().await;
    for (field, value, told) in [
        ("hook_attributes", json!({"active": false}), "&quot;url&quot; wasn&#39;t supplied"),
        ("hook_attributes", Value::Null, "Hook url can&#39;t be blank"),
        ("redirect_url", json!("nowhere"), "redirect_url must be a valid URL"),
        ("default_permissions", json!({"everything": "write"}), "not included in the list"),
        ("default_permissions", json!({"contents": "read"}), "not supported by permissions: issues"),
        ("default_events", json!(["sunrise"]), "not supported by permissions: sunrise"),
    ] {
        let mut wrong = manifest();
        wrong[field] = value;
        let page = post(&sim, NEW, &[("manifest", &wrong.to_string())]).await;
        assert_eq!(page.status(), 422, "{wrong}");
        let page = page.text().await.unwrap();
        assert!(page.contains(told) && page.contains("Invalid GitHub App configuration"), "{told}: {page}");
    }
    let text = manifest().to_string();
    let long = "x".repeat(35);
    for (name, told) in [("codex-brief", "already taken"), (long.as_str(), "too long"), (" ", "be blank")] {
        let page = post(&sim, NEW, &[("manifest", &text), ("name", name), ("create", "yes")]).await;
        assert_eq!(page.status(), 422);
        assert!(page.text().await.unwrap().contains(told), "{told}");
    }
    assert_eq!(post(&sim, "/organizations/nobody/settings/apps/new", &[]).await.status(), 404);
}

#[tokio::test]
async fn an_app_is_installed_on_the_repositories_that_somebody_ticks() {
    let sim = sim_with_repository().await;
    sim.create_repository("octo/other", &[("README.md", "# Other\n")]).unwrap();
    code(&sim).await;
    let page = reqwest::get(format!("{}/apps/briefs-of-octo/installations/new", sim.url())).await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("name=\"octo/example\"") && page.contains("name=\"octo/other\""), "{page}");
    let done = post(&sim, "/apps/briefs-of-octo/installations/new", &[("octo/example", "on")]).await;
    assert_eq!(done.status(), 303);
    let there = done.headers()["location"].to_str().unwrap();
    assert_eq!(there, format!("/settings/installations/{}", sim.installation_id()));
    let told = reqwest::get(format!("{}{there}", sim.url())).await.unwrap().text().await.unwrap();
    assert!(told.contains("is installed"), "{told}");
    let created = sim.deliveries().into_iter().find(|delivery| delivery.event == "installation").unwrap();
    let payload: Value = serde_json::from_slice(&created.body).unwrap();
    assert_eq!(payload["repositories"].as_array().unwrap().len(), 1);
}
