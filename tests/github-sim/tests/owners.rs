//! What owners do to repositories and to the App's installation, as a client and a git user meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

use serde_json::{Value, json};
use support::{Api, Receiver, git, git_env, sim_with_repository};

const REPO: &str = "octo/example";

#[tokio::test]
async fn an_old_name_leads_to_the_repository() {
    let sim = sim_with_repository().await;
    let id = sim.repository_id(REPO).unwrap();
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap().number;
    sim.rename_repository(REPO, "renamed").unwrap();
    let told = sim.deliveries().pop().unwrap().payload();
    assert_eq!(
        (&told["action"], &told["repository"]["full_name"]),
        (&json!("renamed"), &json!("octo/renamed"))
    );
    assert_eq!(told["changes"]["repository"]["name"]["from"], "example");
    let api = Api::of(&sim);
    let old = format!("/repos/{REPO}/issues/{issue}?x=1");
    let read = api.call("GET", &old, Value::Null).await;
    let to = format!("/repositories/{id}/issues/{issue}");
    assert_eq!((read.status, read.header("location")), (301, format!("{}{to}?x=1", sim.url()).as_str()));
    assert_eq!(api.call("GET", &to, Value::Null).await.body["title"], "Hello");
    let write =
        api.call("POST", &format!("/repos/{REPO}/issues/{issue}/comments"), json!({"body": "x"})).await;
    assert_eq!(write.status, 307);
    assert!(sim.comments("octo/renamed", issue).is_empty());
    let there = api.call("POST", &format!("{to}/comments"), json!({"body": "x"})).await;
    assert_eq!((there.status, sim.comments("octo/renamed", issue).len()), (201, 1));
    let by_id = api.call("GET", &format!("/repositories/{id}"), Value::Null).await;
    assert_eq!(by_id.body["full_name"], "octo/renamed");
    sim.create_repository(REPO, &[("a", "b")]).unwrap();
    assert_eq!(api.call("GET", &format!("/repos/{REPO}"), Value::Null).await.status, 200);
}

#[tokio::test]
async fn git_follows_a_transfer() {
    let sim = sim_with_repository().await;
    let (folder, token) = (tempfile::tempdir().unwrap(), sim.installation_token());
    let old = sim.clone_url(REPO);
    sim.transfer_repository(REPO, "elsewhere").unwrap();
    let told = sim.deliveries().pop().unwrap().payload();
    assert_eq!(told["changes"]["owner"]["from"]["organization"]["login"], "octo");
    let cloned = git_env(folder.path(), &["clone", &old, "work"], &token).await;
    assert!(cloned.status.success(), "{}", String::from_utf8_lossy(&cloned.stderr));
    let work = folder.path().join("work");
    assert!(git(&work, &["commit", "--allow-empty", "-m", "More"]).await.status.success());
    let pushed = git_env(&work, &["push", "origin", "HEAD:feature"], &token).await;
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    assert_eq!(sim.commit_message("elsewhere/example", "feature").unwrap().trim(), "More");
}

#[tokio::test]
async fn an_archived_repository_is_read_only() {
    let sim = sim_with_repository().await;
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap().number;
    let (folder, token) = (tempfile::tempdir().unwrap(), sim.installation_token());
    assert!(git_env(folder.path(), &["clone", &sim.clone_url(REPO), "work"], &token).await.status.success());
    sim.archive_repository(REPO).unwrap();
    let api = Api::of(&sim);
    let comments = format!("/repos/{REPO}/issues/{issue}/comments");
    let refused = api.call("POST", &comments, json!({"body": "x"})).await;
    assert_eq!((refused.status, refused.message()), (403, "Repository was archived so is read-only."));
    assert_eq!(api.call("GET", &comments, Value::Null).await.status, 200);
    assert_eq!(api.call("GET", &format!("/repos/{REPO}"), Value::Null).await.body["archived"], true);
    let pushed = git_env(&folder.path().join("work"), &["push", "origin", "HEAD:feature"], &token).await;
    let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
    assert!(!pushed.status.success() && said.contains("archived so it is read-only"), "{said}");
    sim.set_archived(REPO, false).unwrap();
    assert_eq!(api.call("POST", &comments, json!({"body": "x"})).await.status, 201);
}

