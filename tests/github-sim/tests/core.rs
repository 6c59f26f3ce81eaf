//! The simulated GitHub as a client and a git user meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

use github_sim::{Fault, GithubSim, Permission, Subject};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Api, PATIENCE, Receiver, git, git_env, sim_with_repository};

const REPO: &str = "octo/example";

#[tokio::test]
async fn an_app_gets_a_token_and_uses_it() {
    let sim = sim_with_repository().await;
    let api = Api::of(&sim);
    let app = api.as_app("GET", "/app", Value::Null).await;
    assert_eq!((app.status, &app.body["slug"]), (200, &json!("codex-brief")));
    let path = format!("/app/installations/{}/access_tokens", sim.installation_id());
    let token = api.as_app("POST", &path, json!({"permissions": {"issues": "read"}})).await;
    assert_eq!(token.status, 201);
    let text = token.body["token"].as_str().unwrap();
    assert!(text.starts_with("ghs_") && text.matches('.').count() == 2, "{text}");
    assert!((480..560).contains(&text.len()), "{} characters", text.len());
    assert_eq!(token.body["permissions"], json!({"issues": "read", "metadata": "read"}));
    let list = api.with_token(text, "GET", "/repos/octo/example/issues", Value::Null).await;
    assert_eq!(list.status, 200);
    let refused = api.with_token(text, "POST", "/repos/octo/example/issues", json!({"title": "x"})).await;
    assert_eq!((refused.status, refused.message()), (403, "Resource not accessible by integration"));
    assert_eq!(refused.header("x-accepted-github-permissions"), "issues=write");
    sim.expire_tokens();
    let late = api.with_token(text, "GET", "/repos/octo/example/issues", Value::Null).await;
    assert_eq!((late.status, late.message()), (401, "Bad credentials"));
}

#[tokio::test]
async fn a_wrong_app_token_is_refused() {
    let sim = sim_with_repository().await;
    let api = Api::of(&sim);
    for (claims, message) in [
        (json!({"iss": 1234, "iat": api.now() - 60, "exp": api.now() - 1}), "'exp'"),
        (json!({"iss": 1234, "iat": api.now() - 60, "exp": api.now() + 700}), "too far in the future"),
        (json!({"iss": 1234, "iat": api.now() + 60, "exp": api.now() + 300}), "'iat'"),
        (json!({"iss": "99", "iat": api.now() - 60, "exp": api.now() + 300}), "Integration not found"),
    ] {
        let answer = api.with_token(&api.sign(&claims), "GET", "/app", Value::Null).await;
        assert!(answer.status >= 401 && answer.message().contains(message), "{}", answer.body);
    }
    let other = api.with_token("eyJhbGciOiJub25lIn0.e30.", "GET", "/app", Value::Null).await;
    assert_eq!(other.status, 401);
}

#[tokio::test]
async fn asking_for_more_than_was_granted_is_refused() {
    let sim = sim_with_repository().await;
    sim.create_repository("octo/other", &[("a", "b")]).unwrap();
    let api = Api::of(&sim);
    let path = format!("/app/installations/{}/access_tokens", sim.installation_id());
    let more = api.as_app("POST", &path, json!({"permissions": {"workflows": "write"}})).await;
    assert_eq!(more.status, 422);
    let narrow = api.as_app("POST", &path, json!({"repositories": ["other"]})).await;
    let token = narrow.body["token"].as_str().unwrap();
    let outside = api.with_token(token, "GET", "/repos/octo/example", Value::Null).await;
    assert_eq!(outside.status, 404);
    let inside = api.with_token(token, "GET", "/repos/octo/other", Value::Null).await;
    assert_eq!(inside.status, 200);
}

