//! The main job: a brief in any place becomes one pull request and one comment.

use github_sim::Subject;

use crate::support::{REPO, Town, brief};

const SUM: (&str, &str) =
    ("sum", "mkdir -p reports\nawk '{s += $1} END {print s}' data/numbers.txt > reports/sum.txt");

#[tokio::test]
async fn a_brief_in_an_issue_becomes_one_pull_request_and_one_comment() {
    let town = Town::new().await;
    let body = brief(&[("look", "ls data"), SUM], &["reports/sum.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "The sum", &body).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;

    assert_eq!(result["status"], "success", "{}", comment.body);
    let pull = town.pull(&result);
    assert_eq!((pull.title.as_str(), pull.base.as_str(), pull.by_app), ("Reports: add it", "main", true));
    assert!(pull.head.starts_with(&format!("codex-brief/{}-reports-add-it-", issue.number)), "{}", pull.head);
    assert!(pull.body.contains(&issue.html_url) && pull.body.contains("Related to #1"), "{}", pull.body);
    let files = town.sim.files(REPO, pull.number);
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["reports/sum.txt"]);
    assert_eq!(town.sim.file_at(REPO, &pull.head, "reports/sum.txt").as_deref(), Some("6\n"));

    let commit = town.sim.commit(REPO, &pull.head).unwrap();
    assert!(commit.message.starts_with("reports: add it\n\nBrief: "), "{}", commit.message);
    assert!(commit.message.contains("\nRequested-by: maria"), "{}", commit.message);
    assert!(commit.author.0.contains("[bot]"), "{:?}", commit.author);

    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.sim.pulls(REPO).len(), 1);
    let requests = town.sim.requests();
    let tokens = requests.iter().filter(|request| request.path.ends_with("/access_tokens")).count();
    assert_eq!(tokens, 2, "one token for the API and one for git serve all calls");
    assert!(town.sim.reactions(REPO, Subject::Issue(issue.number)).iter().any(|it| it.content == "eyes"));
}

#[tokio::test]
async fn a_brief_may_stand_in_a_comment_a_pull_request_a_review_or_a_review_comment() {
    let town = Town::new().await;
    let sim = &town.sim;
    let issue = sim.open_issue(REPO, "maria", "A question", "Why?").unwrap();
    let pull = sim
        .open_pull_with_files(REPO, "maria", "topic", &[("topic.txt", "x\n")], ("A topic", "Body"))
        .unwrap();
    let text =
        |name: &str| brief(&[("write", &format!("echo {name} > {name}.txt"))], &[&format!("{name}.txt")]);

    sim.comment(REPO, issue.number, "maria", &text("issue-comment")).unwrap();
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
    sim.comment(REPO, pull.number, "maria", &text("pull-comment")).unwrap();
    assert_eq!(town.result(pull.number, 1).await.1["status"], "success");
    sim.review_comment(REPO, pull.number, "maria", &text("review-comment")).unwrap();
    assert_eq!(town.result(pull.number, 2).await.1["status"], "success");
    sim.review(REPO, pull.number, "maria", "COMMENTED", &text("review")).unwrap();
    assert_eq!(town.result(pull.number, 3).await.1["status"], "success");
    sim.edit_issue(REPO, pull.number, "maria", &text("pull-body")).unwrap();
    assert_eq!(town.result(pull.number, 4).await.1["status"], "success");
    assert_eq!(sim.pulls(REPO).len(), 6);
}

