use proptest::prelude::*;

use super::super::comment::tests::assert_sound;
use super::super::inert::tests::hostile;
use super::*;

#[test]
fn problems_read_well() {
    let problems = [
        BriefProblem {
            line: 4,
            column: 1,
            message: "The field `excutor` is unknown.".into(),
            help: "Did you mean `executor`?".into(),
            snippet: "4 | excutor: devbox-codex\n  | ^^^^^^^".into(),
        },
        BriefProblem {
            line: 9,
            column: 5,
            message: "`steps` is empty.".into(),
            help: String::new(),
            snippet: String::new(),
        },
    ];
    insta::assert_snapshot!("problems", problems_comment(&problems, "7:c42:0"));
}

#[test]
fn refusal_reads_well() {
    insta::assert_snapshot!("refusal", refusal_comment("octocat", "read", "write", "7:c42"));
}

#[test]
fn unknown_lane_reads_well() {
    let error = UserError::new(
        "lane-unknown",
        "No lane is named `devbx`.",
        "Write one of the lanes below as `executor`.",
    );
    let lanes = ["devbox-codex".to_owned(), "vm-codex".to_owned()];
    insta::assert_snapshot!("lane_unknown", lane_comment(&error, &lanes, "7:c42:0"));
    assert!(lane_comment(&error, &[], "k").contains("No lane takes work of this repository"));
}

#[test]
fn other_repository_reads_well() {
    insta::assert_snapshot!(
        "other_repository",
        other_repository_comment("octo/other", "octo/example", "7:c42:0")
    );
}

#[test]
fn misplaced_fences_read_well() {
    let fences = [(3, "it stands in a quote".to_owned()), (12, "it is never closed".to_owned())];
    insta::assert_snapshot!("misplaced", misplaced_comment(&fences, "7:c42"));
}

#[test]
fn notice_reads_well() {
    let error =
        UserError::new("branch-not-found", "The branch `mian` does not exist.", "Write an existing branch.");
    insta::assert_snapshot!("notice", notice_comment(&error, "7:c42:0"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn notices_are_sound_whatever_stands_in_them(a in hostile(), b in hostile(), n in 1_usize..80, repeat in 1_usize..400) {
        let (long, key) = (a.repeat(repeat), b.clone());
        let problem = BriefProblem { line: n, column: n, message: long.clone(), help: b.clone(), snippet: long.clone() };
        let error = UserError { code: "x", message: long.clone(), help: b.clone() };
        for text in [
            problems_comment(&vec![problem; n], &key),
            refusal_comment(&long, &b, &a, &key),
            lane_comment(&error, &vec![long.clone(); n], &key),
            other_repository_comment(&long, &b, &key),
            misplaced_comment(&vec![(n, long.clone()); n], &key),
            notice_comment(&error, &key),
        ] {
            assert_sound(&text, &[]);
        }
    }
}
