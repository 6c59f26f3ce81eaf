//! What fuzzing tries: a function for each door through which strangers' bytes come in or go out. Each
//! panics when a promise does not hold. `cargo fuzz` runs them with inputs that it grows by coverage, and
//! `cargo test --test stories fuzz` with the corpus and with inputs by chance.

use codex_brief::authorize::guard;
use codex_brief::brief::extract::normalize;
use codex_brief::brief::validate::{branch, file_path};
use codex_brief::brief::{
    self, MAX_BRIEFS_PER_TEXT, MAX_DIAGNOSTICS, MAX_FILES, MAX_STEPS, extract, render_markdown,
};
use codex_brief::command::{self, MAX_COMMANDS};
use codex_brief::config::GuardConfig;
use codex_brief::publish::inert::{
    code_span, inert_block, inert_html, inert_inline, inert_plain_line, inert_sentence,
};
use codex_brief::receipt::verify::{AtHand, proven, verify};
use codex_brief::receipt::{PublicKey, Receipt, SigningKey, find};
use codex_brief::run::changeset::RefusalReason;
use codex_brief::run::names::{check_link, check_path, printable};
use codex_brief::run::redact::{Redactor, SHORTEST_SECRET};
use codex_brief::webhook::event::{self, Meaning};
use codex_brief::webhook::{missed, rescan};
use pulldown_cmark::{Event, Options, Parser, Tag};

/// The events that can hold briefs, and one that cannot.
pub(crate) const EVENTS: [&str; 6] = [
    "issues",
    "issue_comment",
    "pull_request",
    "pull_request_review_comment",
    "pull_request_review",
    "installation",
];

/// A target's name and function.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Names all targets.
pub(crate) const TARGETS: [Target; 9] = [
    ("delivery", delivery),
    ("markdown", markdown),
    ("brief", brief),
    ("paths", paths),
    ("redactor", redactor),
    ("commands", commands),
    ("shell", shell),
    ("receipt", receipt),
    ("inert", inert),
];

/// Reads a delivery: the first byte chooses the event, the rest is the body. Only people's texts count, and
/// a text is the same after it was stored as a rescan's.
pub(crate) fn delivery(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let name = EVENTS[usize::from(*choice) % EVENTS.len()];
    missed::describe(name, body);
    let parsed = event::parse(name, body, 1, &[]);
    if let Meaning::Text(text) = &parsed.meaning {
        assert!(event::is_listened_to(name, None));
        assert_eq!((text.sender.kind.as_str(), text.author.kind.as_str()), ("User", "User"));
        assert_eq!(parsed.home.as_ref(), Some(&text.home));
        let stored = rescan::write(text).expect("a text can be stored");
        assert_eq!(rescan::read(&stored.body), parsed);
    }
}

/// Finds briefs in a text: bounded, in order, and none in a quote.
pub(crate) fn markdown(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let found = extract(&text);
    assert!(found.fences.len() <= MAX_BRIEFS_PER_TEXT);
    let lines = normalize(&text).lines().count();
    let mut last = 0;
    for (index, fence) in found.fences.iter().enumerate() {
        assert_eq!(fence.index, index);
        assert!(fence.fence_line > last && fence.first_line > fence.fence_line);
        assert!(fence.fence_line <= lines, "line {} of {lines}", fence.fence_line);
        last = fence.fence_line;
        judge(brief::parse(&fence.text, &fence.origin()));
    }
    assert!(extract(&quoted(&text)).fences.is_empty(), "a quote holds no brief");
}

/// Reads a brief: what is taken keeps every rule, what is not is told in bounds.
pub(crate) fn brief(data: &[u8]) {
    judge(brief::parse_document(&String::from_utf8_lossy(data)));
}

