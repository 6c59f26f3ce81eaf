use proptest::prelude::*;

use super::super::comment::tests::{any_report, assert_sound, context, success};
use super::super::inert::tests::{assert_inert, hostile};
use super::*;
use crate::brief::{Output, PullRequestOutput, RepoName, Step};

fn brief(header: &str, notes: &str, link_issue: Option<u64>) -> Brief {
    Brief {
        executor: "devbox-codex".into(),
        repo: RepoName { owner: "octo".into(), name: "example".into() },
        branch: "main".into(),
        workdir: "~/work/example".into(),
        steps: vec![Step { name: "x".into(), shell: "true".into() }],
        outputs: vec![Output::Pr(PullRequestOutput {
            title: "t".into(),
            commit_message: "m".into(),
            files: vec!["reports/ready.md".into()],
            link_issue,
        })],
        context_header: Some(header.into()),
        notes: Some(notes.into()),
    }
}

#[test]
fn body_reads_well() {
    let brief = brief("repo=octo/example / phase=3", "Ask @octocat before merging.\nFixes #1", Some(774));
    let (report, context) = (success(), context());
    let body = pr_body(&PullRequestText {
        report: &report,
        brief: &brief,
        brief_text: "executor: devbox-codex\nrepo: octo/example\n",
        context: &context,
        thread_url: "https://github.com/octo/example/issues/774",
        requested_by: "octocat",
    });
    insta::assert_snapshot!("pr_body", body);
}

#[test]
fn title_names_nobody_and_closes_nothing() {
    assert_eq!(pr_title("Fixes #12 for @octo\r\n now"), "Fixes #\u{200b}12 for @\u{200b}octo now");
    assert_eq!(pr_title(" \n"), "codex-brief");
    assert_eq!(pr_title(&"é".repeat(300)).chars().count(), MAX_TITLE_CHARS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn body_is_sound_whatever_stands_in_the_brief(
        report in any_report(), header in hostile(), notes in hostile(), text in hostile(), repeat in 1_usize..4_000,
        url in hostile(), issue in any::<Option<u64>>(),
    ) {
        let brief = brief(&header.repeat(20), &notes.repeat(100), issue);
        let body = pr_body(&PullRequestText {
            report: &report, brief: &brief, brief_text: &text.repeat(repeat), context: &context(),
            thread_url: &url, requested_by: &header,
        });
        assert_sound(&body, issue.map(|n| format!("#{n}")).as_slice());
    }

    #[test]
    fn titles_are_sound(title in hostile()) {
        let title = pr_title(&title);
        prop_assert!(!title.is_empty() && chars(&title) <= MAX_TITLE_CHARS);
        assert_inert(&title.replace("://", "").replace("www.", ""));
    }
}
