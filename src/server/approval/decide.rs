//! Deciding an approval, by a command or by a button: who may, and whether it still is what was asked for.

use super::told;
use crate::authorize::approval::{DIGEST_DIGITS, People, Unfit, unfit};
use crate::brief::{extract, text_digest};
use crate::config::Approval;
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::github::texts::ThreadState;
use crate::publish::approval::Standing;
use crate::queue::task::{BlockReason, TaskState};
use crate::server::intake::LookError;
use crate::server::{Server, access};
use crate::store::models::{TaskFilter, TaskView};
use crate::store::{ApprovalRow, ApprovalState, Decided, StoreError};
use crate::webhook::event::Account;

/// What somebody wants of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Verb {
    Approve,
    Reject,
}

/// Who decides, and why.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Decider<'a> {
    pub(in crate::server) who: &'a Account,
    pub(in crate::server) reason: &'a str,
}

/// Why nothing comes of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Undone {
    Late,
    Expired,
    Gone,
    Unfit(Unfit),
}

/// What a digest names in a repository.
pub(in crate::server) enum Found {
    One(Box<(ApprovalRow, TaskView)>),
    /// It is the beginning of so many.
    Shortened(u64),
    Nothing,
}

/// Finds the approval that a digest names in a thread of a repository, or in any of its threads.
pub(in crate::server) async fn find(
    server: &Server,
    repository: u64,
    thread: Option<u64>,
    digest: &str,
) -> Result<Found, StoreError> {
    if digest.len() < DIGEST_DIGITS {
        let several = server.store.approvals_beginning(repository, digest).await?;
        return Ok(if several == 0 { Found::Nothing } else { Found::Shortened(several) });
    }
    let approval = server.store.approval(digest).await?;
    let here = |approval: &ApprovalRow| {
        approval.repository == repository && thread.is_none_or(|thread| approval.thread == thread)
    };
    let Some(approval) = approval.filter(here) else { return Ok(Found::Nothing) };
    let named = TaskFilter { brief: Some(approval.brief.clone()), most: 1, ..TaskFilter::default() };
    let task = server.store.tasks(&named).await?.pop();
    Ok(task.map_or(Found::Nothing, |task| Found::One(Box::new((approval, task)))))
}

/// Decides an approval; reads GitHub and the store, and writes neither. Whoever decides has the
/// permission to run briefs.
pub(in crate::server) async fn decide(
    server: &Server,
    place: Place<'_>,
    (approval, task): (&ApprovalRow, &TaskView),
    decider: Decider<'_>,
    verb: Verb,
) -> Result<Result<Decided, Undone>, LookError> {
    let awaiting = task.state == TaskState::Blocked(BlockReason::AwaitingApproval);
    if !awaiting || approval.state != ApprovalState::Asked {
        return Ok(Err(Undone::Late));
    }
    let now = chrono::Utc::now().timestamp_millis();
    if approval.expires_at_ms > 0 && approval.expires_at_ms <= now {
        return Ok(Err(Undone::Expired));
    }
    let (repository, who) = (task.brief.source.repository_id, (decider.who.login.as_str(), decider.who.id));
    if access::is_kept_out(server, place, repository, &task.lane, who).await? {
        return Ok(Err(Undone::Unfit(Unfit::Policy)));
    }
    if verb == Verb::Approve
        && let Some(undone) = doubt(server, place, approval, task, decider.who).await?
    {
        return Ok(Err(undone));
    }
    let Decider { who, reason } = decider;
    let (state, standing) = match verb {
        Verb::Approve => (ApprovalState::Approved, Standing::Approved(&who.login)),
        Verb::Reject => (ApprovalState::Rejected, Standing::Rejected(&who.login, reason)),
    };
    Ok(Ok(Decided {
        approval: approval.id,
        task: task.id,
        state,
        actor: Some((who.login.clone(), who.id)),
        reason: reason.to_owned(),
        says: format!("rejected by {}: {reason}", who.login).trim_end_matches([':', ' ']).to_owned(),
        owed: told(&task.brief, &task.lane, approval, standing),
    }))
}

/// Tells what keeps somebody from approving, by what GitHub has now.
async fn doubt(
    server: &Server,
    place: Place<'_>,
    approval: &ApprovalRow,
    task: &TaskView,
    who: &Account,
) -> Result<Option<Undone>, GitHubError> {
    let row = &task.brief;
    if server.github.thread_state(place, row.thread_number).await? != ThreadState::Open {
        return Ok(Some(Undone::Gone));
    }
    let live = server.github.text(place, row.thread_number, row.source).await?;
    let holds = |body: &str| {
        extract(body).fences.iter().any(|fence| text_digest(&fence.text).to_string() == row.text_digest)
    };
    let Some(live) = live.filter(|live| holds(&live.body)) else { return Ok(Some(Undone::Gone)) };
    let mut people = People { author: row.author_id, sender: row.requested_by_id, last_editor: None };
    if approval.needed == Approval::SecondPerson {
        let mut texts =
            server.github.editors(place.installation, std::slice::from_ref(&live.node_id)).await?;
        let Some(text) = texts.remove(&live.node_id) else { return Ok(Some(Undone::Gone)) };
        people.last_editor = text.editor.and_then(|editor| editor.database_id);
    }
    let found = server.github.permission(place, &who.login, who.id).await?;
    let unfit = unfit(&server.config.authorize, approval.needed, who.id, found, people);
    Ok(unfit.map(Undone::Unfit))
}
