//! What a comment can say besides a brief: `/stop`, `/work status`, `/work publish`, `/approve` and `/reject`,
//! each on a line of its own. Pure rules: text in, commands out.

mod find;
mod read;

pub use find::{Commands, Found, MAX_COMMANDS, find};
pub use read::{Command, Decision, TaskName, Usage, Wrong};
