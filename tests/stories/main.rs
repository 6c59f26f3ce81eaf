//! Stories of users, told against the simulated GitHub.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a story fails by panicking, in its helpers too"
)]

mod architecture;
mod briefs;
mod changeset;
mod failures;
mod hostile;
mod main_job;
mod messages;
mod refusals;
mod sandbox;
mod support;
mod webhook;
