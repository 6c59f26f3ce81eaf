//! A real server is killed by SIGKILL at every point at which it could lose or repeat something, and
//! started again: one pull request, one comment, nothing left behind.

mod invariants;
mod random;
mod soak;
mod storm;

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use codex_brief::crash::POINTS;
use github_sim::{Comment, Subject};
use tokio::task::JoinSet;

use crate::support::{LANE, REPO, SOON, Town, brief, hidden_json};

/// How many cases run at a time.
const AT_A_TIME: usize = 5;

/// The time in which a server that is started again must serve.
const SERVES_WITHIN: Duration = Duration::from_secs(5);

/// The time in which a task must end after the start.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// What a case measured.
struct Held {
    served: Duration,
    ended: Duration,
}

/// Two steps; the first leaves a process behind. It asks for a comment beside the pull request.
fn two_steps() -> String {
    let write = "echo x > x.txt\n(exec setsid sleep 1000) &";
    let text = brief(&[("write", write), ("check", "test -s x.txt")], &["x.txt"]);
    let comment = "  - type: comment\n    body: The figures are there.\n```\n\nThank you.";
    text.replace("```\n\nThank you.", comment)
}

/// Lets the server die at each of these points in turn, once a start, and tells what does not hold in
/// the end.
async fn survive(points: &[&str]) -> Result<Held, String> {
    let first = [("CODEX_BRIEF_CRASH_AT", points[0])];
    let mut town = Town::with(LANE, &first).await;
    let issue = town.sim.open_issue(REPO, "maria", "Crash", &two_steps()).unwrap();
    for (nth, point) in points.iter().enumerate() {
        let status = town.server.ended(SOON).await.map_err(|_| format!("{point} is never reached"))?;
        if status.signal() != Some(9) {
            return Err(format!("at {point} the server ended by {status}"));
        }
        let next = points.get(nth + 1).map(|next| ("CODEX_BRIEF_CRASH_AT", *next));
        town = town.restart_with(next.as_slice());
        if next.is_none() {
            break;
        }
    }
    let begun = Instant::now();
    invariants::redeliver_failed(&town, ENDS_WITHIN).await;
    invariants::all_ended(&town, ENDS_WITHIN).await?;
    let held = Held { served: town.server.served_after(), ended: begun.elapsed() };
    let mut wrong = invariants::violations(&town).await;
    let [_, briefs, _] = invariants::counts(&town).await;
    if briefs != 1 {
        wrong.push(format!("{briefs} briefs are known"));
    }
    wrong.extend(on_github(&town, issue.number));
    if held.served > SERVES_WITHIN {
        wrong.push(format!("it served after {:?}", held.served));
    }
    if wrong.is_empty() { Ok(held) } else { Err(wrong.join("; ")) }
}

/// Returns what is not on GitHub exactly once.
fn on_github(town: &Town, thread: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let pulls = town.sim.pulls(REPO);
    let (results, outputs): (Vec<Comment>, Vec<Comment>) = town
        .own_comments(thread)
        .into_iter()
        .partition(|comment| comment.body.contains("codex-brief:result:"));
    let eyes = town.sim.reactions(REPO, Subject::Issue(thread));
    let branches = town.sim.branches(REPO).len();
    let counts = [
        ("pull requests", pulls.len()),
        ("branches beside main", branches - 1),
        ("check runs", town.sim.check_runs(REPO).len()),
        ("result comments", results.len()),
        ("comments that are outputs", outputs.len()),
        ("reactions", eyes.len()),
    ];
    for (what, count) in counts {
        if count != 1 {
            wrong.push(format!("{count} {what}"));
        }
    }
    if let (Some(pull), Some(comment)) = (pulls.first(), results.first()) {
        let result = hidden_json(&comment.body);
        if result["status"] != "success" || result["pull_request"] != pull.number {
            wrong.push(format!("the comment tells of another end: {}", comment.body));
        }
        let files: Vec<String> =
            town.sim.files(REPO, pull.number).into_iter().map(|file| file.path).collect();
        if files != ["x.txt"] {
            wrong.push(format!("the pull request changes {files:?}"));
        }
    }
    wrong
}

/// Runs cases, a few at a time; panics with all that did not hold, and prints how many did.
async fn all_survive(what: &str, cases: Vec<Vec<&'static str>>) {
    let (total, begun) = (cases.len(), Instant::now());
    let mut waiting = cases.into_iter();
    let mut busy = JoinSet::new();
    let (mut held, mut failed) = (Vec::new(), String::new());
    loop {
        while busy.len() < AT_A_TIME
            && let Some(case) = waiting.next()
        {
            busy.spawn(async move { (case.join(" then "), tokio::spawn(survive_owned(case)).await) });
        }
        let Some(done) = busy.join_next().await else { break };
        match done.unwrap() {
            (_, Ok(Ok(case))) => held.push(case),
            (name, Ok(Err(why))) => writeln!(failed, "{name}: {why}").unwrap(),
            (name, Err(panic)) => writeln!(failed, "{name}: {panic}").unwrap(),
        }
    }
    let slowest = |time: fn(&Held) -> Duration| held.iter().map(time).max().unwrap_or_default();
    let told = format!(
        "{} of {total} {what} held in {:.0?}; the slowest start served after {:.1?}, the slowest task ended \
         {:.1?} after its restart\n",
        held.len(),
        begun.elapsed(),
        slowest(|case| case.served),
        slowest(|case| case.ended),
    );
    tell(&told);
    assert!(failed.is_empty(), "\n{told}{failed}");
}

