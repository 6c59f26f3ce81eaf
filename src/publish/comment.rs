//! The result comment: what a run did, for a tired person on a phone first, for programs in a hidden
//! JSON, and for whoever looks closer in folded sections.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::run::report::{ApprovedBy, ChangeKind, RunReport, RunStatus, StepReport, StepStatus};
use crate::store::models::EarlierRun;

use super::format::{
    Keep, MAX_ROWS, block_within, bytes, change_counts, chars, code_within, details, duration, fair_shares,
    html_within, id_span, inline_within, link, sentence_within, short, status_lines, step_table, utc,
};
use super::inert::{html_comment_json, truncate_middle};
use super::network::{network_json, network_section};
use super::outputs::{outputs_json, outputs_section};

/// Bounds a comment, in characters: GitHub refuses longer ones.
pub const MAX_COMMENT_CHARS: usize = 65_536;

/// Is what a comment is planned for; the rest is for line ends between the parts.
const ROOM: usize = 65_000;
/// Bounds the hidden JSON, in characters.
const MAX_JSON: usize = 20_000;
/// Bounds what a folded section needs beside its block and a step's name, in characters.
const SECTION: usize = 120;
/// Bounds the earlier runs that are listed.
const MAX_EARLIER: usize = 20;
/// Bounds the log lines that are shown unfolded under a failure.
const MAX_LAST_LINES: usize = 25;

/// The codes of runs that somebody stopped.
const STOPPED: [&str; 2] = ["run-stopped", "stop-unproven"];

/// What a comment tells of the server around a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommentContext {
    /// Names the server as its operator does.
    pub server: String,
    /// Holds the program's version.
    pub version: String,
    /// Holds the address of the comment or issue that the brief stands in.
    pub source_url: Option<String>,
    /// Tells whether what the run made is kept and can be published again.
    pub publishable: bool,
}

/// Returns the hidden first line by which a comment is found again: `<!-- codex-brief:kind:key -->`.
///
/// Capital letters become small, and what is not of `[a-z0-9:-]` becomes `-`, so that a key can
/// neither end the marker nor look like another kind's.
pub fn marker(kind: &str, key: &str) -> String {
    let plain = |text: &str, colon: bool| -> String {
        text.chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if c.is_ascii_alphanumeric() || (colon && c == ':') { c } else { '-' })
            .collect()
    };
    format!("<!-- codex-brief:{}:{} -->", plain(kind, false), plain(key, true))
}

/// Returns the one result comment of a brief, at most [`MAX_COMMENT_CHARS`] characters whatever the
/// run printed. Logs and diff share the room fairly, and each cut is told.
pub fn result_comment(report: &RunReport, context: &CommentContext) -> String {
    let top = [marker("result", &report.brief), hidden_result(report), String::new()].join("\n");
    let mut body = headline(report);
    if report.status != RunStatus::Success {
        body.push_str(&problem(report));
    }
    body.push_str(&earlier_runs(&report.earlier));
    body.push_str(&approved_line(report.approved.as_ref()));
    let _ = writeln!(body, "\n{}", step_table(&report.steps));
    body.push_str(&outputs_section(report));
    body.push_str(&network_section(report));
    body.push_str(&git_status(report));
    body.push_str(&what_next(report, context));
    let footer = footer(report, context);

    let used = chars(&top) + chars(&body) + chars(&footer);
    let folded = folded(report, ROOM.saturating_sub(used));
    format!("{top}{body}\n{folded}\n{footer}")
}

