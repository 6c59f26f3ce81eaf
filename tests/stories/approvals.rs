//! Briefs that wait for somebody's approval: who may give it, what it stands for, and when it does not
//! count any more.

mod buttons;
mod void;

use github_sim::{Comment, Permission};
use sqlx::Row;

use crate::support::{REPO, SOON, Town, brief, brief_for};

pub(crate) const REQUIRED: &str =
    "[[lane]]\nname = \"devbox-codex\"\nparallel = 1\napproval = \"required\"\n";
const SECOND: &str = "[[lane]]\nname = \"devbox-codex\"\nparallel = 1\napproval = \"second-person\"\n";
const STEP: [(&str, &str); 1] = [("write", "echo x > x.txt")];

pub(crate) fn quick() -> String {
    brief(&STEP, &["x.txt"])
}

/// Opens an issue with a quick brief as Maria, and returns its number and the digest to approve.
pub(crate) async fn waiting(town: &Town) -> (u64, String) {
    let issue = town.sim.open_issue(REPO, "maria", "Approve", &quick()).unwrap();
    (issue.number, digest(town, issue.number).await)
}

/// Waits until a thread asks for approval, and returns the digest.
pub(crate) async fn digest(town: &Town, thread: u64) -> String {
    digest_in(&town.told(thread, "### ⏸️ Waits for approval").await)
}

pub(crate) fn digest_in(comment: &Comment) -> String {
    let line = comment.body.lines().find_map(|line| line.strip_prefix("/approve ")).unwrap();
    assert_eq!(line.len(), 32, "{line}");
    line.to_owned()
}

pub(crate) fn approve(town: &Town, thread: u64, who: &str, digest: &str) -> u64 {
    town.sim.comment(REPO, thread, who, &format!("/approve {digest}")).unwrap().id
}

