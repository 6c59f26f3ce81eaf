//! Renders what leaves the server with comrak, a port of GitHub's own renderer that has nothing in
//! common with the one that reads briefs, and looks for anything that acts.

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};

use super::tests::assert_inert;

/// Switches on what GitHub knows beyond CommonMark.
fn as_github() -> Options<'static> {
    let mut options = Options::default();
    let extension = &mut options.extension;
    extension.strikethrough = true;
    extension.table = true;
    extension.autolink = true;
    extension.tasklist = true;
    extension.footnotes = true;
    extension.alerts = true;
    extension.math_dollars = true;
    extension.math_code = true;
    options
}

/// Returns the HTML that a reader's browser would get.
pub(in crate::publish) fn html(markdown: &str) -> String {
    let mut options = as_github();
    options.render.r#unsafe = true;
    comrak::markdown_to_html(markdown, &options)
}

/// Returns the text of each code block.
pub(in crate::publish) fn code_blocks(markdown: &str) -> Vec<String> {
    let arena = Arena::new();
    let root = parse_document(&arena, markdown, &as_github());
    let blocks = root.descendants().filter_map(|node| match &node.data.borrow().value {
        NodeValue::CodeBlock(block) => Some(block.literal.clone()),
        _ => None,
    });
    blocks.collect()
}

/// Tells whether raw HTML is of the kinds that our texts are made of: hidden comments, folded sections
/// with their summary, and small print.
fn is_our_html(html: &str) -> bool {
    html.lines().map(str::trim).all(|line| {
        let comment = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        let summary =
            line.strip_prefix("<details><summary>").and_then(|rest| rest.strip_suffix("</summary>"));
        match (comment, summary) {
            (Some(inner), _) => !inner.contains(['<', '>']),
            (_, Some(inner)) => !inner.replace("<span>$</span>", "").contains(['<', '>']),
            _ => matches!(line, "" | "</details>" | "<sub>" | "</sub>" | "<span>" | "</span>"),
        }
    })
}

/// Asserts that nothing in a text acts but what is `ours`: references that we write, and links whose
/// address is one of `links`.
pub(in crate::publish) fn assert_nothing_acts(markdown: &str, ours: &[String], links: &[&str]) {
    let arena = Arena::new();
    let root = parse_document(&arena, markdown, &as_github());
    let mut text = String::new();
    for node in root.descendants() {
        match &node.data.borrow().value {
            NodeValue::Text(piece) => text.push_str(piece),
            NodeValue::Code(_) => text.push('\u{fffc}'),
            NodeValue::Link(link) => {
                assert!(links.contains(&link.url.as_str()), "a link of a stranger: {}\n{markdown}", link.url);
            }
            NodeValue::HtmlBlock(html) => assert!(is_our_html(&html.literal), "{}", html.literal),
            NodeValue::HtmlInline(html) => assert!(is_our_html(html), "{html}"),
            NodeValue::Image(_)
            | NodeValue::Math(_)
            | NodeValue::FootnoteDefinition(_)
            | NodeValue::FootnoteReference(_)
            | NodeValue::TaskItem(_)
            | NodeValue::Alert(_)
            | NodeValue::BlockQuote
            | NodeValue::Emph
            | NodeValue::Strikethrough => panic!("{:?}\n{markdown}", node.data.borrow().value),
            NodeValue::Strong => {}
            _ => text.push('\n'),
        }
    }
    for ours in ours {
        text = text.replace(ours, "");
    }
    assert_inert(&text);
}

#[test]
fn what_acts_is_found() {
    for acting in [
        "@octocat",
        "see #12",
        "Fixes octo/example#3",
        "https://x.example",
        "ftp://x.example",
        "www.example.com",
        "mail a@b.example",
        "<b>x</b>",
        "<img src=x onerror=y>",
        "![x](https://x.example/y.png)",
        "[x](javascript:alert(1))",
        "[x](data:text/html,y)",
        "<https://x.example>",
        "x[^1]\n\n[^1]: y",
        "- [ ] x",
        "> [!NOTE]\n> x",
        "$x$",
        "<!-- x --> y -->",
        "a\u{202e}b",
    ] {
        let found = std::panic::catch_unwind(|| assert_nothing_acts(acting, &[], &[]));
        assert!(found.is_err(), "{acting}");
    }
}
