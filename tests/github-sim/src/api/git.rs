//! Refs, branches, commits and contents, all from the real git repository.

use super::respond::{Answer, Asked, Reply, Sent};
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::model::Repository;
use crate::refusal::Refusal;
use crate::render::merged;
use crate::repo_git;
use crate::world::World;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, patch, post};
use serde::Deserialize;
use serde_json::json;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/repos/{owner}/{repo}/git/ref/{*name}", get(show_ref))
        .route("/repos/{owner}/{repo}/git/matching-refs/{*prefix}", get(matching_refs))
        .route("/repos/{owner}/{repo}/git/refs", post(make_ref))
        .route("/repos/{owner}/{repo}/git/refs/{*name}", patch(move_ref).delete(remove_ref))
        .route("/repos/{owner}/{repo}/branches", get(branches))
        .route("/repos/{owner}/{repo}/branches/{*name}", get(branch))
        .route("/repos/{owner}/{repo}/commits", get(commits))
        .route("/repos/{owner}/{repo}/contents", get(root))
        .route("/repos/{owner}/{repo}/contents/", get(root))
        .route("/repos/{owner}/{repo}/contents/{*path}", get(contents))
}

type Home = Path<(String, String)>;
type Below = Path<(String, String, String)>;

fn readable<'w>(
    caller: &Caller,
    world: &'w World,
    owner: &str,
    repo: &str,
) -> Result<&'w Repository, Refusal> {
    let repo = caller.repository(world, owner, repo)?;
    caller.needs("contents", Level::Read)?;
    Ok(repo)
}

fn writable(caller: &Caller, world: &World, owner: &str, repo: &str) -> Result<String, Refusal> {
    let repo = caller.repository(world, owner, repo)?;
    caller.needs("contents", Level::Write)?;
    Ok(repo.full_name())
}

async fn show_ref(State(core): State<Shared>, caller: Caller, Path((owner, repo, name)): Below) -> Answer {
    let world = core.read();
    let repo = readable(&caller, &world, &owner, &repo)?;
    let full = format!("refs/{name}");
    let found = repo_git::refs(&repo.path, &full)?.into_iter().find(|(found, _)| *found == full);
    let (name, sha) = found.ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(world.ref_json(repo, &name, &sha)))
}

async fn matching_refs(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, prefix)): Below,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let repo = readable(&caller, &world, &owner, &repo)?;
    let found = repo_git::refs(&repo.path, &format!("refs/{prefix}"))?;
    let items = found.iter().map(|(name, sha)| world.ref_json(repo, name, sha)).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

#[derive(Deserialize)]
struct RefOrder {
    #[serde(rename = "ref")]
    name: Option<String>,
    sha: String,
    #[serde(default)]
    force: bool,
}

async fn make_ref(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Home,
    Sent(order): Sent<RefOrder>,
) -> Answer {
    let mut world = core.write();
    let full = writable(&caller, &world, &owner, &repo)?;
    let path = world.repository(&full)?.path.clone();
    let name = order.name.filter(|name| name.starts_with("refs/") && name.matches('/').count() >= 2);
    let name = name.ok_or_else(|| Refusal::new(422, "Reference name must start with 'refs/'"))?;
    if repo_git::refs(&path, &name)?.iter().any(|(found, _)| *found == name) {
        return Err(Refusal::new(422, "Reference already exists"));
    }
    set_ref(&mut world, &full, &name, &order.sha)?;
    Ok(Reply::created(world.ref_json(world.repository(&full)?, &name, &order.sha)))
}

async fn move_ref(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, name)): Below,
    Sent(order): Sent<RefOrder>,
) -> Answer {
    let mut world = core.write();
    let full = writable(&caller, &world, &owner, &repo)?;
    let name = format!("refs/{name}");
    let path = world.repository(&full)?.path.clone();
    let found = repo_git::refs(&path, &name)?.into_iter().find(|(found, _)| *found == name);
    let (_, before) = found.ok_or_else(|| Refusal::new(422, "Reference does not exist"))?;
    if !order.force && !repo_git::goes_on_from(&path, &order.sha, &before) {
        return Err(Refusal::new(422, "Update is not a fast forward"));
    }
    set_ref(&mut world, &full, &name, &order.sha)?;
    Ok(Reply::ok(world.ref_json(world.repository(&full)?, &name, &order.sha)))
}

