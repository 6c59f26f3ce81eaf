//! Commit messages: the brief's words, and trailers that only the publisher writes; pure rules.

use super::inert::inert_plain_text;

/// Puts trailers behind a message, separated by a blank line or merged with the trailers that are
/// there. A trailer of the message under one of the given names is dropped, so that nobody but the
/// publisher speaks under them. Values are brought to one line; control characters are dropped.
///
/// The message is made inert: on the default branch a mention in it would call people, and `Fixes #1`
/// would close an issue that no reviewer of the pull request was shown.
pub fn commit_message(message: &str, trailers: &[(&str, &str)]) -> String {
    let mut paragraphs = paragraphs(&inert_plain_text(message));
    // The first paragraph is the subject, however much it looks like a trailer.
    let last_is_trailers = paragraphs.len() > 1 && paragraphs.last().is_some_and(|last| are_trailers(last));
    let mut lines = if last_is_trailers { paragraphs.pop().unwrap_or_default() } else { Vec::new() };
    let mut dropping = false;
    lines.retain(|line| {
        if let Some(name) = trailer_name(line) {
            dropping = trailers.iter().any(|(ours, _)| ours.eq_ignore_ascii_case(name));
        }
        !dropping
    });
    lines.iter_mut().for_each(|line| *line = with_whole_address(line));
    lines.extend(
        trailers.iter().map(|(name, value)| format!("{name}: {}", inert_plain_text(&one_line(value)))),
    );
    if paragraphs.is_empty() {
        paragraphs.push(vec!["Changes by codex-brief".to_owned()]);
    }
    if !lines.is_empty() {
        paragraphs.push(lines);
    }
    let text = paragraphs.into_iter().map(|lines| lines.join("\n")).collect::<Vec<_>>().join("\n\n");
    text + "\n"
}

/// Splits a message at its blank lines, without what does not belong into one.
fn paragraphs(message: &str) -> Vec<Vec<String>> {
    let mut paragraphs = vec![Vec::new()];
    for line in message.replace("\r\n", "\n").split(['\n', '\r']) {
        let line: String = line.chars().filter(|char| *char == '\t' || !char.is_control()).collect();
        let line = line.trim_end().to_owned();
        if !line.is_empty() {
            if let Some(paragraph) = paragraphs.last_mut() {
                paragraph.push(line);
            }
        } else if paragraphs.last().is_some_and(|paragraph| !paragraph.is_empty()) {
            paragraphs.push(Vec::new());
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

fn are_trailers(lines: &[String]) -> bool {
    lines.first().is_some_and(|line| trailer_name(line).is_some())
        && lines.iter().all(|line| trailer_name(line).is_some() || line.starts_with([' ', '\t']))
}

/// Returns the name of a trailer line: letters, digits and `-` up to a colon, as git reads it.
fn trailer_name(line: &str) -> Option<&str> {
    let name = line.split_once(':')?.0.trim_end_matches([' ', '\t']);
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits.then_some(name)
}

/// Mends the mail address that a trailer such as `Co-authored-by` ends in: it is of use only as it is,
/// and an `@` behind a letter or a digit names nobody.
fn with_whole_address(line: &str) -> String {
    let broken = line.rsplit_once('<').filter(|(_, address)| address.ends_with('>'));
    let address = broken.and_then(|(before, address)| Some((before, address.split_once("@\u{200b}")?)));
    match address {
        Some((before, (name, host)))
            if name.ends_with(|last: char| last.is_ascii_alphanumeric()) && !name.contains('>') =>
        {
            format!("{before}<{name}@{host}")
        }
        _ => line.to_owned(),
    }
}

fn one_line(value: &str) -> String {
    let value: String = value.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::inert::tests::{assert_inert, hostile};
    use super::*;

    const OURS: [(&str, &str); 2] = [("Brief", "0a1b"), ("Requested-by", "octo")];

    #[test]
    fn trailers_come_behind_a_blank_line() {
        let text = commit_message("reports: add one\r\n\r\n\r\nBody.  \n\n", &OURS);
        assert_eq!(text, "reports: add one\n\nBody.\n\nBrief: 0a1b\nRequested-by: octo\n");
    }

    #[test]
    fn a_subject_that_looks_like_a_trailer_stays_the_subject() {
        assert_eq!(commit_message("fix: x", &OURS[..1]), "fix: x\n\nBrief: 0a1b\n");
        assert_eq!(commit_message("Brief: x", &OURS[..1]), "Brief: x\n\nBrief: 0a1b\n");
    }

    #[test]
    fn trailers_of_the_message_are_merged_and_ours_cannot_be_forged() {
        let message = "x\n\nSigned-off-by: A <a@b>\nrequested-BY : mallory\n  and more\nBrief: ffff";
        let text = commit_message(message, &OURS);
        assert_eq!(text, "x\n\nSigned-off-by: A <a@b>\nBrief: 0a1b\nRequested-by: octo\n");
    }

    #[test]
    fn a_value_cannot_begin_a_line_of_its_own() {
        let text = commit_message("x\x1b[1m", &[("Run", "1\nBrief: 2\r\u{85}3 @you #1")]);
        assert_eq!(text, "x\n\nRun: 1 Brief: 2 3 @\u{200b}you #\u{200b}1\n");
        assert_eq!(commit_message(" \n", &[]), "Changes by codex-brief\n");
    }

    #[test]
    fn only_the_whole_of_what_stands_in_brackets_is_an_address() {
        let text = commit_message("x\n\nx: <https://x.example>mailto:a@b.example>", &OURS[..1]);
        assert_eq!(text, "x\n\nx: <https://x.example>mailto:a@\u{200b}b.example>\nBrief: 0a1b\n");
    }

    #[test]
    fn a_message_calls_nobody_and_closes_nothing() {
        let text = commit_message("Fixes #1 for @octo/team\n\ncloses GH-2, closes octo/other#3", &[]);
        let inert =
            "Fixes #\u{200b}1 for @\u{200b}octo/team\n\ncloses GH-\u{200b}2, closes octo/other#\u{200b}3\n";
        assert_eq!(text, inert);
    }

    proptest::proptest! {
        #[test]
        fn any_message_acts_on_nothing_and_speaks_for_nobody(message in hostile(), more in hostile(), value in hostile()) {
            let text = commit_message(&format!("{message}\n\nBrief: {more}\nx: {message}"), &[("Brief", &value)]);
            // An address behind a letter or a digit, in a trailer's angle brackets, names nobody.
            let addresses = regex::Regex::new("(?m)<[^<>@\n]*[A-Za-z0-9]@[^<>\n]*>$").unwrap();
            let plain = addresses.replace_all(&text, "");
            assert_inert(&plain.replace("://", "").replace("www.", ""));
            let (_, trailers) = text.trim_end().rsplit_once("\n\n").unwrap();
            let ours = trailers.lines().filter(|line| line.to_lowercase().starts_with("brief:")).count();
            proptest::prop_assert_eq!(ours, 1, "{}", text);
        }
    }
}
