//! Publishing a judged run: one commit, one branch, one pull request, and comments, each looked up first.

mod branch;
mod git;
mod outputs;
mod signed;

use super::intake::LookError;
use super::locate::locate_anew;
use super::{Server, access, approval, conclude, execute, receipt};
use crate::authorize::policy::{Bounds, Decision};
use crate::brief::{self, Brief, Origin, PullRequestOutput};
use crate::config::{CommitWay, LaneConfig};
use crate::crash;
use crate::error::log_internal;
use crate::github::GitHubError;
use crate::github::installation::{Place, PullRequest};
use crate::github::pulls::NewPullRequest;
use crate::publish::branch::branch_name;
use crate::publish::commit::{CommitRequest, Signature, build_commit};
use crate::publish::message::commit_message;
use crate::publish::pull_request::{PullRequestText, pr_body, pr_title};
use crate::queue::task::Event;
use crate::run::changeset::{Changeset, CommitId};
use crate::run::contract::Contract;
use crate::run::output::OutputReport;
use crate::run::report::{Problem, RunReport, RunStatus};
use crate::server::attempt::{blank_report, internal, problem};
use crate::store::StoreError;
use crate::store::models::{ClaimedTask, JudgedRun};
use branch::Standing;

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
    let (Some(changeset), RunStatus::Success) = (&changeset, report.status) else {
        let event = if report.status == RunStatus::Success { Event::Succeeded } else { Event::Failed };
        return Published::Ended(event, Box::new(report));
    };
    if report.outputs.is_empty() {
        report.outputs = OutputReport::planned(&brief);
    }
    match make(server, (&run.task, &brief), &mut report, changeset, attempts).await {
        Ok(refused) => outputs::end(report, refused),
        Err(Failure::Passing(why, least)) if attempts + 1 < MOST_ATTEMPTS => {
            let doubled = (1_000_i64 << attempts.clamp(0, 9)).min(300_000);
            Published::Later(why, least.max(doubled))
        }
        Err(Failure::Passing(why, _)) => {
            outputs::refuse_all(report, refused("pull-request-refused", &format!("GitHub fails: {why}")))
        }
        Err(Failure::Final(problem)) => outputs::refuse_all(report, problem),
    }
}

/// Makes what the brief asks for, as far as GitHub takes it; what it does not take stands in the report. Returns
/// whether that may be tried again.
async fn make(
    server: &Server,
    (task, brief): (&ClaimedTask, &Brief),
    report: &mut RunReport,
    changeset: &Changeset,
    attempts: i64,
) -> Result<bool, Failure> {
    // What is written must not go to a repository that has taken over an old name.
    let location = locate_anew(server, &task.brief).await.map_err(failure)?;
    let place = location.place();
    let decision = match access::decide_again(server, task).await.map_err(look_failure)? {
        Ok(decision) => decision,
        Err(refused) => return Err(Failure::Final(refused)),
    };
    match approval::before_publishing(server, place, task, &decision, changeset.base_commit).await {
        Ok(None) => {}
        Ok(Some(problem)) => return Err(Failure::Final(problem)),
        Err(error) => return Err(look_failure(error)),
    }
    let mut refused = false;
    if let Some(output) = brief.pull_request() {
        let order = (task, brief, &*output);
        let made = match publish_once(server, place, order, &decision, report, changeset, attempts).await {
            Ok(pull_request) => {
                let problems = outputs::dress(server, place, pull_request.number, &output).await?;
                report.pull_request = Some(pull_request.number);
                report.pull_request_url = Some(pull_request.html_url);
                Ok(problems)
            }
            Err(Failure::Final(problem)) => Err(problem),
            Err(passing) => return Err(passing),
        };
        refused = made.is_err();
        outputs::note_pull_request(report, made);
    }
    refused |= outputs::comments(server, task, place, report).await?;
    Ok(refused)
}

