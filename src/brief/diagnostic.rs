//! What an author is told about a brief: where, what is wrong, what to write instead.

use std::fmt::Write as _;

use serde::Serialize;
use unicode_width::UnicodeWidthChar;

use super::characters::push_visible;

/// How many columns of a line a snippet shows.
const SNIPPET_COLUMNS: usize = 100;
/// How many columns before the caret are shown when a line is longer than that.
const COLUMNS_BEFORE: usize = 40;
/// How many columns stand for a tab in a snippet.
const TAB_COLUMNS: usize = 4;
/// How many bytes [`render_markdown`] writes at most; GitHub takes comments of 65,536 characters, and
/// a result needs room for more than diagnostics.
const MARKDOWN_BYTES: usize = 20_000;

/// How grave a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The brief cannot run.
    Error,
    /// Something is not a brief although its author may have meant one.
    Warning,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem, told to the author. Texts quote what a stranger wrote: control, bidi and invisible
/// characters are escaped, Markdown is not; use [`render_markdown`] for a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Names the problem; one of [`super::codes::ALL`].
    pub code: &'static str,
    /// Tells whether the brief can run all the same.
    pub severity: Severity,
    /// Holds the line in the comment, from 1.
    pub line: usize,
    /// Holds the column in the comment, from 1, in Unicode scalar values.
    pub column: usize,
    /// Tells what is wrong, in one sentence.
    pub message: String,
    /// Tells what to write instead.
    pub help: String,
    /// Shows the line; `None` when the text is too large to be shown.
    pub snippet: Option<Snippet>,
}

/// A line of the comment, ready to be shown: refused characters escaped, tabs expanded, long lines cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snippet {
    /// Holds the line as it is shown.
    pub text: String,
    /// Counts the terminal columns before the caret.
    pub caret_offset: usize,
    /// Counts the terminal columns under which carets stand; at least 1.
    pub caret_width: usize,
}

impl Snippet {
    /// Shows `line` with carets under `width` characters from the character at `start` (from 0).
    pub(crate) fn new(line: &str, start: usize, width: usize) -> Self {
        let end = start.saturating_add(width.max(1));
        let (mut before, mut total) = (0, 0);
        for (index, (_, _, columns)) in shown(line).enumerate() {
            before += if index < start { columns } else { 0 };
            total += columns;
        }
        let first = if total > SNIPPET_COLUMNS { before.saturating_sub(COLUMNS_BEFORE) } else { 0 };
        let cut = first > 0;
        let mut text = String::from(if cut { "…" } else { "" });
        let (mut offset, mut carets) = (usize::from(cut), 0);
        let (mut column, mut used) = (0, 0);
        for (index, (c, previous, columns)) in shown(line).enumerate() {
            let at = column;
            column += columns;
            if at < first {
                continue;
            }
            if used + columns > SNIPPET_COLUMNS {
                text.push('…');
                break;
            }
            push_shown(&mut text, c, previous);
            used += columns;
            if index < start {
                offset += columns;
            } else if index < end {
                carets += columns;
            }
        }
        Self { text, caret_offset: offset, caret_width: carets.max(1) }
    }
}

/// Goes through a line's characters, each with the one before it and its width as it is shown.
fn shown(line: &str) -> impl Iterator<Item = (char, Option<char>, usize)> {
    let mut previous = None;
    line.chars().map(move |c| {
        let before = previous.replace(c);
        (c, before, columns(c, before))
    })
}

fn push_shown(out: &mut String, c: char, previous: Option<char>) {
    if c == '\t' {
        out.extend(std::iter::repeat_n(' ', TAB_COLUMNS));
    } else {
        push_visible(out, c, previous);
    }
}

fn columns(c: char, previous: Option<char>) -> usize {
    if matches!(c, ' '..='~') {
        return 1;
    }
    let mut piece = String::new();
    push_shown(&mut piece, c, previous);
    piece.chars().map(|c| c.width().unwrap_or(0)).sum()
}

impl Diagnostic {
    /// Renders the diagnostic for a terminal, without a file's name.
    pub fn render_text(&self) -> String {
        self.render(&format!("line {}, column {}", self.line, self.column))
    }

