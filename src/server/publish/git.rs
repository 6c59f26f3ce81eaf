//! What goes over git's own wire: fetching what the work is built on, and pushing what came of it.

use super::{Failure, failure, passing, refused};
use crate::crash;
use crate::github::installation::Place;
use crate::run::changeset::CommitId;
use crate::run::mirror::Remote;
use crate::run::push::PushOutcome;
use crate::server::Server;
use crate::server::attempt::internal;
use crate::store::models::ClaimedTask;

/// Fetches a commit that the work is built on, where the mirror does not have it: the mirror may be
/// younger than the run.
pub(super) async fn fetch_commit(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    commit: CommitId,
) -> Result<(), Failure> {
    let id = task.brief.source.repository_id;
    let fatal = |what: &str, error: &dyn std::fmt::Display| Failure::Final(internal(what, error));
    let mirror = server.mirrors.mirror(id).map_err(|error| fatal("the mirror cannot be opened", &error))?;
    if mirror.repository().is_ok_and(|repository| repository.find_commit(commit.oid()).is_ok()) {
        return Ok(());
    }
    let token = server.github.git_token(place.installation, id).await.map_err(failure)?;
    let remote = Remote::http(&server.github.git_url(place.repository))
        .map_err(|error| fatal("the repository has no usable address", &error))?;
    if let Err(error) = mirror.fetch(&remote, Some(&token)).await {
        server.github.forget_git_token(place.installation, id).await;
        return Err(Failure::Passing(error.to_string(), 0));
    }
    Ok(())
}

/// Pushes the commit as a new branch, or onto the commit that the branch is at. The inner error is the commit that the branch is at already.
pub(super) async fn push(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    (commit, branch, onto): (CommitId, &str, Option<CommitId>),
    attempts: i64,
) -> Result<Result<(), String>, Failure> {
    let id = task.brief.source.repository_id;
    let token = server.github.git_token(place.installation, id).await.map_err(failure)?;
    let fatal = |what: &str, error: &dyn std::fmt::Display| Failure::Final(internal(what, error));
    let mirror = server.mirrors.mirror(id).map_err(|error| fatal("the mirror cannot be opened", &error))?;
    let remote = Remote::http(&server.github.git_url(place.repository))
        .map_err(|error| fatal("the repository has no usable address", &error))?;
    crash::point("branch-pushed.before-commit");
    let recorded = server.store.record_push(id, branch, &commit.to_string(), &task.run_id).await;
    recorded.map_err(|error| passing(&error))?;
    match mirror.push_onto(&remote, Some(&token), (commit, onto), branch).await {
        Ok(PushOutcome::Pushed | PushOutcome::AlreadyThere) => Ok(Ok(())),
        Ok(PushOutcome::Conflict { found }) => Ok(Err(found)),
        Ok(PushOutcome::Rejected { reason }) => Err(Failure::Final(refused("push-rejected", &reason))),
        Err(error) => {
            server.github.forget_git_token(place.installation, id).await;
            // The first time, the token may have ended; it is made anew for the second.
            if error.is_forbidden() && attempts > 0 {
                return Err(Failure::Final(refused("push-rejected", &error.to_string())));
            }
            Err(Failure::Passing(error.to_string(), 0))
        }
    }
}
