use proptest::prelude::*;

use super::super::comment::tests::assert_sound;
use super::super::inert::tests::hostile;
use super::super::status::{TaskLine, status_table, status_text};
use super::*;
use crate::brief::{BriefId, Source, SourceKind};
use crate::command::find;
use crate::queue::task::BlockReason;
use crate::store::models::{BriefRow, EarlierRun};

fn view(state: TaskState) -> TaskView {
    let brief = BriefRow {
        id: BriefId::from([0xab; 32]),
        source: Source { repository_id: 7, kind: SourceKind::IssueBody, id: 70 },
        repository: "octo/example".into(),
        installation_id: 3,
        source_url: "https://github.com/octo/example/issues/12".into(),
        block_index: 0,
        text_digest: "cd".repeat(32),
        text: String::new(),
        thread_number: 12,
        thread_title: "T".into(),
        requested_by: "maria".into(),
        requested_by_id: 9,
        author: "maria".into(),
        author_id: 9,
        delivery_guid: "guid".into(),
    };
    TaskView {
        id: 1,
        brief,
        lane: "devbox-codex".into(),
        state,
        reason: None,
        run: Some("0199a8f0-0000-7000-8000-000000000001".into()),
        publishing: false,
        stopping: false,
        pull_request_url: None,
        processes_left: None,
        retries: 0,
        losses: 0,
        held_by: None,
        not_before_ms: 0,
        queued_at_ms: 0,
        changed_at_ms: 0,
    }
}

fn line(state: TaskState, edit: impl FnOnce(&mut TaskView), earlier: &[(&str, &str)]) -> TaskLine {
    let mut view = view(state);
    edit(&mut view);
    let earlier =
        earlier.iter().map(|(run, reason)| EarlierRun { run: (*run).into(), reason: (*reason).into() });
    TaskLine::new(&view, earlier.collect(), 2, 1_000_000)
}

fn lines() -> Vec<TaskLine> {
    let publishing = BlockReason::Publishing;
    vec![
        line(TaskState::Queued, |_| {}, &[]),
        line(
            TaskState::Queued,
            |task| (task.retries, task.not_before_ms) = (1, 1_022_300),
            &[("0199a8f0-0000-7000-8000-000000000001", "time-out")],
        ),
        line(TaskState::Queued, |task| task.losses = 1, &[("0199a8f0-0000", "the server ended")]),
        line(TaskState::Running, |_| {}, &[]),
        line(TaskState::Running, |task| task.stopping = true, &[]),
        line(TaskState::Running, |task| task.publishing = true, &[]),
        line(TaskState::Blocked(publishing), |task| task.reason = Some("GitHub | says no".into()), &[]),
        line(
            TaskState::Done,
            |task| task.pull_request_url = Some("https://github.com/o/e/pull/3".into()),
            &[],
        ),
        line(TaskState::Cancelled, |task| task.reason = Some("`/stop` in the thread (maria)".into()), &[]),
    ]
}

#[test]
fn status_tells_each_state_with_its_reason() {
    insta::assert_snapshot!(status_table(&lines()));
}

#[test]
fn status_reads_well_on_a_terminal() {
    insta::assert_snapshot!(status_text(&lines()));
}

#[test]
fn every_answer_to_a_stop_and_a_publish() {
    let (queued, blocked) = (view(TaskState::Queued), view(TaskState::Blocked(BlockReason::Publishing)));
    let (running, done) = (view(TaskState::Running), view(TaskState::Done));
    let parts = [
        stop_part(&queued, StopVerdict::Cancel),
        stop_part(&blocked, StopVerdict::Cancel),
        stop_part(&running, StopVerdict::End),
        stop_part(&running, StopVerdict::Ending),
        stop_part(&running, StopVerdict::TooLate),
        stop_part(&done, StopVerdict::Over),
        nothing_to_stop(None),
        nothing_to_stop(Some(&done)),
        publish_part(&blocked, PublishVerdict::Publish),
        publish_part(&running, PublishVerdict::Publishing),
        publish_part(&queued, PublishVerdict::TooEarly),
        publish_part(&view(TaskState::Blocked(BlockReason::Quarantined)), PublishVerdict::Nothing),
        publish_part(&done, PublishVerdict::Over),
        nothing_to_publish(),
        nothing_known(),
        unknown_task("0123456789ab"),
        ambiguous_task("abab", &[queued, done]),
        too_many_part(2),
    ];
    insta::assert_snapshot!(answer_comment(&parts, "answer:7:issue_comment:9"));
}

#[test]
fn usage_tells_what_was_meant() {
    let text = "/work\n/work stauts\n/work qqq\n/stop @octocat\n/stop ab12cd now\n";
    let found = find(text).found;
    let parts: Vec<String> =
        found.iter().map(|found| usage_part(found.command.as_ref().unwrap_err())).collect();
    assert_eq!(parts.len(), 5);
    insta::assert_snapshot!(answer_comment(&parts, "answer:7:issue_comment:9"));
}

#[test]
fn a_cancelled_brief_is_told_quietly() {
    let tasks = [view(TaskState::Queued)];
    let told = cancelled_comment(&tasks, "maria", "its thread was closed", "withdrawn:7:thread:12:5");
    insta::assert_snapshot!(told);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn answers_are_inert_and_bounded_whatever_stands_in_them(text in hostile(), many in 1_usize..200) {
        let mut task = view(TaskState::Failed);
        (task.reason, task.lane) = (Some(text.clone()), text.clone());
        let earlier = vec![EarlierRun { run: text.clone(), reason: text.clone() }; 3];
        let lines = vec![TaskLine::new(&task, earlier, 0, 0); many];
        let usage = |wrong| usage_part(&Usage { line: text.clone(), wrong });
        let parts = [
            status_table(&lines),
            status_table(&lines),
            status_table(&lines),
            usage(Wrong::Word(text.clone(), None)),
            usage(Wrong::Task(text.clone())),
            unknown_task(&text),
            cancelled_comment(&[task], &text, &text, &text),
        ];
        let comment = answer_comment(&parts, &text);
        let link = "https://github.com/octo/example/issues/12";
        assert_sound(&comment, &[], &[link]);
        for part in &parts {
            assert_sound(part, &[], &[link]);
        }
        let shown = status_text(&lines);
        prop_assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
        // A line feed in a reason starts no line that could pass for another task's.
        prop_assert_eq!(shown.lines().filter(|line| !line.starts_with(' ')).count(), many, "{}", shown);
    }
}
