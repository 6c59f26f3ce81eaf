//! The store: everything that must outlive the process, in one SQLite file, and the contents
//! of changed files beside it ([`blobs`]).
//!
//! One connection writes, in transactions that begin with `BEGIN IMMEDIATE`; others read. A commit
//! is on the disk when it returns (`synchronous=FULL`).

pub mod blobs;
mod deliveries;
mod effects;
pub mod models;
mod sqlite;
mod tasks;

pub use deliveries::{Intake, Stored};
pub use sqlite::{Store, StoreError};
