//! What a comment can say besides a brief: `/stop`, `/work status` and `/work publish`, each on a line
//! of its own. Pure rules: text in, commands out.

mod find;
mod read;

pub use find::{Commands, Found, MAX_COMMANDS, find};
pub use read::{Command, TaskName, Usage, Wrong};
