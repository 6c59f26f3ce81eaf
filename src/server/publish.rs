//! Publishing a judged run: one commit, one branch, one pull request, each looked up first.

use super::{Server, access, execute};
use crate::brief::{Brief, PullRequestOutput};
use crate::error::log_internal;
use crate::github::GitHubError;
use crate::github::installation::{Place, PullRequest};
use crate::publish::branch::branch_name;
use crate::publish::commit::{CommitRequest, Signature, build_commit};
use crate::publish::message::commit_message;
use crate::publish::pull_request::{PullRequestText, pr_body, pr_title};
use crate::run::changeset::{Changeset, CommitId};
use crate::run::mirror::Remote;
use crate::run::push::PushOutcome;
use crate::run::report::{Problem, RunReport};
use crate::server::attempt::{internal, problem};
use crate::store::models::ClaimedTask;

/// How often publishing is tried while GitHub fails; with the waits between, about an hour.
const MOST_ATTEMPTS: i64 = 20;

/// Why nothing was published.
#[derive(Debug)]
pub enum Unpublished {
    /// It cannot be; the patch is kept.
    Refused(Problem),
    /// The server ends before it could be.
    Ending,
}

enum Failure {
    Final(Problem),
    /// Holds what failed, and the least milliseconds before it may be tried again.
    Passing(String, i64),
}

/// Publishes a run's changes and notes branch, commit and pull request in its report.
///
/// Safe to repeat at any point: the commit is the same each time, and branch and pull request are
/// looked up before they are made.
pub async fn publish(
    server: &Server,
    task: &ClaimedTask,
    brief: &Brief,
    report: &mut RunReport,
    changeset: &Changeset,
) -> Result<(), Unpublished> {
    let Some(output) = brief.pull_request() else {
        return Ok(());
    };
    let branch = branch_name(Some(task.brief.thread_number), &output.title, &task.brief.id.short());
    let mut attempts = 0;
    loop {
        let failure = match publish_once(server, task, brief, output, report, changeset, &branch).await {
            Ok(pull_request) => {
                report.pull_request = Some(pull_request.number);
                report.pull_request_url = Some(pull_request.html_url);
                return Ok(());
            }
            Err(failure) => failure,
        };
        attempts += 1;
        let (why, wait) = match failure {
            Failure::Final(problem) => return Err(Unpublished::Refused(problem)),
            Failure::Passing(why, least) => (why, least.max((1_000 << attempts.min(8)).min(300_000))),
        };
        if attempts >= MOST_ATTEMPTS {
            return Err(Unpublished::Refused(refused(
                "pull-request-refused",
                &format!("GitHub fails: {why}"),
            )));
        }
        tracing::warn!(run = task.run_id, attempts, error = why, "publishing failed and is tried again");
        tokio::select! {
            () = server.stop.cancelled() => return Err(Unpublished::Ending),
            () = tokio::time::sleep(std::time::Duration::from_millis(wait.unsigned_abs())) => {}
        }
    }
}

async fn commit(
    server: &Server,
    task: &ClaimedTask,
    output: &PullRequestOutput,
    report: &RunReport,
    changeset: &Changeset,
) -> Result<CommitId, Failure> {
    let fatal = |what: &str, error: &dyn std::fmt::Display| Failure::Final(internal(what, error));
    let bot = server.github.bot(task.brief.installation_id).await.map_err(failure)?;
    let message = commit_message(
        &output.commit_message,
        &[("Brief", &report.brief), ("Run", &report.run), ("Requested-by", &task.brief.requested_by)],
    );
    let mirror = server
        .mirrors
        .mirror(task.brief.source.repository_id)
        .map_err(|error| fatal("the mirror cannot be opened", &error))?;
    let author = Signature { name: bot.name, email: bot.email };
    let (blobs, files, time) = (server.blobs.clone(), output.files.clone(), report.ended_at_ms / 1000);
    let changeset = changeset.clone();
    let built = tokio::task::spawn_blocking(move || -> anyhow::Result<CommitId> {
        let request = CommitRequest {
            base: changeset.base_commit,
            changes: &changeset.entries,
            declared: &files,
            message: &message,
            author: &author,
            time,
        };
        Ok(build_commit(&mirror.repository()?, &blobs, &request)?)
    });
    built
        .await
        .map_err(anyhow::Error::from)
        .flatten()
        .map_err(|error| fatal("the commit cannot be built", &format!("{error:#}")))
}

