//! The check run of a run: what GitHub shows beside its commit.

use super::format::{change_counts, link, sentence_within, step_table};
use super::inert::inert_plain_line;
use crate::run::report::{RunReport, RunStatus};

/// What a check run tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRunPage {
    /// Holds the commit that it is for: the one that was published, else the one that was checked out.
    pub commit: String,
    /// Holds GitHub's word for how it ended.
    pub conclusion: &'static str,
    /// Holds the headline, plain text.
    pub title: String,
    /// Holds the page, Markdown, within GitHub's limit of 65,535 characters.
    pub summary: String,
}

/// Returns what the check run of a run tells; `None` for a run that never had a commit.
pub fn check_run(report: &RunReport, cancelled: bool, thread_url: &str) -> Option<CheckRunPage> {
    let commit = report.head_commit.clone().or_else(|| report.base_commit.clone())?;
    let (conclusion, title) = match (report.status, cancelled) {
        (_, true) => ("cancelled", "Stopped".to_owned()),
        (RunStatus::Success, _) => ("success", format!("{} steps succeeded", report.steps.len())),
        (RunStatus::Partial, _) => ("neutral", "Not all was done".to_owned()),
        (RunStatus::Failure, _) => {
            let problem = report.problem.as_ref();
            (
                "failure",
                problem.map_or_else(|| "Failed".to_owned(), |problem| inert_plain_line(&problem.message)),
            )
        }
    };
    let mut summary = format!("Asked for in {}.\n\n", link("this thread", thread_url));
    if let Some(problem) = &report.problem {
        summary.push_str(&format!("**What happened:** {}\n\n", sentence_within(&problem.message, 1_500)));
        summary.push_str(&format!("**What to do:** {}\n\n", sentence_within(&problem.help, 1_500)));
    }
    summary.push_str(&format!(
        "{}\n\nChanges: {}\n",
        step_table(&report.steps),
        change_counts(&report.changes)
    ));
    // GitHub shows a title as plain text, in one line.
    let title = title.chars().take(200).collect();
    Some(CheckRunPage { commit, conclusion, title, summary })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::comment::tests::{any_report, assert_sound, success};
    use super::super::inert::tests::assert_inert;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_check_run_acts_on_nothing_whatever_the_run_said(report in any_report(), cancelled: bool) {
            let thread = "https://github.com/octo/example/issues/1";
            let page = check_run(&report, cancelled, thread).unwrap();
            assert_sound(&page.summary, &[], &[thread]);
            prop_assert!(!page.title.contains(['\n', '\r']));
            assert_inert(&page.title.replace("://", "").replace("www.", ""));
        }
    }

    #[test]
    fn a_check_run_stands_beside_the_published_commit_else_beside_the_base() {
        let mut report = success();
        let page = check_run(&report, false, "https://github.com/octo/example/issues/1").unwrap();
        assert_eq!(Some(&page.commit), report.head_commit.as_ref());
        assert_eq!(page.conclusion, "success");
        report.head_commit = None;
        let page = check_run(&report, true, "").unwrap();
        assert_eq!((Some(&page.commit), page.conclusion), (report.base_commit.as_ref(), "cancelled"));
        report.base_commit = None;
        assert_eq!(check_run(&report, false, ""), None);
    }

    #[test]
    fn what_strangers_wrote_is_inert_and_the_page_fits() {
        let mut report = success();
        let nasty = "<img src=x> @everyone closes #1 ".repeat(5_000);
        report.status = RunStatus::Failure;
        report.problem = Some(crate::run::report::Problem {
            code: "step-failed".to_owned(),
            message: nasty.clone(),
            help: nasty.clone(),
        });
        report.steps = vec![crate::run::report::StepReport { name: nasty, ..report.steps[0].clone() }; 200];
        let page = check_run(&report, false, "https://github.com/octo/example/issues/1").unwrap();
        assert!(page.summary.chars().count() < 65_535 && page.title.chars().count() <= 200);
        assert!(!page.summary.contains("<img") && !page.summary.contains(" @everyone"), "{}", page.summary);
    }
}
