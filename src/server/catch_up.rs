//! Finds what was missed: reads GitHub's delivery log, has it deliver again what the store does not know,
//! and then looks through what people wrote ([`rescan`]). At the start and every quarter of an hour; a server that
//! polls has no log, and looks through what people wrote every minute.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::{Server, guarded, rescan};
use crate::error::log_internal;
use crate::github::GitHubError;
use crate::store::models::{CameUp, MissedState, time_text};
use crate::store::{Span, StoreError};
use crate::webhook::missed::{describe, missed};

/// How often the server notes that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The delivery log is read again from so long before the last look: clocks differ.
const OVERLAP_MS: i64 = 600_000;

/// How long a look waits for what it asked GitHub to deliver again, at most.
const ARRIVAL: Duration = Duration::from_secs(60);

/// How often GitHub is asked to deliver something again before it is given up.
const MOST_ASKED: i64 = 3;

/// So many looks at the delivery log may fail before the rescan goes ahead without it.
const PATIENCE: i64 = 3;

/// So many reasons why looks failed are kept until one succeeds.
const MOST_TROUBLES: usize = 20;

/// Tells until when the delivery log was read.
const LOG_READ: &str = "log_read_until";

/// Why a look ended early.
#[derive(Debug, Error)]
pub(super) enum CatchUpError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}: {1}")]
    GitHub(&'static str, GitHubError),
    #[error("internal error {0}")]
    Defect(String),
}

/// One look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Holds how the server came up.
    pub(super) came_up: CameUp,
    /// Tells whether it is the first that comes to its end: what was missed belongs to the time before.
    pub(super) first: bool,
    /// Counts the looks in a row that failed.
    failures: i64,
}

impl Look {
    /// Returns the time that what is found belongs to.
    pub(super) fn span(&self) -> Span {
        match self.first {
            true => (self.came_up.alive_ms, self.came_up.now_ms),
            false => (i64::MAX, i64::MIN),
        }
    }
}

/// Looks for what was missed, and notes that the server is alive, until it ends.
pub(super) async fn work(server: Arc<Server>) {
    let came_up = loop {
        match server.store.come_up(server.config.catch_up.enabled).await {
            Ok(came_up) => break came_up,
            Err(error) => drop(log_internal("the server's start cannot be noted", &error)),
        }
        if !rest(&server, Duration::from_secs(1)).await {
            return;
        }
    };
    tokio::join!(stay_alive(&server), look_on(&server, came_up));
}

async fn stay_alive(server: &Server) {
    loop {
        let go_on = rest(server, HEARTBEAT).await;
        if let Err(error) = server.store.note_alive().await {
            log_internal("it cannot be noted that the server is alive", &error);
        }
        if !go_on {
            return;
        }
    }
}

async fn look_on(server: &Arc<Server>, came_up: CameUp) {
    let mut look = Look { came_up, first: true, failures: 0 };
    // A gap may be found only after what kept the server from looking.
    let mut troubles = Vec::new();
    if !server.config.catch_up.enabled {
        return;
    }
    loop {
        let looked = {
            let server = server.clone();
            guarded("the look for missed deliveries breaks", async move { look_once(&server, look).await })
        };
        let looked = looked.await.unwrap_or_else(|id| Err(CatchUpError::Defect(id)));
        let every = every(server, looked.as_ref().ok().copied());
        let mut result = looked.map(drop);
        if result.is_ok() {
            result = tell(server, &troubles).await;
        }
        let wait = match result {
            Ok(()) => {
                troubles.clear();
                look = Look { first: false, failures: 0, ..look };
                every
            }
            Err(error) => {
                let wait = put_off(server, look, &error, every).await;
                look.failures += 1;
                if troubles.len() < MOST_TROUBLES {
                    troubles.push(error.to_string());
                }
                wait
            }
        };
        if !rest(server, wait).await {
            return;
        }
    }
}

/// Returns the time until the next look; `reached` is how many repositories an installation reached at most.
fn every(server: &Server, reached: Option<usize>) -> Duration {
    match server.config.webhook.is_polling() {
        true => server.config.webhook.poll_every(reached.unwrap_or_default()),
        false => server.config.catch_up.every(),
    }
}