#[tokio::test]
async fn a_protected_branch_takes_no_push() {
    let sim = sim_with_repository().await;
    let (folder, token) = (tempfile::tempdir().unwrap(), sim.installation_token());
    assert!(git_env(folder.path(), &["clone", &sim.clone_url(REPO), "work"], &token).await.status.success());
    let work = folder.path().join("work");
    sim.protect_branch(REPO, "release").unwrap();
    sim.protect_branch(REPO, "brief/*").unwrap();
    let pushed = git_env(&work, &["push", "origin", "HEAD:brief/one"], &token).await;
    let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
    assert!(!pushed.status.success() && said.contains("protected branch hook declined"), "{said}");
    assert!(git_env(&work, &["push", "origin", "HEAD:free"], &token).await.status.success());
    sim.unprotect_branches(REPO).unwrap();
    assert!(git_env(&work, &["push", "origin", "HEAD:brief/one"], &token).await.status.success());
}

#[tokio::test]
async fn a_suspended_installation_gives_no_token_and_takes_none() {
    let receiver = Receiver::start().await;
    let sim = sim_with_repository().await;
    sim.set_webhook_url(&receiver.url);
    let api = Api::of(&sim);
    let tokens = format!("/app/installations/{}/access_tokens", sim.installation_id());
    sim.suspend_installation();
    for answer in [
        api.as_app("POST", &tokens, Value::Null).await,
        api.call("GET", &format!("/repos/{REPO}"), Value::Null).await,
    ] {
        assert_eq!((answer.status, answer.message()), (403, "This installation has been suspended"));
    }
    sim.open_issue(REPO, "maria", "Not told", "a body").unwrap();
    let listed = api.as_app("GET", "/app/installations", Value::Null).await;
    assert!(listed.body[0]["suspended_at"].is_string(), "{}", listed.body);
    sim.unsuspend_installation();
    assert_eq!(api.call("GET", &format!("/repos/{REPO}"), Value::Null).await.status, 200);
    let told: Vec<_> =
        sim.deliveries().iter().map(|one| (one.event.clone(), one.action.clone().unwrap())).collect();
    let both = ["suspend", "unsuspend"].map(|action| ("installation".to_owned(), action.to_owned()));
    assert_eq!(told, both);
}

#[tokio::test]
async fn what_was_uninstalled_comes_back_with_another_id() {
    let sim = sim_with_repository().await;
    let (api, before) = (Api::of(&sim), sim.installation_id());
    sim.uninstall();
    let tokens = format!("/app/installations/{before}/access_tokens");
    assert_eq!(api.as_app("POST", &tokens, Value::Null).await.status, 404);
    assert_eq!(api.call("GET", &format!("/repos/{REPO}"), Value::Null).await.status, 401);
    assert_eq!(api.as_app("GET", "/app/installations", Value::Null).await.body, json!([]));
    assert_eq!(api.as_app("GET", &format!("/repos/{REPO}/installation"), Value::Null).await.status, 404);
    let after = sim.install();
    assert_ne!(before, after);
    assert_eq!(api.as_app("POST", &tokens, Value::Null).await.status, 404);
    let tokens = format!("/app/installations/{after}/access_tokens");
    assert_eq!(api.as_app("POST", &tokens, Value::Null).await.status, 201);
}

#[tokio::test]
async fn owners_act_by_the_control_interface_too() {
    let sim = sim_with_repository().await;
    let client = reqwest::Client::new();
    let order = async |path: &str, body: Value| {
        let answer = client.post(format!("{}/_sim/{path}", sim.url())).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json::<Value>().await.unwrap()
    };
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap().number;
    let deed = json!({"repo": REPO, "user": "maria", "number": issue});
    order("issues/close", deed.clone()).await;
    order("issues/reopen", deed.clone()).await;
    assert!(sim.issue(REPO, issue).unwrap().open);
    order("issues/delete", deed).await;
    assert!(sim.issue(REPO, issue).is_none());
    order("repositories/protect", json!({"repo": REPO, "branch": "main"})).await;
    order("repositories/archive", json!({"repo": REPO})).await;
    order("repositories/rename", json!({"repo": REPO, "name": "new"})).await;
    let moved = order("repositories/transfer", json!({"repo": "octo/new", "owner": "other"})).await;
    assert_eq!(moved["full_name"], "other/new");
    assert!(sim.repository_id("other/new").is_some());
    let before = sim.installation_id();
    for act in ["suspend", "unsuspend", "uninstall", "install"] {
        order("installation", json!({"act": act})).await;
    }
    assert_ne!(sim.installation_id(), before);
    sim.settled(support::PATIENCE).await.unwrap();
    order("deliveries/forget", json!({})).await;
    assert!(sim.deliveries().is_empty());
}