fn headline(report: &RunReport) -> String {
    let stopped = report.problem.as_ref().is_some_and(|problem| STOPPED.contains(&problem.code.as_str()));
    let what = match (report.status, failing_step(report), pull_request_link(report)) {
        (RunStatus::Success, _, Some(pr)) => format!("✅ Success: {pr} is open"),
        (RunStatus::Success, _, None) => "✅ Success".to_owned(),
        (RunStatus::Partial, _, Some(pr)) => format!("⚠️ Partial: {pr} is open, but not all was done"),
        (RunStatus::Partial, _, None) => "⚠️ Partial: not all was done".to_owned(),
        (RunStatus::Failure, Some((number, step)), _) if stopped => {
            format!("⏹️ Stopped: step {number} of {}, {}", report.steps.len(), inline_within(&step.name, 200))
        }
        (RunStatus::Failure, None, None) if stopped => "⏹️ Stopped: no pull request was made".to_owned(),
        (RunStatus::Failure, Some((number, step)), _) => {
            let name = inline_within(&step.name, 200);
            format!("❌ Failure: step {number} of {}, {name}, {}", report.steps.len(), how_it_ended(step))
        }
        (RunStatus::Failure, None, Some(pr)) => format!("❌ Failure; {pr} is open"),
        (RunStatus::Failure, None, None) => "❌ Failure: no pull request was made".to_owned(),
    };
    format!("### {what}\n")
}

/// Returns the pull request as a link, `#12` where its address is none.
fn pull_request_link(report: &RunReport) -> Option<String> {
    let number = report.pull_request?;
    Some(link(&format!("#{number}"), report.pull_request_url.as_deref().unwrap_or("")))
}

/// Returns the first step that made the run fail, counted from 1.
fn failing_step(report: &RunReport) -> Option<(usize, &StepReport)> {
    (1..).zip(&report.steps).find(|(_, step)| step.failed())
}

fn how_it_ended(step: &StepReport) -> String {
    match (step.status, step.exit_code, step.signal) {
        (StepStatus::WallTimeout, ..) => format!("ran over its time ({})", duration(step.duration_ms)),
        (StepStatus::IdleTimeout, ..) => "printed nothing for too long".to_owned(),
        (StepStatus::OverMemory, ..) => "used more memory than the lane gives".to_owned(),
        (StepStatus::OverDisk, ..) => "used more disk space than the lane gives".to_owned(),
        (StepStatus::Stopped, ..) => "was stopped".to_owned(),
        (_, Some(code), _) => format!("ended with exit code {code}"),
        (_, None, Some(signal)) => format!("was ended by signal {signal}"),
        (_, None, None) => "failed".to_owned(),
    }
}

/// Returns what happened, what to do, and the last lines of the failing step's log.
fn problem(report: &RunReport) -> String {
    let mut out = String::new();
    if let Some(problem) = &report.problem {
        let code = code_within(&problem.code, 100);
        let _ = writeln!(out, "\n**What happened:** {} ({code})", sentence_within(&problem.message, 1_500));
        let _ = writeln!(out, "\n**What to do:** {}", sentence_within(&problem.help, 1_500));
    }
    if let Some((number, step)) = failing_step(report) {
        let lines: Vec<&str> = step.log.tail.trim_end().lines().collect();
        let last = lines[lines.len().saturating_sub(MAX_LAST_LINES)..].join("\n");
        match block_within(&last, "text", 4_000, Keep::Tail) {
            Some((block, _)) if !last.is_empty() => {
                let _ = writeln!(out, "\nLast lines of step {number}:\n\n{block}");
            }
            _ => {
                let _ = writeln!(out, "\nStep {number} printed nothing.");
            }
        }
    }
    out
}

/// Returns what became of earlier runs of the brief, where there were any.
pub(super) fn earlier_runs(earlier: &[EarlierRun]) -> String {
    if earlier.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n**Earlier runs:**\n\n");
    for earlier in earlier.iter().take(MAX_EARLIER) {
        let (run, why) = (id_span(&earlier.run, 36), sentence_within(&earlier.reason, 300));
        let _ = writeln!(out, "- {run}: {why}");
    }
    out
}

/// Returns who approved the brief, where somebody did.
pub(super) fn approved_line(approved: Option<&ApprovedBy>) -> String {
    let Some(ApprovedBy { login, at_ms, reason }) = approved else { return String::new() };
    let why = if reason.is_empty() { String::new() } else { format!(": {}", inline_within(reason, 800)) };
    format!("\nApproved by {} at {}{why}\n", inline_within(login, 100), utc(*at_ms))
}

