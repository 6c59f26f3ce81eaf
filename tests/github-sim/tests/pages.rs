//! The pages as a person meets them, and the control interface as `curl` does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

use github_sim::Subject;
use serde_json::{Value, json};
use support::{Api, sim_with_repository};

const REPO: &str = "octo/example";

#[tokio::test]
async fn an_issue_page_shows_the_talk_and_runs_nothing() {
    let sim = sim_with_repository().await;
    let body = "Hello **you**\n\n<!-- marker -->\n<script>alert(1)</script>\n\n[x](javascript:alert(2))";
    let issue = sim.open_issue(REPO, "maria", "A <b>title</b>", body).unwrap();
    sim.react(REPO, Subject::Issue(issue.number), "maria", "eyes").unwrap();
    sim.label(REPO, issue.number, "maria", &["<i>label"]).unwrap();
    let api = Api::of(&sim);
    let path = format!("/repos/{REPO}/issues/{}/comments", issue.number);
    api.call("POST", &path, json!({"body": "from the bot"})).await;
    let answer = reqwest::get(&issue.html_url).await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("script"), "{policy}");
    let page = answer.text().await.unwrap();
    for shown in
        ["Hello <strong>you</strong>", "A &lt;b&gt;title&lt;/b&gt;", "&lt;i&gt;label", "👀 1", ">bot</span>"]
    {
        assert!(page.contains(shown), "{shown} is not on the page");
    }
    for hidden in ["<script", "marker", "javascript:", "<i>label"] {
        assert!(!page.contains(hidden), "{hidden} is on the page");
    }
}

#[tokio::test]
async fn a_pull_request_page_shows_commits_and_diff() {
    let sim = sim_with_repository().await;
    let files = [("new.md", "one <b>\n")];
    let pull = sim.open_pull_with_files(REPO, "maria", "feature", &files, ("Add new", "body")).unwrap();
    sim.review_comment(REPO, pull.number, "maria", "why?").unwrap();
    let page = reqwest::get(&pull.html_url).await.unwrap().text().await.unwrap();
    for shown in ["wants to merge 1 commit into", "+one &lt;b&gt;", "class=\"plus\"", "why?", "new.md"] {
        assert!(page.contains(shown), "{shown} is not on the page");
    }
    let diff = reqwest::get(format!("{}.diff", pull.html_url)).await.unwrap().text().await.unwrap();
    assert!(
        diff.starts_with("diff --git a/new.md b/new.md\nnew file mode 100644\n--- /dev/null\n"),
        "{diff}"
    );
    let as_issue = format!("{}/{REPO}/issues/{}", sim.url(), pull.number);
    assert_eq!(reqwest::get(as_issue).await.unwrap().url().as_str(), pull.html_url);
    for tail in ["", "/octo/example", "/octo/example/tree/feature", "/octo/example/blob/feature/new.md"] {
        assert_eq!(reqwest::get(format!("{}{tail}", sim.url())).await.unwrap().status(), 200, "{tail}");
    }
    assert_eq!(reqwest::get(format!("{}/octo/none", sim.url())).await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_check_runs_page_shows_its_places_and_its_buttons_can_be_pressed() {
    let sim = sim_with_repository().await;
    let head = sim.commit(REPO, "main").unwrap().sha;
    let note = json!({"path": "a<b>.rs", "start_line": 3, "end_line": 3, "annotation_level": "failure",
        "message": "no <such> thing"});
    let new = json!({"name": "codex-brief", "head_sha": head, "status": "in_progress",
        "output": {"title": "Step 1", "summary": "**works**", "annotations": [note]},
        "actions": [{"label": "Stop", "description": "Ends it", "identifier": "stop"}]});
    Api::of(&sim).call("POST", &format!("/repos/{REPO}/check-runs"), new).await;
    let run = sim.check_runs(REPO).remove(0);
    let address = format!("{}/{REPO}/runs/{}", sim.url(), run.id);
    let page = reqwest::get(&address).await.unwrap().text().await.unwrap();
    for shown in [
        "<strong>works</strong>",
        "a&lt;b&gt;.rs:3",
        "no &lt;such&gt; thing",
        ">Stop</button>",
        "maria",
        "in_progress",
    ] {
        assert!(page.contains(shown), "{shown} is not on {page}");
    }
    let press = async |user: &str, identifier: &str| {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let client = reqwest::Client::new().post(format!("{address}/press"));
        let pressed =
            client.header(form[0].0, form[0].1).body(format!("user={user}&identifier={identifier}"));
        pressed.send().await.unwrap().status().as_u16()
    };
    assert_eq!((press("maria", "stop").await, press("maria", "start").await), (200, 404));
    assert_eq!((press("nobody", "stop").await, press("maria", "").await), (404, 404), "it is not completed");
}

#[tokio::test]
async fn a_person_plays_by_the_control_interface() {
    let sim = sim_with_repository().await;
    let api = Api::of(&sim);
    let issue = json!({"repo": REPO, "user": "maria", "title": "Hello", "body": "b"});
    let made = api.call("POST", "/_sim/issues", issue).await;
    assert_eq!(made.body["number"], 1);
    let comment = json!({"repo": REPO, "user": "maria", "number": 1, "body": "c"});
    assert_eq!(api.call("POST", "/_sim/comments", comment).await.status, 200);
    let pull = json!({"repo": REPO, "user": "maria", "title": "P", "head": "p", "files": {"a": "b\n"}});
    assert_eq!(api.call("POST", "/_sim/pulls", pull).await.body["number"], 2);
    let fault = json!({"path": "/issues", "kind": "status", "status": 503});
    assert_eq!(api.call("POST", "/_sim/faults", fault).await.status, 200);
    assert_eq!(api.call("GET", "/repos/octo/example/issues", Value::Null).await.status, 503);
    let wrong = api.call("POST", "/_sim/faults", json!({"kind": "frog"})).await;
    assert!(wrong.status == 422 && wrong.message().contains("status-after-effect"), "{}", wrong.body);
    let unknown = api.call("POST", "/_sim/issues", json!({"repository": REPO})).await;
    assert!(unknown.status == 422 && unknown.message().contains("unknown field"), "{}", unknown.body);
    let state = api.call("GET", "/_sim/state", Value::Null).await;
    assert_eq!(state.body["repositories"][0]["issues"][0]["comments"][0]["body"], "c");
    // People's play is not in the log of what the App asked for.
    assert!(sim.requests().iter().all(|request| !request.path.starts_with("/_sim")));
}
