//! Publishing a judged run: one commit, one branch, one pull request, each looked up first.

use super::intake::LookError;
use super::locate::locate_anew;
use super::{Server, access, approval, conclude, execute};
use crate::authorize::policy::Bounds;
use crate::brief::{self, Brief, Origin, PullRequestOutput};
use crate::config::LaneConfig;
use crate::crash;
use crate::error::log_internal;
use crate::github::GitHubError;
use crate::github::installation::{Place, PullRequest};
use crate::publish::branch::branch_name;
use crate::publish::commit::{CommitRequest, Signature, build_commit};
use crate::publish::message::commit_message;
use crate::publish::pull_request::{PullRequestText, pr_body, pr_title};
use crate::queue::task::Event;
use crate::run::changeset::{Changeset, CommitId};
use crate::run::contract::Contract;
use crate::run::mirror::Remote;
use crate::run::push::PushOutcome;
use crate::run::report::{Problem, RunReport, RunStatus};
use crate::server::attempt::{blank_report, internal, problem};
use crate::store::models::{ClaimedTask, JudgedRun};

/// How often publishing is tried while GitHub fails; with the waits between, more than a day.
const MOST_ATTEMPTS: i64 = 300;

/// What became of a publishing.
pub(super) enum Published {
    /// The task's run is published, or there was nothing to publish, and its report tells of it.
    Ended(Event, Box<RunReport>),
    /// It may succeed later: why not now, and the least milliseconds until then.
    Later(String, i64),
}

enum Failure {
    Final(Problem),
    /// Holds what failed, and the least milliseconds before it may be tried again.
    Passing(String, i64),
}

/// Publishes a judged run: branch and pull request, noted in its report.
///
/// Safe to repeat at any point: the commit is the same each time, and branch and pull request are
/// looked up before they are made.
pub(super) async fn publish(server: &Server, run: &JudgedRun, attempts: i64) -> Published {
    let read = || -> Result<(RunReport, Option<Changeset>), serde_json::Error> {
        let report = serde_json::from_str(&run.report)?;
        Ok((report, run.changeset.as_deref().map(serde_json::from_str).transpose()?))
    };
    let brief = brief::parse(&run.task.brief.text, &Origin::document()).ok();
    let (mut report, changeset) = match read() {
        Ok(read) => read,
        Err(error) => {
            let id = &run.task.brief.id;
            let mut report = blank_report(&run.task.run_id, id, brief.as_ref(), &run.task.brief.text);
            report.problem = Some(internal("a judged run cannot be read", &error));
            return Published::Ended(Event::PublishingRefused, Box::new(report));
        }
    };
    let Some(brief) = brief else {
        execute::outdate(&mut report);
        return Published::Ended(Event::Failed, Box::new(report));
    };
    // An earlier version of the server judged failed runs, too.
    let (Some(output), Some(changeset), RunStatus::Success) =
        (brief.pull_request(), &changeset, report.status)
    else {
        let event = if report.status == RunStatus::Success { Event::Succeeded } else { Event::Failed };
        return Published::Ended(event, Box::new(report));
    };
    let order = (&run.task, &brief, output);
    match publish_once(server, order, &mut report, changeset, attempts).await {
        Ok(pull_request) => {
            report.pull_request = Some(pull_request.number);
            report.pull_request_url = Some(pull_request.html_url);
            Published::Ended(Event::Succeeded, Box::new(report))
        }
        Err(Failure::Passing(why, least)) if attempts + 1 < MOST_ATTEMPTS => {
            let doubled = (1_000_i64 << attempts.clamp(0, 9)).min(300_000);
            Published::Later(why, least.max(doubled))
        }
        Err(Failure::Passing(why, _)) => {
            refuse(report, refused("pull-request-refused", &format!("GitHub fails: {why}")))
        }
        Err(Failure::Final(problem)) => refuse(report, problem),
    }
}

fn refuse(mut report: RunReport, problem: Problem) -> Published {
    report.status = RunStatus::Failure;
    report.problem = Some(problem);
    Published::Ended(Event::PublishingRefused, Box::new(report))
}