fn judge(read: Result<brief::Brief, Vec<brief::Diagnostic>>) {
    match read {
        Ok(brief) => {
            assert!((1..=MAX_STEPS).contains(&brief.steps.len()));
            assert!(branch(&brief.branch).is_ok(), "{:?}", brief.branch);
            if let Some(output) = brief.pull_request() {
                assert!(output.files.len() <= MAX_FILES);
                for file in &output.files {
                    assert!(file_path(file).is_ok(), "{file:?}");
                    stays_within(file);
                }
            }
        }
        Err(wrong) => {
            assert!((1..=MAX_DIAGNOSTICS + 1).contains(&wrong.len()), "{} diagnostics", wrong.len());
            assert!(!render_markdown(&wrong).is_empty());
            for one in &wrong {
                assert!(one.line > 0 && one.column > 0 && !one.code.is_empty());
                assert!(!one.render_text().is_empty());
            }
        }
    }
}

/// Checks a path (the first line) and a link's target (the rest): what is taken leads nowhere else.
pub(crate) fn paths(data: &[u8]) {
    let cut = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (path, target) = (&data[..cut], data.get(cut + 1..).unwrap_or_default());
    assert!(!printable(path).chars().any(char::is_control));
    if let Ok(declared) = std::str::from_utf8(path)
        && file_path(declared).is_ok()
    {
        stays_within(declared);
    }
    let Ok(path) = check_path(path) else { return };
    stays_within(path);
    if let Ok(leads_to) = check_link(path, target)
        && !leads_to.is_empty()
    {
        stays_within(&leads_to);
        let checked = check_path(leads_to.as_bytes());
        assert!(matches!(checked, Ok(_) | Err(RefusalReason::PathTooLong)), "{leads_to:?}: {checked:?}");
    }
}

fn stays_within(path: &str) {
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git");
    assert!(!path.split('/').any(odd) && !path.contains(['\0', '\n', '\r', '\\']), "{path:?}");
}

/// Redacts a text in pieces. The parts of the input are parted by 0xff: secrets, one a line; the lengths of
/// the pieces, one a byte; the text.
pub(crate) fn redactor(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0xff);
    let mut next = || parts.next().unwrap_or_default();
    let (secrets, lengths, text) = (next(), next(), next());
    let secrets: Vec<&[u8]> = secrets.split(|byte| *byte == b'\n').take(8).collect();
    let redactor = Redactor::new(&secrets).expect("a few secrets fit");
    let whole = redactor.redact(text);
    let (mut pieces, mut stream, mut rest) = (Vec::new(), redactor.stream(), text);
    for length in lengths {
        let (piece, after) = rest.split_at(usize::from(*length).min(rest.len()));
        stream.push(piece, &mut pieces);
        rest = after;
    }
    stream.push(rest, &mut pieces);
    stream.finish(&mut pieces);
    assert_eq!(pieces, whole, "how a text is cut shows");
    for secret in secrets.iter().map(|secret| secret.trim_ascii()) {
        // One that holds the mask itself could be put together by masking.
        if secret.len() >= SHORTEST_SECRET && !secret.contains(&b'*') {
            assert!(!whole.windows(secret.len()).any(|shown| shown == secret), "{secret:?} is shown");
        }
    }
}

/// Finds commands in a text: bounded, each begins with a slash, and none is in a quote.
pub(crate) fn commands(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let commands = command::find(&text);
    assert!(commands.found.len() <= MAX_COMMANDS);
    assert!(commands.more == 0 || commands.found.len() == MAX_COMMANDS);
    assert!(commands.found.iter().all(|found| found.words.starts_with('/')), "{commands:?}");
    assert!(command::find(&quoted(&text)).found.is_empty(), "a quote holds no command");
}

fn quoted(text: &str) -> String {
    normalize(text).split('\n').map(|line| format!("> {line}\n")).collect()
}

/// Lists the commands of a script: in bounded room, inert in a comment, and the summary is the worst of the rows.
pub(crate) fn shell(data: &[u8]) {
    let Ok(script) = std::str::from_utf8(data) else { return };
    let mut brief = brief::parse_document(include_str!("../fixtures/briefs/good/flow-style.yaml"))
        .expect("the fixture is a brief");
    brief.steps.truncate(1);
    brief.steps[0].work = brief::Work::Shell { shell: script.to_owned() };
    let table = guard::table(&brief, &GuardConfig::default());
    assert!(table.rows.len() <= guard::MAX_ROWS + 1);
    let shown = table.markdown();
    assert!(shown.chars().count() <= 20_000);
    let fine = |row: &guard::Row| row.verdict == guard::Verdict::Allowed;
    assert_eq!(table.summary() == guard::Verdict::Allowed, table.rows.iter().all(fine));
}