#[tokio::test]
async fn two_briefs_in_one_text_are_two_runs() {
    let town = Town::new().await;
    let first = brief(&[("write", "echo one > one.txt")], &["one.txt"]);
    let second = brief(&[("write", "echo two > two.txt")], &["two.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Both", &format!("{first}\n{second}")).unwrap();
    let (_, one) = town.result(issue.number, 1).await;
    let (_, two) = town.result(issue.number, 2).await;
    assert_ne!(one["brief"], two["brief"]);
    assert_eq!((one["status"].as_str(), two["status"].as_str()), (Some("success"), Some("success")));
    assert_eq!(town.sim.pulls(REPO).len(), 2);
}

#[tokio::test]
async fn a_delivery_that_comes_again_does_nothing() {
    let town = Town::new().await;
    let issue = town.sim.open_issue(REPO, "maria", "Once", &brief(&[SUM], &["reports/sum.txt"])).unwrap();
    town.result(issue.number, 1).await;
    let delivery = town.sim.deliveries().into_iter().find(|delivery| delivery.event == "issues").unwrap();
    for _ in 0..5 {
        let again = town.sim.redeliver(&delivery.guid).unwrap();
        let answered = town.sim.delivered(again, crate::support::SOON).await.unwrap();
        assert_eq!(answered.status_code, Some(202));
    }
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.sim.pulls(REPO).len(), 2, "one pull request of the issue and one of the marker");
}

#[tokio::test]
async fn an_edit_runs_only_what_is_new() {
    let town = Town::new().await;
    let first = brief(&[("write", "echo one > one.txt")], &["one.txt"]);
    let second = brief(&[("write", "echo two > two.txt")], &["two.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Edits", "soon").unwrap();
    let comment = town.sim.comment(REPO, issue.number, "maria", &first).unwrap();
    town.result(issue.number, 1).await;
    // The new block stands before the known one, whose index changes.
    town.sim.edit_comment(REPO, comment.id, "maria", &format!("{second}\n{first}")).unwrap();
    let (_, result) = town.result(issue.number, 2).await;
    assert_eq!(town.sim.file_at(REPO, &town.pull(&result).head, "two.txt").as_deref(), Some("two\n"));
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(issue.number).len(), 2);
    assert_eq!(town.sim.pulls(REPO).len(), 3);
}

#[tokio::test]
async fn an_edit_withdraws_what_waits_and_is_no_longer_in_the_text() {
    let town = Town::with_lanes("[[lane]]\nname = \"devbox-codex\"\nparallel = 1\n").await;
    let busy = brief(&[("slow", "sleep 3\necho x > x.txt")], &["x.txt"]);
    let first = town.sim.open_issue(REPO, "maria", "Busy", &busy).unwrap();
    town.logged("step begins").await;
    let block = |name: &str| brief(&[("write", &format!("echo x > {name}.txt"))], &[&format!("{name}.txt")]);
    let issue = town.sim.open_issue(REPO, "maria", "Waits", "soon").unwrap();
    let kept = town.sim.comment(REPO, issue.number, "maria", &block("kept")).unwrap();
    let gone = town.sim.comment(REPO, issue.number, "maria", &block("gone")).unwrap();
    // The kept block moves to another place in its text; the other one is written anew.
    let moved = format!("{}\n{}", block("new"), block("kept"));
    town.sim.edit_comment(REPO, kept.id, "maria", &moved).unwrap();
    town.sim.edit_comment(REPO, gone.id, "maria", &block("instead")).unwrap();
    town.result(first.number, 1).await;
    town.result(issue.number, 3).await;
    town.everything_else_is_done().await;
    let pulls = town.sim.pulls(REPO).into_iter();
    let mut files: Vec<String> =
        pulls.flat_map(|pull| town.sim.files(REPO, pull.number)).map(|file| file.path).collect();
    files.sort();
    assert_eq!(files, ["instead.txt", "kept.txt", "marker.txt", "new.txt", "x.txt"]);
}

#[tokio::test]
async fn ignored_files_are_no_changes_and_the_history_is_there() {
    let town = Town::new().await;
    let steps = [(
        "build",
        "test -z \"$(git status --porcelain)\"\ngit log --oneline | head -1 > log.txt\ntouch built.o\ngit status --porcelain",
    )];
    let (comment, result) = town.run(&steps, &["log.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
}
