//! The check run of a run: what GitHub shows beside its commit, while it works and in the end.

use crate::run::problem_lines::{Level, ProblemLine};
use crate::run::progress::{Progress, Stands};
use crate::run::report::{RunReport, RunStatus, StepReport};
use crate::store::models::{AnnotationText, Button};

use super::format::{
    Keep, block_within, bytes, change_counts, chars, details, fair_shares, html_within, inline_within, link,
    sentence_within, step_table,
};
use super::inert::{inert_plain_line, inert_plain_text};
use super::living::progress_table;

/// What the buttons of a run's check run are called in GitHub's delivery.
pub const STOP: &str = "stop";
/// As [`STOP`].
pub const RERUN: &str = "rerun";

/// Bounds the logs, in characters; GitHub takes 65,535.
const MAX_LOGS: usize = 60_000;

/// What a check run tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRunPage {
    /// Holds GitHub's word for how it ended; `None` while it works.
    pub conclusion: Option<&'static str>,
    /// Holds the headline, plain text.
    pub title: String,
    /// Holds the page, Markdown, within GitHub's limit of 65,535 characters.
    pub summary: String,
    /// Holds the logs, Markdown within the same limit; `None` when nothing was printed.
    pub text: Option<String>,
    /// Holds what stands beside lines of files.
    pub annotations: Vec<AnnotationText>,
    /// Holds its buttons.
    pub buttons: Vec<Button>,
}

/// Returns what the check run of a run that works tells.
pub fn live_check(progress: &Progress, thread_url: &str) -> CheckRunPage {
    let title = match progress.current() {
        Some((number, step, _)) => {
            format!("Step {number} of {}: {}", progress.steps.len(), inert_plain_line(&step.name))
        }
        None => "Running".to_owned(),
    };
    let ended = progress.steps.iter().filter_map(|step| match &step.stands {
        Stands::Ended(report) => Some(&**report),
        Stands::Waits | Stands::Runs(_) => None,
    });
    CheckRunPage {
        conclusion: None,
        title: title.chars().take(200).collect(),
        summary: format!("{}\n\n{}", asked_in(thread_url), progress_table(progress)),
        text: logs(&ended.collect::<Vec<_>>()),
        annotations: Vec::new(),
        buttons: vec![button("Stop", "Ends the run, as /stop does", STOP)],
    }
}

/// Returns what the check run of a run that has ended tells.
pub fn check_run(report: &RunReport, cancelled: bool, thread_url: &str) -> CheckRunPage {
    let (conclusion, title) = match (report.status, cancelled) {
        (_, true) => ("cancelled", "Stopped".to_owned()),
        (RunStatus::Success, _) => ("success", succeeded(report.steps.len())),
        (RunStatus::Partial, _) => ("neutral", "Not all was done".to_owned()),
        (RunStatus::Failure, _) => {
            let problem = report.problem.as_ref();
            (
                "failure",
                problem.map_or_else(|| "Failed".to_owned(), |problem| inert_plain_line(&problem.message)),
            )
        }
    };
    let mut summary = format!("{}\n\n", asked_in(thread_url));
    if let Some(problem) = &report.problem {
        summary.push_str(&format!("**What happened:** {}\n\n", sentence_within(&problem.message, 1_500)));
        summary.push_str(&format!("**What to do:** {}\n\n", sentence_within(&problem.help, 1_500)));
    }
    summary.push_str(&format!(
        "{}\n\nChanges: {}\n",
        step_table(&report.steps),
        change_counts(&report.changes)
    ));
    let buttons = match report.status {
        RunStatus::Success => Vec::new(),
        RunStatus::Partial | RunStatus::Failure => {
            vec![button("Re-run", "Runs the brief again, as it is", RERUN)]
        }
    };
    CheckRunPage {
        conclusion: Some(conclusion),
        // GitHub shows a title as plain text, in one line.
        title: title.chars().take(200).collect(),
        summary,
        text: logs(&report.steps.iter().collect::<Vec<_>>()),
        annotations: report.problem_lines.iter().map(annotation).collect(),
        buttons,
    }
}

/// Returns what the check run of a run tells that is over without a result; `why` tells what ended it.
pub fn lost_check(why: &str, thread_url: &str) -> CheckRunPage {
    let why = sentence_within(why, 600);
    CheckRunPage {
        conclusion: Some("cancelled"),
        title: "Ended without a result".to_owned(),
        summary: format!("{}\n\n{why}\n\nThe comment there tells what follows.\n", asked_in(thread_url)),
        text: None,
        annotations: Vec::new(),
        buttons: Vec::new(),
    }
}

fn succeeded(steps: usize) -> String {
    if steps == 1 { "1 step succeeded".to_owned() } else { format!("{steps} steps succeeded") }
}

fn asked_in(thread_url: &str) -> String {
    format!("Asked for in {}.", link("this thread", thread_url))
}

fn button(label: &str, description: &str, identifier: &str) -> Button {
    Button { label: label.to_owned(), description: description.to_owned(), identifier: identifier.to_owned() }
}

fn annotation(problem: &ProblemLine) -> AnnotationText {
    AnnotationText {
        path: problem.path.clone(),
        line: problem.line,
        column: problem.column,
        level: match problem.level {
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Failure => "failure",
        }
        .to_owned(),
        // GitHub shows it as plain text.
        message: match inert_plain_text(&problem.message) {
            empty if empty.trim().is_empty() => "(no text)".to_owned(),
            message => message,
        },
    }
}

/// Returns the ends of the logs, the last step's first and open, the others folded.
fn logs(steps: &[&StepReport]) -> Option<String> {
    let printed: Vec<&&StepReport> = steps.iter().filter(|step| !step.log.tail.trim().is_empty()).collect();
    let wants: Vec<usize> = printed.iter().rev().map(|step| chars(&step.log.tail) * 2 + 600).collect();
    let mut out = String::new();
    for (step, share) in printed.iter().rev().zip(fair_shares(&wants, MAX_LOGS)) {
        let name = html_within(&step.name, 200);
        let room = share.saturating_sub(chars(&name) + 120);
        let Some((block, shown)) = block_within(step.log.tail.trim_end(), "text", room, Keep::Tail) else {
            continue;
        };
        let (kept, total) = (step.log.tail.len() as u64, step.log.total_bytes);
        let size = match shown < step.log.tail.trim_end().len() || total > kept {
            true => format!("last {} of {}", bytes(shown as u64), bytes(total.max(kept))),
            false => bytes(kept),
        };
        match out.is_empty() {
            true => out = format!("Log of {} · {size}\n\n{block}\n\n", inline_within(&step.name, 200)),
            false => out.push_str(&details(&format!("Log of {name} · {size}"), &block)),
        }
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests;
