//! What a word of a script is before the run: a known text, a pattern of file names, or something that
//! only the run knows.

use tree_sitter::Node;

/// The home of steps, which `~` stands for.
pub(super) const HOME: &str = "/home/codex";

/// What is known of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// The word is this text, quotes and escapes undone.
    Literal(String),
    /// The word is every name of a file that this pattern fits.
    Pattern(String),
    /// Only the run knows it; tells what it is made from.
    Unknown(&'static str),
}

/// A word, with the text that stands in the script.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub shown: String,
    pub value: Value,
    /// Tells whether a part of it is quoted or escaped, so that it is neither a keyword nor an assignment.
    pub quoted: bool,
}

impl Word {
    /// Reads the word of a node.
    pub(super) fn read(node: Node<'_>, source: &str) -> Self {
        let shown = source.get(node.byte_range()).unwrap_or_default().to_owned();
        let mut chars = Vec::new();
        let value = match pieces(node, source, &mut chars) {
            Ok(()) => value(&chars),
            Err(reason) => Value::Unknown(reason),
        };
        Self { shown, value, quoted: chars.iter().any(|(_, quoted)| *quoted) }
    }

    /// Makes a word that is what it shows.
    pub(super) fn literal(text: &str) -> Self {
        Self { shown: text.to_owned(), value: Value::Literal(text.to_owned()), quoted: false }
    }

    /// Returns the text, when it is known.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Literal(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the name and the value of a word that bash takes for an assignment where a command begins.
    pub(super) fn assignment(&self) -> Option<&str> {
        let name = self.shown.split_once('=')?.0;
        let name = name.strip_suffix('+').unwrap_or(name);
        let name = name.split('[').next().unwrap_or(name);
        is_name(name).then_some(name)
    }
}

/// Tells whether a text can be a variable's name.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What is told when two readings of the same quotes are possible.
const OTHER_QUOTES: &str = "quotes that can be read in two ways";

/// Collects the characters of a word, each with whether it is quoted.
fn pieces(node: Node<'_>, source: &str, out: &mut Vec<(char, bool)>) -> Result<(), &'static str> {
    let text = source.get(node.byte_range()).unwrap_or_default();
    match node.kind() {
        "concatenation" | "command_name" => {
            let mut end = node.start_byte();
            let mut cursor = node.walk();
            for child in node.children(&mut cursor) {
                if child.start_byte() != end {
                    return Err("words that a line's end joins");
                }
                end = child.end_byte();
                pieces(child, source, out)?;
            }
            if end == node.start_byte() { plain(text, out) } else { Ok(()) }
        }
        "string" => {
            let mut cursor = node.walk();
            for child in node.named_children(&mut cursor) {
                match child.kind() {
                    "string_content" => {}
                    kind => return Err(made_from(kind)),
                }
            }
            double_quoted(text, out)
        }
        "raw_string" => {
            let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
            let inner = inner.filter(|inner| !inner.contains('\'')).ok_or(OTHER_QUOTES)?;
            // An empty quote makes a word too, and one that is quoted.
            out.extend(inner.chars().map(|c| (c, true)));
            Ok(())
        }
        "ansi_c_string" => ansi_c(text, out),
        "word" | "number" | "variable_name" | "special_variable_name" | "test_operator" => plain(text, out),
        kind if !node.is_named() && node.child_count() == 0 && kind != "``" => {
            out.extend(kind.chars().map(|c| (c, true)));
            Ok(())
        }
        kind => Err(made_from(kind)),
    }
}

fn made_from(kind: &str) -> &'static str {
    match kind {
        "simple_expansion" | "expansion" => "a variable",
        "command_substitution" => "the output of a command",
        "process_substitution" => "the pipe of a process substitution",
        "arithmetic_expansion" => "the result of arithmetic",
        "brace_expression" => "a brace expansion",
        "translated_string" => "a text that is translated",
        _ => "something that cannot be read before the run",
    }
}

