//! A connection to the outside whose bytes are counted and looked at as they pass.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::run::network::{Look, Traffic};

/// When something last passed.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    /// Holds milliseconds since `began`.
    last: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), last: AtomicU64::new(0) })
    }

    pub(super) fn touch(&self) {
        let now = self.began.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Waits until nothing has passed for so long.
    pub(super) async fn quiet_for(&self, idle: Duration) {
        loop {
            let until = self.began + Duration::from_millis(self.last.load(Ordering::Relaxed)) + idle;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// A connection to the outside.
pub(super) struct Metered {
    stream: TcpStream,
    traffic: Arc<Traffic>,
    activity: Arc<Activity>,
    look: Option<Look>,
    /// Counts bytes at the start of the next write that were looked at already.
    looked_at: usize,
}

impl Metered {
    pub(super) fn new(
        stream: TcpStream,
        traffic: Arc<Traffic>,
        activity: Arc<Activity>,
        look: Option<Look>,
    ) -> Self {
        activity.touch();
        Self { stream, traffic, activity, look, looked_at: 0 }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = read {
            self.traffic.received(buffer.filled().len() - before);
            self.activity.touch();
        }
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // What could not be written is offered again, and looked at once.
        let fresh = bytes.get(this.looked_at..).unwrap_or_default();
        if let Some(look) = &mut this.look
            && !fresh.is_empty()
            && !look(fresh)
        {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::PermissionDenied, "it must not go out")));
        }
        this.looked_at = this.looked_at.max(bytes.len());
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            this.looked_at -= count;
            this.traffic.sent(count);
            this.activity.touch();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
