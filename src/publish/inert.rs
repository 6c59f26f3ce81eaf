//! Makes strangers' text inert: what a step prints or a brief says is shown on GitHub, and does
//! nothing there.
//!
//! Three kinds of place need three kinds of care. In Markdown ([`inert_inline`]) every character that
//! Markdown or HTML gives a meaning is escaped. In a code block ([`inert_block`]) only the fence can be
//! broken. In plain text such as a title or a commit message ([`inert_plain_line`]) nothing can be
//! escaped, so that what GitHub would act on is broken by a zero-width space. [`visible`] comes first
//! in all of them: it removes terminal sequences and shows what the eye would miss.
//!
//! What is left alone: commit ids, which GitHub may turn into links to that very commit, and mentions
//! in code blocks, which GitHub does not act on.

use serde::Serialize;

/// Parts a reference for GitHub's eyes only; Dependabot and Renovate break theirs in the same way.
/// An entity such as `&#64;` does not help: GitHub looks for mentions after the Markdown is rendered.
pub(super) const BREAK: char = '\u{200B}';
/// Is [`BREAK`] as it stands in Markdown and HTML, where a reader of the source can see it.
const BREAK_ENTITY: &str = "&#8203;";

/// Returns `text` on one line as Markdown that renders as that text and as nothing else.
///
/// It can stand in a paragraph, a heading, a list item and a table cell. Mentions, references to
/// issues, closing keywords and addresses of every kind are shown, but are no links.
pub fn inert_inline(text: &str) -> String {
    let chars: Vec<char> = one_line(&visible(text)).chars().collect();
    let digits = chars.iter().take_while(|c| c.is_ascii_digit()).count();
    let mut out = String::with_capacity(chars.len() + 16);
    for (at, &c) in chars.iter().enumerate() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Also in a table cell, where a backslash would do, this needs no knowledge of the place.
            '|' => out.push_str("&#124;"),
            // GitHub documents the span to keep a dollar sign from starting a formula; the backslash is
            // for parsers that look for formulas before they look for tags.
            '$' => out.push_str("<span>\\$</span>"),
            '#' | '-' | '+' | '=' | '/' if at == 0 => out.extend(['\\', c]),
            '.' | ')' if at > 0 && at == digits && chars.get(at + 1).is_none_or(|c| c.is_whitespace()) => {
                out.extend(['\\', c]);
            }
            _ => out.push(c),
        }
        if acts(&chars, at) || links(&chars, at) {
            out.push_str(BREAK_ENTITY);
        }
    }
    out
}

/// Returns a sentence of ours by [`inert_inline`], with what it quotes in backticks as code spans. The
/// quoted words may be a stranger's: pieces cut in another way than meant are inert all the same.
pub fn inert_sentence(text: &str) -> String {
    let line = one_line(&visible(text));
    let pieces: Vec<&str> = line.split('`').collect();
    // Spans without words between them would run together.
    let inner = pieces.get(1..pieces.len() - 1).unwrap_or_default();
    if pieces.len().is_multiple_of(2) || inner.iter().any(|piece| piece.trim().is_empty()) {
        return inert_inline(&line);
    }
    let mut out = String::with_capacity(line.len() + 16);
    for (number, piece) in pieces.iter().enumerate() {
        if number % 2 == 1 {
            out.push_str(&code_span(piece));
            continue;
        }
        let (head, tail) = (piece.starts_with(' '), piece.len() > 1 && piece.ends_with(' '));
        out.extend(head.then_some(' '));
        out.push_str(&inert_inline(piece));
        out.extend(tail.then_some(' '));
    }
    out
}

/// Returns `text` on one line for a place where only HTML is read, such as a `<summary>`.
pub fn inert_html(text: &str) -> String {
    let chars: Vec<char> = one_line(&visible(text)).chars().collect();
    let mut out = String::with_capacity(chars.len() + 16);
    for (at, &c) in chars.iter().enumerate() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '$' => out.push_str("<span>$</span>"),
            _ => out.push(c),
        }
        if acts(&chars, at) || links(&chars, at) {
            out.push_str(BREAK_ENTITY);
        }
    }
    out
}

/// Returns `text` as one line of plain text, such as a title, with everything broken that GitHub
/// would act on. Links stay links, but for those to an issue or a pull request.
pub fn inert_plain_line(text: &str) -> String {
    inert_plain_text(&one_line(&visible(text)))
}

