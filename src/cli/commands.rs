//! The verdict table as text for a terminal.

use std::fmt::Write as _;

use crate::authorize::guard::{Row, VerdictTable};

/// Renders the table, a line a command, with what it stands for under it.
pub(super) fn text(table: &VerdictTable) -> String {
    let mut out = String::new();
    for row in &table.rows {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "  {:<9}  step {}, line {}: {}",
            row.verdict,
            row.step,
            row.line,
            visible(&parts(row))
        );
    }
    let count = table.rows.len();
    let noun = if count == 1 { "command" } else { "commands" };
    let _ = writeln!(
        out,
        "  {count} {noun}: {}; the sandbox is the boundary, this table is only help for the reader",
        table.summary()
    );
    out
}

fn parts(row: &Row) -> String {
    let mut parts = vec![row.binary.clone().unwrap_or_else(|| "?".to_owned())];
    if let Some(subcommand) = &row.subcommand {
        parts[0] = format!("{} {subcommand}", parts[0]);
    }
    for (what, list) in [("flags", &row.flags), ("paths", &row.paths), ("redirections", &row.redirections)] {
        if !list.is_empty() {
            parts.push(format!("{what} {}", list.join(" ")));
        }
    }
    parts.push(row.reason.clone());
    parts.join(" — ")
}

/// Shows what would act on a terminal, or would not be seen, as its number.
fn visible(text: &str) -> String {
    let hidden = |c: char| c.is_control() || (!c.is_ascii() && !c.is_alphanumeric() && !"—…".contains(c));
    text.chars().flat_map(|c| if hidden(c) { c.escape_unicode().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_cannot_act_on_a_terminal() {
        assert_eq!(visible("a\u{1b}[2J\nb\u{202E}ć — x"), "a\\u{1b}[2J\\u{a}b\\u{202e}ć — x");
    }
}