fn set_ref(world: &mut World, full: &str, name: &str, sha: &str) -> Result<(), Refusal> {
    let repo = world.repository(full)?;
    let branch = name.strip_prefix("refs/heads/").unwrap_or_default();
    if repo.protected.iter().any(|pattern| covers(pattern, branch)) {
        return Err(Refusal::new(
            422,
            "Repository rule violations found\n\nCannot update this protected ref.",
        ));
    }
    let path = repo.path.clone();
    if sha.len() != 40 || repo_git::commit(&path, sha).is_err() {
        return Err(Refusal::new(422, "Object does not exist"));
    }
    repo_git::set_ref(&path, name, Some(sha))?;
    let bot = world.bot();
    world.follow_branches(full, &bot)
}

/// Tells whether a pattern of the shell, with `*` alone, covers a branch, as that of the push hook does.
fn covers(pattern: &str, branch: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => {
            branch.len() >= before.len() + after.len()
                && branch.starts_with(before)
                && branch.ends_with(after)
        }
        None => pattern == branch,
    }
}

async fn remove_ref(State(core): State<Shared>, caller: Caller, Path((owner, repo, name)): Below) -> Answer {
    let mut world = core.write();
    let full = writable(&caller, &world, &owner, &repo)?;
    let gone = repo_git::set_ref(&world.repository(&full)?.path, &format!("refs/{name}"), None);
    gone.map_err(|_| Refusal::new(422, "Reference does not exist"))?;
    let bot = world.bot();
    world.follow_branches(&full, &bot)?;
    Ok(Reply::nothing())
}

async fn branches(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Home,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let repo = readable(&caller, &world, &owner, &repo)?;
    let found = repo_git::branches(&repo.path)?;
    let items = found.iter().map(|(name, sha)| world.short_branch_json(repo, name, sha)).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

async fn branch(State(core): State<Shared>, caller: Caller, Path((owner, repo, name)): Below) -> Answer {
    let world = core.read();
    let repo = readable(&caller, &world, &owner, &repo)?;
    let tip = repo_git::branch_tip(&repo.path, &name);
    let tip = tip.ok_or_else(|| Refusal::new(404, "Branch not found"))?;
    Ok(Reply::ok(world.branch_json(repo, &name, &repo_git::commit(&repo.path, &tip)?)))
}

async fn commits(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Home,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let repo = readable(&caller, &world, &owner, &repo)?;
    let from = asked.get("sha").unwrap_or(&repo.default_branch);
    let found = repo_git::history(&repo.path, from, 10_000).map_err(|_| Refusal::not_found())?;
    let items = found.iter().map(|commit| world.commit_json(repo, commit)).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

/// Serves `commits/{ref}` and `commits/{ref}/check-runs`; a ref may hold slashes.
pub(super) async fn commits_below(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, rest)): Below,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    let missing = |name: &str| Refusal::new(422, format!("No commit found for SHA: {name}"));
    if let Some(name) = rest.strip_suffix("/check-runs") {
        let commit = repo_git::commit(&repo.path, name).map_err(|_| missing(name))?;
        return super::checks::for_ref(&world, &caller, &repo.full_name(), &commit.sha, &asked);
    }
    caller.needs("contents", Level::Read)?;
    let commit = repo_git::commit(&repo.path, &rest).map_err(|_| missing(&rest))?;
    let files = repo_git::commit_diff(&repo.path, &commit.sha)?;
    let sum = |count: fn(&repo_git::FileDiff) -> usize| files.iter().map(count).sum::<usize>();
    let (additions, deletions) = (sum(|file| file.additions), sum(|file| file.deletions));
    let shown: Vec<_> = files.iter().map(|file| world.file_diff_json(repo, &commit.sha, file)).collect();
    let more = json!({
        "stats": {"additions": additions, "deletions": deletions, "total": additions + deletions},
        "files": shown,
    });
    Ok(Reply::ok(merged(world.commit_json(repo, &commit), more)))
}

async fn root(state: State<Shared>, caller: Caller, Path((owner, repo)): Home, asked: Asked) -> Answer {
    contents(state, caller, Path((owner, repo, String::new())), asked).await
}

async fn contents(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, path)): Below,
    asked: Asked,
) -> Answer {
    let world = core.read();
    let repo = readable(&caller, &world, &owner, &repo)?;
    let refname = asked.get("ref").unwrap_or(&repo.default_branch);
    let found = repo_git::contents(&repo.path, refname, path.trim_end_matches('/'));
    let found = found.ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(world.contents_json(repo, refname, &found)))
}
