//! The `[server]` section.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

/// Where the server listens and keeps its state.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Holds the address of the HTTP listener; TLS is a reverse proxy's work.
    pub listen: SocketAddr,
    /// Holds the folder of everything the server keeps: store, mirrors, runs, changesets.
    pub state_dir: PathBuf,
    /// Bounds the body of a delivery, in bytes; GitHub sends at most 25 MB.
    pub body_limit_bytes: usize,
    /// Bounds the time in which a delivery's body must arrive, in seconds; GitHub waits 10.
    pub body_seconds: u64,
    /// Holds how long running work gets after SIGTERM before its tasks go back to the queue, in seconds.
    pub grace_seconds: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            state_dir: PathBuf::from("codex-brief-state"),
            body_limit_bytes: 25 << 20,
            body_seconds: 10,
            grace_seconds: 20,
        }
    }
}
