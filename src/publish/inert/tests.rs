use proptest::prelude::*;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use regex::Regex;
use rstest::rstest;

use super::*;

/// Returns text built of what breaks naive escaping, between ordinary characters.
pub(in crate::publish) fn hostile() -> impl Strategy<Value = String> {
    let pieces = vec![
        "`",
        "```",
        "~~~~",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "    ",
        "<",
        ">",
        "<!--",
        "-->",
        "</details>",
        "<b>",
        "&lt;",
        "@octocat",
        "@a/b",
        "#1",
        "Fixes #12",
        "closes octo/example#3",
        "GH-7",
        "gh-",
        "https://x.example/issues/1",
        "https://x.example/issues\\/1",
        "www.example.com",
        "a@b.example",
        "ftp://x.example",
        "mailto:a@b.example",
        "xmpp:a@b.example/x",
        "[x](javascript:y)",
        "![](data:image/png;base64,x)",
        "<https://x.example>",
        "<img src=x onerror=y>",
        "[x]: https://x.example\n",
        "- [ ] ",
        "> [!NOTE]\n",
        "[skip ci]",
        "skip-checks: true",
        "\u{8}",
        "\u{2066}",
        "\\",
        "*",
        "**",
        "_",
        "[x](y)",
        "![x](y)",
        "|",
        "||",
        "$",
        "$$",
        "1. ",
        "- ",
        "# ",
        "> ",
        "===",
        "---",
        "\u{1b}[31m",
        "\u{1b}]8;;x\u{7}",
        "\u{202e}",
        "\u{200b}",
        "\u{e0041}",
        "\u{feff}",
        "\u{0}",
        "\u{9b}1m",
        "/approve",
        "[^1]",
        "é",
        "日本",
        "⚠️",
        "👩‍💻",
        "--",
        "\"",
        "'",
        "{",
        "}",
        "=",
        "+",
        ".",
        ")",
        "1",
        " ",
    ];
    let piece =
        prop_oneof![4 => proptest::sample::select(pieces).prop_map(str::to_owned), 1 => any::<String>()];
    proptest::collection::vec(piece, 0..24).prop_map(|p| p.concat())
}

/// Parses as GitHub does, as far as the parser knows how.
pub(in crate::publish) fn events(markdown: &str) -> Vec<Event<'_>> {
    let github = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM;
    Parser::new_ext(markdown, github).collect()
}

/// Returns the text that a reader sees outside code, and whether anything but a paragraph came out.
fn rendered(markdown: &str) -> (String, Vec<String>) {
    let (mut text, mut odd) = (String::new(), Vec::new());
    for event in events(markdown) {
        match event {
            Event::Text(t) => text.push_str(&t),
            Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
            Event::InlineHtml(h) if matches!(&*h, "<span>" | "</span>") => {}
            other => odd.push(format!("{other:?}")),
        }
    }
    (text, odd)
}

/// Asserts that GitHub finds nothing to act on in rendered text.
pub(in crate::publish) fn assert_inert(text: &str) {
    let acting = Regex::new(
        r"(?i)@[a-z0-9_-]|#[0-9]|\bgh-[0-9]|://|www\.|[\x00-\x08\x0b-\x1f\x7f]|[\u{202a}-\u{202e}\u{2066}-\u{2069}\u{e0000}-\u{e007f}]",
    )
    .unwrap();
    if let Some(found) = acting.find(text) {
        let around: String =
            text[..found.end()].chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
        panic!("{:?} acts at the end of {around:?}", found.as_str());
    }
}

