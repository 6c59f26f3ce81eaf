//! Works off what is owed to GitHub; each write is looked up before it is repeated.
//!
//! What is owed to one installation is written one after the other, in the order in which it was owed.
//! Publishing runs has a line of its own, so that a large push does not keep an answer waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::publish::{self, Published};
use super::{Server, conclude, gate, guarded, locate, mark, progress};
use crate::crash;
use crate::error::log_internal;
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::store::StoreError;
use crate::store::models::{Effect, EffectPayload};

/// How often a write is tried before it is given up; with the waits between, more than a day.
const MOST_ATTEMPTS: i64 = 300;

/// How long to wait before the store is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// How long to wait where the App is suspended or not installed any more.
const UNINSTALLED: Duration = Duration::from_secs(600);

/// How long progress waits while so much was written that the rest is left to what matters more.
const SCARCE: Duration = Duration::from_secs(30);

/// How often a comment is written anew after somebody deleted it.
const MOST_REWRITES: i64 = 1;

/// Lets the client go on counting what was written in the last hour, which GitHub counts too.
pub async fn remember_writes(server: &Server) {
    let since = chrono::Utc::now().timestamp_millis() - 3_600_000;
    match server.store.writes_since(since).await {
        Ok(writes) => {
            let mut by_installation: HashMap<u64, Vec<i64>> = HashMap::new();
            for (installation, at_ms) in writes {
                by_installation.entry(installation).or_default().push(at_ms);
            }
            for (installation, at_ms) in by_installation {
                server.github.remember_writes(installation, &at_ms);
            }
        }
        Err(error) => {
            log_internal("the last hour's writes cannot be read", &error);
        }
    }
}

/// Writes effects of one of the two lines until the server ends.
pub async fn work(server: Arc<Server>, publishing: bool) {
    let wake = if publishing { &server.wakes.publish } else { &server.wakes.owed };
    let mut busy: JoinSet<(u64, Option<Duration>)> = JoinSet::new();
    let mut resting: HashMap<u64, Instant> = HashMap::new();
    let mut working: Vec<u64> = Vec::new();
    loop {
        resting.retain(|_, until| *until > Instant::now());
        match server.store.owing_installations(publishing).await {
            Ok(owing) => {
                for id in owing {
                    if !working.contains(&id) && !resting.contains_key(&id) {
                        working.push(id);
                        busy.spawn(work_off(server.clone(), id, publishing));
                    }
                }
            }
            Err(error) => {
                log_internal("the outbox cannot be read", &error);
                resting.insert(0, Instant::now() + STORE_AGAIN);
            }
        }
        let put_off = server.store.next_effect_at(publishing).await.ok().flatten();
        let rests = resting.values().map(|until| in_time(until.saturating_duration_since(Instant::now())));
        let until = rests.chain(put_off).min();
        tokio::select! {
            go_on = server.wait(&server.end, wake, until) => if !go_on {
                // Each line ends after the write at hand.
                while busy.join_next().await.is_some() {}
                return;
            },
            Some(done) = busy.join_next() => if let Ok((id, rest)) = done {
                working.retain(|other| *other != id);
                if let Some(rest) = rest {
                    resting.insert(id, Instant::now() + rest);
                }
            },
        }
    }
}

/// Writes what is owed to an installation until nothing is, or until it must rest; returns for how long.
async fn work_off(server: Arc<Server>, installation: u64, publishing: bool) -> (u64, Option<Duration>) {
    while !server.end.is_cancelled() {
        let settled = match server.store.next_effect(installation, publishing).await {
            Ok(Some(effect)) => settle(&server, effect).await,
            Ok(None) => return (installation, None),
            Err(error) => Err(error),
        };
        match settled {
            Ok(None) => {}
            Ok(Some(rest)) => return (installation, Some(rest)),
            Err(error) => {
                log_internal("the outbox cannot be read or written", &error);
                return (installation, Some(STORE_AGAIN));
            }
        }
    }
    (installation, None)
}

