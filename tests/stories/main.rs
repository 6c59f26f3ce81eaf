//! Stories of users, told against the simulated GitHub.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a story fails by panicking, in its helpers too"
)]

mod approvals;
mod architecture;
mod briefs;
mod changeset;
mod clock;
mod commands;
mod crash;
mod demo;
mod failures;
mod github;
mod hostile;
mod leases;
mod main_job;
mod marks;
mod messages;
mod missed;
mod outages;
mod publishing;
mod refusals;
mod rehearse;
mod retries;
mod sandbox;
mod stop;
mod store;
mod support;
mod webhook;
