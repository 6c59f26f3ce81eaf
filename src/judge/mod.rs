//! Decides, as pure rules and before anything is published, what a run's work comes to.

pub mod honeytoken;
pub mod output_contract;
