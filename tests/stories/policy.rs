//! Who may run what, from where and how much, as the operator and the repository write it.

use github_sim::{Comment, Permission};
use serde_json::Value;

use crate::approvals::{REQUIRED, approve, busy, digest_in, waiting};
use crate::support::{LANE, REPO, Town, brief, brief_for};

const STEP: [(&str, &str); 1] = [("write", "echo x > x.txt")];
const FILE: &str = ".github/codex-brief.toml";

/// Succeeds where a step has no network but its own loopback.
const OFFLINE: [(&str, &str); 1] = [("look", "test \"$(grep -c : /proc/net/dev)\" = 1\necho x > x.txt")];

fn work() -> String {
    brief(&STEP, &["x.txt"])
}

/// Starts a town whose operator wrote this behind the section of GitHub, TOML.
async fn town(written: &str) -> Town {
    Town::with_lanes(&format!("{written}\n{LANE}")).await
}

impl Town {
    /// Writes the repository's own policy on a branch.
    fn write_policy(&self, branch: &str, text: &str) {
        self.sim.push_commit(REPO, "olga", branch, &[(FILE, text)], "Policy\n").unwrap();
    }

    /// Opens an issue with a brief and waits until something is told there.
    async fn refused(&self, who: &str, code: &str) -> Comment {
        let issue = self.sim.open_issue(REPO, who, "Do it", &work()).unwrap();
        self.told(issue.number, code).await
    }

    /// Opens an issue with a brief and waits for its success.
    async fn runs(&self, who: &str) {
        let issue = self.sim.open_issue(REPO, who, "Do it", &work()).unwrap();
        let (comment, result) = self.result(issue.number, 1).await;
        assert_eq!(result["status"], "success", "{}", comment.body);
    }

    /// Counts the comments of a thread that hold a text.
    fn count(&self, thread: u64, text: &str) -> usize {
        self.own_comments(thread).iter().filter(|comment| comment.body.contains(text)).count()
    }
}

#[tokio::test]
async fn who_is_not_named_is_refused_in_spite_of_the_permission() {
    let town = Town::new().await;
    let maria = town.sim.user_id("maria").unwrap().to_string();
    let town = town.restart_with(&[("CODEX_COMMAND_ALLOWED_USER_IDS", maria.as_str())]);
    let issue = town.sim.open_issue(REPO, "olga", "Me too", &work()).unwrap();
    let told = town.told(issue.number, "user-not-named").await;
    assert!(told.body.contains("olga"), "{}", told.body);
    town.sim.comment(REPO, issue.number, "olga", &work()).unwrap();
    town.sim.comment(REPO, issue.number, "olga", "/stop").unwrap();
    town.runs("maria").await;
    assert_eq!(town.count(issue.number, "user-not-named"), 1, "it is told once");
}

#[tokio::test]
async fn members_of_a_named_team_may_and_nobody_whom_github_does_not_confirm() {
    let town = town("[authorize]\nteams = [\"octo/release\"]\n").await;
    let team = town.sim.add_team_member("octo/release", "maria");
    town.sim.invite_team_member("octo/release", "olga");
    // Without the permission to read members, nobody is known as one.
    town.refused("maria", "user-not-named").await;
    town.logged("grant it `members: read`").await;
    town.sim.grant_app_permission("members", "read");
    let town = town.crash_and_restart();
    town.runs("maria").await;
    town.refused("olga", "user-not-named").await;
    // Somebody made another team of that name.
    town.write_policy("main", &format!("[[policy]]\nteams = [\"octo/release:{}\"]\n", team + 1));
    town.refused("maria", "user-not-named").await;
    town.write_policy("main", &format!("[[policy]]\nteams = [\"octo/release:{team}\"]\n"));
    town.runs("maria").await;
    town.sim.remove_team_member("octo/release", "maria");
    town.refused("maria", "user-not-named").await;
}

