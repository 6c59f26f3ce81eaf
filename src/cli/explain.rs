//! `codex-brief explain`: what a code means that a comment, a log or the command line showed.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::Args;

use super::{print, print_json};
use crate::error::UserError;
use crate::messages::{self, Message};

/// Tells what a code such as `step-failed` means: what happened, the likely cause, and what to do.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Without a code it lists all of them. docs/messages.md is the same on one page.")]
pub struct ExplainArgs {
    /// The code, as it stands in brackets behind a message.
    code: Option<String>,
    /// Prints JSON: an object for a code, else a list.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Prints docs/messages.md.
    #[arg(long, conflicts_with = "code")]
    markdown: bool,
}

/// Prints what is known. Returns the exit code: 0.
///
/// Fails with `code-unknown`.
pub fn run(args: &ExplainArgs) -> Result<u8, UserError> {
    match &args.code {
        // As it is: a page for a file, not for a terminal.
        _ if args.markdown => drop(std::io::stdout().write_all(messages::page().as_bytes())),
        None if args.json => print_json(&messages::all().collect::<Vec<_>>()),
        None => print(messages::all().map(line).collect::<String>().trim_end()),
        Some(code) => {
            let message = messages::find(code.trim_matches(['[', ']', '`'])).ok_or_else(|| unknown(code))?;
            if args.json { print_json(message) } else { print(&whole(message)) }
        }
    }
    Ok(0)
}

fn unknown(code: &str) -> UserError {
    let meant = messages::nearest(code).map_or(String::new(), |code| format!(" Did you mean `{code}`?"));
    let help = match code.starts_with("brief-") {
        true => {
            "Codes of what is wrong inside a brief stand in docs/brief-reference.md, and `codex-brief check` explains each where it is."
        }
        false => "`codex-brief explain` without a code lists all of them.",
    };
    UserError::new("code-unknown", format!("No message has the code `{code}`.{meant}"), help)
}

fn line(message: &Message) -> String {
    let first = message.happened.split_inclusive(". ").next().unwrap_or_default().trim_end();
    format!("{:<26}  {first}\n", message.id)
}

fn whole(message: &Message) -> String {
    let mut out = format!("{}\n\n{}", message.id, message.happened);
    for (name, text) in [("Likely cause", message.cause), ("What to do", message.todo)] {
        if !text.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\n\n{name}: {text}");
        }
    }
    out
}
