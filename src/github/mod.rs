//! GitHub's REST API as the App uses it: every call that the server makes is in this room.

pub mod client;
mod error;
pub mod installation;
mod rate_limit;

pub use client::GitHub;
pub use error::GitHubError;
