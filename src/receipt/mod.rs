//! Receipts: what a run was, signed by the server, so that anybody who has the server's public key can look
//! later whether a commit, a brief or a log belongs to it.
//!
//! A receipt is a DSSE envelope around an in-toto Statement; `docs/decisions/0017-receipts.md` tells why.

pub mod envelope;
pub mod find;
pub mod key;
pub mod statement;
pub mod verify;

pub use envelope::{Receipt, seal};
pub use find::{Unreadable, find};
pub use key::{PublicKey, SigningKey};
pub use statement::Statement;
