//! The simulated GitHub held against GitHub's published descriptions of its REST interface and webhooks.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

#[path = "support/description.rs"]
mod description;

use description::{Description, complaints, folder};
use github_sim::{GithubSim, Subject};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::{Answer, Api, PATIENCE, Receiver, sim_with_repository};

const REPO: &str = "octo/example";
const ISSUES: &str = "/repos/{owner}/{repo}/issues";
const PULLS: &str = "/repos/{owner}/{repo}/pulls";

/// Walks over the interface and notes what does not fit.
struct Tour {
    api: Api,
    description: Description,
    found: Vec<String>,
    visited: usize,
}

impl Tour {
    /// Calls an operation with its template filled in and checks status and body.
    async fn go(&mut self, want: u16, method: &str, template: &str, values: &[&str], body: Value) -> Answer {
        let path = filled(template, values);
        let answer = self.api.call(method, &path, body).await;
        self.check(want, method, template, answer)
    }

    async fn go_as_app(
        &mut self,
        want: u16,
        method: &str,
        template: &str,
        values: &[&str],
        body: Value,
    ) -> Answer {
        let path = filled(template, values);
        let answer = self.api.as_app(method, &path, body).await;
        self.check(want, method, template, answer)
    }

    fn check(&mut self, want: u16, method: &str, template: &str, answer: Answer) -> Answer {
        self.visited += 1;
        let template = template.split('?').next().unwrap();
        let here = format!("{method} {template} {}", answer.status);
        if answer.status != want {
            self.found.push(format!("{here}: expected {want}, body {}", answer.body));
        }
        match self.description.answer(method, template, answer.status) {
            Err(why) => self.found.push(format!("{here}: {why}")),
            Ok(None) if answer.body.is_null() => {}
            Ok(None) => self.found.push(format!("{here}: a body where there is none")),
            Ok(Some(schema)) => {
                let told = complaints(&schema, &answer.body);
                self.found.extend(told.into_iter().map(|one| format!("{here}: {one}")));
            }
        }
        let limit = ["limit", "remaining", "reset", "used", "resource"];
        for name in limit.map(|name| format!("x-ratelimit-{name}")) {
            if answer.header(&name).is_empty() {
                self.found.push(format!("{here}: no header {name}"));
            }
        }
        answer
    }
}

/// Fills a template: owner and repo are always the same, the rest comes in order.
fn filled(template: &str, values: &[&str]) -> String {
    let template = template.replace("{owner}/{repo}", REPO);
    let mut path = String::new();
    let (mut rest, mut values) = (template.as_str(), values.iter());
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        path.push_str(values.next().expect("a value for each place"));
        rest = after.split_once('}').unwrap().1;
    }
    path + rest
}

#[tokio::test]
async fn answers_fit_githubs_description() {
    let Some(folder) = folder() else { return };
    let sim = sim_with_repository().await;
    sim.add_team_member("octo/release", "maria");
    sim.grant_app_permission("members", "read");
    let description = Description::read(&folder, "openapi-subset.json");
    let mut tour = Tour { api: Api::of(&sim), description, found: Vec::new(), visited: 0 };
    the_app(&mut tour, &sim).await;
    issues(&mut tour).await;
    labels(&mut tour).await;
    pulls(&mut tour, &sim).await;
    git(&mut tour, &sim).await;
    checks(&mut tour, &sim).await;
    refusals(&mut tour, &sim).await;
    assert!(tour.visited > 70, "only {} answers were checked", tour.visited);
    assert!(tour.found.is_empty(), "{} of {}:\n{}", tour.found.len(), tour.visited, tour.found.join("\n"));
}

