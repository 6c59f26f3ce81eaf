//! From a script to its syntax tree, within bounds, and what makes the tree doubtful.
//!
//! The grammar is tree-sitter's, which reads on after an error and reads a few things in another way
//! than bash (decision 7). [`doubts`] looks for those, so that they end as undecided.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{Node, ParseOptions, Parser, Tree, TreeCursor};

/// The largest script that is looked into, in bytes: as large as a brief can be.
const MAX_SCRIPT_BYTES: usize = 64 * 1024;
/// How many brackets may be open at a time. Some texts with more take the parser half a minute.
const MAX_OPEN: usize = 100;
/// How long all scripts of a brief may be parsed; 64 KiB of ordinary script take a tenth of it.
const MAX_TIME: Duration = Duration::from_secs(3);

/// The time that is left for parsing.
pub(super) struct Budget {
    deadline: Instant,
}

impl Budget {
    /// Starts the time. Nothing depends on the clock but whether a hostile script is given up.
    pub(super) fn new() -> Self {
        Self { deadline: Instant::now() + MAX_TIME }
    }

    /// Parses a script, or tells why it is not looked into.
    pub(super) fn parse(&self, source: &str) -> Result<Tree, &'static str> {
        if source.len() > MAX_SCRIPT_BYTES {
            return Err("the script has more than 64 KiB");
        }
        if most_open(source) > MAX_OPEN {
            return Err("the script nests too deeply");
        }
        // The parser takes it for the end, bash does not.
        if source.contains('\0') {
            return Err("the script holds a character that ends it for some readers");
        }
        let mut parser = Parser::new();
        if parser.set_language(&tree_sitter_bash::LANGUAGE.into()).is_err() {
            return Err("the grammar of bash is not there");
        }
        let bytes = source.as_bytes();
        let mut give_up = |_: &_| {
            if Instant::now() > self.deadline { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let options = ParseOptions::new().progress_callback(&mut give_up);
        let mut read = |at: usize, _| bytes.get(at..).unwrap_or_default();
        parser.parse_with_options(&mut read, None, Some(options)).ok_or("the script takes too long to parse")
    }
}

/// Returns how many brackets are open at a time at most; quotes are not looked at.
fn most_open(source: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'{' | b'[' => open += 1,
            b')' | b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// What makes a tree doubtful: a line from 1, and why.
pub(super) type Doubt = (usize, &'static str);

/// Returns what makes a tree doubtful; the first of each kind.
pub(super) fn doubts(tree: &Tree, source: &str) -> Vec<Doubt> {
    let mut found: Vec<Doubt> = Vec::new();
    let mut add = |line: usize, why: &'static str| {
        if !found.iter().any(|(_, known)| *known == why) {
            found.push((line, why));
        }
    };
    let mut end = 0;
    for_each(tree.walk(), |node, above| {
        let line = node.start_position().row + 1;
        if node.is_error() || node.is_missing() {
            add(line, "the script cannot be parsed here");
        }
        if node.kind() == "comment" && !is_comment(node, above.last(), source) {
            add(line, "`#` may begin a comment here, or not");
        }
        if node.kind() == "heredoc_redirect" && !ends_where_bash_ends_it(node, source) {
            add(line, "the here-document may end elsewhere");
        }
        if node.child_count() == 0 {
            if let Some(why) = gap(source, end, node, above) {
                add(line, why);
            }
            end = end.max(node.end_byte());
        }
    });
    if source.get(end..).is_some_and(|rest| !blank(rest)) {
        add(source.lines().count(), "the script cannot be parsed here");
    }
    found
}

/// Calls `visit` for each node with those above it, parents first, without recursion: a tree can be as deep
/// as its text is long. (A node looks its parent up from the root, each time.)
pub(super) fn for_each<'t>(mut cursor: TreeCursor<'t>, mut visit: impl FnMut(Node<'t>, &[Node<'t>])) {
    let mut above: Vec<Node<'t>> = Vec::new();
    loop {
        let node = cursor.node();
        visit(node, &above);
        if cursor.goto_first_child() {
            above.push(node);
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
            above.pop();
        }
    }
}

