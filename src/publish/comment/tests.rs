use proptest::prelude::*;
use pulldown_cmark::{Event, Tag, TagEnd};

use super::super::inert::independent::assert_nothing_acts;
use super::super::inert::tests::{assert_inert, events, hostile};
use super::*;
use crate::run::changeset::FileMode;
use crate::run::network::{Denied, DeniedReason, NetworkReport, Reached};
use crate::run::output::{OutputKind, OutputReport};
use crate::run::report::{ApprovedBy, ChangeSummary, LogSummary, Problem};

pub(in crate::publish) fn context() -> CommentContext {
    CommentContext {
        server: "codex-brief".into(),
        version: "0.1.0".into(),
        source_url: Some("https://github.com/octo/example/issues/774#issuecomment-1".into()),
        publishable: false,
    }
}

pub(in crate::publish) fn step(
    name: &str,
    status: StepStatus,
    exit_code: Option<i32>,
    tail: &str,
) -> StepReport {
    let duration_ms = if status == StepStatus::Skipped { 0 } else { 1_234 };
    let log = LogSummary {
        total_bytes: tail.len() as u64,
        omitted_bytes: 0,
        tail: tail.into(),
        ..LogSummary::default()
    };
    StepReport { name: name.into(), status, tolerated: false, exit_code, signal: None, duration_ms, log }
}

fn change(path: &str, kind: ChangeKind, declared: bool) -> ChangeSummary {
    ChangeSummary {
        path: path.into(),
        kind,
        added_lines: 12,
        removed_lines: 0,
        binary: false,
        declared,
        old_mode: None,
        new_mode: None,
        link: None,
    }
}

pub(in crate::publish) fn success() -> RunReport {
    RunReport {
        run: "0199a8f0-0000-7000-8000-000000000001".into(),
        brief: "ab12".repeat(16),
        text_digest: "cd34".repeat(16),
        executor: "devbox-codex".into(),
        repo: "octo/example".into(),
        branch: "main".into(),
        status: RunStatus::Success,
        problem: None,
        base_commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
        started_at_ms: 1_795_165_200_000,
        ended_at_ms: 1_795_165_203_700,
        steps: vec![
            step("collect the figures", StepStatus::Succeeded, Some(0), "12 services found\n"),
            step("write the report", StepStatus::Succeeded, Some(0), ""),
        ],
        changes: vec![change("reports/ready.md", ChangeKind::Added, true)],
        diff: "--- /dev/null\n+++ b/reports/ready.md\n@@ -0,0 +1 @@\n+# Ready\n".into(),
        diff_cut: false,
        head_branch: Some("codex-brief/774-ready-ab12ab12ab12".into()),
        head_commit: Some("89abcdef0123456789abcdef0123456789abcdef".into()),
        pull_request: Some(12),
        pull_request_url: Some("https://github.com/octo/example/pull/12".into()),
        earlier: Vec::new(),
        processes_left: None,
        bare: false,
        network: None,
        outputs: Vec::new(),
        approved: None,
        problem_lines: Vec::new(),
        thread_head: None,
    }
}

pub(in crate::publish) fn failure() -> RunReport {
    RunReport {
        status: RunStatus::Failure,
        problem: Some(Problem {
            code: "step-failed".into(),
            message: "Step 2 `render` ended with exit code 3.".into(),
            help: "Read its last lines below, mend the script or the repository, and edit the brief.".into(),
        }),
        steps: vec![
            step("collect", StepStatus::Succeeded, Some(0), "ok\n"),
            step(
                "render <b>@octocat</b> #1",
                StepStatus::Failed,
                Some(3),
                "reading\r\n\u{1b}[31merror:\u{1b}[0m no data\n```\n",
            ),
            step("publish", StepStatus::Skipped, None, ""),
        ],
        changes: vec![
            change("reports/ready.md", ChangeKind::Modified, true),
            change("old.txt", ChangeKind::Deleted, false),
        ],
        head_branch: None,
        head_commit: None,
        pull_request: None,
        pull_request_url: None,
        earlier: Vec::new(),
        ..success()
    }
}

#[test]
fn success_reads_well() {
    insta::assert_snapshot!("result_success", result_comment(&success(), &context()));
}

#[test]
fn failure_reads_well() {
    insta::assert_snapshot!("result_failure", result_comment(&failure(), &context()));
}

#[test]
fn undeclared_changes_read_well() {
    let problem = Problem {
        code: "undeclared-changes".into(),
        message: "The run changed 1 file that the brief does not declare: old.txt.".into(),
        help: "Add it to `files`, or keep the steps from changing it.".into(),
    };
    let steps = success().steps;
    let report = RunReport { problem: Some(problem), steps, ..failure() };
    insta::assert_snapshot!("result_undeclared", result_comment(&report, &context()));
}

