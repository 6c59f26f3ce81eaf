//! Outputs beside a plain pull request: what it is given, comments, reports, a branch that goes on, commits that GitHub
//! signs; and what becomes of the rest when GitHub does not take one of them.

use github_sim::{Comment, Fault};
use serde_json::{Value, json};

use crate::support::{LANE, REPO, Town};

/// A lane whose commits GitHub makes.
const SIGNED: &str = "[[lane]]\nname = \"devbox-codex\"\ncommit = \"api\"\n";

/// Writes a brief with one step and these outputs, YAML below `outputs:`.
fn asking(script: &str, outputs: &str) -> String {
    let script: String = script.lines().map(|line| format!("      {line}\n")).collect();
    format!(
        "```codex-brief\nexecutor: devbox-codex\nrepo: {REPO}\nbranch: main\nworkdir: ~/work/example\nsteps:\n  \
         - name: write\n    shell: |\n{script}outputs:\n{outputs}```\n"
    )
}

/// A `pr` output of `x.txt` with further fields.
fn pr(more: &str) -> String {
    format!("  - type: pr\n    title: Add x\n    commit_message: add x\n    files: [x.txt]\n{more}")
}

async fn told(town: &Town, text: &str) -> (u64, Comment, Value) {
    let issue = town.sim.open_issue(REPO, "maria", "Do it", text).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    (issue.number, comment, result)
}

/// Returns the App's comments in a thread that are no results.
fn outputs_in(town: &Town, thread: u64) -> Vec<Comment> {
    let mut comments = town.own_comments(thread);
    comments.retain(|comment| comment.body.starts_with("<!-- codex-brief:output:"));
    comments
}

#[tokio::test]
async fn a_pull_request_gets_all_that_it_is_asked_to_have() {
    let town = Town::new().await;
    let more = "    draft: true\n    labels: [reports, \"good first issue\"]\n    reviewers: [olga]\n    assignees: [maria]\n    \
                body: |\n      ## Why\n\n      @maria wants it; fixes #1. <img src=x>\n\n      ```\n      open\n";
    let (_, comment, result) = told(&town, &asking("echo x > x.txt", &pr(more))).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert_eq!(result["outputs"][0]["made"], true);
    let pull = town.pull(&result);
    assert!(pull.draft);
    assert_eq!(
        (pull.labels, pull.reviewers),
        (vec!["reports".into(), "good first issue".into()], vec!["olga".into()])
    );
    assert_eq!(pull.assignees, ["maria"]);
    let html = comrak::markdown_to_html(&pull.body, &comrak::Options::default());
    assert!(html.contains("<h3>What ran</h3>"), "the open code block swallows the rest: {}", pull.body);
    let asked = pull.body.split("### What ran").next().unwrap();
    assert!(asked.contains("## Why") && asked.contains("wants it"), "{asked}");
    for acting in ["@maria", "#1", "<img"] {
        assert!(!asked.contains(acting), "{acting}: {asked}");
    }
}