async fn publish_once(
    server: &Server,
    task: &ClaimedTask,
    brief: &Brief,
    output: &PullRequestOutput,
    report: &mut RunReport,
    changeset: &Changeset,
    branch: &str,
) -> Result<PullRequest, Failure> {
    if let Some(revoked) = access::revoked(server, task).await.map_err(failure)? {
        return Err(Failure::Final(revoked));
    }
    let commit = commit(server, task, output, report, changeset).await?;
    push(server, task, commit, branch).await?;
    report.head_branch = Some(branch.to_owned());
    report.head_commit = Some(commit.to_string());
    let place = Place { installation: task.brief.installation_id, repository: &task.brief.repository };
    if let Some(found) = server.github.find_pull_request(place, branch).await.map_err(failure)? {
        return Ok(found);
    }
    let title = pr_title(&output.title);
    let body = pr_body(&PullRequestText {
        report,
        brief,
        brief_text: &task.brief.text,
        context: &execute::context(task),
        thread_url: &task.brief.source_url,
        requested_by: &task.brief.requested_by,
    });
    match server.github.open_pull_request(place, branch, &brief.branch, &title, &body).await {
        Ok(opened) => Ok(opened),
        // The answer to an earlier try was lost: the pull request is there.
        Err(error) if error.status() == Some(422) => {
            match server.github.find_pull_request(place, branch).await.map_err(failure)? {
                Some(found) => Ok(found),
                None => Err(failure(error)),
            }
        }
        Err(error) => Err(failure(error)),
    }
}

async fn push(server: &Server, task: &ClaimedTask, commit: CommitId, branch: &str) -> Result<(), Failure> {
    let brief = &task.brief;
    let token =
        server.github.git_token(brief.installation_id, brief.source.repository_id).await.map_err(failure)?;
    let fatal = |what: &str, error: &dyn std::fmt::Display| Failure::Final(internal(what, error));
    let mirror = server
        .mirrors
        .mirror(brief.source.repository_id)
        .map_err(|error| fatal("the mirror cannot be opened", &error))?;
    let remote = Remote::http(&server.github.git_url(&brief.repository))
        .map_err(|error| fatal("the repository has no usable address", &error))?;
    match mirror.push(&remote, Some(&token), commit, branch).await {
        Ok(PushOutcome::Pushed | PushOutcome::AlreadyThere) => Ok(()),
        Ok(PushOutcome::Conflict { found }) => Err(Failure::Final(problem(
            "branch-conflict",
            format!(
                "The branch `{branch}` is there already, at the commit {found}, which is not this run's."
            ),
            "Look at that branch; delete it if it is not needed, and post the brief again.",
        ))),
        Ok(PushOutcome::Rejected { reason }) => Err(Failure::Final(refused("push-rejected", &reason))),
        Err(error) => {
            server.github.forget_git_token(brief.installation_id, brief.source.repository_id).await;
            Err(Failure::Passing(error.to_string(), 0))
        }
    }
}

fn failure(error: GitHubError) -> Failure {
    if error.is_transient() {
        let wait = error.retry_after_ms(0);
        return Failure::Passing(error.to_string(), wait);
    }
    match error.status() {
        Some(_) => Failure::Final(refused("pull-request-refused", &error.to_string())),
        None => {
            let id = log_internal("GitHub cannot be used", &error);
            Failure::Final(refused("pull-request-refused", &format!("error {id}")))
        }
    }
}

fn refused(code: &str, reason: &str) -> Problem {
    problem(
        code,
        format!("The work is done and kept, but GitHub does not take it: {reason}."),
        "Mend what GitHub names, then post the brief again; `codex-brief patch` prints the work on the server.",
    )
}
