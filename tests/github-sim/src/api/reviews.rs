//! Reviews and review comments.

use super::comments::Text;
use super::pulls::pull;
use super::respond::{Answer, Asked, Reply, Sent};
use crate::act::NewReviewComment;
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::model::{Repository, ReviewComment};
use crate::refusal::Refusal;
use crate::world::World;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use serde::Deserialize;
use serde_json::Value;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/repos/{owner}/{repo}/pulls/{number}/comments", get(comments).post(add_comment))
        .route("/repos/{owner}/{repo}/pulls/comments", get(all_comments))
        .route("/repos/{owner}/{repo}/pulls/comments/{id}", get(comment).patch(edit_comment).delete(remove))
        .route("/repos/{owner}/{repo}/pulls/{number}/reviews", get(reviews).post(add_review))
        .route("/repos/{owner}/{repo}/pulls/{number}/reviews/{id}", get(review))
}

type Spot = Path<(String, String, u64)>;

async fn comments(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Spot,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let (repo, _, _) = pull(&caller, &world, (&owner, &repo), number, Level::Read)?;
    let items = listed(&world, repo, &asked, |comment| comment.number == number)?;
    Ok(Reply::page(&world.base, &asked, items))
}

async fn all_comments(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Path<(String, String)>,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs("pull_requests", Level::Read)?;
    let items = listed(&world, repo, &asked, |_| true)?;
    Ok(Reply::page(&world.base, &asked, items))
}

fn listed(
    world: &World,
    repo: &Repository,
    asked: &Asked,
    wanted: impl Fn(&ReviewComment) -> bool,
) -> Result<Vec<Value>, Refusal> {
    let since = asked.since()?;
    let fresh = |comment: &&ReviewComment| since.is_none_or(|since| comment.updated_at >= since);
    let found = repo.review_comments.values().filter(|comment| wanted(comment)).filter(fresh);
    let mut found: Vec<&ReviewComment> = found.collect();
    // GitHub takes no notice of a direction without a sort.
    if asked.get("sort").is_some() {
        asked.sorted(&mut found, false, |comment| (comment.created_at, comment.updated_at));
    }
    Ok(found.into_iter().map(|comment| world.review_comment_json(repo, comment)).collect())
}

async fn add_comment(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Spot,
    Sent(new): Sent<NewReviewComment>,
) -> Answer {
    let mut world = core.write();
    let full = pull(&caller, &world, (&owner, &repo), number, Level::Write)?.0.full_name();
    if new.in_reply_to.is_none() && (new.path.is_none() || new.line.is_none() || new.commit_id.is_none()) {
        return Err(Refusal::field("PullRequestReviewComment", "path, line, commit_id", "missing_field"));
    }
    let bot = world.bot();
    let made = world.add_review_comment(&full, number, &bot, &new)?;
    shown(&world, &full, made.id).map(Reply::created)
}

fn shown(world: &World, full: &str, id: u64) -> Result<Value, Refusal> {
    let repo = world.repository(full)?;
    let comment = repo.review_comments.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(world.review_comment_json(repo, comment))
}

fn home(caller: &Caller, world: &World, at: (&str, &str), level: Level) -> Result<String, Refusal> {
    let repo = caller.repository(world, at.0, at.1)?;
    caller.needs("pull_requests", level)?;
    Ok(repo.full_name())
}

async fn comment(State(core): State<Shared>, caller: Caller, Path((owner, repo, id)): Spot) -> Answer {
    let world = core.read();
    let full = home(&caller, &world, (&owner, &repo), Level::Read)?;
    shown(&world, &full, id).map(Reply::ok)
}

async fn edit_comment(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, id)): Spot,
    Sent(text): Sent<Text>,
) -> Answer {
    let mut world = core.write();
    let full = home(&caller, &world, (&owner, &repo), Level::Write)?;
    let bot = world.bot();
    world.edit_review_comment(&full, id, &bot, &text.body)?;
    shown(&world, &full, id).map(Reply::ok)
}

async fn remove(State(core): State<Shared>, caller: Caller, Path((owner, repo, id)): Spot) -> Answer {
    let mut world = core.write();
    let full = home(&caller, &world, (&owner, &repo), Level::Write)?;
    let bot = world.bot();
    world.delete_review_comment(&full, id, &bot)?;
    Ok(Reply::nothing())
}

async fn reviews(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Spot,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let (repo, _, _) = pull(&caller, &world, (&owner, &repo), number, Level::Read)?;
    let found = repo.reviews.values().filter(|review| review.number == number);
    let items = found.map(|review| world.review_json(repo, review)).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

async fn review(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number, id)): Path<(String, String, u64, u64)>,
) -> Answer {
    let world = core.read();
    let (repo, _, _) = pull(&caller, &world, (&owner, &repo), number, Level::Read)?;
    let found = repo.reviews.get(&id).filter(|review| review.number == number);
    Ok(Reply::ok(world.review_json(repo, found.ok_or_else(Refusal::not_found)?)))
}

#[derive(Deserialize)]
struct NewReview {
    #[serde(default)]
    body: String,
    event: Option<String>,
}

async fn add_review(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Spot,
    Sent(new): Sent<NewReview>,
) -> Answer {
    let mut world = core.write();
    let full = pull(&caller, &world, (&owner, &repo), number, Level::Write)?.0.full_name();
    let state = match new.event.as_deref() {
        Some("APPROVE") => "APPROVED",
        Some("REQUEST_CHANGES") => "CHANGES_REQUESTED",
        Some("COMMENT") => "COMMENTED",
        _ => return Err(Refusal::field("PullRequestReview", "event", "invalid")),
    };
    let bot = world.bot();
    let made = world.add_review(&full, number, &bot, state, &new.body)?;
    let repo = world.repository(&full)?;
    let review = repo.reviews.get(&made.id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(world.review_json(repo, review)))
}
