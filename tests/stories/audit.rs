//! What the audit log tells, where it goes, and what happens to whoever tampers with it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::Connection;

use crate::support::{LANE, REPO, Town, brief};

const STEP: [(&str, &str); 1] = [("write", "echo x > x.txt")];

/// Starts a town whose audit log has a sink.
async fn town(lanes: &str) -> Town {
    Town::with_github("[audit]\nsink = \"audit.jsonl\"\n", lanes).await
}

fn sink(town: &Town) -> PathBuf {
    town.folder.path().join("audit.jsonl")
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn listed(town: &Town) -> Vec<Value> {
    let printed = town.command(&["audit", "list", "--json"]).stdout;
    String::from_utf8(printed).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Verifies the log and returns the exit code with what was found.
fn verify(town: &Town, more: &[&str]) -> (i32, Value) {
    let done = town.command(&[&["audit", "verify", "--json"], more].concat());
    let found = serde_json::from_slice(&done.stdout);
    (done.status.code().unwrap(), found.unwrap_or_else(|_| String::from_utf8_lossy(&done.stderr).into()))
}

/// Waits until the sink has everything that the store has, and returns it.
async fn caught_up(town: &Town) -> Vec<Value> {
    town.until(async || listed(town).len() == lines(&sink(town)).len()).await;
    lines(&sink(town))
}

fn text<'v>(entry: &'v Value, pointer: &str) -> &'v str {
    entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test]
async fn a_brief_leaves_an_entry_of_every_kind_with_who_did_it_and_to_what() {
    let town = town(LANE).await;
    town.run(&STEP, &["x.txt"]).await;
    town.sim.settled(crate::support::SOON).await.unwrap();
    for kind in ["comment", "check_run"] {
        town.until(async || listed(&town).iter().any(|entry| text(entry, "/details/kind") == kind)).await;
    }
    let entries = listed(&town);
    let told = |entry: &Value| {
        let who = entry["actor"]["id"].as_str().map_or("an account", |own| own).to_owned();
        format!("{} {} by {who}", text(entry, "/action"), text(entry, "/details/kind"))
    };
    let kinds: BTreeSet<String> = entries.iter().map(told).collect();
    let expected = [
        "claimed  by server",
        "configuration  by server",
        "confirmed check_run by server",
        "confirmed comment by server",
        "confirmed label by server",
        "confirmed publish by server",
        "confirmed reaction by server",
        "decided  by server",
        "done  by server",
        "judged  by server",
        "policy  by server",
        "queued  by an account",
        "receipt  by server",
        "receipt-key  by server",
        "server-started  by server",
        "sink-begun  by server",
    ];
    assert_eq!(kinds, expected.map(str::to_owned).into());
    let queued = entries.iter().find(|entry| entry["action"] == "queued").unwrap();
    assert_eq!((text(queued, "/actor/login"), text(queued, "/target/lane")), ("maria", "devbox-codex"));
    assert!(queued["actor"]["id"].is_u64() && queued["target"]["repository"]["id"].is_u64(), "{queued}");
    assert_eq!(
        (text(queued, "/target/repository/name"), queued["target"]["thread"].as_u64()),
        (REPO, Some(1))
    );
    let decided = entries.iter().find(|entry| entry["action"] == "decided").unwrap();
    assert_eq!(decided["target"]["task"], queued["target"]["task"]);
    let why = ["/details/rule", "/details/approval"].map(|at| text(decided, at));
    assert_eq!(why, ["server: [authorize] minimum_permission", "none"]);
    let (code, found) = verify(&town, &[]);
    assert_eq!((code, &found["whole"]), (0, &true.into()), "{found}");
    let text = String::from_utf8(town.command(&["audit", "list"]).stdout).unwrap();
    assert!(text.contains(" queued by maria octo/example#1 task 1 "), "{text}");
}

