//! Finds the briefs in a Markdown text, and the fences that look like one but do not count.
//!
//! pulldown-cmark decides which blocks are fences and what contains them. Whether a fence is closed,
//! and what exactly it holds, is read from the source again, because the parser closes every fence
//! at the end of the text without a word. Where the two disagree, the fence does not count.

use std::borrow::Cow;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::codes;
use super::diagnostic::{Diagnostic, Severity, Snippet};
use super::misplaced::{Misplaced, Place};
use super::{MAX_BRIEFS_PER_TEXT, MAX_TEXT_BYTES, Origin};

/// The first word of a brief's info string.
pub const INFO_WORD: &str = "codex-brief";

/// How many misplaced fences of one text are told; who has made more mistakes sees them next time.
const MAX_MISPLACED: usize = 20;

/// What a text holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extraction {
    /// Holds the fences that count, in the order of the text.
    pub fences: Vec<Fence>,
    /// Holds what is not a brief although its author may have meant one; at most 20 of them.
    pub misplaced: Vec<Misplaced>,
    /// Tells why the text was refused as a whole (too large, too many briefs); `fences` is empty then.
    pub refused: Option<Diagnostic>,
}

/// A closed `codex-brief` fence at the top level of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Counts the fences that count before this one: the block index, from 0.
    pub index: usize,
    /// Holds the content: every line ends in LF, the fence's own indentation is removed.
    pub text: String,
    /// Holds the line of the opening fence in the text, from 1.
    pub fence_line: usize,
    /// Holds the line of the first content line in the text, from 1.
    pub first_line: usize,
    /// Counts the columns by which the opening fence is indented: 0 to 3.
    pub column_offset: usize,
    /// Holds the info string without surrounding spaces; its first word is `codex-brief`.
    pub info: String,
    /// Holds how many columns were removed from each content line; empty when from none.
    removed: Vec<usize>,
}

impl Fence {
    /// Returns where the content stands in the text, for [`super::parse`].
    pub fn origin(&self) -> Origin {
        Origin { first_line: self.first_line, removed: self.removed.clone() }
    }
}

/// Finds the briefs in `markdown`; takes time in proportion to its length.
pub fn extract(markdown: &str) -> Extraction {
    if markdown.len() > MAX_TEXT_BYTES {
        return Extraction { refused: Some(too_large(markdown.len())), ..Extraction::default() };
    }
    let text = normalize(markdown);
    let mut scan = Scan::new(&text);
    for (event, range) in Parser::new_ext(&text, markdown_options()).into_offset_iter() {
        scan.event(event, range);
    }
    scan.finish()
}

/// Turns CRLF and lone CR into LF, as Markdown and YAML both read them, and drops a leading BOM.
pub fn normalize(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns what of Markdown is read beyond CommonMark: what GitHub reads.
pub fn markdown_options() -> Options {
    Options::ENABLE_GFM
        | Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
}

/// An opening fence line, without its indentation.
struct Opener<'t> {
    mark: char,
    length: usize,
    info: &'t str,
}

impl<'t> Opener<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = line.trim_start_matches(mark);
        let length = line.len() - info.len();
        let fits = length >= 3 && !(mark == '`' && info.contains('`'));
        fits.then(|| Self { mark, length, info: info.trim_matches([' ', '\t']) })
    }

    /// Reads a line of a block's content; more than three spaces make no fence.
    fn read_indented(line: &'t str) -> Option<Self> {
        let rest = line.trim_start_matches(' ');
        if line.len() - rest.len() > 3 { None } else { Self::read(rest) }
    }

    fn first_word(&self) -> &'t str {
        self.info.split([' ', '\t']).next().unwrap_or("")
    }

    fn is_brief(&self) -> bool {
        self.first_word() == INFO_WORD
    }

    /// Tells whether the author probably meant a brief: `Codex_Brief`, `codex-brief:`, `yaml codex-brief`.
    fn is_nearly_brief(&self) -> bool {
        let mut words = self.info.split([' ', '\t']).filter(|word| !word.is_empty());
        let near = |word: &str| {
            let letters: String = word.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
            letters.eq_ignore_ascii_case("codexbrief")
        };
        words.next().is_some_and(near) || words.next() == Some(INFO_WORD)
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let rest = line.trim_start_matches(' ');
        let tail = rest.trim_start_matches(self.mark);
        line.len() - rest.len() <= 3
            && rest.len() - tail.len() >= self.length
            && tail.trim_matches([' ', '\t']).is_empty()
    }
}

struct Scan<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
    containers: Vec<Place>,
    /// What the lines of the current code or HTML block are inside of; `None` outside of one, and in
    /// a block that was told as a whole.
    inside: Option<Place>,
    out: Extraction,
}

impl<'t> Scan<'t> {
    fn new(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { text, line_starts, containers: Vec::new(), inside: None, out: Extraction::default() }
    }

