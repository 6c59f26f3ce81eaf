//! Attempts to break out, made by `codex-brief doctor` from inside a lane's sandbox.
//!
//! Each does what a hostile program would begin with, and no more: what works does no harm and is told.

mod calls;
mod sight;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Limits;

/// What an attempt needs to know of the outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outside {
    /// Holds paths that no step may see.
    pub hidden: Vec<PathBuf>,
    /// Holds the id of the process that asks.
    pub process: i32,
    /// Holds the links in `/proc/self/ns` of the process that asks, by name.
    pub namespaces: Vec<(String, String)>,
    /// Counts the filters of system calls of the process that asks.
    pub filters: u32,
    /// Tells whether the lane has no network.
    pub network_closed: bool,
    /// Holds a port that is listened on at 127.0.0.1, and one at `::1` if the machine has IPv6.
    pub ports: (u16, Option<u16>),
    /// Names an abstract socket that is listened on.
    pub abstract_socket: String,
    /// Holds the lane's bounds: processes, open files, bytes of a file.
    pub bounds: (u64, u64, u64),
}

impl Outside {
    /// Tells whether this process is in that namespace of the process that asks.
    fn shares(&self, namespace: &str) -> bool {
        let own = std::fs::read_link(Path::new("/proc/self/ns").join(namespace)).ok();
        let links = self.namespaces.iter().filter(|(name, _)| name == namespace);
        own.is_some_and(|own| links.into_iter().any(|(_, link)| own.as_os_str() == link.as_str()))
    }

    /// Returns the bounds that are tried inside.
    pub(super) fn bounds_of(limits: &Limits) -> (u64, u64, u64) {
        (limits.processes, limits.open_files, limits.file_bytes)
    }
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It did not work.
    Held,
    /// It worked.
    NotHeld,
    /// It could not be made, so nothing is known.
    NotTried,
    /// It works, as the operator wrote it.
    Open,
}

/// One attempt and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Names the attempt.
    pub attempt: String,
    /// Tells what became of it.
    pub verdict: Verdict,
    /// Tells what was seen.
    pub seen: String,
    /// Tells what to do, where it was not held.
    pub help: Option<String>,
}

impl Finding {
    /// Makes a finding of an attempt.
    pub(super) fn new(attempt: &str, verdict: Verdict, seen: impl Into<String>) -> Self {
        Self { attempt: attempt.to_owned(), verdict, seen: seen.into(), help: None }
    }

    /// Makes a finding of attempts whose successes are told one by one; none means that it was held.
    fn of(attempt: &str, worked: &[String], held: &str) -> Self {
        match worked {
            [] => Self::new(attempt, Verdict::Held, held),
            _ => Self::new(attempt, Verdict::NotHeld, worked.join(", ")),
        }
    }

    /// Adds what to do if it was not held.
    pub(super) fn advise(mut self, help: &str) -> Self {
        if self.verdict == Verdict::NotHeld {
            self.help = Some(help.to_owned());
        }
        self
    }
}

/// Makes all attempts from inside the sandbox that this process is in.
pub fn try_all(outside: &Outside) -> Vec<Finding> {
    let mut findings = sight::try_all(outside);
    findings.extend(calls::try_all(outside));
    findings
}

/// Takes memory until somebody ends it, or until it has so many bytes; tells by its return that nobody did.
#[allow(clippy::disallowed_methods)] // no runtime is near: this is a process of its own
pub fn take_memory(bytes: usize) {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    while taken.len() << 20 < bytes {
        taken.push(vec![1; 1 << 20]);
        // The bound is held by measuring from time to time.
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::hint::black_box(&taken);
    std::thread::sleep(std::time::Duration::from_secs(3));
}
