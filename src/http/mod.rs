//! The HTTP surface: the webhook, and what tells whether the server is well.

pub mod control;
pub mod health;
mod receipts;
mod router;
mod serve;

pub use router::router;
pub use serve::serve;