    fn event(&mut self, event: Event<'_>, range: std::ops::Range<usize>) {
        match event {
            Event::Start(Tag::BlockQuote(_)) => self.containers.push(Place::Quote),
            Event::Start(Tag::Item) => self.containers.push(Place::ListItem),
            Event::Start(Tag::FootnoteDefinition(_)) => self.containers.push(Place::Footnote),
            Event::End(TagEnd::BlockQuote(_) | TagEnd::Item | TagEnd::FootnoteDefinition) => {
                self.containers.pop();
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => self.fenced(range),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => self.inside = Some(Place::IndentedCode),
            Event::Start(Tag::HtmlBlock) => {
                let source = self.text.get(range).unwrap_or("");
                let comment = source.trim_start_matches(' ').starts_with("<!--");
                self.inside = Some(if comment { Place::HtmlComment } else { Place::Html });
            }
            Event::End(TagEnd::CodeBlock | TagEnd::HtmlBlock) => self.inside = None,
            Event::Text(_) | Event::Html(_) => self.content(range),
            _ => {}
        }
    }

    /// Looks at a fenced block, wherever it stands.
    fn fenced(&mut self, range: std::ops::Range<usize>) {
        self.inside = Some(Place::Fence);
        let line = self.line_at(range.start);
        let from_fence = self.text.get(range.start..self.line_end(line)).unwrap_or("");
        let Some(opener) = Opener::read(from_fence.trim_start_matches(' ')) else { return };
        if !opener.is_brief() {
            if self.containers.is_empty() && opener.is_nearly_brief() {
                self.misplaced(line, Place::Misspelt);
            }
            return;
        }
        if let Some(place) = self.containers.last().copied() {
            self.inside = None;
            self.misplaced(line, place);
            return;
        }
        match self.read_fence(line, &opener, range.end) {
            Some(fence) => self.out.fences.push(fence),
            None => {
                self.inside = None;
                self.misplaced(line, Place::Unclosed);
            }
        }
    }

    /// Reads a fence at the top level up to its closing line; `None` when it has none before `end`.
    fn read_fence(&self, fence_line: usize, opener: &Opener<'_>, end: usize) -> Option<Fence> {
        let column_offset = indentation(self.line(fence_line));
        let (mut text, mut removed) = (String::new(), Vec::new());
        let mut number = fence_line + 1;
        loop {
            if *self.line_starts.get(number)? >= end {
                return None;
            }
            let line = self.line(number);
            if opener.is_closed_by(line) {
                break;
            }
            let cut = indentation(line).min(column_offset);
            text.push_str(line.get(cut..).unwrap_or(line));
            text.push('\n');
            removed.push(cut);
            number += 1;
        }
        if column_offset == 0 {
            removed.clear();
        }
        Some(Fence {
            index: self.out.fences.len(),
            text,
            fence_line: fence_line + 1,
            first_line: fence_line + 2,
            column_offset,
            info: opener.info.to_owned(),
            removed,
        })
    }

    /// Looks for opening fences of briefs in the content of a code or HTML block.
    fn content(&mut self, range: std::ops::Range<usize>) {
        let Some(place) = self.inside else { return };
        let first = self.line_at(range.start);
        let content = self.text.get(range).unwrap_or("");
        for (offset, line) in content.split('\n').enumerate() {
            if Opener::read_indented(line).is_some_and(|opener| opener.is_brief()) {
                self.misplaced(first + offset, place);
            }
        }
    }

    fn misplaced(&mut self, line: usize, place: Place) {
        if self.out.misplaced.len() < MAX_MISPLACED {
            let diagnostic = place.diagnostic(line + 1, self.line(line));
            self.out.misplaced.push(Misplaced { line: line + 1, place, diagnostic });
        }
    }

    fn finish(mut self) -> Extraction {
        if let Some(first) = self.out.fences.get(MAX_BRIEFS_PER_TEXT) {
            let line = self.line(first.fence_line - 1);
            self.out.refused = Some(too_many(self.out.fences.len(), first, line));
            self.out.fences.clear();
        }
        self.out
    }

    /// Returns the number, from 0, of the line that holds the byte at `offset`.
    fn line_at(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    fn line_end(&self, number: usize) -> usize {
        self.line_starts.get(number + 1).map_or(self.text.len(), |next| next - 1)
    }

    fn line(&self, number: usize) -> &'t str {
        let start = self.line_starts.get(number).copied().unwrap_or(self.text.len());
        self.text.get(start..self.line_end(number)).unwrap_or("")
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn too_large(bytes: usize) -> Diagnostic {
    Diagnostic {
        code: codes::TEXT_TOO_LARGE,
        severity: Severity::Error,
        line: 1,
        column: 1,
        message: format!("The text has {bytes} bytes; {MAX_TEXT_BYTES} are looked through at most."),
        help: "Put the brief into a text of its own.".to_owned(),
        snippet: None,
    }
}

fn too_many(count: usize, first: &Fence, line: &str) -> Diagnostic {
    Diagnostic {
        code: codes::TOO_MANY_BRIEFS,
        severity: Severity::Error,
        line: first.fence_line,
        column: first.column_offset + 1,
        message: format!(
            "The text holds {count} briefs; it may hold {MAX_BRIEFS_PER_TEXT}. None of them runs."
        ),
        help: "Spread the briefs over several comments.".to_owned(),
        snippet: Some(Snippet::new(line, first.column_offset, line.len() - first.column_offset)),
    }
}