fn plain(text: &str, out: &mut Vec<(char, bool)>) -> Result<(), &'static str> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\n') => return Err("words that a line's end joins"),
                Some(next) => out.push((next, true)),
                None => return Err(OTHER_QUOTES),
            },
            '$' | '`' | '"' | '\'' => return Err(OTHER_QUOTES),
            c => out.push((c, false)),
        }
    }
    Ok(())
}

fn double_quoted(text: &str, out: &mut Vec<(char, bool)>) -> Result<(), &'static str> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or(OTHER_QUOTES)?;
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(next @ ('$' | '`' | '"' | '\\')) => out.push((next, true)),
                Some(next) => out.extend([('\\', true), (next, true)]),
                None => return Err(OTHER_QUOTES),
            },
            '"' | '`' => return Err(OTHER_QUOTES),
            '$' if chars
                .peek()
                .is_some_and(|next| next.is_alphanumeric() || "_({[*@#?!$-".contains(*next)) =>
            {
                return Err(OTHER_QUOTES);
            }
            c => out.push((c, true)),
        }
    }
    Ok(())
}

/// Undoes `$'…'` as bash does. What makes bytes that are no character, or ends the text, is refused.
fn ansi_c(text: &str, out: &mut Vec<(char, bool)>) -> Result<(), &'static str> {
    let inner = text.strip_prefix("$'").and_then(|text| text.strip_suffix('\'')).ok_or(OTHER_QUOTES)?;
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            return Err(OTHER_QUOTES);
        }
        if c != '\\' {
            out.push((c, true));
            continue;
        }
        let code = match chars.next() {
            Some('n') => Some(10),
            Some('t') => Some(9),
            Some('r') => Some(13),
            Some('a') => Some(7),
            Some('b') => Some(8),
            Some('e' | 'E') => Some(27),
            Some('f') => Some(12),
            Some('v') => Some(11),
            Some(c @ ('\\' | '\'' | '"' | '?')) => Some(u32::from(c)),
            Some('x') => digits(&mut chars, 16, 2, None).filter(|code| *code < 128),
            Some('u') => digits(&mut chars, 16, 4, None),
            Some('U') => digits(&mut chars, 16, 8, None),
            Some(c @ '0'..='7') => digits(&mut chars, 8, 3, Some(c)).filter(|code| *code < 128),
            Some('c') | None => None,
            Some(other) => {
                out.push(('\\', true));
                Some(u32::from(other))
            }
        };
        let c = code.filter(|code| *code > 0).and_then(char::from_u32);
        out.push((c.ok_or("escapes that make bytes and no characters")?, true));
    }
    Ok(())
}

fn digits(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    radix: u32,
    most: usize,
    first: Option<char>,
) -> Option<u32> {
    let mut digits: String = first.into_iter().collect();
    while digits.len() < most {
        let Some(digit) = chars.next_if(|c| c.is_digit(radix)) else { break };
        digits.push(digit);
    }
    u32::from_str_radix(&digits, radix).ok()
}

fn value(chars: &[(char, bool)]) -> Value {
    let bare = |at: usize, wanted: char| chars.get(at) == Some(&(wanted, false));
    let has = |wanted: char| chars.contains(&(wanted, false));
    let mut text: String = chars.iter().map(|(c, _)| *c).collect();
    let dots = (1..chars.len()).any(|at| bare(at, '.') && bare(at - 1, '.'));
    if has('{') && has('}') && (has(',') || dots) {
        return Value::Unknown("a brace expansion");
    }
    if bare(0, '~') {
        match chars.get(1) {
            None | Some(('/', _)) => text.replace_range(..1, HOME),
            _ => return Value::Unknown("a folder that `~` stands for"),
        }
    }
    if has('*') || has('?') || (has('[') && has(']')) {
        return Value::Pattern(text);
    }
    Value::Literal(text)
}
