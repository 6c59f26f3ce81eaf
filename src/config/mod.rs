//! The server's configuration: one typed section a file, unknown keys refused.

mod lane;

pub use lane::{LaneConfig, LaneKind, Limits, Network, SandboxKind};