#[tokio::test]
async fn nothing_runs_at_a_pull_request_from_a_fork_unless_the_policy_says_so() {
    let open = format!("{LANE}\n[[lane]]\nname = \"open\"\n\n[[policy]]\nlanes = [\"open\"]\nforks = true\n");
    let town = Town::with_lanes(&open).await;
    let (files, words) = ([("a.md", "one\n")], ("From afar", "Please take it"));
    let fork = town.sim.open_pull_from_fork(REPO, "rob", "afar", &files, words).unwrap();
    town.sim.comment(REPO, fork.number, "maria", &work()).unwrap();
    town.told(fork.number, "fork-not-allowed").await;
    town.sim.review(REPO, fork.number, "maria", "COMMENTED", &work()).unwrap();
    town.until(async || town.count(fork.number, "fork-not-allowed") == 2).await;
    let there = brief_for("open", REPO, &STEP, &["x.txt"]);
    town.sim.comment(REPO, fork.number, "maria", &there).unwrap();
    assert_eq!(town.result(fork.number, 1).await.1["status"], "success");
    // A branch of the repository itself is no fork.
    let own = town.sim.open_pull_with_files(REPO, "maria", "near", &files, ("Near", "Mine")).unwrap();
    town.sim.comment(REPO, own.number, "maria", &work()).unwrap();
    assert_eq!(town.result(own.number, 1).await.1["status"], "success");
}

#[tokio::test]
async fn a_named_bot_runs_and_none_that_looks_like_it() {
    let town = town("[[policy]]\nbots = [\"renovate[bot]\"]\n").await;
    for login in ["renovate[bot]", "my-renovate[bot]"] {
        town.sim.add_bot(login);
    }
    town.sim.add_user("renovate");
    let issue = |who| town.sim.open_issue(REPO, who, "Update", &work()).unwrap().number;
    let like = issue("my-renovate[bot]");
    town.logged("`my-renovate[bot]` is no person but a `Bot`").await;
    let person = issue("renovate");
    town.told(person, "may not run briefs").await;
    // The text of a bot does not run because a person edits it, nor the other way round.
    town.sim.edit_issue(REPO, like, "maria", &format!("{} Edited.", work())).unwrap();
    town.runs("renovate[bot]").await;
    town.everything_else_is_done().await;
    assert!(town.own_comments(like).is_empty());
}

#[tokio::test]
async fn a_bot_that_nobody_named_for_this_repository_is_answered_nothing() {
    let town = town("[[policy]]\nrepositories = [\"octo/other\"]\nbots = [\"renovate[bot]\"]\n").await;
    town.sim.add_bot("renovate[bot]");
    let issue = town.sim.open_issue(REPO, "renovate[bot]", "Update", &work()).unwrap();
    town.logged("`renovate[bot]` is a bot that may not").await;
    town.everything_else_is_done().await;
    assert!(town.own_comments(issue.number).is_empty());
}

#[tokio::test]
async fn a_brief_runs_only_where_the_policy_lets_it_stand() {
    let town = town("[[policy]]\nsources = [\"issue_comment\", \"review\"]\n").await;
    let issue = town.sim.open_issue(REPO, "maria", "In the body", &work()).unwrap();
    let told = town.told(issue.number, "source-not-allowed").await;
    assert!(told.body.contains("`issue_comment`, `review`"), "{}", told.body);
    town.sim.comment(REPO, issue.number, "maria", &work()).unwrap();
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
    let pull = town.sim.open_pull_with_files(REPO, "maria", "near", &[("a", "b")], ("Near", "Mine")).unwrap();
    town.sim.comment(REPO, pull.number, "maria", &work()).unwrap();
    let told = town.told(pull.number, "source-not-allowed").await;
    assert!(told.body.contains("`pull_request_comment`"), "{}", told.body);
    town.sim.review(REPO, pull.number, "maria", "COMMENTED", &work()).unwrap();
    assert_eq!(town.result(pull.number, 1).await.1["status"], "success");
}

