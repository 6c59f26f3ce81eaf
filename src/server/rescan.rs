//! Looks through the open issues and pull requests that changed since the last look, for briefs that no
//! delivery brought.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::{DateTime, Utc};

use super::Server;
use super::catch_up::{CatchUpError, Look};
use crate::brief::{RepoName, Source};
use crate::github::GitHubError;
use crate::github::changes::FoundText;
use crate::github::installation::{Place, Repository};
use crate::github::texts::ThreadState;
use crate::store::models::{Origin, PendingDelivery};
use crate::webhook::event::{self, Home, Meaning, Parsed};
use crate::webhook::rescan::{self, Found, Window};

/// A repository is looked through again from so long before the last look: clocks differ.
const OVERLAP_MS: i64 = 600_000;

/// The webhook of a text that is younger than this may be under way, in milliseconds.
const SETTLED_MS: i64 = 60_000;

/// Looks through every repository on which the App is installed, and returns how many an installation reaches at
/// most. One that GitHub refuses to show is told and passed over; a failure that may pass ends the look.
pub(super) async fn rescan(server: &Server, look: Look) -> Result<usize, CatchUpError> {
    let began = Utc::now().timestamp_millis();
    let waiting = waiting(server).await?;
    let (mut reached, mut all_listed, mut most) = (Vec::new(), true, 0);
    let failed = |error| CatchUpError::GitHub("what people wrote cannot be looked through", error);
    for installation in server.github.installations().await.map_err(failed)? {
        if installation.suspended_at.is_some() {
            continue;
        }
        let repositories = match server.github.repositories(installation.id).await {
            Err(error) if !error.is_transient() => {
                pass_over(server, &format!("installation {}", installation.id), &error).await?;
                // Which repositories it reaches is not known, so none of them is taken for kept out.
                all_listed &= error.is_gone_installation();
                continue;
            }
            other => other.map_err(failed)?,
        };
        most = most.max(repositories.len());
        for repository in repositories {
            if server.stop.is_cancelled() {
                return Ok(most);
            }
            reached.push(repository.id);
            match look_through(server, look, installation.id, &repository, &waiting).await {
                Err(CatchUpError::GitHub(_, error)) if !error.is_transient() => {
                    pass_over(server, &repository.full_name, &error).await?;
                }
                other => other?,
            }
        }
    }
    // What is written while the App is kept out of a repository is not for it, also when it is let in again.
    if all_listed {
        server.store.note_kept_out(&reached, began).await?;
    }
    Ok(most)
}

async fn pass_over(server: &Server, what: &str, error: &GitHubError) -> Result<(), CatchUpError> {
    tracing::warn!(what, %error, "not looked through for briefs that were missed");
    Ok(server.store.note_trouble(&format!("{what} could not be looked through: {error}")).await?)
}

async fn look_through(
    server: &Server,
    look: Look,
    installation_id: u64,
    repository: &Repository,
    waiting: &HashMap<Source, i64>,
) -> Result<(), CatchUpError> {
    let Some((owner, name)) = repository.full_name.split_once('/') else { return Ok(()) };
    let (began, came_up) = (Utc::now().timestamp_millis(), look.came_up);
    let (scanned, let_in) = server.store.scan_marks(repository.id).await?;
    // The last server may have ended before it looked through it for the first time; else the App was
    // installed on it since, and what was written before that is not for it.
    let known = look.first && server.store.repository(repository.id).await?.is_some();
    // A webhook tells what was written since the server came up; without one the first look does.
    let since = if look.first && server.config.webhook.is_polling() { came_up.now_ms } else { began };
    // GitHub dates to the second: what was written in this one counts as written after it.
    let new_here = (scanned.is_none() && !known).then_some(since.div_euclid(1_000) * 1_000);
    let last = scanned.unwrap_or(came_up.alive_ms);
    let window = Window {
        home: Home {
            id: repository.id,
            name: RepoName { owner: owner.to_owned(), name: name.to_owned() },
            installation_id,
        },
        app_id: server.github.app_id(),
        from_ms: (last - OVERLAP_MS).max(came_up.first_start_ms).max(new_here.or(let_in).unwrap_or(0)),
        until_ms: match server.config.webhook.is_polling() {
            true => began,
            // Nobody listened before this server came up, so those webhooks are not under way.
            false => came_up.now_ms.max(began - SETTLED_MS),
        },
    };
    let place = Place { installation: installation_id, repository: &repository.full_name };
    match search(server, look, &window, place, waiting).await {
        // Trying it again would not help: it is told, and the next look goes on from here.
        Err(CatchUpError::GitHub(_, error @ GitHubError::TooMany(..))) => {
            pass_over(server, &repository.full_name, &error).await?;
        }
        other => other?,
    }
    Ok(server.store.note_scanned(repository.id, window.until_ms, new_here).await?)
}

