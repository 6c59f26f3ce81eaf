//! What goes to GitHub: comments, pull requests, and the rules that make strangers' text inert.

pub mod comment;
mod format;
pub mod inert;
pub mod notice;
pub mod pull_request;
