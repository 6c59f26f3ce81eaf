//! Check runs.

use super::respond::{Answer, Asked, Reply, Sent};
use crate::act::CheckChange;
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::refusal::Refusal;
use crate::world::World;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/repos/{owner}/{repo}/check-runs", post(create))
        .route("/repos/{owner}/{repo}/check-runs/{id}", get(show).patch(change))
        .route("/repos/{owner}/{repo}/check-runs/{id}/annotations", get(annotations))
}

fn home(caller: &Caller, world: &World, at: (&str, &str), level: Level) -> Result<String, Refusal> {
    let repo = caller.repository(world, at.0, at.1)?;
    caller.needs("checks", level)?;
    Ok(repo.full_name())
}

fn shown(world: &World, full: &str, id: u64) -> Result<Value, Refusal> {
    let repo = world.repository(full)?;
    let run = repo.check_runs.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(world.check_run_json(repo, run))
}

async fn create(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Path<(String, String)>,
    Sent(new): Sent<CheckChange>,
) -> Answer {
    let mut world = core.write();
    let full = home(&caller, &world, (&owner, &repo), Level::Write)?;
    let bot = world.bot();
    let id = world.make_check(&full, &bot, &new)?;
    shown(&world, &full, id).map(Reply::created)
}

async fn show(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, id)): Path<(String, String, u64)>,
) -> Answer {
    let world = core.read();
    let full = home(&caller, &world, (&owner, &repo), Level::Read)?;
    shown(&world, &full, id).map(Reply::ok)
}

async fn change(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, id)): Path<(String, String, u64)>,
    Sent(change): Sent<CheckChange>,
) -> Answer {
    let mut world = core.write();
    let full = home(&caller, &world, (&owner, &repo), Level::Write)?;
    let bot = world.bot();
    world.change_check(&full, id, &bot, &change)?;
    shown(&world, &full, id).map(Reply::ok)
}

async fn annotations(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, id)): Path<(String, String, u64)>,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let full = home(&caller, &world, (&owner, &repo), Level::Read)?;
    let repo = world.repository(&full)?;
    let run = repo.check_runs.get(&id).ok_or_else(Refusal::not_found)?;
    let whole = |annotation: &Value| {
        let mut whole = json!({
            "start_column": null, "end_column": null, "title": null, "raw_details": null,
            "blob_href": format!("{}/blob/{}", world.page(repo), run.head_sha),
        });
        if let (Some(fields), Some(given)) = (whole.as_object_mut(), annotation.as_object()) {
            fields.extend(given.clone());
        }
        whole
    };
    let items = run.annotations.iter().map(whole).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

/// Lists the check runs of the commit that a ref is at; filtered by name and status when asked.
pub(super) fn for_ref(world: &World, caller: &Caller, full: &str, sha: &str, asked: &Asked) -> Answer {
    caller.needs("checks", Level::Read)?;
    let repo = world.repository(full)?;
    let all = asked.get("filter") == Some("all");
    let mut names = std::collections::BTreeSet::new();
    let found = repo.check_runs.values().rev().filter(move |run| {
        run.head_sha == sha
            && asked.get("check_name").is_none_or(|name| run.name == name)
            && asked.get("status").is_none_or(|status| run.status == status)
            // Without `filter=all` only the newest run of each name is told.
            && (names.insert(run.name.clone()) || all)
    });
    let items = found.map(|run| world.check_run_json(repo, run)).collect();
    Ok(Reply::page_of(
        &world.base,
        asked,
        items,
        |items, total| json!({"total_count": total, "check_runs": items}),
    ))
}
