//! Who is in which team of an organisation.

use super::respond::{Answer, Reply};
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::json;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/orgs/{org}/teams/{slug}/memberships/{user}", get(membership))
}

async fn membership(
    State(core): State<Shared>,
    caller: Caller,
    Path((org, slug, user)): Path<(String, String, String)>,
) -> Answer {
    caller.needs("members", Level::Read)?;
    let world = core.read();
    let team = world.teams.get(&format!("{org}/{slug}").to_lowercase()).ok_or_else(Refusal::not_found)?;
    let active = team.members.get(&user.to_lowercase()).ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(json!({
        "url": format!("{}/teams/{}/memberships/{user}", world.base, team.id),
        "role": "member",
        "state": if *active { "active" } else { "pending" },
    })))
}
