//! Assignees of threads and reviewers of pull requests.

use super::pulls::pull;
use super::respond::{Answer, Reply, Sent};
use super::thread;
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use serde::Deserialize;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/repos/{owner}/{repo}/issues/{number}/assignees", post(assign))
        .route("/repos/{owner}/{repo}/pulls/{number}/requested_reviewers", post(ask))
}

type Thread = Path<(String, String, u64)>;

#[derive(Deserialize)]
struct Assignees {
    #[serde(default)]
    assignees: Vec<String>,
}

async fn assign(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Thread,
    Sent(order): Sent<Assignees>,
) -> Answer {
    let mut world = core.write();
    let full = thread(&caller, &world, (&owner, &repo), number, Level::Write)?.0.full_name();
    world.assign(&full, number, &order.assignees)?;
    let repo = world.repository(&full)?;
    let issue = repo.issues.get(&number).ok_or_else(Refusal::not_found)?;
    Ok(Reply::created(world.issue_json(repo, issue)))
}

#[derive(Deserialize)]
struct Reviewers {
    #[serde(default)]
    reviewers: Vec<String>,
}

async fn ask(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Thread,
    Sent(order): Sent<Reviewers>,
) -> Answer {
    let mut world = core.write();
    let full = pull(&caller, &world, (&owner, &repo), number, Level::Write)?.0.full_name();
    world.ask_to_review(&full, number, &order.reviewers)?;
    let repo = world.repository(&full)?;
    let pull = repo.pulls.get(&number).ok_or_else(Refusal::not_found)?;
    let issue = repo.issues.get(&number).ok_or_else(Refusal::not_found)?;
    Ok(Reply::created(world.pull_summary_json(repo, pull, issue)))
}
