//! Stories of users, told against the simulated GitHub.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a story fails by panicking, in its helpers too"
)]

mod approvals;
mod architecture;
mod attacks;
mod audit;
mod briefs;
mod changeset;
mod checks;
mod clock;
mod commands;
mod crash;
mod demo;
mod doctor;
mod egress;
mod failures;
mod fuzz;
mod github;
mod honeytokens;
mod hostile;
mod leases;
mod living;
mod main_job;
mod marks;
mod messages;
mod missed;
mod outages;
mod policy;
mod publishing;
mod refusals;
mod rehearse;
mod retries;
mod sandbox;
mod stop;
mod store;
mod support;
mod webhook;