/// Returns the command that carries a brief on that did not succeed, where one does.
fn what_next(report: &RunReport, context: &CommentContext) -> String {
    let is_caught = report.problem.as_ref().is_some_and(|problem| problem.code == "honeytoken-seen");
    let (word, does) = match (context.publishable, report.status) {
        _ if context.source_url.is_none() => return String::new(),
        (true, _) => ("publish", "publishes what is kept"),
        (false, RunStatus::Failure) if !is_caught => ("retry", "runs it again"),
        _ => return String::new(),
    };
    let command = code_within(&format!("/work {word} {}", digits(&report.brief)), 60);
    format!("\n**In a comment:** {command} {does}.\n")
}

/// Returns the digits by which people name a brief.
pub fn digits(brief: &str) -> String {
    brief.chars().filter(char::is_ascii_hexdigit).take(12).collect()
}

/// Returns git's status before and after the run, and where changes without a pull request went.
fn git_status(report: &RunReport) -> String {
    let before = report.base_commit.as_deref().map_or_else(
        || "no checkout was made".to_owned(),
        |commit| format!("clean at {} of {}", short(commit), code_within(&report.branch, 300)),
    );
    let mut out = format!("**Git status before:** {before}  \n");
    let _ = writeln!(out, "**Git status after:** {}", change_counts(&report.changes));
    if !report.changes.is_empty()
        && let Some((block, _)) =
            block_within(&status_lines(&report.changes, 5_000), "text", 6_000, Keep::Head)
    {
        let _ = writeln!(out, "\n{block}");
    }
    if report.pull_request.is_none() && !report.changes.is_empty() {
        let place = report.head_branch.as_deref().map_or_else(
            || format!("with run {}", id_span(&report.run, 36)),
            |branch| format!("on branch {}", code_within(branch, 300)),
        );
        let _ = writeln!(out, "\nNo pull request holds these changes; they are kept {place}.");
    }
    out
}

