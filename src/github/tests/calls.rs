//! Tokens, clocks, redirects, silences.

use std::sync::Arc;

use github_sim::{Fault, FaultKind};

use super::{REPO, World};
use crate::github::GitHubError;
use crate::github::installation::Place;

/// Looks at a thread's labels many times at once.
async fn crowd(world: &Arc<World>, issue: u64) -> Vec<Result<Vec<String>, GitHubError>> {
    let calls = (0..8).map(|_| {
        let world = world.clone();
        tokio::spawn(async move { world.github.labels(world.place(), issue).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn many_calls_share_one_token_and_its_end_costs_one_more() {
    let world = Arc::new(World::new().await);
    let issue = world.issue("a body");
    assert!(crowd(&world, issue).await.iter().all(Result::is_ok));
    assert_eq!(world.count("POST", "/access_tokens"), 1);
    world.sim.expire_tokens();
    // One hears late that its token had ended, when the others have the next one already.
    world.sim.fault(Fault::new("GET", "/labels").delay(std::time::Duration::from_millis(500)));
    assert!(crowd(&world, issue).await.iter().all(Result::is_ok));
    assert_eq!(world.count("POST", "/access_tokens"), 2);
}

#[tokio::test]
async fn a_token_that_is_never_taken_is_made_anew_once_a_call() {
    let world = World::new().await;
    let issue = world.issue("a body");
    world.sim.fault(Fault::new("GET", "/labels").status(401).times(9));
    let refused = world.github.labels(world.place(), issue).await.unwrap_err();
    assert_eq!(refused.status(), Some(401));
    assert_eq!((world.count("POST", "/access_tokens"), world.count("GET", "/labels")), (2, 2));
}

#[tokio::test]
async fn a_token_near_its_end_is_not_used() {
    let world = World::new().await;
    let issue = world.issue("a body");
    // By GitHub's clock an hour passes, less the four minutes that are too few.
    world.github.labels(world.place(), issue).await.unwrap();
    let body = serde_json::json!({"token": "ghs_short", "expires_at": chrono::Utc::now() + chrono::TimeDelta::minutes(4)});
    let short = FaultKind::Answer { status: 201, body, headers: Default::default() };
    world.sim.fault(Fault::new("POST", "/access_tokens").kind(short).times(2));
    for _ in 0..2 {
        world.github.git_token(world.place().installation, 1).await.unwrap();
    }
    assert_eq!(world.count("POST", "/access_tokens"), 3);
}

#[tokio::test]
async fn a_token_for_git_is_kept_until_it_is_forgotten() {
    let world = World::new().await;
    let (installation, repository) = (world.place().installation, world.sim.repository_id(REPO).unwrap());
    for _ in 0..2 {
        world.github.git_token(installation, repository).await.unwrap();
    }
    assert_eq!(world.count("POST", "/access_tokens"), 1);
    world.github.forget_git_token(installation, repository).await;
    world.github.git_token(installation, repository).await.unwrap();
    assert_eq!(world.count("POST", "/access_tokens"), 2);
}

#[tokio::test]
async fn a_clock_that_differs_is_learned_from_the_first_answer() {
    // A JWT lives so long that five minutes ahead are no trouble.
    for (seconds, tries) in [(-300, 2), (300, 1), (3_600, 2), (-3_600, 2)] {
        let world = World::new().await;
        world.sim.set_clock(seconds);
        assert_eq!(world.github.installations().await.unwrap().len(), 1, "{seconds}");
        let first = world.count("GET", "/app/installations");
        assert_eq!(first, tries, "{seconds}");
        world.github.installations().await.unwrap();
        assert_eq!(world.count("GET", "/app/installations") - first, 1, "{seconds}");
        // A clock that is set right again is learned in the same way.
        world.sim.set_clock(0);
        assert_eq!(world.github.installations().await.unwrap().len(), 1, "{seconds}");
    }
}

#[tokio::test]
async fn an_old_name_is_followed_with_method_and_body() {
    let world = World::new().await;
    let issue = world.issue("a body");
    let id = world.sim.repository_id(REPO).unwrap();
    let name = async || world.github.repository_name(world.place().installation, id).await.unwrap();
    assert_eq!(name().await.as_deref(), Some(REPO));
    world.sim.rename_repository(REPO, "renamed").unwrap();
    world.github.create_comment(world.place(), issue, "told").await.unwrap();
    assert_eq!(world.sim.comments("octo/renamed", issue)[0].body, "told");
    assert!(world.github.find_comment(world.place(), issue, "told").await.unwrap().is_some());
    assert_eq!(name().await.as_deref(), Some(REPO), "a name is kept for a minute");
    world.github.forget_repository_name(world.place().installation, id).await;
    assert_eq!(name().await.as_deref(), Some("octo/renamed"));
    assert_eq!(world.github.repository_name(world.place().installation, 7).await.unwrap(), None);
}

#[tokio::test]
async fn a_redirect_elsewhere_is_an_error_and_tells_no_token() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let issue = world.issue("a body");
    let headers = [("location".to_owned(), format!("{}/repos/{REPO}/issues", elsewhere.sim.url()))].into();
    let kind = FaultKind::Answer { status: 307, body: serde_json::json!({}), headers };
    world.sim.fault(Fault::new("POST", "/comments").kind(kind));
    let error = world.github.create_comment(world.place(), issue, "told").await.unwrap_err();
    assert!(matches!(error, GitHubError::Unreadable(..)), "{error}");
    assert!(elsewhere.sim.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_that_leads_to_another_is_not_followed_on() {
    let world = World::new().await;
    let issue = world.issue("a body");
    let headers = [("location".to_owned(), format!("{}/repos/{REPO}/labels", world.sim.url()))].into();
    let kind = FaultKind::Answer { status: 301, body: serde_json::json!({}), headers };
    world.sim.fault(Fault::new("GET", "/labels").kind(kind).times(5));
    let error = world.github.labels(world.place(), issue).await.unwrap_err();
    assert_eq!((error.status(), world.sim.faults_left()), (Some(301), 1));
    assert_eq!(world.count("GET", "/labels"), 2);
}

#[tokio::test]
async fn nothing_is_called_inside_a_silence() {
    for fault in [
        Fault::new("GET", "/labels").rate_limit(429, Some(60)),
        Fault::new("GET", "/labels").rate_limit(403, None),
        Fault::new("GET", "/labels").used_up(403, 60),
    ] {
        let world = World::new().await;
        let issue = world.issue("a body");
        world.sim.fault(fault);
        let limited = world.github.labels(world.place(), issue).await.unwrap_err();
        let GitHubError::RateLimited(until) = limited else { panic!("{limited}") };
        let left = (until - chrono::Utc::now()).num_seconds();
        assert!((50..=60).contains(&left), "{left}");
        let before = world.sim.requests().len();
        assert!(world.github.labels(world.place(), issue).await.unwrap_err().is_transient());
        assert!(world.github.create_comment(world.place(), issue, "told").await.is_err());
        assert_eq!(world.sim.requests().len(), before);
        // The App itself was not asked for silence.
        assert!(world.github.installations().await.is_ok());
    }
}

#[tokio::test]
async fn writes_that_wait_for_their_turn_see_a_silence_that_began_meanwhile() {
    let world = Arc::new(World::with("write_interval_ms = 300").await);
    let issue = world.issue("a body");
    world.github.labels(world.place(), issue).await.unwrap();
    world.sim.fault(Fault::new("POST", "/comments").rate_limit(403, Some(60)));
    let writes = (0..4).map(|_| {
        let world = world.clone();
        tokio::spawn(async move { world.github.create_comment(world.place(), issue, "told").await })
    });
    for write in writes.collect::<Vec<_>>() {
        assert!(matches!(write.await.unwrap(), Err(GitHubError::RateLimited(_))));
    }
    assert_eq!(world.count("POST", "/comments"), 1);
    assert!(world.sim.early_calls().is_empty());
}

#[tokio::test]
async fn a_suspended_or_uninstalled_app_is_told_apart() {
    let world = World::new().await;
    let issue = world.issue("a body");
    world.github.labels(world.place(), issue).await.unwrap();
    let before = world.place();
    world.sim.suspend_installation();
    let suspended = world.github.labels(before, issue).await.unwrap_err();
    assert!(suspended.is_gone_installation() && !suspended.is_transient(), "{suspended}");
    assert!(world.github.installations().await.unwrap()[0].suspended_at.is_some());
    world.sim.unsuspend_installation();
    assert!(world.github.labels(before, issue).await.is_ok());
    world.sim.uninstall();
    let gone = world.github.labels(before, issue).await.unwrap_err();
    assert!(gone.is_gone_installation(), "{gone}");
    assert_eq!(world.github.installation_of(REPO).await.unwrap(), None);
    let again = world.sim.install();
    assert_eq!(world.github.installation_of(REPO).await.unwrap(), Some(again));
    let missing = Place { repository: "octo/none", ..world.place() };
    assert!(!world.github.labels(missing, issue).await.unwrap_err().is_gone_installation());
}
