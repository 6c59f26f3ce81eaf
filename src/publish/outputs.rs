//! What people read of a brief's outputs: what is asked for, what was made, and the comments themselves.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::comment::{CommentContext, MAX_COMMENT_CHARS, marker};
use super::format::{
    Keep, block_within, chars, code_within, id_span, inline_within, link, sentence_within, short,
};
use super::inert::truncate_middle;
use super::markdown::markdown_within;
use crate::brief::{Brief, CommentText, Output, PullRequestOutput};
use crate::run::output::{OutputKind, OutputReport};
use crate::run::report::{Problem, RunReport, RunStatus};

/// Bounds what is shown of all texts before they are made, in characters: scripts and verdicts need room beside them.
const MAX_SHOWN: usize = 5_000;

/// Returns the hidden first line of the comment that is an output of a run, by the output's place from 0.
pub fn output_marker(run: &str, place: usize) -> String {
    marker("output", &format!("{run}:{place}"))
}

/// Returns the comment that is an output, at most [`MAX_COMMENT_CHARS`] characters: whose word it is stands first, so
/// that no text of it can be taken for the App's own.
pub fn comment_output(
    report: &RunReport,
    place: usize,
    requested_by: &str,
    context: &CommentContext,
) -> Option<String> {
    let output = report.outputs.get(place)?;
    let text = output.text.as_deref()?;
    let brief = short(&report.brief);
    let brief = context.source_url.as_deref().map_or(brief.clone(), |url| link(&brief, url));
    let mut top = format!(
        "{}\n<sub>Asked for by {} in brief {brief}, run {}",
        output_marker(&report.run, place),
        inline_within(requested_by, 100),
        id_span(&report.run, 36)
    );
    if let Some(path) = &output.path {
        let _ = write!(top, ", from {}", code_within(path, 300));
    }
    let (shown, whole) = markdown_within(text.trim_end(), MAX_COMMENT_CHARS - chars(&top) - 200);
    if output.text_cut || whole < chars(text.trim_end()) {
        top.push_str("; cut, since a comment holds no more");
    }
    Some(format!("{top}</sub>\n\n{shown}\n"))
}

/// Returns what a brief asks for beyond a plain pull request, Markdown; nothing where it asks for nothing more.
pub(super) fn outline(brief: &Brief) -> String {
    let plain = |pr: &PullRequestOutput| {
        let PullRequestOutput { body, draft, labels, reviewers, assignees, branch_name, .. } = pr;
        body.is_none()
            && !draft
            && branch_name.is_none()
            && [labels, reviewers, assignees].iter().all(|names| names.is_empty())
    };
    if matches!(brief.outputs.as_slice(), [Output::Pr(pr)] if plain(pr)) {
        return String::new();
    }
    let mut out = String::from("**Outputs:**\n\n");
    let room = MAX_SHOWN / brief.outputs.len().max(1);
    for (number, output) in (1..).zip(&brief.outputs) {
        let text = match output {
            Output::Pr(pr) => {
                let _ = writeln!(out, "{number}. {}", pull_request(pr));
                pr.body.as_deref()
            }
            Output::Report(report) => {
                let _ = writeln!(out, "{number}. report {}", code_within(&report.path, 150));
                None
            }
            Output::Comment(comment) => {
                let place =
                    comment.link_issue.map_or("this thread".to_owned(), |issue| format!("`#{issue}`"));
                let _ = write!(out, "{number}. comment in {place}");
                let (words, text) = match &comment.text {
                    CommentText::Body(text) => (String::new(), Some(text.as_str())),
                    CommentText::File(path) => (format!(", from {}", code_within(path, 150)), None),
                };
                let _ = writeln!(out, "{words}");
                text
            }
        };
        if let Some((block, shown)) =
            text.and_then(|text| block_within(text.trim_end(), "markdown", room, Keep::Head))
        {
            let _ = writeln!(out, "\n{block}\n");
            if shown < text.unwrap_or_default().trim_end().len() {
                out.push_str(
                    "⚠️ The rest of this text finds no room here; read it where the brief stands.\n\n",
                );
            }
        }
    }
    out.push('\n');
    out
}

