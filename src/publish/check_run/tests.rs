use proptest::prelude::*;

use super::super::comment::tests::{any_report, assert_sound, failure, success};
use super::super::inert::tests::assert_inert;
use super::super::living::tests::progress;
use super::*;

const THREAD: &str = "https://github.com/octo/example/issues/1";

fn problem(level: Level, message: &str) -> ProblemLine {
    ProblemLine { path: "src/a.rs".into(), line: 3, column: Some(5), level, message: message.into() }
}

/// Writes a page out as a person would see its parts.
fn shown(page: &CheckRunPage) -> String {
    let buttons: Vec<String> = page
        .buttons
        .iter()
        .map(|it| format!("[{}] {} ({})", it.label, it.description, it.identifier))
        .collect();
    let notes: Vec<String> = page
        .annotations
        .iter()
        .map(|it| format!("{} {}:{}: {}", it.level, it.path, it.line, it.message))
        .collect();
    format!(
        "{}: {}\n{}\n\n{}\n--- text\n{}\n--- annotations\n{}\n",
        page.conclusion.unwrap_or("in progress"),
        page.title,
        buttons.join("\n"),
        page.summary,
        page.text.as_deref().unwrap_or("none"),
        notes.join("\n"),
    )
}

#[test]
fn a_run_that_works_shows_its_steps_and_can_be_stopped() {
    insta::assert_snapshot!(shown(&live_check(&progress(), THREAD)));
}

#[test]
fn a_run_that_failed_shows_its_logs_and_places_and_can_be_run_again() {
    let mut report = failure();
    report.problem_lines =
        vec![problem(Level::Failure, "no such @function"), problem(Level::Warning, "unused")];
    insta::assert_snapshot!(shown(&check_run(&report, false, THREAD)));
}

#[test]
fn a_run_that_succeeded_and_one_that_was_stopped() {
    insta::assert_snapshot!(shown(&check_run(&success(), false, THREAD)));
    let stopped = check_run(&failure(), true, THREAD);
    assert_eq!((stopped.conclusion, stopped.title.as_str()), (Some("cancelled"), "Stopped"));
    assert_eq!(live_check(&Progress::begin("run", 0), THREAD).title, "Running");
}

#[test]
fn buttons_fit_what_github_takes() {
    let pages = [live_check(&progress(), THREAD), check_run(&failure(), false, THREAD)];
    for button in pages.iter().flat_map(|page| &page.buttons) {
        assert!(chars(&button.label) <= 20 && chars(&button.description) <= 40, "{button:?}");
        assert!(chars(&button.identifier) <= 20, "{button:?}");
    }
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
    let mut step = StepReport { name: nasty.clone(), ..report.steps[0].clone() };
    step.log.tail = nasty;
    report.steps = vec![step; 50];
    let page = check_run(&report, false, THREAD);
    assert!(chars(&page.summary) < 65_535 && chars(&page.title) <= 200);
    assert!(page.text.is_some_and(|text| chars(&text) < 65_535));
    assert!(!page.summary.contains("<img") && !page.summary.contains(" @everyone"), "{}", page.summary);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_check_run_acts_on_nothing_whatever_the_run_said(report in any_report(), cancelled: bool) {
        let mut report = report;
        report.problem_lines = vec![problem(Level::Notice, &report.run)];
        let page = check_run(&report, cancelled, THREAD);
        assert_sound(&page.summary, &[], &[THREAD]);
        if let Some(text) = &page.text {
            assert_sound(text, &[], &[]);
        }
        prop_assert!(!page.title.contains(['\n', '\r']));
        assert_inert(&page.title.replace("://", "").replace("www.", ""));
        assert_inert(&page.annotations[0].message.replace("://", "").replace("www.", ""));
    }
}
