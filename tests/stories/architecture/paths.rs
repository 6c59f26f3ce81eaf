//! Finds the paths that Rust source names, `use` trees expanded, without comments and strings.

/// One word or sign of the source, with its line from 1.
struct Token {
    line: usize,
    text: String,
}

/// Returns each path, such as `crate::store::Blobs`, with the line on which it starts.
pub(super) fn paths(source: &str) -> Vec<(usize, Vec<String>)> {
    let tokens = tokens(source);
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_word(&tokens[at].text) {
            at = path(&tokens, at, &[], &mut out);
        } else {
            at += 1;
        }
    }
    out
}

/// Reads one path from `at`, its groups too, and returns the place after it.
fn path(tokens: &[Token], mut at: usize, before: &[String], out: &mut Vec<(usize, Vec<String>)>) -> usize {
    let line = tokens[at].line;
    let mut path = before.to_vec();
    loop {
        match tokens.get(at).map(|t| t.text.as_str()) {
            Some("{") => return group(tokens, at + 1, &path, out),
            Some(word) if is_word(word) => path.push(word.to_owned()),
            // `a::*`, or `a::<T>`: the path ends, what follows is read on its own.
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|t| t.text != "::") {
            break;
        }
        at += 1;
    }
    out.push((line, path));
    at
}

/// Reads `{a, b::c}` from after its brace, and returns the place after the closing one.
fn group(tokens: &[Token], mut at: usize, before: &[String], out: &mut Vec<(usize, Vec<String>)>) -> usize {
    while let Some(token) = tokens.get(at) {
        at = match token.text.as_str() {
            "}" => return at + 1,
            "as" => at + 2,
            "{" => group(tokens, at + 1, before, out),
            word if is_word(word) => path(tokens, at, before, out),
            _ => at + 1,
        };
    }
    at
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let rest = &chars[at..];
        let (length, is_token) = match rest {
            ['/', '/', ..] => (rest.iter().take_while(|c| **c != '\n').count(), false),
            ['/', '*', ..] => (block_comment(rest), false),
            ['"', ..] => (string(rest), false),
            ['r', '"' | '#', ..] | ['b', 'r', '"' | '#', ..] => match raw_string(rest) {
                Some(length) => (length, false),
                None => (1, true),
            },
            // A character, not a lifetime: `'x'` or `'\…'`.
            ['\'', '\\', _, tail @ ..] => (3 + tail.iter().take_while(|c| **c != '\'').count() + 1, false),
            ['\'', _, '\'', ..] => (3, false),
            ['\'', ..] => (1 + rest[1..].iter().take_while(|c| in_word(**c)).count(), false),
            [':', ':', ..] => (2, true),
            [c, ..] if in_word(*c) => (rest.iter().take_while(|c| in_word(**c)).count(), true),
            [c, ..] => (1, !c.is_whitespace()),
            [] => break,
        };
        let end = (at + length.max(1)).min(chars.len());
        if is_token {
            out.push(Token { line, text: chars[at..end].iter().collect() });
        }
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    out
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => depth += 1,
            ['*', '/', ..] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Returns the length of `r#"…"#`, or nothing for a raw identifier such as `r#type`.
fn raw_string(rest: &[char]) -> Option<usize> {
    let start = rest.iter().take_while(|c| matches!(c, 'b' | 'r')).count();
    let hashes = rest[start..].iter().take_while(|c| **c == '#').count();
    let body = start + hashes + 1;
    (rest.get(body - 1) == Some(&'"')).then_some(())?;
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let length = rest.get(body..)?.windows(end.len()).position(|window| window == end)?;
    Some(body + length + end.len())
}
