//! Honeytokens on their way out: who passes bytes on shows them to a [`Watch`].

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::Ordering;

use super::{RedactStream, Redactor};
use crate::run::network;

/// Tells whether a run's honeytokens were seen, in any encoding that is masked; cheap to clone.
#[derive(Clone)]
pub struct Watch {
    redactor: Redactor,
}

/// One stream of bytes under a [`Watch`], such as one direction of a connection, or a file.
#[derive(Debug)]
pub struct WatchStream {
    stream: RedactStream,
    passed: Vec<u8>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch(seen: {})", self.is_seen())
    }
}

impl Watch {
    pub(super) fn of(redactor: Redactor) -> Self {
        Self { redactor }
    }

    /// Looks at bytes that stand for themselves, tells whether a honeytoken is in them, and remembers it.
    pub fn saw(&self, bytes: &[u8]) -> bool {
        self.stream().saw(bytes)
    }

    /// Starts to look at bytes that come in pieces.
    pub fn stream(&self) -> WatchStream {
        let mut stream = self.redactor.stream();
        stream.shown = false;
        WatchStream { stream, passed: Vec::new() }
    }

    /// Tells whether a honeytoken was seen anywhere: in output that was redacted, or in bytes that were
    /// shown to the watch.
    pub fn is_seen(&self) -> bool {
        self.redactor.rules.seen.anywhere.is_cancelled()
    }

    /// Tells whether a honeytoken was seen in redacted output.
    pub fn is_printed(&self) -> bool {
        self.redactor.rules.seen.printed.load(Ordering::Acquire)
    }

    /// Waits until a honeytoken is seen anywhere.
    pub async fn seen(&self) {
        self.redactor.rules.seen.anywhere.cancelled().await;
    }
}

impl WatchStream {
    /// Looks at the next bytes, and tells whether a honeytoken has been in the stream so far.
    pub fn saw(&mut self, bytes: &[u8]) -> bool {
        self.passed.clear();
        self.stream.push(bytes, &mut self.passed);
        self.stream.honeytoken
    }
}

impl network::Watch for Watch {
    fn stream(&self) -> network::Look {
        let mut stream = Watch::stream(self);
        Box::new(move |bytes| !stream.saw(bytes))
    }
}

impl Write for WatchStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.saw(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
