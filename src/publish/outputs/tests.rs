use proptest::prelude::*;

use super::super::comment::result_comment;
use super::super::comment::tests::{context, success};
use super::super::inert::tests::hostile;
use super::*;
use crate::brief::parse_document;

const BRIEF: &str = "executor: devbox-codex\nrepo: octo/example\nbranch: main\nworkdir: ~/work/example\n\
steps:\n  - name: one\n    shell: make report\noutputs:\n\
\x20 - type: pr\n    title: Add it\n    commit_message: add it\n    files: [a.txt]\n    draft: true\n    labels: [bug]\n    \
reviewers: [olga]\n    branch_name: codex-brief/weekly\n    body: |\n      Why @maria wants it.\n\
\x20 - type: comment\n    body_file: out/text.md\n    link_issue: 5\n\
\x20 - type: report\n    path: reports/status.md\n";

fn problem(code: &str) -> Problem {
    Problem {
        code: code.to_owned(),
        message: "GitHub does not take `ghost` as reviewers.".to_owned(),
        help: "Add them by hand.".to_owned(),
    }
}

/// A report of the outputs of [`BRIEF`], all of them made.
fn made() -> RunReport {
    let mut outputs = OutputReport::planned(&parse_document(BRIEF).unwrap());
    for output in &mut outputs {
        (output.made, output.url) = (true, Some("https://github.com/octo/example/pull/12".to_owned()));
    }
    outputs[1].text = Some("# Figures\n\n@octocat fixes #1 <b>now</b>\n".to_owned());
    outputs[1].url = Some("https://github.com/octo/example/issues/5#issuecomment-9".to_owned());
    RunReport { outputs, ..success() }
}

#[test]
fn what_is_asked_for_is_shown_before_it_is_made() {
    insta::assert_snapshot!("outline", outline(&parse_document(BRIEF).unwrap()));
    let plain = parse_document(include_str!("../../../fixtures/briefs/good/flow-style.yaml")).unwrap();
    assert_eq!(outline(&plain), "");
}

#[test]
fn a_comment_says_whose_word_it_is_and_acts_on_nothing() {
    let text = comment_output(&made(), 1, "maria", &context()).unwrap();
    insta::assert_snapshot!("comment", text);
    assert!(comment_output(&made(), 0, "maria", &context()).is_none());
    let mut report = made();
    report.outputs[1].text = Some("word ".repeat(30_000));
    let long = comment_output(&report, 1, "maria", &context()).unwrap();
    assert!(chars(&long) <= MAX_COMMENT_CHARS && long.contains("; cut, since"), "{}", chars(&long));
}

#[test]
fn a_partial_result_tells_each_output() {
    let mut report = made();
    report.outputs[0].problems.push(problem("reviewers-refused"));
    (report.outputs[1].made, report.outputs[1].url) = (false, None);
    report.outputs[1].problems.push(problem("comment-refused"));
    conclude(&mut report);
    assert_eq!(report.status, RunStatus::Partial);
    insta::assert_snapshot!("result_partial", result_comment(&report, &context()));
}

#[test]
fn the_status_is_that_of_all_outputs() {
    let mut report = made();
    conclude(&mut report);
    assert_eq!((report.status, report.problem.is_none()), (RunStatus::Success, true));
    for output in &mut report.outputs {
        output.made = false;
    }
    report.outputs[1].problems.push(problem("comment-refused"));
    conclude(&mut report);
    assert_eq!(report.status, RunStatus::Failure);
    assert_eq!(report.problem.unwrap().code, "comment-refused");
}

proptest! {
    #[test]
    fn a_comment_stays_within_githubs_bound(text in hostile(), repeat in 1_usize..3_000) {
        let mut report = made();
        report.outputs[1].text = Some(text.repeat(repeat));
        let comment = comment_output(&report, 1, "maria", &context()).unwrap();
        prop_assert!(chars(&comment) <= MAX_COMMENT_CHARS);
        prop_assert!(comment.starts_with(&output_marker(&report.run, 1)));
        prop_assert_eq!(comment.matches("<!--").count(), 1, "only our own marker is hidden");
    }
}