#[tokio::test]
async fn a_policy_that_changes_is_entered_once_and_each_decision_names_its_own() {
    let town = town(LANE).await;
    let entered = |action: &str| -> Vec<Value> {
        listed(&town).into_iter().filter(|entry| entry["action"] == action).collect()
    };
    let steps = |n: &str| brief(&[(n, &format!("echo {n} > x.txt"))], &["x.txt"]);
    for (n, policies) in [("one", 1), ("two", 1)] {
        let issue = town.sim.open_issue(REPO, "maria", n, &steps(n)).unwrap();
        town.result(issue.number, 1).await;
        assert_eq!(entered("policy").len(), policies, "after {n}");
    }
    // The repository narrows what holds in it while a brief runs: publishing is decided by the new policy.
    let slow = brief(&[("slow", "touch begun.txt\nsleep 3\necho three > x.txt\nrm begun.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "three", &slow).unwrap();
    town.logged("name=\"slow\"").await;
    let file = "[[policy]]\nprotected_paths = [\"secret/**\"]\n";
    town.sim.push_commit(REPO, "olga", "main", &[(".github/codex-brief.toml", file)], "Policy\n").unwrap();
    town.result(issue.number, 1).await;
    let [first, changed] = &entered("policy")[..] else { panic!("{:#?}", entered("policy")) };
    assert_eq!(first["details"]["before"], Value::Null);
    assert_eq!(changed["details"]["before"], first["details"]["policy"]);
    assert_eq!(
        (text(changed, "/target/lane"), text(changed, "/target/repository/name")),
        ("devbox-codex", REPO)
    );
    town.run(&[("four", "echo four > x.txt")], &["x.txt"]).await;
    let decided = entered("decided");
    let versions: Vec<&Value> = decided.iter().map(|entry| &entry["details"]["policy"]).collect();
    let (before, after) = (&first["details"]["policy"], &changed["details"]["policy"]);
    assert_eq!(versions, [before, before, before, after]);
    assert_eq!(entered("policy").len(), 2);
    assert_eq!(verify(&town, &[]).0, 0);
}

#[tokio::test]
async fn what_is_refused_and_what_the_operator_wants_is_entered_with_the_id_and_the_reason() {
    let town = town(LANE).await;
    let issue = town.sim.open_issue(REPO, "rob", "Let me", &brief(&STEP, &["x.txt"])).unwrap();
    town.told(issue.number, "may not run briefs").await;
    town.sim.comment(REPO, issue.number, "rob", "/stop").unwrap();
    let wrong = brief(&STEP, &["x.txt"]).replace("executor:", "executer:");
    town.sim.comment(REPO, issue.number, "maria", &wrong).unwrap();
    town.sim.comment(REPO, issue.number, "maria", "/stop\n/work dance").unwrap();
    assert_eq!(town.operator(&["stop", "ffffffff"]).await.0, 2);
    town.everything_else_is_done().await;
    let told: Vec<String> = listed(&town)
        .iter()
        .filter(|entry| matches!(text(entry, "/action"), "brief" | "command"))
        .map(|entry| {
            let by = ["/action", "/status", "/actor/login", "/details/error"].map(|at| text(entry, at));
            assert!(!entry["actor"]["id"].is_null(), "{entry}");
            by.join(" | ").replace(&format!("(id {})", entry["actor"]["id"]), "(id)")
        })
        .collect();
    let expected = [
        "brief | refused | rob | `rob` (id) has the permission `read` only",
        "command | refused | operator | No brief or run begins with `ffffffff`.",
        "command | refused | rob | `rob` (id) has the permission `read` only",
        "command | success | maria | ",
        "command | refused | maria | it is no command of this program",
    ];
    for line in expected {
        assert!(told.iter().any(|told| told == line), "{line:?} is not in {told:#?}");
    }
    assert!(told.iter().any(|line| line.starts_with("brief | refused | maria | ")), "{told:#?}");
}

#[tokio::test]
async fn whoever_tampers_with_the_table_or_the_sink_is_found_at_the_first_bad_entry() {
    let mut town = town(LANE).await;
    town.run(&STEP, &["x.txt"]).await;
    town.end().await;
    let (store, kept) = (town.state().join("codex-brief.sqlite"), town.folder.path().join("kept.sqlite"));
    fs::copy(&store, &kept).unwrap();
    let whole = fs::read_to_string(sink(&town)).unwrap();
    let last = listed(&town).len();
    assert_eq!(whole.lines().count(), last, "what was entered at the end is in the sink");
    let head = String::from_utf8(town.command(&["audit", "head"]).stdout).unwrap();
    let anew = "UPDATE audit SET entry = replace(entry, 'maria', 'olga') WHERE action = 'queued'";
    let queued = 1 + whole.lines().position(|line| line.contains("\"action\":\"queued\"")).unwrap();
    let swap = "UPDATE audit SET sequence = -2 WHERE sequence = 2;
        UPDATE audit SET sequence = 2 WHERE sequence = 4; UPDATE audit SET sequence = 4 WHERE sequence = -2";
    let forgeries = [
        (anew.to_owned(), queued, "changed"),
        ("DELETE FROM audit WHERE sequence = 3".to_owned(), 3, "missing"),
        (swap.to_owned(), 2, "out-of-order"),
        (
            "INSERT INTO audit SELECT 900 + sequence, entry, hash FROM audit WHERE sequence = 2".to_owned(),
            last + 1,
            "missing",
        ),
        (format!("DELETE FROM audit WHERE sequence > {}", last - 2), last - 1, "cut-off"),
    ];
    for (forgery, sequence, what) in forgeries {
        let mut connection = town.store().await;
        let triggers = "DROP TRIGGER audit_is_never_changed; DROP TRIGGER audit_is_never_removed;";
        let forged = sqlx::AssertSqlSafe(format!("{triggers} {forgery}"));
        sqlx::raw_sql(forged).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let (code, found) = verify(&town, &[]);
        let first = &found["verdict"]["faults"][0];
        assert_eq!(
            (code, first["sequence"].as_u64(), text(first, "/what")),
            (1, Some(sequence as u64), what),
            "{forgery}: {found}"
        );
        assert_eq!(text(first, "/place"), "table");
        if what == "cut-off" {
            // Also without a sink, by what somebody kept elsewhere.
            fs::rename(sink(&town), town.folder.path().join("away")).unwrap();
            fs::write(sink(&town), "").unwrap();
            let (code, found) = verify(&town, &["--head", head.trim()]);
            let faults = found["verdict"]["faults"].as_array().unwrap();
            assert!(code == 1 && faults.iter().any(|it| it["place"] == "head"), "{found}");
            fs::rename(town.folder.path().join("away"), sink(&town)).unwrap();
        }
        fs::copy(&kept, &store).unwrap();
    }
    let all: Vec<&str> = whole.split_inclusive('\n').collect();
    let sinks = [
        (whole.replacen("\"login\":\"maria\"", "\"login\":\"olga\"", 1), queued, "changed"),
        (all[..last - 2].concat(), last - 1, "cut-off"),
        ([&all[..3], &all[4..]].concat().concat(), 4, "missing"),
        ([&all[..3], &[all[4], all[3]], &all[5..]].concat().concat(), 4, "missing"),
        ([&all[..3], &all[2..]].concat().concat(), 4, "out-of-order"),
    ];
    for (forged, sequence, what) in sinks {
        fs::write(sink(&town), forged).unwrap();
        let (code, found) = verify(&town, &[]);
        let first = &found["verdict"]["faults"][0];
        assert_eq!(
            (code, first["sequence"].as_u64(), text(first, "/what")),
            (1, Some(sequence as u64), what),
            "{found}"
        );
        assert_eq!(text(first, "/place"), "sink");
    }
    fs::write(sink(&town), &whole).unwrap();
    assert_eq!(verify(&town, &["--head", head.trim()]).0, 0);
    let printed = String::from_utf8(town.command(&["audit", "verify"]).stdout).unwrap();
    assert!(printed.ends_with("\nwhole\n") && printed.contains(&format!("entries 1 to {last}")), "{printed}");
}

#[tokio::test]
async fn a_server_that_dies_between_commit_and_sink_writes_each_entry_once_after_all() {
    let mut town = town(LANE).await;
    town.run(&STEP, &["x.txt"]).await;
    caught_up(&town).await;
    town.crash();
    // As if it had died earlier: some entries are in the store alone, one is there by half.
    let text = fs::read_to_string(sink(&town)).unwrap();
    let whole: Vec<&str> = text.split_inclusive('\n').collect();
    let cut = whole.len() - 4;
    fs::write(sink(&town), format!("{}{}", whole[..cut].concat(), &whole[cut][..40])).unwrap();
    // And it does die right after a commit.
    town = town.restart_with(&[("CODEX_BRIEF_CRASH_AT", "queued.before-effect")]);
    town.sim.open_issue(REPO, "maria", "Again", &brief(&[("again", "echo y > y.txt")], &["y.txt"])).unwrap();
    town.server.ended(crate::support::SOON).await.unwrap();
    town = town.restart_with(&[]);
    town.result(3, 1).await;
    let sequences: Vec<u64> =
        caught_up(&town).await.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
    assert!(sequences.len() > whole.len());
    assert_eq!(verify(&town, &[]).0, 0);
    // It is moved away while the server serves.
    let old = town.folder.path().join("audit.jsonl.1");
    fs::rename(sink(&town), &old).unwrap();
    town.until(async || lines(&sink(&town)).iter().any(|entry| entry["action"] == "sink-begun")).await;
    assert_eq!(lines(&sink(&town))[0]["sequence"].as_u64(), Some(sequences.len() as u64 + 1));
    let (old, new) = (old.display().to_string(), sink(&town).display().to_string());
    let (code, found) = verify(&town, &["--sink", &old, "--sink", &new]);
    assert_eq!(code, 0, "{found}");
    assert_eq!(found["verdict"]["sink"][0].as_u64(), Some(1));
}

#[tokio::test]
async fn a_sink_that_takes_nothing_is_told_and_written_later_and_none_is_told_too() {
    let github = "[audit]\nsink = \"missing/audit.jsonl\"\n";
    let mut town = Town::with_github(github, LANE).await;
    let warnings = async |town: &Town| {
        let health = reqwest::get(format!("{}/readyz", town.server.url())).await.unwrap();
        health.json::<Value>().await.unwrap()["warnings"].as_array().unwrap().clone()
    };
    town.run(&STEP, &["x.txt"]).await;
    town.logged("the audit sink takes no entries").await;
    let told = warnings(&town).await;
    assert!(told.len() == 1 && told[0].as_str().unwrap().contains("missing/audit.jsonl"), "{told:?}");
    fs::create_dir(town.folder.path().join("missing")).unwrap();
    town.logged("the audit sink takes entries again").await;
    assert_eq!(warnings(&town).await, Vec::<Value>::new());
    let sink = town.folder.path().join("missing/audit.jsonl");
    town.until(async || lines(&sink).len() == listed(&town).len()).await;
    let actions: Vec<String> = lines(&sink).iter().map(|entry| text(entry, "/action").to_owned()).collect();
    assert_eq!(actions.iter().filter(|action| action.starts_with("sink-")).count(), 3, "{actions:?}");
    let config = fs::read_to_string(&town.config).unwrap();
    fs::write(&town.config, config.replace(github, "")).unwrap();
    town = town.end_and_restart().await;
    town.logged("there is no audit sink").await;
    assert!(warnings(&town).await[0].as_str().unwrap().contains("audit.sink"));
    let changed = listed(&town).into_iter().rfind(|entry| entry["action"] == "configuration").unwrap();
    assert_eq!(text(&changed, "/details/changed"), "audit");
}

#[tokio::test]
async fn a_store_that_was_set_back_does_not_write_over_what_the_sink_has() {
    let mut town = town(LANE).await;
    town.run(&STEP, &["x.txt"]).await;
    town.end().await;
    let (store, kept) = (town.state().join("codex-brief.sqlite"), town.folder.path().join("kept.sqlite"));
    fs::copy(&store, &kept).unwrap();
    town.start_again();
    town.run(&[("again", "echo y > y.txt")], &["y.txt"]).await;
    town.end().await;
    let before = fs::read_to_string(sink(&town)).unwrap();
    fs::copy(&kept, &store).unwrap();
    let (code, found) = verify(&town, &[]);
    assert_eq!((code, text(&found, "/verdict/faults/0/what")), (1, "cut-off"), "{found}");
    town.start_again();
    town.logged("the audit sink does not belong to this store").await;
    let sunk = caught_up(&town).await;
    let differs = sunk.iter().find(|entry| entry["action"] == "sink-differs").unwrap();
    let last: Value = serde_json::from_str(before.lines().last().unwrap()).unwrap();
    let head = format!("{}:{}", last["sequence"], last["hash"].as_str().unwrap());
    assert_eq!(text(differs, "/details/last_before"), head);
    let beside = fs::read_dir(town.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut aside = beside.filter(|path| path.to_string_lossy().contains("not-of-this-store"));
    assert_eq!(fs::read_to_string(aside.next().unwrap()).unwrap(), before);
    assert_eq!(verify(&town, &[]).0, 0);
}