#[tokio::test]
async fn an_issue_is_told_by_a_signed_webhook() {
    let receiver = Receiver::start().await;
    let sim = sim_with_repository().await;
    sim.set_webhook_url(&receiver.url);
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap();
    sim.comment(REPO, issue.number, "maria", "first").unwrap();
    sim.settled(PATIENCE).await.unwrap();
    let got = receiver.received();
    let events: Vec<&str> = got.iter().map(|hook| hook.header("x-github-event")).collect();
    assert_eq!(events, ["issues", "issue_comment"]);
    let body = got[0].json();
    assert_eq!(body["action"], "opened");
    assert_eq!(body["sender"]["login"], "maria");
    assert_eq!(body["installation"]["id"], sim.installation_id());
    assert_eq!(got[0].header("x-hub-signature-256"), support::signature(&sim.webhook_secret(), &got[0].body));
    let delivery = &sim.deliveries()[0];
    assert_eq!(
        (delivery.status_code, delivery.guid.as_str()),
        (Some(202), got[0].header("x-github-delivery"))
    );
}

#[tokio::test]
async fn a_redelivery_keeps_guid_and_bytes() {
    let receiver = Receiver::start().await;
    let sim = sim_with_repository().await;
    sim.set_webhook_url(&receiver.url);
    sim.open_issue(REPO, "maria", "Hello", "a body").unwrap();
    let first = sim.deliveries()[0].clone();
    let again = sim.redeliver(&first.guid).unwrap();
    sim.delivered(again, PATIENCE).await.unwrap();
    let got = receiver.received();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].body, got[1].body);
    assert_eq!(got[0].header("x-github-delivery"), got[1].header("x-github-delivery"));
    let api = Api::of(&sim);
    let log = api.as_app("GET", "/app/hook/deliveries", Value::Null).await;
    assert_eq!(log.body[0]["redelivery"], true);
    let attempt = format!("/app/hook/deliveries/{}/attempts", first.id);
    assert_eq!(api.as_app("POST", &attempt, Value::Null).await.status, 202);
    sim.settled(PATIENCE).await.unwrap();
    assert_eq!(receiver.received().len(), 3);
}

#[tokio::test]
async fn what_the_app_writes_is_the_bots() {
    let sim = sim_with_repository().await;
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap();
    let api = Api::of(&sim);
    let path = format!("/repos/{REPO}/issues/{}/comments", issue.number);
    let made = api.call("POST", &path, json!({"body": "done"})).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.body["user"]["login"], "codex-brief[bot]");
    assert_eq!(made.body["user"]["type"], "Bot");
    assert_eq!(made.body["performed_via_github_app"]["id"], sim.app_id());
    assert!(made.body["html_url"].as_str().unwrap().contains("#issuecomment-"));
    let told = sim.deliveries().pop().unwrap().payload();
    assert_eq!(told["sender"]["login"], "codex-brief[bot]");
    let long = api.call("POST", &path, json!({"body": "x".repeat(65_537)})).await;
    assert_eq!(long.status, 422);
    assert_eq!(long.body["errors"][0]["message"], "Body is too long (maximum is 65536 characters)");
    let fits = api.call("POST", &path, json!({"body": "ä".repeat(65_536)})).await;
    assert_eq!(fits.status, 201);
}

#[tokio::test]
async fn comments_come_in_pages() {
    let sim = sim_with_repository().await;
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap();
    for count in 0..5 {
        sim.comment(REPO, issue.number, "maria", &format!("comment {count}")).unwrap();
    }
    let api = Api::of(&sim);
    let mut path = format!("/repos/{REPO}/issues/{}/comments?per_page=2", issue.number);
    let mut seen = Vec::new();
    loop {
        let page = api.call("GET", &path, Value::Null).await;
        assert!(page.body.as_array().unwrap().len() <= 2);
        seen.extend(page.body.as_array().unwrap().iter().map(|comment| comment["body"].clone()));
        let link = page.header("link").to_owned();
        let next = link.split(", ").find(|part| part.ends_with("rel=\"next\""));
        let Some(next) = next else { break };
        let url = next.trim_start_matches('<').split('>').next().unwrap();
        path = url.strip_prefix(&sim.url()).unwrap().to_owned();
    }
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[4], "comment 4");
}

