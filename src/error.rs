//! The two families of error: what a user may be told, and what is logged.

use std::fmt;

/// An error that a user meets: what happened, where, and what to do. Every `code` has an entry in
/// [`crate::messages`]; everything else is an internal error, logged once with an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserError {
    /// Names the message in `docs/messages.md`, in kebab-case.
    pub code: &'static str,
    /// Tells what happened, and where, in one sentence.
    pub message: String,
    /// Tells what to do about it, in one sentence.
    pub help: String,
}

impl UserError {
    /// Makes an error from its code, what happened and what to do.
    pub fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into() }
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} [{}]", self.message, self.help, self.code)
    }
}

impl std::error::Error for UserError {}

/// Logs an internal error once, at the boundary, with an id; returns the id for the user.
pub fn log_internal(what: &str, error: &dyn fmt::Display) -> String {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let id = id[id.len() - 12..].to_owned();
    tracing::error!(id, "{what}: {error}");
    id
}
