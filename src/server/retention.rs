//! Removes what is past its time: some seconds after the start, then each day.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Server;
use crate::error::log_internal;
use crate::run::workspace::RunDirs;
use crate::store::audit::Entry;
use crate::store::{SERVER, Store, StoreError};

/// How long a start's other work goes first.
const FIRST: Duration = Duration::from_secs(5);

const DAY: Duration = Duration::from_hours(24);

/// Removes what is past its time until the server ends.
pub(super) async fn work(server: Arc<Server>) {
    let mut wait = FIRST;
    while server.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        if let Some(Err(error)) = server.stop.run_until_cancelled(remove(&server)).await {
            log_internal("what is past its time cannot be removed", &error);
        }
        wait = DAY;
    }
}

async fn remove(server: &Server) -> Result<(), StoreError> {
    let keep = &server.config.retention;
    let (mut bodies, mut runs, mut logs) = (0, 0, 0);
    if let Some(before) = before(keep.deliveries_days) {
        bodies = server.store.forget_bodies(before).await?;
    }
    if let Some(before) = before(keep.runs_days) {
        runs = server.store.forget_runs(before).await?;
    }
    let blobs = sweep(server).await?;
    if let Some(before) = before(keep.logs_days) {
        logs = remove_logs(&server.store, &server.config.server.state_dir.join("runs"), before).await?;
    }
    tracing::info!(bodies, runs, blobs, logs, "removed what is past its time");
    let removed = [("bodies", bodies), ("runs", runs), ("blobs", blobs), ("logs", logs)];
    if removed.iter().any(|(_, count)| *count > 0) {
        let entry = Entry::new("retention", SERVER, "removed what is past its time");
        let counted = |entry: Entry, (name, count): (&str, u64)| entry.with(name, count.to_string());
        server.store.audit(removed.into_iter().fold(entry, counted)).await?;
    }
    Ok(())
}

/// Returns the time before which things are past it, in milliseconds since 1970; `None` for never.
fn before(days: u32) -> Option<i64> {
    let kept = chrono::Duration::days(i64::from(days));
    (days > 0).then(|| (chrono::Utc::now() - kept).timestamp_millis())
}

/// Removes the contents that no changeset names; one that a run has just stored is not named yet, so
/// only those that are a day old go.
async fn sweep(server: &Server) -> Result<u64, StoreError> {
    let named = server.store.named_blobs().await?;
    let blobs = server.blobs.clone();
    let swept = tokio::task::spawn_blocking(move || blobs.sweep(&named, DAY)).await;
    swept.map_err(std::io::Error::other).flatten().map_err(io_error)
}

/// Removes the folders of runs that are past their time, and those as old that the store never knew,
/// such as after a backup was restored.
async fn remove_logs(store: &Store, runs: &Path, before: i64) -> Result<u64, StoreError> {
    let mut count = 0;
    let mut entries = match tokio::fs::read_dir(runs).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(io_error(error)),
    };
    while let Some(entry) = entries.next_entry().await.map_err(io_error)? {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let dirs = RunDirs::of(runs, &name).ok().filter(|dirs| !dirs.has_workspace());
        let Some(dirs) = dirs.filter(|_| Uuid::try_parse(&name).is_ok()) else { continue };
        let past = match store.run_is_past(&name, before).await? {
            Some(past) => past,
            None => {
                let modified = entry.metadata().await.and_then(|data| data.modified()).map_err(io_error)?;
                chrono::DateTime::<chrono::Utc>::from(modified).timestamp_millis() < before
            }
        };
        if past {
            tokio::fs::remove_dir_all(&dirs.root).await.map_err(io_error)?;
            count += 1;
        }
    }
    Ok(count)
}

fn io_error(error: std::io::Error) -> StoreError {
    StoreError::Database(sqlx::Error::Io(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_days_are_for_ever() {
        assert_eq!(before(0), None);
        let day = chrono::Utc::now().timestamp_millis() - before(1).unwrap();
        assert!((86_400_000..86_401_000).contains(&day), "{day}");
    }
}