#[tokio::test]
async fn a_second_pull_request_for_one_head_is_refused() {
    let sim = sim_with_repository().await;
    sim.push_commit(REPO, "maria", "feature", &[("new.md", "new\n")], "Add new\n").unwrap();
    let api = Api::of(&sim);
    let order = json!({"title": "New", "head": "feature", "base": "main", "body": "b"});
    let first = api.call("POST", "/repos/octo/example/pulls", order.clone()).await;
    assert_eq!(first.status, 201, "{}", first.body);
    assert_eq!(first.body["changed_files"], 1);
    let second = api.call("POST", "/repos/octo/example/pulls", order).await;
    assert_eq!(second.status, 422);
    assert_eq!(second.body["errors"][0]["message"], "A pull request already exists for octo:feature.");
    let nowhere = json!({"title": "New", "head": "nowhere", "base": "main"});
    let nowhere = api.call("POST", "/repos/octo/example/pulls", nowhere).await;
    assert_eq!(
        nowhere.body["errors"][0],
        json!({"resource": "PullRequest", "field": "head", "code": "invalid"})
    );
    let nothing = api.call("POST", "/repos/octo/example/git/refs", {
        let main = sim.branches(REPO).into_iter().find(|(name, _)| name == "main").unwrap().1;
        json!({"ref": "refs/heads/same", "sha": main})
    });
    assert_eq!(nothing.await.status, 201);
    let same = json!({"title": "New", "head": "same", "base": "main"});
    let same = api.call("POST", "/repos/octo/example/pulls", same).await;
    assert_eq!(same.body["errors"][0]["message"], "No commits between main and same");
    let found = api.call("GET", "/repos/octo/example/pulls?head=octo:feature&state=all", Value::Null).await;
    assert_eq!(found.body[0]["number"], first.body["number"]);
    let none = api.call("GET", "/repos/octo/example/pulls?head=octo:other", Value::Null).await;
    assert_eq!(none.body, json!([]));
}

