//! The receipt of a run that is published: made once, kept with an entry in the audit log, and looked up
//! whenever the publishing is tried again.

use super::Server;
use crate::authorize::approval::Terms;
use crate::authorize::policy::Decision;
use crate::config::Approval;
use crate::receipt::seal;
use crate::receipt::statement::{
    Account, ApprovalFacts, Base, BriefFacts, CommitDigest, Predicate, RepositoryFacts, RunFacts,
    ServerFacts, Sha256Digest, Statement, StepFacts, time_text,
};
use crate::run::report::{RunReport, StepReport};
use crate::store::models::ClaimedTask;
use crate::store::{ApprovalRow, ApprovalState, NewReceipt, StoreError};

/// What a run came to, as far as its task does not know it.
#[derive(Debug, Clone)]
pub(super) struct Made<'a> {
    /// Holds what the run told.
    pub(super) report: &'a RunReport,
    /// Holds what the policy decided for it.
    pub(super) decision: &'a Decision,
    /// Names the repository as it is called now.
    pub(super) repository: &'a str,
    /// Names the branch that was pushed.
    pub(super) branch: &'a str,
    /// Names the commit that was pushed, 40 hex digits.
    pub(super) commit: &'a str,
    /// Names its tree, 40 hex digits.
    pub(super) tree: &'a str,
    /// Names the commit that the branch was at before, where the commit goes on from it.
    pub(super) onto: Option<String>,
}

/// Returns the receipt of a run for the commit that it made, one line of JSON; signs and keeps it the first time.
///
/// Fails as the store does; with [`StoreError::StaleEpoch`] the run is not its task's any more.
pub(super) async fn of_run(
    server: &Server,
    task: &ClaimedTask,
    made: &Made<'_>,
) -> Result<String, StoreError> {
    if let Some(kept) = server.store.receipt_of_run(&task.run_id, made.commit).await? {
        return Ok(kept);
    }
    let approval = server.store.approval_of_task(task.id).await?;
    let address = format!("{}/{}", server.config.github.web_url.trim_end_matches('/'), made.repository);
    let commit = CommitDigest { git_commit: made.commit.to_owned(), git_tree: made.tree.to_owned() };
    let predicate = predicate(server, task, made, approval.as_ref());
    let receipt = seal(&Statement::about(address, commit, predicate), &server.receipt_key)?;
    let new = NewReceipt {
        digest: receipt.digest(),
        head_commit: made.commit.to_owned(),
        key_id: receipt.key_id.clone(),
        envelope: receipt.json(),
    };
    server.store.keep_receipt(task, &new).await
}

fn predicate(
    server: &Server,
    task: &ClaimedTask,
    made: &Made<'_>,
    approval: Option<&ApprovalRow>,
) -> Predicate {
    let (brief, report) = (&task.brief, made.report);
    let lane = server.config.lanes.iter().find(|lane| lane.name == task.lane);
    let policy = lane
        .map_or_else(|| made.decision.policy_version.clone(), |lane| Terms::of(lane, made.decision).version);
    Predicate {
        brief: BriefFacts {
            id: brief.id.to_string(),
            sha256: report.text_digest.clone(),
            block: brief.block_index,
            url: brief.source_url.clone(),
        },
        repository: RepositoryFacts { id: brief.source.repository_id, name: made.repository.to_owned() },
        base: Base {
            branch: report.branch.clone(),
            git_commit: report.base_commit.clone().unwrap_or_default(),
            onto: made.onto.clone(),
        },
        branch: made.branch.to_owned(),
        run: RunFacts {
            id: task.run_id.clone(),
            epoch: u64::try_from(task.epoch).unwrap_or_default(),
            lane: task.lane.clone(),
            queued_at: time_text(task.queued_at_ms),
            started_at: time_text(report.started_at_ms),
            ended_at: time_text(report.ended_at_ms),
        },
        steps: report.steps.iter().map(step).collect(),
        policy: Sha256Digest { sha256: policy },
        // What nobody asks for any more did not let it run.
        approval: approval.filter(|_| made.decision.bounds.approval != Approval::None).and_then(approved),
        requested_by: account(&brief.requested_by, brief.requested_by_id),
        author: account(&brief.author, brief.author_id),
        server: ServerFacts {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        issued_at: time_text(chrono::Utc::now().timestamp_millis()),
    }
}

fn step(step: &StepReport) -> StepFacts {
    let status = serde_json::to_value(step.status).ok();
    let log = &step.log.sha256;
    StepFacts {
        name: step.name.clone(),
        status: status.as_ref().and_then(|status| status.as_str()).unwrap_or_default().to_owned(),
        exit_code: step.exit_code,
        signal: step.signal,
        log: (!log.is_empty()).then(|| Sha256Digest { sha256: log.clone() }),
    }
}

fn approved(approval: &ApprovalRow) -> Option<ApprovalFacts> {
    let (login, id) = approval.actor.as_ref().filter(|_| approval.state == ApprovalState::Approved)?;
    let at = time_text(approval.decided_at_ms.unwrap_or_default());
    Some(ApprovalFacts { digest: approval.digest.clone(), by: account(login, *id), at })
}

fn account(login: &str, id: u64) -> Account {
    Account { login: login.to_owned(), id }
}
