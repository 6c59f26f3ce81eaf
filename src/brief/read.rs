//! From the tree of values to a [`Brief`]: each field by its rule, all problems collected.

use super::fields::{self, Field, Fields};
use super::read_step::read_step;
use super::report::Report;
use super::validate::{self, Problem};
use super::yaml::{Node, Value};
use super::{Brief, MAX_FILES, MAX_STEPS, Output, PullRequestOutput, Step, codes};

pub(crate) const fn required(name: &'static str) -> Field {
    Field { name, required: true, instead: &[] }
}

pub(crate) const fn optional(name: &'static str) -> Field {
    Field { name, required: false, instead: &[] }
}

/// The fields of a brief, in the protocol's order.
pub(crate) const BRIEF_FIELDS: &[Field] = &[
    required("executor"),
    required("repo"),
    required("branch"),
    required("workdir"),
    required("steps"),
    required("outputs"),
    optional("context_header"),
    optional("notes"),
];

/// The fields of a `pr` output.
pub(crate) const PR_FIELDS: &[Field] = &[
    required("type"),
    required("title"),
    required("commit_message"),
    required("files"),
    optional("link_issue"),
];

/// Output types of protocol v1 that this version does not serve yet.
const LATER_OUTPUTS: [&str; 2] = ["comment", "report"];

/// Reads a brief; `None` when any part of it was told to be wrong.
pub(crate) fn brief(root: &Node, report: &mut Report<'_>) -> Option<Brief> {
    let found = fields::mapping(root, "a brief", BRIEF_FIELDS, report)?;
    let executor = checked(&found, "executor", validate::executor, report);
    let repo = found.get("repo").and_then(|node| converted(node, "repo", validate::repo, report));
    let branch = checked(&found, "branch", validate::branch, report);
    let workdir = found.get("workdir").and_then(|node| converted(node, "workdir", validate::workdir, report));
    let steps = found.get("steps").and_then(|node| steps(node, report));
    let outputs = found.get("outputs").and_then(|node| outputs(node, report));
    let context_header = free_text(&found, "context_header", report);
    let notes = free_text(&found, "notes", report);
    Some(Brief {
        executor: executor?,
        repo: repo?,
        branch: branch?,
        workdir: workdir?,
        steps: steps?,
        outputs: outputs?,
        context_header,
        notes,
    })
}

fn steps(node: &Node, report: &mut Report<'_>) -> Option<Vec<Step>> {
    let nodes = fields::list(node, "steps", "name: …", report)?;
    if nodes.len() > MAX_STEPS {
        let message = format!("The brief has {} steps; {MAX_STEPS} are the most.", nodes.len());
        let span = nodes.get(MAX_STEPS).map_or(node.span, |step| step.span);
        report.add(
            span,
            codes::TOO_MANY_STEPS,
            message,
            "Join steps, or split the work into several briefs.",
        );
        return None;
    }
    let steps: Vec<Option<Step>> = nodes.iter().map(|step| read_step(step, report)).collect();
    steps.into_iter().collect()
}

fn outputs(node: &Node, report: &mut Report<'_>) -> Option<Vec<Output>> {
    let nodes = fields::list(node, "outputs", "type: pr", report)?;
    if let Some(second) = nodes.get(1) {
        report.add(
            second.span,
            codes::SEVERAL_PRS,
            format!("The brief has {} outputs; it makes one pull request.", nodes.len()),
            "Put all files into one output, or write another brief.",
        );
    }
    let outputs: Vec<Option<Output>> = nodes.iter().map(|output| read_output(output, report)).collect();
    outputs.into_iter().collect()
}

fn read_output(node: &Node, report: &mut Report<'_>) -> Option<Output> {
    // Another type has other fields, so nothing is said about its fields before the type is right.
    if let Some((kind, place)) = written_type(node)
        && kind != "pr"
    {
        let later = LATER_OUTPUTS.contains(&kind);
        let not = if later { "is not served yet" } else { "is not a type of output" };
        let message = format!("{} {not}.", validate::shown(kind));
        report.add(place.span, codes::OUTPUT_TYPE, message, "Write `type: pr`; it is the only type.");
        return None;
    }
    let found = fields::mapping(node, "a `pr` output", PR_FIELDS, report)?;
    let kind = found.get("type").and_then(|node| fields::text(node, "type", report));
    let title = checked(&found, "title", validate::title, report);
    let commit_message = checked(&found, "commit_message", validate::commit_message, report);
    let files = found.get("files").and_then(|node| files(node, report));
    let link_issue = match found.get("link_issue") {
        Some(node) => Some(issue(node, report)?),
        None => None,
    };
    kind?;
    Some(Output::Pr(PullRequestOutput {
        title: title?,
        commit_message: commit_message?,
        files: files?,
        link_issue,
    }))
}

