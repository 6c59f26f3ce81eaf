//! What a comment can say besides a brief: the commands of [`TABLE`], each on a line of its own. Pure rules:
//! text in, commands out.

mod find;
mod read;
mod table;

pub use find::{Commands, Found, MAX_COMMANDS, find};
pub use read::{Command, Decision, TaskName, Usage, Wrong};
pub use table::{Entry, Name, TABLE};
