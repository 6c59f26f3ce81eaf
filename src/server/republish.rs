//! Publishes blocked tasks again after a while: what GitHub refused may have been mended.

use std::sync::Arc;
use std::time::Duration;

use super::Server;
use crate::error::log_internal;
use crate::store::SERVER;

/// How often blocked tasks are looked at, at most.
const LOOK: Duration = Duration::from_secs(60);

/// Publishes tasks again whose cool-down is over, until the server ends.
pub(super) async fn work(server: Arc<Server>) {
    let cooldown = server.config.queue.blocked_task_retry_cooldown_ms;
    if cooldown == 0 {
        return;
    }
    let look = LOOK.min(Duration::from_millis(cooldown.max(100)));
    loop {
        tokio::select! {
            () = server.stop.cancelled() => return,
            () = tokio::time::sleep(look) => {}
        }
        match server.store.unpublished_tasks(i64::try_from(cooldown).unwrap_or(i64::MAX)).await {
            Ok(tasks) => {
                for task in tasks {
                    if let Err(error) = server.store.republish_task(task, SERVER).await {
                        log_internal("a blocked task cannot be published again", &error);
                    }
                    server.wakes.publish.notify_one();
                }
            }
            Err(error) => {
                log_internal("the blocked tasks cannot be read", &error);
            }
        }
    }
}
