//! The way of a brief, from a signed delivery to one pull request and one result comment:
//! [`webhook`] stores the delivery, [`server::intake`] finds the [`brief`]s and
//! [`command`]s in it and [`authorize`]s them, the [`queue`] keeps their tasks, a [`lane`] makes the [`run`], [`judge`]
//! holds what changed against what was declared, and [`publish`] brings it to GitHub.

pub mod webhook;

pub mod brief;

pub mod command;

pub mod authorize;

pub mod queue;

pub mod lane;

pub mod run;

pub mod judge;

pub mod receipt;

pub mod publish;

pub mod github;

pub mod store;

pub mod setup;

pub mod server;

pub mod http;

pub mod cli;

pub mod config;

pub mod error;

pub mod messages;

pub mod crash;
