//! The store: everything that must outlive the process, in one SQLite file, and the contents
//! of changed files beside it ([`blobs`]).
//!
//! One connection writes, in transactions that begin with `BEGIN IMMEDIATE`; others read. A commit
//! is on the disk when it returns (`synchronous=FULL`).

mod anew;
mod approvals;
pub mod audit;
pub mod backup;
pub mod blobs;
mod budgets;
mod changes;
mod check;
mod deliveries;
mod effects;
mod gaps;
mod labels;
mod marks;
#[cfg(test)]
mod model_test;
pub mod models;
mod policies;
mod progress;
mod pushes;
mod receipts;
mod retention;
mod runs;
mod sources;
mod sqlite;
mod tasks;
mod wal;

pub use approvals::{ApprovalRow, ApprovalState, Ask, Decided};
pub use audit::{AuditEntry, OPERATOR, SERVER};
pub use budgets::{DAY_MS, Spent};
pub use changes::{Act, StopWish, TaskChange};
pub use check::refusal;
pub use deliveries::{Intake, Stored};
pub use effects::publish_key;
pub use gaps::Span;
pub use policies::{Ruling, SeenPolicy};
pub use progress::{RunShown, check_key, living_effect, result_key};
pub use receipts::{DIGEST, NewReceipt, RECEIPT, ReceiptKey, ReceiptRow};
pub use runs::{Lease, Next};
pub use sources::{SeenRepository, Withdrawal};
pub use sqlite::{Store, StoreError};
