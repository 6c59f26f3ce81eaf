//! Who may run what, and where: rules without I/O; looking things up is the caller's work.

pub mod approval;
pub mod commands;
pub mod gate;
pub mod guard;
pub mod lanes;
pub mod permission;
pub mod policy;
pub mod steps;
