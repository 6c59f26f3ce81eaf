//! A unified diff as a coloured table.

use super::escape;
use crate::repo_git::FileDiff;

/// Renders the files of a diff one below the other.
pub(super) fn files(files: &[FileDiff]) -> String {
    files.iter().map(file).collect()
}

fn file(file: &FileDiff) -> String {
    let name = match &file.previous {
        Some(previous) => format!("{} → {}", escape(previous), escape(&file.path)),
        None => escape(&file.path),
    };
    let body = match file.patch.is_empty() {
        true => "<div class=\"row muted\">No text difference to show.</div>".to_owned(),
        false => format!("<table class=\"diff\">{}</table>", rows(&file.patch)),
    };
    format!(
        "<div class=\"box file\"><div class=\"top\"><span class=\"plus-count\">+{}</span> \
         <span class=\"minus-count\">−{}</span> &nbsp; <b>{name}</b> <span class=\"badge\">{}</span></div>{body}</div>",
        file.additions, file.deletions, file.status
    )
}

/// Renders hunks as table rows with the line numbers of both sides.
pub(super) fn rows(patch: &str) -> String {
    let (mut old, mut new) = (0u64, 0u64);
    let mut page = String::new();
    for line in patch.lines() {
        if line.starts_with("@@") {
            let start = |sign: char| {
                let range = line.split(' ').find_map(|word| word.strip_prefix(sign));
                range.and_then(|range| range.split(',').next()?.parse().ok()).unwrap_or(0)
            };
            (old, new) = (start('-'), start('+'));
            page.push_str(&row("hunk", "", "", line));
            continue;
        }
        let (class, left, right) = match line.chars().next() {
            Some('+') => ("plus", false, true),
            Some('-') => ("minus", true, false),
            Some('\\') => ("hunk", false, false),
            _ => ("", true, true),
        };
        let number = |shown: bool, number: u64| if shown { number.to_string() } else { String::new() };
        page.push_str(&row(class, &number(left, old), &number(right, new), line));
        old += u64::from(left);
        new += u64::from(right);
    }
    page
}

fn row(class: &str, old: &str, new: &str, text: &str) -> String {
    let text = escape(text);
    format!("<tr class=\"{class}\"><td class=\"n\">{old}</td><td class=\"n\">{new}</td><td>{text}</td></tr>")
}
