//! One simple command as it stands in a script, before it is judged.

use super::word::Word;

/// A simple command, or a lone assignment or redirection.
#[derive(Debug, Default, Clone)]
pub(super) struct Call {
    /// Holds the line in the step's script, from 1.
    pub line: usize,
    /// Counts the bytes of the script before it.
    pub start: usize,
    /// Holds name and arguments.
    pub words: Vec<Word>,
    /// Names the variables that are set for it.
    pub assigned: Vec<String>,
    /// Lists its redirections.
    pub redirects: Vec<Redirect>,
    /// Holds its standard input, when that is a text of the script.
    pub input: Option<String>,
    /// Tells what keeps it from being read for sure.
    pub odd: Option<&'static str>,
    /// Tells that it gets further arguments that only the run knows.
    pub more: bool,
    /// Tells that another program starts it, so that it is neither a builtin nor a function.
    pub external: bool,
}

/// A redirection.
#[derive(Debug, Clone)]
pub(super) struct Redirect {
    /// Holds it as it is written.
    pub shown: String,
    /// Names the file; `None` for a text or another descriptor.
    pub file: Option<Word>,
}

impl Call {
    /// Moves the words that bash takes for assignments from the front to the assigned variables.
    pub(super) fn settle(&mut self) {
        let count = self.words.iter().take_while(|word| word.assignment().is_some()).count();
        let names = self.words.drain(..count).filter_map(|word| word.assignment().map(str::to_owned));
        self.assigned.extend(names);
    }

    /// Returns the arguments.
    pub(super) fn args(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Returns the name, when it is known.
    pub(super) fn name(&self) -> Option<&str> {
        self.words.first().and_then(Word::text)
    }
}

/// The folder in which a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folder {
    /// This one, absolute.
    Known(String),
    /// One that only the run knows.
    Unknown,
}