async fn the_app(tour: &mut Tour, sim: &GithubSim) {
    let id = sim.installation_id().to_string();
    tour.go_as_app(200, "GET", "/app", &[], Value::Null).await;
    tour.go_as_app(200, "GET", "/app/installations", &[], Value::Null).await;
    tour.go_as_app(200, "GET", "/app/installations/{installation_id}", &[&id], Value::Null).await;
    tour.go_as_app(404, "GET", "/app/installations/{installation_id}", &["1"], Value::Null).await;
    tour.go_as_app(200, "GET", "/repos/{owner}/{repo}/installation", &[], Value::Null).await;
    let tokens = "/app/installations/{installation_id}/access_tokens";
    tour.go_as_app(201, "POST", tokens, &[&id], Value::Null).await;
    let narrow = json!({"repositories": ["example"], "permissions": {"contents": "read"}});
    tour.go_as_app(201, "POST", tokens, &[&id], narrow).await;
    tour.go_as_app(422, "POST", tokens, &[&id], json!({"permissions": {"workflows": "write"}})).await;
    tour.go_as_app(200, "GET", "/app/hook/config", &[], Value::Null).await;
    let url = json!({"url": "http://127.0.0.1:1/"});
    tour.go_as_app(200, "PATCH", "/app/hook/config", &[], url).await;
    let issue = sim.open_issue(REPO, "maria", "Told", "body").unwrap();
    sim.settled(PATIENCE).await.unwrap();
    sim.close_issue(REPO, issue.number, "maria").unwrap();
    sim.settled(PATIENCE).await.unwrap();
    let log = tour.go_as_app(200, "GET", "/app/hook/deliveries", &[], Value::Null).await;
    let delivery = log.body[0]["id"].to_string();
    tour.go_as_app(200, "GET", "/app/hook/deliveries/{delivery_id}", &[&delivery], Value::Null).await;
    let attempts = "/app/hook/deliveries/{delivery_id}/attempts";
    tour.go_as_app(202, "POST", attempts, &[&delivery], Value::Null).await;
    tour.go(200, "GET", "/installation/repositories", &[], Value::Null).await;
    tour.go(200, "GET", "/rate_limit", &[], Value::Null).await;
    tour.go(200, "GET", "/users/{username}", &["maria"], Value::Null).await;
    tour.go(200, "GET", "/users/{username}", &["codex-brief%5Bbot%5D"], Value::Null).await;
    tour.go(404, "GET", "/users/{username}", &["nobody"], Value::Null).await;
    tour.go(200, "GET", "/repos/{owner}/{repo}", &[], Value::Null).await;
    let permission = "/repos/{owner}/{repo}/collaborators/{username}/permission";
    tour.go(200, "GET", permission, &["maria"], Value::Null).await;
    tour.go(404, "GET", permission, &["nobody"], Value::Null).await;
    let membership = "/orgs/{org}/teams/{team_slug}/memberships/{username}";
    tour.go(200, "GET", membership, &["octo", "release", "maria"], Value::Null).await;
}

async fn issues(tour: &mut Tour) {
    let made =
        tour.go(201, "POST", ISSUES, &[], json!({"title": "One", "body": "b", "labels": ["bug"]})).await;
    let number = &made.body["number"].to_string();
    let one = format!("{ISSUES}/{{issue_number}}");
    tour.go(200, "GET", ISSUES, &[], Value::Null).await;
    tour.go(200, "GET", &one, &[number], Value::Null).await;
    tour.go(404, "GET", &one, &["999"], Value::Null).await;
    tour.go(422, "POST", ISSUES, &[], json!({"title": ""})).await;
    let comments = format!("{one}/comments");
    let made = tour.go(201, "POST", &comments, &[number], json!({"body": "hello"})).await;
    let comment = &made.body["id"].to_string();
    tour.go(422, "POST", &comments, &[number], json!({"body": "x".repeat(70_000)})).await;
    tour.go(404, "POST", &comments, &["999"], json!({"body": "x"})).await;
    tour.go(200, "GET", &comments, &[number], Value::Null).await;
    tour.go(200, "GET", &format!("{ISSUES}/comments"), &[], Value::Null).await;
    let at = format!("{ISSUES}/comments/{{comment_id}}");
    tour.go(200, "GET", &at, &[comment], Value::Null).await;
    tour.go(200, "PATCH", &at, &[comment], json!({"body": "changed"})).await;
    let reactions = format!("{at}/reactions");
    tour.go(201, "POST", &reactions, &[comment], json!({"content": "rocket"})).await;
    tour.go(200, "POST", &reactions, &[comment], json!({"content": "rocket"})).await;
    tour.go(422, "POST", &reactions, &[comment], json!({"content": "frog"})).await;
    tour.go(200, "GET", &reactions, &[comment], Value::Null).await;
    tour.go(204, "DELETE", &at, &[comment], Value::Null).await;
    tour.go(404, "GET", &at, &[comment], Value::Null).await;
    let reactions = format!("{one}/reactions");
    tour.go(201, "POST", &reactions, &[number], json!({"content": "eyes"})).await;
    tour.go(200, "POST", &reactions, &[number], json!({"content": "eyes"})).await;
    tour.go(200, "GET", &reactions, &[number], Value::Null).await;
    tour.go(200, "PATCH", &one, &[number], json!({"state": "closed", "title": "Done"})).await;
    tour.go(200, "GET", &one, &[number], Value::Null).await;
}

