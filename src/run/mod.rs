//! One attempt of a task: workspace, steps, logs and the changeset that comes out.

pub mod changeset;
pub mod checkout;
pub mod collect;
mod git_command;
mod handles;
mod ignored;
pub mod mirror;
pub mod names;
mod push;
mod remove;
pub mod report;
mod take;
pub mod workspace;