/// Reads a receipt, or a page that holds one: what is read is written as it was, and nothing is proven that the
/// key of the corpus did not sign.
pub(crate) fn receipt(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = PublicKey::read_all(data);
    let Ok(receipt) = find(&text) else { return };
    assert_eq!(Receipt::read(&receipt.json()).as_ref(), Ok(&receipt));
    let key = SigningKey::from_seed(&[7; 32]).expect("a seed makes a key").public();
    let at_hand = AtHand { keys: Some(vec![key]), ..AtHand::default() };
    let known =
        find(include_str!("../fixtures/fuzz/receipt/signed.json")).expect("the corpus holds a receipt");
    if proven(&verify(&receipt, &at_hand)) {
        assert_eq!(receipt.statement, known.statement, "somebody else's statement is proven");
    }
}

/// Makes a stranger's text inert: it renders as text, ends no cell, span or block, and links nothing.
pub(crate) fn inert(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let plain = |event: &Event<'_>| match event {
        Event::Text(_) => true,
        Event::Start(tag) => matches!(tag, Tag::Paragraph),
        Event::End(tag) => matches!(tag, pulldown_cmark::TagEnd::Paragraph),
        Event::InlineHtml(html) => matches!(&**html, "<span>" | "</span>"),
        _ => false,
    };
    let line = inert_inline(&text);
    let shown: String = parsed(&line)
        .into_iter()
        .inspect(|event| assert!(plain(event), "{event:?} of {line:?}"))
        .filter_map(|event| if let Event::Text(text) = event { Some(text.into_string()) } else { None })
        .collect();
    acts_on_nothing(&shown);
    let sentence = format!("x {}", inert_sentence(&text));
    for event in parsed(&sentence) {
        assert!(plain(&event) || matches!(event, Event::Code(_)), "{event:?} of {sentence:?}");
    }
    let table = format!("| a | b |\n|---|---|\n| x{line} | end |");
    let cells = parsed(&table).iter().filter(|event| matches!(event, Event::Start(Tag::TableCell))).count();
    assert_eq!(cells, 4, "{table:?}");
    let block = format!("before\n\n{}\n\nafter", inert_block(&text, "text"));
    let blocks = parsed(&block).iter().filter(|event| matches!(event, Event::Start(_))).count();
    assert_eq!(blocks, 3, "two paragraphs and a block: {block:?}");
    let span = format!("x {} y", code_span(&format!("a{text}")));
    let inside = parsed(&span).into_iter().filter(|event| !matches!(event, Event::Start(_) | Event::End(_)));
    assert_eq!(inside.count(), 3, "{span:?}");
    let html = inert_html(&text).replace("<span>$</span>", "");
    assert!(!html.contains(['<', '>', '"', '\'', '\n']), "{html:?}");
    let title = inert_plain_line(&text);
    assert!(!title.contains('\n'));
    acts_on_nothing(&title.replace("://", " ").to_lowercase().replace("www.", " "));
}

fn parsed(markdown: &str) -> Vec<Event<'_>> {
    let github = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM;
    Parser::new_ext(markdown, github).collect()
}

/// Asserts that GitHub finds no mention, no issue and no address in rendered text.
fn acts_on_nothing(text: &str) {
    let lower = text.to_lowercase();
    assert!(!lower.contains("://") && !lower.contains("www."), "an address in {text:?}");
    for pair in text.as_bytes().windows(2) {
        let mention = pair[0] == b'@' && (pair[1].is_ascii_alphanumeric() || matches!(pair[1], b'_' | b'-'));
        assert!(!mention, "a mention in {text:?}");
        assert!(!(pair[0] == b'#' && pair[1].is_ascii_digit()), "an issue in {text:?}");
    }
}