#[tokio::test]
async fn names_that_github_refuses_do_not_lose_the_pull_request() {
    // The server's own labels would meet the fault first.
    let town = Town::with_github("labels = false\n", LANE).await;
    let more = "    labels: [reports]\n    reviewers: [olga, ghost]\n    assignees: [rob, maria]\n";
    town.sim.fault(Fault::new("POST", "/labels").status(422));
    let (_, comment, result) = told(&town, &asking("echo x > x.txt", &pr(more))).await;
    assert_eq!(result["status"], "partial", "{}", comment.body);
    let codes: Vec<&str> = result["outputs"][0]["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["code"].as_str())
        .collect();
    assert_eq!(codes, ["labels-refused", "reviewers-refused", "assignees-refused"]);
    for name in ["`reports`", "`ghost`", "`rob`"] {
        assert!(comment.body.contains(name), "{name}: {}", comment.body);
    }
    let pull = town.pull(&result);
    assert_eq!((pull.reviewers, pull.assignees), (vec!["olga".to_owned()], vec!["maria".to_owned()]));
    let state = "SELECT state FROM tasks";
    let mut store = town.store().await;
    assert_eq!(sqlx::query_scalar::<_, String>(state).fetch_one(&mut store).await.unwrap(), "done");
}

#[tokio::test]
async fn a_comment_holds_the_brief_s_text_or_that_of_a_file() {
    let town = Town::new().await;
    let other = town.sim.open_issue(REPO, "olga", "Other", "Nothing to run.").unwrap();
    let script =
        "mkdir -p out\nprintf '# Figures\\n\\n@octocat **12** <b>now</b>\\n/approve x\\n' > out/figures.md";
    let outputs = format!(
        "  - type: comment\n    body: |\n      Hello *there*.\n  - type: comment\n    body_file: out/figures.md\n    link_issue: {}\n",
        other.number
    );
    let (issue, comment, result) = told(&town, &asking(script, &outputs)).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert_eq!(result["pull_request"], Value::Null);
    assert!(town.sim.pulls(REPO).is_empty(), "no pull request was asked for");
    let (own, others) = (outputs_in(&town, issue), outputs_in(&town, other.number));
    assert_eq!((own.len(), others.len()), (1, 1));
    assert!(
        own[0].body.contains("Hello *there*.") && own[0].body.contains("Asked for by maria"),
        "{}",
        own[0].body
    );
    let text = &others[0].body;
    assert!(
        text.contains("# Figures") && text.contains("**12**") && text.contains("from `out/figures.md`"),
        "{text}"
    );
    for acting in ["@octocat", "<b>", "\n/approve"] {
        assert!(!text.contains(acting), "{acting}: {text}");
    }
    assert!(comment.body.contains("✅ [comment]"), "{}", comment.body);
}

#[tokio::test]
async fn a_file_that_is_no_text_of_the_repository_is_never_posted() {
    let town = Town::new().await;
    let script = "echo x > x.txt\nln -s /etc/passwd a.md\nmkfifo b.md\nprintf 'a\\0b' > c.md\n: > d.md";
    let files = ["a.md", "b.md", "c.md", "d.md", "none.md"];
    let comments: String =
        files.iter().map(|file| format!("  - type: comment\n    body_file: {file}\n")).collect();
    let (issue, comment, result) = told(&town, &asking(script, &format!("{}{comments}", pr("")))).await;
    assert_eq!(result["status"], "partial", "{}", comment.body);
    let problems = result["outputs"].as_array().unwrap().iter().skip(1);
    for (file, output) in files.iter().zip(problems) {
        assert_eq!(output["problems"][0]["code"], "comment-file-unusable", "{file}: {output}");
        assert_eq!(output["made"], false);
    }
    assert!(outputs_in(&town, issue).is_empty());
    assert_eq!(town.sim.pulls(REPO).len(), 1);
}

#[tokio::test]
async fn a_secret_in_a_file_for_a_comment_is_masked_and_a_honeytoken_ends_all() {
    let town = Town::new().await;
    let key = town.sim.webhook_secret();
    let outputs = format!("{}  - type: comment\n    body_file: out.md\n", pr(""));
    let (issue, comment, result) =
        told(&town, &asking(&format!("echo x > x.txt\necho 'it is {key}' > out.md"), &outputs)).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    let text = outputs_in(&town, issue).pop().unwrap().body;
    assert!(text.contains("it is") && !text.contains(&key), "{text}");
    let steal = "echo x > x.txt\ncp ~/.git-credentials out.md";
    let (issue, comment, result) = told(&town, &asking(steal, &outputs)).await;
    assert_eq!(result["problem"]["code"], "honeytoken-seen", "{}", comment.body);
    assert!(outputs_in(&town, issue).is_empty());
    assert_eq!(town.sim.pulls(REPO).len(), 1);
}

#[tokio::test]
async fn reports_go_into_the_pull_request_or_make_their_own() {
    let town = Town::new().await;
    let script = "echo x > x.txt\nmkdir -p reports\necho '# Fine' > reports/status.md";
    let report = "  - type: report\n    path: reports/status.md\n";
    let (_, comment, result) = told(&town, &asking(script, &format!("{}{report}", pr("")))).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    let files = |result: &Value| {
        let number = result["pull_request"].as_u64().unwrap();
        town.sim.files(REPO, number).into_iter().map(|file| file.path).collect::<Vec<_>>()
    };
    assert_eq!(files(&result), ["reports/status.md", "x.txt"]);
    let alone = "mkdir -p reports\necho '# Fine' > reports/status.md";
    let (_, comment, result) = told(&town, &asking(alone, report)).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert_eq!(files(&result), ["reports/status.md"]);
    assert_eq!(town.pull(&result).title, "Reports: add reports/status.md");
    let (_, _, result) = told(&town, &asking("true", report)).await;
    assert_eq!(result["problem"]["code"], "no-changes", "a report must be written");
}

#[tokio::test]
async fn what_github_refuses_of_several_is_made_later_and_the_rest_is_not_made_again() {
    let town = Town::new().await;
    let outputs = format!(
        "{}  - type: comment\n    body: Here.\n  - type: comment\n    body: There.\n    link_issue: 99\n",
        pr("")
    );
    let (issue, comment, result) = told(&town, &asking("echo x > x.txt", &outputs)).await;
    assert_eq!(result["status"], "partial", "{}", comment.body);
    assert_eq!(result["problem"]["code"], "comment-refused");
    assert!(comment.body.contains("is open, but not all was done"), "{}", comment.body);
    assert_eq!((town.sim.pulls(REPO).len(), outputs_in(&town, issue).len()), (1, 1));
    // The thread with that number is there by now.
    while town.sim.open_issue(REPO, "olga", "Another", "Nothing.").unwrap().number < 99 {}
    town.sim.comment(REPO, issue, "maria", "/work publish").unwrap();
    town.told(issue, "### ✅ Success").await;
    assert_eq!(outputs_in(&town, 99).len(), 1);
    assert_eq!((town.sim.pulls(REPO).len(), outputs_in(&town, issue).len()), (1, 1), "nothing is made twice");
    assert_eq!(town.server.log().matches("run begins").count(), 1);
}

#[tokio::test]
async fn a_run_once_more_brings_up_to_date_what_an_earlier_one_published() {
    let town = Town::new().await;
    let outputs = format!("{}  - type: comment\n    body: Here.\n    link_issue: 99\n", pr(""));
    let (issue, comment, first) = told(&town, &asking("date +%s%N > x.txt", &outputs)).await;
    assert_eq!(first["problem"]["code"], "comment-refused", "{}", comment.body);
    let before = town.sim.file_at(REPO, first["head_branch"].as_str().unwrap(), "x.txt").unwrap();
    while town.sim.open_issue(REPO, "olga", "Another", "Nothing.").unwrap().number < 99 {}
    town.sim.comment(REPO, issue, "maria", "/work cancel").unwrap();
    town.logged("a task is cancelled").await;
    town.sim.comment(REPO, issue, "maria", "/work retry").unwrap();
    town.told(issue, "### ✅ Success").await;
    let (_, second) = town.result(issue, 1).await;
    assert_eq!((&second["pull_request"], town.sim.pulls(REPO).len()), (&first["pull_request"], 1));
    let branch = second["head_branch"].as_str().unwrap();
    assert_eq!(town.sim.commit(REPO, branch).unwrap().sha, second["head_commit"].as_str().unwrap());
    assert_ne!(town.sim.file_at(REPO, branch, "x.txt").unwrap(), before, "the newer run's work is published");
    assert_eq!(outputs_in(&town, 99).len(), 1);
}

#[tokio::test]
async fn what_is_published_again_takes_nothing_away_that_came_after_it() {
    let town = Town::new().await;
    let outputs = format!("{}  - type: comment\n    body: Here.\n    link_issue: 99\n", pr(NAMED));
    let (issue, comment, first) = told(&town, &asking("echo 1 > x.txt", &outputs)).await;
    assert_eq!(first["problem"]["code"], "comment-refused", "{}", comment.body);
    let newer = pr(NAMED).replace("Add x", "Add x anew");
    let (_, comment, second) = told(&town, &asking("echo 2 > x.txt", &newer)).await;
    assert_eq!(second["status"], "success", "{}", comment.body);
    while town.sim.open_issue(REPO, "olga", "Another", "Nothing.").unwrap().number < 99 {}
    town.sim.comment(REPO, issue, "maria", "/work publish").unwrap();
    town.told(issue, "### ✅ Success").await;
    assert_eq!(town.sim.file_at(REPO, "codex-brief/weekly", "x.txt").unwrap(), "2\n");
    assert_eq!((town.pull(&second).title.as_str(), town.sim.pulls(REPO).len()), ("Add x anew", 1));
    assert_eq!(outputs_in(&town, 99).len(), 1);
}

#[tokio::test]
async fn comments_are_made_though_the_pull_request_is_refused() {
    let town = Town::new().await;
    town.sim.fault(Fault::new("POST", "/pulls").status(403));
    let outputs = format!("{}  - type: comment\n    body: Here.\n", pr(""));
    let (issue, comment, result) = told(&town, &asking("echo x > x.txt", &outputs)).await;
    assert_eq!(
        (&result["status"], &result["problem"]["code"]),
        (&json!("partial"), &json!("pull-request-refused")),
        "{}",
        comment.body
    );
    assert_eq!(outputs_in(&town, issue).len(), 1);
    town.sim.comment(REPO, issue, "maria", "/work publish").unwrap();
    town.told(issue, "### ✅ Success").await;
    assert_eq!((town.sim.pulls(REPO).len(), outputs_in(&town, issue).len()), (1, 1));
}

#[tokio::test]
async fn a_broken_contract_makes_no_output_at_all() {
    let town = Town::new().await;
    let outputs = format!("{}  - type: comment\n    body: Here.\n", pr(""));
    let (issue, comment, result) = told(&town, &asking("echo x > x.txt\necho y > y.txt", &outputs)).await;
    assert_eq!(result["problem"]["code"], "undeclared-changes", "{}", comment.body);
    assert!(outputs_in(&town, issue).is_empty() && town.sim.pulls(REPO).is_empty());
}

const NAMED: &str = "    branch_name: codex-brief/weekly\n";

#[tokio::test]
async fn a_branch_of_the_app_goes_on_with_a_commit_on_top() {
    let town = Town::new().await;
    let (_, comment, first) = told(&town, &asking("echo 1 > x.txt", &pr(NAMED))).await;
    assert_eq!(
        (&first["status"], &first["head_branch"]),
        (&json!("success"), &json!("codex-brief/weekly")),
        "{}",
        comment.body
    );
    let earlier = first["head_commit"].as_str().unwrap();
    // The base moves on meanwhile.
    town.sim.push_commit(REPO, "olga", "main", &[("o.txt", "o\n")], "Olga's").unwrap();
    let main = town.sim.commit(REPO, "main").unwrap().sha;
    let (_, comment, second) =
        told(&town, &asking("echo 2 > x.txt", &pr(NAMED).replace("Add x", "Add x anew"))).await;
    assert_eq!(second["status"], "success", "{}", comment.body);
    assert_eq!(second["pull_request"], first["pull_request"], "it is the same pull request");
    let head = town.sim.commit(REPO, "codex-brief/weekly").unwrap();
    assert_eq!(
        (head.sha.as_str(), head.parents),
        (second["head_commit"].as_str().unwrap(), vec![earlier.to_owned(), main])
    );
    assert_eq!(town.sim.file_at(REPO, "codex-brief/weekly", "x.txt").unwrap(), "2\n");
    let pull = town.pull(&second);
    assert_eq!((pull.title.as_str(), town.sim.pulls(REPO).len()), ("Add x anew", 1));
    assert!(
        town.sim.file_at(REPO, "codex-brief/weekly", "o.txt").is_some(),
        "the base's own changes are in it"
    );
    let (_, comment, third) = told(&town, &asking("echo 3 > x.txt", &pr(NAMED))).await;
    assert_eq!(third["status"], "success", "{}", comment.body);
    let head = town.sim.commit(REPO, "codex-brief/weekly").unwrap();
    assert_eq!(
        head.parents,
        [second["head_commit"].as_str().unwrap()],
        "a base that did not move is no parent again"
    );
}

#[tokio::test]
async fn a_branch_that_a_person_wrote_to_is_left_alone_by_name_too() {
    let town = Town::new().await;
    let theirs =
        town.sim.push_commit(REPO, "olga", "codex-brief/weekly", &[("o.txt", "o\n")], "Mine").unwrap();
    let (issue, comment, result) = told(&town, &asking("echo x > x.txt", &pr(NAMED))).await;
    assert_eq!(result["problem"]["code"], "branch-conflict", "{}", comment.body);
    assert_eq!(town.sim.commit(REPO, "codex-brief/weekly").unwrap().sha, theirs);
    town.sim.delete_branch(REPO, "olga", "codex-brief/weekly").unwrap();
    town.sim.comment(REPO, issue, "maria", "/work publish").unwrap();
    town.told(issue, "### ✅ Success").await;
    // The App's own branch is somebody else's once a person pushes to it.
    let theirs =
        town.sim.push_commit(REPO, "olga", "codex-brief/weekly", &[("o.txt", "o\n")], "Mine").unwrap();
    let (_, comment, result) = told(&town, &asking("echo y > x.txt", &pr(NAMED))).await;
    assert_eq!(result["problem"]["code"], "branch-conflict", "{}", comment.body);
    assert_eq!(town.sim.commit(REPO, "codex-brief/weekly").unwrap().sha, theirs);
}

#[tokio::test]
async fn a_closed_pull_request_is_not_gone_on_with() {
    let town = Town::new().await;
    let (_, _, first) = told(&town, &asking("echo 1 > x.txt", &pr(NAMED))).await;
    town.sim.close_issue(REPO, first["pull_request"].as_u64().unwrap(), "maria").unwrap();
    let (_, comment, second) = told(&town, &asking("echo 2 > x.txt", &pr(NAMED))).await;
    assert_eq!(second["problem"]["code"], "branch-conflict", "{}", comment.body);
    assert_eq!(
        town.sim.commit(REPO, "codex-brief/weekly").unwrap().sha,
        first["head_commit"].as_str().unwrap()
    );
}

#[tokio::test]
async fn github_signs_the_commits_that_it_makes_of_the_very_tree() {
    let town = Town::with_lanes(SIGNED).await;
    let script = "printf '#!/bin/sh\\n' > tool\nchmod +x tool\nln -s tool link\nrm data/numbers.txt\n\
                  head -c 3000 /dev/urandom > blob\nprintf 'a\\r\\nb' > text";
    let outputs = "  - type: pr\n    title: Add tools\n    commit_message: add tools\n    \
                   files: [tool, link, data/numbers.txt, blob, text]\n";
    let (_, comment, result) = told(&town, &asking(script, outputs)).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    let head = town.sim.commit(REPO, result["head_branch"].as_str().unwrap()).unwrap();
    assert!(head.signature.is_some(), "{head:?}");
    assert_eq!(
        (head.author.0.as_str(), head.committer.1.as_str()),
        ("codex-brief[bot]", "noreply@github.com")
    );
    assert_eq!(result["head_commit"], head.sha);
    assert!(head.message.contains("Requested-by: maria"), "{}", head.message);
    assert!(
        !town.sim.requests().iter().any(|request| request.path.contains("git-receive-pack")),
        "nothing is pushed"
    );
    let told = town.sim.files(REPO, result["pull_request"].as_u64().unwrap());
    assert_eq!(told.len(), 5);
    assert_eq!(town.sim.file_at(REPO, &head.sha, "text").unwrap(), "a\r\nb");
}

#[tokio::test]
async fn what_github_does_not_sign_is_not_published_where_it_must_be() {
    let town = Town::with_lanes(SIGNED).await;
    town.sim.sign_commits(false);
    let (issue, comment, result) = told(&town, &asking("echo x > x.txt", &pr(""))).await;
    assert_eq!(result["problem"]["code"], "commit-unverified", "{}", comment.body);
    assert_eq!(town.sim.branches(REPO).len(), 1);
    town.sim.sign_commits(true);
    town.sim.comment(REPO, issue, "maria", "/work publish").unwrap();
    town.told(issue, "### ✅ Success").await;
}

#[tokio::test]
async fn another_tree_than_was_built_here_is_not_published() {
    let town = Town::with_lanes(SIGNED).await;
    town.sim.spoil_trees(true);
    let (issue, comment, result) = told(&town, &asking("echo x > x.txt", &pr(""))).await;
    assert_eq!(result["problem"]["code"], "commit-differs", "{}", comment.body);
    assert_eq!(town.sim.branches(REPO).len(), 1);
    town.sim.spoil_trees(false);
    town.sim.comment(REPO, issue, "maria", "/work publish").unwrap();
    town.told(issue, "### ✅ Success").await;
}

#[tokio::test]
async fn a_signed_branch_goes_on_and_leaves_people_s_commits_alone() {
    let town = Town::with_lanes(SIGNED).await;
    let (_, _, first) = told(&town, &asking("echo 1 > x.txt", &pr(NAMED))).await;
    let (_, comment, second) = told(&town, &asking("echo 2 > x.txt", &pr(NAMED))).await;
    assert_eq!(
        (&second["status"], &second["pull_request"]),
        (&json!("success"), &first["pull_request"]),
        "{}",
        comment.body
    );
    let head = town.sim.commit(REPO, "codex-brief/weekly").unwrap();
    assert!(head.signature.is_some());
    assert_eq!(head.parents, [first["head_commit"].as_str().unwrap()]);
    let theirs =
        town.sim.push_commit(REPO, "olga", "codex-brief/weekly", &[("o.txt", "o\n")], "Mine").unwrap();
    let (_, _, third) = told(&town, &asking("echo 3 > x.txt", &pr(NAMED))).await;
    assert_eq!(third["problem"]["code"], "branch-conflict");
    assert_eq!(town.sim.commit(REPO, "codex-brief/weekly").unwrap().sha, theirs);
}

#[tokio::test]
async fn a_server_that_dies_between_a_signed_commit_and_its_branch_makes_one_of_each() {
    for point in
        ["branch-pushed.before-effect", "branch-pushed.before-record", "output-commented.before-record"]
    {
        let mut town = Town::with(SIGNED, &[("CODEX_BRIEF_CRASH_AT", point)]).await;
        let text = asking("echo x > x.txt", &format!("{}  - type: comment\n    body: Here.\n", pr("")));
        let issue = town.sim.open_issue(REPO, "maria", "Crash", &text).unwrap();
        town.server.ended(crate::support::SOON).await.unwrap();
        town = town.restart_with(&[]);
        let (comment, result) = town.result(issue.number, 1).await;
        assert_eq!(result["status"], "success", "{point}: {}", comment.body);
        assert_eq!((town.sim.pulls(REPO).len(), town.sim.branches(REPO).len()), (1, 2), "{point}");
        assert_eq!(outputs_in(&town, issue.number).len(), 1, "{point}");
        let head = town.sim.commit(REPO, result["head_branch"].as_str().unwrap()).unwrap();
        assert_eq!((result["head_commit"] == head.sha, head.signature.is_some()), (true, true), "{point}");
    }
}

#[tokio::test]
async fn the_approver_sees_what_will_be_posted_and_asked_for() {
    let lane = LANE.replace("parallel = 2", "approval = \"required\"");
    let town = Town::with_lanes(&lane).await;
    let outputs = format!(
        "{}  - type: comment\n    body: Posted @later.\n",
        pr("    labels: [bug]\n    reviewers: [olga]\n")
    );
    let issue = town.sim.open_issue(REPO, "maria", "Ask", &asking("echo x > x.txt", &outputs)).unwrap();
    let asked = town.told(issue.number, "Waits for approval").await.body;
    for part in [
        "labels: `bug`",
        "asked to review: `olga`",
        "2. comment in this thread",
        "```markdown\nPosted @later.",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    town.sim.comment(REPO, issue.number, "maria", "/work plan").unwrap();
    let plan = town.told(issue.number, "Plan of brief").await.body;
    assert!(plan.contains("labels: `bug`") && plan.contains("Posted @later."), "{plan}");
}