fn pull_request(pr: &PullRequestOutput) -> String {
    let kind = if pr.draft { "draft pull request" } else { "pull request" };
    let mut out = format!("{kind} “{}”", inline_within(&pr.title, 300));
    if let Some(branch) = &pr.branch_name {
        let _ = write!(out, ", on the branch {}", code_within(branch, 250));
    }
    let lists = [("labels", &pr.labels), ("asked to review", &pr.reviewers), ("assigned", &pr.assignees)];
    for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
        let names: Vec<String> = names.iter().map(|name| code_within(name, 60)).collect();
        let _ = write!(out, "; {what}: {}", names.join(", "));
    }
    out
}

/// Returns what became of the outputs of a run, where there is more to tell than the one pull request.
pub(super) fn outputs_section(report: &RunReport) -> String {
    let plain =
        matches!(report.outputs.as_slice(), [one] if one.kind == OutputKind::Pr && one.problems.is_empty());
    let touched = report.outputs.iter().any(|output| output.made || !output.problems.is_empty());
    if plain || !touched {
        return String::new();
    }
    let mut out = String::from("**Outputs:**\n\n");
    for output in &report.outputs {
        let mark = match (output.made, output.problems.is_empty()) {
            (true, true) => "✅",
            (true, false) => "⚠️",
            (false, _) => "❌",
        };
        let _ = write!(out, "- {mark} {}", named(output, report));
        if !output.made && output.problems.is_empty() {
            out.push_str(", not made");
        }
        out.push('\n');
        // The first of them stands above, with what to do.
        for problem in &output.problems {
            let code = code_within(&problem.code, 100);
            let _ = writeln!(out, "  - {} ({code})", sentence_within(&problem.message, 600));
        }
    }
    out.push('\n');
    out
}

fn named(output: &OutputReport, report: &RunReport) -> String {
    let path = output.path.as_deref().map(|path| code_within(path, 300));
    let to = |label: String| link(&label, output.url.as_deref().unwrap_or(""));
    match output.kind {
        OutputKind::Pr => match report.pull_request {
            Some(number) => format!("pull request {}", to(format!("#{number}"))),
            None => "pull request".to_owned(),
        },
        OutputKind::Report => format!("report {}", path.unwrap_or_default()),
        OutputKind::Comment => {
            let place = output.thread.map_or("this thread".to_owned(), |thread| format!("`#{thread}`"));
            let from = path.map_or(String::new(), |path| format!(", from {path}"));
            format!("{} in {place}{from}", to("comment".to_owned()))
        }
    }
}

/// Returns the outputs for programs; texts have at most `most` characters.
pub(super) fn outputs_json(report: &RunReport, most: usize) -> Vec<Value> {
    let text = |text: &str| truncate_middle(text, most);
    let told = report.outputs.iter().map(|output| {
        let problems: Vec<Value> = output
            .problems
            .iter()
            .map(|problem| json!({ "code": problem.code, "message": text(&problem.message) }))
            .collect();
        let url = output.url.as_deref().filter(|url| chars(url) <= most.max(100));
        json!({ "type": output.kind, "made": output.made, "url": url, "path": output.path.as_deref().map(text),
                "problems": problems })
    });
    told.collect()
}

/// Notes the outputs as a run without GitHub leaves them: what has a text or a commit would be made.
pub fn would_be_made(report: &mut RunReport, committed: Result<(), Problem>) {
    let mut problem = committed.err();
    for output in &mut report.outputs {
        output.made = match output.kind {
            OutputKind::Comment => output.text.is_some(),
            OutputKind::Pr | OutputKind::Report => {
                output.problems.extend(problem.take());
                report.head_commit.is_some()
            }
        };
    }
    conclude(report);
}

/// Returns the comments of a report that were made, as [`comment_output`] does.
pub fn comments_made(report: &RunReport, requested_by: &str, context: &CommentContext) -> Vec<String> {
    let made = report.outputs.iter().enumerate().filter(|(_, output)| output.made);
    made.filter_map(|(place, _)| comment_output(report, place, requested_by, context)).collect()
}

/// Sets the status by what was made: all, some, or nothing of it; the problem is that of the first output that has
/// one.
pub fn conclude(report: &mut RunReport) {
    let first = report.outputs.iter().flat_map(|output| &output.problems).next();
    if let Some(problem) = first {
        report.problem = Some(problem.clone());
        let any = report.outputs.iter().any(|output| output.made);
        report.status = if any { RunStatus::Partial } else { RunStatus::Failure };
    }
}

#[cfg(test)]
mod tests;
