//! Issues.

use super::respond::{Answer, Asked, Reply, Sent};
use super::{may_touch, thread};
use crate::act::IssueChange;
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::model::Issue;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use serde::Deserialize;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/repos/{owner}/{repo}/issues", get(list).post(create))
        .route("/repos/{owner}/{repo}/issues/{number}", get(show).patch(change))
}

async fn list(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Path<(String, String)>,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs_any(&["issues", "pull_requests"], Level::Read)?;
    let since = asked.since()?;
    let state = asked.get("state").unwrap_or("open");
    let labels: Vec<&str> = asked.get("labels").map(|list| list.split(',').collect()).unwrap_or_default();
    let wanted = |issue: &&Issue| {
        (state == "all" || issue.open == (state == "open"))
            && since.is_none_or(|since| issue.updated_at >= since)
            && asked.get("creator").is_none_or(|login| issue.author.eq_ignore_ascii_case(login))
            && labels.iter().all(|label| issue.labels.iter().any(|on| on.eq_ignore_ascii_case(label)))
    };
    let mut found: Vec<&Issue> = repo.issues.values().filter(wanted).collect();
    asked.sorted(&mut found, true, |issue| (issue.created_at, issue.updated_at));
    let items = found.into_iter().map(|issue| world.issue_json(repo, issue)).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

#[derive(Deserialize)]
struct NewIssue {
    #[serde(default)]
    title: String,
    body: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
}

async fn create(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Path<(String, String)>,
    Sent(new): Sent<NewIssue>,
) -> Answer {
    let mut world = core.write();
    let full = caller.repository(&world, &owner, &repo)?.full_name();
    caller.needs("issues", Level::Write)?;
    let bot = world.bot();
    let made = world.open_issue(&full, &bot, &new.title, new.body.as_deref(), &new.labels)?;
    let (repo, issue) = thread(&caller, &world, (&owner, &repo), made.number, Level::Read)?;
    Ok(Reply::created(world.issue_json(repo, issue)))
}

async fn show(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Path<(String, String, u64)>,
) -> Answer {
    let world = core.read();
    let (repo, issue) = thread(&caller, &world, (&owner, &repo), number, Level::Read)?;
    let mut shown = world.issue_json(repo, issue);
    shown["closed_by"] = issue.closed_by.as_ref().map(|login| world.user_json(login)).unwrap_or_default();
    Ok(Reply::ok(shown))
}

async fn change(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Path<(String, String, u64)>,
    Sent(change): Sent<IssueChange>,
) -> Answer {
    let mut world = core.write();
    let found = caller.repository(&world, &owner, &repo)?;
    let full = found.full_name();
    may_touch(&caller, found.issues.get(&number), Level::Write)?;
    let bot = world.bot();
    world.change_issue(&full, number, &bot, change)?;
    let repo = world.repository(&full)?;
    let issue = repo.issues.get(&number).ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(world.issue_json(repo, issue)))
}