async fn commit(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    output: &PullRequestOutput,
    report: &RunReport,
    (changeset, bounds): (&Changeset, &Bounds),
) -> Result<CommitId, Failure> {
    let fatal = |what: &str, error: &dyn std::fmt::Display| Failure::Final(internal(what, error));
    let bot = server.github.bot(place.installation).await.map_err(failure)?;
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
    // A lane that is gone by now gives nothing up.
    let lane = server.config.lanes.iter().find(|lane| lane.name == task.lane).cloned();
    let lane = lane.unwrap_or_else(|| LaneConfig::named(&task.lane));
    let protected = Contract::with(&lane, &bounds.protected_paths)
        .map_err(|error| fatal("what may not be changed cannot be read", &error))?
        .protected;
    let built = tokio::task::spawn_blocking(move || -> anyhow::Result<CommitId> {
        let request = CommitRequest {
            base: changeset.base_commit,
            changes: &changeset.entries,
            declared: &files,
            protected: &protected,
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
    (task, brief, output): (&ClaimedTask, &Brief, &PullRequestOutput),
    report: &mut RunReport,
    changeset: &Changeset,
    attempts: i64,
) -> Result<PullRequest, Failure> {
    let branch = branch_name(Some(task.brief.thread_number), &output.title, &task.brief.id.short());
    let branch = branch.as_str();
    // What is written must not go to a repository that has taken over an old name.
    let location = locate_anew(server, &task.brief).await.map_err(failure)?;
    let place = location.place();
    let decision = match access::decide_again(server, task).await.map_err(failure)? {
        Ok(decision) => decision,
        Err(refused) => return Err(Failure::Final(refused)),
    };
    match approval::before_publishing(server, place, task, &decision, changeset.base_commit).await {
        Ok(None) => {}
        Ok(Some(problem)) => return Err(Failure::Final(problem)),
        Err(LookError::GitHub(error)) => return Err(failure(error)),
        Err(error) => return Err(Failure::Passing(error.to_string(), 1_000)),
    }
    fetch_base(server, task, place, changeset.base_commit).await?;
    crash::point("commit-built.before-commit");
    let commit = commit(server, task, place, output, report, (changeset, &decision.bounds)).await?;
    crash::point("commit-built.before-record");
    if let Err(conflict) = push(server, task, place, (commit, branch), attempts).await? {
        return published_before(server, place, branch, report, conflict).await;
    }
    crash::point("branch-pushed.before-record");
    report.head_branch = Some(branch.to_owned());
    report.head_commit = Some(commit.to_string());
    crash::point("pr-opened.before-commit");
    if let Some(found) = server.github.find_pull_request(place, branch).await.map_err(failure)? {
        return Ok(found);
    }
    let title = pr_title(&output.title);
    let body = pr_body(&PullRequestText {
        report,
        brief,
        brief_text: &task.brief.text,
        context: &conclude::context(&task.brief),
        thread_url: &task.brief.source_url,
        requested_by: &task.brief.requested_by,
    });
    crash::point("pr-opened.before-effect");
    match server.github.open_pull_request(place, branch, &brief.branch, &title, &body).await {
        Ok(opened) => {
            crash::point("pr-opened.before-record");
            Ok(opened)
        }
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

/// Fetches the commit that the work is built on, where the mirror does not have it: the mirror may be
/// younger than the run.
async fn fetch_base(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    base: CommitId,
) -> Result<(), Failure> {
    let id = task.brief.source.repository_id;
    let fatal = |what: &str, error: &dyn std::fmt::Display| Failure::Final(internal(what, error));
    let mirror = server.mirrors.mirror(id).map_err(|error| fatal("the mirror cannot be opened", &error))?;
    if mirror.repository().is_ok_and(|repository| repository.find_commit(base.oid()).is_ok()) {
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

/// Takes the pull request that the App itself opened from this branch before, though the branch is not
/// at this run's commit: the store was restored from a copy that is older than the pull request.
async fn published_before(
    server: &Server,
    place: Place<'_>,
    branch: &str,
    report: &mut RunReport,
    found: String,
) -> Result<PullRequest, Failure> {
    let bot = server.github.bot(place.installation).await.map_err(failure)?;
    let opened = server.github.find_pull_request(place, branch).await.map_err(failure)?;
    let own = |opened: &PullRequest| opened.user.as_ref().is_some_and(|user| user.login == bot.name);
    match opened.filter(own) {
        Some(opened) => {
            tracing::warn!(run = report.run, branch, found, "the pull request is there, at another commit");
            // Nothing of this run vouches for that commit.
            report.head_branch = Some(branch.to_owned());
            Ok(opened)
        }
        None => Err(Failure::Final(problem(
            "branch-conflict",
            format!(
                "The branch `{branch}` is there already, at the commit {found}, which is not this run's."
            ),
            "Look at that branch; delete it if it is not needed, and write `/work publish` here.",
        ))),
    }
}

/// Pushes the commit as a new branch. The inner error is the commit that the branch is at already.
async fn push(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    (commit, branch): (CommitId, &str),
    attempts: i64,
) -> Result<Result<(), String>, Failure> {
    let id = task.brief.source.repository_id;
    let token = server.github.git_token(place.installation, id).await.map_err(failure)?;
    let fatal = |what: &str, error: &dyn std::fmt::Display| Failure::Final(internal(what, error));
    let mirror = server.mirrors.mirror(id).map_err(|error| fatal("the mirror cannot be opened", &error))?;
    let remote = Remote::http(&server.github.git_url(place.repository))
        .map_err(|error| fatal("the repository has no usable address", &error))?;
    crash::point("branch-pushed.before-commit");
    match mirror.push(&remote, Some(&token), commit, branch).await {
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
        "Mend what GitHub names, then write `/work publish` here; the work is not done again, and \
         `codex-brief patch` prints it on the server.",
    )
}
