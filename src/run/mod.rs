//! One attempt of a task: workspace, steps, logs and the changeset that comes out.

pub mod attempt;
pub mod changeset;
pub mod checkout;
pub mod collect;
mod git_command;
mod handles;
mod ignored;
pub mod mirror;
pub mod names;
pub mod push;
mod remove;
pub mod log;
pub mod redact;
pub mod report;
pub mod steps;
mod take;
pub mod workspace;
