//! Brings the entries of the audit log to their sink, in order and each once, and tells when it cannot.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::block_in_place;

use super::Server;
use crate::error::log_internal;
use crate::store::audit::{AuditEntry, Entry, Sink, Status};
use crate::store::{SERVER, StoreError};

/// How often new entries are looked for: so long an entry is in the store alone.
const LOOK: Duration = Duration::from_millis(500);

/// How many entries are written and synchronised at once.
const BATCH: u32 = 500;

/// What keeps entries from their sink, for the health page.
#[derive(Debug, Default)]
pub struct SinkTrouble(Mutex<Option<String>>);

impl SinkTrouble {
    fn set(&self, trouble: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), trouble)
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug, thiserror::Error)]
enum SinkError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Writer {
    sink: Sink,
    /// Holds the last entry that is in the sink, once that is known.
    written: Option<i64>,
}

/// Writes entries out until the server ends, and what it entered until then.
pub(super) async fn work(server: Arc<Server>) {
    let Some(path) = server.config.audit.sink.clone() else { return };
    let mut writer = Writer { sink: Sink::new(path), written: None };
    loop {
        let ended = server.end.is_cancelled();
        let done = writer.write_out(&server).await;
        tell(&server, &writer.sink, done).await;
        if ended {
            return;
        }
        tokio::select! {
            () = server.end.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Tells once when the sink begins to fail, and once when it takes entries again.
async fn tell(server: &Server, sink: &Sink, done: Result<(), SinkError>) {
    let path = sink.path().display();
    let trouble = done.err().map(|error| error.to_string());
    let entry = match (server.sink_trouble.set(trouble.clone()), trouble) {
        (None, Some(trouble)) => {
            tracing::warn!(sink = %path, trouble, "the audit sink takes no entries; the store keeps them");
            Entry::new("sink-failed", SERVER, "").ended(Status::Failure).with("error", trouble)
        }
        (Some(_), None) => {
            tracing::info!(sink = %path, "the audit sink takes entries again");
            Entry::new("sink-mended", SERVER, "")
        }
        _ => return,
    };
    if let Err(error) = server.store.audit(entry.with("sink", path.to_string())).await {
        log_internal("an entry about the audit sink cannot be stored", &error);
    }
}

impl Writer {
    async fn write_out(&mut self, server: &Server) -> Result<(), SinkError> {
        let mut written = self.position(server).await?;
        loop {
            let rows = server.store.audit_after(written, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            let mut lines = String::new();
            for row in &rows {
                let line = row.entry()?.line().map_err(StoreError::from)?;
                // Writing to a String cannot fail.
                let _ = writeln!(lines, "{line}");
            }
            block_in_place(|| self.sink.append(&lines))?;
            written = last.sequence;
            self.written = Some(written);
            server.store.note_audit_in_sink(written).await?;
        }
    }

    /// Opens the sink where needed, and returns the last entry that is in it.
    async fn position(&mut self, server: &Server) -> Result<i64, SinkError> {
        let opened = block_in_place(|| self.sink.open())?;
        let written = match (opened, self.written) {
            (None, Some(written)) => written,
            (Some(Some(last)), _) => self.after(server, &last).await?,
            // A new file: the one before was moved away, or there never was one.
            (None | Some(None), known) => {
                let after = match known {
                    Some(written) => written,
                    None => server.store.audit_in_sink().await?,
                };
                self.begun(server, "sink-begun", Status::Success, &after.to_string()).await?;
                after
            }
        };
        self.written = Some(written);
        Ok(written)
    }

    /// Goes on after what is last in the sink. When the store has another entry in that place, or none, one of
    /// both is not what was written: the sink is kept beside a new one that gets the whole log.
    async fn after(&mut self, server: &Server, last: &AuditEntry) -> Result<i64, SinkError> {
        let rows = server.store.audit_after(last.sequence - 1, 1).await?;
        let same = |row: &crate::store::audit::AuditRow| {
            row.sequence == last.sequence && Some(&row.hash) == last.hash.as_ref()
        };
        if rows.first().is_some_and(same) {
            return Ok(last.sequence);
        }
        let suffix = format!(".not-of-this-store-{}", chrono::Utc::now().format("%Y%m%dT%H%M%S%3fZ"));
        // Before it: whatever happens in between, a new sink begins at the first entry.
        server.store.note_audit_in_sink(0).await?;
        let aside = block_in_place(|| self.sink.move_aside(&suffix))?;
        let head = format!("{}:{}", last.sequence, last.hash.as_deref().unwrap_or_default());
        tracing::error!(
            kept = %aside.display(),
            head,
            "the audit sink does not belong to this store: one of both was changed, or a backup was restored"
        );
        block_in_place(|| self.sink.open())?;
        self.begun(server, "sink-differs", Status::Failure, &head).await?;
        Ok(0)
    }

    async fn begun(
        &self,
        server: &Server,
        action: &str,
        status: Status,
        after: &str,
    ) -> Result<(), StoreError> {
        let entry = Entry::new(action, SERVER, "").ended(status);
        let entry = entry.with("sink", self.sink.path().display().to_string()).with("last_before", after);
        server.store.audit(entry).await
    }
}

impl Server {
    /// Tells what the operator should look at though briefs run.
    pub fn warnings(&self) -> Vec<String> {
        let Some(sink) = &self.config.audit.sink else { return vec![NO_SINK.to_owned()] };
        let trouble = self.sink_trouble.get();
        trouble
            .map(|trouble| format!("the audit sink {} takes no entries: {trouble}", sink.display()))
            .into_iter()
            .collect()
    }
}

/// Warns of a configuration without a sink.
pub const NO_SINK: &str =
    "there is no audit sink, so whoever can write the store can rewrite the audit log unseen; set audit.sink";
