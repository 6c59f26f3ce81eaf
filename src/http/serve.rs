//! Serving connections: anybody may open one, so each is bounded, and so is their number.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Bounds the connections at a time: half of the 1,024 files that a process may usually have open, so
/// that the store, git and the lanes find theirs.
const MOST_CONNECTIONS: usize = 512;

/// The time in which a request's head must have come, on a fresh connection and on a kept one.
const HEAD_TIME: Duration = Duration::from_secs(15);

/// The time that open requests get once the server ends.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// Serves until `stop` is cancelled, then answers the requests that have begun.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let open = GracefulShutdown::new();
    while let Some(Some((stream, place))) = stop.run_until_cancelled(accept(&listener, &places)).await {
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(LAST_ANSWERS, open.shutdown()).await.is_err() {
        tracing::warn!("some requests were still open when the server ended");
    }
}

/// Takes the next connection when there is a place for it; `None` never comes while serving.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, place)),
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be taken");
                // Such as when no file can be opened: trying again at once would only heat the machine.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
