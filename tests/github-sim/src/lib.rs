//! A stateful GitHub on loopback, for tests and for the demo.
//!
//! It speaks the part of GitHub's REST interface that a GitHub App needs, sends signed webhooks, serves
//! real git over HTTP and shows plain pages of what it holds. It knows nothing of the App that it serves.
//!
//! The way of a request: `server` (connection, request log, faults, rate-limit headers) → `api` (who
//! asks, may they) → `act` (the change, the same for a user and for the App) → `world` (what is
//! remembered) → `render` (the JSON that GitHub would give) → `webhook` (the delivery that is owed).
//!
//! ```no_run
//! # async fn story() -> anyhow::Result<()> {
//! use github_sim::{GithubSim, Permission};
//! let sim = GithubSim::start().await?;
//! sim.create_repository("octo/example", &[("README.md", "# Example\n")])?;
//! sim.add_user("maria");
//! sim.set_permission("octo/example", "maria", Permission::Write)?;
//! let issue = sim.open_issue("octo/example", "maria", "A question", "Why?")?;
//! println!("{}", issue.html_url);
//! # Ok(())
//! # }
//! ```

mod act;
mod api;
mod auth;
mod control;
mod core;
mod fault;
mod git_http;
mod log;
mod model;
mod pages;
mod refusal;
mod render;
mod repo_git;
mod server;
mod silence;
mod sim;
mod sim_acting;
mod sim_owning;
mod sim_reading;
mod sim_setup;
mod webhook;
mod world;

pub use fault::{Fault, FaultKind};
pub use log::{Delivery, RequestRecord};
pub use model::{
    CheckRun, Comment, CommentRef, Edit, Issue, IssueRef, Label, Permission, PullRequest, Reaction, Review,
    ReviewComment, Subject, Time, User,
};
pub use refusal::Refusal;
pub use repo_git::{CommitInfo, FileDiff};
pub use sim::{Builder, GithubSim, TimedOut};
pub use world::World;
