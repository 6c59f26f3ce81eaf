//! Receipts: what a published run leaves signed, and what becomes visible when something was changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use axum::routing::get;
use github_sim::PullRequest;
use serde_json::{Value, json};

use crate::approvals::{REQUIRED, approve, digest, quick};
use crate::support::{LANE, REPO, SOON, Town, brief};

const STEPS: [(&str, &str); 2] = [("greet", "echo hello"), ("write", "echo x > x.txt")];

/// Everything that somebody needs who checks a receipt.
struct Papers {
    page: PathBuf,
    keys: PathBuf,
    repo: PathBuf,
    brief: PathBuf,
    logs: PathBuf,
    sink: PathBuf,
    pull: PullRequest,
}

async fn town() -> Town {
    Town::with_github("[audit]\nsink = \"audit.jsonl\"\n", LANE).await
}

async fn get_keys(town: &Town) -> String {
    let answer = reqwest::get(format!("{}/receipt-keys", town.server.url())).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

/// Lets a brief run, and gathers what its receipt is checked with.
async fn papers(town: &Town) -> Papers {
    let text = brief(&STEPS, &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Do it", &text).unwrap();
    let (_, result) = town.result(issue.number, 1).await;
    let pull = town.pull(&result);
    town.quiet().await;
    let file = |name: &str, content: &str| {
        let path = town.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let mut mirrors = fs::read_dir(town.state().join("mirrors")).unwrap().map(|entry| entry.unwrap().path());
    Papers {
        page: file("page.md", &pull.body),
        keys: file("keys.pem", &get_keys(town).await),
        repo: mirrors.find(|path| path.extension().is_some_and(|it| it == "git")).unwrap(),
        brief: file("brief.md", &text),
        logs: town.state().join("runs").join(result["run"].as_str().unwrap()).join("logs"),
        sink: town.folder.path().join("audit.jsonl"),
        pull,
    }
}

/// Verifies, and returns the exit code with what was found.
fn verify(town: &Town, receipt: &Path, more: &[(&str, &Path)]) -> (i32, Value) {
    let options: Vec<String> = more.iter().map(|(name, path)| format!("{name}={}", path.display())).collect();
    let mut arguments = vec!["verify", "--json", receipt.to_str().unwrap()];
    arguments.extend(options.iter().map(String::as_str));
    let done = town.command(&arguments);
    let found = serde_json::from_slice(&done.stdout);
    (done.status.code().unwrap(), found.unwrap_or_else(|_| String::from_utf8_lossy(&done.stderr).into()))
}

fn items(found: &Value, outcome: &str) -> Vec<String> {
    let findings = found["findings"].as_array().unwrap_or_else(|| panic!("no findings: {found}"));
    let with = findings.iter().filter(|finding| finding["outcome"] == outcome);
    with.map(|finding| finding["item"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn whoever_has_the_key_can_check_every_item_of_a_pull_requests_receipt() {
    let town = town().await;
    let papers = papers(&town).await;
    let sink =
        town.until(async || fs::read_to_string(&papers.sink).unwrap().contains("\"action\":\"receipt\""));
    sink.await;
    let all = [
        ("--key", papers.keys.as_path()),
        ("--repo", &papers.repo),
        ("--brief", &papers.brief),
        ("--log", &papers.logs),
        ("--audit", &papers.sink),
    ];
    let (code, found) = verify(&town, &papers.page, &all);
    let matches = ["signature", "commit", "tree", "parent", "brief", "log", "log", "audit"];
    assert_eq!((code, items(&found, "matches")), (0, matches.map(str::to_owned).into()), "{found:#}");
    assert_eq!(found["proven"], true);
    let statement = &found["statement"];
    assert_eq!(statement["subject"][0]["digest"]["gitCommit"], papers.pull.head_sha.as_str());
    let told = &statement["predicate"];
    assert_eq!(told["repository"]["name"], REPO);
    assert_eq!((&told["requestedBy"]["login"], &told["run"]["epoch"]), (&json!("maria"), &json!(1)));
    assert_eq!(Some(told["requestedBy"]["id"].as_u64().unwrap()), town.sim.user_id("maria"));
    assert_eq!((&told["run"]["lane"], &told["approval"]), (&json!("devbox-codex"), &Value::Null));
    assert_eq!((&told["steps"][1]["name"], &told["steps"][1]["exitCode"]), (&json!("write"), &json!(0)));
    // The store's own log names it as well, and the history has the same receipt.
    let stored = town.command(&["verify", papers.page.to_str().unwrap(), "--audit"]);
    let stored = String::from_utf8(stored.stdout).unwrap();
    assert!(stored.contains("matches      audit: entry") && stored.contains("NOT proven"), "{stored}");
    let id = told["run"]["id"].as_str().unwrap();
    let (code, shown, _) = town.operator(&["receipt", "show", id]).await;
    assert!(code == 0 && papers.pull.body.contains(shown.trim_end()), "{shown}");
    let (_, keys, _) = town.operator(&["receipt", "keys"]).await;
    assert_eq!(keys.trim_end(), fs::read_to_string(&papers.keys).unwrap().trim_end());
    let key = fs::metadata(town.state().join("receipt-key.pem")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_was_changed_afterwards_is_named() {
    let town = town().await;
    let papers = papers(&town).await;
    let key = ("--key", papers.keys.as_path());
    let differs = |receipt: &Path, more: &[(&str, &Path)]| {
        let (code, found) = verify(&town, receipt, more);
        assert_eq!((code, &found["proven"]), (1, &json!(false)), "{found:#}");
        items(&found, "differs")
    };
    let file = |name: &str, content: &str| {
        let path = town.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let other_brief = file("other.md", &brief(&[("write", "echo y > x.txt")], &["x.txt"]));
    assert_eq!(differs(&papers.page, &[key, ("--brief", &other_brief)]), ["brief"]);
    fs::write(papers.logs.join("step-01.log"), "hello!\n").unwrap();
    assert_eq!(differs(&papers.page, &[key, ("--log", &papers.logs)]), ["log"]);
    let empty = town.folder.path().join("empty");
    git2::Repository::init(&empty).unwrap();
    assert_eq!(differs(&papers.page, &[key, ("--repo", &empty)]), ["commit"]);
    let log = fs::read_to_string(&papers.sink).unwrap();
    let without: String =
        log.split_inclusive('\n').take_while(|line| !line.contains("\"action\":\"receipt\"")).collect();
    assert_eq!(differs(&papers.page, &[key, ("--audit", &file("cut.jsonl", &without))]), ["audit"]);
    let tampered = log.replacen("\"login\":\"maria\"", "\"login\":\"olga\"", 1);
    assert_eq!(differs(&papers.page, &[key, ("--audit", &file("tampered.jsonl", &tampered))]), ["audit"]);
    // Another person put into the receipt itself.
    let (_, shown, _) = town.operator(&["receipt", "show", &run_of(&papers)]).await;
    let mut envelope: Value = serde_json::from_str(&shown).unwrap();
    let payload = base64(envelope["payload"].as_str().unwrap()).replace("\"maria\"", "\"olga!\"");
    envelope["payload"] = to_base64(&payload).into();
    let forged = file("forged.json", &envelope.to_string());
    assert_eq!(differs(&forged, &[key]), ["signature"]);
    let foreign = file("foreign.pem", include_str!("../../fixtures/fuzz/receipt/keys.pem"));
    assert_eq!(differs(&papers.page, &[("--key", &foreign)]), ["signature"]);
    let (code, told) = verify(&town, &papers.brief, &[key]);
    assert!(code == 2 && told.as_str().unwrap().contains("there is no receipt in it"), "{told}");
}

/// Returns the run that a pull request is of.
fn run_of(papers: &Papers) -> String {
    let line = papers.pull.body.lines().find_map(|line| line.strip_prefix("- run `")).unwrap();
    line.split('`').next().unwrap().to_owned()
}

fn base64(text: &str) -> String {
    use ::base64::Engine as _;
    String::from_utf8(::base64::prelude::BASE64_STANDARD.decode(text).unwrap()).unwrap()
}

fn to_base64(text: &str) -> String {
    use ::base64::Engine as _;
    ::base64::prelude::BASE64_STANDARD.encode(text)
}

/// Answers as GitHub does for a public pull request, and tells where.
async fn public_page(pull: &PullRequest, head: &str, repository: u64) -> String {
    let answer = json!({"body": pull.body, "head": {"sha": head}, "base": {"repo": {"id": repository}}});
    let answer = answer.to_string();
    let route = format!("/repos/{REPO}/pulls/{}", pull.number);
    let router = axum::Router::new().route(&route, get(async move || answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_pull_request_is_checked_by_its_address_and_must_still_be_at_that_commit() {
    let town = town().await;
    let papers = papers(&town).await;
    let (_, found) = verify(&town, &papers.page, &[]);
    let repository = found["statement"]["predicate"]["repository"]["id"].as_u64().unwrap();
    let mut outcomes = Vec::new();
    for (head, repository) in [
        (papers.pull.head_sha.as_str(), repository),
        (&"1".repeat(40), repository),
        (&papers.pull.head_sha, 99),
    ] {
        let api = public_page(&papers.pull, head, repository).await;
        let page = format!("{api}/{REPO}/pull/{}", papers.pull.number);
        let key = format!("--key={}", papers.keys.display());
        let (code, printed, told) =
            town.operator(&["verify", &page, "--api-url", &api, &key, "--json"]).await;
        let found: Value = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{told}"));
        outcomes.push((code, items(&found, "differs")));
    }
    let other = vec!["pull request".to_owned()];
    assert_eq!(outcomes, [(0, vec![]), (1, other.clone()), (1, other)]);
    let (code, _, told) = town.operator(&["verify", "http://127.0.0.1:1/octo/example/pull/1"]).await;
    assert!(code == 2 && told.contains("receipt-unreachable"), "{told}");
}

#[tokio::test]
async fn a_receipt_names_who_approved_what() {
    let town = Town::with_lanes(REQUIRED).await;
    let issue = town.sim.open_issue(REPO, "maria", "Approve", &quick()).unwrap();
    let digest = digest(&town, issue.number).await;
    approve(&town, issue.number, "olga", &digest);
    let (_, result) = town.result(issue.number, 1).await;
    let (_, printed, _) =
        town.operator(&["receipt", "show", "--statement", result["run"].as_str().unwrap()]).await;
    let statement: Value = serde_json::from_str(&printed).unwrap();
    let approval = &statement["predicate"]["approval"];
    assert_eq!((&approval["by"]["login"], &approval["digest"]), (&json!("olga"), &json!(digest)));
    assert_eq!(approval["by"]["id"].as_u64(), town.sim.user_id("olga"));
    let mut store = town.store().await;
    let policy: String =
        sqlx::query_scalar("SELECT policy_version FROM approvals").fetch_one(&mut store).await.unwrap();
    assert_eq!(statement["predicate"]["policy"]["sha256"], policy.as_str());
}

#[tokio::test]
async fn a_server_that_dies_while_it_publishes_makes_one_receipt() {
    for point in ["branch-pushed.before-record", "pr-opened.before-commit", "pr-opened.before-record"] {
        let mut town = Town::with(LANE, &[("CODEX_BRIEF_CRASH_AT", point)]).await;
        let issue = town.sim.open_issue(REPO, "maria", "Do it", &quick()).unwrap();
        town.server.ended(SOON).await.unwrap();
        town = town.restart_with(&[]);
        let (_, result) = town.result(issue.number, 1).await;
        assert_eq!(result["status"], "success", "{point}");
        let mut store = town.store().await;
        let kept: Vec<String> =
            sqlx::query_scalar("SELECT envelope FROM receipts").fetch_all(&mut store).await.unwrap();
        let entered: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM audit WHERE action = 'receipt'")
            .fetch_one(&mut store)
            .await
            .unwrap();
        assert_eq!((kept.len(), entered), (1, 1), "{point}");
        assert!(town.pull(&result).body.contains(&kept[0]), "{point}");
    }
}

#[tokio::test]
async fn a_key_is_changed_by_moving_it_away_and_old_receipts_can_still_be_checked() {
    let mut town = town().await;
    let first = papers(&town).await;
    let old = town.folder.path().join("old.pem");
    fs::copy(&first.keys, &old).unwrap();
    let page = town.folder.path().join("first.md");
    fs::rename(&first.page, &page).unwrap();
    town.end().await;
    fs::rename(town.state().join("receipt-key.pem"), town.folder.path().join("moved.pem")).unwrap();
    town.start_again();
    let second = papers(&town).await;
    let code = |page: &Path, keys: &Path| verify(&town, page, &[("--key", keys)]).0;
    assert_eq!((code(&page, &second.keys), code(&second.page, &second.keys)), (0, 0));
    assert_eq!((code(&page, &old), code(&second.page, &old)), (0, 1));
    let present = get_keys(&town).await;
    assert_eq!(present.matches("BEGIN PUBLIC KEY").count(), 2);
    assert!(!present.starts_with(&fs::read_to_string(&old).unwrap()), "the present key comes first");
}
