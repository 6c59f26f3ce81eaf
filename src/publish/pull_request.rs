//! The texts of a pull request: its title and its body.

use std::fmt::Write as _;

use crate::brief::Brief;
use crate::run::report::RunReport;

use super::comment::{CommentContext, MAX_COMMENT_CHARS, signature};
use super::format::{
    Keep, block_within, change_counts, chars, code_within, details, duration, id_span, inline_within, link,
    mode_change, short, step_table, utc,
};
use super::inert::{inert_plain_line, truncate_middle};
use super::markdown::enclosed_within;
use super::receipt;

/// Bounds a title, in characters: GitHub refuses longer ones.
pub const MAX_TITLE_CHARS: usize = 256;

/// Bounds the files that the body lists one a line.
const MAX_FILES: usize = 100;

/// Bounds what a brief says at the top of the body, in characters; its facts find room below.
const MAX_BODY: usize = 40_000;

/// What the body of a pull request is made of.
#[derive(Debug, Clone, Copy)]
pub struct PullRequestText<'a> {
    /// Holds what ran.
    pub report: &'a RunReport,
    /// Holds the checked brief.
    pub brief: &'a Brief,
    /// Holds the brief's text as it stands in the fence.
    pub brief_text: &'a str,
    /// Tells of the server.
    pub context: &'a CommentContext,
    /// Holds the address of the issue or pull request in which the brief was posted.
    pub thread_url: &'a str,
    /// Names the person on whose word the brief ran.
    pub requested_by: &'a str,
    /// Holds the run's signed receipt, one line of JSON; `None` where there is none.
    pub receipt: Option<&'a str>,
}

/// Returns a title that names nobody and closes nothing, at most [`MAX_TITLE_CHARS`] characters: a
/// title becomes part of the merge commit's message, where `Fixes #1` would act.
pub fn pr_title(title: &str) -> String {
    let line = inert_plain_line(title);
    if line.is_empty() { "codex-brief".to_owned() } else { truncate_middle(&line, MAX_TITLE_CHARS) }
}

/// Returns the body: what ran, where it came from and what it was asked for, at most
/// [`MAX_COMMENT_CHARS`] characters. `link_issue` is related to, never closed.
pub fn pr_body(input: &PullRequestText<'_>) -> String {
    let PullRequestText { report, brief, context, .. } = *input;
    let mut body = format!(
        "Made by a brief in {}, requested by {}.\n",
        link("this thread", input.thread_url),
        inline_within(input.requested_by, 100)
    );
    let asked = brief.pull_request();
    if let Some(issue) = asked.as_ref().and_then(|pr| pr.link_issue) {
        let _ = writeln!(body, "\nRelated to #{issue}");
    }
    let mut facts_below = words_of_the_author(brief);
    let _ = writeln!(facts_below, "\n### What ran\n\n{}", step_table(&report.steps));
    facts_below.push_str(&files(report));
    let _ = writeln!(facts_below, "\n{}", facts(input));
    if let Some(text) = asked.as_ref().and_then(|pr| pr.body.as_deref()) {
        let room = MAX_COMMENT_CHARS.saturating_sub(chars(&body) + chars(&facts_below) + 2_000);
        let _ = writeln!(body, "\n{}", enclosed_within(text, room.min(MAX_BODY)));
    }
    body.push_str(&facts_below);
    let footer = format!("\n<sub>{}</sub>\n", signature(context));

    let room = MAX_COMMENT_CHARS.saturating_sub(chars(&body) + chars(&footer) + 200);
    let receipt = input.receipt.map(|receipt| receipt::section(receipt, room)).unwrap_or_default();
    let room = room.saturating_sub(chars(&receipt));
    let folded = block_within(input.brief_text, "yaml", room, Keep::Head).map(|(block, shown)| {
        let cut = if shown < input.brief_text.len() { ", cut" } else { "" };
        details(&format!("The brief as it ran{cut}"), &block)
    });
    format!("{body}\n{}{receipt}{footer}", folded.unwrap_or_default())
}

/// Returns `context_header` and `notes`, which are shown and never interpreted.
fn words_of_the_author(brief: &Brief) -> String {
    let mut out = String::new();
    if let Some(header) = &brief.context_header {
        let _ = writeln!(out, "\n**Context:** {}", inline_within(header, 1_000));
    }
    if let Some(notes) = &brief.notes
        && let Some((block, _)) = block_within(notes.trim(), "text", 4_000, Keep::Head)
    {
        let _ = writeln!(out, "\n**Notes:**\n\n{block}");
    }
    out
}

fn files(report: &RunReport) -> String {
    let mut out = format!("### Files\n\n{}:\n\n", change_counts(&report.changes));
    for change in report.changes.iter().take(MAX_FILES) {
        let mode = mode_change(change).map_or(String::new(), |mode| format!(": {}", code_within(&mode, 250)));
        let _ = writeln!(out, "- {}{mode}", code_within(&change.path, 150));
    }
    if report.changes.len() > MAX_FILES {
        let _ = writeln!(out, "- … and {} more", report.changes.len() - MAX_FILES);
    }
    out
}

/// Returns the list by which a reviewer can tell what exactly ran, on what, where and when.
fn facts(input: &PullRequestText<'_>) -> String {
    let PullRequestText { report, context, .. } = *input;
    let took = u64::try_from(report.ended_at_ms.saturating_sub(report.started_at_ms)).unwrap_or(0);
    let brief = short(&report.brief);
    let base = report.base_commit.as_deref().map_or("no commit".to_owned(), |c| id_span(c, 40));
    let mut out = String::from("### Where it came from\n\n");
    let _ = writeln!(
        out,
        "- brief {}",
        context.source_url.as_deref().map_or_else(|| brief.clone(), |url| link(&brief, url))
    );
    let _ = writeln!(out, "- digest of its text (SHA-256) {}", id_span(&report.text_digest, 64));
    let _ =
        writeln!(out, "- run {} on lane {}", id_span(&report.run, 36), code_within(&report.executor, 200));
    let _ = writeln!(out, "- base {base} of {}", code_within(&report.branch, 300));
    let _ =
        writeln!(out, "- {} to {} ({})", utc(report.started_at_ms), utc(report.ended_at_ms), duration(took));
    out
}

#[cfg(test)]
mod tests;