/// Waits; returns whether to go on.
async fn rest(server: &Server, time: Duration) -> bool {
    tokio::select! {
        () = server.stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

async fn put_off(server: &Server, look: Look, error: &CatchUpError, every: Duration) -> Duration {
    let wait = match error {
        CatchUpError::GitHub(_, error) => error.retry_after_ms(look.failures),
        CatchUpError::Store(_) => 1_000,
        CatchUpError::Defect(_) => 300_000,
    };
    tracing::warn!(%error, wait_ms = wait, "the look for missed deliveries is put off");
    if let Err(error) = server.store.note_trouble(&error.to_string()).await {
        log_internal("what keeps the server from looking cannot be noted", &error);
    }
    // GitHub may ask for a longer silence than the time between two looks, and gets it.
    let asked = matches!(error, CatchUpError::GitHub(_, GitHubError::RateLimited(_)));
    let wait = Duration::from_millis(wait.unsigned_abs());
    if asked { wait } else { wait.min(every) }
}

/// Looks once; returns how many repositories an installation reached at most.
async fn look_once(server: &Server, look: Look) -> Result<usize, CatchUpError> {
    if server.config.webhook.is_polling() {
        return rescan::rescan(server, look).await;
    }
    let mut trouble = None;
    if let Err(error) = redeliver(server, look).await {
        // What the log does not tell, the texts do, as far as they are still there.
        if look.failures < PATIENCE || matches!(error, CatchUpError::Store(_)) {
            return Err(error);
        }
        trouble = Some(error);
    }
    let reached = rescan::rescan(server, look).await?;
    trouble.map_or(Ok(reached), Err)
}

/// Has GitHub deliver again what its log has and the store does not, and waits a while for it.
async fn redeliver(server: &Server, look: Look) -> Result<(), CatchUpError> {
    let began = Utc::now().timestamp_millis();
    server.store.note_arrived(describe).await?;
    let waiting = server.store.open_missed().await?;
    let oldest = waiting.first().map_or(i64::MAX, |one| one.missed.at_ms);
    let read_until = server.store.mark(LOG_READ).await?.unwrap_or(look.came_up.first_start_ms);
    let since = (read_until - OVERLAP_MS).min(oldest).max(look.came_up.first_start_ms);
    let log = server
        .github
        .deliveries(DateTime::from_timestamp_millis(since).unwrap_or_default())
        .await
        .map_err(|error| CatchUpError::GitHub("GitHub's delivery log cannot be read", error))?;
    let guids: Vec<&str> = log.iter().map(|entry| entry.guid.as_str()).collect();
    let known = server.store.known_guids(&guids).await?;
    let now = Utc::now().timestamp_millis();
    let found = missed(&log, &known, now, look.came_up.now_ms);
    let names: Vec<_> = found.iter().map(|one| one.missed.clone()).collect();
    server.store.note_missed(&names, look.span()).await?;
    let in_log: HashSet<&str> = guids.into_iter().collect();
    let by_name: HashMap<&str, _> = found.iter().map(|one| (one.missed.name.as_str(), one)).collect();
    for one in server.store.open_missed().await? {
        let name = &one.missed.name;
        let Some(entry) = by_name.get(name.as_str()) else {
            // What arrived just now is in the store by now, and noted below.
            if !in_log.contains(name.as_str()) {
                server.store.give_up_missed(name, "GitHub's delivery log does not hold it any more").await?;
            }
            continue;
        };
        if one.state == MissedState::Asked && one.asked >= MOST_ASKED {
            let reason = "GitHub was asked three times to deliver it again, and it did not arrive";
            server.store.give_up_missed(name, reason).await?;
            continue;
        }
        if server.stop.is_cancelled() {
            return Ok(());
        }
        ask_again(server, name, entry.log_id).await?;
    }
    server.store.set_mark(LOG_READ, began).await?;
    arrivals(server).await
}

async fn ask_again(server: &Server, name: &str, log_id: u64) -> Result<(), CatchUpError> {
    match server.github.redeliver(log_id).await {
        Ok(()) => {
            tracing::info!(guid = name, "GitHub was asked to deliver this again");
            server.store.note_asked(name).await?;
        }
        Err(error) if error.is_transient() => {
            return Err(CatchUpError::GitHub("GitHub cannot be asked to deliver again", error));
        }
        Err(error) => server.store.give_up_missed(name, &error.to_string()).await?,
    }
    Ok(())
}

/// Waits until everything that was asked for is here, but not for longer than until the next look.
async fn arrivals(server: &Server) -> Result<(), CatchUpError> {
    let all_here = async {
        while server.store.note_arrived(describe).await? > 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    };
    tokio::select! {
        here = tokio::time::timeout(ARRIVAL.min(server.config.catch_up.every()), all_here) => here.unwrap_or(Ok(())),
        () = server.stop.cancelled() => Ok(()),
    }
}

/// Tells the log and the history of the gap, once nothing of it is waited for.
async fn tell(server: &Server, troubles: &[String]) -> Result<(), CatchUpError> {
    if server.stop.is_cancelled() {
        return Ok(());
    }
    for trouble in troubles {
        server.store.note_trouble(trouble).await?;
    }
    if let Some((gap, rows)) = server.store.settle_gap().await? {
        tracing::warn!(
            gap = gap.id,
            from = time_text(gap.from_ms),
            to = time_text(gap.to_ms),
            missed = gap.missed,
            recovered = gap.recovered,
            lost = gap.lost,
            waiting = gap.waiting,
            "gap report"
        );
        for row in rows.iter().filter(|row| row.state == MissedState::Lost) {
            let (name, reason) = (&row.missed.name, row.reason.as_deref().unwrap_or_default());
            tracing::warn!(gap = gap.id, name, what = row.missed.what, reason, "lost");
        }
    }
    Ok(())
}
