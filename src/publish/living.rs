//! The comment of a brief while its task waits and runs; the result takes its place.

use std::fmt::Write as _;

use crate::brief::Brief;
use crate::queue::task::TaskState;
use crate::run::progress::{Progress, Stands};
use crate::run::report::ApprovedBy;

use super::comment::{CommentContext, approved_line, digits, earlier_runs, marker, signature};
use super::format::{
    MAX_ROWS, clock, code_within, duration, inline_within, link, result_cell, sentence_within, short, utc,
};
use super::status::TaskLine;

/// Bounds the files that are listed.
const MAX_FILES: usize = 10;

/// How a task stands, with what is told of it.
#[derive(Debug, Clone, Copy)]
pub struct Living<'a> {
    /// Tells of the task what every list of tasks does.
    pub line: &'a TaskLine,
    /// Tells where it stands: queued, running or cancelled.
    pub state: TaskState,
    /// Tells why it was cancelled.
    pub reason: Option<&'a str>,
    /// Holds the brief; `None` when today's rules refuse it.
    pub brief: Option<&'a Brief>,
    /// Tells how far its run is, where one works.
    pub progress: Option<&'a Progress>,
    /// Tells who approved it.
    pub approved: Option<&'a ApprovedBy>,
    /// Holds the present time, in milliseconds since 1970.
    pub now_ms: i64,
    /// Tells of the server around it.
    pub context: &'a CommentContext,
}

/// Returns the comment of a brief whose task waits or runs, or was cancelled before it ran.
pub fn living_comment(living: &Living<'_>) -> String {
    let mut out = format!("{}\n### {}\n", marker("result", &living.line.brief), headline(living));
    if living.state == TaskState::Cancelled {
        let why = living.reason.unwrap_or("it was stopped");
        let _ = writeln!(out, "\nIt will not run: {}", sentence_within(why, 600));
        let _ = writeln!(out, "\n{}", footer(living));
        return out;
    }
    let _ = write!(out, "\n{}", steps(living));
    out.push_str(&approved_line(living.approved));
    out.push_str(&earlier_runs(&living.line.earlier));
    out.push_str(&asks_for(living.brief));
    let stop = code_within(&format!("/stop {}", digits(&living.line.brief)), 60);
    let _ = writeln!(
        out,
        "\n{stop} in a comment ends it. This comment is kept up to date and becomes the result.\n\n{}",
        footer(living)
    );
    out
}

fn headline(living: &Living<'_>) -> String {
    let line = living.line;
    match living.state {
        TaskState::Cancelled => "⏹️ Cancelled".to_owned(),
        TaskState::Queued if !line.earlier.is_empty() || line.says != "queued" => {
            format!("⏳ {}", capital(&inline_within(&line.says, 400)))
        }
        TaskState::Queued => match line.before {
            Some(1) => "⏳ Accepted: 1 brief runs before it".to_owned(),
            Some(n @ 2..) => format!("⏳ Accepted: {n} briefs run before it"),
            _ => "⏳ Accepted: it is the next on its lane".to_owned(),
        },
        _ if line.stopping => "⏹️ Being stopped".to_owned(),
        _ if line.publishing => "⏫ Steps done, being published".to_owned(),
        _ => format!("▶️ Running: {}", running(living.progress)),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn running(progress: Option<&Progress>) -> String {
    let Some(progress) = progress.filter(|progress| !progress.steps.is_empty()) else {
        return "the repository is fetched".to_owned();
    };
    if let Some((number, step, _)) = progress.current() {
        return format!("step {number} of {}, {}", progress.steps.len(), inline_within(&step.name, 200));
    }
    match progress.steps.iter().any(|step| step.stands == Stands::Waits) {
        true => "the checkout is made".to_owned(),
        false => "what changed is looked at".to_owned(),
    }
}

/// Returns the table of steps: number, name, state, time.
fn steps(living: &Living<'_>) -> String {
    let of_run = living.progress.map(|progress| progress.steps.as_slice()).unwrap_or_default();
    let rows: Vec<(&str, &Stands)> = if of_run.is_empty() {
        let named = living.brief.map(|brief| brief.steps.as_slice()).unwrap_or_default();
        named.iter().map(|step| (step.name.as_str(), &Stands::Waits)).collect()
    } else {
        of_run.iter().map(|step| (step.name.as_str(), &step.stands)).collect()
    };
    table(&rows)
}

/// Returns the table of a run's steps.
pub(super) fn progress_table(progress: &Progress) -> String {
    table(&progress.steps.iter().map(|step| (step.name.as_str(), &step.stands)).collect::<Vec<_>>())
}

fn table(rows: &[(&str, &Stands)]) -> String {
    let mut out = String::from("| # | Step | State | Time |\n|--:|---|---|--:|\n");
    for (number, (name, stands)) in (1..).zip(rows.iter().take(MAX_ROWS)) {
        let (state, time) = match stands {
            Stands::Waits => ("waits".to_owned(), "–".to_owned()),
            // A time that stays true until the comment is written anew.
            Stands::Runs(since) => ("▶️ runs".to_owned(), format!("since {}", clock(*since))),
            Stands::Ended(report) => (result_cell(report), duration(report.duration_ms)),
        };
        let _ = writeln!(out, "| {number} | {} | {state} | {time} |", inline_within(name, 160));
    }
    out
}

/// Returns what the brief is to make.
fn asks_for(brief: Option<&Brief>) -> String {
    let Some(output) = brief.and_then(Brief::pull_request) else { return String::new() };
    let files: Vec<String> = output.files.iter().take(MAX_FILES).map(|file| code_within(file, 200)).collect();
    let more = match output.files.len().saturating_sub(MAX_FILES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("\n**Makes:** a pull request that changes {}{more}\n", files.join(", "))
}

fn footer(living: &Living<'_>) -> String {
    let brief = link(&format!("brief {}", short(&living.line.brief)), &living.line.source_url);
    let parts = [
        brief,
        format!("lane {}", code_within(&living.line.lane, 200)),
        format!("as of {}", utc(living.now_ms)),
        signature(living.context),
    ];
    format!("<sub>{}</sub>", parts.join(" · "))
}

#[cfg(test)]
pub(super) mod tests;
