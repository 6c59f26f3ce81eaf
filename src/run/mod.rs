//! One attempt of a task: workspace, steps, logs and the changeset that comes out.

pub mod changeset;
pub mod checkout;
pub mod collect;
mod git_command;
mod handles;
mod ignored;
pub mod log;
pub mod mirror;
pub mod names;
pub mod network;
pub mod push;
pub mod redact;
mod remove;
pub mod report;
pub mod steps;
mod take;
pub mod workspace;
