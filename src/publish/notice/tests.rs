use proptest::prelude::*;

use super::super::comment::tests::assert_sound;
use super::super::inert::independent::html;
use super::super::inert::tests::hostile;
use super::*;
use crate::brief::extract;

/// Reads a text as intake does, and renders what is told about it.
fn told(text: &str, accepted: usize) -> String {
    let extraction = extract(text);
    let mut problems: Vec<Diagnostic> = extraction.misplaced.iter().map(|it| it.diagnostic.clone()).collect();
    for fence in &extraction.fences {
        problems.extend(crate::brief::parse(&fence.text, &fence.origin()).err().unwrap_or_default());
    }
    problems_comment(&problems, accepted, "problems:7:issue_comment:9")
}

const WRONG: &str = "Please.\n\n```codex-brief\nexecuter: devbox-codex\nrepo: octo/example\nbranch: a..b\n\
    workdir: ~/work/example\nsteps:\n  - name: \"@everyone ``` <b>\"\n    shell: \"\"\noutputs:\n  - type: pr\n    \
    title: t\n    commit_message: m\n    files: [../x]\n```\n";

#[test]
fn every_problem_of_a_brief_is_told_at_once() {
    insta::assert_snapshot!(told(WRONG, 0));
}

#[test]
fn a_brief_in_a_quote_is_told_beside_one_that_runs() {
    insta::assert_snapshot!(told("> ```codex-brief\n> executor: x\n> ```\n", 1));
}

#[test]
fn a_refusal_names_the_permission_and_mentions_nobody() {
    let text = refusal_comment("rob", "read", "write", "refused:7:3:42");
    assert!(!text.contains("@rob"));
    insta::assert_snapshot!(text);
}

#[test]
fn what_was_mended_keeps_its_marker() {
    let first_line = |text: &str| text.lines().next().map(str::to_owned);
    assert_eq!(first_line(&told(WRONG, 0)), first_line(&fixed_comment("problems:7:issue_comment:9")));
    insta::assert_snapshot!(fixed_comment("problems:7:issue_comment:9"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn notices_are_inert_whatever_a_stranger_wrote(text in hostile(), field in hostile(), found in hostile()) {
        let told = told(&format!("```codex-brief\n{field}: {text}\nsteps: [{text}]\n```\n\n> ```codex-brief\n> {text}\n"), 1);
        assert_sound(&told, &[], &[]);
        prop_assert!(!html(&told).contains("<script") && !html(&told).contains("<img"), "{}", told);
        assert_sound(&refusal_comment(&text, &found, &field, &text), &[], &[]);
    }
}
