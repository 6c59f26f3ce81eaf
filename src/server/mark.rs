//! Marks beside what people wrote: the label of a thread, the check run of a commit.

use super::Server;
use crate::github::GitHubError;
use crate::github::checks::{Action, Annotation, CheckRun, CheckRunText};
use crate::github::installation::Place;
use crate::github::limits::{Actions, AnnotationMessage, Annotations, ButtonText, ButtonWord};
use crate::publish::check_run::CheckRunPage;
use crate::queue::label::StateLabel;
use crate::store::models::{AnnotationText, Button, EffectPayload};

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
    let EffectPayload::CheckRun {
        run,
        commit,
        conclusion,
        only_edit,
        title,
        summary,
        text,
        annotations,
        name,
        buttons,
    } = payload
    else {
        return Ok(None);
    };
    if !server.config.github.check_runs {
        return Ok(None);
    }
    let listed = match known {
        // Each write adds its annotations to those that are there.
        Some(_) if annotations.is_empty() => None,
        _ => server.github.find_check_run(place, commit, run).await?,
    };
    let annotated = listed.as_ref().is_some_and(CheckRun::is_annotated);
    let annotations = if annotated { &[][..] } else { annotations };
    // Only a webhook tells that somebody pressed one.
    let buttons = buttons.as_deref().filter(|_| !server.config.webhook.is_polling());
    let actions = buttons.map(actions);
    let text = CheckRunText {
        name: name.as_deref().unwrap_or(CHECK_NAME),
        head_sha: commit,
        external_id: run,
        status: "completed",
        conclusion: Some(conclusion),
        title,
        summary,
        text: text.as_deref(),
        annotations: &Annotations::first(annotations.iter().map(annotation)),
        actions: actions.as_ref(),
    };
    write(server, place, known.or(listed.map(|listed| listed.id)), &text, *only_edit).await
}

/// Writes the check run of a run that works, or of one that is over without a result.
pub(super) async fn live_check(
    server: &Server,
    place: Place<'_>,
    known: Option<u64>,
    (run, commit): (&str, &str),
    page: &CheckRunPage,
) -> Result<Option<u64>, GitHubError> {
    let found = match known {
        Some(id) => Some(id),
        None => server.github.find_check_run(place, commit, run).await?.map(|found| found.id),
    };
    let text = CheckRunText {
        name: CHECK_NAME,
        head_sha: commit,
        external_id: run,
        status: if page.conclusion.is_some() { "completed" } else { "in_progress" },
        conclusion: page.conclusion,
        title: &page.title,
        summary: &page.summary,
        text: page.text.as_deref(),
        annotations: &Annotations::default(),
        actions: Some(&actions(if server.config.webhook.is_polling() { &[] } else { &page.buttons })),
    };
    write(server, place, found, &text, page.conclusion.is_some()).await
}

async fn write(
    server: &Server,
    place: Place<'_>,
    found: Option<u64>,
    text: &CheckRunText<'_>,
    only_edit: bool,
) -> Result<Option<u64>, GitHubError> {
    match found {
        Some(id) => {
            server.github.update_check_run(place, id, text).await?;
            Ok(Some(id))
        }
        None if only_edit => Ok(None),
        None => Ok(Some(server.github.create_check_run(place, text).await?)),
    }
}

fn annotation(text: &AnnotationText) -> Annotation {
    Annotation {
        path: text.path.clone(),
        start_line: text.line,
        end_line: text.line,
        start_column: text.column,
        end_column: text.column,
        annotation_level: text.level.clone(),
        message: AnnotationMessage::cut(&text.message),
    }
}

fn actions(buttons: &[Button]) -> Actions {
    Actions::first(buttons.iter().map(|button| Action {
        label: ButtonWord::cut(&button.label),
        description: ButtonText::cut(&button.description),
        identifier: ButtonWord::cut(&button.identifier),
    }))
}
