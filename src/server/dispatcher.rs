//! Gives queued tasks to lanes that have room, at once when either changes.

use std::sync::Arc;

use uuid::Uuid;

use super::engine::Engine;
use super::lanes::LaneEntry;
use super::recover::Loss;
use super::{Server, execute, guarded, lease, recover};
use crate::crash;
use crate::error::log_internal;
use crate::store::StoreError;
use crate::store::models::ClaimedTask;

/// Hands tasks out until the server ends.
pub async fn work(server: Arc<Server>) {
    loop {
        let mut again_at = server.store.next_task_at().await.unwrap_or_else(|_| earlier(None, 1_000));
        for entry in server.lanes.iter() {
            if entry.unavailable().is_some() && !entry.probe(&server.runs_root).await {
                again_at = earlier(again_at, server.config.queue.dispatch_retry_delay_ms);
                continue;
            }
            if let Err(error) = fill(&server, entry).await {
                log_internal("the queue cannot be read", &error);
                again_at = earlier(again_at, 1_000);
            }
        }
        if !server.wait(&server.stop, &server.wakes.queued, again_at).await {
            return;
        }
    }
}

/// Returns the earlier of a time and so many milliseconds from now.
fn earlier(at: Option<i64>, delay_ms: u64) -> Option<i64> {
    let delayed =
        chrono::Utc::now().timestamp_millis().saturating_add(i64::try_from(delay_ms).unwrap_or(i64::MAX));
    Some(at.map_or(delayed, |at| at.min(delayed)))
}

/// Takes the next task of a lane from the queue, if there is one that may run by now.
pub(super) async fn claim(engine: &Engine, lane: &str) -> Result<Option<ClaimedTask>, StoreError> {
    let run_id = Uuid::now_v7().to_string();
    engine.store.claim_task(lane, &run_id, lease::until_ms(engine)).await
}

/// Starts runs on a lane until it has no room, or the queue has nothing for it.
async fn fill(server: &Arc<Server>, entry: &Arc<LaneEntry>) -> Result<(), StoreError> {
    while !server.stop.is_cancelled()
        && let Some(slot) = entry.lane.try_claim_slot()
    {
        let Some(task) = claim(server, entry.name()).await? else {
            return Ok(());
        };
        crash::point("leased.before-effect");
        // Nothing waits any more for what begins after the end was wanted.
        if server.stop.is_cancelled() {
            return server.store.hand_back(&task).await;
        }
        let (server, entry) = (server.clone(), entry.clone());
        server.clone().runs.spawn(async move {
            let run = {
                let (server, entry, task) = (server.clone(), entry.clone(), task.clone());
                guarded("a run breaks", async move { execute::run(&server, &entry, slot, task).await })
            };
            if let Err(id) = run.await {
                recover::take_up(&server, &task, Loss::Defect(id)).await;
            }
            server.wakes.queued.notify_one();
        });
    }
    Ok(())
}
