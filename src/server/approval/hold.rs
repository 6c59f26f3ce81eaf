//! Holding a run to its approval: when it starts, and before what it made is published.

use super::ask;
use crate::authorize::approval::{People, Terms, Unfit, policy_changes, unfit};
use crate::authorize::policy::Decision;
use crate::brief::{self, Brief, Origin};
use crate::config::{Approval, ApprovalBase, LaneConfig, MovedBase};
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::run::changeset::CommitId;
use crate::run::mirror::Mirror;
use crate::run::report::Problem;
use crate::server::attempt::{branch_missing, problem};
use crate::server::intake::LookError;
use crate::server::{Server, access};
use crate::store::models::ClaimedTask;
use crate::store::{ApprovalRow, ApprovalState, Ask};

/// What a run that is about to start may do.
pub(in crate::server) enum Leave {
    /// It starts from this commit, or else from what its branch has.
    Start(Option<CommitId>),
    /// It does not start before this is approved.
    Ask(Box<Ask>),
}

/// Looks whether a run may start, by its lane's policy, its approval, and the branch as it was just fetched.
///
/// The inner error is `branch-not-found`.
pub(in crate::server) async fn before_run(
    server: &Server,
    place: Place<'_>,
    task: &ClaimedTask,
    decision: &Decision,
    mirror: &Mirror,
) -> Result<Result<Leave, Problem>, LookError> {
    if decision.bounds.approval == Approval::None {
        return Ok(Ok(Leave::Start(None)));
    }
    let Some(lane) = server.config.lanes.iter().find(|lane| lane.name == task.lane) else {
        return Err(LookError::Defect(format!("there is no lane {}", task.lane)));
    };
    let terms = Terms::of(lane, decision);
    let Ok(brief) = brief::parse(&task.brief.text, &Origin::document()) else {
        return Ok(Ok(Leave::Start(None)));
    };
    let unread = |error: &dyn std::fmt::Display| LookError::Defect(error.to_string());
    let Some(head) = mirror.resolve_branch(&brief.branch).map_err(|error| unread(&error))? else {
        // Left to the run, it could start from what another fetch brings meanwhile.
        return Ok(Err(branch_missing(&brief.branch)));
    };
    let approval = server.store.approval_of_task(task.id).await?;
    let Some(approval) = approval.filter(|approval| approval.state == ApprovalState::Approved) else {
        let why = format!("nobody has approved it, and the lane {} needs that by now", lane.name);
        return Ok(Ok(again(server, (lane, terms), task, &brief, head, vec![why]).await));
    };
    let mut changed = changes(server, place, (lane, &terms), task, &approval).await?;
    let authorize = &server.config.authorize;
    let base: CommitId = approval.base_commit.parse().map_err(|error| unread(&error))?;
    if authorize.approval_base == ApprovalBase::Branch {
        if changed.is_empty() {
            return Ok(Ok(Leave::Start(Some(head))));
        }
        return Ok(Ok(again(server, (lane, terms), task, &brief, head, changed).await));
    }
    let kept = authorize.moved_base == MovedBase::Keep
        && mirror.repository().is_ok_and(|repository| repository.find_commit(base.oid()).is_ok());
    if head != base && !kept {
        changed.push(format!("the branch {} moved from {base} to {head}", brief.branch));
    }
    if changed.is_empty() {
        return Ok(Ok(Leave::Start(Some(base))));
    }
    Ok(Ok(again(server, (lane, terms), task, &brief, head, changed).await))
}

async fn again(
    server: &Server,
    (lane, terms): (&LaneConfig, Terms),
    task: &ClaimedTask,
    brief: &Brief,
    head: CommitId,
    changed: Vec<String>,
) -> Leave {
    let ask = ask(server, (&lane.name, terms), &task.brief, brief, &head.to_string(), changed).await;
    tracing::info!(run = task.run_id, why = ask.changed.join("; "), "the run waits for approval");
    Leave::Ask(Box::new(ask))
}

/// Tells what has changed since somebody approved: the lane's settings, or the right to approve.
async fn changes(
    server: &Server,
    place: Place<'_>,
    (lane, terms): (&LaneConfig, &Terms),
    task: &ClaimedTask,
    approval: &ApprovalRow,
) -> Result<Vec<String>, GitHubError> {
    let mut changed = Vec::new();
    if approval.policy_version != terms.version {
        let settings = policy_changes(&approval.policy, &terms.settings).join(", ");
        changed.push(format!("the settings of the lane {} changed: {settings}", lane.name));
    }
    changed.extend(revoked(server, place, task, approval).await?);
    Ok(changed)
}

/// Tells why who approved may not do so any more, by a live look-up.
async fn revoked(
    server: &Server,
    place: Place<'_>,
    task: &ClaimedTask,
    approval: &ApprovalRow,
) -> Result<Option<String>, GitHubError> {
    let Some((login, id)) = &approval.actor else {
        return Ok(Some("nobody is known to have approved".to_owned()));
    };
    let found = server.github.permission(place, login, *id).await?;
    let people =
        People { author: task.brief.author_id, sender: task.brief.requested_by_id, last_editor: None };
    let mut unfit = unfit(&server.config.authorize, approval.needed, *id, found, people);
    let repository = task.brief.source.repository_id;
    if unfit.is_none() && access::is_kept_out(server, place, repository, &task.lane, (login, *id)).await? {
        unfit = Some(Unfit::Policy);
    }
    Ok(unfit.map(|unfit| format!("{login}, who approved it, may not do so any more: {unfit}")))
}

/// Tells why what a run made may not be published, when its approval does not count for it.
pub(in crate::server) async fn before_publishing(
    server: &Server,
    place: Place<'_>,
    task: &ClaimedTask,
    decision: &Decision,
    base: CommitId,
) -> Result<Option<Problem>, LookError> {
    if decision.bounds.approval == Approval::None {
        return Ok(None);
    }
    let Some(approval) = server.store.approval_of_task(task.id).await? else {
        return Ok(Some(refused("its lane needs an approval by now, and it has none")));
    };
    if decision.bounds.approval > approval.needed {
        return Ok(Some(refused("its lane needs the approval of a second person by now")));
    }
    if approval.state != ApprovalState::Approved {
        return Ok(Some(refused(&format!("its approval is {}", approval.state.as_str()))));
    }
    let exact = server.config.authorize.approval_base == ApprovalBase::Exact;
    if exact && base.to_string() != approval.base_commit {
        let other = format!("it was made on {base}, and {} was approved", approval.base_commit);
        return Ok(Some(refused(&other)));
    }
    Ok(revoked(server, place, task, &approval).await?.map(|why| refused(&why)))
}

fn refused(why: &str) -> Problem {
    problem(
        "approval-missing",
        format!("The work is done and kept, but it is not published: {why}."),
        "Post the brief again, and let somebody approve it who may.",
    )
}