async fn labels(tour: &mut Tour) {
    let made = tour.go(201, "POST", ISSUES, &[], json!({"title": "Labels"})).await;
    let number = &made.body["number"].to_string();
    let all = "/repos/{owner}/{repo}/labels";
    let one = "/repos/{owner}/{repo}/labels/{name}";
    tour.go(201, "POST", all, &[], json!({"name": "brief: done", "color": "00ff00"})).await;
    tour.go(422, "POST", all, &[], json!({"name": "brief: done", "color": "00ff00"})).await;
    tour.go(200, "GET", all, &[], Value::Null).await;
    tour.go(200, "GET", one, &["brief%3A%20done"], Value::Null).await;
    tour.go(404, "GET", one, &["none"], Value::Null).await;
    tour.go(200, "PATCH", one, &["brief%3A%20done"], json!({"description": "d"})).await;
    let on = &format!("{ISSUES}/{{issue_number}}/labels");
    tour.go(200, "POST", on, &[number], json!({"labels": ["brief: done", "new"]})).await;
    tour.go(200, "GET", on, &[number], Value::Null).await;
    tour.go(200, "PUT", on, &[number], json!({"labels": ["new"]})).await;
    tour.go(200, "DELETE", &format!("{on}/{{name}}"), &[number, "new"], Value::Null).await;
    tour.go(404, "DELETE", &format!("{on}/{{name}}"), &[number, "new"], Value::Null).await;
    tour.go(204, "DELETE", on, &[number], Value::Null).await;
    tour.go(204, "DELETE", one, &["brief%3A%20done"], Value::Null).await;
}

