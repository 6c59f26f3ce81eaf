//! Approvals that do not count any more when their run would start.

use github_sim::Permission;

use super::{REQUIRED, approve, busy, digest_in, quick, waiting};
use crate::support::{REPO, SOON, Town};

/// Waits until a thread's comment asks for approval again for a reason, and returns it with the digest.
async fn asked_again(town: &Town, thread: u64, why: &str) -> (String, String) {
    let comment = town.told(thread, why).await;
    assert!(comment.body.contains("An earlier approval does not count any more"), "{}", comment.body);
    (digest_in(&comment), comment.body)
}

#[tokio::test]
async fn an_edit_by_one_byte_takes_an_approval_away() {
    let town = Town::with_lanes(REQUIRED).await;
    let busy = busy(&town).await;
    let (thread, digest) = waiting(&town).await;
    approve(&town, thread, "olga", &digest);
    town.told(thread, "Approved by olga").await;
    town.sim.edit_issue(REPO, thread, "maria", &quick().replace("echo x", "echo y")).unwrap();
    let asked = town.sim.wait_for(SOON, |world| {
        let comments = world.comments(REPO, thread).into_iter();
        comments.filter(|it| it.body.contains("\n/approve ")).find(|it| digest_in(it) != digest)
    });
    let second = digest_in(&asked.await.unwrap());
    town.result(busy, 1).await;
    approve(&town, thread, "olga", &digest);
    town.told(thread, "it is cancelled").await;
    assert_eq!(town.sim.pulls(REPO).len(), 1, "only that of the busy one");
    approve(&town, thread, "olga", &second);
    assert_eq!(town.result(thread, 1).await.1["status"], "success");
    assert_eq!(town.sim.pulls(REPO).len(), 2);
}

#[tokio::test]
async fn what_is_edited_deleted_or_closed_while_it_waits_is_not_asked_for_any_more() {
    let town = Town::with_lanes(REQUIRED).await;
    let (edited, _) = waiting(&town).await;
    town.sim.edit_issue(REPO, edited, "maria", "Never mind.").unwrap();
    town.told(edited, "Approval is not asked for any more").await;
    let (closed, _) = waiting(&town).await;
    town.sim.close_issue(REPO, closed, "rob").unwrap();
    town.told(closed, "is cancelled, since its thread was closed").await;
    town.told(closed, "Approval is not asked for any more").await;
    let thread = town.sim.open_issue(REPO, "maria", "Comment", "soon").unwrap().number;
    let comment = town.sim.comment(REPO, thread, "maria", &quick()).unwrap();
    town.told(thread, "Waits for approval").await;
    town.sim.delete_comment(REPO, comment.id, "maria").unwrap();
    town.told(thread, "Approval is not asked for any more").await;
    let (_, printed, _) = town.operator(&["status"]).await;
    assert_eq!(printed.matches("cancelled").count(), 3, "{printed}");
}

#[tokio::test]
async fn an_edit_that_no_webhook_told_is_seen_when_somebody_approves() {
    let town = Town::with_lanes(REQUIRED).await;
    let (thread, digest) = waiting(&town).await;
    town.sim.settled(SOON).await.unwrap();
    let url = format!("{}/webhooks/github", town.server.url());
    town.sim.set_webhook_url("http://127.0.0.1:9/nowhere");
    town.sim.edit_issue(REPO, thread, "maria", &quick().replace("echo x", "echo y")).unwrap();
    town.sim.settled(SOON).await.unwrap();
    town.sim.set_webhook_url(&url);
    approve(&town, thread, "olga", &digest);
    town.told(thread, "its text was edited or deleted").await;
    assert!(!town.server.log().contains("run begins"));
}

#[tokio::test]
async fn an_approver_who_loses_the_permission_has_approved_nothing() {
    let town = Town::with_lanes(REQUIRED).await;
    let busy = busy(&town).await;
    let (thread, digest) = waiting(&town).await;
    let other = "ada";
    town.sim.add_user(other);
    town.sim.set_permission(REPO, other, Permission::Write).unwrap();
    approve(&town, thread, other, &digest);
    town.told(thread, "Approved by ada").await;
    town.sim.set_permission(REPO, other, Permission::Read).unwrap();
    town.result(busy, 1).await;
    let (again, told) = asked_again(&town, thread, "ada, who approved it, may not do so any more").await;
    assert!(told.contains("`read`") || told.contains("read"), "{told}");
    assert_eq!(again, digest, "what is approved is the same");
    assert_eq!(town.sim.pulls(REPO).len(), 1, "only that of the busy one");
    approve(&town, thread, "olga", &again);
    assert_eq!(town.result(thread, 1).await.1["status"], "success");
}

