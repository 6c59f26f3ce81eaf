//! What a client that missed something looks up: changed threads, editors, the delivery log, and limits.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

use github_sim::{Fault, GithubSim};
use serde_json::{Value, json};
use support::{Api, PATIENCE, Receiver, sim_with_repository};

const REPO: &str = "octo/example";
const EDITORS: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Comment { body lastEditedAt \
    editor { login __typename ... on User { databaseId } ... on Bot { databaseId } } } } }";

#[tokio::test]
async fn lists_go_by_time_of_change() {
    let sim = sim_with_repository().await;
    let first = sim.open_issue(REPO, "maria", "First", "a body").unwrap().number;
    let second = sim.open_issue(REPO, "maria", "Second", "a body").unwrap().number;
    let closed = sim.open_issue(REPO, "maria", "Closed", "a body").unwrap().number;
    sim.close_issue(REPO, closed, "maria").unwrap();
    let old = sim.comment(REPO, first, "maria", "old").unwrap().id;
    let new = sim.comment(REPO, second, "maria", "new").unwrap().id;
    sim.edit_comment(REPO, old, "maria", "changed").unwrap();
    sim.edit_issue(REPO, first, "maria", "changed").unwrap();
    let api = Api::of(&sim);
    let list = async |query: &str, field: &str| -> Vec<u64> {
        let answer = api.call("GET", &format!("/repos/{REPO}/{query}"), Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body.as_array().unwrap().iter().map(|item| item[field].as_u64().unwrap()).collect()
    };
    let updated = "sort=updated&direction=asc";
    assert_eq!(list(&format!("issues?{updated}"), "number").await, [second, first]);
    assert_eq!(list("issues?sort=updated", "number").await, [first, second]);
    assert_eq!(list("issues?state=closed", "number").await, [closed]);
    assert_eq!(list(&format!("issues?state=all&{updated}&per_page=1&page=3"), "number").await, [first]);
    assert_eq!(list("issues?since=2099-01-01T00:00:00Z", "number").await, [0_u64; 0]);
    assert_eq!(list(&format!("issues/comments?{updated}"), "id").await, [new, old]);
    assert_eq!(list("issues/comments?since=2099-01-01T00:00:00Z", "id").await, [0_u64; 0]);
    let files = [("a.md", "one\n")];
    let pull = sim.open_pull_with_files(REPO, "maria", "feature", &files, ("A", "b")).unwrap().number;
    let before = sim.review_comment(REPO, pull, "maria", "one").unwrap().id;
    let after = sim.review_comment(REPO, pull, "maria", "two").unwrap().id;
    sim.edit_review_comment(REPO, before, "maria", "three").unwrap();
    assert_eq!(list(&format!("pulls/comments?{updated}"), "id").await, [after, before]);
    assert_eq!(list("pulls/comments?since=2000-01-01T00:00:00Z", "id").await, [before, after]);
    assert_eq!(list("pulls/comments?since=2099-01-01T00:00:00Z", "id").await, [0_u64; 0]);
    assert_eq!(list(&format!("pulls/{pull}/comments?since=2099-01-01T00:00:00Z"), "id").await, [0_u64; 0]);
    let review = sim.review(REPO, pull, "maria", "APPROVED", "fine").unwrap().id;
    assert_eq!(list(&format!("pulls/{pull}/reviews?per_page=1&page=3"), "id").await, [review]);
}

#[tokio::test]
async fn the_editor_of_a_text_is_told_and_a_deleted_text_is_not() {
    let sim = sim_with_repository().await;
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap().number;
    let comment = sim.comment(REPO, issue, "maria", "mine").unwrap().id;
    let gone = sim.comment(REPO, issue, "maria", "gone").unwrap().id;
    let api = Api::of(&sim);
    let node = async |path: &str| {
        let answer = api.call("GET", &format!("/repos/{REPO}/{path}"), Value::Null).await;
        answer.body["node_id"].as_str().unwrap().to_owned()
    };
    let ids = [
        node(&format!("issues/{issue}")).await,
        node(&format!("issues/comments/{comment}")).await,
        node(&format!("issues/comments/{gone}")).await,
    ];
    sim.add_user("rob");
    sim.edit_comment(REPO, comment, "rob", "his").unwrap();
    sim.delete_comment(REPO, gone, "maria").unwrap();
    let answer = api.call("POST", "/graphql", json!({"query": EDITORS, "variables": {"ids": ids}})).await;
    let nodes = &answer.body["data"]["nodes"];
    assert_eq!((&nodes[0]["body"], &nodes[0]["editor"]), (&json!("a body"), &Value::Null));
    let rob = json!({"login": "rob", "__typename": "User", "databaseId": sim.user_id("rob")});
    assert_eq!((&nodes[1]["body"], &nodes[1]["editor"]), (&json!("his"), &rob));
    assert!(nodes[1]["lastEditedAt"].is_string());
    assert_eq!((&nodes[2], &answer.body["errors"][0]["type"]), (&Value::Null, &json!("NOT_FOUND")));
    api.call("PATCH", &format!("/repos/{REPO}/issues/comments/{comment}"), json!({"body": "the App's"}))
        .await;
    let answer = api.call("POST", "/graphql", json!({"query": EDITORS, "variables": {"ids": ids}})).await;
    let editor = &answer.body["data"]["nodes"][1]["editor"];
    assert_eq!((&editor["login"], &editor["__typename"]), (&json!("codex-brief"), &json!("Bot")));
    let other = json!({"query": "{ viewer { login } }", "variables": {"ids": []}});
    assert_eq!(api.call("POST", "/graphql", other).await.status, 400);
    let nobody = api.with_token("x", "POST", "/graphql", json!({"query": EDITORS})).await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn the_delivery_log_tells_what_was_missed_until_it_is_forgotten() {
    let receiver = Receiver::start().await;
    let sim = sim_with_repository().await;
    let nobody_listens = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/hook", nobody_listens.local_addr().unwrap());
    drop(nobody_listens);
    sim.set_webhook_url(&closed);
    let missed = sim.open_issue(REPO, "maria", "Missed", "a body").unwrap().number;
    sim.comment(REPO, missed, "maria", "missed too").unwrap();
    sim.settled(PATIENCE).await.unwrap();
    sim.set_webhook_url(&receiver.url);
    sim.comment(REPO, missed, "maria", "taken").unwrap();
    sim.settled(PATIENCE).await.unwrap();
    let api = Api::of(&sim);
    let first = api.as_app("GET", "/app/hook/deliveries?per_page=2", Value::Null).await;
    let (taken, lost) = (&first.body[0], &first.body[1]);
    assert_eq!((&taken["status_code"], &taken["status"]), (&json!(202), &json!("Accepted")));
    assert_eq!((&lost["status_code"], &lost["event"]), (&json!(0), &json!("issue_comment")));
    assert_eq!(lost["status"], "failed to connect to host");
    let next = first.header("link").trim_start_matches('<').split('>').next().unwrap();
    let rest = api.as_app("GET", next.strip_prefix(&sim.url()).unwrap(), Value::Null).await;
    assert_eq!((rest.body.as_array().unwrap().len(), &rest.body[0]["action"]), (1, &json!("opened")));
    assert_eq!(rest.header("link"), "");
    let failed = api.as_app("GET", "/app/hook/deliveries?status=failure", Value::Null).await;
    assert_eq!(failed.body.as_array().unwrap().len(), 2);
    let attempt = format!("/app/hook/deliveries/{}/attempts", lost["id"]);
    assert_eq!(api.as_app("POST", &attempt, Value::Null).await.status, 202);
    sim.settled(PATIENCE).await.unwrap();
    assert_eq!(receiver.received().len(), 2);
    sim.forget_deliveries();
    assert_eq!(api.as_app("GET", "/app/hook/deliveries", Value::Null).await.body, json!([]));
    assert_eq!(api.as_app("POST", &attempt, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_clock_that_differs_is_told_and_held_against_app_tokens() {
    let sim = sim_with_repository().await;
    let api = Api::of(&sim);
    sim.set_clock(-300);
    let early = api.as_app("GET", "/app", Value::Null).await;
    assert_eq!(early.status, 401);
    assert!(early.message().contains("'Issued at' claim ('iat')"), "{}", early.body);
    let date = chrono::DateTime::parse_from_rfc2822(early.header("date")).unwrap().timestamp();
    assert!((date - api.now() + 300).abs() < 20, "{}", early.header("date"));
    let now = api.now() - 300;
    let right = api.sign(&json!({"iss": 1234, "iat": now - 60, "exp": now + 540}));
    assert_eq!(api.with_token(&right, "GET", "/app", Value::Null).await.status, 200);
    let long = api.sign(&json!({"iss": 1234, "iat": now - 100, "exp": now + 540}));
    assert_eq!(api.with_token(&long, "GET", "/app", Value::Null).await.status, 401);
}

#[tokio::test]
async fn calls_inside_a_silence_are_found() {
    let sim = sim_with_repository().await;
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap().number;
    let api = Api::of(&sim);
    let path = format!("/repos/{REPO}/issues/{issue}/comments");
    sim.fault(Fault::new("POST", "/comments").used_up(429, 50));
    let limited = api.call("POST", &path, json!({"body": "x"})).await;
    assert_eq!((limited.status, limited.header("x-ratelimit-remaining")), (429, "0"));
    let reset: i64 = limited.header("x-ratelimit-reset").parse().unwrap();
    assert!((reset - api.now() - 50).abs() < 20, "{reset}");
    assert!(sim.early_calls().is_empty());
    offend(&sim, &api, &path).await;
    api.as_app("GET", "/app", Value::Null).await;
    assert_eq!(sim.early_calls().len(), 1, "the App itself was not asked for silence");
}

/// Calls until that is an offence: what was on its way when silence was asked for is none.
async fn offend(sim: &GithubSim, api: &Api, path: &str) {
    let offence = async {
        while sim.early_calls().is_empty() {
            api.call("GET", path, Value::Null).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), offence).await.expect("a call counts as early");
}

#[tokio::test]
async fn a_limit_that_does_not_say_for_how_long_counts_as_a_minute() {
    let sim = sim_with_repository().await;
    let api = Api::of(&sim);
    sim.fault(Fault::new("GET", "/issues").rate_limit(403, None));
    let limited = api.call("GET", &format!("/repos/{REPO}/issues"), Value::Null).await;
    assert_eq!((limited.status, limited.header("retry-after")), (403, ""));
    assert!(limited.message().contains("secondary rate limit"));
    offend(&sim, &api, &format!("/repos/{REPO}/issues")).await;
    assert_eq!(sim.early_calls().len(), 1);
}

#[tokio::test]
async fn what_creates_content_is_counted() {
    let sim = sim_with_repository().await;
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap().number;
    let (api, at) = (Api::of(&sim), format!("/repos/{REPO}/issues/{issue}"));
    let made = api.call("POST", &format!("{at}/comments"), json!({"body": "x"})).await;
    let one = format!("/repos/{REPO}/issues/comments/{}", made.body["id"]);
    api.call("PATCH", &one, json!({"body": "y"})).await;
    api.call("POST", &format!("{one}/reactions"), json!({"content": "eyes"})).await;
    api.call("POST", &format!("{at}/labels"), json!({"labels": ["one"]})).await;
    api.call("GET", &at, Value::Null).await;
    let paths: Vec<_> = sim.content_requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, [format!("{at}/comments"), one]);
}

#[tokio::test]
async fn the_newest_check_run_of_a_name_is_told_unless_all_are_asked_for() {
    let sim = sim_with_repository().await;
    let (api, sha) = (Api::of(&sim), sim.commit(REPO, "main").unwrap().sha);
    for id in ["1", "2"] {
        let run = json!({"name": "brief", "head_sha": sha, "external_id": id});
        assert_eq!(api.call("POST", &format!("/repos/{REPO}/check-runs"), run).await.status, 201);
    }
    let ids = async |query: &str| -> Vec<Value> {
        let path = format!("/repos/{REPO}/commits/{sha}/check-runs?check_name=brief{query}");
        let listed = api.call("GET", &path, Value::Null).await.body;
        listed["check_runs"].as_array().unwrap().iter().map(|run| run["external_id"].clone()).collect()
    };
    assert_eq!(ids("").await, ["2"]);
    assert_eq!(ids("&filter=all").await, ["2", "1"]);
}
