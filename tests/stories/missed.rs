//! A server that was away: what people wrote meanwhile runs once it is back, once, as it is by then.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use github_sim::{Fault, GithubSim, World};
use serde_json::Value;
use sqlx::ConnectOptions;

use crate::support::{LANE, REPO, SOON, Town, brief, brief_for, is_result};

/// Looks every two seconds for what was missed.
const OFTEN: &str = "[catch_up]\nevery_seconds = 2\n\n";

async fn town() -> Town {
    // Marks would have webhooks of their own, at a time of their own.
    let town = Town::with_github("labels = false\ncheck_runs = false\n", &format!("{OFTEN}{LANE}")).await;
    // What is written from now on is younger than the store.
    town.everything_else_is_done().await;
    town
}

/// A brief that writes `text` into `file`.
fn writes(file: &str, text: &str) -> String {
    brief(&[("write", &format!("echo {text} > {file}"))], &[file])
}

/// Returns the files below `f-` in the pull requests of the App, each with its content, in order.
fn written(sim: &GithubSim) -> Vec<String> {
    let mut all = Vec::new();
    for pull in sim.pulls(REPO).iter().filter(|pull| pull.by_app) {
        for file in sim.files(REPO, pull.number).iter().filter(|file| file.path.starts_with("f-")) {
            let text = sim.file_at(REPO, &pull.head, &file.path).unwrap();
            all.push(format!("{} {}", file.path, text.trim()));
        }
    }
    all.sort();
    all
}

/// Counts the result comments in all threads.
fn results(world: &World) -> usize {
    let threads = 1..300;
    threads.map(|thread| world.comments(REPO, thread).iter().filter(|one| is_result(one)).count()).sum()
}

/// Waits until so many result comments are there.
async fn has_results(town: &Town, count: usize) {
    let found = town.sim.wait_for(4 * SOON, |world| (results(world) >= count).then_some(())).await;
    assert!(found.is_ok(), "{} results instead of {count}:\n{}", town.sim.look(results), town.server.log());
}

/// Returns the gaps as programs are told them, newest first.
fn gaps(town: &Town) -> Vec<Value> {
    let output = town.command(&["gaps", "--json"]);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["format"], 1);
    told["gaps"].as_array().unwrap().clone()
}

/// Counts how often GitHub was asked for something.
fn asked(sim: &GithubSim, method: &str, path: &str) -> usize {
    sim.requests().iter().filter(|one| one.method == method && one.path.contains(path)).count()
}

/// Waits until two whole looks more have begun and so at least one has ended.
async fn another_look(town: &Town) {
    let before = asked(&town.sim, "GET", "/app/hook/deliveries");
    let looked = |world: &World| {
        let looks = world.requests().iter().filter(|one| one.path.contains("/app/hook/deliveries")).count();
        (looks >= before + 2).then_some(())
    };
    town.sim.wait_for(SOON, looked).await.unwrap();
}