#[tokio::test]
async fn an_approver_who_loses_the_permission_during_the_run_keeps_it_from_being_published() {
    let town = Town::with_lanes(REQUIRED).await;
    let busy = busy(&town).await;
    town.sim.set_permission(REPO, "olga", Permission::Read).unwrap();
    let (comment, result) = town.result(busy, 1).await;
    assert_eq!(result["problem"]["code"], "approval-missing", "{}", comment.body);
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn a_moved_branch_voids_an_approval_and_the_move_is_told() {
    let town = Town::with_lanes(REQUIRED).await;
    let busy = busy(&town).await;
    let first = town.sim.commit(REPO, "main").unwrap().sha;
    let (thread, digest) = waiting(&town).await;
    approve(&town, thread, "olga", &digest);
    town.told(thread, "Approved by olga").await;
    town.sim.push_commit(REPO, "maria", "main", &[("new.txt", "new\n")], "Move").unwrap();
    let second = town.sim.commit(REPO, "main").unwrap().sha;
    town.result(busy, 1).await;
    let (again, told) = asked_again(&town, thread, "the branch main moved").await;
    assert!(told.contains(&first) && told.contains(&second) && again != digest, "{told}");
    approve(&town, thread, "olga", &digest);
    town.told(thread, "this digest does not count any more").await;
    approve(&town, thread, "olga", &again);
    let (_, result) = town.result(thread, 1).await;
    assert_eq!((&result["status"], &result["base_commit"]), (&"success".into(), &second.into()));
}

#[tokio::test]
async fn a_moved_branch_can_leave_the_approval_as_the_operator_says() {
    for (setting, on_the_approved) in [("moved_base = \"keep\"", true), ("approval_base = \"branch\"", false)]
    {
        let town = Town::with_lanes(&format!("[authorize]\n{setting}\n\n{REQUIRED}")).await;
        let busy = busy(&town).await;
        let first = town.sim.commit(REPO, "main").unwrap().sha;
        let (thread, digest) = waiting(&town).await;
        approve(&town, thread, "olga", &digest);
        town.told(thread, "Approved by olga").await;
        let second = town.sim.push_commit(REPO, "maria", "main", &[("new.txt", "new\n")], "Move").unwrap();
        town.result(busy, 1).await;
        let (_, result) = town.result(thread, 1).await;
        let base = if on_the_approved { first } else { second };
        assert_eq!((&result["status"], &result["base_commit"]), (&"success".into(), &base.into()));
    }
}

#[tokio::test]
async fn a_changed_policy_voids_an_approval_and_what_changed_is_told() {
    let mut town = Town::with_lanes(REQUIRED).await;
    let (thread, digest) = waiting(&town).await;
    town.sim.settled(SOON).await.unwrap();
    town.crash();
    let config = std::fs::read_to_string(&town.config).unwrap();
    std::fs::write(&town.config, format!("{config}\n[lane.limits]\nwall_seconds = 60\n")).unwrap();
    town.start_again();
    approve(&town, thread, "olga", &digest);
    let (again, told) = asked_again(&town, thread, "the settings of the lane devbox-codex changed").await;
    assert!(told.contains("limits.wall\\_seconds: 1800 → 60") || told.contains("1800 → 60"), "{told}");
    assert_ne!(again, digest);
    approve(&town, thread, "olga", &again);
    assert_eq!(town.result(thread, 1).await.1["status"], "success");
}

#[tokio::test]
async fn a_brief_that_was_queued_before_its_lane_needed_approval_waits_for_it() {
    let lane = "[[lane]]\nname = \"devbox-codex\"\n";
    let mut town = Town::with(lane, &[("CODEX_BRIEF_CRASH_AT", "leased.before-commit")]).await;
    let thread = town.sim.open_issue(REPO, "maria", "Before", &quick()).unwrap().number;
    town.server.ended(SOON).await.unwrap();
    let config = std::fs::read_to_string(&town.config).unwrap();
    std::fs::write(&town.config, format!("{config}\napproval = \"required\"\n")).unwrap();
    town.start_again();
    let (digest, _) = asked_again(&town, thread, "nobody has approved it").await;
    assert!(town.sim.pulls(REPO).is_empty());
    approve(&town, thread, "olga", &digest);
    assert_eq!(town.result(thread, 1).await.1["status"], "success");
}
