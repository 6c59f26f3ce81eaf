//! One attempt of a task: workspace, steps, logs and the changeset that comes out.

pub mod changeset;
pub mod checkout;
pub mod collect;
pub mod contract;
mod git_command;
mod handles;
pub mod honeytoken;
mod ignored;
pub mod log;
pub mod mirror;
pub mod names;
pub mod network;
pub mod output;
pub mod problem_lines;
pub mod progress;
pub mod protected;
pub mod push;
pub mod redact;
mod remove;
pub mod report;
pub mod steps;
mod take;
pub mod workspace;
