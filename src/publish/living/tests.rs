use proptest::prelude::*;

use super::super::approval::tests::task;
use super::super::comment::tests::{assert_sound, context, step};
use super::super::inert::tests::hostile;
use super::*;
use crate::brief::parse_document;
use crate::run::progress::StepProgress;
use crate::run::report::StepStatus;
use crate::store::models::{EarlierRun, HeldBy, TaskView};

const NOW: i64 = 1_795_165_200_000;

fn brief() -> Brief {
    parse_document(include_str!("../../../fixtures/briefs/good/flow-style.yaml")).unwrap()
}

pub(in crate::publish) fn progress() -> Progress {
    let step_progress = |name: &str, stands| StepProgress { name: name.to_owned(), stands };
    let mut progress = Progress::begin("0199a8f0-0000-7000-8000-000000000001", NOW - 9_000);
    progress.steps = vec![
        step_progress(
            "collect the figures",
            Stands::Ended(Box::new(step("collect the figures", StepStatus::Succeeded, Some(0), ""))),
        ),
        step_progress("render <b>@octocat</b>", Stands::Runs(NOW - 7_654)),
        step_progress("publish", Stands::Waits),
    ];
    progress
}

struct Case {
    view: TaskView,
    earlier: Vec<EarlierRun>,
    before: u64,
    progress: Option<Progress>,
    approved: Option<ApprovedBy>,
}

fn case(state: TaskState) -> Case {
    Case { view: task(state), earlier: vec![], before: 0, progress: None, approved: None }
}

fn told(case: &Case) -> String {
    let (brief, context) = (brief(), context());
    living_comment(&Living {
        line: &TaskLine::new(&case.view, case.earlier.clone(), case.before, NOW),
        state: case.view.state,
        reason: case.view.reason.as_deref(),
        brief: Some(&brief),
        progress: case.progress.as_ref(),
        approved: case.approved.as_ref(),
        now_ms: NOW,
        context: &context,
    })
}

fn ada() -> Option<ApprovedBy> {
    Some(ApprovedBy { login: "ada".into(), at_ms: NOW - 60_000, reason: "It is small".into() })
}

#[test]
fn what_waits_tells_its_place_and_what_it_will_do() {
    let mut waiting = case(TaskState::Queued);
    waiting.before = 2;
    waiting.approved = ada();
    insta::assert_snapshot!(told(&waiting));
}

#[test]
fn what_runs_tells_its_steps() {
    let mut running = case(TaskState::Running);
    running.progress = Some(progress());
    running.earlier =
        vec![EarlierRun { run: "0199a8f0-0000-7000-8000-000000000000".into(), reason: "time-out".into() }];
    insta::assert_snapshot!(told(&running));
}

#[test]
fn each_state_has_its_headline() {
    let mut cases = vec![case(TaskState::Queued), case(TaskState::Queued), case(TaskState::Queued)];
    cases[1].before = 1;
    cases[2].view.held_by = Some(HeldBy::Repository);
    let mut again = case(TaskState::Queued);
    again.earlier = vec![EarlierRun { run: "0199".into(), reason: "time-out".into() }];
    (again.view.retries, again.view.not_before_ms) = (1, NOW + 60_000);
    cases.push(again);
    let mut running: Vec<Case> = (0..6).map(|_| case(TaskState::Running)).collect();
    running[1].progress = Some(progress());
    for (at, stands) in [(2, Stands::Waits), (3, Stands::Runs(NOW)), (4, progress().steps[0].stands.clone())]
    {
        let mut all = progress();
        all.steps.iter_mut().for_each(|step| step.stands = stands.clone());
        running[at].progress = Some(all);
    }
    running[4].view.publishing = true;
    running[5].view.stopping = true;
    cases.extend(running);
    let mut cancelled = case(TaskState::Cancelled);
    cancelled.view.reason = Some("its text was edited".into());
    cases.push(cancelled);
    let headlines: Vec<String> =
        cases.iter().map(|case| told(case).lines().nth(1).unwrap_or_default().to_owned()).collect();
    insta::assert_snapshot!(headlines.join("\n"));
}

#[test]
fn what_was_cancelled_tells_why_and_nothing_else() {
    let mut cancelled = case(TaskState::Cancelled);
    cancelled.view.reason = Some("/stop in the thread (maria)".into());
    insta::assert_snapshot!(told(&cancelled));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn it_acts_on_nothing_and_fits_whatever_stands_in_it(
        text in hostile(), steps in 0..51_usize, waits: bool, cancelled: bool,
    ) {
        let state = match (waits, cancelled) {
            (true, _) => TaskState::Queued,
            (_, true) => TaskState::Cancelled,
            _ => TaskState::Running,
        };
        let mut case = case(state);
        (case.view.lane, case.view.reason) = (text.clone(), Some(text.clone()));
        case.view.brief.requested_by = text.clone();
        case.view.held_by = waits.then_some(HeldBy::User);
        case.earlier = vec![EarlierRun { run: text.clone(), reason: text.repeat(30) }; 30];
        case.approved = Some(ApprovedBy { login: text.clone(), at_ms: NOW, reason: text.repeat(50) });
        let mut all = progress();
        all.steps = (0..steps).map(|_| StepProgress { name: text.repeat(20), stands: Stands::Runs(0) }).collect();
        case.progress = Some(all);
        assert_sound(&told(&case), &[], &[&case.view.brief.source_url]);
    }
}