/// Returns `text` as plain text of several lines, such as a commit message, with everything broken
/// that GitHub would act on when the text reaches the default branch.
pub fn inert_plain_text(text: &str) -> String {
    let chars: Vec<char> = visible(text).chars().collect();
    let mut out = String::with_capacity(text.len());
    for (at, &c) in chars.iter().enumerate() {
        out.push(c);
        if acts(&chars, at) || names_thread(&chars, at) || skips_checks(&chars, at) {
            out.push(BREAK);
        }
    }
    out
}

/// Returns `text` as a Markdown code block: a fence longer than any like run within, the language
/// `info` (letters, digits, `+`, `-` are kept) and the text, with [`visible`] done to it.
///
/// A line that starts with `/` and a letter gets a space before it: programs that take commands from
/// comments read the raw text, and would take `/approve` from the log of a run for ours.
pub fn inert_block(text: &str, info: &str) -> String {
    let body = block_text(text);
    let (ticks, tildes) = (longest_run(&body, '`'), longest_run(&body, '~'));
    // Backticks are what people know; a flood of them shall not make the fence as long as the text.
    let (mark, run) = if ticks > 16 && tildes < ticks { ('~', tildes) } else { ('`', ticks) };
    let fence: String = std::iter::repeat_n(mark, run.max(2) + 1).collect();
    let info: String = info.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-')).collect();
    format!("{fence}{info}\n{body}\n{fence}")
}

/// Returns `text` on one line as a Markdown code span. Not for table cells, where a `|` would end it:
/// use [`inert_inline`] there.
pub fn code_span(text: &str) -> String {
    let line = one_line(&visible(text));
    if line.is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(&line, '`') + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// Returns `value` as JSON in one HTML comment of one line, which GitHub keeps and does not show.
///
/// Nothing in it can end the comment, open a tag or name a person: `<`, `>`, `&`, `@`, `#`, backticks,
/// the second of two `-` and all that is not ASCII are written as `\uXXXX`.
///
/// # Errors
/// Fails if `value` cannot be written as JSON, such as a map with keys that are no strings.
pub fn html_comment_json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let json = serde_json::to_string(value)?;
    let mut out = String::with_capacity(json.len() + 16);
    out.push_str("<!-- ");
    for c in json.chars() {
        // Outside a string JSON has none of these and never two `-`, so that each stands in a string,
        // where an escape means the same.
        let escape = matches!(c, '<' | '>' | '&' | '@' | '#' | '`') || (c == '-' && out.ends_with('-'));
        if escape || !c.is_ascii() || c == '\u{7F}' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out.push_str(" -->");
    Ok(out)
}

/// Returns `text` cut to at most `max` characters: the middle gives way to `…`.
pub fn truncate_middle(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let kept = max.saturating_sub(1);
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    let start = text.chars().take(head);
    let end = text.chars().skip(count - tail);
    start.chain(std::iter::once('…').take(max)).chain(end).collect()
}

/// Returns `text` as a reader shall see it: terminal sequences are gone, a carriage return that would
/// have overwritten a line starts a new one, and control, bidi, tag and other invisible characters
/// stand as `\u{202E}`. Line feeds, tabs, emoji and joined scripts stay as they are.
pub fn visible(text: &str) -> String {
    let chars = without_terminal_sequences(text);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let before = at.checked_sub(1).and_then(|i| chars.get(i)).copied();
        let after = chars.get(at + 1).copied();
        match c {
            '\r' if matches!(after, Some('\r' | '\n')) => {}
            '\r' => out.push('\n'),
            _ if is_hidden(c) && !joins(c, before, after) => out.push_str(&c.escape_unicode().to_string()),
            _ => out.push(c),
        }
        at += 1;
    }
    out
}

/// Tells whether a reader would not see `c`, or would see other text for it: control characters but
/// line feed and tab, bidi controls, tags, joiners, fillers, variation selectors, noncharacters.
pub fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // Unicode's Default_Ignorable_Code_Point, and the line and paragraph separators.
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' => true,
        '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' => true,
        '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' => true,
        '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' => true,
        '\u{E0000}'..='\u{E0FFF}' | '\u{FDD0}'..='\u{FDEF}' => true,
        _ => c.is_control() || (c as u32) & 0xFFFE == 0xFFFE,
    }
}

/// Tells whether a hidden character does honest work where it stands: one variation selector after a
/// symbol (`⚠️`), one joiner between two characters of an emoji or of a script that needs it.
fn joins(c: char, before: Option<char>, after: Option<char>) -> bool {
    let shown = |c: char| !c.is_ascii() && !is_hidden(c);
    match c {
        '\u{FE0E}' | '\u{FE0F}' => before.is_some_and(|b| shown(b) || matches!(b, '0'..='9' | '#' | '*')),
        '\u{200C}' | '\u{200D}' => {
            before.is_some_and(|b| shown(b) || b == '\u{FE0F}') && after.is_some_and(shown)
        }
        _ => false,
    }
}

