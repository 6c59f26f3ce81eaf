//! Marks beside what people wrote: the label of a thread, the check run of a commit.

use super::Server;
use crate::github::GitHubError;
use crate::github::checks::CheckRunText;
use crate::github::installation::Place;
use crate::queue::label::StateLabel;
use crate::store::models::EffectPayload;

/// The name under which GitHub lists the check runs.
const CHECK_NAME: &str = "codex-brief";

/// Makes a thread carry one of the state labels, or none, and no other of them. Safe to repeat.
pub(super) async fn label(
    server: &Server,
    place: Place<'_>,
    thread: u64,
    wanted: Option<&str>,
) -> Result<(), GitHubError> {
    if !server.config.github.labels {
        return Ok(());
    }
    let there = server.github.labels(place, thread).await?;
    for label in StateLabel::ALL {
        let (name, carried) = (label.as_str(), there.iter().any(|other| other == label.as_str()));
        if wanted == Some(name) && !carried {
            server.github.create_label(place, name, label.color(), label.description()).await?;
            server.github.add_label(place, thread, name).await?;
        } else if wanted != Some(name) && carried {
            server.github.remove_label(place, thread, name).await?;
        }
    }
    Ok(())
}

/// Writes a check run and returns its id; it is looked up by the run's id before it is made.
pub(super) async fn check_run(
    server: &Server,
    place: Place<'_>,
    known: Option<u64>,
    payload: &EffectPayload,
) -> Result<Option<u64>, GitHubError> {
    let EffectPayload::CheckRun { run, commit, conclusion, title, summary, name, buttons } = payload else {
        return Ok(None);
    };
    if !server.config.github.check_runs {
        return Ok(None);
    }
    // Only a webhook tells that somebody pressed one.
    let buttons = buttons.as_ref().filter(|_| !server.config.webhook.is_polling());
    let buttons = buttons.map(|buttons| serde_json::json!(buttons));
    let text = CheckRunText {
        name: name.as_deref().unwrap_or(CHECK_NAME),
        head_sha: commit,
        external_id: run,
        status: "completed",
        conclusion: Some(conclusion),
        title,
        summary,
        actions: buttons.as_ref(),
    };
    let found = match known {
        Some(id) => Some(id),
        None => server.github.find_check_run(place, commit, run).await?.map(|found| found.id),
    };
    match found {
        Some(id) => {
            server.github.update_check_run(place, id, &text).await?;
            Ok(Some(id))
        }
        None => Ok(Some(server.github.create_check_run(place, &text).await?)),
    }
}
