//! Markdown as GitHub shows it: GFM with line breaks kept, and raw HTML held to a handful of tags.

use super::escape;
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream, html};

/// The tags that are let through, without any attribute but `open`.
const ALLOWED: [&str; 8] = ["details", "summary", "br", "sub", "sup", "kbd", "code", "span"];

/// What words of a text stand for: `@name` and `#number`, where such a person or thread exists.
pub(super) struct Names<'a> {
    pub(super) is_user: &'a dyn Fn(&str) -> bool,
    pub(super) thread: &'a dyn Fn(u64) -> Option<String>,
}

/// Renders a body; whatever a stranger wrote, no script, style, attribute or foreign address gets through.
pub(super) fn render(markdown: &str, names: &Names<'_>) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES;
    let events = TextMergeStream::new(Parser::new_ext(markdown, options));
    let mut shown = Vec::new();
    let mut block: Option<String> = None;
    let (mut in_code, mut in_link) = (false, false);
    for event in events {
        match event {
            Event::Start(Tag::HtmlBlock) => block = Some(String::new()),
            Event::End(TagEnd::HtmlBlock) => {
                shown.push(raw(&block.take().unwrap_or_default()));
            }
            Event::Html(text) | Event::InlineHtml(text) => match &mut block {
                Some(block) => block.push_str(&text),
                None => shown.push(raw(&text)),
            },
            Event::Start(tag) => {
                in_code |= matches!(tag, Tag::CodeBlock(_));
                in_link |= matches!(tag, Tag::Link { .. });
                shown.push(Event::Start(harmless(tag)));
            }
            Event::End(end) => {
                in_code &= end != TagEnd::CodeBlock;
                in_link &= end != TagEnd::Link;
                shown.push(Event::End(end));
            }
            Event::Text(text) if !in_code && !in_link => shown.push(Event::Html(linked(&text, names).into())),
            Event::SoftBreak => shown.push(Event::HardBreak),
            other => shown.push(other),
        }
    }
    let mut page = String::new();
    html::push_html(&mut page, shown.into_iter());
    page
}

/// Empties the address of a link or picture whose scheme could do something.
fn harmless(tag: Tag<'_>) -> Tag<'_> {
    let safe = |address: CowStr<'_>| if is_safe(&address) { address.into_string() } else { String::new() };
    match tag {
        Tag::Link { link_type, dest_url, title, id } => {
            // An e-mail autolink carries the bare address; the writer adds `mailto:`.
            let dest_url = if link_type == LinkType::Email { dest_url } else { safe(dest_url).into() };
            Tag::Link { link_type, dest_url, title, id }
        }
        Tag::Image { link_type, dest_url, title, id } => {
            Tag::Image { link_type, dest_url: safe(dest_url).into(), title, id }
        }
        other => other,
    }
}

fn is_safe(address: &str) -> bool {
    let address = address.trim().to_ascii_lowercase();
    let known = ["http://", "https://", "mailto:", "#", "/"];
    known.iter().any(|start| address.starts_with(start)) || !address.contains(':')
}

/// Lets the allowed tags through, hides comments, and shows every other piece of HTML as text.
fn raw(source: &str) -> Event<'static> {
    let (mut page, mut rest) = (String::new(), source);
    while let Some(at) = rest.find('<') {
        page.push_str(&escape(&rest[..at]));
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            // A comment that never ends hides the rest, as in a browser.
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let end = rest.find('>').map_or(rest.len(), |end| end + 1);
        page.push_str(&allowed(&rest[..end]).unwrap_or_else(|| escape(&rest[..end])));
        rest = &rest[end..];
    }
    page.push_str(&escape(rest));
    Event::Html(page.into())
}