/// Lets an approved run keep the only place of the lane for some seconds.
pub(crate) async fn busy(town: &Town) -> u64 {
    let text = brief(&[("busy", "sleep 8\necho b > b.txt")], &["b.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Busy", &text).unwrap();
    let digest = digest(town, issue.number).await;
    approve(town, issue.number, "olga", &digest);
    town.logged("step begins").await;
    issue.number
}

/// Adds people who may write.
fn more_people(town: &Town, logins: &[&str]) {
    for login in logins {
        town.sim.add_user(login);
        town.sim.set_permission(REPO, login, Permission::Write).unwrap();
    }
}

#[tokio::test]
async fn an_approved_brief_runs_on_the_approved_commit_and_is_on_record() {
    let town = Town::with_lanes(REQUIRED).await;
    let head = town.sim.commit(REPO, "main").unwrap().sha;
    let (thread, digest) = waiting(&town).await;
    let asked = town.told(thread, "Waits for approval").await.body;
    for shown in ["echo x > x.txt", "maria", "devbox-codex", REPO, &head, "x.txt"] {
        assert!(asked.contains(shown), "{shown} is not in {asked}");
    }
    town.sim.comment(REPO, thread, "maria", "/work status").unwrap();
    let table = town.told(thread, "| Brief | State |").await.body;
    assert!(table.contains("awaiting approval") && table.contains(&digest), "{table}");
    let (_, printed, _) = town.operator(&["status"]).await;
    assert!(printed.contains(&format!("awaiting approval: /approve {digest}")), "{printed}");
    assert!(town.sim.labels(REPO, thread).contains(&"codex:new".to_owned()));
    assert!(!town.server.log().contains("run begins"));
    town.sim.comment(REPO, thread, "olga", &format!("Fine.\n\n/approve {digest} It is small\n")).unwrap();
    let (_, result) = town.result(thread, 1).await;
    assert_eq!((&result["status"], &result["base_commit"]), (&"success".into(), &head.into()));
    town.pull(&result);
    let told = town.told(thread, "Approved by").await.body;
    assert!(told.contains("olga") && told.contains("It is small") && !told.contains("/approve"), "{told}");
    let mut store = town.store().await;
    let row = sqlx::query("SELECT * FROM approvals").fetch_one(&mut store).await.unwrap();
    assert_eq!(row.get::<String, _>("state"), "approved");
    assert_eq!(Some(row.get::<i64, _>("actor_id").unsigned_abs()), town.sim.user_id("olga"));
    assert_eq!(row.get::<String, _>("reason"), "It is small");
    let entry: String = sqlx::query_scalar("SELECT entry FROM audit WHERE action = 'approved'")
        .fetch_one(&mut store)
        .await
        .unwrap();
    for part in [digest.as_str(), "It is small", "\"login\":\"olga\""] {
        assert!(entry.contains(part), "{part} is not in {entry}");
    }
}

#[tokio::test]
async fn an_approval_counts_for_one_thread_one_repository_and_one_lane() {
    let lanes = format!("{REQUIRED}\n[[lane]]\nname = \"other\"\napproval = \"required\"\n");
    let town = Town::with_lanes(&lanes).await;
    let other = "octo/other";
    town.sim.create_repository(other, &[("README.md", "# Other\n")]).unwrap();
    for login in ["maria", "olga"] {
        town.sim.set_permission(other, login, Permission::Write).unwrap();
    }
    let (first, digest) = waiting(&town).await;
    let (second, second_digest) = waiting(&town).await;
    assert_ne!(digest, second_digest);
    let text = brief_for("devbox-codex", other, &STEP, &["x.txt"]);
    let elsewhere = town.sim.open_issue(other, "maria", "Elsewhere", &text).unwrap().number;
    let of_lane = brief_for("other", REPO, &STEP, &["x.txt"]);
    town.sim.comment(REPO, first, "maria", &of_lane).unwrap();
    town.sim.comment(other, elsewhere, "olga", &format!("/approve {digest}")).unwrap();
    let told = town.sim.wait_for(SOON, |world| {
        let comments = world.comments(other, elsewhere);
        comments.into_iter().find(|comment| comment.by_app && comment.body.contains("Nothing of this thread"))
    });
    told.await.unwrap();
    approve(&town, second, "olga", &digest);
    town.told(second, "Nothing of this thread").await;
    approve(&town, first, "olga", &digest);
    assert_eq!(town.result(first, 1).await.1["executor"], "devbox-codex");
    town.sim.settled(SOON).await.unwrap();
    assert_eq!(town.sim.pulls(REPO).len(), 1);
    assert!(town.sim.pulls(other).is_empty());
    let waiting: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM approvals WHERE state = 'asked'")
        .fetch_one(&mut town.store().await)
        .await
        .unwrap();
    assert_eq!(waiting, 3);
}

#[tokio::test]
async fn a_second_person_is_neither_author_nor_editor_nor_sender() {
    let town = Town::with_lanes(SECOND).await;
    more_people(&town, &["ada", "eve"]);
    let issue = town.sim.open_issue(REPO, "olga", "Both", "soon").unwrap().number;
    town.sim.edit_issue(REPO, issue, "maria", &quick()).unwrap();
    let digest = digest(&town, issue).await;
    approve(&town, issue, "olga", &digest);
    town.told(issue, "the author of a text cannot approve it").await;
    approve(&town, issue, "maria", &digest);
    town.told(issue, "whoever edited a text last cannot approve it").await;
    // An edit beside the block makes its editor the last one, and whoever posted the block stays out.
    town.sim.edit_issue(REPO, issue, "ada", &quick().replace("Thank you", "Thanks")).unwrap();
    approve(&town, issue, "maria", &digest);
    town.told(issue, "whoever posted a text cannot approve it").await;
    let comments = town.own_comments(issue).len();
    approve(&town, issue, "ada", &digest);
    town.until(async || town.own_comments(issue).len() > comments).await;
    assert!(!town.server.log().contains("run begins"));
    approve(&town, issue, "eve", &digest);
    assert_eq!(town.result(issue, 1).await.1["status"], "success");
}

#[tokio::test]
async fn who_may_not_approve_is_told_what_is_missing() {
    let config = "[authorize]\napprovers = { minimum_permission = \"maintain\" }\n\n";
    let town = Town::with_lanes(&format!("{config}{REQUIRED}")).await;
    let (thread, digest) = waiting(&town).await;
    approve(&town, thread, "rob", &digest);
    town.told(thread, "may not run briefs here").await;
    approve(&town, thread, "olga", &digest);
    town.told(thread, "the permission is `write`, which is not enough to approve").await;
    assert!(!town.server.log().contains("run begins"));
    town.sim.set_permission(REPO, "olga", Permission::Maintain).unwrap();
    approve(&town, thread, "olga", &digest);
    assert_eq!(town.result(thread, 1).await.1["status"], "success");
}

#[tokio::test]
async fn decisions_that_come_too_late_twice_or_shortened_are_answered() {
    let town = Town::with_lanes(REQUIRED).await;
    let (thread, digest) = waiting(&town).await;
    approve(&town, thread, "olga", &digest[..12]);
    town.told(thread, "is the beginning of a digest").await;
    approve(&town, thread, "olga", &digest.replace(|c: char| c.is_ascii_digit(), "0"));
    town.told(thread, "Nothing of this thread waits").await;
    town.sim.comment(REPO, thread, "olga", &format!("/reject {digest}")).unwrap();
    town.told(thread, "write the reason behind the digest").await;
    let both = format!("/approve {digest}\n\n/approve {digest}\n");
    town.sim.comment(REPO, thread, "olga", &both).unwrap();
    town.result(thread, 1).await;
    approve(&town, thread, "maria", &digest);
    town.told(thread, "was approved already by olga; it is done").await;
    let (thread, digest) = waiting(&town).await;
    town.sim.comment(REPO, thread, "olga", "/stop").unwrap();
    town.told(thread, "is cancelled; it was waiting").await;
    town.told(thread, "Approval is not asked for any more").await;
    approve(&town, thread, "olga", &digest);
    town.told(thread, "does not wait for approval any more: it is cancelled").await;
}

#[tokio::test]
async fn a_rejection_cancels_with_its_reason() {
    let town = Town::with_lanes(REQUIRED).await;
    let (thread, digest) = waiting(&town).await;
    town.sim.comment(REPO, thread, "olga", &format!("/reject {digest} Not on a Friday")).unwrap();
    let told = town.told(thread, "Rejected by olga").await.body;
    assert!(told.contains("Not on a Friday"), "{told}");
    approve(&town, thread, "olga", &digest);
    town.told(thread, "was rejected by olga").await;
    let (_, printed, _) = town.operator(&["status"]).await;
    assert!(printed.contains("cancelled: rejected by olga: Not on a Friday"), "{printed}");
    assert!(!town.server.log().contains("run begins"));
}

#[tokio::test]
async fn an_edited_comment_approves_once_and_by_its_editor_and_deleting_it_changes_nothing() {
    let town = Town::with_lanes(SECOND).await;
    let (thread, digest) = waiting(&town).await;
    let comment = town.sim.comment(REPO, thread, "maria", "Looks good?").unwrap().id;
    town.sim.edit_comment(REPO, comment, "olga", &format!("Yes.\n\n/approve {digest}\n")).unwrap();
    town.told(thread, "Approved by olga").await;
    town.sim.delete_comment(REPO, comment, "maria").unwrap();
    assert_eq!(town.result(thread, 1).await.1["status"], "success");
    // An edit that leaves the command where it was does not say it again.
    let (thread, digest) = waiting(&town).await;
    let text = format!("No, /approve {digest} is not meant.");
    town.sim.comment(REPO, thread, "olga", &text).unwrap();
    town.sim.settled(SOON).await.unwrap();
    assert_eq!(town.sim.pulls(REPO).len(), 1);
}

#[tokio::test]
async fn each_brief_of_a_text_has_a_digest_of_its_own() {
    let town = Town::with_lanes(REQUIRED).await;
    let two = format!("{}\n{}", quick(), brief(&[("other", "echo y > y.txt")], &["y.txt"]));
    let thread = town.sim.open_issue(REPO, "maria", "Two", &two).unwrap().number;
    let asked = town.sim.wait_for(SOON, |world| {
        let asked = world.comments(REPO, thread).into_iter().filter(|it| it.body.contains("\n/approve "));
        let asked: Vec<Comment> = asked.collect();
        (asked.len() == 2).then_some(asked)
    });
    let asked = asked.await.unwrap();
    let of_y = asked.iter().find(|comment| comment.body.contains("echo y")).unwrap();
    approve(&town, thread, "olga", &digest_in(of_y));
    let (_, result) = town.result(thread, 1).await;
    let files = town.sim.files(REPO, town.pull(&result).number);
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["y.txt"]);
    assert_eq!(town.sim.pulls(REPO).len(), 1);
}

