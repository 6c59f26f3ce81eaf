//! Pull requests.

use super::respond::{Answer, Asked, Reply, Sent};
use crate::act::{NewPull, PullChange};
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::model::{Issue, Pull, Repository};
use crate::refusal::Refusal;
use crate::repo_git;
use crate::world::World;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/repos/{owner}/{repo}/pulls", get(list).post(create))
        .route("/repos/{owner}/{repo}/pulls/{number}", get(show).patch(change))
        .route("/repos/{owner}/{repo}/pulls/{number}/files", get(files))
        .route("/repos/{owner}/{repo}/pulls/{number}/commits", get(commits))
        .route("/repos/{owner}/{repo}/pulls/{number}/merge", put(merge))
}

/// Finds a pull request with its issue half, when the caller may.
pub(super) fn pull<'w>(
    caller: &Caller,
    world: &'w World,
    (owner, repo): (&str, &str),
    number: u64,
    level: Level,
) -> Result<(&'w Repository, &'w Pull, &'w Issue), Refusal> {
    let repo = caller.repository(world, owner, repo)?;
    caller.needs("pull_requests", level)?;
    let pull = repo.pulls.get(&number).ok_or_else(Refusal::not_found)?;
    let issue = repo.issues.get(&number).ok_or_else(Refusal::not_found)?;
    Ok((repo, pull, issue))
}

async fn list(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Path<(String, String)>,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs("pull_requests", Level::Read)?;
    let state = asked.get("state").unwrap_or("open");
    let wanted = |pull: &Pull, issue: &Issue| {
        let owner = pull.fork.as_ref().map_or(&repo.owner, |fork| &fork.owner);
        let head = format!("{owner}:{}", pull.head);
        (state == "all" || issue.open == (state == "open"))
            // A filter without an owner finds nothing in particular: GitHub ignores it.
            && asked.get("head").filter(|head| head.contains(':')).is_none_or(|wanted| head == wanted)
            && asked.get("base").is_none_or(|base| pull.base == base)
    };
    let mut found: Vec<(&Pull, &Issue)> = repo
        .pulls
        .values()
        .filter_map(|pull| Some((pull, repo.issues.get(&pull.number)?)))
        .filter(|(pull, issue)| wanted(pull, issue))
        .collect();
    let newest_first = asked.get("sort").is_none_or(|sort| sort == "created");
    asked.sorted(&mut found, newest_first, |(_, issue)| (issue.created_at, issue.updated_at));
    let items = found.into_iter().map(|(pull, issue)| world.pull_summary_json(repo, pull, issue)).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

async fn create(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Path<(String, String)>,
    Sent(new): Sent<NewPull>,
) -> Answer {
    let mut world = core.write();
    let full = caller.repository(&world, &owner, &repo)?.full_name();
    caller.needs("pull_requests", Level::Write)?;
    let bot = world.bot();
    let made = world.open_pull(&full, &bot, &new)?;
    shown(&world, &full, made.number).map(Reply::created)
}

fn shown(world: &World, full: &str, number: u64) -> Result<Value, Refusal> {
    let repo = world.repository(full)?;
    let pull = repo.pulls.get(&number).ok_or_else(Refusal::not_found)?;
    let issue = repo.issues.get(&number).ok_or_else(Refusal::not_found)?;
    Ok(world.pull_json(repo, pull, issue))
}

async fn show(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Path<(String, String, u64)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let world = core.read();
    let (repo, found, issue) = pull(&caller, &world, (&owner, &repo), number, Level::Read)?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("diff") {
        let text = world.pull_diff(repo, found);
        return Ok(
            ([(header::CONTENT_TYPE, "application/vnd.github.diff; charset=utf-8")], text).into_response()
        );
    }
    Ok(Reply::ok(world.pull_json(repo, found, issue)).into_response())
}

async fn change(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Path<(String, String, u64)>,
    Sent(change): Sent<PullChange>,
) -> Answer {
    let mut world = core.write();
    let full = pull(&caller, &world, (&owner, &repo), number, Level::Write)?.0.full_name();
    let bot = world.bot();
    world.change_pull(&full, number, &bot, change)?;
    shown(&world, &full, number).map(Reply::ok)
}

async fn files(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Path<(String, String, u64)>,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let (repo, pull, _) = pull(&caller, &world, (&owner, &repo), number, Level::Read)?;
    let files = repo_git::diff(&repo.path, &pull.base_sha, &pull.head_sha)?;
    let items = files.iter().map(|file| world.file_diff_json(repo, &pull.head_sha, file)).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

async fn commits(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Path<(String, String, u64)>,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let (repo, pull, _) = pull(&caller, &world, (&owner, &repo), number, Level::Read)?;
    let commits = repo_git::commits_between(&repo.path, &pull.base_sha, &pull.head_sha)?;
    let items = commits.iter().map(|commit| world.commit_json(repo, commit)).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

async fn merge(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, number)): Path<(String, String, u64)>,
) -> Answer {
    let mut world = core.write();
    let full = pull(&caller, &world, (&owner, &repo), number, Level::Read)?.0.full_name();
    caller.needs("contents", Level::Write)?;
    let bot = world.bot();
    let sha = world.merge_pull(&full, number, &bot)?;
    Ok(Reply::ok(json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"})))
}

impl World {
    /// Writes the whole diff of a pull request with file headers.
    pub(crate) fn pull_diff(&self, repo: &Repository, pull: &Pull) -> String {
        let files = repo_git::diff(&repo.path, &pull.base_sha, &pull.head_sha).unwrap_or_default();
        files.iter().map(repo_git::FileDiff::with_header).collect()
    }
}
