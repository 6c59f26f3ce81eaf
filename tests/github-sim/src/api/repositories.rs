//! Repositories, people and their permission, the rate limit.

use super::respond::{Answer, Asked, Reply};
use crate::auth::Caller;
use crate::core::Shared;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/repos/{owner}/{repo}", get(repository))
        .route("/repos/{owner}/{repo}/collaborators/{user}/permission", get(permission))
        .route("/rate_limit", get(rate_limit))
        .route("/users/{user}", get(user))
        .route("/repos/{owner}/{repo}/commits/{*rest}", get(super::git::commits_below))
}

async fn repository(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Path<(String, String)>,
) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    Ok(Reply::ok(world.full_repository_json(repo)))
}

async fn permission(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, login)): Path<(String, String, String)>,
) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    let person = world.user(&login).filter(|user| user.kind == "User");
    let person = person.ok_or_else(|| Refusal::new(404, format!("{login} is not a user")))?;
    Ok(Reply::ok(world.collaborator_permission_json(repo, person)))
}

async fn rate_limit(_: Caller, _: Asked) -> Answer {
    Ok(Reply::ok(crate::server::rate_limit_json()))
}

async fn user(State(core): State<Shared>, Path(login): Path<String>) -> Answer {
    let world = core.read();
    let user = world.user(&login).ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(world.public_user_json(user)))
}
