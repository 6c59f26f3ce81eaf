//! The short comments: a brief that cannot run, and why, and what to do.
//!
//! Every text that a thread gets apart from the result of a run stands here, one function each.

use std::fmt::Write as _;

use crate::error::UserError;

use super::comment::marker;
use super::format::{Keep, block_within, chars, code_within, inline_within, sentence_within};

/// Bounds the problems that one comment lists.
const MAX_PROBLEMS: usize = 40;
/// Bounds the names of lanes that one comment lists.
const MAX_LANES: usize = 50;

/// One problem of a brief, as its author shall see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BriefProblem {
    /// Holds the line in the comment or issue body, counted from 1.
    pub line: usize,
    /// Holds the column in that line, counted from 1.
    pub column: usize,
    /// Tells what is wrong.
    pub message: String,
    /// Tells what to write instead; may be empty.
    pub help: String,
    /// Shows the place, as lines of text; may be empty.
    pub snippet: String,
}

/// Returns the comment about a brief that has problems: all of them, each with its place, the line
/// itself, and what to write instead.
pub fn problems_comment(problems: &[BriefProblem], key: &str) -> String {
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        n => format!("{n} problems"),
    };
    let mut out = format!(
        "{}\n### ❌ This brief has {count}, so nothing was run\n\nEdit the text: the brief is read again when it \
         changes.\n",
        marker("problems", key)
    );
    for problem in problems.iter().take(MAX_PROBLEMS) {
        let place = format!("line {}, column {}", problem.line, problem.column);
        let _ = writeln!(out, "\n**{place}:** {}", sentence_within(&problem.message, 400));
        if !problem.snippet.trim().is_empty()
            && let Some((block, _)) = block_within(problem.snippet.trim_end(), "text", 600, Keep::Head)
        {
            let _ = writeln!(out, "\n{block}");
        }
        if !problem.help.is_empty() {
            let _ = writeln!(out, "\n→ {}", sentence_within(&problem.help, 400));
        }
    }
    if problems.len() > MAX_PROBLEMS {
        let _ = writeln!(out, "\n… and {} more.", problems.len() - MAX_PROBLEMS);
    }
    end(out, "brief-invalid")
}

/// Returns the comment for a person who may not have briefs run: `found` and `needed` are GitHub's
/// names of permissions, such as `read` and `write`.
pub fn refusal_comment(user: &str, found: &str, needed: &str, key: &str) -> String {
    let (user, found, needed) = (inline_within(user, 100), code_within(found, 60), code_within(needed, 60));
    let out = format!(
        "{}\n### ⛔ Not run: {user} may not run briefs here\n\nRunning a brief needs the permission {needed} on \
         this repository; {user} has {found}. A person who has it can post the brief in a comment of their own.\n",
        marker("refusal", key)
    );
    end(out, "permission-missing")
}

/// Returns the comment for a brief whose lane does not take it; `lanes` are those that would.
pub fn lane_comment(error: &UserError, lanes: &[String], key: &str) -> String {
    let mut out = told("lane", error, key);
    if lanes.is_empty() {
        out.push_str("\nNo lane takes work of this repository; its operator can configure one.\n");
    } else {
        let names: Vec<String> = lanes.iter().take(MAX_LANES).map(|l| code_within(l, 150)).collect();
        let more = lanes.len().saturating_sub(MAX_LANES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = writeln!(out, "\nLanes for this repository: {}{more}.", names.join(", "));
    }
    end(out, error.code)
}

/// Returns the comment for a brief that names a repository other than its thread's.
pub fn other_repository_comment(named: &str, here: &str, key: &str) -> String {
    let (named, here) = (code_within(named, 300), code_within(here, 300));
    let out = format!(
        "{}\n### ⛔ Not run: the brief is for another repository\n\nIt says `repo:` {named}, and this thread belongs \
         to {here}. Write {here}, or post the brief in a thread of {named}.\n",
        marker("other-repository", key)
    );
    end(out, "other-repository")
}

/// Returns the comment for fences that look like briefs and stand where none counts: each with its
/// line in the text and the reason, such as `it stands in a quote`.
pub fn misplaced_comment(fences: &[(usize, String)], key: &str) -> String {
    let mut out = format!(
        "{}\n### ⚠️ A brief stands where it does not count\n\nOnly a closed fence at the top level of the text is a \
         brief; one in a quote, a list, another fence or an HTML comment is not.\n\n",
        marker("misplaced", key)
    );
    for (line, why) in fences.iter().take(MAX_PROBLEMS) {
        let _ = writeln!(out, "- line {line}: {}", sentence_within(why, 300));
    }
    if fences.len() > MAX_PROBLEMS {
        let _ = writeln!(out, "- … and {} more", fences.len() - MAX_PROBLEMS);
    }
    out.push_str("\nIf it shall run, move it to the top level and close it.\n");
    end(out, "brief-misplaced")
}

/// Returns the comment for any other error that a user meets.
pub fn notice_comment(error: &UserError, key: &str) -> String {
    end(told("notice", error, key), error.code)
}

fn told(kind: &str, error: &UserError, key: &str) -> String {
    format!(
        "{}\n### ⛔ Not run\n\n**What happened:** {}\n\n**What to do:** {}\n",
        marker(kind, key),
        sentence_within(&error.message, 1_500),
        sentence_within(&error.help, 1_500)
    )
}

fn end(mut out: String, code: &str) -> String {
    let _ = write!(out, "\n<sub>codex-brief · {}</sub>\n", code_within(code, 100));
    debug_assert!(chars(&out) <= super::comment::MAX_COMMENT_CHARS);
    out
}

#[cfg(test)]
mod tests;
