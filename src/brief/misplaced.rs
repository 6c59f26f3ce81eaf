//! Fences that look like a brief but do not count, and what their authors are told.

use super::codes;
use super::diagnostic::{Diagnostic, Severity, Snippet};

/// Where a fence stood that does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a block quote.
    Quote,
    /// In a list item.
    ListItem,
    /// In another fence.
    Fence,
    /// In a code block that is made by indentation.
    IndentedCode,
    /// In an HTML comment.
    HtmlComment,
    /// In another HTML block.
    Html,
    /// In a footnote.
    Footnote,
    /// At the top level, but never closed.
    Unclosed,
    /// At the top level and perhaps closed, but with another first word, such as `codex_brief`.
    Misspelt,
}

/// A fence that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// Holds the line of the opening fence in the text, from 1.
    pub line: usize,
    /// Tells why it does not count.
    pub place: Place,
    /// Tells the author (severity warning).
    pub diagnostic: Diagnostic,
}

impl Place {
    fn code(self) -> &'static str {
        match self {
            Self::Quote => codes::IN_QUOTE,
            Self::ListItem => codes::IN_LIST,
            Self::Fence => codes::IN_FENCE,
            Self::IndentedCode => codes::IN_INDENTED_CODE,
            Self::HtmlComment => codes::IN_HTML_COMMENT,
            Self::Html => codes::IN_HTML,
            Self::Footnote => codes::IN_FOOTNOTE,
            Self::Unclosed => codes::UNCLOSED,
            Self::Misspelt => codes::MISSPELT,
        }
    }

    fn sentences(self) -> (&'static str, &'static str) {
        const TOP: &str = "To run it, write the fence at the start of a line, outside of everything else.";
        match self {
            Self::Quote => ("This `codex-brief` fence stands in a quote, so it is not a brief.", TOP),
            Self::ListItem => ("This `codex-brief` fence stands in a list item, so it is not a brief.", TOP),
            Self::Fence => (
                "This `codex-brief` fence stands in another fence, so it is an example and not a brief.",
                "To run it, close the fence around it first; to show an example, leave it as it is.",
            ),
            Self::IndentedCode => (
                "This `codex-brief` fence is indented by four or more spaces, so it is not a brief.",
                "To run it, indent the fence by three spaces at most.",
            ),
            Self::HtmlComment => {
                ("This `codex-brief` fence stands in an HTML comment, so it is not a brief.", TOP)
            }
            Self::Html => (
                "This `codex-brief` fence stands in raw HTML, so it is not a brief.",
                "To run it, leave an empty line between the HTML tag and the fence.",
            ),
            Self::Footnote => ("This `codex-brief` fence stands in a footnote, so it is not a brief.", TOP),
            Self::Unclosed => (
                "This `codex-brief` fence is never closed, so it is not a brief.",
                "Write a closing line of the same character, at least as long as the opening one.",
            ),
            Self::Misspelt => (
                "This fence does not begin with the word `codex-brief`, so it is not a brief.",
                "Write ```codex-brief, in lower case, with a hyphen, as the first word.",
            ),
        }
    }

    /// Tells the author about the fence that opens in `line`, the text's line `number` (from 1).
    pub(crate) fn diagnostic(self, number: usize, line: &str) -> Diagnostic {
        let (message, help) = self.sentences();
        let start = line.chars().position(|c| matches!(c, '`' | '~')).unwrap_or(0);
        let width = line.trim_end().chars().count().saturating_sub(start);
        Diagnostic {
            code: self.code(),
            severity: Severity::Warning,
            line: number,
            column: start + 1,
            message: message.to_owned(),
            help: help.to_owned(),
            snippet: Some(Snippet::new(line, start, width)),
        }
    }
}
