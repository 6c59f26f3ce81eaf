//! Leases: a run that works says so every few seconds; one that does not counts as lost.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use super::recover::Loss;
use super::running::{Cut, Registration};
use super::{Server, engine::Engine, recover};
use crate::error::log_internal;
use crate::queue::lease::LeaseWatch;
use crate::store::StoreError;
use crate::store::models::ClaimedTask;

/// Returns until when a lease that is given now lasts, in milliseconds since 1970.
pub(super) fn until_ms(engine: &Engine) -> i64 {
    let lasts = i64::try_from(engine.queue.lease().as_millis()).unwrap_or(i64::MAX);
    chrono::Utc::now().timestamp_millis().saturating_add(lasts)
}

/// Renews a run's lease for as long as this is polled. When that is refused, or did not succeed for as
/// long as a lease lasts, the run is ended: its task may have another one.
pub(super) async fn keep(engine: &Engine, task: &ClaimedTask, run: &Registration<'_>) -> Infallible {
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(engine.queue.lease_renewal()).await;
        // A process that was halted for so long may find its task taken; it does not ask for it back.
        if renewed.elapsed() >= engine.queue.lease() {
            break;
        }
        match engine.store.renew_lease(task, until_ms(engine)).await {
            Ok(()) => renewed = Instant::now(),
            Err(StoreError::StaleEpoch(_)) => break,
            Err(error) => tracing::warn!(run = task.run_id, %error, "a lease could not be renewed yet"),
        }
    }
    if !run.token.is_cancelled() {
        tracing::error!(run = task.run_id, "the run lost its lease; its processes are ended");
    }
    engine.running.cut(task.id, &task.run_id, Cut::LeaseLost);
    // It may be out of the list already, when the task has its next run here.
    run.token.cancel();
    std::future::pending().await
}

/// Takes up runs whose lease has run out, until the server ends.
pub(super) async fn work(server: Arc<Server>) {
    watch(&server).await;
}

/// Takes up runs whose lease has run out, until the engine stops.
pub(super) async fn watch(engine: &Engine) {
    let mut watch = LeaseWatch::default();
    loop {
        tokio::select! {
            () = engine.stop.cancelled() => return,
            () = tokio::time::sleep(engine.queue.lease_renewal()) => {}
        }
        let leases = match engine.store.leases().await {
            Ok(leases) => leases,
            Err(error) => {
                log_internal("the leases cannot be read", &error);
                continue;
            }
        };
        let pairs: Vec<(String, i64)> =
            leases.iter().map(|lease| (lease.task.run_id.clone(), lease.until_ms)).collect();
        let expired = watch.expired(&pairs, engine.queue.lease(), Instant::now());
        for lease in leases.iter().filter(|lease| expired.contains(&lease.task.run_id)) {
            engine.running.cut(lease.task.id, &lease.task.run_id, Cut::LeaseLost);
            recover::take_up(engine, &lease.task, Loss::Lease).await;
        }
    }
}