/// Returns the characters of `text` without ECMA-48 terminal sequences, the 8-bit forms included.
/// A string that never ends takes at most the rest of its line with it.
fn without_terminal_sequences(text: &str) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let kind = match c {
            '\u{1B}' => match rest.peek().copied() {
                Some(next @ (' '..='~')) => {
                    rest.next();
                    next
                }
                _ => continue,
            },
            '\u{9B}' => '[',
            '\u{90}' | '\u{98}' | '\u{9D}'..='\u{9F}' => ']',
            _ => {
                out.push(c);
                continue;
            }
        };
        match kind {
            '[' => {
                while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                rest.next_if(|c| matches!(c, '@'..='~'));
            }
            ']' | 'P' | 'X' | '^' | '_' => skip_control_string(&mut rest),
            ' '..='/' => {
                while rest.next_if(|c| matches!(c, ' '..='/')).is_some() {}
                rest.next_if(|c| matches!(c, '0'..='~'));
            }
            _ => {}
        }
    }
    out
}

fn skip_control_string(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(c) = rest.next_if(|c| !matches!(c, '\n' | '\r')) {
        match c {
            '\u{07}' | '\u{9C}' => return,
            '\u{1B}' => {
                rest.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// Returns what [`inert_block`] puts between its fences.
fn block_text(text: &str) -> String {
    let shown = visible(text);
    let mut out = String::with_capacity(shown.len());
    for (number, line) in shown.trim_end_matches('\n').split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        let mut chars = line.chars();
        if chars.next() == Some('/') && chars.next().is_some_and(|c| c.is_ascii_alphabetic()) {
            out.push(' ');
        }
        out.push_str(line);
    }
    out
}

/// Returns `text` with every run of white space, line feeds too, as one space.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Tells whether GitHub would act on the reference that the character at `at` starts: `@name`, `#1`,
/// `GH-1`. Closing keywords need one of these, or an address.
pub(super) fn acts(chars: &[char], at: usize) -> bool {
    let next = chars.get(at + 1);
    match chars[at] {
        '@' => next.is_some_and(|c| !c.is_whitespace()),
        '#' => next.is_some_and(char::is_ascii_digit),
        '-' => next.is_some_and(char::is_ascii_digit) && ends_with_word(&chars[..at], "gh"),
        _ => false,
    }
}

/// Tells whether GitHub would make a link of the address that the character at `at` is part of.
fn links(chars: &[char], at: usize) -> bool {
    match chars[at] {
        ':' => chars.get(at + 1..at + 3) == Some(&['/', '/']),
        'w' | 'W' => chars.get(at + 1) == Some(&'.') && ends_with_word(&chars[..=at], "www"),
        _ => false,
    }
}

/// Tells whether `at` is the last `/` of an address of an issue, pull request or discussion.
pub(super) fn names_thread(chars: &[char], at: usize) -> bool {
    let before = &chars[..at];
    // Markdown takes the backslash out of an address.
    let before = before.strip_suffix(&['\\']).unwrap_or(before);
    chars[at] == '/'
        && chars.get(at + 1).is_some_and(char::is_ascii_digit)
        && ["/issues", "/pull", "/pulls", "/discussions"].iter().any(|w| ends_with_word(before, w))
}

/// Tells whether the character at `at` starts what keeps a commit's checks from running: `[skip ci]`
/// and its like, `***NO_CI***`, or the trailer `skip-checks: true`.
fn skips_checks(chars: &[char], at: usize) -> bool {
    let behind = || chars.iter().skip(at + 1).take(40).collect::<String>().to_ascii_lowercase();
    match chars[at] {
        '[' => behind().split_once(']').is_some_and(|(inner, _)| inner.contains("skip") || inner == "no ci"),
        '_' => ends_with_word(&chars[..at], "no") && behind().starts_with("ci"),
        '-' => ends_with_word(&chars[..at], "skip") && behind().starts_with("checks"),
        _ => false,
    }
}

fn ends_with_word(chars: &[char], word: &str) -> bool {
    chars.len() >= word.len()
        && chars[chars.len() - word.len()..].iter().zip(word.chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b))
}

/// Returns the length of the longest run of `mark` in `text`.
pub(super) fn longest_run(text: &str, mark: char) -> usize {
    text.split(|c| c != mark).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
pub(super) mod independent;
#[cfg(test)]
pub(super) mod tests;
