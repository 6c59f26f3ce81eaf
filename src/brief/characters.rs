//! Which characters a brief may not hold, because a reader would not see what runs.

use std::fmt::Write as _;

/// Why a character is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// It changes the direction in which text is shown, so code reads other than it runs.
    Bidi,
    /// It is a tag character: invisible text that models read and people do not.
    Tag,
    /// It is shown as nothing.
    Invisible,
    /// It is a control character other than line feed and tab, or no character at all.
    Control,
}

/// Stands in for a refused character while the YAML is read, so that columns stay and later rules
/// know that the value was already told about. It is a noncharacter, and refused itself.
pub(crate) const STAND_IN: char = '\u{FDD0}';

/// Tells why `c` is refused, given the character before it; `None` when it may stand.
///
/// The emoji and text variation selectors (U+FE0F, U+FE0E) may follow a symbol, once: keyboards put
/// them behind many emoji, and one selector behind one symbol can neither hide nor carry text.
/// Every other selector is refused, since runs of them are used to smuggle bytes. The joiners
/// U+200C and U+200D are refused although some scripts and emoji use them: between two letters of
/// a path or a command they are invisible.
pub(crate) fn classify(c: char, previous: Option<char>) -> Option<Forbidden> {
    match c {
        '\n' | '\t' => None,
        '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
            Some(Forbidden::Bidi)
        }
        '\u{E0000}'..='\u{E007F}' => Some(Forbidden::Tag),
        '\u{FE0E}' | '\u{FE0F}' => (!previous.is_some_and(takes_a_selector)).then_some(Forbidden::Invisible),
        c if is_invisible(c) => Some(Forbidden::Invisible),
        c if c.is_control() || is_noncharacter(c) => Some(Forbidden::Control),
        _ => None,
    }
}

/// Lists the characters with `Default_Ignorable_Code_Point` and the two line separators that
/// neither Markdown nor YAML takes for the end of a line.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200D}' | '\u{2028}' | '\u{2029}'
        | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0D}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0080}'..='\u{E0FFF}')
}

fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{FDD0}'..='\u{FDEF}') || (c as u32 & 0xFFFE) == 0xFFFE
}

fn takes_a_selector(c: char) -> bool {
    let symbol = matches!(c, '#' | '*' | '0'..='9' | '\u{A9}' | '\u{AE}'
        | '\u{203C}'..='\u{3299}' | '\u{1F000}'..='\u{1FAFF}');
    symbol && classify(c, None).is_none()
}

/// Tells whether a name or a path may not hold `c`, which is stricter than [`classify`]: a variation
/// selector or a space that is not U+0020 makes two names that look the same.
pub(crate) fn misleads_in_a_name(c: char) -> bool {
    matches!(c, '\u{FE0E}' | '\u{FE0F}') || (c != ' ' && c.is_whitespace()) || c.is_control()
}

/// Writes `c` to `out` so that a reader sees it: refused characters as `\u{202E}`.
pub(crate) fn push_visible(out: &mut String, c: char, previous: Option<char>) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        c if classify(c, previous).is_some() || c == '\r' => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:X}}}", c as u32);
        }
        c => out.push(c),
    }
}

/// Quotes a stranger's value for a message: on one line, every character visible, at most
/// `limit` characters, between backticks.
pub(crate) fn quote(value: &str, limit: usize) -> String {
    let mut out = String::from("`");
    let mut previous = None;
    for (count, c) in value.chars().enumerate() {
        if count == limit {
            out.push('…');
            break;
        }
        push_visible(&mut out, c, previous);
        previous = Some(c);
    }
    out.push('`');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_reorders_is_refused() {
        let cases = [
            ("\u{202A}\u{202B}\u{202C}\u{202D}\u{202E}\u{2066}\u{2067}\u{2068}\u{2069}", Forbidden::Bidi),
            ("\u{200E}\u{200F}\u{061C}", Forbidden::Bidi),
            ("\u{E0001}\u{E0041}\u{E007F}", Forbidden::Tag),
            (
                "\u{200B}\u{200C}\u{200D}\u{2060}\u{FEFF}\u{AD}\u{115F}\u{1160}\u{3164}\u{FFA0}",
                Forbidden::Invisible,
            ),
            ("\u{FE00}\u{E0100}\u{E01EF}\u{2028}\u{2029}\u{34F}\u{180E}", Forbidden::Invisible),
            ("\0\u{1}\u{8}\u{B}\u{C}\r\u{1B}\u{7F}\u{85}\u{9B}\u{FDD0}\u{FFFF}\u{1FFFE}", Forbidden::Control),
        ];
        for (text, reason) in cases {
            for c in text.chars() {
                assert_eq!(classify(c, Some('a')), Some(reason), "U+{:04X}", c as u32);
            }
        }
    }

    #[test]
    fn ordinary_text_of_any_script_stands() {
        let text = "a\tb\nçé日本語\u{3000}كتاب हिन्दी 한국어 ‘quotes’ … — €\u{A0}✓ 🚀 \u{FFFD}";
        for c in text.chars() {
            assert_eq!(classify(c, None), None, "U+{:04X}", c as u32);
        }
    }

    #[test]
    fn one_emoji_selector_may_follow_a_symbol() {
        assert_eq!(classify('\u{FE0F}', Some('⚠')), None);
        assert_eq!(classify('\u{FE0F}', Some('1')), None);
        for before in [None, Some('a'), Some(' '), Some('\u{FE0F}'), Some('\u{2060}')] {
            assert_eq!(classify('\u{FE0F}', before), Some(Forbidden::Invisible), "{before:?}");
        }
    }

    #[test]
    fn quoted_values_are_one_visible_line() {
        assert_eq!(quote("a\u{202E}b\n\u{1B}[31m", 80), r"`a\u{202E}b\n\u{1B}[31m`");
        assert_eq!(quote("日本語", 2), "`日本…`");
    }
}
