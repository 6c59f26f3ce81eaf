use proptest::prelude::*;

use super::super::comment::tests::{any_report, assert_sound, context, success};
use super::super::inert::independent::code_blocks;
use super::super::inert::tests::{assert_inert, hostile};
use super::*;
use crate::brief::{Output, PullRequestOutput, RepoName, Step};

fn brief(header: &str, notes: &str, link_issue: Option<u64>) -> Brief {
    Brief {
        executor: "devbox-codex".into(),
        repo: RepoName { owner: "octo".into(), name: "example".into() },
        branch: "main".into(),
        workdir: "~/work/example".into(),
        steps: vec![Step::shell("x", "true")],
        outputs: vec![Output::Pr(PullRequestOutput {
            title: "t".into(),
            commit_message: "m".into(),
            files: vec!["reports/ready.md".into()],
            link_issue,
            ..PullRequestOutput::default()
        })],
        context_header: Some(header.into()),
        notes: Some(notes.into()),
    }
}

/// Stands for a receipt, one line of JSON.
const RECEIPT: &str = r#"{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}"#;

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
        receipt: Some(RECEIPT),
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
        url in hostile(), issue in any::<Option<u64>>(), receipt in hostile(), times in 0_usize..400,
    ) {
        let receipt = receipt.repeat(times);
        let brief = brief(&header.repeat(20), &notes.repeat(100), issue);
        let body = pr_body(&PullRequestText {
            report: &report, brief: &brief, brief_text: &text.repeat(repeat), context: &context(),
            thread_url: &url, requested_by: &header, receipt: Some(&receipt),
        });
        let context = context();
        let links = [context.source_url.as_deref().unwrap(), &url];
        assert_sound(&body, issue.map(|n| format!("#{n}")).as_slice(), &links);
    }

    #[test]
    fn the_brief_that_is_shown_is_the_brief_that_ran(
        name in "[a-z`~<@#\\$|*_\\[\\]]{1,30}", lines in proptest::collection::vec("[ -~é日🚀⚠]{0,60}", 1..20),
        notes in "[ -~]{0,80}", indent in 1_usize..5,
    ) {
        let pad = " ".repeat(indent);
        let shell: String = lines.iter().map(|line| format!("    {pad}{line}\n")).collect();
        let text = format!(
            "executor: devbox-codex\nrepo: octo/example\nbranch: main\nworkdir: ~/work/example\nsteps:\n  - name: '{}'\n\
             {}shell: |{indent}\n{shell}outputs:\n  - type: pr\n    title: t\n    commit_message: m\n    files: [a]\n\
             notes: '{}'\n",
            name, "    ", notes.replace('\'', "''"),
        );
        let Ok(ran) = crate::brief::parse(&text, &crate::brief::Origin::document()) else {
            return Err(TestCaseError::reject("no brief"));
        };
        let (report, context) = (success(), context());
        let body = pr_body(&PullRequestText {
            report: &report, brief: &ran, brief_text: &text, context: &context, thread_url: "", requested_by: "maria", receipt: None,
        });
        let shown = code_blocks(&body).pop().unwrap();
        prop_assert_eq!(shown.trim_end(), text.trim_end());
        let read_again = crate::brief::parse(&shown, &crate::brief::Origin::document()).unwrap();
        prop_assert_eq!(&read_again.steps[0].name, &ran.steps[0].name);
        let script = |brief: &Brief| brief.steps[0].work.shown().1.trim_end().to_owned();
        prop_assert_eq!(script(&read_again), script(&ran));
    }

    #[test]
    fn titles_are_sound(title in hostile()) {
        let title = pr_title(&title);
        prop_assert!(!title.is_empty() && chars(&title) <= MAX_TITLE_CHARS);
        assert_inert(&title.replace("://", "").replace("www.", ""));
    }
}