/// Returns the time after a wait, in milliseconds since 1970.
fn in_time(wait: Duration) -> i64 {
    in_ms(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

fn in_ms(ms: i64) -> i64 {
    chrono::Utc::now().timestamp_millis().saturating_add(ms)
}

/// Writes one effect and stores what became of it; returns for how long the installation must rest.
async fn settle(server: &Arc<Server>, effect: Effect) -> Result<Option<Duration>, StoreError> {
    let effect = Arc::new(effect);
    let written = {
        let (server, effect) = (server.clone(), effect.clone());
        guarded("an owed write breaks the outbox", async move { write(&server, &effect).await }).await
    };
    let effect = &*effect;
    match written {
        Ok(Ok(Written { remote_id, anew })) => {
            server.store.confirm_effect(effect, remote_id, anew).await?;
            if matches!(effect.payload, EffectPayload::Comment { .. } | EffectPayload::Living { .. }) {
                crash::point("done.before-record");
            }
        }
        Ok(Err(Unwritten::Settled)) => {}
        Ok(Err(Unwritten::Store(error))) => return Err(error),
        Ok(Err(Unwritten::Later(why, wait))) => {
            tracing::warn!(
                key = effect.key,
                attempt = effect.attempts + 1,
                error = why,
                "a write is put off"
            );
            server.store.postpone_effect(effect, in_time(wait), &why).await?;
        }
        Ok(Err(Unwritten::GitHub(error @ GitHubError::RateLimited(_)))) => {
            tracing::warn!(installation = effect.installation_id, %error, "an installation rests");
            let rest = error.retry_after_ms(0).unsigned_abs();
            return Ok(Some(Duration::from_millis(rest)));
        }
        Ok(Err(Unwritten::GitHub(error))) if error.is_gone_installation() => {
            tracing::warn!(key = effect.key, %error, "a write waits for the App to be installed again");
            server.store.postpone_effect(effect, in_time(UNINSTALLED), &error.to_string()).await?;
        }
        Ok(Err(Unwritten::GitHub(error))) if error.is_missing() && effect.attempts == 0 => {
            // The repository may have another name since it was asked for last.
            server.github.forget_repository_name(effect.installation_id, effect.repository_id).await;
            server.store.postpone_effect(effect, in_ms(1_000), &error.to_string()).await?;
        }
        Ok(Err(Unwritten::GitHub(error))) if error.is_transient() && effect.attempts + 1 < MOST_ATTEMPTS => {
            tracing::warn!(key = effect.key, attempt = effect.attempts + 1, %error, "a write is put off");
            let until = in_ms(error.retry_after_ms(effect.attempts));
            server.store.postpone_effect(effect, until, &error.to_string()).await?;
        }
        Ok(Err(Unwritten::GitHub(error))) => {
            log_internal(&format!("GitHub does not take {}", effect.key), &error);
            server.store.give_up_effect(effect, &error.to_string()).await?;
        }
        Ok(Err(Unwritten::Deleted)) => {
            tracing::warn!(key = effect.key, "a comment was deleted again; it is not written once more");
            server.store.give_up_effect(effect, "somebody deleted it again").await?;
        }
        Err(id) => conclude::give_up_broken(server, effect, &id).await?,
    }
    Ok(None)
}

/// What was written.
#[derive(Default)]
struct Written {
    remote_id: Option<u64>,
    anew: bool,
}

/// Why nothing was written, or why there is nothing to confirm.
enum Unwritten {
    GitHub(GitHubError),
    Store(StoreError),
    /// It may be tried again after a time.
    Later(String, Duration),
    /// Somebody deletes it whenever it is written.
    Deleted,
    /// It is confirmed in the store already.
    Settled,
}

impl From<GitHubError> for Unwritten {
    fn from(error: GitHubError) -> Self {
        Self::GitHub(error)
    }
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn write(server: &Server, effect: &Effect) -> Result<Written, Unwritten> {
    if let EffectPayload::Publish { run } = &effect.payload {
        return Err(publish_run(server, effect, run).await?);
    }
    let (id, installation) = (effect.repository_id, effect.installation_id);
    if effect.payload.is_progress() && !server.github.has_room(installation) {
        return Err(Unwritten::Later("much was written lately".to_owned(), SCARCE));
    }
    let location = locate::find(server, id, installation, &effect.repository).await?;
    let place = location.place();
    match &effect.payload {
        EffectPayload::Reaction { source, content } => {
            server.github.react(place, effect.thread_number, *source, content).await?;
            crash::point("queued.before-record");
            Ok(Written::default())
        }
        EffectPayload::Comment { marker, body } => comment(server, effect, place, marker, body).await,
        EffectPayload::Living { brief } => living(server, effect, place, brief).await,
        EffectPayload::LiveCheck { brief, run, commit } => {
            let page = match server.config.github.check_runs {
                true => progress::check(server, brief, run).await?,
                false => None,
            };
            let Some(page) = page else { return Ok(Written::default()) };
            let remote_id = mark::live_check(server, place, effect.remote_id, (run, commit), &page).await?;
            Ok(Written { remote_id, anew: false })
        }
        EffectPayload::Label { label, gates } => {
            mark::label(server, place, effect.thread_number, label.as_deref()).await?;
            if *gates {
                gate::make_labels(server, place).await?;
            }
            Ok(Written::default())
        }
        payload => {
            let remote_id = mark::check_run(server, place, effect.remote_id, payload).await?;
            Ok(Written { remote_id, anew: false })
        }
    }
}

async fn comment(
    server: &Server,
    effect: &Effect,
    place: Place<'_>,
    marker: &str,
    body: &str,
) -> Result<Written, Unwritten> {
    let mut anew = false;
    crash::point("comment-written.before-commit");
    if let Some(id) = effect.remote_id {
        match server.github.update_comment(place, id, body).await {
            Ok(()) => return Ok(Written { remote_id: Some(id), anew }),
            // Somebody deleted it: it is written anew below.
            Err(error) if error.status() == Some(404) => anew = true,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(id) = server.github.find_comment(place, effect.thread_number, marker).await? {
        server.github.update_comment(place, id, body).await?;
        return Ok(Written { remote_id: Some(id), anew });
    }
    if anew && effect.rewritten >= MOST_REWRITES {
        return Err(Unwritten::Deleted);
    }
    let id = create(server, effect, place, body).await?;
    Ok(Written { remote_id: Some(id), anew })
}

async fn create(server: &Server, effect: &Effect, place: Place<'_>, body: &str) -> Result<u64, GitHubError> {
    crash::point("comment-written.before-effect");
    let id = server.github.create_comment(place, effect.thread_number, body).await?;
    crash::point("comment-written.before-record");
    Ok(id)
}

/// Shows a task as it stands now. Nothing is written of one that something else is told of, or that was cancelled
/// before anything was told; and what somebody deleted while it went on is left to its result.
async fn living(
    server: &Server,
    effect: &Effect,
    place: Place<'_>,
    brief: &str,
) -> Result<Written, Unwritten> {
    let Some(shown) = progress::text(server, brief).await? else { return Ok(Written::default()) };
    let known = match effect.remote_id {
        Some(id) => Some(id),
        None => {
            let marker = shown.body.lines().next().unwrap_or_default();
            server.github.find_comment(place, effect.thread_number, marker).await?
        }
    };
    let Some(id) = known else {
        if shown.only_edit {
            return Ok(Written::default());
        }
        let id = create(server, effect, place, &shown.body).await?;
        return Ok(Written { remote_id: Some(id), anew: false });
    };
    match server.github.update_comment(place, id, &shown.body).await {
        Err(error) if error.status() != Some(404) => Err(error.into()),
        _ => Ok(Written { remote_id: Some(id), anew: false }),
    }
}

/// Publishes a run and ends its task, or tells when to try again.
async fn publish_run(server: &Server, effect: &Effect, run_id: &str) -> Result<Unwritten, Unwritten> {
    let Some(run) = server.store.judged_run(run_id).await? else {
        server.store.give_up_effect(effect, "the run is not its task's any more").await?;
        return Ok(Unwritten::Settled);
    };
    crash::point("changeset-stored.before-record");
    let (event, report) = match publish::publish(server, &run, effect.attempts).await {
        Published::Ended(event, report) => (event, report),
        Published::Later(why, wait) => {
            return Ok(Unwritten::Later(why, Duration::from_millis(wait.unsigned_abs())));
        }
    };
    match conclude::end_publishing(server, &run.task, effect, event, &report).await {
        Ok(()) => Ok(Unwritten::Settled),
        Err(StoreError::StaleEpoch(run)) => {
            server.store.give_up_effect(effect, "the run is not its task's any more").await?;
            tracing::warn!(run, "a published run is not its task's any more");
            Ok(Unwritten::Settled)
        }
        Err(error) => Err(error.into()),
    }
}
