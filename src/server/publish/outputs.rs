//! Makes what is asked for beside the commit: comments, and what a pull request is given.

use super::{Failure, Published, failure};
use crate::brief::PullRequestOutput;
use crate::crash;
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::publish::outputs::{comment_output, conclude, output_marker};
use crate::queue::task::Event;
use crate::run::output::{OutputKind, OutputReport};
use crate::run::report::{Problem, RunReport, RunStatus};
use crate::server::attempt::problem;
use crate::server::{Server, conclude as conclusion};
use crate::store::models::ClaimedTask;

/// Notes in a report that its pull request was made, or why not.
pub(super) fn note_pull_request(report: &mut RunReport, result: Result<Vec<Problem>, Problem>) {
    let (made, mut problems) = match result {
        Ok(problems) => (true, problems),
        Err(problem) => (false, vec![problem]),
    };
    let url = report.pull_request_url.clone();
    for output in report.outputs.iter_mut().filter(|output| output.is_in_pull_request()) {
        output.made = made;
        output.url = url.clone().filter(|_| made);
        // Told once: at the pull request, or at the first report where there is none.
        output.problems.append(&mut problems);
    }
}

/// Writes the comments that were not written yet; returns whether GitHub refuses one of them. Each is looked up by
/// its hidden marker first.
pub(super) async fn comments(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    report: &mut RunReport,
) -> Result<bool, Failure> {
    let mut refused = false;
    for at in 0..report.outputs.len() {
        let output = &report.outputs[at];
        if output.kind != OutputKind::Comment || output.text.is_none() || output.made {
            continue;
        }
        match comment(server, task, place, report, at).await {
            Ok(url) => {
                let output = &mut report.outputs[at];
                (output.made, output.url) = (true, url);
            }
            Err(error) if error.is_transient() => return Err(failure(error)),
            Err(error) => {
                refused = true;
                let thread = report.outputs[at].thread.unwrap_or(task.brief.thread_number);
                report.outputs[at].problems.push(not_commented(thread, &error));
            }
        }
    }
    Ok(refused)
}

async fn comment(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    report: &RunReport,
    at: usize,
) -> Result<Option<String>, GitHubError> {
    let thread = report.outputs[at].thread.unwrap_or(task.brief.thread_number);
    let marker = output_marker(&report.run, at);
    crash::point("output-commented.before-commit");
    if let Some(url) = server.github.find_comment_page(place, thread, &marker).await? {
        return Ok(Some(url));
    }
    let context = conclusion::context(&task.brief);
    let Some(body) = comment_output(report, at, &task.brief.requested_by, &context) else { return Ok(None) };
    crash::point("output-commented.before-effect");
    let url = server.github.create_comment_page(place, thread, &body).await?;
    crash::point("output-commented.before-record");
    Ok(Some(url))
}

fn not_commented(thread: u64, error: &GitHubError) -> Problem {
    problem(
        "comment-refused",
        format!("GitHub does not take the comment in `#{thread}`: {error}."),
        "Look whether that thread is there and not locked, then write `/work publish` here; what was made is not made \
         again.",
    )
}

/// Gives a pull request its labels, reviewers and assignees; returns what GitHub does not take. Safe to repeat.
pub(super) async fn dress(
    server: &Server,
    place: Place<'_>,
    number: u64,
    asked: &PullRequestOutput,
) -> Result<Vec<Problem>, Failure> {
    let mut problems = Vec::new();
    if !asked.labels.is_empty()
        && let Some(why) = lesser(server.github.add_labels(place, number, &asked.labels).await)?
    {
        problems.push(part_refused("labels-refused", &asked.labels, &format!("as labels ({why})")));
    }
    if !asked.reviewers.is_empty() {
        let refused = reviewers(server, place, number, &asked.reviewers).await?;
        if !refused.is_empty() {
            let why =
                "as reviewers: only collaborators of the repository can be asked, other than who opened it";
            problems.push(part_refused("reviewers-refused", &refused, why));
        }
    }
    if !asked.assignees.is_empty() {
        let assigned = match server.github.assign(place, number, &asked.assignees).await {
            Ok(assigned) => assigned,
            Err(error) => lesser::<()>(Err(error))?.map(|_| Vec::new()).unwrap_or_default(),
        };
        let is_not = |login: &&String| !assigned.iter().any(|other| other.eq_ignore_ascii_case(login));
        let left: Vec<String> = asked.assignees.iter().filter(is_not).cloned().collect();
        if !left.is_empty() {
            let why = "as assignees: only people with write access can be assigned";
            problems.push(part_refused("assignees-refused", &left, why));
        }
    }
    Ok(problems)
}

/// Asks people to review, one by one where GitHub does not take them together; returns whom it does not take.
async fn reviewers(
    server: &Server,
    place: Place<'_>,
    number: u64,
    logins: &[String],
) -> Result<Vec<String>, Failure> {
    if lesser(server.github.ask_to_review(place, number, logins).await)?.is_none() {
        return Ok(Vec::new());
    }
    let mut refused = Vec::new();
    for login in logins {
        if lesser(server.github.ask_to_review(place, number, std::slice::from_ref(login)).await)?.is_some() {
            refused.push(login.clone());
        }
    }
    Ok(refused)
}

/// Tells why GitHub does not take something that the pull request can be without; fails with what passes.
fn lesser<T>(result: Result<T, GitHubError>) -> Result<Option<String>, Failure> {
    match result {
        Ok(_) => Ok(None),
        Err(error) if error.is_transient() => Err(failure(error)),
        Err(error) => {
            tracing::warn!(%error, "GitHub does not take what a pull request is given");
            Ok(Some(error.status().map_or("an error".to_owned(), |status| format!("status {status}"))))
        }
    }
}

fn part_refused(code: &str, names: &[String], why: &str) -> Problem {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    problem(
        code,
        format!("The pull request is open, but GitHub does not take {} {why}.", names.join(", ")),
        "Add them by hand at the pull request, or correct the names in the next brief.",
    )
}

/// Ends a publishing by what was made; `refused` tells that GitHub refuses what may be tried again.
pub(super) fn end(mut report: RunReport, refused: bool) -> Published {
    conclude(&mut report);
    let event = match (report.status, refused) {
        (RunStatus::Success, _) => Event::Succeeded,
        (_, true) => Event::PublishingRefused,
        (RunStatus::Partial, false) => Event::Succeeded,
        (RunStatus::Failure, false) => Event::Failed,
    };
    Published::Ended(event, Box::new(report))
}

/// Notes that nothing may be published, for a reason that holds for every output.
pub(super) fn refuse_all(mut report: RunReport, why: Problem) -> Published {
    let any = report.outputs.iter().any(|output: &OutputReport| output.made);
    report.status = if any { RunStatus::Partial } else { RunStatus::Failure };
    report.problem = Some(why);
    Published::Ended(Event::PublishingRefused, Box::new(report))
}
