//! What leaves the server: commits, branches, pull requests and comments, and the rules that make
//! strangers' text inert.

pub mod branch;
pub mod comment;
pub mod commit;
pub mod diff;
mod format;
pub mod inert;
pub mod message;
pub mod notice;
pub mod pull_request;
mod tree;