async fn search(
    server: &Server,
    look: Look,
    window: &Window,
    place: Place<'_>,
    waiting: &HashMap<Source, i64>,
) -> Result<(), CatchUpError> {
    let failed = |error| CatchUpError::GitHub("a repository cannot be looked through", error);
    let (texts, titles) = changed(server, window, place).await.map_err(failed)?;
    let mut candidates = Vec::new();
    let mut open: HashMap<u64, bool> = titles.keys().map(|number| (*number, true)).collect();
    for text in texts {
        let source = window.source(&text);
        let seen = server.store.source_updated_at(source).await?.max(waiting.get(&source).copied());
        if !window.may_hold(&text, seen) {
            continue;
        }
        let is_open = match open.entry(text.thread) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                let state = server.github.thread_state(place, text.thread).await.map_err(failed)?;
                *unknown.insert(state == ThreadState::Open)
            }
        };
        if is_open {
            candidates.push((text, seen));
        }
    }
    let ids: Vec<String> = candidates.iter().map(|(text, _)| text.node_id.clone()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let editors = server.github.editors(window.home.installation_id, &ids).await.map_err(failed)?;
    candidates.sort_by_key(|(text, _)| (text.created_at, text.id));
    for (text, seen) in candidates {
        // One that GitHub does not name any more was deleted just now.
        let Some(edited) = editors.get(&text.node_id) else { continue };
        let title = titles.get(&text.thread).map_or("", String::as_str);
        match window.judge(&text, edited, title, seen) {
            Some(found) => take(server, look, found).await?,
            None => continue,
        }
    }
    Ok(())
}

/// Lists every text that may have changed in the window, and the titles of the open threads among them.
async fn changed(
    server: &Server,
    window: &Window,
    place: Place<'_>,
) -> Result<(Vec<FoundText>, HashMap<u64, String>), GitHubError> {
    let since = DateTime::from_timestamp_millis(window.from_ms).unwrap_or_default();
    let threads = server.github.issues_changed(place, since).await?;
    let titles = threads.iter().map(|thread| (thread.thread, thread.title.clone())).collect();
    let pulls: Vec<u64> =
        threads.iter().filter(|thread| thread.on_pull_request).map(|pull| pull.thread).collect();
    let mut texts = threads;
    texts.extend(server.github.comments_changed(place, since).await?);
    texts.extend(server.github.review_comments_changed(place, since).await?);
    for pull in pulls {
        texts.extend(server.github.reviews(place, pull).await?);
    }
    Ok((texts, titles))
}

/// Returns the texts of deliveries that are here and were not looked at yet, each with the time of its
/// newest version.
async fn waiting(server: &Server) -> Result<HashMap<Source, i64>, CatchUpError> {
    let mut waiting = HashMap::new();
    let mut after = 0;
    while let Some(delivery) = server.store.pending_after(after).await? {
        after = delivery.id;
        if let Meaning::Text(event) = read(server, &delivery).meaning {
            let newest = waiting.entry(event.source).or_insert(event.updated_at_ms);
            *newest = event.updated_at_ms.max(*newest);
        }
    }
    Ok(waiting)
}

/// Reads a stored delivery, however it came.
pub(super) fn read(server: &Server, delivery: &PendingDelivery) -> Parsed {
    match delivery.origin {
        Origin::Webhook => {
            let bots: Vec<&str> = server.config.named_bots().collect();
            event::parse(&delivery.event, &delivery.body, server.github.app_id(), &bots)
        }
        Origin::Rescan => rescan::read(&delivery.body),
    }
}

async fn take(server: &Server, look: Look, found: Found) -> Result<(), CatchUpError> {
    match found {
        Found::Event(event) => {
            let text = rescan::write(&event).map_err(crate::store::StoreError::from)?;
            if server.config.webhook.is_polling() {
                if server.store.insert_polled(&text).await? {
                    tracing::info!(guid = text.missed.name, what = text.missed.what, "a text was found");
                    server.wakes.arrived.notify_one();
                }
            } else if server.store.insert_rescanned(&text, look.span()).await? {
                tracing::info!(guid = text.missed.name, what = text.missed.what, "a missed text was found");
                server.wakes.arrived.notify_one();
            }
        }
        Found::Unknown(missed, reason) => {
            if server.store.note_lost(&missed, &reason, look.span()).await? {
                tracing::warn!(name = missed.name, what = missed.what, reason, "a missed text cannot be run");
            }
        }
    }
    Ok(())
}
