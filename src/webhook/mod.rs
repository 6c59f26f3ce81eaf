//! From GitHub's POST to a stored delivery, and from a stored delivery to an event.

pub mod event;
pub mod inbox;
pub mod missed;
mod payload;
pub mod rescan;
pub mod signature;