proptest! {
    #[test]
    fn inline_text_renders_as_itself_and_nothing_else(text in hostile()) {
        let (shown, odd) = rendered(&inert_inline(&text));
        prop_assert!(odd.is_empty(), "{odd:?}");
        assert_inert(&shown);
        prop_assert_eq!(shown.replace(BREAK, ""), one_line(&visible(&text)));
    }

    #[test]
    fn sentence_acts_on_nothing(text in hostile()) {
        let mut shown = String::new();
        let mut outside = String::new();
        for event in events(&format!("x {}", inert_sentence(&text))) {
            match event {
                Event::Text(t) => {
                    shown.push_str(&t);
                    outside.push_str(&t);
                }
                Event::Code(t) => {
                    shown.push_str(&t);
                    outside.push('\n');
                }
                Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
                Event::InlineHtml(h) if matches!(&*h, "<span>" | "</span>") => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
        assert_inert(&outside);
        let plain = |t: &str| t.replace([BREAK, '`', ' '], "");
        prop_assert_eq!(plain(&shown), plain(&format!("x{}", one_line(&visible(&text)))));
    }

    #[test]
    fn inline_text_stays_in_its_table_cell(text in hostile()) {
        let table = format!("| a | b |\n|---|---|\n| x{} | end |", inert_inline(&text));
        let cells = events(&table).iter().filter(|e| matches!(e, Event::Start(Tag::TableCell))).count();
        prop_assert_eq!(cells, 4);
    }

    #[test]
    fn block_is_one_code_block_with_its_text(text in hostile()) {
        let block = inert_block(&text, "text");
        let page = format!("before\n\n{block}\n\nafter");
        let mut code = None;
        let mut inside = false;
        let mut outside = String::new();
        for event in events(&page) {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    prop_assert!(code.is_none(), "a second block");
                    prop_assert_eq!(&*info, "text");
                    code = Some(String::new());
                    inside = true;
                }
                Event::End(TagEnd::CodeBlock) => inside = false,
                Event::Text(t) if inside => code.as_mut().unwrap().push_str(&t),
                Event::Text(t) => outside.push_str(&t),
                Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert_eq!(outside, "beforeafter");
        prop_assert_eq!(code.unwrap(), format!("{}\n", block_text(&text)));
    }

    #[test]
    fn code_span_is_one_span(text in hostile()) {
        let text = format!("a{text}");
        let page = format!("x {} y", code_span(&text));
        let found: Vec<_> = events(&page).into_iter().filter(|e| !matches!(e, Event::Start(_) | Event::End(_))).collect();
        prop_assert_eq!(found.len(), 3, "{:?}", found);
        let line = one_line(&visible(&text));
        let Event::Code(code) = &found[1] else { panic!("{found:?}") };
        prop_assert_eq!(code.to_string(), line);
    }

    #[test]
    fn html_text_opens_no_tag(text in hostile()) {
        let html = inert_html(&text).replace("<span>$</span>", "$");
        prop_assert!(!html.contains(['<', '>', '"', '\'', '\n']), "{}", html);
        assert_inert(&html.replace("&#39;", "'").replace(BREAK_ENTITY, "\u{200b}"));
    }

    #[test]
    fn hidden_json_comes_back_and_never_ends_early(text in hostile(), key in hostile()) {
        let value = serde_json::json!({ key: [text], "n": -1 });
        let comment = html_comment_json(&value).unwrap();
        let inner = comment.strip_prefix("<!-- ").unwrap().strip_suffix(" -->").unwrap();
        prop_assert!(inner.is_ascii() && !inner.contains(['<', '>', '@', '\n']) && !inner.contains("--"));
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(inner).unwrap(), value);
    }

    #[test]
    fn plain_text_acts_on_nothing(text in hostile()) {
        let line = inert_plain_line(&text);
        prop_assert!(!line.contains('\n'), "{}", line);
        assert_inert(&line.replace("://", "").replace("www.", ""));
        let skips = Regex::new(r"(?i)\[(skip ci|ci skip|no ci|skip actions|actions skip)\]|skip-checks").unwrap();
        prop_assert!(!skips.is_match(&line), "{}", line);
    }

    #[test]
    fn visible_text_hides_nothing(text in any::<String>()) {
        let shown = visible(&text);
        prop_assert!(!shown.contains(['\r', '\u{1b}', '\u{202e}']), "{}", shown);
        let chars: Vec<char> = shown.chars().collect();
        for (at, &c) in chars.iter().enumerate() {
            let stands = joins(c, at.checked_sub(1).map(|i| chars[i]), chars.get(at + 1).copied());
            prop_assert!(!is_hidden(c) || stands || c == '\u{200d}' || c == '\u{200c}', "{c:?}");
        }
    }

    #[test]
    fn truncation_keeps_its_bound(text in hostile(), max in 0_usize..40) {
        let cut = truncate_middle(&text, max);
        prop_assert!(cut.chars().count() <= max);
        prop_assert!(text.chars().count() > max || cut == text);
    }
}

#[rstest]
#[case("Fixes #12 for @octocat", "Fixes #&#8203;12 for @&#8203;octocat")]
#[case("closes octo/example#3, GH-7", "closes octo/example#&#8203;3, GH-&#8203;7")]
#[case("see https://x.example and www.x.example", "see https:&#8203;//x.example and www&#8203;.x.example")]
#[case("<img src=x> & a|b", "&lt;img src=x&gt; &amp; a&#124;b")]
#[case("a\r\nb\tc", "a b c")]
#[case("\u{202e}abc\u{e0041}", r"\\u{202e}abc\\u{e0041}")]
#[case("\u{1b}[1;31mred\u{1b}[0m \u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{7}", "red link")]
#[case("1. /approve", "1\\. /approve")]
#[case("0.1.0", "0.1.0")]
#[case("/approve", "\\/approve")]
#[case("- # x", "\\- # x")]
#[case("costs $1", r"costs <span>\$</span>1")]
#[case("metrics-echo v1.2 (ready)", "metrics-echo v1.2 (ready)")]
fn inline_examples(#[case] text: &str, #[case] markdown: &str) {
    assert_eq!(inert_inline(text), markdown);
}

#[rstest]
#[case("10%\r50%\r100%\n", "10%\n50%\n100%\n")]
#[case("a\r\r\nb", "a\nb")]
#[case("a\u{8}b\u{0}", r"a\u{8}b\u{0}")]
#[case("⚠️ 👩‍💻 می‌خواهم 1️⃣", "⚠️ 👩‍💻 می‌خواهم 1️⃣")]
#[case("a\u{fe0f}b\u{200d}c", r"a\u{fe0f}b\u{200d}c")]
#[case("漢\u{fe0f}\u{fe0f}", "漢\u{fe0f}\\u{fe0f}")]
#[case("\u{1b}]0;never ended\nnext", "\nnext")]
#[case("\u{9b}31mred\u{1b}(Bx\u{1b}", "redx")]
fn visible_examples(#[case] text: &str, #[case] shown: &str) {
    assert_eq!(visible(text), shown);
}

#[test]
fn block_outgrows_the_fences_within_and_keeps_commands_off_the_line_start() {
    assert_eq!(inert_block("```\nx\n````\n", "sh"), "`````sh\n```\nx\n````\n`````");
    assert_eq!(inert_block("/lgtm\n//x\n", ""), "```\n /lgtm\n//x\n```");
    let flood = "`".repeat(1000);
    assert_eq!(inert_block(&flood, ""), format!("~~~\n{flood}\n~~~"));
}

#[rstest]
#[case("The field `exec|utor` of @x is unknown.", "The field `exec|utor` of @&#8203;x is unknown.")]
#[case("`a` and `b`", "`a` and `b`")]
#[case("odd ` one", "odd \\` one")]
#[case("`a``b`", "\\`a\\`\\`b\\`")]
fn sentence_examples(#[case] text: &str, #[case] markdown: &str) {
    assert_eq!(inert_sentence(text), markdown);
}

#[test]
fn plain_text_keeps_links_but_those_that_close() {
    let text = "Fixes https://x.example/o/r/issues/12 and see https://x.example/doc @me";
    let broken = "Fixes https://x.example/o/r/issues/\u{200b}12 and see https://x.example/doc @\u{200b}me";
    assert_eq!(inert_plain_text(text), broken);
}

#[rstest]
#[case("docs: mend [skip ci]", "docs: mend [\u{200b}skip ci]")]
#[case("x [CI Skip] [no ci]", "x [\u{200b}CI Skip] [\u{200b}no ci]")]
#[case("x ***NO_CI***", "x ***NO_\u{200b}CI***")]
#[case("x\n\n\nskip-checks: true", "x\n\n\nskip-\u{200b}checks: true")]
#[case("[a] skip [ci] and [nocite]", "[a] skip [ci] and [nocite]")]
fn checks_are_not_skipped(#[case] text: &str, #[case] shown: &str) {
    assert_eq!(inert_plain_text(text), shown);
}

#[test]
fn long_text_loses_its_middle() {
    assert_eq!(truncate_middle("abcdefgh", 5), "ab…gh");
    assert_eq!(truncate_middle("abcd", 4), "abcd");
}
