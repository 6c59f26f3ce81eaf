//! One attempt of a task: workspace, steps, logs and the changeset that comes out.

pub mod log;
pub mod redact;
pub mod report;
pub mod steps;
