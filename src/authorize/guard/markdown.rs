//! The verdict table as a part of a comment.

use std::fmt::Write as _;

use super::{Row, Verdict, VerdictTable};

/// How many characters the table has at most, with what stands under it. GitHub takes comments of
/// 65,536, and an approval comment holds more than the table.
const MAX_CHARS: usize = 20_000;
/// How many characters of one cell are shown.
const MAX_CELL: usize = 160;

const HEAD: &str = "| | step | line | command | flags | paths, redirections | why |\n\
                    |---|---|---|---|---|---|---|\n";
const FOOT: &str = "\nThe sandbox of the lane is the boundary. This table is only help for the reader: it shows \
                    what can be told from the text before the run, and a program that is allowed can start others.\n";

/// Renders the table within [`MAX_CHARS`].
pub(super) fn render(table: &VerdictTable) -> String {
    let mut out = String::new();
    if table.rows.is_empty() {
        out.push_str("No step holds a command.\n");
    } else {
        out.push_str(HEAD);
    }
    // Every character of ours and of an escaped cell is ASCII but for a few, so that bytes bound characters.
    let room = MAX_CHARS - FOOT.len() - 60;
    for (shown, row) in table.rows.iter().enumerate() {
        let line = line(row);
        if out.len() + line.len() > room {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "\n… and {} more", table.rows.len() - shown);
            break;
        }
        out.push_str(&line);
    }
    out.push_str(FOOT);
    out
}

fn line(row: &Row) -> String {
    let mark = match row.verdict {
        Verdict::Allowed => "allowed",
        Verdict::Undecided => "**undecided**",
        Verdict::Denied => "**denied**",
    };
    let mut command = row.binary.clone().unwrap_or_else(|| "?".to_owned());
    if let Some(subcommand) = &row.subcommand {
        command.push(' ');
        command.push_str(subcommand);
    }
    let paths: Vec<&str> = row.paths.iter().chain(&row.redirections).map(String::as_str).collect();
    format!(
        "| {mark} | {} | {} | {} | {} | {} | {} |\n",
        row.step,
        row.line,
        cell(&command),
        cell(&row.flags.join(" ")),
        cell(&paths.join(" ")),
        cell(&row.reason),
    )
}

/// Returns a stranger's text as a `<code>` element on one line. Whatever Markdown, HTML or GitHub could
/// act on is a numeric entity, which is no syntax for any of them; inside `<code>` GitHub makes neither
/// mentions nor links of what is rendered.
fn cell(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut out = String::from("<code>");
    for (at, c) in text.chars().enumerate() {
        if at == MAX_CELL {
            out.push('…');
            break;
        }
        match c {
            'a'..='v' | 'x'..='z' | 'A'..='V' | 'X'..='Z' | '0'..='9' | ' ' | '-' | '/' | '.' | ',' | ';' => {
                out.push(c);
            }
            '\n' | '\t' | '\r' => out.push(' '),
            // What is not seen, or not what it seems, is shown as its number.
            c if !c.is_ascii() && !c.is_alphanumeric() || c.is_control() => {
                let _ = write!(out, "&#92;u&#123;{:X}&#125;", u32::from(c));
            }
            c => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
        }
    }
    out.push_str("</code>");
    out
}
