//! The REST interface: a file for each family of addresses.

mod app;
mod checks;
mod comments;
mod git;
mod git_objects;
mod graphql;
mod issues;
mod labels;
mod people;
mod pulls;
mod reactions;
mod repositories;
mod respond;
mod reviews;
mod teams;

use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::model::{Issue, Repository};
use crate::refusal::Refusal;
use crate::world::World;
use axum::Router;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .merge(app::routes())
        .merge(repositories::routes())
        .merge(issues::routes())
        .merge(comments::routes())
        .merge(reactions::routes())
        .merge(labels::routes())
        .merge(people::routes())
        .merge(pulls::routes())
        .merge(reviews::routes())
        .merge(checks::routes())
        .merge(git::routes())
        .merge(git_objects::routes())
        .merge(graphql::routes())
        .merge(teams::routes())
}

/// Finds a thread that the caller may read or write: an issue by `issues`, a pull request by either
/// `issues` or `pull_requests`, as GitHub's own table of permissions has it.
fn thread<'w>(
    caller: &Caller,
    world: &'w World,
    (owner, name): (&str, &str),
    number: u64,
    level: Level,
) -> Result<(&'w Repository, &'w Issue), Refusal> {
    let repo = caller.repository(world, owner, name)?;
    let issue = repo.issues.get(&number);
    may_touch(caller, issue, level)?;
    if repo.deleted.contains(&number) {
        return Err(Refusal::new(410, "This issue was deleted"));
    }
    Ok((repo, issue.ok_or_else(Refusal::not_found)?))
}

fn may_touch(caller: &Caller, issue: Option<&Issue>, level: Level) -> Result<(), Refusal> {
    match issue.is_some_and(|issue| issue.is_pull) {
        true => caller.needs_any(&["issues", "pull_requests"], level),
        false => caller.needs("issues", level),
    }
}
