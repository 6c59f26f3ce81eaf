//! The running server: four workers around the store, each woken when there is something to do.
//!
//! [`intake`] turns deliveries into tasks, [`dispatcher`] gives tasks to lanes, [`execute`] makes one
//! run ([`attempt`]) and has it published, [`outbox`] writes what is owed to GitHub. They share nothing but the store,
//! so whatever one of them leaves half done is found there by the next start.

mod access;
pub mod attempt;
pub mod dispatcher;
pub mod execute;
pub mod intake;
pub mod lanes;
pub mod outbox;
pub mod publish;
pub mod recover;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::github::GitHub;
use crate::run::mirror::Mirrors;
use crate::store::Store;
use crate::store::blobs::Blobs;
use lanes::Lanes;

/// Wakes the workers.
#[derive(Debug, Default)]
pub struct Wakes {
    /// A delivery is new in the store.
    pub arrived: Arc<Notify>,
    /// A task is queued, or a lane has room again.
    pub queued: Notify,
    /// An effect is owed.
    pub owed: Notify,
}

/// Everything the workers need; one for the life of the process.
#[derive(Debug)]
pub struct Server {
    /// Holds the configuration.
    pub config: Config,
    /// Holds the store.
    pub store: Store,
    /// Holds the GitHub client.
    pub github: GitHub,
    /// Holds the lanes.
    pub lanes: Lanes,
    /// Holds the mirrors of the repositories.
    pub mirrors: Mirrors,
    /// Holds the contents of changesets.
    pub blobs: Blobs,
    /// Holds the secrets that are masked in logs.
    pub secrets: Vec<SecretString>,
    /// Wakes the workers.
    pub wakes: Wakes,
    /// Is cancelled when the server shall begin nothing new.
    pub stop: CancellationToken,
    /// Is cancelled when what runs shall end, too; its tasks go back to the queue.
    pub abort: CancellationToken,
    /// Counts what must end before the process does.
    pub tracker: TaskTracker,
}

impl Server {
    /// Starts the workers; they end when `stop` is cancelled.
    pub fn start_workers(self: &Arc<Self>) {
        self.tracker.spawn(intake::work(self.clone()));
        self.tracker.spawn(dispatcher::work(self.clone()));
        self.tracker.spawn(outbox::work(self.clone()));
    }

    /// Waits for a wake-up, for the time at which something was put off to, or for the end; returns
    /// whether to go on.
    async fn wait(&self, wake: &Notify, until_ms: Option<i64>) -> bool {
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
            () = self.stop.cancelled() => false,
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
    tokio::spawn(work).await.map_err(|error| crate::error::log_internal(what, &error))
}