#[test]
fn partial_and_stopped_runs_have_their_headlines() {
    let partial = RunReport { status: RunStatus::Partial, ..success() };
    let text = result_comment(&partial, &context());
    assert!(
        text.contains("### ⚠️ Partial: [#12](https://github.com/octo/example/pull/12) is open"),
        "{text}"
    );

    let mut stopped = failure();
    stopped.steps[1].status = StepStatus::IdleTimeout;
    assert!(result_comment(&stopped, &context()).contains(", printed nothing for too long\n"));
    stopped.steps[1] = StepReport { exit_code: None, signal: Some(9), ..failure().steps[1].clone() };
    let text = result_comment(&stopped, &context());
    assert!(text.contains("was ended by signal 9\n") && text.contains("| signal 9 |"), "{text}");
}

#[test]
fn hidden_result_is_found_by_programs() {
    let text = result_comment(&failure(), &context());
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(format!("<!-- codex-brief:result:{} -->", "ab12".repeat(16)).as_str()));
    let json = lines.next().unwrap().strip_prefix("<!-- ").unwrap().strip_suffix(" -->").unwrap();
    let value: Value = serde_json::from_str(json).unwrap();
    assert_eq!(value["status"], "failure");
    assert_eq!(value["steps"][1]["exit_code"], 3);
    assert_eq!(value["steps"][2]["status"], "skipped");
    assert_eq!(value["changes"][1]["declared"], false);
    assert_eq!(value["problem"]["code"], "step-failed");
}

#[test]
fn long_logs_and_a_huge_diff_share_the_room() {
    let line = "a line of output that tells little\n".repeat(2_000);
    let mut report = failure();
    report.steps =
        (0..50).map(|n| step(&format!("step {n}"), StepStatus::Succeeded, Some(0), &line)).collect();
    report.steps[49].log.tail.push_str("the very last words\n");
    report.steps[3].log.tail = "short\n".into();
    report.steps[3].log.total_bytes = 6;
    report.diff = "+a changed line\n".repeat(100_000);
    let text = result_comment(&report, &context());
    let size = chars(&text);
    assert!(size <= MAX_COMMENT_CHARS && size > 55_000, "{size}");
    assert_eq!(text.matches("<summary>Log of step").count(), 50);
    assert!(text.contains("Log of step 4: step 3 · 6 B</summary>"));
    assert!(text.contains("of 70.0 kB</summary>"), "a cut log tells how much there is");
    assert!(text.contains("the very last words"));
    let diff = text.split("Diff · first ").nth(1).unwrap();
    let lines: usize = diff.split(' ').next().unwrap().parse().unwrap();
    assert!(lines > 1_000 && diff.contains("of 100000 lines"), "{lines}");
}

#[test]
fn marker_cannot_be_left() {
    assert_eq!(marker("result", "r1:c2:ff"), "<!-- codex-brief:result:r1:c2:ff -->");
    assert_eq!(marker("a:b", "X --> <b>"), "<!-- codex-brief:a-b:x------b- -->");
}

prop_compose! {
    fn any_step()(name in hostile(), tail in hostile(), repeat in 1_usize..200, kind in 0_usize..8, exit in any::<Option<i32>>(),
                  signal in any::<Option<i32>>(), duration_ms: u64, total_bytes: u64) -> StepReport {
        let status = [StepStatus::Succeeded, StepStatus::Failed, StepStatus::WallTimeout, StepStatus::IdleTimeout,
                      StepStatus::OverMemory, StepStatus::OverDisk, StepStatus::Stopped, StepStatus::Skipped][kind];
        let log = LogSummary { total_bytes, omitted_bytes: 0, tail: tail.repeat(repeat), ..LogSummary::default() };
        StepReport { name: name.repeat(1 + repeat / 8), status, tolerated: kind % 3 == 1, exit_code: exit, signal, duration_ms, log }
    }
}

prop_compose! {
    fn any_network()(
        allowed in proptest::collection::vec((hostile(), any::<u16>(), any::<u64>()), 0..100),
        denied in proptest::collection::vec((hostile(), any::<u16>(), any::<u64>()), 0..20),
        more: (u64, u64),
    ) -> NetworkReport {
        let reached = |(host, port, n)| Reached { host, port, connections: n, bytes_out: n, bytes_in: n };
        let refused = |(host, port, times)| Denied { host, port, reason: DeniedReason::NotListed, times };
        NetworkReport {
            allowed: allowed.into_iter().map(reached).collect(), allowed_more: more.0,
            denied: denied.into_iter().map(refused).collect(), denied_more: more.1,
        }
    }
}

