use proptest::prelude::*;

use super::super::comment::tests::assert_sound;
use super::super::inert::tests::hostile;
use super::*;
use crate::authorize::permission::Permission;
use crate::brief::{BriefId, Source, SourceKind, Step, Timeout, When, Work, parse_document};

const DIGEST: &str = "0123456789abcdef0123456789abcdef";
const BASE: &str = "1111111111111111111111111111111111111111";

fn row() -> BriefRow {
    BriefRow {
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
        author: "rob".into(),
        author_id: 8,
        delivery_guid: "guid".into(),
    }
}

fn brief() -> Brief {
    parse_document(include_str!("../../../fixtures/briefs/good/flow-style.yaml")).unwrap()
}

fn asked<'a>(row: &'a BriefRow, brief: &'a Brief) -> Asked<'a> {
    Asked {
        row,
        brief: Some(brief),
        lane: "devbox-codex",
        digest: DIGEST,
        needed: Approval::SecondPerson,
        base_commit: BASE,
        expires_at_ms: 1_767_225_600_000,
        verdicts: None,
        buttons: true,
    }
}

pub(in crate::publish) fn task(state: TaskState) -> TaskView {
    TaskView {
        id: 1,
        brief: row(),
        lane: "devbox-codex".into(),
        state,
        reason: None,
        run: None,
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

fn approval(state: ApprovalState) -> ApprovalRow {
    ApprovalRow {
        id: 1,
        task: 1,
        brief: row().id.to_string(),
        repository: 7,
        thread: 12,
        digest: DIGEST.into(),
        needed: Approval::Required,
        base_commit: BASE.into(),
        policy_version: String::new(),
        policy: std::collections::BTreeMap::new(),
        expires_at_ms: 0,
        state,
        actor: Some(("olga".into(), 10)),
        decided_at_ms: Some(0),
        reason: Some("the branch main moved".into()),
    }
}

fn shown(asked: &Asked<'_>, standing: Standing<'_>) -> String {
    approval_comment(asked, standing).unwrap()
}

#[test]
fn what_waits_is_shown_whole_with_how_to_decide() {
    let (row, brief) = (row(), brief());
    insta::assert_snapshot!(shown(&asked(&row, &brief), Standing::Asked(&[])));
}

#[test]
fn what_changed_is_told_first_and_verdicts_stand_below_the_steps() {
    let (row, brief) = (row(), brief());
    let asked =
        Asked { verdicts: Some("| Command | Verdict |\n|---|---|\n| `ls` | fine |"), ..asked(&row, &brief) };
    let changed = ["the branch main moved from 1 to 2".to_owned(), "network: none → full".to_owned()];
    insta::assert_snapshot!(shown(&asked, Standing::Asked(&changed)));
}

#[test]
fn a_script_that_finds_no_room_is_not_cut_silently() {
    let (row, mut brief) = (row(), brief());
    let line = "echo line\n";
    brief.steps[0].work = Work::Shell { shell: line.repeat(1_000) };
    let told = shown(&asked(&row, &brief), Standing::Asked(&[]));
    assert!(told.matches(line).count() == 1_000 && !told.contains("find no room here"), "{told}");
    brief.steps[0].work = Work::Shell { shell: line.repeat(6_000) };
    let told = shown(&asked(&row, &brief), Standing::Asked(&[]));
    let left = (6_000 - told.matches(line).count()) * line.len();
    assert!(left > 0 && told.contains(&format!("{left} bytes of this step find no room here")), "{left}");
    let table = "x".repeat(MAX_VERDICTS + 1);
    let asked = Asked { verdicts: Some(&table), ..asked(&row, &brief) };
    let told = shown(&asked, Standing::Asked(&[]));
    assert!(told.contains("finds no room here") && chars(&told) < 65_536);
}

#[test]
fn what_steps_of_each_kind_do_is_shown_with_their_settings() {
    let (row, mut brief) = (row(), brief());
    let kinds = [
        Work::Python { python: "print(1)\n".into(), interpreter: Some("python3.11".into()) },
        Work::Make { make: vec!["docs".into()], variables: [("TO".to_owned(), "a b".to_owned())].into() },
        Work::Kubectl { kubectl: vec!["get".into(), "pods".into()] },
    ];
    let steps = kinds.into_iter().map(|work| Step { work, ..Step::shell("s", "") });
    brief.steps = steps.collect();
    brief.steps[2].when = When::Always;
    brief.steps[2].timeout = Timeout::read("10m");
    brief.steps[2].env = [("TZ".to_owned(), "UTC".to_owned())].into();
    let told = shown(&asked(&row, &brief), Standing::Asked(&[]));
    for shown in [
        "```yaml\ninterpreter: python3.11\n```\n\n```python\nprint(1)\n```",
        "```sh\nmake docs 'TO=a b'\n```",
        "```yaml\nif: always()\ntimeout: 10m\nenv:\n  TZ: \"UTC\"\n```\n\n```sh\nkubectl get pods\n```",
    ] {
        assert!(told.contains(shown), "{shown}\n{told}");
    }
}

#[test]
fn each_end_is_told_under_the_same_marker() {
    let (row, brief) = (row(), brief());
    let asked = Asked { needed: Approval::Required, ..asked(&row, &brief) };
    let ends = [
        Standing::Rejected("olga", "not on @friday"),
        Standing::Expired,
        Standing::Closed("its text was edited"),
    ];
    assert_eq!(approval_comment(&asked, Standing::Approved("olga")), None);
    let told = ends.map(|end| shown(&asked, end));
    let marker = shown(&asked, Standing::Asked(&[])).lines().next().unwrap().to_owned();
    assert!(told.iter().all(|told| told.starts_with(&marker) && !told.contains("/approve")));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn buttons_are_there_only_while_somebody_may_press_them_and_fit() {
    let (row, brief) = (row(), brief());
    let buttons = |standing| match approval_check(&asked(&row, &brief), standing) {
        EffectPayload::CheckRun { run, buttons, conclusion, .. } => {
            assert_eq!(run, format!("approval:{DIGEST}"));
            (buttons.unwrap(), conclusion)
        }
        other => panic!("{other:?}"),
    };
    let (two, conclusion) = buttons(Standing::Asked(&[]));
    assert_eq!((two.len(), conclusion.as_str()), (2, "action_required"));
    for button in two {
        assert!(chars(&button.label) <= 20 && chars(&button.description) <= 40);
        assert!(chars(&button.identifier) <= 20);
    }
    assert_eq!(buttons(Standing::Approved("olga")), (vec![], "success".to_owned()));
    assert_eq!(buttons(Standing::Expired), (vec![], "cancelled".to_owned()));
}

#[test]
fn every_answer_to_a_decision_that_comes_to_nothing() {
    let awaiting = task(TaskState::Blocked(BlockReason::AwaitingApproval));
    let (running, cancelled) = (task(TaskState::Running), task(TaskState::Cancelled));
    let (void, approved) = (approval(ApprovalState::Void), approval(ApprovalState::Approved));
    let (rejected, expired) = (approval(ApprovalState::Rejected), approval(ApprovalState::Expired));
    let unfit = [Unfit::Permission(Permission::Read), Unfit::Author, Unfit::Editor, Unfit::Sender];
    let mut told = vec![
        Undecided::Unknown(DIGEST),
        Undecided::Shortened("012345", 1),
        Undecided::Shortened("012345", 2),
        Undecided::Late(&awaiting, &void),
        Undecided::Late(&running, &approved),
        Undecided::Late(&cancelled, &rejected),
        Undecided::Late(&cancelled, &expired),
        Undecided::Twice(&awaiting),
        Undecided::Expired(&awaiting),
        Undecided::Gone(&awaiting),
    ];
    told.extend(unfit.map(|unfit| Undecided::Unfit(&awaiting, "olga", unfit)));
    let told: Vec<String> = told.into_iter().map(undecided_part).collect();
    insta::assert_snapshot!(told.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_comment_is_sound_and_names_every_step(
        text in hostile(), shell in hostile(), times in 1..3_000_usize, steps in 1..51_usize,
    ) {
        let (mut row, mut brief) = (row(), brief());
        (row.author, row.requested_by) = (text.clone(), text.clone());
        (brief.branch, brief.steps[0].name) = (text.clone(), text.clone());
        brief.steps[0].work = Work::Shell { shell: format!("first\n{}", shell.repeat(times)) };
        brief.steps = vec![brief.steps[0].clone(); steps];
        let table = "x".repeat(20_000);
        let asked = Asked { verdicts: Some(&table), ..asked(&row, &brief) };
        for standing in [Standing::Asked(std::slice::from_ref(&text)), Standing::Rejected(&text, &text)] {
            assert_sound(&shown(&asked, standing), &[], &[&row.source_url]);
        }
        let told = shown(&asked, Standing::Asked(&[]));
        for step in 1..=steps {
            let shown = format!("**Step {}**", step);
            prop_assert!(told.contains(&shown));
        }
    }
}
