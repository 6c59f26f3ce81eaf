//! Finds the lines of a Markdown text that are commands.
//!
//! pulldown-cmark decides what a line is, as it does for briefs: only a line of a plain paragraph at the
//! top level counts, never one in a quote, a list, code, HTML, or in the middle of a link or emphasis.

use std::collections::HashMap;
use std::ops::Range;

use pulldown_cmark::{Event, Parser, Tag};

use super::read::{Command, Usage, read};
use crate::brief::MAX_TEXT_BYTES;
use crate::brief::extract::{markdown_options, normalize};

/// How many commands of a text are obeyed.
pub const MAX_COMMANDS: usize = 10;

/// Bounds what is kept of a command's line, in characters.
const MAX_KEPT: usize = 200;

/// The commands of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// Holds the first [`MAX_COMMANDS`], in the order of the text.
    pub found: Vec<Found>,
    /// Counts those beyond.
    pub more: usize,
}

/// One line that is meant for this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Holds its words, one space between them, in small letters; what names it among those of its text.
    pub words: String,
    /// Counts the equal ones before it in the same text.
    pub nth: u32,
    /// Holds what it asks for, or what is wrong with it.
    pub command: Result<Command, Usage>,
}

/// Finds the commands in `markdown`; takes time in proportion to its length.
pub fn find(markdown: &str) -> Commands {
    let mut commands = Commands::default();
    // Texts that long are told of by the search for briefs.
    if markdown.len() > MAX_TEXT_BYTES || !markdown.contains('/') {
        return commands;
    }
    let text = normalize(markdown);
    let mut open: Vec<bool> = Vec::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    for (event, range) in Parser::new_ext(&text, markdown_options()).into_offset_iter() {
        match event {
            Event::Start(tag) => open.push(matches!(tag, Tag::Paragraph)),
            Event::End(_) => drop(open.pop()),
            Event::Text(_) if open == [true] => {
                let Some(line) = line_that_begins(&text, &range) else { continue };
                let Some(command) = read(line) else { continue };
                if commands.found.len() == MAX_COMMANDS {
                    commands.more += 1;
                    continue;
                }
                let words = kept(line);
                let nth = seen.entry(words.clone()).or_default();
                commands.found.push(Found { words, nth: *nth, command });
                *nth += 1;
            }
            _ => {}
        }
    }
    commands
}

/// Returns the line whose first word begins where `range` does, if one does.
fn line_that_begins<'t>(text: &'t str, range: &Range<usize>) -> Option<&'t str> {
    let before = text.get(..range.start)?.rsplit('\n').next()?;
    let begins = before.len() <= 3 && before.bytes().all(|byte| byte == b' ');
    begins.then(|| text.get(range.start..)?.split('\n').next()).flatten()
}

fn kept(line: &str) -> String {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    words.join(" ").to_lowercase().chars().take(MAX_KEPT).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        find(text).found.into_iter().map(|found| found.words).collect()
    }

    #[test]
    fn lines_of_plain_paragraphs_count_wherever_they_stand() {
        let text = "Enough.\n/stop\nThank you, and\n   /work  status\n\n/WORK publish `ab12cd`\n";
        assert_eq!(words(text), ["/stop", "/work status", "/work publish `ab12cd`"]);
        assert_eq!(words("/stop\r\n/stop\r\n"), ["/stop", "/stop"]);
        assert_eq!(words("\u{FEFF}/stop"), ["/stop"]);
    }

    #[test]
    fn a_command_in_anything_else_is_none() {
        for text in [
            "> /stop",
            "> quoted\n/stop",
            "- /stop",
            "1. /stop\n2. x",
            "    /stop",
            "```\n/stop\n```",
            "```\n/stop",
            "~~~codex-brief\n/stop\n~~~",
            "<div>\n/stop\n</div>",
            "<!--\n/stop\n-->",
            "# /stop",
            "| a |\n|---|\n| /stop |",
            "please /stop",
            "`a\n/stop\nb`",
            "*a\n/stop*",
            "[a\n/stop](https://example.com)",
            "/stopped",
            "/help me",
            "\\/stop",
        ] {
            assert_eq!(words(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn equal_commands_are_counted_and_their_number_is_bounded() {
        let commands = find(&"/stop\n".repeat(12));
        assert_eq!((commands.found.len(), commands.more), (MAX_COMMANDS, 2));
        let nths: Vec<u32> = commands.found.iter().map(|found| found.nth).collect();
        assert_eq!(nths, (0..10).collect::<Vec<u32>>());
    }

    proptest! {
        #[test]
        fn any_text_is_looked_through(text in "[ /a-z`>*<\\[\\]()~#|\r\n\\\\-]{0,200}|\\PC{0,100}") {
            let commands = find(&text);
            for found in &commands.found {
                let known = ["/stop", "/work", "/approve", "/reject", "/task", "/status", "/ask", "/help"];
                prop_assert!(known.iter().any(|word| found.words.starts_with(word)));
            }
        }

        #[test]
        fn nothing_is_found_in_fences_and_quotes(
            lines in prop::collection::vec("(/stop|/work status|/work publish|[a-z ]{0,10})( [a-f0-9]{6})?", 0..8),
        ) {
            let text = lines.join("\n");
            prop_assert_eq!(find(&format!("a\n\n```x\n{text}\n```\n\nb\n")), Commands::default());
            let quoted: String = lines.iter().map(|line| format!("> {line}\n")).collect();
            prop_assert_eq!(find(&quoted), Commands::default());
            let listed: String = lines.iter().map(|line| format!("- {line}\n")).collect();
            prop_assert_eq!(find(&listed), Commands::default());
        }
    }
}
