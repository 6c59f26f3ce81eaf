//! The way of a brief, from a signed delivery to one pull request and one result comment.

pub mod brief;
pub mod config;
pub mod error;
pub mod lane;
pub mod run;
