//! The running server: four workers around the store, each woken when there is something to do.
//!
//! [`intake`] turns deliveries into tasks, [`dispatcher`] gives tasks to lanes, [`execute`] makes one
//! run ([`attempt`]) and stores what it came to, [`outbox`] publishes it and writes what else is owed to
//! GitHub. They share nothing but the store, so whatever one of them leaves half done is found there by
//! the next start.

pub mod access;
mod approval;
pub mod attempt;
pub mod audit_sink;
mod catch_up;
mod clock;
mod command;
mod conclude;
mod decided;
pub mod dispatcher;
pub mod engine;
pub mod execute;
mod gate;
pub mod health;
pub mod intake;
pub mod lanes;
mod lease;
mod live;
mod locate;
mod mark;
pub mod operate;
pub mod outbox;
mod policy;
mod press;
mod progress;
mod publish;
mod receipt;
pub mod receipt_key;
pub mod recover;
mod refusal;
pub mod rehearsal;
mod republish;
mod rescan;
mod retention;
mod retry;
pub mod running;
mod texts;
mod watch;
mod withdraw;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use audit_sink::SinkTrouble;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::error::log_internal;
use crate::github::GitHub;
use crate::receipt::SigningKey;
use crate::run::mirror::Mirrors;
use crate::store::SERVER;
use crate::store::audit::Entry;
use engine::Engine;
use lanes::Lanes;

/// How long the end of what is aborted may take.
const ABORT: Duration = Duration::from_secs(20);

/// How long the end of the server waits for what is owed to GitHub.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Wakes the workers.
#[derive(Debug, Default)]
pub struct Wakes {
    /// A delivery is new in the store.
    pub arrived: Arc<Notify>,
    /// A task is queued, or a lane has room again.
    pub queued: Notify,
    /// An effect is owed.
    pub owed: Notify,
    /// A run is to be published.
    pub publish: Notify,
    /// A run that works has gone on.
    pub progressed: Notify,
}

/// Everything the workers need; one for the life of the process.
#[derive(Debug)]
pub struct Server {
    /// Holds the configuration.
    pub config: Config,
    /// Holds when this server started, in milliseconds since 1970.
    pub started_ms: i64,
    /// Holds what carries tasks through their runs; its fields are taken for the server's own.
    pub engine: Engine,
    /// Holds the GitHub client.
    pub github: GitHub,
    /// Holds the lanes.
    pub lanes: Lanes,
    /// Holds the mirrors of the repositories.
    pub mirrors: Mirrors,
    /// Signs receipts.
    pub receipt_key: SigningKey,
    /// Tells what keeps entries of the audit log from their sink.
    pub sink_trouble: SinkTrouble,
    /// Is cancelled when what is owed may wait for the next start.
    pub end: CancellationToken,
    /// Counts the runs.
    pub runs: TaskTracker,
    /// Counts the workers.
    pub tracker: TaskTracker,
}

impl Deref for Server {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Server {
    /// Starts the workers; they end when `stop` is cancelled, the outbox when `end` is.
    pub fn start_workers(self: &Arc<Self>) {
        self.tracker.spawn(intake::work(self.clone()));
        self.tracker.spawn(dispatcher::work(self.clone()));
        self.tracker.spawn(outbox::work(self.clone(), false));
        self.tracker.spawn(outbox::work(self.clone(), true));
        self.tracker.spawn(lease::work(self.clone()));
        self.tracker.spawn(republish::work(self.clone()));
        self.tracker.spawn(approval::work(self.clone()));
        self.tracker.spawn(progress::work(self.clone()));
        self.tracker.spawn(clock::work(self.clone()));
        self.tracker.spawn(retention::work(self.clone()));
        self.tracker.spawn(catch_up::work(self.clone()));
        self.tracker.spawn(audit_sink::work(self.clone()));
    }

    /// Ends what runs and then the workers: running work gets `grace`, then its tasks go back to the
    /// queue; what is owed to GitHub by then is written if that is quick.
    pub async fn finish(&self, grace: Duration) {
        self.stop.cancel();
        self.runs.close();
        if tokio::time::timeout(grace, self.runs.wait()).await.is_err() {
            tracing::warn!("running work did not end in time; its tasks go back to the queue");
            self.abort.cancel();
            if tokio::time::timeout(ABORT, self.runs.wait()).await.is_err() {
                tracing::error!("running work cannot be ended; the next start takes it up");
            }
        }
        let _ = tokio::time::timeout(LAST_WRITES, self.nothing_due()).await;
        if let Err(error) = self.store.audit(Entry::new("server-stopped", SERVER, "")).await {
            log_internal("the server's end cannot be entered into the audit log", &error);
        }
        self.end.cancel();
        self.tracker.close();
        if tokio::time::timeout(ABORT, self.tracker.wait()).await.is_err() {
            tracing::error!("a worker cannot be ended; the next start takes up what it does");
        }
    }

    /// Waits until nothing is owed that can be written now.
    async fn nothing_due(&self) {
        for publishing in [true, false] {
            while self.store.owing_installations(publishing).await.is_ok_and(|owing| !owing.is_empty()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits for a wake-up, for the time at which something was put off to, or for the end; returns
    /// whether to go on.
    async fn wait(&self, end: &CancellationToken, wake: &Notify, until_ms: Option<i64>) -> bool {
        let put_off = async {
            match until_ms {
                Some(at) => {
                    let ms = (at - chrono::Utc::now().timestamp_millis()).max(10);
                    tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = end.cancelled() => false,
            () = wake.notified() => true,
            () = put_off => true,
        }
    }
}

/// Does one piece of work on a task of its own, so that a defect in it ends that work and not the
/// worker; a panic is logged, and its id returned.
async fn guarded<T: Send + 'static>(
    what: &str,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    tokio::spawn(work).await.map_err(|error| log_internal(what, &error))
}
