//! Stories of users, told against the simulated GitHub.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a story fails by panicking, in its helpers too"
)]

mod approvals;
mod architecture;
mod asking;
mod attacks;
mod audit;
mod briefs;
mod changeset;
mod checks;
mod clock;
mod commands;
mod crash;
mod demo;
mod deploy;
mod doctor;
mod doctor_app;
mod egress;
mod examples;
mod failures;
mod fuzz;
mod gates;
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
mod outputs;
mod policy;
mod polling;
mod publishing;
mod receipts;
mod refusals;
mod rehearse;
mod retries;
mod retry;
mod sandbox;
mod setup;
mod steps;
mod stop;
mod store;
mod support;
mod webhook;
