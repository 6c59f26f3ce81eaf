//! What a run's steps reached through their lane's network list, and what they tried beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Bounds the destinations that are listed as reached; names below a `*.` are a stranger's choice.
const MOST_REACHED: usize = 100;

/// Bounds the refused destinations that are listed.
const MOST_DENIED: usize = 20;

/// What a run reached and what it was refused, for people and programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// Lists what was reached, sorted by host and port.
    pub allowed: Vec<Reached>,
    /// Counts the connections to further destinations that find no room in `allowed`.
    pub allowed_more: u64,
    /// Lists what was refused, sorted by host and port.
    pub denied: Vec<Denied>,
    /// Counts the attempts at further destinations that find no room in `denied`.
    pub denied_more: u64,
}

impl NetworkReport {
    /// Masks the hosts, which are a step's choice.
    pub fn mask(&mut self, mask: impl Fn(&str) -> String) {
        for host in self
            .allowed
            .iter_mut()
            .map(|it| &mut it.host)
            .chain(self.denied.iter_mut().map(|it| &mut it.host))
        {
            *host = mask(host);
        }
    }
}

/// A destination that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Holds the host as the step wrote it, in small letters.
    pub host: String,
    /// Holds the port.
    pub port: u16,
    /// Counts the connections.
    pub connections: u64,
    /// Counts the bytes that went out.
    pub bytes_out: u64,
    /// Counts the bytes that came in.
    pub bytes_in: u64,
}

/// A destination that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Holds the host as the step wrote it, in small letters: a stranger's text.
    pub host: String,
    /// Holds the port.
    pub port: u16,
    /// Tells why.
    pub reason: DeniedReason,
    /// Counts the attempts.
    pub times: u64,
}

/// Why a destination was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeniedReason {
    /// It is not on the lane's list.
    NotListed,
    /// The name is on the list and leads only to addresses that are not public.
    Address,
    /// A TLS connection or a Host field asked for another host than the one that it was opened for, or
    /// the host that it asked for cannot be read.
    ServerName,
}

impl DeniedReason {
    /// Returns the words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotListed => "not on the lane's list",
            Self::Address => "leads to an address that is not public",
            Self::ServerName => "named inside a connection to another host",
        }
    }
}

/// Is called with each piece of a stream before it is sent, and tells whether it may be.
pub type Look = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// Looks at what the steps of a run send out through the proxy.
pub trait Watch: fmt::Debug + Send + Sync {
    /// Begins to look at one stream, such as a connection; its bytes come in order, in pieces of any size.
    fn stream(&self) -> Look;
}

/// Counts a destination's bytes while they pass.
#[derive(Debug, Default)]
pub struct Traffic {
    connections: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
}

impl Traffic {
    /// Counts bytes that went out.
    pub fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes that came in.
    pub fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Is filled while a run's steps use the network; clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct NetworkLog {
    tallies: Arc<Mutex<Tallies>>,
    watch: Option<Arc<dyn Watch>>,
}

#[derive(Debug, Default)]
struct Tallies {
    reached: BTreeMap<(String, u16), Arc<Traffic>>,
    reached_more: u64,
    denied: BTreeMap<(String, u16, DeniedReason), u64>,
    denied_more: u64,
}

impl NetworkLog {
    /// Makes a log whose run's outgoing bytes are looked at.
    pub fn watched(watch: Arc<dyn Watch>) -> Self {
        Self { tallies: Arc::default(), watch: Some(watch) }
    }

    /// Begins to look at a stream of outgoing bytes; `None` when nobody does.
    pub fn stream(&self) -> Option<Look> {
        self.watch.as_ref().map(|watch| watch.stream())
    }

    /// Counts a connection, and returns what counts its bytes.
    pub fn reached(&self, host: &str, port: u16) -> Arc<Traffic> {
        let mut tallies = self.lock();
        let key = (shown(host), port);
        if tallies.reached.len() == MOST_REACHED && !tallies.reached.contains_key(&key) {
            tallies.reached_more += 1;
            return Arc::default();
        }
        let traffic = tallies.reached.entry(key).or_default();
        traffic.connections.fetch_add(1, Ordering::Relaxed);
        Arc::clone(traffic)
    }

    /// Counts an attempt that was refused.
    pub fn denied(&self, host: &str, port: u16, reason: DeniedReason) {
        let mut tallies = self.lock();
        let key = (shown(host), port, reason);
        if tallies.denied.len() == MOST_DENIED && !tallies.denied.contains_key(&key) {
            tallies.denied_more += 1;
            return;
        }
        *tallies.denied.entry(key).or_default() += 1;
    }

    /// Returns what was counted so far.
    pub fn report(&self) -> NetworkReport {
        let tallies = self.lock();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let allowed = tallies.reached.iter().map(|((host, port), traffic)| Reached {
            host: host.clone(),
            port: *port,
            connections: count(&traffic.connections),
            bytes_out: count(&traffic.bytes_out),
            bytes_in: count(&traffic.bytes_in),
        });
        let denied = tallies.denied.iter().map(|((host, port, reason), times)| Denied {
            host: host.clone(),
            port: *port,
            reason: *reason,
            times: *times,
        });
        NetworkReport {
            allowed: allowed.collect(),
            allowed_more: tallies.reached_more,
            denied: denied.collect(),
            denied_more: tallies.denied_more,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a host within the length that names have (RFC 1035).
fn shown(host: &str) -> String {
    host.chars().take(253).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_bounded_and_what_is_not_is_counted() {
        let log = NetworkLog::default();
        for number in 0..150 {
            log.denied(&format!("{number:03}.Evil.test"), 443, DeniedReason::NotListed);
            log.denied("000.evil.test", 443, DeniedReason::NotListed);
            log.reached(&format!("{number:03}.example.com"), 443).sent(7);
        }
        let report = log.report();
        assert_eq!((report.denied.len(), report.denied_more), (20, 130));
        assert_eq!((report.denied[0].host.as_str(), report.denied[0].times), ("000.evil.test", 151));
        assert_eq!((report.allowed.len(), report.allowed_more), (100, 50));
        assert_eq!((report.allowed[0].connections, report.allowed[0].bytes_out), (1, 7));
    }
}