    /// Renders the diagnostic for a terminal, with the place as `file:line:column`.
    pub fn render_text_in(&self, file: &str) -> String {
        self.render(&format!("{file}:{}:{}", self.line, self.column))
    }

    fn render(&self, place: &str) -> String {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let mut out = format!("{}[{}]: {}\n", self.severity.word(), self.code, self.message);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{gutter}--> {place}");
        if let Some(snippet) = &self.snippet {
            let indent = " ".repeat(snippet.caret_offset);
            let carets = "^".repeat(snippet.caret_width);
            let _ = writeln!(out, "{gutter} |");
            let _ = writeln!(out, "{number} | {}", snippet.text);
            let _ = writeln!(out, "{gutter} | {indent}{carets}");
        }
        let _ = writeln!(out, "{gutter} = help: {}", self.help);
        out
    }
}

/// Renders diagnostics for a comment on GitHub: one fenced block that no quoted text can leave, so
/// that nothing in it mentions, links, closes or formats. Writes about 20,000 bytes at most and says
/// how many diagnostics did not fit. Nothing at all for an empty list.
pub fn render_markdown(diagnostics: &[Diagnostic]) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let mut body = String::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        let text = diagnostic.render_text();
        if index > 0 && body.len() + text.len() > MARKDOWN_BYTES {
            let _ = write!(body, "\n… and {} more.\n", diagnostics.len() - index);
            break;
        }
        if index > 0 {
            body.push('\n');
        }
        body.push_str(&text);
    }
    let fence = "`".repeat(longest_backtick_run(&body).max(2) + 1);
    format!("{fence}text\n{body}{fence}\n")
}

fn longest_backtick_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(line: &str, start: usize, width: usize) -> Diagnostic {
        Diagnostic {
            code: super::super::codes::UNKNOWN_FIELD,
            severity: Severity::Error,
            line: 12,
            column: start + 1,
            message: "`x` is not a field.".into(),
            help: "Write `y`.".into(),
            snippet: Some(Snippet::new(line, start, width)),
        }
    }

    #[test]
    fn the_caret_stands_under_the_column() {
        let text = sample("  excutor: devbox", 2, 7).render_text_in("issue.md");
        assert_eq!(
            text,
            "error[brief-unknown-field]: `x` is not a field.\n  --> issue.md:12:3\n   |\n\
             12 |   excutor: devbox\n   |   ^^^^^^^\n   = help: Write `y`.\n"
        );
    }

    #[test]
    fn wide_characters_tabs_and_escapes_count_their_columns() {
        let snippet = Snippet::new("日本\t\u{202E}x", 4, 1);
        assert_eq!(snippet.text, "日本    \\u{202E}x");
        assert_eq!((snippet.caret_offset, snippet.caret_width), (16, 1));
        let escaped = Snippet::new("a\u{202E}b", 1, 1);
        assert_eq!((escaped.caret_offset, escaped.caret_width), (1, 8));
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = "a".repeat(500) + "X" + &"b".repeat(500);
        let snippet = Snippet::new(&line, 500, 1);
        assert!(snippet.text.starts_with('…') && snippet.text.ends_with('…'));
        assert_eq!(snippet.text.chars().nth(snippet.caret_offset), Some('X'));
        assert!(snippet.text.chars().count() <= SNIPPET_COLUMNS + 2);
    }

    #[test]
    fn a_caret_may_stand_behind_the_line() {
        let snippet = Snippet::new("ab", 2, 0);
        assert_eq!((snippet.caret_offset, snippet.caret_width), (2, 1));
    }

    #[test]
    fn quoted_text_cannot_leave_the_block() {
        let markdown = render_markdown(&[sample("````` @octocat <!--", 0, 1)]);
        assert!(markdown.starts_with("``````text\n") && markdown.ends_with("\n``````\n"), "{markdown}");
        assert_eq!(markdown.matches("``````").count(), 2);
        assert_eq!(render_markdown(&[]), "");
    }

    #[test]
    fn a_comment_is_bounded() {
        let many = vec![sample(&"x".repeat(400), 0, 1); 1000];
        let markdown = render_markdown(&many);
        assert!(markdown.len() < MARKDOWN_BYTES + 1000);
        assert!(markdown.contains(" more.\n"), "{markdown}");
    }
}
