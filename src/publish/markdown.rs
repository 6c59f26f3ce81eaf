//! Markdown that somebody asked for under the App's name: it keeps its form, and acts on nothing.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::format::chars;
use super::inert::{BREAK, acts, inert_block, longest_run, names_thread, visible};

/// Stands behind a text that is looked at, to see whether it still is a paragraph of its own.
const SENTINEL: &str = "codexbriefsentinel";

/// Returns Markdown that looks as it was written, but for what would act: mentions, references to threads, raw
/// HTML, images (which GitHub would fetch for whoever reads) and commands of other programs. Links stay.
///
/// What acts is parted by a zero-width space, in code, too: whether something is code, two renderers may see
/// differently.
pub(super) fn inert_markdown(text: &str) -> String {
    let chars: Vec<char> = visible(text).chars().collect();
    let mut out = String::with_capacity(text.len() + 16);
    for (at, &c) in chars.iter().enumerate() {
        let next = chars.get(at + 1).copied();
        let starts_line = at == 0 || chars[at - 1] == '\n';
        if c == '/' && starts_line && next.is_some_and(|next| next.is_ascii_alphabetic()) {
            out.push(' ');
        }
        out.push(c);
        let breaks = match c {
            '<' => next.is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?')),
            '!' => next == Some('['),
            '&' => is_entity(&chars[at + 1..]),
            _ => acts(&chars, at) || names_thread(&chars, at),
        };
        if breaks {
            out.push(BREAK);
        }
    }
    out
}

/// Tells whether what stands behind a `&` makes a character of it, which could be an `@` or a `<`.
fn is_entity(behind: &[char]) -> bool {
    let end = behind.iter().take(40).position(|c| *c == ';');
    end.is_some_and(|end| end > 0 && behind[..end].iter().all(|c| c.is_ascii_alphanumeric() || *c == '#'))
}

/// Returns `text` by [`inert_markdown`], cut so that it has at most `max` characters, and how many characters of
/// the source are in it.
pub(super) fn markdown_within(text: &str, max: usize) -> (String, usize) {
    let mut limit = max.min(chars(text));
    loop {
        let part: String = text.chars().take(limit).collect();
        let out = inert_markdown(&part);
        if chars(&out) <= max || limit == 0 {
            return (out, limit);
        }
        limit = (limit * max / chars(&out)).min(limit - limit / 50 - 1);
    }
}

/// Returns `text` by [`inert_markdown`] such that what is written behind it, after an empty line, is no part of it:
/// an open code block is closed. At most `max` characters; what finds no room is told.
pub(super) fn enclosed_within(text: &str, max: usize) -> String {
    let room = max.saturating_sub(300);
    let (mut out, shown) = markdown_within(text.trim_end(), room);
    let all = chars(text.trim_end());
    let closers = || {
        let fence =
            |mark: char| format!("\n{}", mark.to_string().repeat(longest_run(text, mark).clamp(3, 100)));
        ["".to_owned(), fence('`'), fence('~')]
    };
    match closers().into_iter().find(|closer| is_apart(&format!("{out}{closer}"))) {
        Some(closer) => out.push_str(&closer),
        // Nested too oddly to be sure of: shown as it was written.
        None => {
            let part: String = text.chars().take(shown.min(room / 2)).collect();
            out = inert_block(&part, "markdown");
        }
    }
    if shown < all {
        out.push_str(&format!("\n\n… {} more characters find no room here.", all - shown));
    }
    out
}

