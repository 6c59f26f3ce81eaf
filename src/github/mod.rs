//! GitHub's API as the App uses it: every call that the server makes is in this room.
//!
//! `client` makes a call (`transport` sends it, `tokens` pays for it, `clock`, `rate_limit` and `budget` say
//! when it may go); the other files are the calls, by what they are about.

pub mod app;
mod budget;
pub mod changes;
pub mod checks;
pub mod client;
mod clock;
mod comments;
mod error;
pub mod git_data;
pub mod hook;
pub mod installation;
mod labels;
pub mod limits;
mod people;
pub mod pulls;
mod rate_limit;
pub mod repository;
#[cfg(test)]
mod tests;
pub mod texts;
mod tokens;
mod transport;

pub use client::GitHub;
pub use error::GitHubError;
pub use people::KnownAccount;
