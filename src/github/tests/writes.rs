//! Check runs, labels, and how much content may be created.

use std::time::Duration;

use chrono::Utc;
use github_sim::Fault;

use super::{REPO, World};
use crate::brief::source::{Source, SourceKind};
use crate::github::GitHubError;
use crate::github::checks::{Action, Annotation, CheckRunText};
use crate::github::limits::{
    Actions, AnnotationMessage, Annotations, Bounded, ButtonText, ButtonWord, CommentBody,
};

#[tokio::test]
async fn a_check_run_is_made_found_and_completed() {
    let world = World::new().await;
    let (place, sha) = (world.place(), world.sim.commit(REPO, "main").unwrap().sha);
    assert_eq!(world.github.find_check_run(place, &sha, "run-1").await.unwrap(), None);
    let begun = CheckRunText {
        name: "codex-brief",
        head_sha: &sha,
        external_id: "run-1",
        status: "in_progress",
        conclusion: None,
        title: "Running",
        summary: "It runs.",
        text: None,
        annotations: &Annotations::default(),
        actions: None,
    };
    let first = world.github.create_check_run(place, &begun).await.unwrap();
    let second = CheckRunText { external_id: "run-2", ..begun };
    let second = world.github.create_check_run(place, &second).await.unwrap();
    let found = world.github.find_check_run(place, &sha, "run-1").await.unwrap().unwrap();
    assert_eq!((found.id, found.status.as_str(), found.conclusion), (first, "in_progress", None));
    assert_ne!(first, second);
    let done = CheckRunText {
        status: "completed",
        conclusion: Some("success"),
        title: "Done",
        summary: "It ran.",
        ..begun
    };
    world.github.update_check_run(place, first, &done).await.unwrap();
    let found = world.github.find_check_run(place, &sha, "run-1").await.unwrap().unwrap();
    assert_eq!((found.status.as_str(), found.conclusion.as_deref()), ("completed", Some("success")));
    let shown = world.sim.check_runs(REPO).into_iter().find(|run| run.id == first).unwrap();
    assert_eq!((&shown.output["title"], &shown.output["summary"]), (&"Done".into(), &"It ran.".into()));
    assert_eq!(world.github.update_check_run(place, 1, &done).await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn whatever_is_too_much_for_github_is_cut_so_that_it_is_taken() {
    let world = World::new().await;
    let (place, issue, sha) =
        (world.place(), world.issue("a body"), world.sim.commit(REPO, "main").unwrap().sha);
    let long = "ä".repeat(70_000);
    let id = world.github.create_comment(place, issue, &long).await.unwrap();
    world.github.update_comment(place, id, &long).await.unwrap();
    assert_eq!(world.sim.comments(REPO, issue)[0].body, CommentBody::cut(&long).as_str());
    let annotation = Annotation {
        path: "README.md".to_owned(),
        start_line: 1,
        end_line: 1,
        start_column: None,
        end_column: None,
        annotation_level: "notice".to_owned(),
        message: AnnotationMessage::cut(&long),
    };
    let (label, description) = (ButtonWord::cut(&long), ButtonText::cut(&long));
    let action = Action { label, description, identifier: Bounded::cut("stop") };
    let run = CheckRunText {
        name: "codex-brief",
        head_sha: &sha,
        external_id: "run",
        status: "in_progress",
        conclusion: None,
        title: &long,
        summary: &long,
        text: Some(&long),
        annotations: &Annotations::first(vec![annotation; 80]),
        actions: Some(&Actions::first(vec![action; 9])),
    };
    world.github.create_check_run(place, &run).await.unwrap();
    let shown = world.sim.check_runs(REPO).remove(0);
    assert_eq!((shown.annotations.len(), shown.actions.len()), (50, 3));
    assert!(shown.output["text"].as_str().unwrap().ends_with("more than GitHub takes.\n"));
    assert!(world.github.find_check_run(place, &sha, "run").await.unwrap().unwrap().is_annotated());
}

#[tokio::test]
async fn labels_can_be_made_and_put_on_and_taken_off_twice() {
    let world = World::new().await;
    let (place, issue) = (world.place(), world.issue("a body"));
    for _ in 0..2 {
        world.github.create_label(place, "brief: done", "00ff00", "A brief ran").await.unwrap();
        world.github.add_label(place, issue, "brief: done").await.unwrap();
        assert_eq!(world.github.labels(place, issue).await.unwrap(), ["brief: done"]);
    }
    for _ in 0..2 {
        world.github.remove_label(place, issue, "brief: done").await.unwrap();
        assert!(world.github.labels(place, issue).await.unwrap().is_empty());
    }
    let wrong = world.github.create_label(place, "", "00ff00", "").await.unwrap_err();
    assert_eq!(wrong.status(), Some(422));
}

#[tokio::test]
async fn content_beyond_the_budget_is_put_off_and_marks_are_not() {
    let world = World::with("write_interval_ms = 0\ncontent_per_minute = 2").await;
    let (place, issue) = (world.place(), world.issue("a body"));
    let comment = world.github.create_comment(place, issue, "one").await.unwrap();
    world.github.update_comment(place, comment, "two").await.unwrap();
    let refused = world.github.create_comment(place, issue, "three").await.unwrap_err();
    let GitHubError::RateLimited(until) = &refused else { panic!("{refused}") };
    let left = (*until - Utc::now()).num_seconds();
    assert!((30..=60).contains(&left) && refused.is_transient(), "{left}");
    let source = Source { repository_id: 1, kind: SourceKind::IssueBody, id: 1 };
    world.github.react(place, issue, source, "eyes").await.unwrap();
    world.github.add_label(place, issue, "one").await.unwrap();
    assert_eq!(world.sim.content_requests().len(), 2);
}

#[tokio::test]
async fn writes_of_an_earlier_process_count_and_a_short_wait_is_waited() {
    let world = World::with("write_interval_ms = 0\ncontent_per_hour = 2").await;
    let (place, issue) = (world.place(), world.issue("a body"));
    let now = Utc::now().timestamp_millis();
    // One leaves the hour in a second, the other much later.
    world.github.remember_writes(place.installation, &[now - 3_599_000, now - 60_000]);
    world.github.create_comment(place, issue, "one").await.unwrap();
    assert!(Utc::now().timestamp_millis() - now >= 1_000);
    let refused = world.github.create_comment(place, issue, "two").await.unwrap_err();
    assert!(matches!(refused, GitHubError::RateLimited(_)), "{refused}");
    assert_eq!(world.sim.content_requests().len(), 1);
}

#[tokio::test]
async fn what_is_not_sent_for_a_silence_does_not_count() {
    let world = World::with("write_interval_ms = 0\ncontent_per_minute = 2").await;
    let (place, issue) = (world.place(), world.issue("a body"));
    world.sim.fault(Fault::new("GET", "/labels").rate_limit(429, Some(1)));
    assert!(world.github.labels(place, issue).await.is_err());
    for _ in 0..5 {
        assert!(world.github.create_comment(place, issue, "early").await.is_err());
    }
    let written = async {
        while world.github.labels(place, issue).await.is_err() {
            tokio::task::yield_now().await;
        }
        world.github.create_comment(place, issue, "one").await.unwrap();
        world.github.create_comment(place, issue, "two").await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
    assert!(world.sim.early_calls().is_empty());
}
