//! Who may: the live look-up that intake, runs and publishing share.

use super::Server;
use super::attempt::problem;
use super::locate::locate;
use crate::authorize::permission::Permission;
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::run::report::Problem;
use crate::store::models::ClaimedTask;

/// An account by name and id.
pub(super) type Who<'a> = (&'a str, u64);

/// Returns the first account that may not run briefs, and what it may; each is asked for once.
pub(super) async fn lacking<'a>(
    server: &Server,
    place: Place<'_>,
    accounts: [Who<'a>; 2],
) -> Result<Option<(Who<'a>, Permission)>, GitHubError> {
    let needed = Permission::from(server.config.authorize.minimum_permission);
    let [first, second] = accounts;
    let both = [Some(first), (second.1 != first.1).then_some(second)];
    for account in both.into_iter().flatten() {
        let found = server.github.permission(place, account.0, account.1).await?;
        if found < needed {
            return Ok(Some((account, found)));
        }
    }
    Ok(None)
}

/// Tells why a task may not go on, when those who asked for it lost their permission meanwhile.
pub(super) async fn revoked(server: &Server, task: &ClaimedTask) -> Result<Option<Problem>, GitHubError> {
    let brief = &task.brief;
    let location = locate(server, brief).await?;
    let accounts = [(brief.requested_by.as_str(), brief.requested_by_id), (&brief.author, brief.author_id)];
    let lacking = lacking(server, location.place(), accounts).await?;
    Ok(lacking.map(|((login, _), found)| {
        problem(
            "permission-missing",
            format!("`{login}` may not run briefs here any more: the permission is `{found}` by now."),
            "Somebody with the permission can post the brief in a comment of their own.",
        )
    }))
}
