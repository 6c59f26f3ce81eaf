//! The life of a task as rules without I/O; the store keeps it, the server drives it.

pub mod task;