/// Writes an allowed tag anew, so that nothing of the source's own attributes is left.
fn allowed(tag: &str) -> Option<String> {
    let inner = tag.strip_prefix('<')?.strip_suffix('>')?.trim_end_matches('/').trim();
    let (slash, inner) = inner.strip_prefix('/').map_or(("", inner), |inner| ("/", inner));
    let mut words = inner.split_ascii_whitespace();
    let name = words.next()?.to_ascii_lowercase();
    let open = words.next().is_some_and(|word| word.split('=').next() == Some("open"));
    let attribute = if name == "details" && slash.is_empty() && open { " open" } else { "" };
    ALLOWED.contains(&name.as_str()).then(|| format!("<{slash}{name}{attribute}>"))
}

/// Escapes text and makes links of bare addresses, of threads, and of mentions of people who exist.
fn linked(text: &str, names: &Names<'_>) -> String {
    text.split_inclusive(char::is_whitespace).map(|piece| linked_word(piece, names)).collect()
}

fn linked_word(piece: &str, names: &Names<'_>) -> String {
    let word = piece.trim_end_matches(char::is_whitespace);
    let core = word.trim_end_matches(['.', ',', ';', ':', ')', '!', '?']);
    let start = core.len() - core.trim_start_matches('(').len();
    let (before, core, tail) = (escape(&piece[..start]), &core[start..], escape(&piece[core.len()..]));
    let shown = escape(core);
    if core.starts_with("http://") || core.starts_with("https://") {
        return format!("{before}<a href=\"{shown}\" rel=\"nofollow\">{shown}</a>{tail}");
    }
    if core.strip_prefix('@').is_some_and(|name| (names.is_user)(name)) {
        return format!("{before}<span class=\"mention\">{shown}</span>{tail}");
    }
    let number = core.strip_prefix('#').and_then(|digits| digits.parse().ok());
    match number.and_then(|number| (names.thread)(number)) {
        Some(address) => format!("{before}<a href=\"{}\">{shown}</a>{tail}", escape(&address)),
        None => escape(piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(markdown: &str) -> String {
        let thread = |number| (number == 7).then(|| "/octo/example/issues/7".to_owned());
        render(markdown, &Names { is_user: &|name| name == "maria", thread: &thread })
    }

    #[test]
    fn comments_are_hidden_in_block_and_in_line() {
        assert_eq!(shown("<!-- marker: 1\n\n2 -->\n\ntext").trim(), "<p>text</p>");
        assert_eq!(shown("before <!-- x --> after").trim(), "<p>before  after</p>");
    }

    #[test]
    fn scripts_and_attributes_are_text() {
        let page = shown("<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\na <b onclick=x>b</b>");
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b "), "{page}");
        assert!(page.contains("&lt;script&gt;"));
        let page = shown("<details open onclick=alert(1)><summary style=x>s</summary>\n\nin\n\n</details>");
        assert!(page.contains("<details open><summary>s</summary>"), "{page}");
        assert!(page.contains("<p>in</p>") && page.contains("</details>"));
    }

    #[test]
    fn links_that_do_something_lose_their_address() {
        for link in [
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html,y)",
            "[x]( vbscript:x)",
        ] {
            assert!(shown(link).contains("href=\"\"") || !shown(link).contains("href"), "{}", shown(link));
        }
        assert!(shown("[x](https://example.com)").contains("href=\"https://example.com\""));
    }

    #[test]
    fn bare_addresses_and_mentions_are_linked() {
        let page = shown("see https://example.com/a?b=1&c=\"2, @maria and @nobody\nnext");
        assert!(page.contains("href=\"https://example.com/a?b=1&amp;c=&quot;2\""), "{page}");
        assert!(page.contains("class=\"mention\">@maria</span>") && page.contains("@nobody"));
        assert!(page.contains("<br />"));
        let page = shown("see (#7), #8 and x#7");
        assert!(page.contains("see (<a href=\"/octo/example/issues/7\">#7</a>), #8 and x#7"), "{page}");
        assert!(shown("`@maria https://x.y`").contains("<code>@maria https://x.y</code>"));
    }
}
