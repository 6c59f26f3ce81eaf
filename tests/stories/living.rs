//! The one comment of a brief: made when the brief is accepted, kept up to date, and its result in the end.

use std::time::Duration;

use github_sim::{Comment, Fault, RequestRecord};

use crate::support::{LANE, REPO, Town, brief, is_living, is_result};

const ONE_PLACE: &str = "[[lane]]\nname = \"devbox-codex\"\nparallel = 1\n";

/// A brief whose second step takes so many seconds.
fn slow(seconds: u32) -> String {
    brief(&[("first", "true"), ("second", &format!("sleep {seconds}\necho x > x.txt"))], &["x.txt"])
}

fn living(town: &Town, thread: u64) -> Vec<Comment> {
    town.own_comments(thread).into_iter().filter(is_living).collect()
}

/// Counts what was asked of GitHub about comments.
fn calls(town: &Town, method: &str, path: &str) -> usize {
    let called = |it: &&RequestRecord| it.method == method && it.path.contains(path);
    town.sim.requests().iter().filter(called).count()
}

#[tokio::test]
async fn a_brief_has_one_comment_from_its_acceptance_to_its_result() {
    let town = Town::new().await;
    let issue = town.sim.open_issue(REPO, "maria", "Slow", &slow(12)).unwrap();
    let told = town.told(issue.number, "Running: step 2 of 2, second").await;
    for part in ["| 1 | first | ✅ succeeded |", "| 2 | second | ▶️ runs |", "since ", "x.txt", "/stop "]
    {
        assert!(told.body.contains(part), "{part} is not in {}", told.body);
    }
    assert!(is_living(&told) && !is_result(&told));
    let (result, json) = town.result(issue.number, 1).await;
    assert_eq!((result.id, json["status"].as_str()), (told.id, Some("success")));
    town.quiet().await;
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(calls(&town, "POST", "/issues/1/comments"), 1, "one notification");
    let edits = calls(&town, "PATCH", "/issues/comments/");
    assert!((1..=5).contains(&edits), "{edits} edits of a run of 12 s");
}

#[tokio::test]
async fn what_is_over_quickly_is_told_by_one_write() {
    let town = Town::new().await;
    for _ in 0..10 {
        let (posts, edits) = (calls(&town, "POST", "/comments"), calls(&town, "PATCH", "/issues/comments/"));
        let opened = std::time::Instant::now();
        let text = brief(&[("quick", "echo x > x.txt")], &["x.txt"]);
        let issue = town.sim.open_issue(REPO, "maria", "Quick", &text).unwrap();
        town.result(issue.number, 1).await;
        // A machine that is busy with other tests may not be that quick.
        if opened.elapsed() < Duration::from_secs(5) {
            town.quiet().await;
            assert_eq!(calls(&town, "POST", "/comments"), posts + 1);
            assert_eq!(calls(&town, "PATCH", "/issues/comments/"), edits);
            return;
        }
    }
    panic!("no run was over within 5 s");
}

#[tokio::test]
async fn an_edit_that_is_late_never_takes_the_results_place() {
    let town = Town::new().await;
    let steps = [("first", "sleep 8"), ("second", "sleep 7"), ("third", "echo x > x.txt")];
    let issue = town.sim.open_issue(REPO, "maria", "Late", &brief(&steps, &["x.txt"])).unwrap();
    town.told(issue.number, "Running: step 1 of 3").await;
    // The edit that tells of the second step hangs until after the run's end.
    town.sim.fault(Fault::new("PATCH", "/issues/comments/").delay(Duration::from_secs(12)));
    let (comment, _) = town.result(issue.number, 1).await;
    town.quiet().await;
    assert_eq!((town.sim.faults_left(), calls(&town, "PATCH", "/issues/comments/")), (0, 2));
    let last = living(&town, issue.number).remove(0);
    assert_eq!((last.id, last.body == comment.body), (comment.id, true), "{}", last.body);
}