#[tokio::test]
async fn what_nobody_approves_in_time_is_cancelled() {
    let town = Town::with_lanes(REQUIRED).await;
    let (thread, digest) = waiting(&town).await;
    let mut store = town.store().await;
    let hours: i64 = sqlx::query_scalar("SELECT (expires_at - asked_at + 60000) / 3600000 FROM approvals")
        .fetch_one(&mut store)
        .await
        .unwrap();
    assert_eq!(hours, 168);
    sqlx::query("UPDATE approvals SET expires_at = 1").execute(&mut store).await.unwrap();
    town.told(thread, "Not approved in time").await;
    approve(&town, thread, "olga", &digest);
    town.told(thread, "does not wait for approval any more: it is cancelled").await;
    assert!(!town.server.log().contains("run begins"));
}

#[tokio::test]
async fn a_brief_whose_branch_is_missing_is_not_asked_for() {
    let town = Town::with_lanes(REQUIRED).await;
    let text = quick().replace("branch: main", "branch: release/none");
    let issue = town.sim.open_issue(REPO, "maria", "Branch", &text).unwrap();
    let told = town.told(issue.number, "branch-not-found").await.body;
    assert!(!told.contains("/approve"), "{told}");
}

#[tokio::test]
async fn a_server_that_dies_on_the_way_of_an_approval_loses_and_repeats_nothing() {
    for point in [
        "received.before-record",
        "queued.before-commit",
        "queued.before-effect",
        "leased.before-effect",
        "checked-out.before-effect",
    ] {
        let mut town = Town::with_lanes(REQUIRED).await;
        let (thread, digest) = waiting(&town).await;
        // A delivery left over would meet the crash point before the approval does.
        town.quiet().await;
        town = town.restart_with(&[("CODEX_BRIEF_CRASH_AT", point)]);
        approve(&town, thread, "olga", &digest);
        town.server.ended(SOON).await.unwrap();
        town = town.restart_with(&[]);
        assert_eq!(town.result(thread, 1).await.1["status"], "success", "{point}");
        town.told(thread, "Approved by olga").await;
        assert_eq!(town.sim.pulls(REPO).len(), 1, "{point}");
        let approved: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM audit WHERE action = 'approved'")
            .fetch_one(&mut town.store().await)
            .await
            .unwrap();
        assert_eq!(approved, 1, "{point}");
    }
}

#[tokio::test]
async fn a_stop_wins_over_an_approval_of_the_same_comment() {
    let town = Town::with_lanes(REQUIRED).await;
    let (thread, digest) = waiting(&town).await;
    town.sim.comment(REPO, thread, "olga", &format!("/approve {digest}\n\n/stop\n")).unwrap();
    town.told(thread, "is cancelled").await;
    town.until(async || {
        let state = "SELECT state FROM tasks";
        sqlx::query_scalar::<_, String>(state).fetch_one(&mut town.store().await).await.unwrap()
            == "cancelled"
    })
    .await;
    assert!(!town.server.log().contains("run begins"));
}
