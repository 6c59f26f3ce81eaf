//! The HTTP surface: the webhook, and what tells whether the server is well.

pub mod health;
mod router;

pub use router::router;
