//! One attempt of a task: workspace, steps, logs and the changeset that comes out.

pub mod report;
