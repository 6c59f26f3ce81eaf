//! What every code means that a user can meet: one table an area. `docs/messages.md` is made of it, and
//! `codex-brief explain` prints it.

mod brief;
mod change;
mod command_line;
mod commands;
mod publishing;
mod run;

use serde::Serialize;

/// Holds the page around the tables; each stands where its marker is.
const PAGE: &str = include_str!("page.md");

/// The tables by the names of their markers, in the order of the page.
const AREAS: [(&str, &[Message]); 6] = [
    ("brief", brief::MESSAGES),
    ("run", run::MESSAGES),
    ("change", change::MESSAGES),
    ("publishing", publishing::MESSAGES),
    ("commands", commands::MESSAGES),
    ("command_line", command_line::MESSAGES),
];

/// What a code means, each part in Markdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Holds the code, in kebab-case.
    #[serde(rename = "code")]
    pub id: &'static str,
    /// Tells what happened.
    pub happened: &'static str,
    /// Tells the likely cause; empty where what happened tells it.
    pub cause: &'static str,
    /// Tells what to do.
    pub todo: &'static str,
}

/// Walks all messages, in the order of the page.
pub fn all() -> impl Iterator<Item = &'static Message> {
    AREAS.iter().flat_map(|(_, messages)| messages.iter())
}

/// Finds what a code means.
pub fn find(code: &str) -> Option<&'static Message> {
    all().find(|message| message.id == code)
}

/// Returns the code that is most like a word, if one is like it.
pub fn nearest(word: &str) -> Option<&'static str> {
    const ALIKE: f64 = 0.85;
    let likeness = |message: &&Message| strsim::jaro_winkler(word, message.id);
    let best = all().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) >= ALIKE).then_some(best.id)
}

/// Returns `docs/messages.md`.
pub fn page() -> String {
    let mut page = format!("<!-- Made by `make messages` of src/messages; change it there. -->\n\n{PAGE}");
    for (name, messages) in AREAS {
        page = page.replace(&marker(name), table(messages).trim_end());
    }
    page
}

fn marker(name: &str) -> String {
    format!("<!-- messages: {name} -->")
}

fn table(messages: &[Message]) -> String {
    let has_causes = messages.iter().any(|message| !message.cause.is_empty());
    let row = |cells: [&str; 4]| match has_causes {
        true => format!("| {} |\n", cells.join(" | ")),
        false => format!("| {} | {} | {} |\n", cells[0], cells[1], cells[3]),
    };
    let mut out = row(["Code", "What happened", "Likely cause", "What to do"]);
    out.push_str(if has_causes { "|---|---|---|---|\n" } else { "|---|---|---|\n" });
    for message in messages {
        out.push_str(&row([&format!("`{}`", message.id), message.happened, message.cause, message.todo]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_in_one_table_and_each_table_on_the_page() {
        let mut codes: Vec<&str> = all().map(|message| message.id).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count, "a code stands in two rows");
        for (name, messages) in AREAS {
            assert_eq!(PAGE.matches(&marker(name)).count(), 1, "{name}");
            assert!(!messages.is_empty(), "{name}");
        }
        assert!(!page().contains("<!-- messages: "));
        assert!(all().all(|message| !message.happened.is_empty() && !message.todo.is_empty()));
    }

    #[test]
    fn a_misspelt_code_is_known() {
        assert_eq!(find("step-failed").map(|message| message.id), Some("step-failed"));
        assert_eq!(nearest("step-faild"), Some("step-failed"));
        assert_eq!(nearest("qqq"), None);
    }
}
