//! What leaves the server: commits, branches, pull requests and comments, and the rules that make
//! strangers' text inert.

pub mod about;
pub mod answer;
pub mod approval;
pub mod branch;
pub mod check_run;
pub mod comment;
pub mod commit;
pub mod diff;
mod format;
pub mod gate;
pub mod inert;
pub mod living;
mod markdown;
pub mod message;
mod network;
pub mod notice;
pub mod outputs;
pub mod plan;
pub mod pull_request;
mod receipt;
pub mod status;
pub mod task;
pub mod terminal;
mod tree;
