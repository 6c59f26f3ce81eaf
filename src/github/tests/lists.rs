//! What is looked up when something may have been missed.

use chrono::{TimeDelta, Utc};
use github_sim::{Fault, FaultKind, Subject};

use super::{REPO, World};
use crate::brief::source::{Source, SourceKind};
use crate::github::texts::ThreadState;

#[tokio::test]
async fn the_delivery_log_is_read_back_to_a_time_and_tried_again() {
    let world = World::new().await;
    for _ in 0..120 {
        world.issue("a body");
    }
    world.sim.settled(std::time::Duration::from_secs(20)).await.unwrap();
    let log = world.sim.deliveries();
    let all = world.github.deliveries(Utc::now() - TimeDelta::hours(1)).await.unwrap();
    let guids = |list: &[crate::github::hook::HookDelivery]| {
        list.iter().map(|one| one.guid.clone()).collect::<Vec<_>>()
    };
    let mut told = guids(&all);
    told.reverse();
    assert_eq!(told, log.iter().map(|one| one.guid.clone()).collect::<Vec<_>>());
    assert_eq!((all[0].event.as_str(), all[0].action.as_deref()), ("issues", Some("opened")));
    assert!(!all[0].was_taken() && !all[0].redelivery);
    let pages = world.count("GET", "/app/hook/deliveries");
    let none = world.github.deliveries(Utc::now() + TimeDelta::hours(1)).await.unwrap();
    assert!(none.is_empty());
    assert_eq!(world.count("GET", "/app/hook/deliveries") - pages, 1, "an older page is not read");
    world.github.redeliver(all[5].id).await.unwrap();
    let again = world.github.deliveries(Utc::now() - TimeDelta::hours(1)).await.unwrap();
    assert!(again[0].redelivery && again[0].guid == all[5].guid);
    assert_eq!(world.github.redeliver(1).await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn changed_texts_have_the_ids_that_webhooks_tell() {
    let world = World::new().await;
    let sim = &world.sim;
    let issue = world.issue("a body");
    let closed = world.issue("closed");
    sim.close_issue(REPO, closed, "maria").unwrap();
    let files = [("a.md", "one\n")];
    let pull =
        sim.open_pull_with_files(REPO, "maria", "feature", &files, ("A pull", "its body")).unwrap().number;
    let comment = sim.comment(REPO, issue, "maria", "first").unwrap().id;
    let on_pull = sim.comment(REPO, pull, "maria", "second").unwrap().id;
    let remark = sim.review_comment(REPO, pull, "maria", "third").unwrap().id;
    let review = sim.review(REPO, pull, "maria", "COMMENTED", "fourth").unwrap().id;
    sim.edit_issue(REPO, issue, "maria", "a new body").unwrap();
    let (place, since) = (world.place(), Utc::now() - TimeDelta::hours(1));

    let issues = world.github.issues_changed(place, since).await.unwrap();
    let seen: Vec<_> = issues.iter().map(|one| (one.thread, one.kind, one.body.as_str())).collect();
    let both =
        [(issue, SourceKind::IssueBody, "a new body"), (pull, SourceKind::PullRequestBody, "its body")];
    assert_eq!(seen, both);
    assert_eq!((issues[0].id, issues[1].id), (sim.issue(REPO, issue).unwrap().id, sim.pulls(REPO)[0].id));
    assert_eq!(issues[1].title, "A pull");
    assert_eq!(issues[0].author.as_ref().unwrap().id, sim.user_id("maria").unwrap());
    assert!(!issues[0].on_pull_request && issues[1].on_pull_request && issues[0].by_app.is_none());

    let comments = world.github.comments_changed(place, since).await.unwrap();
    let seen: Vec<_> = comments.iter().map(|one| (one.id, one.thread, one.on_pull_request)).collect();
    assert_eq!(seen, [(on_pull, pull, true), (comment, issue, false)]);
    let remarks = world.github.review_comments_changed(place, since).await.unwrap();
    assert_eq!((remarks[0].id, remarks[0].thread, remarks[0].body.as_str()), (remark, pull, "third"));
    let reviews = world.github.reviews(place, pull).await.unwrap();
    let found = reviews.iter().find(|one| one.id == review).unwrap();
    assert_eq!((found.thread, found.body.as_str()), (pull, "fourth"));

    let later = Utc::now() + TimeDelta::hours(1);
    assert!(world.github.issues_changed(place, later).await.unwrap().is_empty());
    assert!(world.github.comments_changed(place, later).await.unwrap().is_empty());
    assert!(world.github.review_comments_changed(place, later).await.unwrap().is_empty());
}

#[tokio::test]
async fn more_than_a_page_of_comments_is_read_and_each_once() {
    let world = World::new().await;
    let issue = world.issue("a body");
    for count in 0..230 {
        world.sim.comment(REPO, issue, "maria", &format!("comment {count}")).unwrap();
    }
    let since = Utc::now() - TimeDelta::hours(1);
    let found = world.github.comments_changed(world.place(), since).await.unwrap();
    assert_eq!((found.len(), world.count("GET", "/issues/comments")), (230, 3));
    assert_eq!(found[0].body, "comment 229");
}

#[tokio::test]
async fn the_editors_of_many_texts_are_told_and_gone_ones_left_out() {
    let world = World::new().await;
    let issue = world.issue("a body");
    let mut ids = Vec::new();
    for count in 0..105 {
        ids.push(world.sim.comment(REPO, issue, "maria", &format!("comment {count}")).unwrap().id);
    }
    let since = Utc::now() - TimeDelta::hours(1);
    let found = world.github.comments_changed(world.place(), since).await.unwrap();
    let nodes: Vec<String> = found.iter().rev().map(|one| one.node_id.clone()).collect();
    world.sim.add_user("rob");
    world.sim.edit_comment(REPO, ids[103], "rob", "his").unwrap();
    world.sim.delete_comment(REPO, ids[0], "maria").unwrap();
    world.github.update_comment(world.place(), ids[1], "the App's").await.unwrap();
    let texts = world.github.editors(world.place().installation, &nodes).await.unwrap();
    assert_eq!((texts.len(), world.count("POST", "/graphql")), (104, 2));
    let editor = |at: usize| texts[&nodes[at]].editor.as_ref();
    assert!(!texts.contains_key(&nodes[0]) && editor(2).is_none());
    assert_eq!(editor(103).unwrap().database_id, world.sim.user_id("rob"));
    assert_eq!((editor(1).unwrap().kind.as_str(), texts[&nodes[1]].body.as_str()), ("Bot", "the App's"));
}

#[tokio::test]
async fn a_text_is_looked_up_until_it_is_gone() {
    let world = World::new().await;
    let (sim, place) = (&world.sim, world.place());
    let issue = world.issue("a body");
    let files = [("a.md", "one\n")];
    let pull = sim.open_pull_with_files(REPO, "maria", "feature", &files, ("A", "its body")).unwrap().number;
    let comment = sim.comment(REPO, issue, "maria", "first").unwrap().id;
    let remark = sim.review_comment(REPO, pull, "maria", "third").unwrap().id;
    let review = sim.review(REPO, pull, "maria", "COMMENTED", "fourth").unwrap().id;
    let text = async |thread, kind, id| {
        let source = Source { repository_id: sim.repository_id(REPO).unwrap(), kind, id };
        world.github.text(place, thread, source).await.unwrap().map(|text| text.body)
    };
    assert_eq!(text(issue, SourceKind::IssueBody, 0).await.as_deref(), Some("a body"));
    assert_eq!(text(pull, SourceKind::PullRequestBody, 0).await.as_deref(), Some("its body"));
    assert_eq!(text(issue, SourceKind::IssueComment, comment).await.as_deref(), Some("first"));
    assert_eq!(text(pull, SourceKind::ReviewComment, remark).await.as_deref(), Some("third"));
    assert_eq!(text(pull, SourceKind::Review, review).await.as_deref(), Some("fourth"));
    assert_eq!(world.github.thread_state(place, issue).await.unwrap(), ThreadState::Open);
    sim.delete_comment(REPO, comment, "maria").unwrap();
    sim.delete_review_comment(REPO, remark, "maria").unwrap();
    sim.close_issue(REPO, issue, "maria").unwrap();
    assert_eq!(text(issue, SourceKind::IssueComment, comment).await, None);
    assert_eq!(text(pull, SourceKind::ReviewComment, remark).await, None);
    assert_eq!(world.github.thread_state(place, issue).await.unwrap(), ThreadState::Closed);
    sim.delete_issue(REPO, issue, "maria").unwrap();
    assert_eq!(text(issue, SourceKind::IssueBody, 0).await, None);
    assert_eq!(world.github.thread_state(place, issue).await.unwrap(), ThreadState::Gone);
    assert!(sim.reactions(REPO, Subject::Issue(pull)).is_empty());
}

#[tokio::test]
async fn the_repositories_of_an_installation_are_told() {
    let world = World::new().await;
    world.sim.create_repository("octo/other", &[("a", "b")]).unwrap();
    world.sim.create_repository("octo/outside", &[("a", "b")]).unwrap();
    world.sim.set_installed("octo/outside", false).unwrap();
    world.sim.archive_repository("octo/other").unwrap();
    let found = world.github.repositories(world.place().installation).await.unwrap();
    let seen: Vec<_> = found.iter().map(|one| (one.full_name.as_str(), one.archived)).collect();
    assert_eq!(seen, [(REPO, false), ("octo/other", true)]);
    assert_eq!(found[0].id, world.sim.repository_id(REPO).unwrap());
}

#[tokio::test]
async fn the_limit_of_graphql_is_one_that_passes() {
    let world = World::new().await;
    let told = |kind: &str| {
        let body = serde_json::json!({"data": null, "errors": [{"type": kind}]});
        FaultKind::Answer { status: 200, body, headers: Default::default() }
    };
    for (kind, passes) in [("RATE_LIMITED", true), ("FORBIDDEN", false)] {
        world.sim.fault(Fault::new("POST", "/graphql").kind(told(kind)));
        let error = world.github.editors(world.place().installation, &["x".to_owned()]).await.unwrap_err();
        assert_eq!(error.is_transient(), passes, "{error}");
    }
}
