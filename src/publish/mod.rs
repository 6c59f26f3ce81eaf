//! What leaves the server: commits, branches, pull requests and comments.

pub mod branch;
pub mod commit;
pub mod diff;
pub mod message;
mod tree;