/// Prints numbers past the capture of a test's output: they are the point.
fn tell(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

async fn survive_owned(points: Vec<&'static str>) -> Result<Held, String> {
    survive(&points).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn every_crash_point_is_survived() {
    // `CRASH_POINT=done` runs those that begin so.
    let wanted = std::env::var("CRASH_POINT").unwrap_or_default();
    let cases = POINTS.into_iter().filter(|point| point.starts_with(&wanted)).map(|point| vec![point]);
    all_survive("crash cases", cases.collect()).await;
}

/// A crash, and another one at what the next start does first; at most one of the two loses the run.
const PAIRS: [[&str; 2]; 8] = [
    ["received.before-effect", "authorised.before-record"],
    ["queued.before-effect", "queued.before-record"],
    ["leased.before-effect", "changeset-stored.before-effect"],
    ["step-started.before-effect", "branch-pushed.before-effect"],
    ["changeset-stored.before-effect", "commit-built.before-record"],
    ["branch-pushed.before-record", "pr-opened.before-effect"],
    ["pr-opened.before-record", "done.before-commit"],
    ["done.before-effect", "comment-written.before-record"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_second_crash_during_the_recovery_is_survived() {
    all_survive("pairs of crashes", PAIRS.into_iter().map(Vec::from).collect()).await;
}

#[tokio::test]
async fn a_brief_that_takes_its_server_down_twice_is_quarantined_and_told_why() {
    let deadly = [("CODEX_BRIEF_CRASH_AT", "step-started.before-record")];
    let mut town = Town::with(LANE, &deadly).await;
    let issue = town.sim.open_issue(REPO, "maria", "Deadly", &two_steps()).unwrap();
    town.server.ended(SOON).await.unwrap();
    town = town.restart_with(&deadly);
    town.server.ended(SOON).await.unwrap();
    town = town.restart_with(&[]);
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "quarantined", "{}", comment.body);
    invariants::redeliver_failed(&town, SOON).await;
    invariants::all_ended(&town, SOON).await.unwrap();
    assert_eq!(invariants::violations(&town).await, Vec::<String>::new());
    assert_eq!((town.own_comments(issue.number).len(), town.sim.pulls(REPO).len()), (1, 0));
}

/// Kills the server while a step works that put a process into a session of its own.
async fn no_process_outlives_its_server(lane: &str) {
    let town = Town::with_lanes(lane).await;
    let hide = "(exec setsid sleep 1000) &\necho hidden > hidden.txt\nexec sleep 3";
    let issue =
        town.sim.open_issue(REPO, "maria", "Hide", &brief(&[("hide", hide)], &["hidden.txt"])).unwrap();
    town.logged("step begins").await;
    let runs = town.state().join("runs");
    let checkout = loop {
        let names = std::fs::read_dir(&runs).unwrap().flatten().map(|run| run.path().join("checkout"));
        if let Some(found) = names.into_iter().find(|path| path.join("hidden.txt").exists()) {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let run = checkout.parent().and_then(|run| run.file_name()?.to_str()).unwrap().to_owned();
    assert!(!invariants::processes_of(std::slice::from_ref(&run)).is_empty(), "there is nothing to end");
    let town = town.crash_and_restart();
    town.until(async || !checkout.exists()).await;
    assert_eq!(invariants::processes_of(&[run]), Vec::<String>::new(), "{}", town.server.log());
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
}

#[tokio::test]
async fn no_process_outlives_its_server_in_a_sandbox() {
    no_process_outlives_its_server(LANE).await;
}

#[tokio::test]
async fn no_process_outlives_its_server_without_a_sandbox() {
    no_process_outlives_its_server("[[lane]]\nname = \"devbox-codex\"\nsandbox = \"none\"\n").await;
}

#[test]
fn the_code_has_every_crash_point_once_and_no_other() {
    let mut sources = String::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("src/crash.rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let called = regex::Regex::new(r#"(?:crash::point\(|reached\(order, )"([^"]*)""#).unwrap();
    let mut found: Vec<&str> = called.captures_iter(&sources).map(|it| it.get(1).unwrap().as_str()).collect();
    found.sort_unstable();
    // A commit is pushed by git or made at GitHub, and both ways pass by these.
    let both_ways = ["branch-pushed.before-commit", "branch-pushed.before-effect"];
    let mut all = [&POINTS[..], &both_ways].concat();
    all.sort_unstable();
    assert_eq!(found, all);
}

#[test]
fn a_release_build_has_no_crash_point() {
    let folder = tempfile::tempdir().unwrap();
    let build = |assertions: &str| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/crash.rs");
        let flag = format!("debug-assertions={assertions}");
        let file = folder.path().join(assertions);
        let out = Command::new("rustc")
            .args(["--edition=2024", "--crate-name=crash", "--crate-type=lib", "--emit=obj", "-C", &flag])
            .arg("-o")
            .arg(&file)
            .arg(source)
            .output()
            .expect("rustc starts");
        (out, std::fs::read(file).unwrap_or_default())
    };
    let (out, object) = build("off");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for text in [&b"CODEX_BRIEF_CRASH_AT"[..], b"before-commit", b"getenv"] {
        assert!(!object.windows(text.len()).any(|part| part == text));
    }
    // With assertions the same file needs the crate that kills, which was not handed in.
    let (out, _) = build("on");
    assert!(String::from_utf8_lossy(&out.stderr).contains("rustix"));
}
