use super::super::{codes, parse_document};
use super::*;

const HEAD: &str = "executor: devbox-codex\nrepo: octo/example\nbranch: main\nworkdir: ~/work/example\n\
steps:\n  - name: one\n    shell: make report\noutputs:\n";

const PR: &str = "  - type: pr\n    title: Add it\n    commit_message: add it\n    files: [a.txt]\n";

fn read(outputs: &str) -> Brief {
    parse_document(&format!("{HEAD}{outputs}")).unwrap_or_else(|wrong| panic!("{wrong:#?}"))
}

fn codes_of(outputs: &str) -> Vec<&'static str> {
    parse_document(&format!("{HEAD}{outputs}")).unwrap_err().iter().map(|one| one.code).collect()
}

#[test]
fn a_pull_request_is_read_with_all_its_fields() {
    let more = "    body: |\n      Why.\n    draft: true\n    labels: [bug, \"good first issue\"]\n    reviewers: [olga]\n    \
                assignees: [maria, rob]\n    branch_name: codex-brief/weekly\n    link_issue: 7\n";
    let brief = read(&format!("{PR}{more}"));
    let pr = brief.pull_request().unwrap().into_owned();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let wanted = PullRequestOutput {
        title: "Add it".to_owned(),
        commit_message: "add it".to_owned(),
        files: names(&["a.txt"]),
        link_issue: Some(7),
        body: Some("Why.\n".to_owned()),
        draft: true,
        labels: names(&["bug", "good first issue"]),
        reviewers: names(&["olga"]),
        assignees: names(&["maria", "rob"]),
        branch_name: Some("codex-brief/weekly".to_owned()),
    };
    assert_eq!(pr, wanted);
    let plain = read(PR).pull_request().unwrap().into_owned();
    assert!(!plain.draft && plain.labels.is_empty() && plain.body.is_none());
}

#[test]
fn reports_are_in_the_pull_request_or_make_one_of_their_own() {
    let report = "  - type: report\n    path: reports/status.md\n    link_issue: 3\n";
    let both = read(&format!("{PR}{report}"));
    assert_eq!(both.declared(), ["a.txt", "reports/status.md"]);
    assert_eq!(both.pull_request().unwrap().title, "Add it");
    let alone = read(report);
    let own = alone.pull_request().unwrap();
    assert_eq!(own.title, "Reports: add reports/status.md");
    assert_eq!((own.files.as_slice(), own.link_issue), (&["reports/status.md".to_owned()][..], Some(3)));
    let two = read(&format!("{report}  - type: report\n    path: reports/more.md\n"));
    assert_eq!(two.pull_request().unwrap().title, "Reports: add 2 reports");
    assert_eq!(two.declared().len(), 2);
}

#[test]
fn comments_alone_ask_for_no_pull_request() {
    let brief = read(
        "  - type: comment\n    body: Hello.\n  - type: comment\n    body_file: out/text.md\n    link_issue: 5\n",
    );
    assert!(brief.pull_request().is_none() && brief.declared().is_empty());
    let wanted = [
        CommentOutput { text: CommentText::Body("Hello.".to_owned()), link_issue: None },
        CommentOutput { text: CommentText::File("out/text.md".to_owned()), link_issue: Some(5) },
    ];
    assert_eq!(brief.comments().cloned().collect::<Vec<_>>(), wanted);
}

#[test]
fn what_is_wrong_is_told_by_its_code() {
    let pr = |more: &str| codes_of(&format!("{PR}    {more}\n"));
    assert_eq!(pr("draft: yes"), [codes::TRUTH_VALUE]);
    assert_eq!(pr("draft: \"true\""), [codes::TRUTH_VALUE]);
    assert_eq!(pr("labels: [bug, Bug]"), [codes::LISTED_TWICE]);
    assert_eq!(pr("labels: [codex:done]"), [codes::LABEL]);
    assert_eq!(pr("labels: []"), [codes::EMPTY_VALUE]);
    assert_eq!(pr("reviewers: [\"@olga\"]"), [codes::LOGIN]);
    assert_eq!(pr("assignees: [olga/team, maria]"), [codes::LOGIN]);
    assert_eq!(
        pr(&format!("assignees: [{}]", (0..11).map(|n| format!("u{n}")).collect::<Vec<_>>().join(", "))),
        [codes::TOO_MANY_ENTRIES]
    );
    assert_eq!(pr("branch_name: main"), [codes::BRANCH_NAME]);
    assert_eq!(pr("body: \"\""), [codes::EMPTY_VALUE]);
    assert_eq!(codes_of(&format!("{PR}{}", PR.replace("a.txt", "b.txt"))), [codes::SEVERAL_PRS]);
    let comment = |more: &str| codes_of(&format!("  - type: comment\n{more}"));
    assert_eq!(comment("    link_issue: 1\n"), [codes::COMMENT_TEXT]);
    assert_eq!(comment("    body: a\n    body_file: b\n"), [codes::COMMENT_TEXT]);
    assert_eq!(comment("    body_file: ../b\n"), [codes::FILE_PATH]);
    assert_eq!(comment("    body: a\n    path: b\n"), [codes::UNKNOWN_FIELD]);
    assert_eq!(codes_of("  - type: report\n    path: docs/a.md\n"), [codes::REPORT_PATH]);
    assert_eq!(codes_of("  - type: report\n"), [codes::MISSING_FIELD]);
    assert_eq!(codes_of("  - type: issue\n"), [codes::OUTPUT_TYPE]);
    let twice = "  - type: report\n    path: reports/a.md\n  - type: report\n    path: reports/a.md\n";
    assert_eq!(codes_of(twice), [codes::FILE_TWICE]);
    let within = format!("{}  - type: report\n    path: reports/a.md\n", PR.replace("a.txt", "reports"));
    assert_eq!(codes_of(&within), [codes::FILE_OVERLAP]);
    assert_eq!(codes_of(&"  - type: comment\n    body: a\n".repeat(11)), [codes::TOO_MANY_OUTPUTS]);
}
