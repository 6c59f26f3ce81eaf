//! Works off what is owed to GitHub; each write is looked up before it is repeated.

use std::sync::Arc;

use super::{Server, guarded};
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::store::StoreError;
use crate::store::models::{Effect, EffectPayload};

/// How often a write is tried before it is given up; with the waits between, more than a day.
const MOST_ATTEMPTS: i64 = 300;

/// Writes effects, oldest first, until the server ends.
pub async fn work(server: Arc<Server>) {
    loop {
        let wait_until = match server.store.next_effect().await {
            Ok(Some(effect)) => match settle(&server, effect).await {
                Ok(()) if !server.stop.is_cancelled() => continue,
                Ok(()) => return,
                Err(error) => in_a_second("the outbox cannot be written", &error),
            },
            Ok(None) => server.store.next_effect_at().await.ok().flatten(),
            Err(error) => in_a_second("the outbox cannot be read", &error),
        };
        if !server.wait(&server.wakes.owed, wait_until).await {
            return;
        }
    }
}

fn in_a_second(what: &str, error: &StoreError) -> Option<i64> {
    crate::error::log_internal(what, error);
    Some(chrono::Utc::now().timestamp_millis() + 1_000)
}

async fn settle(server: &Arc<Server>, effect: Effect) -> Result<(), StoreError> {
    let effect = Arc::new(effect);
    let written = {
        let (server, effect) = (server.clone(), effect.clone());
        guarded("an owed write breaks the outbox", async move { write(&server, &effect).await }).await
    };
    let effect = &*effect;
    let written = match written {
        Ok(written) => written,
        Err(id) => return server.store.give_up_effect(effect, &format!("internal error {id}")).await,
    };
    match written {
        Ok(remote_id) => server.store.confirm_effect(effect, remote_id).await,
        Err(error) if error.is_transient() && effect.attempts + 1 < MOST_ATTEMPTS => {
            tracing::warn!(key = effect.key, attempt = effect.attempts + 1, %error, "a write is put off");
            let until = chrono::Utc::now().timestamp_millis() + error.retry_after_ms(effect.attempts);
            server.store.postpone_effect(effect, until, &error.to_string()).await
        }
        Err(error) => {
            crate::error::log_internal(&format!("GitHub does not take {}", effect.key), &error);
            server.store.give_up_effect(effect, &error.to_string()).await
        }
    }
}

async fn write(server: &Server, effect: &Effect) -> Result<Option<u64>, GitHubError> {
    let place = Place { installation: effect.installation_id, repository: &effect.repository };
    match &effect.payload {
        EffectPayload::Reaction { source, content } => {
            server.github.react(place, effect.thread_number, *source, content).await?;
            Ok(None)
        }
        EffectPayload::Comment { marker, body } => {
            if let Some(id) = effect.remote_id {
                match server.github.update_comment(place, id, body).await {
                    Ok(()) => return Ok(Some(id)),
                    // Somebody deleted it: it is written anew below.
                    Err(error) if error.status() == Some(404) => {}
                    Err(error) => return Err(error),
                }
            }
            match server.github.find_comment(place, effect.thread_number, marker).await? {
                Some(id) => {
                    server.github.update_comment(place, id, body).await?;
                    Ok(Some(id))
                }
                None => Ok(Some(server.github.create_comment(place, effect.thread_number, body).await?)),
            }
        }
    }
}
