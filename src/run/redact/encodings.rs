//! The encodings in which a secret is looked for: those that GitHub Actions masks, and a few more.
//!
//! Base64 is looked for at each of the three places at which a secret can stand in it, without the
//! characters that hold bits of what stands beside it.

use std::collections::BTreeSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode};

use super::SHORTEST_SECRET;

/// What stays as it is by RFC 3986, in JavaScript's `encodeURIComponent`, in forms, and in a whole address.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const COMPONENT: AsciiSet = UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');
const FORM: AsciiSet = UNRESERVED.add(b'~').remove(b'*');
const ADDRESS: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'%')
    .add(b'\\')
    .add(b'^');

/// Returns everything that is looked for of one secret: each of its [`pieces`] in each encoding. A whole
/// of several lines in base64 or hex holds them, too.
pub(super) fn patterns(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    for piece in pieces(secret) {
        binary(&piece, &mut found);
        if let Ok(text) = str::from_utf8(&piece) {
            found.extend(texts(text).into_iter().map(String::into_bytes));
        }
        found.insert(piece);
    }
    found.retain(|pattern| pattern.len() >= SHORTEST_SECRET);
    found
}

/// Returns the parts of a secret that are secrets themselves: its lines, because a program may print one
/// alone or indent them, or the whole where no line is long enough.
pub(super) fn pieces(secret: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<Vec<u8>> = secret
        .split(|&byte| byte == b'\n' || byte == b'\r')
        .map(<[u8]>::trim_ascii)
        .filter(|line| line.len() >= SHORTEST_SECRET)
        .map(<[u8]>::to_vec)
        .collect();
    let whole = secret.trim_ascii();
    if lines.is_empty() && whole.len() >= SHORTEST_SECRET { vec![whole.to_vec()] } else { lines }
}

/// Adds base64 and hex.
fn binary(value: &[u8], found: &mut BTreeSet<Vec<u8>>) {
    for shift in 0..3 {
        let shifted = [&b"\0\0"[..shift], value].concat();
        let (first, last) = ([0, 2, 3][shift], shifted.len() * 8 / 6);
        let mut add = |text: String, end: usize| found.insert(text.as_bytes()[first..end].to_vec());
        for (padded, bare) in [(STANDARD, STANDARD_NO_PAD), (URL_SAFE, URL_SAFE_NO_PAD)] {
            let text = bare.encode(&shifted);
            let end = text.len();
            add(text.clone(), last);
            // Where nothing follows, the last bits are known.
            add(text, end);
            let text = padded.encode(&shifted);
            let end = text.len();
            add(text, end);
        }
    }
    found.insert(hex::encode(value).into_bytes());
    found.insert(hex::encode_upper(value).into_bytes());
}

/// Returns the encodings that stay text.
fn texts(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    for set in [&UNRESERVED, &COMPONENT, &FORM, &ADDRESS] {
        let upper = percent_encode(value.as_bytes(), set).to_string();
        let lower = lower_hex(&upper);
        found.extend([upper.replace("%20", "+"), lower.replace("%20", "+"), upper, lower]);
    }
    found.extend(json(value));
    found.extend(xml(value));
    found.extend(shell(value));
    // An expression of Actions doubles quotes; PowerShell tells of what stands beside an ampersand.
    found.push(value.replace('\'', "''"));
    found.push(value.trim_matches('"').to_owned());
    if value.contains('&') {
        found.extend(value.split('&').map(|part| part.trim().to_owned()));
    }
    found
}

/// Turns the digits after each `%` to lower case.
fn lower_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        lower.push('%');
        lower.push_str(&digits.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
}

/// Returns the value within a JSON string, as most write it, with escaped slashes, as ASCII, and safe
/// for HTML.
fn json(value: &str) -> [String; 4] {
    let quoted = serde_json::Value::from(value).to_string();
    let plain = quoted[1..quoted.len() - 1].to_owned();
    let units = |text: &str, escaped: fn(char) -> bool| {
        let mut out = String::new();
        for character in text.chars() {
            if escaped(character) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _written = write!(out, "\\u{unit:04x}");
                }
            } else {
                out.push(character);
            }
        }
        out
    };
    let ascii = units(&plain, |character| !character.is_ascii());
    let safe = units(&plain, |character| matches!(character, '<' | '>' | '&'));
    [plain.replace('/', "\\/"), plain, ascii, safe]
}

/// Returns the value within XML or HTML, with `>` and with quotes as they are and in their escapes.
fn xml(value: &str) -> Vec<String> {
    let least = value.replace('&', "&amp;").replace('<', "&lt;");
    let quotes =
        [("\"", "'"), ("&quot;", "'"), ("&quot;", "&apos;"), ("&quot;", "&#39;"), ("&quot;", "&#x27;")];
    let texts = [least.replace('>', "&gt;"), least];
    let both = |text: &String| quotes.map(|(double, single)| text.replace('"', double).replace('\'', single));
    texts.iter().flat_map(both).collect()
}

/// Returns the value as shells quote it: by backslashes, in single quotes (Bash's way and Python's), in
/// double quotes, and after a dollar sign.
fn shell(value: &str) -> [String; 5] {
    let escaped = |is: fn(char) -> bool| {
        let mut out = String::new();
        for character in value.chars() {
            if is(character) {
                out.push('\\');
            }
            out.push(character);
        }
        out
    };
    [
        escaped(|it| it.is_ascii() && !it.is_ascii_alphanumeric() && !"_@%+=:,./-".contains(it)),
        value.replace('\'', "'\\''"),
        value.replace('\'', "'\"'\"'"),
        escaped(|it| matches!(it, '"' | '\\' | '$' | '`')),
        escaped(|it| matches!(it, '\'' | '\\')),
    ]
}
