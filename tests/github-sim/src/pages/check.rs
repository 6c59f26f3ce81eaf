//! The page of a check run, with its buttons.

use super::{escape, missing, page_with};
use crate::core::Shared;
use crate::model::{CheckRun, Repository};
use crate::world::World;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// Renders the line by which a list shows a check run.
pub(super) fn check_row(repo: &Repository, run: &CheckRun) -> String {
    let sign = match run.conclusion.as_deref() {
        Some("success") => "✅",
        Some("failure" | "timed_out") => "❌",
        Some("action_required") => "⚠️",
        Some(_) => "⬜",
        None => "🟡",
    };
    format!(
        "<div class=\"row\">{sign} <a href=\"/{}/runs/{}\"><b>{}</b></a> <span class=\"muted\">{}</span></div>",
        escape(&repo.full_name()),
        run.id,
        escape(&run.name),
        escape(run.output["title"].as_str().unwrap_or(run.conclusion.as_deref().unwrap_or(&run.status))),
    )
}

pub(super) async fn check_run(
    State(core): State<Shared>,
    Path((owner, name, id)): Path<(String, String, u64)>,
) -> Response {
    let world = core.read();
    let Ok(repo) = world.repository(&format!("{owner}/{name}")) else { return missing(&world) };
    let Some(run) = repo.check_runs.get(&id) else { return missing(&world) };
    let part = |field: &str| world.markdown(repo, run.output[field].as_str().unwrap_or_default());
    let content = format!(
        "<h1>{}</h1><p class=\"muted\">{} · commit <a href=\"/{}/commit/{sha}\">{}</a></p>{}\
         <div class=\"box\">{}<div class=\"body md\">{}{}</div>{}</div>",
        escape(&run.name),
        escape(run.conclusion.as_deref().unwrap_or(&run.status)),
        escape(&repo.full_name()),
        run.head_sha.get(..7).unwrap_or_default(),
        buttons(&world, repo, run),
        check_row(repo, run),
        part("summary"),
        run.output["text"].as_str().map(|_| part("text")).unwrap_or_default(),
        annotations(run),
        sha = escape(&run.head_sha),
    );
    page_with(&world, &run.name, Some(repo), &content, "'self'")
}

/// Renders a form with a button for each action, pressed as whoever is chosen.
fn buttons(world: &World, repo: &Repository, run: &CheckRun) -> String {
    let word = |action: &serde_json::Value, field: &str| escape(action[field].as_str().unwrap_or_default());
    let mut actions: String = run
        .actions
        .iter()
        .map(|action| {
            format!(
                "<button name=\"identifier\" value=\"{}\" title=\"{}\">{}</button> ",
                word(action, "identifier"),
                word(action, "description"),
                word(action, "label"),
            )
        })
        .collect();
    if run.status == "completed" {
        actions.push_str("<button name=\"identifier\" value=\"\">GitHub: Re-run</button>");
    }
    let people: String = world
        .users
        .values()
        .filter(|user| user.kind == "User")
        .map(|user| format!("<option>{}</option>", escape(&user.login)))
        .collect();
    format!(
        "<form class=\"row\" method=\"post\" action=\"/{}/runs/{}/press\">as <select name=\"user\">{people}</select> \
         {actions}</form>",
        escape(&repo.full_name()),
        run.id,
    )
}

fn annotations(run: &CheckRun) -> String {
    run.annotations
        .iter()
        .map(|note| {
            format!(
                "<div class=\"row\"><b>{}</b> <code>{}:{}</code><br>{}</div>",
                escape(note["annotation_level"].as_str().unwrap_or_default()),
                escape(note["path"].as_str().unwrap_or_default()),
                note["start_line"],
                escape(note["message"].as_str().unwrap_or_default()),
            )
        })
        .collect()
}

/// Who presses what; GitHub's own "Re-run" has no identifier.
#[derive(Deserialize)]
pub(super) struct Press {
    user: String,
    identifier: String,
}

pub(super) async fn press(
    State(core): State<Shared>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    Form(press): Form<Press>,
) -> Response {
    let mut world = core.write();
    let full = format!("{owner}/{name}");
    let pressed = world.person(&press.user).and_then(|actor| match press.identifier.as_str() {
        "" => world.rerequest_check(&full, id, &actor),
        identifier => world.press_check_action(&full, id, &actor, identifier),
    });
    match pressed {
        Ok(()) => Redirect::to(&format!("/{full}/runs/{id}")).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