async fn pulls(tour: &mut Tour, sim: &GithubSim) {
    let files = [("new.md", "new\n"), ("README.md", "# Example\n\nOne.\nThree.\n")];
    sim.push_commit(REPO, "maria", "feature", &files, "Change\n\nWhy.\n").unwrap();
    let new = json!({"title": "New", "head": "feature", "base": "main", "body": "b"});
    let made = tour.go(201, "POST", PULLS, &[], new.clone()).await;
    let number = &made.body["number"].to_string();
    tour.go(422, "POST", PULLS, &[], new).await;
    tour.go(200, "GET", PULLS, &[], Value::Null).await;
    let one = format!("{PULLS}/{{pull_number}}");
    tour.go(200, "GET", &one, &[number], Value::Null).await;
    tour.go(404, "GET", &one, &["999"], Value::Null).await;
    tour.go(200, "PATCH", &one, &[number], json!({"body": "c"})).await;
    tour.go(200, "GET", &format!("{one}/files"), &[number], Value::Null).await;
    tour.go(200, "GET", &format!("{one}/commits"), &[number], Value::Null).await;
    let asked = format!("{one}/requested_reviewers");
    let told = tour.go(201, "POST", &asked, &[number], json!({"reviewers": ["maria"]})).await;
    assert_eq!(told.body["requested_reviewers"][0]["login"], "maria");
    // What this refusal holds, and the next operation, the description does not tell.
    let at = format!("/repos/{REPO}/pulls/{number}/requested_reviewers");
    let told = tour.api.call("POST", &at, json!({"reviewers": ["maria", "nobody"]})).await;
    assert_eq!((told.status, told.body["message"].as_str().unwrap().contains("collaborator")), (422, true));
    let at = format!("/repos/{REPO}/issues/{number}/assignees");
    let told = tour.api.call("POST", &at, json!({"assignees": ["maria", "nobody"]})).await;
    assert_eq!((told.status, told.body["assignees"].as_array().unwrap().len()), (201, 1));
    let issue = tour.go(200, "GET", &format!("{ISSUES}/{{issue_number}}"), &[number], Value::Null).await;
    assert_eq!(issue.body["assignees"], told.body["assignees"]);
    let comments = format!("{one}/comments");
    let head = made.body["head"]["sha"].clone();
    let remark = json!({"body": "r", "path": "new.md", "line": 1, "commit_id": head});
    let made = tour.go(201, "POST", &comments, &[number], remark.clone()).await;
    let comment = &made.body["id"].to_string();
    let mut nowhere = remark;
    nowhere["line"] = json!(99);
    tour.go(422, "POST", &comments, &[number], nowhere).await;
    let reply = json!({"body": "reply", "in_reply_to": made.body["id"]});
    tour.go(201, "POST", &comments, &[number], reply).await;
    tour.go(200, "GET", &comments, &[number], Value::Null).await;
    let at = format!("{PULLS}/comments/{{comment_id}}");
    tour.go(200, "GET", &at, &[comment], Value::Null).await;
    tour.go(200, "PATCH", &at, &[comment], json!({"body": "s"})).await;
    tour.go(201, "POST", &format!("{at}/reactions"), &[comment], json!({"content": "+1"})).await;
    tour.go(200, "GET", &format!("{at}/reactions"), &[comment], Value::Null).await;
    tour.go(204, "DELETE", &at, &[comment], Value::Null).await;
    tour.go(404, "GET", &at, &[comment], Value::Null).await;
    let review = json!({"event": "COMMENT", "body": "fine"});
    tour.go(200, "POST", &format!("{one}/reviews"), &[number], review).await;
    tour.go(200, "GET", &format!("{one}/reviews"), &[number], Value::Null).await;
    // A pull request is an issue too.
    tour.go(200, "GET", &format!("{ISSUES}/{{issue_number}}"), &[number], Value::Null).await;
    tour.go(200, "PUT", &format!("{one}/merge"), &[number], Value::Null).await;
    tour.go(405, "PUT", &format!("{one}/merge"), &[number], Value::Null).await;
    tour.go(200, "GET", &one, &[number], Value::Null).await;
}

async fn git(tour: &mut Tour, sim: &GithubSim) {
    let main = sim.commit(REPO, "main").unwrap().sha;
    let below = |tail: &str| format!("/repos/{{owner}}/{{repo}}/{tail}");
    tour.go(200, "GET", &below("git/ref/{ref}"), &["heads/main"], Value::Null).await;
    tour.go(404, "GET", &below("git/ref/{ref}"), &["heads/none"], Value::Null).await;
    tour.go(200, "GET", &below("git/matching-refs/{ref}"), &["heads/"], Value::Null).await;
    let new = json!({"ref": "refs/heads/made/here", "sha": main});
    tour.go(201, "POST", &below("git/refs"), &[], new.clone()).await;
    tour.go(422, "POST", &below("git/refs"), &[], new).await;
    tour.go(200, "PATCH", &below("git/refs/{ref}"), &["heads/made/here"], json!({"sha": main})).await;
    git_objects(tour, &main).await;
    tour.go(200, "GET", &below("branches"), &[], Value::Null).await;
    tour.go(200, "GET", &below("branches/{branch}"), &["made/here"], Value::Null).await;
    tour.go(404, "GET", &below("branches/{branch}"), &["none"], Value::Null).await;
    tour.go(204, "DELETE", &below("git/refs/{ref}"), &["heads/made/here"], Value::Null).await;
    tour.go(200, "GET", &below("commits"), &[], Value::Null).await;
    tour.go(200, "GET", &below("commits/{ref}"), &["main"], Value::Null).await;
    tour.go(200, "GET", &below("commits/{ref}"), &[&main], Value::Null).await;
    tour.go(422, "GET", &below("commits/{ref}"), &["none"], Value::Null).await;
    tour.go(200, "GET", &below("contents/{path}"), &["README.md"], Value::Null).await;
    tour.go(200, "GET", &below("contents/{path}"), &["src"], Value::Null).await;
    tour.go(404, "GET", &below("contents/{path}"), &["none"], Value::Null).await;
}

