//! What a thread is told when its briefs are not even looked into.

use super::Server;
use super::intake::comment_effect;
use crate::authorize::permission::Permission;
use crate::command::Name;
use crate::error::UserError;
use crate::publish::notice;
use crate::store::StoreError;
use crate::store::models::Effect;
use crate::webhook::event::TextEvent;

/// How many refusals an installation is told in an hour.
const MOST_REFUSALS: u64 = 20;

/// Owes the refusal of somebody who lacks the permission, once for an account and a thread.
pub(super) async fn permission(
    server: &Server,
    event: &TextEvent,
    account: (&str, u64),
    found: Permission,
) -> Result<Vec<Effect>, StoreError> {
    let Some(key) = key(server, event, &account.1.to_string()).await? else { return Ok(vec![]) };
    let needed = Permission::from(server.config.authorize.minimum_permission);
    let text = notice::refusal_comment(account.0, found.as_str(), needed.as_str(), &key);
    Ok(vec![comment_effect(event, key, text)])
}

/// Owes a refusal by the policy, once for a thread and what `of` names; a bot is told nothing.
pub(super) async fn policy(
    server: &Server,
    event: &TextEvent,
    of: &str,
    error: &UserError,
) -> Result<Vec<Effect>, StoreError> {
    if error.code == "bot-not-named" {
        return Ok(vec![]);
    }
    let Some(key) = key(server, event, of).await? else { return Ok(vec![]) };
    let text = notice::policy_comment(error, &key);
    Ok(vec![comment_effect(event, key, text)])
}

/// Owes the refusal of commands that need more than somebody has, once for an account, a thread and such a
/// command. `found` is what they have.
pub(super) async fn commands(
    server: &Server,
    event: &TextEvent,
    refused: &[(Name, Permission)],
    found: Permission,
) -> Result<Vec<Effect>, StoreError> {
    let mut effects = Vec::new();
    for (name, needed) in refused {
        let words = name.words();
        let of = format!("{}:{words}", event.sender.id);
        let Some(key) = key(server, event, &of).await? else { continue };
        let error = UserError::new(
            "command-not-allowed",
            format!(
                "`{words}` needs the permission `{needed}` here, and `{}` has `{found}`.",
                event.sender.login
            ),
            "Somebody who has it can write the command; the operator sets it by [commands].",
        );
        let text = notice::policy_comment(&error, &key);
        effects.push(comment_effect(event, key, text));
    }
    Ok(effects)
}

/// Returns the key of a refusal that is to be told: once a thread for what `of` names, and not too often.
async fn key(server: &Server, event: &TextEvent, of: &str) -> Result<Option<String>, StoreError> {
    key_of(server, event.home.installation_id, event.source.repository_id, event.thread.number, of).await
}

/// Returns the key of a refusal that is to be told in a thread of a repository, as [`key`] does.
pub(super) async fn key_of(
    server: &Server,
    installation: u64,
    repository: u64,
    thread: u64,
    of: &str,
) -> Result<Option<String>, StoreError> {
    let key = format!("refused:{repository}:{thread}:{of}");
    if server.store.effect_known(&key).await? {
        return Ok(None);
    }
    // Anybody can cause one, and it takes from what GitHub lets the App write for everybody else.
    if server.store.recent_refusals(installation).await? >= MOST_REFUSALS {
        tracing::warn!(of, "a refusal is not told: there were too many in the last hour");
        return Ok(None);
    }
    Ok(Some(key))
}
