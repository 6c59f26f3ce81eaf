//! The brief protocol: from Markdown to a checked [`Brief`], as pure rules without I/O.
//!
//! [`extract::extract`] finds the fences, [`parse`] turns one fence's text into a [`Brief`] or into
//! all the [`Diagnostic`]s that its author needs, and [`digest`] names it.

mod characters;
pub mod codes;
pub mod diagnostic;
pub mod digest;
mod entries;
pub mod extract;
mod fields;
pub mod misplaced;
pub mod outputs;
mod read;
mod read_step;
mod report;
pub mod schema;
pub mod source;
pub mod step;
#[cfg(test)]
mod tests;
pub mod validate;
pub mod write;
mod yaml;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use diagnostic::{Diagnostic, Severity, Snippet, render_markdown};
pub use digest::{BriefId, Digest, text_digest};
pub use extract::{Extraction, Fence, extract};
pub use misplaced::{Misplaced, Place};
pub use outputs::{CommentOutput, CommentText, Output, PullRequestOutput, ReportOutput};
pub use source::{Source, SourceKind};
pub use step::{Step, Timeout, When, Work};

/// The longest text that is looked through for briefs, in bytes. GitHub takes bodies of 65,536
/// characters, which are 256 KiB at most; files that `check` reads may be longer.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// How many briefs one text may hold.
pub const MAX_BRIEFS_PER_TEXT: usize = 20;
/// The largest brief, in bytes after line endings are made LF: what one comment can hold.
pub const MAX_BRIEF_BYTES: usize = 64 * 1024;
/// How many lists and mappings may nest; a brief needs four.
pub const MAX_DEPTH: usize = 16;
/// How many values (texts, lists, mappings, names of fields) a brief may hold.
pub const MAX_NODES: usize = 2_000;
/// How many steps a brief may have.
pub const MAX_STEPS: usize = 50;
/// How many files an output may declare.
pub const MAX_FILES: usize = 1_000;
/// The longest title, and the longest first line of a commit message, in characters (GitHub's limit).
pub const MAX_TITLE_CHARS: usize = 256;
/// The longest name of a step, in characters.
pub const MAX_LINE_CHARS: usize = 200;
/// How many problems of one brief are told; one more entry tells how many there are beyond them.
pub const MAX_DIAGNOSTICS: usize = 30;

/// Where a brief's text stands in the comment, so that diagnostics name the comment's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Holds the line of the first content line, from 1.
    pub first_line: usize,
    /// Holds how many columns were removed before each content line; empty when before none.
    pub removed: Vec<usize>,
}

impl Origin {
    /// Returns the origin of a text that is a brief as a whole, such as a YAML file.
    pub fn document() -> Self {
        Self { first_line: 1, removed: Vec::new() }
    }
}

/// Reads one fence's text.
///
/// # Errors
/// Returns what is wrong with it, in the order of the text: every problem at once, unless the text is
/// too large or no YAML, which hides the rest. At most [`MAX_DIAGNOSTICS`] and one more that counts.
pub fn parse(text: &str, origin: &Origin) -> Result<Brief, Vec<Diagnostic>> {
    let mut report = report::Report::new(text, origin);
    if text.len() > MAX_BRIEF_BYTES {
        let message = format!("The brief has {} bytes; {MAX_BRIEF_BYTES} are the most.", text.len());
        let help = "Move long scripts into a file of the repository, and call it from the step.";
        report.add(report::Span::line(1, 0, 1), codes::TOO_LARGE, message, help);
        return Err(report.finish());
    }
    let clean = report.check_characters(text);
    let root = yaml::read(&clean, &mut report);
    if root.is_none() && report.is_empty() {
        let help = "Write `executor`, `repo`, `branch`, `workdir`, `steps` and `outputs`.";
        report.add(report::Span::line(1, 0, 1), codes::EMPTY, "The brief is empty.", help);
    }
    let brief = root.and_then(|root| read::brief(&root, &mut report));
    match brief {
        Some(brief) if report.is_empty() => Ok(brief),
        Some(_) => Err(report.finish()),
        None => {
            if report.is_empty() {
                // No rule refuses silently; should one ever, the author is told all the same.
                let help = "Compare it with the example in the reference.";
                report.add(report::Span::line(1, 0, 1), codes::YAML, "The brief cannot be read.", help);
            }
            Err(report.finish())
        }
    }
}

/// Reads a text that is a brief as a whole: YAML without a fence around it.
///
/// # Errors
/// As [`parse`].
pub fn parse_document(text: &str) -> Result<Brief, Vec<Diagnostic>> {
    parse(&extract::normalize(text), &Origin::document())
}

/// A checked brief: every field has passed the rules of `docs/brief-reference.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// Names the lane that does the work.
    pub executor: String,
    /// Names the repository that is worked on.
    pub repo: RepoName,
    /// Names the branch that is the base of the work and of the pull request.
    pub branch: String,
    /// Holds the path at which the steps find the checkout: absolute, or `~/…` below the run's home.
    pub workdir: String,
    /// Holds the steps in the order in which they run; never empty.
    pub steps: Vec<Step>,
    /// Holds what the run shall produce; never empty.
    pub outputs: Vec<Output>,
    /// Holds context for people and models; kept and shown, never interpreted.
    pub context_header: Option<String>,
    /// Holds remarks for people; kept and shown, never interpreted.
    pub notes: Option<String>,
}

/// A repository's name on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RepoName {
    /// Names the user or organisation.
    pub owner: String,
    /// Names the repository.
    pub name: String,
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for RepoName {
    type Err = validate::Problem;

    /// Reads `owner/name` by GitHub's rules.
    fn from_str(value: &str) -> Result<Self, validate::Problem> {
        validate::repo(value)
    }
}
