//! Where a run's commit may go: onto a branch that is new, or on top of what the App itself put there.

use super::{Failure, failure, passing};
use crate::github::installation::{Place, PullRequest};
use crate::run::changeset::CommitId;
use crate::run::report::Problem;
use crate::server::Server;
use crate::server::attempt::problem;
use crate::store::models::ClaimedTask;

/// How it stands with the branch that a run's commit goes to.
pub(super) enum Standing {
    /// There is none.
    Free,
    /// It is at the commit that this run put there before.
    Made(CommitId),
    /// This run's commit was there before; others went on from it, or the branch is gone. The pull request is there.
    Past(CommitId, Box<PullRequest>),
    /// It is at a commit of the App, in the App's own open pull request, and goes on from there.
    Onto(CommitId),
    /// It is at this commit, which is somebody else's or has no such pull request, and is left alone.
    Foreign(String),
}

/// Looks how it stands with a branch; `named` tells that the brief asks for it by name, and so may go on from it.
pub(super) async fn look(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    (branch, base, named): (&str, &str, bool),
) -> Result<Standing, Failure> {
    let id = task.brief.source.repository_id;
    let head = server.github.branch_head(place, branch).await.map_err(failure)?;
    let before =
        server.store.pushed_before(id, branch, &task.run_id).await.map_err(|error| passing(&error))?;
    let is_there = head.as_ref().is_some_and(|head| before.contains(head));
    for commit in before.iter().filter(|_| !is_there).filter_map(|commit| commit.parse::<CommitId>().ok()) {
        if is_past(server, task, place, (commit, head.as_deref())).await?
            && let Some(found) = pull_request(server, place, (branch, base), commit).await?
        {
            return Ok(Standing::Past(commit, Box::new(found)));
        }
    }
    let Some(head) = head else { return Ok(Standing::Free) };
    let by = server.store.pushed_by(id, branch, &head).await.map_err(|error| passing(&error))?;
    let Ok(commit) = head.parse::<CommitId>() else { return Ok(Standing::Foreign(head)) };
    match by {
        Some(run) if run == task.run_id => Ok(Standing::Made(commit)),
        // What an earlier run of the same brief published is brought up to date.
        Some(run) if server.store.is_run_of(&run, task.id).await.map_err(|error| passing(&error))? => {
            Ok(Standing::Onto(commit))
        }
        Some(_) if named && own_open(server, place, (branch, base)).await?.is_some() => {
            Ok(Standing::Onto(commit))
        }
        _ => Ok(Standing::Foreign(head)),
    }
}

/// Tells whether a commit lies behind the head of its branch, or the branch is gone.
async fn is_past(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    (commit, head): (CommitId, Option<&str>),
) -> Result<bool, Failure> {
    let Some(head) = head else { return Ok(true) };
    let Ok(head) = head.parse::<CommitId>() else { return Ok(false) };
    super::git::fetch_commit(server, task, place, head).await?;
    let mirror = server.mirrors.mirror(task.brief.source.repository_id).ok();
    let repository = mirror.and_then(|mirror| mirror.repository().ok());
    let lies_behind = |repository: git2::Repository| repository.graph_descendant_of(head.oid(), commit.oid());
    Ok(repository.and_then(|repository| lies_behind(repository).ok()).unwrap_or(false))
}

/// Finds the App's own open pull request from a branch to its base.
async fn own_open(
    server: &Server,
    place: Place<'_>,
    (branch, base): (&str, &str),
) -> Result<Option<PullRequest>, Failure> {
    let bot = server.github.bot(place.installation).await.map_err(failure)?;
    let found = server.github.pull_requests_of(place, branch).await.map_err(failure)?;
    let own = |pull: &PullRequest| {
        pull.state == "open"
            && pull.user.as_ref().is_some_and(|user| user.id == bot.id)
            && pull.base.as_ref().is_some_and(|side| side.branch == base)
    };
    Ok(found.into_iter().find(own))
}

/// Finds the pull request that a commit on a branch belongs to: the App's own open one, or the one that had the
/// commit when it was closed.
pub(super) async fn pull_request(
    server: &Server,
    place: Place<'_>,
    (branch, base): (&str, &str),
    commit: CommitId,
) -> Result<Option<PullRequest>, Failure> {
    if let Some(open) = own_open(server, place, (branch, base)).await? {
        return Ok(Some(open));
    }
    let commit = commit.to_string();
    let found = server.github.pull_requests_of(place, branch).await.map_err(failure)?;
    Ok(found.into_iter().find(|pull| pull.head.as_ref().is_some_and(|side| side.sha == commit)))
}

/// Makes the problem of a branch that is left alone.
pub(super) fn conflict(branch: &str, found: &str, named: bool) -> Problem {
    if named {
        return problem(
            "branch-conflict",
            format!(
                "The branch `{branch}` is there already, at the commit {found}. It is left alone: somebody else wrote to it, or \
                 the App has no open pull request from it to this base."
            ),
            "Write another `branch_name` and post the brief again; or delete the branch if it is not needed, and write \
             `/work publish` here.",
        );
    }
    problem(
        "branch-conflict",
        format!("The branch `{branch}` is there already, at the commit {found}, which is not this run's."),
        "Look at that branch; delete it if it is not needed, and write `/work publish` here.",
    )
}