#[tokio::test]
async fn a_public_repository_is_refused_also_when_it_became_public_while_a_brief_ran_or_waited() {
    let town = Town::with_lanes("[[lane]]\nname = \"devbox-codex\"\n").await;
    let slow = brief(&[("slow", "sleep 2\necho x > x.txt")], &["x.txt"]);
    let running = town.sim.open_issue(REPO, "maria", "Running", &slow).unwrap();
    let queued = town.sim.open_issue(REPO, "maria", "Queued", &work()).unwrap();
    town.logged("step begins").await;
    town.seen(queued.number).await;
    town.sim.set_private(REPO, false).unwrap();
    for (issue, status) in [(running, "succeeded"), (queued, "skipped")] {
        let (comment, result) = town.result(issue.number, 1).await;
        assert_eq!(result["problem"]["code"], "repository-public", "{}", comment.body);
        assert_eq!(result["steps"][0]["status"], status);
    }
    let told = town.refused("maria", "repository-public").await;
    town.sim.comment(REPO, told.number, "maria", &work()).unwrap();
    assert!(town.sim.pulls(REPO).is_empty());
    town.sim.set_private(REPO, true).unwrap();
    town.runs("maria").await;
    assert_eq!(town.count(told.number, "repository-public"), 1, "it is told once");
}

#[tokio::test]
async fn a_public_repository_that_the_operator_names_runs() {
    let town = town("[authorize]\npublic_repositories = [\"octo/*\"]\n").await;
    town.sim.set_private(REPO, false).unwrap();
    town.runs("maria").await;
}

#[tokio::test]
async fn a_days_budget_is_held_and_when_it_is_free_again_is_told() {
    let town = town("[[policy]]\nbudget = { user_per_day = 2, repository_per_day = 3 }\n").await;
    let three = format!("{}\n{}\n{}", work(), brief(&STEP, &["x.txt", "y.txt"]), brief(&OFFLINE, &["x.txt"]));
    let issue = town.sim.open_issue(REPO, "maria", "Three at once", &three).unwrap();
    let told = town.told(issue.number, "budget-spent").await;
    assert!(told.body.contains("24 h") && told.body.contains("2 other briefs"), "{}", told.body);
    town.result(issue.number, 2).await;
    town.refused("maria", "budget-spent").await;
    town.runs("olga").await;
    let told = town.refused("olga", "budget-spent").await;
    assert!(told.body.contains("The repository"), "{}", told.body);
}

#[tokio::test]
async fn runs_at_a_time_wait_for_each_other_and_the_wait_is_shown() {
    let town = town("[[policy]]\nbudget = { user_at_a_time = 1 }\n").await;
    let gate = brief(&[("slow", "sleep 4\necho x > x.txt")], &["x.txt"]);
    let first = town.sim.open_issue(REPO, "maria", "First", &gate).unwrap();
    town.logged("step begins").await;
    let second = town.sim.open_issue(REPO, "maria", "Second", &work()).unwrap();
    town.seen(second.number).await;
    let (_, told, _) = town.operator(&["status", "--json"]).await;
    let held = told.contains("waits for a run of `maria`");
    // The lane has room, which somebody else gets.
    town.runs("olga").await;
    town.result(first.number, 1).await;
    assert!(held, "{told}");
    assert_eq!(town.result(second.number, 1).await.1["status"], "success");
    let store = &mut town.store().await;
    let sql = "SELECT COUNT(*) FROM runs a JOIN runs b ON a.id < b.id AND b.started_at < a.ended_at
        JOIN tasks t ON t.id = a.task_id JOIN tasks u ON u.id = b.task_id JOIN briefs p ON p.id = t.brief_id
        JOIN briefs q ON q.id = u.brief_id WHERE p.requested_by_id = q.requested_by_id";
    let together = sqlx::query_scalar::<_, i64>(sql).fetch_one(store).await.unwrap();
    assert_eq!(together, 0, "two runs of one user overlapped");
}