async fn commit(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    output: &PullRequestOutput,
    report: &RunReport,
    (changeset, bounds, onto): (&Changeset, &Bounds, Option<CommitId>),
) -> Result<CommitId, Failure> {
    let fatal = |what: &str, error: &dyn std::fmt::Display| Failure::Final(internal(what, error));
    let bot = server.github.bot(place.installation).await.map_err(failure)?;
    let message = message(task, output, report);
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
            onto,
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

fn message(task: &ClaimedTask, output: &PullRequestOutput, report: &RunReport) -> String {
    commit_message(
        &output.commit_message,
        &[("Brief", &report.brief), ("Run", &report.run), ("Requested-by", &task.brief.requested_by)],
    )
}

async fn publish_once(
    server: &Server,
    place: Place<'_>,
    (task, brief, output): (&ClaimedTask, &Brief, &PullRequestOutput),
    decision: &Decision,
    report: &mut RunReport,
    changeset: &Changeset,
    attempts: i64,
) -> Result<PullRequest, Failure> {
    let own_name = || branch_name(Some(task.brief.thread_number), &output.title, &task.brief.id.short());
    let (named, branch) = (output.branch_name.is_some(), output.branch_name.clone().unwrap_or_else(own_name));
    let branch = branch.as_str();
    let signed = decision.bounds.commit == CommitWay::Api;
    let id = task.brief.source.repository_id;
    let before =
        server.store.pushed_before(id, branch, &task.run_id).await.map_err(|error| passing(&error))?;
    // Otherwise the branch's name is this brief's alone, it has had no other run, and the push itself looks.
    let standing = match named || signed || task.epoch > 1 || !before.is_empty() {
        true => branch::look(server, task, place, (branch, &brief.branch, named)).await?,
        false => Standing::Free,
    };
    let onto = match &standing {
        Standing::Onto(onto) => Some(*onto),
        Standing::Past(commit, found) => {
            report.head_branch = Some(branch.to_owned());
            report.head_commit = Some(commit.to_string());
            return Ok((**found).clone());
        }
        Standing::Free | Standing::Made(_) | Standing::Foreign(_) => None,
    };
    for wanted in onto.into_iter().chain([changeset.base_commit]) {
        git::fetch_commit(server, task, place, wanted).await?;
    }
    let put = match standing {
        Standing::Made(made) | Standing::Past(made, _) => Ok(made),
        Standing::Foreign(found) => Err(found),
        Standing::Free | Standing::Onto(_) => {
            crash::point("commit-built.before-commit");
            let built =
                commit(server, task, place, output, report, (changeset, &decision.bounds, onto)).await?;
            crash::point("commit-built.before-record");
            if signed {
                let message = message(task, output, report);
                let changes = changeset.entries.clone();
                let base = changeset.base_commit;
                let wanted = signed::Wanted { built, base, changes, message: &message, branch };
                signed::publish(server, task, place, wanted, &standing).await?
            } else {
                git::push(server, task, place, (built, branch, onto), attempts).await?.map(|()| built)
            }
        }
    };
    let commit = match put {
        Ok(commit) => commit,
        Err(found) if named => return Err(Failure::Final(branch::conflict(branch, &found, true))),
        Err(found) => {
            let by = server.store.pushed_by(id, branch, &found).await.map_err(|error| passing(&error))?;
            if by.is_some() {
                return Err(Failure::Final(branch::conflict(branch, &found, false)));
            }
            return published_before(server, place, branch, report, found).await;
        }
    };
    crash::point("branch-pushed.before-record");
    report.head_branch = Some(branch.to_owned());
    report.head_commit = Some(commit.to_string());
    // A commit that GitHub made, or one of an earlier try, may not be here yet.
    git::fetch_commit(server, task, place, commit).await?;
    let made = (report as &RunReport, decision, place.repository, branch);
    let receipt = receipt_of(server, task, commit, made).await?;
    crash::point("pr-opened.before-commit");
    let title = pr_title(&output.title);
    let body = pr_body(&PullRequestText {
        report,
        brief,
        brief_text: &task.brief.text,
        context: &conclude::context(&task.brief),
        thread_url: &task.brief.source_url,
        requested_by: &task.brief.requested_by,
        receipt: Some(&receipt),
    });
    let follows = named || onto.is_some();
    let known = match follows {
        true => branch::pull_request(server, place, (branch, &brief.branch), commit).await?,
        false => server.github.find_pull_request(place, branch).await.map_err(failure)?,
    };
    crash::point("pr-opened.before-effect");
    if let Some(found) = known {
        if follows {
            let rewritten = server.github.rewrite_pull_request(place, found.number, &title, &body).await;
            rewritten.map_err(failure)?;
        }
        return Ok(found);
    }
    let new =
        NewPullRequest { head: branch, base: &brief.branch, title: &title, body: &body, draft: output.draft };
    match server.github.open_pull_request(place, &new).await {
        Ok(opened) => {
            crash::point("pr-opened.before-record");
            Ok(opened)
        }
        // The answer to an earlier try was lost: the pull request is there.
        Err(error) if error.status() == Some(422) => {
            match branch::pull_request(server, place, (branch, &brief.branch), commit).await? {
                Some(found) => Ok(found),
                None => Err(failure(error)),
            }
        }
        Err(error) => Err(failure(error)),
    }
}

/// Returns the run's receipt for a commit that is pushed.
async fn receipt_of(
    server: &Server,
    task: &ClaimedTask,
    commit: CommitId,
    (report, decision, repository, branch): (&RunReport, &Decision, &str, &str),
) -> Result<String, Failure> {
    let mirror = server.mirrors.mirror(task.brief.source.repository_id);
    let found = mirror.map_err(anyhow::Error::from).and_then(|mirror| {
        let repository = mirror.repository()?;
        let found = repository.find_commit(commit.oid())?;
        Ok((found.tree_id().to_string(), found.parent_ids().next().map(|parent| parent.to_string())))
    });
    let (tree, parent) =
        found.map_err(|error| Failure::Final(internal("the pushed commit cannot be read", &error)))?;
    let (commit, onto) =
        (commit.to_string(), parent.filter(|parent| Some(parent) != report.base_commit.as_ref()));
    let made = receipt::Made { report, decision, repository, branch, commit: &commit, tree: &tree, onto };
    let kept = receipt::of_run(server, task, &made).await;
    kept.map_err(|error| Failure::Passing(error.to_string(), 1_000))
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
        None => Err(Failure::Final(branch::conflict(branch, &found, false))),
    }
}

/// Returns a failure of the store, which may pass.
fn passing(error: &StoreError) -> Failure {
    Failure::Passing(error.to_string(), 1_000)
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

fn look_failure(error: LookError) -> Failure {
    match error {
        LookError::GitHub(error) => failure(error),
        error => Failure::Passing(error.to_string(), 1_000),
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
