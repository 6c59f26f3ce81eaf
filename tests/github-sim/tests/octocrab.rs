//! The simulated GitHub as octocrab, the client of the real server, reads it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

use github_sim::GithubSim;
use jsonwebtoken::EncodingKey;
use octocrab::Octocrab;
use octocrab::models::reactions::ReactionContent;
use octocrab::models::{AppId, InstallationId};
use octocrab::params::State;
use support::sim_with_repository;

const REPO: &str = "octo/example";

fn app(sim: &GithubSim) -> Octocrab {
    let key = EncodingKey::from_rsa_pem(sim.private_key_pem().as_bytes()).unwrap();
    let builder = Octocrab::builder().app(AppId(sim.app_id()), key);
    builder.base_uri(format!("{}/", sim.url())).unwrap().build().unwrap()
}

fn installed(sim: &GithubSim) -> Octocrab {
    app(sim).installation(InstallationId(sim.installation_id())).unwrap()
}

#[tokio::test]
async fn octocrab_finds_app_and_installation() {
    let sim = sim_with_repository().await;
    let client = app(&sim);
    let found = client.apps().get_repository_installation("octo", "example").await.unwrap();
    assert_eq!(found.id.0, sim.installation_id());
    let installations = client.apps().installations().send().await.unwrap();
    assert_eq!(installations.items.len(), 1);
}

#[tokio::test]
async fn octocrab_talks_on_an_issue() {
    let sim = sim_with_repository().await;
    let issue = sim.open_issue(REPO, "maria", "Hello", "a body").unwrap().number;
    let client = installed(&sim);
    let issues = client.issues("octo", "example");
    assert_eq!(issues.get(issue).await.unwrap().title, "Hello");
    let comment = issues.create_comment(issue, "done").await.unwrap();
    let comment = issues.update_comment(comment.id, "really done").await.unwrap();
    assert_eq!(comment.user.login, "codex-brief[bot]");
    issues.create_comment_reaction(comment.id, ReactionContent::Rocket).await.unwrap();
    issues.create_reaction(issue, ReactionContent::Eyes).await.unwrap();
    issues.add_labels(issue, &["brief: done".to_owned()]).await.unwrap();
    for count in 0..7 {
        sim.comment(REPO, issue, "maria", &format!("comment {count}")).unwrap();
    }
    // By number: `all_pages` follows the absolute links without credentials unless they lead to api.github.com.
    let mut seen = 0;
    for page in 1..=3u32 {
        let answer = issues.list_comments(issue).per_page(3).page(page).send().await.unwrap();
        assert_eq!(answer.next.is_some(), page < 3);
        seen += answer.items.len();
    }
    assert_eq!(seen, 8);
    assert_eq!(sim.comments(REPO, issue)[0].body, "really done");
}

#[tokio::test]
async fn octocrab_opens_a_pull_request_and_a_check_run() {
    let sim = sim_with_repository().await;
    let sha = sim.push_commit(REPO, "maria", "feature", &[("new.md", "new\n")], "Add new\n").unwrap();
    let client = installed(&sim);
    let pulls = client.pulls("octo", "example");
    let made = pulls.create("New", "feature", "main").body("body").send().await.unwrap();
    let again = pulls.create("New", "feature", "main").send().await.unwrap_err();
    assert!(format!("{again:?}").contains("A pull request already exists for octo:feature."), "{again:?}");
    let found = pulls.list().head("octo:feature").state(State::All).send().await.unwrap();
    assert_eq!(found.items[0].number, made.number);
    assert_eq!(pulls.list_files(made.number).await.unwrap().items[0].filename, "new.md");
    let checks = client.checks("octo", "example");
    let run = checks.create_check_run("brief", sha.clone()).external_id("7").send().await.unwrap();
    let listed = checks.list_check_runs_for_git_ref(sha.into()).send().await.unwrap();
    assert_eq!(listed.check_runs[0].id, run.id);
    let repo = client.repos("octo", "example").get().await.unwrap();
    assert_eq!(repo.default_branch.as_deref(), Some("main"));
}