#[tokio::test]
async fn a_comment_that_somebody_deletes_comes_back_once_as_the_result() {
    let town = Town::new().await;
    let issue = town.sim.open_issue(REPO, "maria", "Gone", &slow(16)).unwrap();
    let told = town.told(issue.number, "Running: step 2 of 2").await;
    town.sim.delete_comment(REPO, told.id, "maria").unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success");
    assert_ne!(comment.id, told.id);
    town.quiet().await;
    assert_eq!(living(&town, issue.number).len(), 1);
    assert_eq!(calls(&town, "POST", "/issues/1/comments"), 2, "nothing of it in between");
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_comment() {
    let town = Town::new().await;
    town.sim.fault(Fault::new("POST", "/issues/1/comments").status_after_effect(502));
    let issue = town.sim.open_issue(REPO, "maria", "Lost", &slow(12)).unwrap();
    town.told(issue.number, "Running: step 2 of 2").await;
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
    town.quiet().await;
    assert_eq!(town.sim.faults_left(), 0);
    assert_eq!(town.own_comments(issue.number).len(), 1);
}

#[tokio::test]
async fn a_server_that_dies_after_the_first_write_goes_on_with_the_same_comment() {
    let mut town = Town::with(LANE, &[("CODEX_BRIEF_CRASH_AT", "comment-written.before-record")]).await;
    let issue = town.sim.open_issue(REPO, "maria", "Death", &slow(12)).unwrap();
    let told = town.told(issue.number, "Running: step 2 of 2").await;
    town.server.ended(crate::support::SOON).await.unwrap();
    town = town.restart_with(&[]);
    let again = town.told(issue.number, "**Earlier runs:**").await;
    assert_eq!(again.id, told.id);
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!((comment.id, result["status"].as_str()), (told.id, Some("success")));
    assert_eq!(town.own_comments(issue.number).len(), 1);
}

#[tokio::test]
async fn a_run_that_is_made_again_is_told_with_its_reason_in_the_same_comment() {
    let town = Town::with(LANE, &[("FAILED_TASK_RETRY_COOLDOWN_MS", "8000")]).await;
    let text = brief(&[("die", "sleep 1\nexit 137")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Again", &text).unwrap();
    let told = town.told(issue.number, "Failed (exit 137), run again in").await;
    assert!(told.body.contains("**Earlier runs:**") && told.body.contains("exit 137"), "{}", told.body);
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!((comment.id, result["problem"]["code"].as_str()), (told.id, Some("retries-exhausted")));
    assert!(comment.body.contains("/work retry "), "{}", comment.body);
    assert_eq!(town.own_comments(issue.number).len(), 1);
}

#[tokio::test]
async fn briefs_of_one_text_have_their_own_and_tell_their_places() {
    let town = Town::with_lanes(ONE_PLACE).await;
    let two = format!("{}\n{}", slow(9), slow(8).replace("x.txt", "y.txt"));
    let issue = town.sim.open_issue(REPO, "maria", "Two", &two).unwrap();
    let third = town.sim.open_issue(REPO, "maria", "Third", &slow(1)).unwrap();
    town.told(issue.number, "Accepted: it is the next on its lane").await;
    let waits = town.told(third.number, "Accepted: 1 brief runs before it").await;
    let moved = town.told(third.number, "Accepted: it is the next on its lane").await;
    assert_eq!(waits.id, moved.id);
    let ((first, _), (second, _)) = (town.result(issue.number, 1).await, town.result(issue.number, 2).await);
    assert_ne!(first.id, second.id);
    assert_eq!(town.result(third.number, 1).await.0.id, waits.id);
    assert_eq!(town.own_comments(issue.number).len(), 2);
}

#[tokio::test]
async fn what_is_cancelled_while_it_waits_says_so_where_it_was_told() {
    let town = Town::with_lanes(ONE_PLACE).await;
    let busy = town.sim.open_issue(REPO, "maria", "Busy", &slow(60)).unwrap();
    town.told(busy.number, "Running: step 2 of 2").await;
    let told = town.sim.open_issue(REPO, "maria", "Waits", &slow(1)).unwrap();
    town.told(told.number, "Accepted: it is the next on its lane").await;
    town.sim.edit_issue(REPO, told.number, "maria", "Never mind.").unwrap();
    let cancelled = town.told(told.number, "### ⏹️ Cancelled").await;
    assert!(cancelled.body.contains("its text was edited"), "{}", cancelled.body);
    let untold = town.sim.open_issue(REPO, "maria", "Shortly", &slow(1)).unwrap();
    town.seen(untold.number).await;
    town.sim.edit_issue(REPO, untold.number, "maria", "Never mind.").unwrap();
    town.told(told.number, "its text was edited").await;
    town.quiet().await;
    let told_of = town.own_comments(untold.number);
    assert!(told_of.is_empty(), "{told_of:#?}");
    assert_eq!(town.own_comments(told.number).len(), 1);
}

#[tokio::test]
async fn progress_leaves_the_limits_to_what_matters() {
    let town = Town::with_github("content_per_minute = 4\n", LANE).await;
    let mut steps = vec![("wait", "sleep 6"); 4];
    steps.push(("write", "echo x > x.txt"));
    let issue = town.sim.open_issue(REPO, "maria", "Scarce", &brief(&steps, &["x.txt"])).unwrap();
    town.told(issue.number, "Running: step").await;
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
    // Half of what is allowed went into progress; the pull request and the result have the other.
    assert_eq!(calls(&town, "POST", "/issues/1/comments"), 1);
    assert!(calls(&town, "PATCH", "/issues/comments/") <= 2);
}
