//! Comments on issues and pull requests.

use super::respond::{Answer, Asked, Reply, Sent};
use super::{may_touch, thread};
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::model::{Comment, Repository};
use crate::refusal::Refusal;
use crate::world::World;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use serde::Deserialize;
use serde_json::Value;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/repos/{owner}/{repo}/issues/comments", get(list_all))
        // GitHub takes POST for PATCH here too, undocumented; octocrab sends POST.
        .route("/repos/{owner}/{repo}/issues/comments/{id}", get(show).patch(edit).post(edit).delete(remove))
        .route("/repos/{owner}/{repo}/issues/{number}/comments", get(list).post(create))
}

#[derive(Deserialize)]
pub(super) struct Text {
    #[serde(default)]
    pub(super) body: String,
}

async fn list(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Path<(String, String, u64)>,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let (repo, _) = thread(&caller, &world, (&owner, &repo), number, Level::Read)?;
    let items = listed(&world, repo, &asked, |comment| comment.number == number)?;
    Ok(Reply::page(&world.base, &asked, items))
}

async fn list_all(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Path<(String, String)>,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs_any(&["issues", "pull_requests"], Level::Read)?;
    let items = listed(&world, repo, &asked, |_| true)?;
    Ok(Reply::page(&world.base, &asked, items))
}

fn listed(
    world: &World,
    repo: &Repository,
    asked: &Asked,
    wanted: impl Fn(&Comment) -> bool,
) -> Result<Vec<Value>, Refusal> {
    let since = asked.since()?;
    let fresh = |comment: &&Comment| since.is_none_or(|since| comment.updated_at >= since);
    let found = repo.comments.values().filter(|comment| wanted(comment)).filter(fresh);
    let mut found: Vec<&Comment> = found.collect();
    // GitHub takes no notice of a direction without a sort, and sorts a thread's own list in no other way.
    if asked.get("sort").is_some() {
        asked.sorted(&mut found, false, |comment| (comment.created_at, comment.updated_at));
    }
    Ok(found.into_iter().map(|comment| world.comment_json(repo, comment)).collect())
}

async fn create(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Path<(String, String, u64)>,
    Sent(text): Sent<Text>,
) -> Answer {
    let mut world = core.write();
    let (found, _) = thread(&caller, &world, (&owner, &repo), number, Level::Write)?;
    let full = found.full_name();
    let bot = world.bot();
    let made = world.add_comment(&full, number, &bot, &text.body)?;
    comment_json(&world, &full, made.id).map(Reply::created)
}

fn comment_json(world: &World, full: &str, id: u64) -> Result<Value, Refusal> {
    let repo = world.repository(full)?;
    let comment = repo.comments.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(world.comment_json(repo, comment))
}

/// Finds the repository of a comment that the caller may read or write.
pub(super) fn comment_home(
    caller: &Caller,
    world: &World,
    (owner, repo): (&str, &str),
    id: u64,
    level: Level,
) -> Result<String, Refusal> {
    let repo = caller.repository(world, owner, repo)?;
    let comment = repo.comments.get(&id);
    may_touch(caller, comment.and_then(|comment| repo.issues.get(&comment.number)), level)?;
    if comment.is_some() { Ok(repo.full_name()) } else { Err(Refusal::not_found()) }
}

async fn show(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, id)): Path<(String, String, u64)>,
) -> Answer {
    let world = core.read();
    let full = comment_home(&caller, &world, (&owner, &repo), id, Level::Read)?;
    comment_json(&world, &full, id).map(Reply::ok)
}

async fn edit(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, id)): Path<(String, String, u64)>,
    Sent(text): Sent<Text>,
) -> Answer {
    let mut world = core.write();
    let full = comment_home(&caller, &world, (&owner, &repo), id, Level::Write)?;
    let bot = world.bot();
    world.edit_comment(&full, id, &bot, &text.body)?;
    comment_json(&world, &full, id).map(Reply::ok)
}

async fn remove(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, id)): Path<(String, String, u64)>,
) -> Answer {
    let mut world = core.write();
    let full = comment_home(&caller, &world, (&owner, &repo), id, Level::Write)?;
    let bot = world.bot();
    world.delete_comment(&full, id, &bot)?;
    Ok(Reply::nothing())
}
