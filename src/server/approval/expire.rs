//! Approvals that nobody waits for any more: their time is over, or their task ended otherwise.

use std::sync::Arc;
use std::time::Duration;

use super::told;
use crate::error::log_internal;
use crate::publish::approval::Standing;
use crate::queue::task::{BlockReason, TaskState};
use crate::server::Server;
use crate::store::models::TaskFilter;
use crate::store::{ApprovalRow, ApprovalState, Decided, StoreError};

/// How often approvals are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Ends stale approvals until the server ends.
pub(in crate::server) async fn work(server: Arc<Server>) {
    while server.stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        if let Err(error) = end_stale(&server).await {
            log_internal("stale approvals cannot be ended", &error);
        }
    }
}

async fn end_stale(server: &Server) -> Result<(), StoreError> {
    for approval in server.store.stale_approvals().await? {
        match end(server, &approval).await {
            // Somebody decided it just now.
            Ok(()) | Err(StoreError::Changed(_)) => server.wakes.owed.notify_one(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn end(server: &Server, approval: &ApprovalRow) -> Result<(), StoreError> {
    let named = TaskFilter { brief: Some(approval.brief.clone()), most: 1, ..TaskFilter::default() };
    let Some(task) = server.store.tasks(&named).await?.pop() else { return Ok(()) };
    let told = |standing| told(&task.brief, &task.lane, approval, standing);
    if task.state != TaskState::Blocked(BlockReason::AwaitingApproval) {
        let why = task.reason.as_deref().unwrap_or("it ended");
        return server.store.close_approval(approval, why, &told(Standing::Closed(why))).await;
    }
    tracing::warn!(task = task.id, digest = approval.digest, "nobody approved a brief in time");
    let reason = "nobody approved it in time".to_owned();
    let decided = Decided {
        approval: approval.id,
        task: task.id,
        state: ApprovalState::Expired,
        actor: None,
        says: reason.clone(),
        reason,
        owed: told(Standing::Expired),
    };
    server.store.decide_approval(&decided).await
}
