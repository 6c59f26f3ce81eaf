//! Collects the problems of one brief, with their places in the comment.

use super::characters::{Forbidden, STAND_IN, classify};
use super::codes;
use super::diagnostic::{Diagnostic, Severity, Snippet};
use super::{MAX_DIAGNOSTICS, Origin};

/// How many runs of refused characters are told; one is enough to refuse the brief.
const MAX_CHARACTER_RUNS: usize = 10;

/// A place in a brief's text: lines from 1, columns in scalar values from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A range in a brief's text; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Position,
    pub(crate) end: Position,
}

impl Span {
    pub(crate) fn line(line: usize, column: usize, width: usize) -> Self {
        let start = Position { line, column };
        Self { start, end: Position { line, column: column + width } }
    }
}

/// A problem whose line is looked up when it is told: only a few of many are.
struct Pending {
    span: Span,
    code: &'static str,
    message: String,
    help: String,
}

pub(crate) struct Report<'t> {
    lines: Vec<&'t str>,
    origin: &'t Origin,
    found: Vec<Pending>,
}

impl<'t> Report<'t> {
    pub(crate) fn new(text: &'t str, origin: &'t Origin) -> Self {
        Self { lines: text.split('\n').collect(), origin, found: Vec::new() }
    }

    /// Adds a problem at `span`; of a span over several lines, the first line is shown.
    pub(crate) fn add(
        &mut self,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found.push(Pending { span, code, message: message.into(), help: help.into() });
    }

    fn diagnostic(&self, pending: Pending) -> Diagnostic {
        let Pending { span, code, message, help } = pending;
        let index = span.start.line.saturating_sub(1);
        let line = self.lines.get(index).copied().unwrap_or("");
        let length = line.trim_end().chars().count();
        let end = if span.end.line == span.start.line { span.end.column.min(length) } else { length };
        let removed = self.origin.removed.get(index).copied().unwrap_or(0);
        let shown = " ".repeat(removed) + line;
        let width = end.saturating_sub(span.start.column);
        Diagnostic {
            code,
            severity: Severity::Error,
            line: self.origin.first_line + index,
            column: removed + span.start.column + 1,
            message,
            help,
            snippet: Some(Snippet::new(&shown, removed + span.start.column, width)),
        }
    }

    /// Returns the line of the comment in which a line of the brief stands.
    pub(crate) fn comment_line(&self, position: Position) -> usize {
        self.origin.first_line + position.line.saturating_sub(1)
    }

    /// Returns a line of the brief, counted from 1.
    pub(crate) fn source_line(&self, line: usize) -> &'t str {
        self.lines.get(line.saturating_sub(1)).copied().unwrap_or("")
    }

    /// Tells about refused characters as they stand in the text, and returns the text with a
    /// stand-in for each, so that the columns of what follows stay right.
    pub(crate) fn check_characters(&mut self, text: &str) -> String {
        let mut runs: Vec<(Forbidden, char, Span)> = Vec::new();
        let mut clean = String::with_capacity(text.len());
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                clean.push('\n');
            }
            let mut previous = None;
            for (column, c) in line.chars().enumerate() {
                let reason = classify(c, previous);
                previous = Some(c);
                clean.push(if reason.is_some() { STAND_IN } else { c });
                let Some(reason) = reason else { continue };
                let at = Position { line: index + 1, column };
                let room = runs.len() < MAX_CHARACTER_RUNS;
                match runs.last_mut() {
                    Some((kind, _, span)) if *kind == reason && span.end == at => span.end.column += 1,
                    _ if room => runs.push((reason, c, Span::line(index + 1, column, 1))),
                    _ => {}
                }
            }
        }
        for (reason, first, span) in runs {
            let count = span.end.column - span.start.column;
            let (code, message, help) = told(reason, first, count);
            self.add(span, code, message, help);
        }
        clean
    }

    /// Tells about refused characters that an escape in a double-quoted value makes; `written` is the
    /// value as it stands in the text, where refused characters were told already.
    pub(crate) fn check_decoded(&mut self, value: &str, written: &str, span: Span) -> bool {
        let mut told_already = written.matches(STAND_IN).count();
        let mut previous = None;
        for c in value.chars() {
            if c == STAND_IN && told_already > 0 {
                told_already -= 1;
                previous = Some(c);
                continue;
            }
            let reason = classify(c, previous);
            previous = Some(c);
            if let Some(reason) = reason {
                let (code, message, _) = told(reason, c, 1);
                let message = format!("An escape in this value makes a refused character. {message}");
                let help =
                    "Write the value without that escape; in a script, let bash make it, as in `$'\\e'`.";
                self.add(span, code, message, help);
                return false;
            }
        }
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns what was found, in the order of the text, and at most [`MAX_DIAGNOSTICS`] of it.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|pending| pending.span.start);
        let more = found.len().saturating_sub(MAX_DIAGNOSTICS);
        found.truncate(MAX_DIAGNOSTICS);
        let mut told: Vec<Diagnostic> = found.into_iter().map(|pending| self.diagnostic(pending)).collect();
        if more > 0
            && let Some(last) = told.last().cloned()
        {
            told.push(Diagnostic {
                code: codes::MORE_PROBLEMS,
                message: format!("{more} more problems are not shown."),
                help: "Correct those above, then check the brief again.".to_owned(),
                snippet: None,
                ..last
            });
        }
        told
    }
}

fn told(reason: Forbidden, first: char, count: usize) -> (&'static str, String, &'static str) {
    let (code, one, what, help) = match reason {
        Forbidden::Bidi => (
            codes::BIDI_CHARACTER,
            "a character",
            "changes the direction of text, so that people read other than what runs",
            "Delete it.",
        ),
        Forbidden::Tag => (
            codes::TAG_CHARACTER,
            "a tag character",
            "people cannot see and models can read",
            "Delete it; it may carry instructions that nobody sees.",
        ),
        Forbidden::Invisible => (
            codes::INVISIBLE_CHARACTER,
            "a character",
            "is shown as nothing",
            "Delete it; it is often copied along from a web page or a chat.",
        ),
        Forbidden::Control => (
            codes::CONTROL_CHARACTER,
            "a control character",
            "is neither a line feed nor a tab",
            "Delete it; in a script, let bash make it, as in `$'\\e'`.",
        ),
    };
    let name = format!("`\\u{{{:X}}}`", first as u32);
    let joint = if reason == Forbidden::Tag { "which" } else { "that" };
    let more = if count > 1 { format!(" It is the first of {count} in a row.") } else { String::new() };
    (code, format!("Here stands {name}, {one} {joint} {what}.{more}"), help)
}
