//! Gives queued tasks to lanes that have room, at once when either changes.

use std::sync::Arc;

use uuid::Uuid;

use super::lanes::LaneEntry;
use super::{Server, execute, guarded, recover};
use crate::error::log_internal;
use crate::store::StoreError;

/// How long an unavailable lane is left alone before it is tried again, in milliseconds.
const PROBE_AGAIN_MS: i64 = 60_000;

/// Hands tasks out until the server ends.
pub async fn work(server: Arc<Server>) {
    loop {
        let mut again_at = None;
        for entry in server.lanes.iter() {
            if entry.unavailable().is_some() && !entry.probe().await {
                again_at = Some(chrono::Utc::now().timestamp_millis() + PROBE_AGAIN_MS);
                continue;
            }
            if let Err(error) = fill(&server, entry).await {
                log_internal("the queue cannot be read", &error);
                again_at = Some(chrono::Utc::now().timestamp_millis() + 1_000);
            }
        }
        if !server.wait(&server.wakes.queued, again_at).await {
            return;
        }
    }
}

/// Starts runs on a lane until it has no room, or the queue has nothing for it.
async fn fill(server: &Arc<Server>, entry: &Arc<LaneEntry>) -> Result<(), StoreError> {
    while let Some(slot) = entry.lane.try_claim_slot() {
        let run_id = Uuid::now_v7().to_string();
        let Some(task) = server.store.claim_task(entry.name(), &run_id).await? else {
            return Ok(());
        };
        let (server, entry) = (server.clone(), entry.clone());
        server.clone().tracker.spawn(async move {
            let run = {
                let (server, entry, task) = (server.clone(), entry.clone(), task.clone());
                guarded("a run breaks", async move { execute::run(&server, &entry, slot, task).await })
            };
            if run.await.is_err()
                && let Err(error) = recover::take_up(&server, &task).await
            {
                log_internal("a broken run's task cannot be taken up", &error);
            }
            server.wakes.queued.notify_one();
        });
    }
    Ok(())
}