#[tokio::test]
async fn a_repositorys_own_file_narrows_what_the_server_allows() {
    let lanes = "[[lane]]\nname = \"devbox-codex\"\nnetwork = \"full\"\n\n[[lane]]\nname = \"other\"\n";
    let town = Town::with_lanes(lanes).await;
    let offline = brief(&OFFLINE, &["x.txt"]);
    let (_, result) = town.run(&OFFLINE, &["x.txt"]).await;
    let has_network = result["problem"]["code"] == "step-failed";
    let policy =
        "lanes = [\"devbox-codex\"]\n\n[[policy]]\nnetwork = \"none\"\nlimits = { changed_files = 1 }\n";
    town.write_policy("main", policy);
    let issue = town.sim.open_issue(REPO, "olga", "Offline", &format!("{offline} Again.")).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert!(has_network, "without the file the lane has a network");
    let (_, result) = town.run(&[("two", "touch x.txt y.txt")], &["x.txt", "y.txt"]).await;
    assert_eq!(result["problem"]["code"], "too-many-changes");
    let text = brief_for("other", REPO, &STEP, &["x.txt"]);
    town.sim.comment(REPO, issue.number, "maria", &text).unwrap();
    town.told(issue.number, "lane-kept-out").await;
    let maria = town.sim.user_id("maria").unwrap();
    town.write_policy("main", &format!("[[policy]]\nusers = [{maria}]\nsources = [\"issue\"]\n"));
    town.refused("olga", "user-not-named").await;
    town.runs("maria").await;
}

#[tokio::test]
async fn what_a_repositorys_file_would_widen_does_not_count_and_is_told() {
    let policy = "[[policy]]\nnetwork = \"none\"\nminimum_permission = \"maintain\"\n";
    let town = Town::with_lanes(&format!("{policy}\n{LANE}network = \"full\"\n")).await;
    town.sim.set_permission(REPO, "olga", Permission::Maintain).unwrap();
    town.write_policy(
        "main",
        "[[policy]]\nminimum_permission = \"write\"\nnetwork = \"full\"\nforks = true\n",
    );
    let issue = town.sim.open_issue(REPO, "olga", "Do it", &brief(&OFFLINE, &["x.txt"])).unwrap();
    let told = town.told(issue.number, "does not count").await;
    for key in ["network", "forks", "minimum_permission", "[[policy]] 1"] {
        assert!(told.body.contains(key), "{}", told.body);
    }
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
    town.sim.comment(REPO, issue.number, "olga", &work()).unwrap();
    town.result(issue.number, 2).await;
    assert_eq!(town.count(issue.number, "does not count"), 1, "it is told once");
    town.logged("a repository's policy asks for more than it may").await;
    town.refused("maria", "permission-missing").await;
}

#[tokio::test]
async fn a_broken_file_lets_nothing_run_until_it_is_mended() {
    let town = Town::new().await;
    town.write_policy("main", "[[policy]]\nnetwrk = \"none\"\n");
    let issue = town.sim.open_issue(REPO, "maria", "Do it", &work()).unwrap();
    let told = town.told(issue.number, "policy-file-invalid").await;
    assert!(told.body.contains("line 2") && told.body.contains("netwrk"), "{}", told.body);
    town.sim.comment(REPO, issue.number, "maria", &work()).unwrap();
    town.write_policy("main", &"#".repeat(20_000));
    let large = town.refused("maria", "policy-file-invalid").await;
    assert!(large.body.contains("16384"), "{}", large.body);
    town.write_policy("main", "[[policy]]\nnetwork = \"none\"\n");
    town.sim.comment(REPO, issue.number, "maria", &format!("{} Now.", work())).unwrap();
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
    assert_eq!(town.count(issue.number, "policy-file-invalid"), 1, "it is told once");
}

#[tokio::test]
async fn a_file_on_another_branch_has_no_effect() {
    let town = Town::new().await;
    town.write_policy("feature", "lanes = []\n");
    town.runs("maria").await;
    let text = work().replace("branch: main", "branch: feature");
    let issue = town.sim.open_issue(REPO, "maria", "There", &text).unwrap();
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
}