async fn git_objects(tour: &mut Tour, main: &str) {
    let below = |tail: &str| format!("/repos/{{owner}}/{{repo}}/git/{tail}");
    let tool = json!({"content": "IyEvYmluL3NoCg==", "encoding": "base64"});
    let blob = tour.go(201, "POST", &below("blobs"), &[], tool).await.body["sha"].clone();
    let named = blob.as_str().unwrap();
    assert_eq!(named, "1a2485251c33a70432394c93fb89330ef214bfc9", "git's own name of the content");
    let read = tour.go(200, "GET", &below("blobs/{file_sha}"), &[named], Value::Null).await;
    assert_eq!(read.body["content"], "IyEvYmluL3NoCg==");
    tour.go(404, "GET", &below("blobs/{file_sha}"), &[&"0".repeat(40)], Value::Null).await;
    let base = tour.go(200, "GET", &below("commits/{commit_sha}"), &[main], Value::Null).await;
    assert_eq!(base.body["verification"]["verified"], false);
    let base = base.body["tree"]["sha"].clone();
    let entry = |path: &str, more: Value| {
        let mut entry = json!({"path": path, "mode": "100644", "type": "blob"});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let entries = json!([
        entry("bin/tool", json!({"mode": "100755", "sha": blob})),
        entry("link", json!({"mode": "120000", "content": "bin/tool"})),
        entry("README.md", json!({"sha": null})),
    ]);
    let order = json!({"base_tree": base, "tree": entries});
    let tree = tour.go(201, "POST", &below("trees"), &[], order).await;
    let at = |name: &str| {
        let entries = tree.body["tree"].as_array().unwrap();
        entries.iter().find(|entry| entry["path"] == name).map(|entry| entry["mode"].clone())
    };
    assert_eq!(
        (at("link"), at("bin"), at("README.md")),
        (Some(json!("120000")), Some(json!("040000")), None)
    );
    let tree = tree.body["sha"].clone();
    tour.go(200, "GET", &below("trees/{tree_sha}"), &[tree.as_str().unwrap()], Value::Null).await;
    for wrong in [
        json!([]),
        json!([entry("a/../b", json!({"content": ""}))]),
        json!([entry("a", json!({"sha": "1".repeat(40)}))]),
    ] {
        tour.go(422, "POST", &below("trees"), &[], json!({"base_tree": base, "tree": wrong})).await;
    }
    let order = json!({"message": "Made here\n", "tree": tree, "parents": [main]});
    let made = tour.go(201, "POST", &below("commits"), &[], order.clone()).await;
    assert_eq!(made.body["verification"]["reason"], "valid");
    assert_eq!(made.body["committer"]["email"], "noreply@github.com");
    assert_eq!(made.body["author"]["name"], "codex-brief[bot]");
    let sha = made.body["sha"].as_str().unwrap();
    let whole = tour.go(200, "GET", "/repos/{owner}/{repo}/commits/{ref}", &[sha], Value::Null).await;
    assert_eq!(whole.body["commit"]["verification"]["verified"], true);
    let mut said = order;
    said["author"] = json!({"name": "maria", "email": "maria@example.com"});
    let said = tour.go(201, "POST", &below("commits"), &[], said).await;
    assert_eq!(said.body["verification"]["verified"], false, "GitHub vouches for nobody else's name");
    tour.go(422, "POST", &below("commits"), &[], json!({"message": "m", "tree": "0".repeat(40)})).await;
    tour.go(201, "POST", &below("refs"), &[], json!({"ref": "refs/heads/signed", "sha": sha})).await;
    let back = json!({"sha": main, "force": false});
    tour.go(422, "PATCH", &below("refs/{ref}"), &["heads/signed"], back).await;
    tour.go(204, "DELETE", &below("refs/{ref}"), &["heads/signed"], Value::Null).await;
}

async fn checks(tour: &mut Tour, sim: &GithubSim) {
    let main = sim.commit(REPO, "main").unwrap().sha;
    let all = "/repos/{owner}/{repo}/check-runs";
    let one = "/repos/{owner}/{repo}/check-runs/{check_run_id}";
    let made =
        tour.go(201, "POST", all, &[], json!({"name": "brief", "head_sha": main, "external_id": "7"})).await;
    let id = &made.body["id"].to_string();
    let note =
        json!({"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"});
    let done = json!({
        "status": "completed", "conclusion": "success",
        "output": {"title": "t", "summary": "s", "text": "x", "annotations": [note]},
    });
    tour.go(200, "PATCH", one, &[id], done).await;
    tour.go(200, "GET", one, &[id], Value::Null).await;
    tour.go(200, "GET", &format!("{one}/annotations"), &[id], Value::Null).await;
    let listed =
        tour.go(200, "GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", &["main"], Value::Null).await;
    assert_eq!(listed.body["check_runs"][0]["external_id"], "7");
}

async fn refusals(tour: &mut Tour, sim: &GithubSim) {
    let deleted = sim.open_issue(REPO, "maria", "Deleted", "body").unwrap().number;
    sim.delete_issue(REPO, deleted, "maria").unwrap();
    let one = format!("{ISSUES}/{{issue_number}}");
    tour.api = Api::of(sim);
    tour.go(410, "GET", &one, &[&deleted.to_string()], Value::Null).await;
    sim.set_app_permissions(&[("metadata", "read")]);
    tour.api = Api::of(sim);
    tour.go(403, "POST", ISSUES, &[], json!({"title": "x"})).await;
    tour.go(403, "POST", PULLS, &[], json!({"title": "x", "head": "a", "base": "main"})).await;
    tour.go(403, "GET", "/repos/{owner}/{repo}/contents/{path}", &["README.md"], Value::Null).await;
    sim.expire_tokens();
    tour.go(401, "GET", "/installation/repositories", &[], Value::Null).await;
    let tokens = "/app/installations/{installation_id}/access_tokens";
    let id = sim.installation_id().to_string();
    sim.suspend_installation();
    tour.go_as_app(200, "GET", "/app/installations", &[], Value::Null).await;
    tour.go_as_app(403, "POST", tokens, &[&id], Value::Null).await;
    sim.uninstall();
    tour.go_as_app(404, "POST", tokens, &[&id], Value::Null).await;
    sim.install();
    tour.api = Api::of(sim);
    sim.rename_repository(REPO, "renamed").unwrap();
    tour.go(301, "GET", "/repos/{owner}/{repo}", &[], Value::Null).await;
}

/// Every kind of webhook that the simulator promises.
const PROMISED: [&str; 29] = [
    "check-run-completed",
    "check-run-created",
    "check-run-requested-action",
    "installation-created",
    "installation-deleted",
    "installation-suspend",
    "installation-unsuspend",
    "issue-comment-created",
    "issue-comment-deleted",
    "issue-comment-edited",
    "issues-closed",
    "issues-deleted",
    "issues-edited",
    "issues-labeled",
    "issues-opened",
    "issues-reopened",
    "issues-unlabeled",
    "ping",
    "pull-request-closed",
    "pull-request-edited",
    "pull-request-labeled",
    "pull-request-opened",
    "pull-request-review-comment-created",
    "pull-request-review-comment-deleted",
    "pull-request-review-comment-edited",
    "pull-request-review-submitted",
    "pull-request-synchronize",
    "repository-renamed",
    "repository-transferred",
];

#[tokio::test]
async fn webhooks_fit_githubs_description() {
    let Some(folder) = folder() else { return };
    let description = Description::read(&folder, "openapi-webhooks-subset.json");
    let receiver = Receiver::start().await;
    let sim = sim_with_repository().await;
    sim.set_webhook_url(&receiver.url);
    every_webhook(&sim).await;
    sim.settled(PATIENCE).await.unwrap();
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for hook in receiver.received() {
        let body = hook.json();
        let event = hook.header("x-github-event").replace('_', "-");
        let name = match body["action"].as_str() {
            Some(action) => format!("{event}-{}", action.replace('_', "-")),
            None => event,
        };
        match description.webhook(&name) {
            None => found.push(format!("{name}: not in the description")),
            Some(schema) => {
                found.extend(complaints(&schema, &body).into_iter().map(|one| format!("{name}: {one}")))
            }
        }
        seen.insert(name);
    }
    let missing: Vec<_> = PROMISED.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(missing.is_empty(), "never sent: {missing:?}");
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}

async fn every_webhook(sim: &GithubSim) {
    sim.ping();
    let issue = sim.open_issue(REPO, "maria", "One", "body").unwrap().number;
    sim.edit_issue(REPO, issue, "maria", "other body").unwrap();
    sim.edit_title(REPO, issue, "maria", "Other").unwrap();
    sim.label(REPO, issue, "maria", &["bug"]).unwrap();
    sim.unlabel(REPO, issue, "maria", "bug").unwrap();
    let comment = sim.comment(REPO, issue, "maria", "hello").unwrap().id;
    sim.react(REPO, Subject::Comment(comment), "maria", "heart").unwrap();
    sim.edit_comment(REPO, comment, "maria", "changed").unwrap();
    sim.delete_comment(REPO, comment, "maria").unwrap();
    sim.close_issue(REPO, issue, "maria").unwrap();
    let api = Api::of(sim);
    let at = format!("/repos/{REPO}/issues/{issue}");
    assert_eq!(api.call("PATCH", &at, json!({"state": "open"})).await.status, 200);
    assert_eq!(api.call("POST", &format!("{at}/comments"), json!({"body": "by the App"})).await.status, 201);
    let files = [("new.md", "new\n")];
    let pull = sim.open_pull_with_files(REPO, "maria", "feature", &files, ("Pull", "body")).unwrap().number;
    sim.edit_issue(REPO, pull, "maria", "other").unwrap();
    sim.label(REPO, pull, "maria", &["bug"]).unwrap();
    sim.comment(REPO, pull, "maria", "on a pull request").unwrap();
    let remark = sim.review_comment(REPO, pull, "maria", "why?").unwrap().id;
    sim.edit_review_comment(REPO, remark, "maria", "why so?").unwrap();
    sim.review(REPO, pull, "maria", "APPROVED", "fine").unwrap();
    sim.push_commit(REPO, "maria", "feature", &[("new.md", "newer\n")], "More\n").unwrap();
    let head = sim.pulls(REPO)[0].head_sha.clone();
    let button = json!([{"label": "Stop", "description": "Stops it", "identifier": "stop"}]);
    let run = json!({"name": "brief", "head_sha": head, "status": "in_progress", "actions": button});
    let run = api.call("POST", &format!("/repos/{REPO}/check-runs"), run).await.body["id"].as_u64().unwrap();
    sim.press_check_action(REPO, run, "maria", "stop").unwrap();
    let done = json!({"conclusion": "success", "output": {"title": "t", "summary": "s"}});
    assert_eq!(api.call("PATCH", &format!("/repos/{REPO}/check-runs/{run}"), done).await.status, 200);
    sim.close_issue(REPO, pull, "maria").unwrap();
    sim.delete_review_comment(REPO, remark, "maria").unwrap();
    sim.delete_issue(REPO, issue, "maria").unwrap();
    sim.rename_repository(REPO, "renamed").unwrap();
    sim.transfer_repository("octo/renamed", "elsewhere").unwrap();
    sim.transfer_repository("elsewhere/renamed", "octo").unwrap();
    sim.suspend_installation();
    sim.unsuspend_installation();
    sim.uninstall();
    sim.install();
}
