//! Labels of a repository and on a thread.

use super::respond::{Answer, Asked, Reply, Sent};
use super::thread;
use crate::act::LabelChange;
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::model::{Labelling, stamp};
use crate::refusal::Refusal;
use crate::render::node_id;
use crate::world::World;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{delete, get};
use serde::Deserialize;
use serde_json::{Value, json};

const EITHER: [&str; 2] = ["issues", "pull_requests"];

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/repos/{owner}/{repo}/labels", get(list).post(create))
        .route("/repos/{owner}/{repo}/labels/{name}", get(show).patch(change).delete(destroy))
        .route(
            "/repos/{owner}/{repo}/issues/{number}/labels",
            get(on_thread).post(add).put(set).delete(clear),
        )
        .route("/repos/{owner}/{repo}/issues/{number}/labels/{name}", delete(remove))
        .route("/repos/{owner}/{repo}/issues/{number}/events", get(events))
}

type Home = Path<(String, String)>;
type Thread = Path<(String, String, u64)>;

async fn list(State(core): State<Shared>, caller: Caller, Path((owner, repo)): Home, asked: Asked) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs_any(&EITHER, Level::Read)?;
    let items = repo.labels.values().map(|label| world.label_json(repo, label)).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

async fn create(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Home,
    Sent(new): Sent<LabelChange>,
) -> Answer {
    let mut world = core.write();
    let full = caller.repository(&world, &owner, &repo)?.full_name();
    caller.needs_any(&EITHER, Level::Write)?;
    let label = world.make_label(&full, &new)?;
    Ok(Reply::created(world.label_json(world.repository(&full)?, &label)))
}

async fn show(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, name)): Path<(String, String, String)>,
) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs_any(&EITHER, Level::Read)?;
    let label = repo.labels.get(&name.to_lowercase()).ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(world.label_json(repo, label)))
}

async fn change(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, name)): Path<(String, String, String)>,
    Sent(change): Sent<LabelChange>,
) -> Answer {
    let mut world = core.write();
    let full = caller.repository(&world, &owner, &repo)?.full_name();
    caller.needs_any(&EITHER, Level::Write)?;
    let label = world.change_label(&full, &name, &change)?;
    Ok(Reply::ok(world.label_json(world.repository(&full)?, &label)))
}

async fn destroy(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, name)): Path<(String, String, String)>,
) -> Answer {
    let mut world = core.write();
    let full = caller.repository(&world, &owner, &repo)?.full_name();
    caller.needs_any(&EITHER, Level::Write)?;
    world.delete_label(&full, &name)?;
    Ok(Reply::nothing())
}

async fn on_thread(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Thread,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let (repo, _) = thread(&caller, &world, (&owner, &repo), number, Level::Read)?;
    let items = shown(&world, &repo.full_name(), number)?;
    Ok(Reply::page(&world.base, &asked, items))
}

/// Lists who put labels on a thread and took them away; other events are not kept.
async fn events(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Thread,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let (repo, issue) = thread(&caller, &world, (&owner, &repo), number, Level::Read)?;
    let event = |one: &Labelling| {
        let color = repo.labels.get(&one.label.to_lowercase()).map(|label| label.color.clone());
        let (url, id) = (format!("{}/issues/events/{}", world.api(repo), one.id), one.id);
        json!({
            "id": id,
            "node_id": node_id("LE", id),
            "url": url,
            "commit_id": null,
            "commit_url": null,
            "event": if one.put_on { "labeled" } else { "unlabeled" },
            "actor": world.user_json(&one.by),
            "created_at": stamp(one.at),
            "label": {"name": one.label, "color": color},
        })
    };
    let items = issue.labellings.iter().map(event).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

fn shown(world: &World, full: &str, number: u64) -> Result<Vec<Value>, Refusal> {
    let repo = world.repository(full)?;
    let issue = repo.issues.get(&number).ok_or_else(Refusal::not_found)?;
    Ok(issue.labels.iter().map(|name| world.label_by_name(repo, name)).collect())
}

/// GitHub takes the names in an object or as a bare list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    Object { labels: Vec<String> },
    List(Vec<String>),
}

impl Names {
    fn list(self) -> Vec<String> {
        match self {
            Self::Object { labels } | Self::List(labels) => labels,
        }
    }
}

async fn add(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Thread,
    Sent(names): Sent<Names>,
) -> Answer {
    let mut world = core.write();
    let full = thread(&caller, &world, (&owner, &repo), number, Level::Write)?.0.full_name();
    let bot = world.bot();
    world.add_labels(&full, number, &bot, &names.list())?;
    Ok(Reply::ok(Value::Array(shown(&world, &full, number)?)))
}

async fn set(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Thread,
    Sent(names): Sent<Names>,
) -> Answer {
    let mut world = core.write();
    let full = thread(&caller, &world, (&owner, &repo), number, Level::Write)?.0.full_name();
    let bot = world.bot();
    world.set_labels(&full, number, &bot, &names.list())?;
    Ok(Reply::ok(Value::Array(shown(&world, &full, number)?)))
}

async fn clear(State(core): State<Shared>, caller: Caller, Path((owner, repo, number)): Thread) -> Answer {
    let mut world = core.write();
    let full = thread(&caller, &world, (&owner, &repo), number, Level::Write)?.0.full_name();
    let bot = world.bot();
    world.set_labels(&full, number, &bot, &[])?;
    Ok(Reply::nothing())
}

async fn remove(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number, name)): Path<(String, String, u64, String)>,
) -> Answer {
    let mut world = core.write();
    let full = thread(&caller, &world, (&owner, &repo), number, Level::Write)?.0.full_name();
    let bot = world.bot();
    world.remove_label(&full, number, &bot, &name)?;
    Ok(Reply::ok(Value::Array(shown(&world, &full, number)?)))
}