fn written_type(node: &Node) -> Option<(&str, &Node)> {
    let Value::Mapping(entries) = &node.value else { return None };
    entries.iter().find_map(|(key, value)| match (&key.value, &value.value) {
        (Value::Scalar { text: name, .. }, Value::Scalar { text, .. })
            if name == "type" && !text.is_empty() =>
        {
            Some((text.as_str(), value))
        }
        _ => None,
    })
}

fn files(node: &Node, report: &mut Report<'_>) -> Option<Vec<String>> {
    let nodes = fields::list(node, "files", "reports/status.md", report)?;
    if nodes.len() > MAX_FILES {
        let message = format!("The output names {} files; {MAX_FILES} are the most.", nodes.len());
        let span = nodes.get(MAX_FILES).map_or(node.span, |file| file.span);
        report.add(span, codes::TOO_MANY_FILES, message, "Split the work into several briefs.");
        return None;
    }
    let paths: Vec<(&Node, Option<&str>)> = nodes
        .iter()
        .map(|file| {
            (
                file,
                fields::text_as(file, "an entry of `files`", report)
                    .and_then(|path| tell(validate::file_path(path), file, report).map(|()| path)),
            )
        })
        .collect();
    let fine: Vec<(&Node, &str)> =
        paths.iter().filter_map(|(node, path)| path.map(|path| (*node, path))).collect();
    let names: Vec<&str> = fine.iter().map(|(_, path)| *path).collect();
    let clashes = validate::overlap(&names);
    for (wrong, other) in &clashes {
        let (Some((node, path)), Some((first, name))) = (fine.get(*wrong), fine.get(*other)) else {
            continue;
        };
        let line = report.comment_line(first.span.start);
        let (path, folder) = (validate::shown(path), validate::shown(name));
        if path == folder && names.get(*wrong) == names.get(*other) {
            let message = format!("{path} is given twice; line {line} has it first.");
            report.add(node.span, codes::FILE_TWICE, message, "Delete one of the two.");
        } else {
            let message = format!("{path} lies inside {folder}, which line {line} names as a file.");
            report.add(
                node.span,
                codes::FILE_OVERLAP,
                message,
                "Name files only, not the folders that hold them.",
            );
        }
    }
    let complete = fine.len() == nodes.len() && clashes.is_empty();
    complete.then(|| names.into_iter().map(str::to_owned).collect())
}

fn issue(node: &Node, report: &mut Report<'_>) -> Option<u64> {
    const HELP: &str = "Write the number alone, such as `link_issue: 774`.";
    match &node.value {
        Value::Scalar { text, plain: true } if text.is_empty() => {
            let line = report.source_line(node.span.start.line);
            let digits: String = line
                .split_once('#')
                .map_or("", |(_, rest)| rest)
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            let (reason, help) = if digits.is_empty() {
                ("", HELP.to_owned())
            } else {
                (
                    ": `#` begins a comment in YAML",
                    format!("Write `link_issue: {}`.", validate::shown(&digits).trim_matches('`')),
                )
            };
            report.add(node.span, codes::LINK_ISSUE, format!("`link_issue` has no value{reason}."), help);
            None
        }
        Value::Scalar { text, plain: true } => tell(validate::issue_number(text), node, report),
        Value::Scalar { text, plain: false } => {
            let help = match validate::issue_number(text.trim_start_matches('#')) {
                Ok(number) => format!("Write `link_issue: {number}`."),
                Err(_) => HELP.to_owned(),
            };
            let message = format!("{} is a text, not an issue's number.", validate::shown(text));
            report.add(node.span, codes::LINK_ISSUE, message, help);
            None
        }
        _ => {
            fields::wrong_type(node, "`link_issue` as a number", HELP, report);
            None
        }
    }
}

/// Reads a text that only has to be a text.
fn free_text(found: &Fields<'_>, name: &str, report: &mut Report<'_>) -> Option<String> {
    found.get(name).and_then(|node| fields::text(node, name, report)).map(str::to_owned)
}

pub(crate) fn checked(
    found: &Fields<'_>,
    name: &str,
    rule: fn(&str) -> Result<(), Problem>,
    report: &mut Report<'_>,
) -> Option<String> {
    let node = found.get(name)?;
    let text = fields::text(node, name, report)?;
    tell(rule(text), node, report).map(|()| text.to_owned())
}

pub(crate) fn converted<T>(
    node: &Node,
    name: &str,
    rule: fn(&str) -> Result<T, Problem>,
    report: &mut Report<'_>,
) -> Option<T> {
    let text = fields::text(node, name, report)?;
    tell(rule(text), node, report)
}

pub(crate) fn tell<T>(result: Result<T, Problem>, node: &Node, report: &mut Report<'_>) -> Option<T> {
    result.map_err(|problem| report.add(node.span, problem.code, problem.message, problem.help)).ok()
}
