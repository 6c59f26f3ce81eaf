//! What shows beside a thread and a commit: one label, one check run.

use github_sim::Fault;

use crate::support::{LANE, REPO, Town, brief};

async fn labelled(town: &Town, thread: u64, names: &[&str]) {
    town.until(async || town.sim.labels(REPO, thread) == names).await;
}

#[tokio::test]
async fn a_thread_carries_the_label_of_its_briefs_and_keeps_its_own() {
    let town = Town::new().await;
    let text = brief(&[("slow", "test -f go || sleep 5\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Label", &text).unwrap();
    town.sim.label(REPO, issue.number, "maria", &["bug"]).unwrap();
    labelled(&town, issue.number, &["bug", "codex:running"]).await;
    labelled(&town, issue.number, &["bug", "codex:done"]).await;
    town.sim.comment(REPO, issue.number, "maria", &brief(&[("fail", "exit 1")], &["y.txt"])).unwrap();
    labelled(&town, issue.number, &["bug", "codex:failed"]).await;
}

#[tokio::test]
async fn a_run_has_one_check_run_also_when_answers_are_lost() {
    let town = Town::new().await;
    for (method, path) in [("POST", "/check-runs"), ("POST", "/reactions"), ("POST", "/issues/1/labels")] {
        town.sim.fault(Fault::new(method, path).status_after_effect(502));
    }
    let (_, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    labelled(&town, 1, &["codex:done"]).await;
    town.until(async || !town.sim.check_runs(REPO).is_empty()).await;
    town.everything_else_is_done().await;
    assert_eq!(town.sim.faults_left(), 0);
    let checks = town.sim.check_runs(REPO);
    let is_of = |check: &&github_sim::CheckRun| {
        check.external_id.as_deref() == result["run"].as_str()
            && Some(check.head_sha.as_str()) == result["head_commit"].as_str()
    };
    let of_run: Vec<_> = checks.iter().filter(is_of).collect();
    assert_eq!(of_run.len(), 1, "{checks:?}");
    assert_eq!(of_run[0].conclusion.as_deref(), Some("success"));
}

#[tokio::test]
async fn a_run_that_fails_has_its_check_run_beside_the_commit_that_it_worked_on() {
    let town = Town::new().await;
    let (_, result) = town.run(&[("fail", "exit 3")], &["x.txt"]).await;
    town.until(async || !town.sim.check_runs(REPO).is_empty()).await;
    let check = town.sim.check_runs(REPO).remove(0);
    assert_eq!(check.conclusion.as_deref(), Some("failure"));
    assert_eq!(Some(check.head_sha.as_str()), result["base_commit"].as_str());
}

#[tokio::test]
async fn an_operator_can_switch_the_marks_off() {
    let town = Town::with_github("labels = false\ncheck_runs = false\n", LANE).await;
    town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    town.everything_else_is_done().await;
    let marks = |it: &github_sim::RequestRecord| it.path.contains("label") || it.path.contains("check-run");
    assert!(!town.sim.requests().iter().any(marks));
}