/// Tells why the text that the parser left out between two of its tokens may be more than blanks.
fn gap(source: &str, end: usize, next: Node<'_>, above: &[Node<'_>]) -> Option<&'static str> {
    let text = source.get(end..next.start_byte())?;
    if text.is_empty() {
        return None;
    }
    if above.last().is_some_and(|parent| parent.kind() == "heredoc_body") {
        let acts = text.contains('`') || text.contains("$(") || text.contains("${");
        return acts.then_some("the here-document cannot be parsed");
    }
    if !blank(text) {
        return Some(if text.contains('\r') {
            "a carriage return, which bash takes for a part of a word"
        } else {
            "a character that bash does not take for a blank"
        });
    }
    let unescaped = text.replace("\\\n", "");
    if unescaped.contains('\n') && next.kind() != "comment" && goes_on(next, above) {
        return Some("a line's end, behind which bash begins another command");
    }
    let joined = unescaped.is_empty();
    let before = source[..end].ends_with(['\n', ';', '|', '&', '(', ')', ' ', '\t']);
    let operator = next.kind().starts_with(['|', '&', ';', '<', '>']);
    (joined && (!before || operator)).then_some("words that a line's end joins")
}

/// Tells whether a token goes on with a command that began before it, outside of quotes and brackets.
fn goes_on(token: Node<'_>, above: &[Node<'_>]) -> bool {
    let around = above.iter().rev().find(|node| node.start_byte() < token.start_byte());
    around.is_some_and(|node| is_flat(node.kind()))
}

/// Tells whether a line's end also ends a node of this kind.
fn is_flat(kind: &str) -> bool {
    matches!(
        kind,
        "command"
            | "declaration_command"
            | "unset_command"
            | "redirected_statement"
            | "file_redirect"
            | "herestring_redirect"
            | "variable_assignment"
            | "variable_assignments"
            | "concatenation"
    )
}

/// Tells whether bash takes a text for blanks between words.
fn blank(text: &str) -> bool {
    text.replace("\\\n", "").bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n'))
}

/// Tells whether bash takes it for a comment too: it begins a word, and not inside of quotes.
fn is_comment(node: Node<'_>, parent: Option<&Node<'_>>, source: &str) -> bool {
    let before = &source[..node.start_byte()];
    let begins = before.is_empty() || before.ends_with([' ', '\t', '\n', ';', '&', '|', '(', ')']);
    let escaped = before.get(..before.len().saturating_sub(1)).is_some_and(|text| text.ends_with('\\'));
    let within = parent.is_none_or(|parent| {
        !matches!(
            parent.kind(),
            "string"
                | "concatenation"
                | "expansion"
                | "arithmetic_expansion"
                | "word"
                | "heredoc_body"
                | "ERROR"
        ) && !parent.kind().ends_with("_expression")
    });
    begins && !escaped && within
}

/// Tells whether a here-document's end is the first line that bash takes for it.
fn ends_where_bash_ends_it(node: Node<'_>, source: &str) -> bool {
    let text = |node: Node<'_>| source.get(node.byte_range()).unwrap_or_default();
    let (mut start, mut body, mut end, mut tabs) = ("", "", None, false);
    let mut cursor = node.walk();
    for child in node.children(&mut cursor) {
        match child.kind() {
            "heredoc_start" => start = text(child),
            "heredoc_body" => body = text(child),
            "heredoc_end" => end = Some(text(child)),
            "<<-" => tabs = true,
            _ => {}
        }
    }
    let Some(delimiter) = delimiter(start) else { return false };
    let same = |line: &str| if tabs { line.trim_start_matches('\t') == delimiter } else { line == delimiter };
    let joined = body.replace("\\\n", "");
    end.is_some_and(|end| end.trim_matches(['\t', '\n']) == delimiter)
        && !body.lines().any(same)
        && !joined.lines().any(same)
}

/// Returns the delimiter of a here-document, when it is one word that is quoted as a whole or not at all.
pub(super) fn delimiter(start: &str) -> Option<&str> {
    let inner = |quote| start.strip_prefix(quote).and_then(|text: &str| text.strip_suffix(quote));
    let word = inner('\'').or_else(|| inner('"')).or_else(|| start.strip_prefix('\\')).unwrap_or(start);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!word.is_empty() && word.chars().all(plain)).then_some(word)
}
