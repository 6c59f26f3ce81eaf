//! The life of a task as rules without I/O; the store keeps it, the server drives it.

pub mod label;
pub mod lease;
pub mod retry;
pub mod task;
pub mod verdict;