/// Tells whether what follows a text is a paragraph at the top level.
fn is_apart(text: &str) -> bool {
    let whole = format!("{text}\n\n{SENTINEL}\n");
    let mut open = Vec::new();
    for event in Parser::new_ext(
        &whole,
        Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_TASKLISTS,
    ) {
        match event {
            Event::Start(tag) => open.push(matches!(tag, Tag::Paragraph)),
            Event::End(TagEnd::Paragraph) | Event::End(_) => drop(open.pop()),
            Event::Text(text) if text.contains(SENTINEL) => return open == [true],
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use comrak::nodes::NodeValue;
    use comrak::{Arena, Options as Comrak, parse_document};
    use proptest::prelude::*;

    use super::super::inert::tests::hostile;
    use super::*;

    fn as_github() -> Comrak<'static> {
        let mut options = Comrak::default();
        let extension = &mut options.extension;
        extension.strikethrough = true;
        extension.table = true;
        extension.autolink = true;
        extension.tasklist = true;
        extension.footnotes = true;
        options
    }

    /// Asserts by GitHub's own renderer that a text mentions nobody and holds neither HTML nor an image.
    fn assert_nothing_acts(markdown: &str) {
        let arena = Arena::new();
        let root = parse_document(&arena, markdown, &as_github());
        let mut text = String::new();
        for node in root.descendants() {
            match &node.data.borrow().value {
                NodeValue::HtmlBlock(_) | NodeValue::HtmlInline(_) | NodeValue::Image(_) => {
                    panic!("{:?}\n{markdown}", node.data.borrow().value)
                }
                NodeValue::Text(piece) => text.push_str(piece),
                NodeValue::Code(_) => text.push('\u{fffc}'),
                _ => text.push('\n'),
            }
        }
        let shown: Vec<char> = text.chars().collect();
        for at in 0..shown.len() {
            let next = shown.get(at + 1);
            let mention = shown[at] == '@' && next.is_some_and(|c| c.is_ascii_alphanumeric());
            let reference = shown[at] == '#' && next.is_some_and(char::is_ascii_digit);
            assert!(!mention && !reference, "{text}\n{markdown}");
        }
    }

    #[test]
    fn the_form_stays_and_what_acts_does_not() {
        assert_eq!(
            inert_markdown("# A *b*\n\n- [c](https://x.example)\n"),
            "# A *b*\n\n- [c](https://x.example)\n"
        );
        assert_eq!(inert_markdown("@a"), "@\u{200b}a");
        assert_eq!(inert_markdown("fixes #1, o/r#2, GH-3"), "fixes #\u{200b}1, o/r#\u{200b}2, GH-\u{200b}3");
        assert_eq!(inert_markdown("![x](y)"), "!\u{200b}[x](y)");
        assert_eq!(inert_markdown("<img src=x> <!-- y -->"), "<\u{200b}img src=x> <\u{200b}!-- y -->");
        assert_eq!(inert_markdown("a < b && c"), "a < b && c");
        assert_eq!(inert_markdown("&#64;a &commat;a & b;"), "&\u{200b}#\u{200b}64;a &\u{200b}commat;a & b;");
        assert_eq!(inert_markdown("/approve x\na /b"), " /approve x\na /b");
        for acting in [
            "@octocat",
            "a@b.example",
            "<b>x</b>",
            "![x][y]\n\n[y]: https://x.example/z",
            "\\@octocat",
            "&#x40;octocat",
        ] {
            assert_nothing_acts(&inert_markdown(acting));
        }
    }

    #[test]
    fn an_open_code_block_is_closed_and_a_cut_is_told() {
        assert_eq!(enclosed_within("a\n\n````sh\nb", 1_000), "a\n\n````sh\nb\n````");
        assert_eq!(enclosed_within("~~~\nb", 1_000), "~~~\nb\n~~~");
        assert_eq!(enclosed_within("a\n", 1_000), "a");
        let cut = enclosed_within(&"word ".repeat(1_000), 1_000);
        assert!(cut.ends_with("more characters find no room here.") && chars(&cut) <= 1_000, "{cut}");
        let (all, shown) = markdown_within(&"@a".repeat(900), 1_000);
        assert!(chars(&all) <= 1_000 && shown > 500, "{shown}");
    }

    proptest! {
        #[test]
        fn nothing_acts_whatever_was_written(text in hostile()) {
            assert_nothing_acts(&inert_markdown(&text));
        }

        #[test]
        fn what_follows_is_apart_whatever_was_written(text in hostile(), repeat in 1_usize..20) {
            let enclosed = enclosed_within(&text.repeat(repeat), 3_000);
            prop_assert!(chars(&enclosed) <= 3_000);
            let whole = format!("{enclosed}\n\n### What ran\n\nlast");
            let arena = Arena::new();
            let root = parse_document(&arena, &whole, &as_github());
            let last: Vec<bool> = root.children().map(|node| matches!(&node.data.borrow().value, NodeValue::Heading(_))).collect();
            prop_assert!(last.len() >= 2 && last[last.len() - 2], "{whole}");
        }
    }
}