#[tokio::test]
async fn a_policy_that_changes_while_a_brief_runs_or_waits_holds_for_it() {
    let town = Town::with_lanes("[[lane]]\nname = \"devbox-codex\"\n").await;
    let slow = brief(&[("slow", "sleep 3\necho x > x.txt")], &["x.txt"]);
    let running = town.sim.open_issue(REPO, "maria", "Running", &slow).unwrap();
    let queued = town.sim.open_issue(REPO, "maria", "Queued", &work()).unwrap();
    town.logged("step begins").await;
    town.seen(queued.number).await;
    town.write_policy("main", "lanes = [\"other\"]\n");
    for (issue, status) in [(running, "succeeded"), (queued, "skipped")] {
        let (comment, result) = town.result(issue.number, 1).await;
        assert_eq!(result["problem"]["code"], "lane-kept-out", "{}", comment.body);
        assert_eq!(result["steps"][0]["status"], status);
    }
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn a_repository_may_ask_for_approvals_and_say_who_may_give_them() {
    let town = Town::with_lanes(LANE).await;
    let ids: Vec<u64> = ["maria", "olga"].iter().map(|login| town.sim.user_id(login).unwrap()).collect();
    town.sim.add_user("nina");
    town.sim.set_permission(REPO, "nina", Permission::Admin).unwrap();
    town.write_policy("main", &format!("[[policy]]\napproval = \"second-person\"\nusers = {ids:?}\n"));
    let (thread, digest) = waiting(&town).await;
    let asked = town.told(thread, "Waits for approval").await.body;
    assert!(asked.contains("echo") && asked.contains("is the boundary"), "{asked}");
    // Who may not run briefs here may not approve them, by no way, whatever the permission.
    approve(&town, thread, "nina", &digest);
    town.told(thread, "user-not-named").await;
    let check = town
        .sim
        .check_runs(REPO)
        .into_iter()
        .find(|check| check.external_id.as_deref().is_some_and(|id| id.ends_with(&digest)));
    town.sim.press_check_action(REPO, check.unwrap().id, "nina", "approve").unwrap();
    town.told(thread, "the policy names others").await;
    assert!(!town.server.log().contains("run begins"));
    approve(&town, thread, "olga", &digest);
    assert_eq!(town.result(thread, 1).await.1["status"], "success");
}

#[tokio::test]
async fn an_approval_does_not_outlive_the_policy_that_it_was_given_under() {
    let town = Town::with_lanes(REQUIRED).await;
    town.write_policy("main", "[[policy]]\nlimits = { wall_seconds = 600 }\n");
    busy(&town).await;
    let (thread, digest) = waiting(&town).await;
    approve(&town, thread, "olga", &digest);
    town.told(thread, "Approved by olga").await;
    // The brief is approved and queued; the file comes from the default branch when its run starts.
    town.write_policy("main", "[[policy]]\nlimits = { wall_seconds = 60 }\n");
    let again = town.told(thread, "600 → 60").await;
    assert_ne!(digest_in(&again), digest);
}

#[tokio::test]
async fn a_path_that_the_repository_protects_is_not_changed() {
    let town = Town::with_lanes(LANE).await;
    town.write_policy("main", "[[policy]]\nprotected_paths = [\"/infra\"]\n");
    let (_, result) = town.run(&[("write", "mkdir -p infra && echo x > infra/x.tf")], &["infra/x.tf"]).await;
    assert_eq!(result["problem"]["code"], "protected-paths", "{result}");
    let (_, result) =
        town.run(&[("write", "mkdir -p infra && echo x | tee infra/x.tf > x.txt")], &["x.txt"]).await;
    assert_eq!(result["status"], "failure", "{result}");
    town.write_policy("main", "[[policy]]\nprotected_paths = [\"{a\"]\n");
    town.refused("maria", "policy-file-invalid").await;
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn a_policy_is_explained_with_the_rule_and_where_it_is_written() {
    let policy = "[[policy]]\nnetwork = \"none\"\nminimum_permission = \"maintain\"\n";
    let town = Town::with_lanes(&format!("{policy}\n{LANE}network = \"full\"\n")).await;
    let explain = async |user: &str, more: &[&str]| {
        let words = ["policy", "explain", "--json", "--repo", REPO, "--lane", "devbox-codex", "--user", user];
        let (code, out, err) = town.operator(&[&words, more].concat()).await;
        let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        assert_eq!(told["allowed"], code == 0);
        told
    };
    let told = explain("maria", &[]).await;
    assert_eq!(
        (&told["code"], &told["rule"]),
        (&"permission-missing".into(), &"server: [[policy]] 1 minimum_permission".into())
    );
    town.sim.set_permission(REPO, "maria", Permission::Admin).unwrap();
    let told = explain("maria", &[]).await;
    assert_eq!((&told["allowed"], &told["bounds"]["network"]), (&true.into(), &"none".into()));
    assert_eq!(told["bounds"]["network_rule"], "server: [[policy]] 1 network");
    town.write_policy("main", "[[policy]]\nsources = [\"review\"]\nnetwork = \"full\"\n");
    let told = explain("maria", &[]).await;
    assert_eq!(told["rule"], ".github/codex-brief.toml: [[policy]] 1 sources");
    assert_eq!(told["ignored"][0], ".github/codex-brief.toml: [[policy]] 1 network = \"full\"");
    assert_eq!(explain("maria", &["--source", "review"]).await["allowed"], true);
    // A file is tried before it is pushed, and nobody is asked.
    let local = town.folder.path().join("local.toml");
    std::fs::write(&local, "[[policy]]\nusers = [7]\n").unwrap();
    let asked = town.sim.requests().len();
    let local = ["--permission", "admin", "--user-id", "7", "--file", local.to_str().unwrap()];
    assert_eq!(explain("nobody", &local).await["allowed"], true);
    let public = [&local[..], &["--visibility", "public"]].concat();
    assert_eq!(explain("nobody", &public).await["code"], "repository-public");
    assert_eq!(town.sim.requests().len(), asked);
}

#[tokio::test]
async fn nobody_elses_edit_runs_a_brief_that_was_refused() {
    let town = Town::with_lanes(LANE).await;
    town.write_policy("main", &format!("[[policy]]\nusers = [{}]\n", town.sim.user_id("maria").unwrap()));
    let issue = town.sim.open_issue(REPO, "maria", "Mine", "- [ ] a task\n").unwrap();
    town.sim.settled(crate::support::SOON).await.unwrap();
    // Olga may write, and may not run briefs here.
    town.sim.edit_issue(REPO, issue.number, "olga", &format!("- [ ] a task\n\n{}", work())).unwrap();
    town.told(issue.number, "user-not-named").await;
    town.sim.edit_issue(REPO, issue.number, "maria", &format!("- [x] a task\n\n{}", work())).unwrap();
    town.told(issue.number, "brief-of-another").await;
    assert!(!town.server.log().contains("run begins"));
    town.sim.comment(REPO, issue.number, "maria", &work()).unwrap();
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
}

#[tokio::test]
async fn a_lane_that_does_not_serve_the_repository_any_more_runs_nothing_of_it() {
    let open = "[[lane]]\nname = \"devbox-codex\"\nparallel = 1\n";
    let mut town = Town::with_lanes(open).await;
    let blocker = brief(&[("slow", "sleep 4\necho y > y.txt")], &["y.txt"]);
    let running = town.sim.open_issue(REPO, "maria", "Runs", &blocker).unwrap();
    town.logged("step begins").await;
    let waits = town.sim.open_issue(REPO, "maria", "Waits", &work()).unwrap();
    town.seen(waits.number).await;
    town.crash();
    let config = std::fs::read_to_string(&town.config).unwrap();
    std::fs::write(&town.config, config.replace("parallel = 1", "repositories = [\"octo/other\"]")).unwrap();
    town.start_again();
    for thread in [running.number, waits.number] {
        let (_, result) = town.result(thread, 1).await;
        assert_eq!(result["problem"]["code"], "lane-not-for-repository", "{result}");
    }
    assert!(town.sim.pulls(REPO).is_empty());
}
