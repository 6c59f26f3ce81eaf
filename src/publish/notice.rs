//! The short comments: a brief that cannot run, and why, and what to do.
//!
//! Every text that a thread gets apart from the result of a run stands here, one function each.

use crate::brief::{Diagnostic, Severity, render_markdown};
use crate::error::UserError;

use super::comment::marker;
use super::format::{code_within, inline_within, sentence_within};

/// Returns the comment about what is wrong in a text: every problem of every brief in it, with its
/// place, the line itself, and what to write instead. `accepted` counts the briefs that run all the
/// same.
pub fn problems_comment(problems: &[Diagnostic], accepted: usize, key: &str) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let headline = match errors {
        0 => "⚠️ A brief stands where it does not count".to_owned(),
        1 => "❌ Not run: there is a problem".to_owned(),
        n => format!("❌ Not run: there are {n} problems"),
    };
    let others = match accepted {
        0 => String::new(),
        1 => " Another brief in the same text was accepted.".to_owned(),
        n => format!(" {n} other briefs in the same text were accepted."),
    };
    format!(
        "{}\n### {headline}\n\n{}\nEdit the text: it is read again when it changes, and only what is new in it \
         runs.{others}\n",
        marker("notice", key),
        render_markdown(problems)
    )
}

/// Returns what the problems comment becomes once an edit has mended them.
pub fn fixed_comment(key: &str) -> String {
    format!(
        "{}\n### ✅ Mended\n\nThe text was edited, and the problems that stood here are gone.\n",
        marker("notice", key)
    )
}

/// Returns the comment for a person who may not have briefs run: `found` and `needed` are GitHub's
/// names of permissions, such as `read` and `write`.
pub fn refusal_comment(user: &str, found: &str, needed: &str, key: &str) -> String {
    let (user, found, needed) = (inline_within(user, 100), code_within(found, 60), code_within(needed, 60));
    format!(
        "{}\n### ⛔ Not run: {user} may not run briefs here\n\nRunning a brief needs the permission {needed} on this \
         repository; {user} has {found}. A person who has it can post the brief in a comment of their own.\n",
        marker("notice", key)
    )
}

/// Returns the comment for a thread in which the policy lets nothing run, or not for somebody.
pub fn policy_comment(error: &UserError, key: &str) -> String {
    format!(
        "{}\n### ⛔ Not run here\n\n{} {} ({})\n",
        marker("notice", key),
        sentence_within(&error.message, 1_500),
        sentence_within(&error.help, 500),
        code_within(error.code, 60)
    )
}

/// Returns the comment about what the repository's file asks for beyond what the server gives.
pub fn widened_comment(asked: &[String], key: &str) -> String {
    const MOST: usize = 20;
    let more = asked.len().saturating_sub(MOST);
    let lines: Vec<String> =
        asked.iter().take(MOST).map(|key| format!("- {}", code_within(key, 200))).collect();
    format!(
        "{}\n### ⚠️ A part of the policy does not count\n\nA repository's own policy can only narrow what the server \
         allows. The brief runs, and these keys do not count:\n\n{}\n{}",
        marker("notice", key),
        lines.join("\n"),
        if more > 0 { format!("- … and {more} more\n") } else { String::new() }
    )
}

#[cfg(test)]
mod tests;