/// Returns the folded logs and the folded diff, within `room` characters.
fn folded(report: &RunReport, room: usize) -> String {
    // Kept back for the two sentences that tell of what found no room.
    let room = room.saturating_sub(300);
    let logs: Vec<(usize, &StepReport)> =
        (1..).zip(&report.steps).filter(|(_, s)| !s.log.tail.trim().is_empty()).collect();
    let wants: Vec<usize> = logs.iter().map(|(_, s)| want(&s.log.tail)).collect();
    let diff_want = if report.diff.is_empty() { 0 } else { want(&report.diff) };
    let parties = fair_shares(&[wants.iter().sum(), diff_want], room);

    let (mut out, mut left_out) = (String::new(), 0);
    for ((number, step), share) in logs.into_iter().zip(fair_shares(&wants, parties[0])) {
        match step_log(number, step, share) {
            Some(section) => out.push_str(&section),
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        let _ = writeln!(out, "\nThe logs of {left_out} steps find no room here.\n");
    }
    match diff_section(&report.diff, report.diff_cut, parties[1]) {
        Some(section) => out.push_str(&section),
        None if report.diff.is_empty() => {}
        None => out.push_str("\nThe diff finds no room here.\n"),
    }
    out
}

/// Estimates the characters of a folded section; escapes may need a few more than are seen here.
fn want(text: &str) -> usize {
    let text = super::inert::visible(text);
    chars(&text) + text.matches("\n/").count() + 500
}

fn step_log(number: usize, step: &StepReport, share: usize) -> Option<String> {
    let name = html_within(&step.name, 200);
    let room = share.checked_sub(SECTION + chars(&name))?;
    let (block, shown) = block_within(step.log.tail.trim_end(), "text", room, Keep::Tail)?;
    let total = step.log.total_bytes.max(step.log.tail.len() as u64);
    let cut = (shown as u64) < (step.log.tail.trim_end().len() as u64) || total > step.log.tail.len() as u64;
    let size = if cut { format!("last {} of {}", bytes(shown as u64), bytes(total)) } else { bytes(total) };
    let summary = format!("Log of step {number}: {name} · {size}");
    Some(details(&summary, &block))
}

/// Returns the folded diff within `share` characters; `cut` tells that it was cut before.
pub(super) fn diff_section(diff: &str, cut: bool, share: usize) -> Option<String> {
    let (block, shown) = block_within(diff, "diff", share.checked_sub(SECTION)?, Keep::Head)?;
    let all = diff.lines().count();
    let here = diff.get(..shown).unwrap_or(diff).lines().count();
    let summary = match (here < all, cut) {
        (true, true) => format!("Diff · first {here} of more than {all} lines"),
        (true, false) => format!("Diff · first {here} of {all} lines"),
        (false, true) => format!("Diff · first {here} lines, the rest is cut"),
        (false, false) => format!("Diff · {all} lines"),
    };
    Some(details(&summary, &block))
}

fn footer(report: &RunReport, context: &CommentContext) -> String {
    let took = u64::try_from(report.ended_at_ms.saturating_sub(report.started_at_ms)).unwrap_or(0);
    let brief = format!("brief {}", short(&report.brief));
    let mut parts = vec![
        context.source_url.as_deref().map_or(brief.clone(), |url| link(&brief, url)),
        format!("lane {}", code_within(&report.executor, 200)),
        format!("run {}", id_span(&report.run, 36)),
        format!("{} to {} ({})", utc(report.started_at_ms), utc(report.ended_at_ms), duration(took)),
    ];
    parts.push(signature(context));
    format!("<sub>{}</sub>\n", parts.join(" · "))
}

/// Returns the server's name and version.
pub(super) fn signature(context: &CommentContext) -> String {
    format!("{} {}", inline_within(&context.server, 200), inline_within(&context.version, 60))
        .trim()
        .to_owned()
}

/// Returns the machine-readable result. The less room, the fewer changes and the shorter the names:
/// 50 steps always stay, each with what a program asks for.
fn hidden_result(report: &RunReport) -> String {
    [(200, 200), (50, 80), (10, 40), (0, 20)]
        .iter()
        .filter_map(|&(changes, name)| html_comment_json(&result_json(report, changes, name)).ok())
        .find(|comment| chars(comment) <= MAX_JSON)
        .unwrap_or_default()
}

fn result_json(report: &RunReport, changes: usize, name: usize) -> Value {
    let text = |t: &str| truncate_middle(t, name);
    // Ids and digests are ASCII; what is not would cost twelve characters for one.
    let id = |t: &str| t.chars().filter(char::is_ascii_graphic).take(64).collect::<String>();
    let steps: Vec<Value> = report
        .steps
        .iter()
        .take(MAX_ROWS)
        .map(|s| {
            let mut step = json!({ "name": text(&s.name), "status": s.status, "exit_code": s.exit_code,
                                   "duration_ms": s.duration_ms });
            if s.tolerated {
                step["tolerated"] = true.into();
            }
            step
        })
        .collect();
    let listed: Vec<Value> = report
        .changes
        .iter()
        .take(changes)
        .map(|c| json!({ "path": text(&c.path), "kind": kind_word(c.kind), "declared": c.declared }))
        .collect();
    let earlier: Vec<Value> = report
        .earlier
        .iter()
        .take(MAX_EARLIER)
        .map(|run| json!({ "run": id(&run.run), "reason": text(&run.reason) }))
        .collect();
    json!({
        "format": 1,
        "status": report.status,
        "brief": id(&report.brief),
        "text_digest": id(&report.text_digest),
        "run": id(&report.run),
        "executor": text(&report.executor),
        "repo": text(&report.repo),
        "branch": text(&report.branch),
        "base_commit": report.base_commit.as_deref().map(id),
        "head_branch": report.head_branch.as_deref().map(text),
        "head_commit": report.head_commit.as_deref().map(id),
        "started_at_ms": report.started_at_ms,
        "ended_at_ms": report.ended_at_ms,
        "steps": steps,
        "steps_total": report.steps.len(),
        "changes": listed,
        "changes_total": report.changes.len(),
        "pull_request": report.pull_request,
        "outputs": outputs_json(report, name),
        "earlier": earlier,
        "processes_left": report.processes_left,
        "network": report.network.as_ref().map(|network| network_json(network, changes, name)),
        "problem": report.problem.as_ref().map(|p| json!({ "code": id(&p.code), "message": text(&p.message) })),
    })
}

fn kind_word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "added",
        ChangeKind::Modified => "modified",
        ChangeKind::Deleted => "deleted",
    }
}

#[cfg(test)]
pub(super) mod tests;
