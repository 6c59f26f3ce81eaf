//! The verdict table (row N2): which commands a brief's steps hold, and which of them the operator's
//! allow lists (row G1) let pass.
//!
//! The table is help for a person who reads a brief before it runs. The sandbox of the lane is the
//! boundary: a program that is allowed can start any other. So what the table cannot tell for sure it
//! calls undecided, and never allowed.

mod builtin;
mod call;
mod gather;
mod markdown;
mod parse;
mod peel;
mod place;
mod rules;
mod script;
mod subcommand;
#[cfg(test)]
mod tests;
mod walk;
mod word;

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::brief::{Brief, Work};
use crate::config::GuardConfig;
use rules::Rules;
use walk::Walk;

/// How many commands of a brief are listed; another row tells that there are more.
pub const MAX_ROWS: usize = 1_000;

/// What the allow lists say to a command; a later one is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every part of it is known before the run, and the lists let it pass.
    Allowed,
    /// What it does shows itself only in the run.
    Undecided,
    /// A list does not let it pass.
    Denied,
}

impl Verdict {
    /// Returns its name: `allowed`, `undecided` or `denied`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Undecided => "undecided",
            Self::Denied => "denied",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One command of a step. Its texts are a stranger's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Counts the steps from 1.
    pub step: usize,
    /// Holds the line within the step's script, from 1.
    pub line: usize,
    /// Names the program as bash would look for it; `None` when only the run knows it, or when the row
    /// is about something else than a program.
    pub binary: Option<String>,
    /// Names the subcommand, for programs that are known to have some.
    pub subcommand: Option<String>,
    /// Lists the flags without their values.
    pub flags: Vec<String>,
    /// Lists the arguments that name a path, as they are written.
    pub paths: Vec<String>,
    /// Lists the redirections, such as `> out.txt`.
    pub redirections: Vec<String>,
    /// Holds what the allow lists say.
    pub verdict: Verdict,
    /// Tells why, in a few words.
    pub reason: String,
}

/// The commands of all steps of a brief, in the order of the text. As JSON it has `summary` and `rows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictTable {
    /// Holds one row for each command.
    pub rows: Vec<Row>,
}

impl VerdictTable {
    /// Returns the worst verdict: `Allowed` when every command is.
    pub fn summary(&self) -> Verdict {
        self.rows.iter().map(|row| row.verdict).max().unwrap_or(Verdict::Allowed)
    }

    /// Returns the table as GitHub Markdown in which nothing that a stranger wrote acts: no mention,
    /// link or tag. Has at most 20,000 characters, and tells how many rows did not fit.
    pub fn markdown(&self) -> String {
        markdown::render(self)
    }
}

impl Serialize for VerdictTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_struct("VerdictTable", 2)?;
        table.serialize_field("summary", &self.summary())?;
        table.serialize_field("rows", &self.rows)?;
        table.end()
    }
}

/// Finds the commands in the steps of a brief, and holds each against the allow lists. Takes 3 seconds at
/// most, for a hostile brief; what is not looked into by then is undecided.
pub fn table(brief: &Brief, config: &GuardConfig) -> VerdictTable {
    let rules = Rules::new(config, &brief.workdir);
    let mut walk = Walk::new(&rules);
    for (at, step) in brief.steps.iter().enumerate() {
        match &step.work {
            Work::Shell { shell } => walk.step(at + 1, shell),
            work => walk.program(at + 1, work, &step.env),
        }
    }
    VerdictTable { rows: walk.rows }
}