#[tokio::test]
async fn permission_is_told_in_both_fields() {
    let sim = sim_with_repository().await;
    sim.set_permission(REPO, "tim", Permission::Triage).unwrap();
    sim.add_user("stranger");
    let api = Api::of(&sim);
    for (login, permission, role) in
        [("maria", "write", "write"), ("tim", "read", "triage"), ("stranger", "none", "none")]
    {
        let path = format!("/repos/{REPO}/collaborators/{login}/permission");
        let answer = api.call("GET", &path, Value::Null).await;
        assert_eq!(
            (&answer.body["permission"], &answer.body["role_name"]),
            (&json!(permission), &json!(role))
        );
        assert_eq!(answer.body["user"]["id"].as_u64(), sim.user_id(login));
    }
    let unknown = api.call("GET", "/repos/octo/example/collaborators/nobody/permission", Value::Null).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_reaction_is_new_once() {
    let sim = sim_with_repository().await;
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap();
    let api = Api::of(&sim);
    let path = format!("/repos/{REPO}/issues/{}/reactions", issue.number);
    assert_eq!(api.call("POST", &path, json!({"content": "eyes"})).await.status, 201);
    assert_eq!(api.call("POST", &path, json!({"content": "eyes"})).await.status, 200);
    assert_eq!(api.call("POST", &path, json!({"content": "frog"})).await.status, 422);
    assert_eq!(sim.reactions(REPO, Subject::Issue(issue.number)).len(), 1);
}

#[tokio::test]
async fn git_clones_and_pushes_with_a_token_only() {
    let sim = sim_with_repository().await;
    let folder = tempfile::tempdir().unwrap();
    let url = sim.clone_url(REPO);
    let refused = git(folder.path(), &["clone", &url, "without"]).await;
    assert!(!refused.status.success());
    let wrong = git_env(folder.path(), &["clone", &url, "wrong"], "ghs_wrong").await;
    assert!(!wrong.status.success());
    let token = sim.installation_token();
    let cloned = git_env(folder.path(), &["clone", &url, "work"], &token).await;
    assert!(cloned.status.success(), "{}", String::from_utf8_lossy(&cloned.stderr));
    let work = folder.path().join("work");
    // Large and not compressible, so that git sends the pack in chunks.
    let noise: String =
        (0..200_000u64).map(|n| format!("{:x}\n", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    std::fs::write(work.join("noise.txt"), noise).unwrap();
    for arguments in [&["checkout", "-b", "feature"][..], &["add", "."], &["commit", "-m", "Add noise"]] {
        assert!(git(&work, arguments).await.status.success());
    }
    let pushed = git_env(&work, &["push", "origin", "feature"], &token).await;
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    assert_eq!(sim.commit_message(REPO, "feature").unwrap().trim(), "Add noise");
    assert!(sim.file_at(REPO, "feature", "noise.txt").is_some());
    sim.set_app_permissions(&[("contents", "read")]);
    let reader = sim.installation_token();
    let refused = git_env(&work, &["push", "origin", "feature:other"], &reader).await;
    assert!(!refused.status.success());
    assert!(!sim.branches(REPO).iter().any(|(name, _)| name == "other"));
}

#[tokio::test]
async fn a_compressed_request_of_git_is_understood() {
    let sim = sim_with_repository().await;
    let folder = tempfile::tempdir().unwrap();
    let token = sim.installation_token();
    let url = sim.clone_url(REPO);
    assert!(git_env(folder.path(), &["clone", &url, "work"], &token).await.status.success());
    let work = folder.path().join("work");
    // Wanting many commits makes a request that git compresses (it does so above 1,024 bytes).
    for count in 0..40 {
        let branch = format!("branch-{count}");
        sim.push_commit(REPO, "maria", &branch, &[("new.md", &branch)], "Remote\n").unwrap();
    }
    let fetched = support::git_traced(&work, &["fetch", "origin"], &token).await;
    let said = String::from_utf8_lossy(&fetched.stderr).into_owned();
    assert!(fetched.status.success(), "{said}");
    assert!(said.to_lowercase().contains("content-encoding: gzip"), "git did not compress: {said}");
    assert_eq!(git(&work, &["show", "origin/branch-39:new.md"]).await.stdout, b"branch-39");
}

#[tokio::test]
async fn a_push_of_workflow_files_needs_the_permission() {
    let sim = sim_with_repository().await;
    let folder = tempfile::tempdir().unwrap();
    let url = sim.clone_url(REPO);
    let token = sim.installation_token();
    assert!(git_env(folder.path(), &["clone", &url, "work"], &token).await.status.success());
    let work = folder.path().join("work");
    std::fs::create_dir_all(work.join(".github/workflows")).unwrap();
    std::fs::write(work.join(".github/workflows/ci.yml"), "on: push\n").unwrap();
    for arguments in [&["add", "."][..], &["commit", "-m", "Add CI"]] {
        assert!(git(&work, arguments).await.status.success());
    }
    let refused = git_env(&work, &["push", "origin", "HEAD:ci"], &token).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("without `workflows` permission"), "{said}");
    sim.set_app_permissions(&[("contents", "write"), ("workflows", "write")]);
    let token = sim.installation_token();
    assert!(git_env(&work, &["push", "origin", "HEAD:ci"], &token).await.status.success());
}

#[tokio::test]
async fn a_push_moves_the_pull_request() {
    let sim = sim_with_repository().await;
    let pull = sim.open_pull_with_files(REPO, "maria", "feature", &[("a.md", "one\n")], ("A", "b")).unwrap();
    let before = sim.pulls(REPO)[0].head_sha.clone();
    let after = sim.push_commit(REPO, "maria", "feature", &[("a.md", "two\n")], "More\n").unwrap();
    assert_eq!(sim.pulls(REPO)[0].head_sha, after);
    let told = sim.deliveries().pop().unwrap().payload();
    assert_eq!((&told["action"], &told["before"]), (&json!("synchronize"), &json!(before)));
    sim.merge_pull(REPO, pull.number, "maria").unwrap();
    assert_eq!(sim.file_at(REPO, "main", "a.md").unwrap(), "two\n");
    assert!(sim.pulls(REPO)[0].merged);
}

#[tokio::test]
async fn faults_take_hold_as_often_as_asked() {
    let sim = sim_with_repository().await;
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap();
    let api = Api::of(&sim);
    let path = format!("/repos/{REPO}/issues/{}/comments", issue.number);
    sim.fault(Fault::new("POST", "/comments").times(2).secondary_rate_limit(7));
    for _ in 0..2 {
        let limited = api.call("POST", &path, json!({"body": "x"})).await;
        assert_eq!((limited.status, limited.header("retry-after")), (403, "7"));
    }
    assert!(sim.comments(REPO, issue.number).is_empty());
    assert_eq!(api.call("POST", &path, json!({"body": "x"})).await.status, 201);
    sim.fault(Fault::new("POST", "/comments").drop_connection());
    assert!(api.try_call("POST", &path, json!({"body": "lost"})).await.is_err());
    assert_eq!(sim.comments(REPO, issue.number).len(), 1);
    let dropped = sim.requests().pop().unwrap();
    assert_eq!((dropped.status, dropped.faulted), (None, true));
}

#[tokio::test]
async fn a_fault_after_the_effect_leaves_the_effect() {
    let sim = sim_with_repository().await;
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap();
    let api = Api::of(&sim);
    let path = format!("/repos/{REPO}/issues/{}/comments", issue.number);
    sim.fault(Fault::new("POST", "/comments").status_after_effect(502));
    assert_eq!(api.call("POST", &path, json!({"body": "one"})).await.status, 502);
    sim.fault(Fault::new("POST", "/comments").drop_after_effect());
    assert!(api.try_call("POST", &path, json!({"body": "two"})).await.is_err());
    let bodies: Vec<String> =
        sim.comments(REPO, issue.number).into_iter().map(|comment| comment.body).collect();
    assert_eq!(bodies, ["one", "two"]);
    assert_eq!(sim.faults_left(), 0);
}

#[tokio::test]
async fn a_push_can_succeed_and_look_failed() {
    let sim = sim_with_repository().await;
    let folder = tempfile::tempdir().unwrap();
    let token = sim.installation_token();
    assert!(git_env(folder.path(), &["clone", &sim.clone_url(REPO), "work"], &token).await.status.success());
    let work = folder.path().join("work");
    assert!(git(&work, &["commit", "--allow-empty", "-m", "More"]).await.status.success());
    sim.fault(Fault::new("POST", "/git-receive-pack").status_after_effect(502));
    assert!(!git_env(&work, &["push", "origin", "HEAD:feature"], &token).await.status.success());
    assert_eq!(sim.commit_message(REPO, "feature").unwrap().trim(), "More");
}

#[tokio::test]
async fn waiting_ends_by_what_is_seen_or_by_the_deadline() {
    let sim = sim_with_repository().await;
    let seen = sim.wait_for(PATIENCE, |world| world.issue(REPO, 1).cloned());
    let (seen, ()) = tokio::join!(seen, async {
        sim.open_issue(REPO, "maria", "Hello", "a body").unwrap();
    });
    assert_eq!(seen.unwrap().title, "Hello");
    let never = sim.wait_for(Duration::from_millis(20), |world| world.issue(REPO, 9).cloned()).await;
    assert!(never.unwrap_err().to_string().contains("last deliveries"));
}

#[tokio::test]
async fn dropping_it_stops_the_server() {
    let sim = GithubSim::start().await.unwrap();
    let url = format!("{}/users/octo", sim.url());
    assert_eq!(reqwest::get(&url).await.unwrap().status(), StatusCode::OK);
    let address = sim.url().trim_start_matches("http://").to_owned();
    drop(sim);
    // The listener closes in the server's own task; a port that can be bound shows that it has.
    tokio::time::timeout(PATIENCE, async {
        while tokio::net::TcpListener::bind(&address).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}