prop_compose! {
    pub(in crate::publish) fn any_report()(
        words in proptest::collection::vec(hostile(), 8),
        steps in proptest::collection::vec(any_step(), 0..60),
        paths in proptest::collection::vec((hostile(), any::<u64>(), any::<bool>()), 0..80),
        network in any_network(), diff in hostile(), repeat in 1_usize..3_000, status in 0_usize..3, times in any::<(i64, i64)>(), pr in any::<Option<u64>>(),
    ) -> RunReport {
        let change = |(path, lines, flag): (String, u64, bool)| ChangeSummary {
            link: flag.then(|| path.clone()), old_mode: Some(FileMode::Regular), new_mode: Some(FileMode::Symlink),
            path, kind: ChangeKind::Modified, added_lines: lines, removed_lines: lines, binary: flag, declared: flag,
        };
        RunReport {
            run: words[0].clone(), brief: words[1].clone(), text_digest: words[2].clone(), executor: words[3].clone(),
            repo: words[4].clone(), branch: words[5].clone(),
            status: [RunStatus::Success, RunStatus::Partial, RunStatus::Failure][status],
            problem: Some(Problem { code: words[6].clone(), message: words[7].repeat(50), help: words[0].repeat(50) }),
            base_commit: Some(words[1].clone()), started_at_ms: times.0, ended_at_ms: times.1, steps,
            changes: paths.into_iter().map(change).collect(), diff: diff.repeat(repeat), diff_cut: true,
            head_branch: Some(words[2].clone()), head_commit: Some(words[3].clone()), pull_request: pr,
            pull_request_url: Some(words[4].clone()),
            earlier: Vec::new(), processes_left: None, bare: false, network: Some(network),
            outputs: hostile_outputs(&words, pr.is_some()),
            approved: Some(ApprovedBy { login: words[0].clone(), at_ms: times.0, reason: words[1].repeat(50) }),
            problem_lines: Vec::new(), thread_head: None,
        }
    }
}

fn hostile_outputs(words: &[String], made: bool) -> Vec<OutputReport> {
    let problem = |at: usize| Problem {
        code: words[at].clone(),
        message: words[at + 1].repeat(30),
        help: String::new(),
    };
    let kinds = [OutputKind::Pr, OutputKind::Comment, OutputKind::Report];
    let output = |(at, kind): (usize, OutputKind)| OutputReport {
        kind,
        path: Some(words[at].clone()),
        thread: Some(7),
        text: Some(words[at].clone()),
        text_cut: made,
        made,
        url: Some(words[4].clone()),
        problems: vec![problem(at), problem(at + 2)],
    };
    kinds.into_iter().enumerate().map(output).collect()
}

/// Asserts what holds for every text of ours: GitHub takes it, all HTML in it is ours, and what a
/// reader sees outside code acts on nothing but links to `links`; by two renderers.
pub(in crate::publish) fn assert_sound(markdown: &str, our_references: &[String], links: &[&str]) {
    assert_nothing_acts(markdown, our_references, links);
    assert!(chars(markdown) <= MAX_COMMENT_CHARS, "{} characters", chars(markdown));
    let (mut text, mut code) = (String::new(), 0);
    for event in events(markdown) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => {
                let rest = html.trim().replace("<span>$</span>", "$").replace("&#39;", "'");
                let ours =
                    rest.starts_with("<!-- ") && rest.ends_with(" -->") && rest.matches("-->").count() == 1
                        || rest.starts_with("<details><summary>")
                            && rest.ends_with("</summary>")
                            && rest.matches('<').count() == 3
                        || matches!(&*rest, "</details>" | "<sub>" | "</sub>" | "<span>" | "</span>" | "");
                assert!(ours, "{html}");
                if rest.starts_with("<details>") {
                    assert_inert(&rest.replace("&#8203;", "\u{200b}"));
                }
            }
            Event::Start(Tag::CodeBlock(_)) => code += 1,
            Event::End(TagEnd::CodeBlock) => code -= 1,
            Event::Text(t) if code == 0 => text.push_str(&t),
            // What stands on both sides of a code span is no one word.
            Event::Code(_) => text.push('\u{fffc}'),
            Event::SoftBreak | Event::HardBreak | Event::End(_) => text.push('\n'),
            Event::Start(Tag::Image { .. })
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_) => {
                panic!("{event:?}")
            }
            Event::Start(Tag::Link { dest_url, .. }) => assert!(dest_url.starts_with("http"), "{dest_url}"),
            _ => {}
        }
    }
    for ours in our_references {
        text = text.replace(ours, "");
    }
    assert_inert(&text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn result_is_sound_whatever_the_run_printed(report in any_report()) {
        let ours = report.pull_request.map(|n| format!("#{n}"));
        let text = result_comment(&report, &context());
        let (context, pull) = (context(), report.pull_request_url.clone().unwrap_or_default());
        assert_sound(&text, ours.as_slice(), &[context.source_url.as_deref().unwrap(), &pull]);
        let json = text.lines().nth(1).unwrap();
        prop_assert!(json.starts_with("<!-- {") && chars(json) <= MAX_JSON, "{}", json);
    }
}
