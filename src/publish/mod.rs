//! What leaves the server: commits, branches, pull requests and comments, and the rules that make
//! strangers' text inert.

pub mod answer;
pub mod approval;
pub mod branch;
pub mod check_run;
pub mod comment;
pub mod commit;
pub mod diff;
mod format;
pub mod inert;
pub mod living;
pub mod message;
mod network;
pub mod notice;
pub mod plan;
pub mod pull_request;
pub mod status;
pub mod terminal;
mod tree;
