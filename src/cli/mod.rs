//! The subcommands of `codex-brief`, one file each.

pub mod check;
pub mod schema;