/// Sets back when the server was alive last, as if it had been away for so long.
async fn away_since(town: &Town, ago: Duration) -> i64 {
    let file = town.state().join("codex-brief.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::from_str(file.to_str().unwrap()).unwrap();
    let mut store = options.connect().await.unwrap();
    let at = chrono::Utc::now() - ago;
    sqlx::query("UPDATE marks SET at = ? WHERE name = 'alive'")
        .bind(at.timestamp_millis())
        .execute(&mut store)
        .await
        .unwrap();
    at.timestamp()
}

fn time(value: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().timestamp()
}

#[tokio::test]
async fn a_delivery_that_another_program_answered_is_taken_at_the_next_look_and_no_later_look_asks_again() {
    let town = town().await;
    town.sim.set_webhook_url(&format!("{}/nobody-here", town.sim.url()));
    let issue = town.sim.open_issue(REPO, "maria", "Missed", &writes("f-a", "x")).unwrap();
    town.sim.settled(SOON).await.unwrap();
    town.sim.set_webhook_url(&format!("{}/webhooks/github", town.server.url()));
    let (_, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success");
    town.logged("gap report").await;
    let asks = asked(&town.sim, "POST", "/attempts");
    assert!(asks > 0);
    another_look(&town).await;
    assert_eq!(asked(&town.sim, "POST", "/attempts"), asks);
    let gaps = gaps(&town);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!((&gaps[0]["missed"], &gaps[0]["recovered"]), (&1.into(), &1.into()));
    let what = format!("issues opened in {REPO}#{}", issue.number);
    assert_eq!(gaps[0]["deliveries"][0]["what"], what.as_str());
    assert_eq!(gaps[0]["deliveries"][0]["outcome"], "processed");
    assert_eq!(written(&town.sim), ["f-a x"]);
}

#[tokio::test]
async fn after_two_hours_away_everything_that_should_run_does_once_as_it_is_by_then() {
    let town = town().await;
    let sim = &town.sim;
    let talk = sim.open_issue(REPO, "maria", "Talk", "Let us talk.").unwrap().number;
    let (head, about) = ("topic", ("Topic", "Look at this."));
    let pull = sim.open_pull_with_files(REPO, "maria", head, &[("t.txt", "t\n")], about).unwrap().number;
    town.everything_else_is_done().await;
    let before = town.sim.look(results);
    let mut began = 0;
    let mut expected = BTreeSet::new();
    let town = town
        .while_down(async |town| {
            began = away_since(town, Duration::from_secs(7_200)).await;
            expected = fifty_briefs(&town.sim, talk, pull);
        })
        .await;
    assert_eq!(expected.len(), 43);
    has_results(&town, before + 43).await;
    town.logged("gap report").await;
    another_look(&town).await;
    town.everything_else_is_done().await;
    let written = written(&town.sim);
    assert_eq!(written, expected.into_iter().collect::<Vec<_>>());
    assert_eq!(town.sim.look(results), before + 43 + 1);
    let gaps = gaps(&town);
    assert_eq!(gaps.len(), 1, "{gaps:#?}");
    let gap = &gaps[0];
    // Fifty texts, ten edits, five deletions, two threads closed.
    let counts = ["missed", "recovered", "lost", "waiting"].map(|count| gap[count].as_i64().unwrap());
    assert_eq!(counts, [67, 67, 0, 0], "{gap:#}");
    assert_eq!(time(&gap["from"]), began);
    assert!((time(&gap["to"]) - began - 7_200) < 120, "{}", gap["to"]);
    let outcome = |wanted: &str| {
        let texts = gap["deliveries"].as_array().unwrap().iter();
        let texts = texts.filter(|one| !one["what"].as_str().unwrap().contains("deleted in"));
        texts.filter(|one| one["outcome"].as_str().unwrap().contains(wanted)).count()
    };
    assert_eq!(outcome("processed"), 43, "{gap:#}");
    assert_eq!(outcome("edited meanwhile"), 10, "{gap:#}");
    let number = gap["gap"].to_string();
    let whole = String::from_utf8(town.command(&["gaps", &number]).stdout).unwrap();
    assert!(whole.contains("67 missed, 67 recovered, 0 lost"), "{whole}");
}

/// Posts fifty briefs in threads, comments and reviews, edits ten, deletes five, and closes two threads;
/// returns what shall be written.
fn fifty_briefs(sim: &GithubSim, talk: u64, pull: u64) -> BTreeSet<String> {
    let file = |n: usize| format!("f-{n:02}");
    let text = |n: usize| writes(&file(n), "first");
    let newer = |n: usize| writes(&file(n), "edited");
    let issues: Vec<u64> = (0..20)
        .map(|n| sim.open_issue(REPO, "maria", &format!("Issue {n}"), &text(n)).unwrap().number)
        .collect();
    let comment = |n: usize, thread: u64| sim.comment(REPO, thread, "olga", &text(n)).unwrap().id;
    let talked: Vec<u64> = (20..35).map(|n| comment(n, talk)).collect();
    let _conversation: Vec<u64> = (35..40).map(|n| comment(n, pull)).collect();
    let lines: Vec<u64> =
        (40..45).map(|n| sim.review_comment(REPO, pull, "maria", &text(n)).unwrap().id).collect();
    for n in 45..50 {
        sim.review(REPO, pull, "maria", "COMMENTED", &text(n)).unwrap();
    }
    for (n, issue) in issues.iter().take(5).enumerate() {
        sim.edit_issue(REPO, *issue, "maria", &newer(n)).unwrap();
    }
    for n in 20..23 {
        sim.edit_comment(REPO, talked[n - 20], "olga", &newer(n)).unwrap();
    }
    for n in 40..42 {
        sim.edit_review_comment(REPO, lines[n - 40], "maria", &newer(n)).unwrap();
    }
    for n in [5, 6] {
        sim.delete_issue(REPO, issues[n], "maria").unwrap();
    }
    for n in [23, 24] {
        sim.delete_comment(REPO, talked[n - 20], "olga").unwrap();
    }
    sim.delete_review_comment(REPO, lines[2], "maria").unwrap();
    for n in [7, 8] {
        sim.close_issue(REPO, issues[n], "maria").unwrap();
    }
    let (edited, never) = ([0, 1, 2, 3, 4, 20, 21, 22, 40, 41], [5, 6, 23, 24, 42, 7, 8]);
    let word = |n: usize| if edited.contains(&n) { "edited" } else { "first" };
    (0..50).filter(|n| !never.contains(n)).map(|n| format!("{} {}", file(n), word(n))).collect()
}

#[tokio::test]
async fn what_githubs_log_has_forgotten_is_found_where_it_was_written() {
    let town = town().await;
    let sim = &town.sim;
    let talk = sim.open_issue(REPO, "maria", "Talk", "Let us talk.").unwrap().number;
    let (head, about) = ("topic", ("Topic", "Look at this."));
    let pull = sim.open_pull_with_files(REPO, "maria", head, &[("t.txt", "t\n")], about).unwrap().number;
    let ran = sim.comment(REPO, talk, "maria", &writes("f-ran", "once")).unwrap();
    town.result(talk, 1).await;
    town.everything_else_is_done().await;
    let before = town.sim.look(results);
    let town = town
        .while_down(async |town| {
            let sim = &town.sim;
            let comment = |file: &str| sim.comment(REPO, talk, "maria", &writes(file, "first")).unwrap().id;
            sim.open_issue(REPO, "maria", "An issue", &writes("f-issue", "first")).unwrap();
            comment("f-comment");
            sim.edit_comment(REPO, comment("f-edited"), "olga", &writes("f-edited", "by-olga")).unwrap();
            sim.edit_comment(REPO, comment("f-forged"), "rob", &writes("f-forged", "by-rob")).unwrap();
            sim.delete_comment(REPO, comment("f-deleted"), "maria").unwrap();
            sim.review_comment(REPO, pull, "maria", &writes("f-line", "first")).unwrap();
            sim.review(REPO, pull, "olga", "COMMENTED", &writes("f-review", "first")).unwrap();
            sim.comment(REPO, talk, "rob", &writes("f-stranger", "first")).unwrap();
            let closed = sim.open_issue(REPO, "maria", "Closed", &writes("f-closed", "first")).unwrap();
            sim.close_issue(REPO, closed.number, "maria").unwrap();
            // What ran before the outage stands in a thread that changed, and runs no second time.
            sim.comment(REPO, talk, "maria", "No brief at all.").unwrap();
            assert!(ran.id > 0);
            sim.settled(SOON).await.unwrap();
            sim.forget_deliveries();
        })
        .await;
    has_results(&town, before + 5).await;
    town.logged("gap report").await;
    another_look(&town).await;
    town.everything_else_is_done().await;
    assert_eq!(
        written(&town.sim),
        [
            "f-comment first",
            "f-edited by-olga",
            "f-issue first",
            "f-line first",
            "f-ran once",
            "f-review first"
        ]
    );
    assert_eq!(town.sim.look(results), before + 5 + 1);
    assert_eq!(asked(&town.sim, "POST", "/attempts"), 0);
    town.told(talk, "rob may not run briefs here").await;
    let gaps = gaps(&town);
    assert_eq!(gaps.len(), 1, "{gaps:#?}");
    // The five, and the two that ask for what Rob may not.
    assert_eq!((&gaps[0]["missed"], &gaps[0]["recovered"]), (&7.into(), &7.into()), "{:#}", gaps[0]);
    let refused = |one: &&Value| one["outcome"].as_str().is_some_and(|outcome| outcome.contains("`rob`"));
    assert_eq!(gaps[0]["deliveries"].as_array().unwrap().iter().filter(refused).count(), 2);
}

#[tokio::test]
async fn a_server_that_dies_while_it_catches_up_neither_loses_nor_repeats_anything() {
    let town = town().await;
    let before = town.sim.look(results);
    let town = town
        .while_down(async |town| {
            for n in 0..4 {
                let text = writes(&format!("f-{n}"), "x");
                town.sim.open_issue(REPO, "maria", "Missed", &text).unwrap();
            }
            town.sim.fault(
                Fault::matching(|_, path| path.ends_with("/attempts"))
                    .after(2)
                    .delay(Duration::from_secs(60)),
            );
        })
        .await;
    let third = |world: &World| {
        let asked = world.requests().iter().filter(|one| one.path.ends_with("/attempts")).count();
        (asked >= 3).then_some(())
    };
    town.sim.wait_for(SOON, third).await.unwrap();
    // The next one dies while it asks who edited what it found.
    let town = town
        .while_down(async |town| {
            town.sim.open_issue(REPO, "maria", "Missed", &writes("f-4", "x")).unwrap();
            town.sim.settled(SOON).await.unwrap();
            town.sim.forget_deliveries();
            town.sim
                .fault(Fault::matching(|_, path| path.ends_with("/graphql")).delay(Duration::from_secs(60)));
        })
        .await;
    let asks = |world: &World| world.requests().iter().any(|one| one.path == "/graphql").then_some(());
    town.sim.wait_for(SOON, asks).await.unwrap();
    let town = town.crash_and_restart();
    has_results(&town, before + 5).await;
    town.logged("gap report").await;
    another_look(&town).await;
    town.everything_else_is_done().await;
    assert_eq!(written(&town.sim), ["f-0 x", "f-1 x", "f-2 x", "f-3 x", "f-4 x"]);
    assert_eq!(town.sim.look(results), before + 5 + 1);
    let open = gaps(&town).iter().filter(|gap| gap["closed_at"].is_null()).count();
    assert_eq!(open, 0);
}

#[tokio::test]
async fn a_delivery_log_that_cannot_be_read_is_read_later_and_the_report_tells_so() {
    let town = town().await;
    let before = town.sim.look(results);
    let log = || Fault::new("GET", "/app/hook/deliveries");
    let town = town
        .while_down(async |town| {
            for n in 0..3 {
                town.sim.open_issue(REPO, "maria", "Missed", &writes(&format!("f-{n}"), "x")).unwrap();
            }
            town.sim.fault(log().status(500).times(2));
            town.sim.fault(log().rate_limit(429, Some(3)));
        })
        .await;
    has_results(&town, before + 3).await;
    town.logged("gap report").await;
    assert_eq!(town.sim.faults_left(), 0);
    assert!(town.sim.early_calls().is_empty(), "{:?}", town.sim.early_calls());
    let gaps = gaps(&town);
    assert_eq!((&gaps[0]["missed"], &gaps[0]["recovered"]), (&3.into(), &3.into()), "{gaps:#?}");
    let notes = gaps[0]["notes"].to_string();
    assert!(notes.contains("answered 500") && notes.contains("not to be called"), "{notes}");
    assert_eq!(written(&town.sim), ["f-0 x", "f-1 x", "f-2 x"]);
}

#[tokio::test]
async fn what_is_older_than_the_first_start_never_runs_and_an_outage_without_a_miss_is_told_briefly() {
    let town = town().await;
    let town = town
        .while_down(async |town| {
            away_since(town, Duration::from_secs(7_200)).await;
        })
        .await;
    town.logged("gap report").await;
    let told = gaps(&town);
    assert_eq!((told.len(), &told[0]["missed"]), (1, &0.into()), "{told:#?}");
    assert!(!told[0]["closed_at"].is_null());
    // A store that is new knows nothing of what GitHub's log still holds.
    let issue = town.sim.open_issue(REPO, "maria", "Old", &writes("f-old", "x")).unwrap();
    town.result(issue.number, 1).await;
    let state = town.state();
    let town = town
        .while_down(async |town| {
            std::fs::remove_dir_all(&state).unwrap();
            // GitHub dates to the second, so what is older must be of an earlier one.
            let last = town.sim.deliveries().last().unwrap().delivered_at.timestamp();
            while chrono::Utc::now().timestamp() == last {
                tokio::task::yield_now().await;
            }
        })
        .await;
    another_look(&town).await;
    town.everything_else_is_done().await;
    assert_eq!(asked(&town.sim, "POST", "/attempts"), 0);
    assert_eq!(written(&town.sim).len(), 1);
    assert_eq!(gaps(&town).len(), 0);
}

#[tokio::test]
async fn a_late_delivery_of_a_text_that_was_edited_meanwhile_does_nothing() {
    let town = town().await;
    town.sim.set_webhook_url(&format!("{}/nobody-here", town.sim.url()));
    let issue = town.sim.open_issue(REPO, "maria", "Late", &writes("f-late", "first")).unwrap();
    town.sim.edit_issue(REPO, issue.number, "maria", &writes("f-late", "edited")).unwrap();
    town.sim.settled(SOON).await.unwrap();
    let opened = town.sim.deliveries().into_iter().rfind(|one| one.action.as_deref() == Some("opened"));
    let mut body: Value = serde_json::from_slice(&opened.unwrap().body).unwrap();
    // The log tells nothing of it any more, and it comes an hour after it was written.
    town.sim.forget_deliveries();
    body["issue"]["updated_at"] = (chrono::Utc::now() - Duration::from_secs(3_600)).to_rfc3339().into();
    town.sim.set_webhook_url(&format!("{}/webhooks/github", town.server.url()));
    town.sim.deliver_raw("issues", body.to_string(), "an-hour-late");
    town.logged("it came late, and its text was edited meanwhile").await;
    town.everything_else_is_done().await;
    assert!(!written(&town.sim).contains(&"f-late first".to_owned()));
    // Nothing stands between an edit that is still there and its run.
    body["issue"]["body"] = writes("f-late", "edited").into();
    town.sim.deliver_raw("issues", body.to_string(), "still-there");
    town.result(issue.number, 1).await;
    assert_eq!(written(&town.sim), ["f-late edited"]);
}

#[tokio::test]
async fn no_webhook_passes_for_a_text_that_the_server_found() {
    let town = town().await;
    for (event, guid) in [("rescan:text", "any"), ("issues", "rescan:1:issue:2:3")] {
        let id = town.sim.deliver_raw(event, "{}", guid);
        let delivery = town.sim.delivered(id, SOON).await.unwrap();
        assert_eq!(delivery.status_code, Some(400), "{event} {guid}");
    }
}

#[tokio::test]
async fn what_does_not_arrive_is_asked_for_three_times_and_then_told_as_lost() {
    let town = town().await;
    town.sim.set_webhook_url(&format!("{}/nobody-here", town.sim.url()));
    let issue = town.sim.open_issue(REPO, "maria", "Lost", "No brief, only talk.").unwrap();
    town.logged("was asked three times to deliver it again").await;
    another_look(&town).await;
    assert_eq!(asked(&town.sim, "POST", "/attempts"), 3);
    let gaps = gaps(&town);
    assert_eq!((&gaps[0]["missed"], &gaps[0]["lost"]), (&1.into(), &1.into()), "{gaps:#?}");
    let output = town.command(&["gaps", &gaps[0]["gap"].to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("issues opened") && text.contains("it did not arrive"), "{text}");
    assert_eq!(town.own_comments(issue.number).len(), 0);
    let unknown = town.command(&["gaps", "99"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("[gap-unknown]"));
}

#[tokio::test]
async fn what_is_written_while_the_app_is_kept_out_never_runs() {
    let town = town().await;
    let (other, text) =
        ("octo/other", brief_for("devbox-codex", "octo/other", &[("a", "echo a > a")], &["a"]));
    town.sim.create_repository(other, &[("README.md", "# Other\n")]).unwrap();
    town.sim.set_permission(other, "maria", github_sim::Permission::Write).unwrap();
    town.sim.set_installed(other, false).unwrap();
    town.sim.open_issue(other, "maria", "Before", &text).unwrap();
    another_look(&town).await;
    town.sim.set_installed(other, true).unwrap();
    another_look(&town).await;
    // It has a mark by now. The App is kept out for a while, as after an incident.
    town.sim.set_installed(other, false).unwrap();
    another_look(&town).await;
    town.sim.open_issue(other, "maria", "Meanwhile", &text).unwrap();
    another_look(&town).await;
    town.sim.set_installed(other, true).unwrap();
    another_look(&town).await;
    another_look(&town).await;
    town.everything_else_is_done().await;
    assert!(town.sim.pulls(other).is_empty(), "{}", town.server.log());
    let issue = town.sim.open_issue(other, "maria", "After", &text).unwrap();
    town.until(async || !town.sim.pulls(other).is_empty()).await;
    assert_eq!(issue.number, 3);
}
