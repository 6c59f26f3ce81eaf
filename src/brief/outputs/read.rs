//! Reads `outputs`: each by its type, and what holds between them.

use super::super::fields::{self, Field, Fields};
use super::super::read::{checked, optional, required, tell};
use super::super::report::Report;
use super::super::validate::{self, Problem};
use super::super::yaml::{Node, Value};
use super::super::{MAX_FILES, codes};
use super::values::{files, issue, truth_value};
use super::{
    CommentOutput, CommentText, MAX_ASSIGNEES, MAX_LABELS, MAX_OUTPUTS, MAX_REVIEWERS, Output,
    PullRequestOutput, ReportOutput,
};

/// The fields of a `pr` output.
pub(crate) const PR_FIELDS: &[Field] = &[
    required("type"),
    required("title"),
    required("commit_message"),
    required("files"),
    optional("link_issue"),
    optional("body"),
    optional("draft"),
    optional("labels"),
    optional("reviewers"),
    optional("assignees"),
    optional("branch_name"),
];

/// The fields of a `comment` output.
pub(crate) const COMMENT_FIELDS: &[Field] =
    &[required("type"), optional("body"), optional("body_file"), optional("link_issue")];

/// The fields of a `report` output.
pub(crate) const REPORT_FIELDS: &[Field] = &[required("type"), required("path"), optional("link_issue")];

/// Reads the list; `None` when any part of it was told to be wrong.
pub(crate) fn outputs(node: &Node, report: &mut Report<'_>) -> Option<Vec<Output>> {
    let nodes = fields::list(node, "outputs", "type: pr", report)?;
    if let Some(first) = nodes.get(MAX_OUTPUTS) {
        let message = format!("The brief has {} outputs; {MAX_OUTPUTS} are the most.", nodes.len());
        report.add(first.span, codes::TOO_MANY_OUTPUTS, message, "Split the work into several briefs.");
        return None;
    }
    let is_pr = |node: &&Node| written_type(node).is_none_or(|(kind, _)| kind == "pr");
    if let Some(second) = nodes.iter().filter(is_pr).nth(1) {
        report.add(
            second.span,
            codes::SEVERAL_PRS,
            "The brief has more than one `pr` output; it makes one pull request.",
            "Put all files into one output, or write another brief.",
        );
    }
    let read: Vec<Option<Output>> = nodes.iter().map(|output| read_output(output, report)).collect();
    let read: Vec<Output> = read.into_iter().collect::<Option<_>>()?;
    apart(nodes, &read, report).then_some(read)
}

fn read_output(node: &Node, report: &mut Report<'_>) -> Option<Output> {
    // Another type has other fields, so nothing is said about its fields before the type is right.
    match written_type(node) {
        Some(("comment", _)) => read_comment(node, report).map(Output::Comment),
        Some(("report", _)) => read_report(node, report).map(Output::Report),
        Some((kind, place)) if kind != "pr" => {
            let message = format!("{} is not a type of output.", validate::shown(kind));
            report.add(
                place.span,
                codes::OUTPUT_TYPE,
                message,
                "Write `type: pr`, `type: comment` or `type: report`.",
            );
            None
        }
        _ => read_pr(node, report).map(Output::Pr),
    }
}

fn read_pr(node: &Node, report: &mut Report<'_>) -> Option<PullRequestOutput> {
    let found = fields::mapping(node, "a `pr` output", PR_FIELDS, report)?;
    let kind = found.get("type").and_then(|node| fields::text(node, "type", report));
    let title = checked(&found, "title", validate::title, report);
    let commit_message = checked(&found, "commit_message", validate::commit_message, report);
    let files = found.get("files").and_then(|node| files(node, report));
    let link_issue = given(&found, "link_issue", report, issue);
    let body = given(&found, "body", report, |node, report| text(node, "body", validate::body, report));
    let draft = given(&found, "draft", report, truth_value);
    let labels = named(&found, "labels", (MAX_LABELS, "bug"), validate::label, report);
    let reviewers = named(&found, "reviewers", (MAX_REVIEWERS, "octocat"), validate::login, report);
    let assignees = named(&found, "assignees", (MAX_ASSIGNEES, "octocat"), validate::login, report);
    let branch_name = given(&found, "branch_name", report, |node, report| {
        text(node, "branch_name", validate::branch_name, report)
    });
    kind?;
    Some(PullRequestOutput {
        title: title?,
        commit_message: commit_message?,
        files: files?,
        link_issue: link_issue?,
        body: body?,
        draft: draft?.unwrap_or_default(),
        labels: labels?,
        reviewers: reviewers?,
        assignees: assignees?,
        branch_name: branch_name?,
    })
}

fn read_comment(node: &Node, report: &mut Report<'_>) -> Option<CommentOutput> {
    let found = fields::mapping(node, "a `comment` output", COMMENT_FIELDS, report)?;
    let kind = found.get("type").and_then(|node| fields::text(node, "type", report));
    let body = given(&found, "body", report, |node, report| text(node, "body", validate::body, report));
    let file = given(&found, "body_file", report, |node, report| {
        text(node, "body_file", validate::file_path, report)
    });
    let link_issue = given(&found, "link_issue", report, issue);
    let text = match (body?, file?) {
        (Some(body), None) => CommentText::Body(body),
        (None, Some(file)) => CommentText::File(file),
        (both, _) => {
            let has =
                if both.is_some() { "both `body` and `body_file`" } else { "neither `body` nor `body_file`" };
            report.add(
                node.span,
                codes::COMMENT_TEXT,
                format!("The `comment` output has {has}; it needs one of them."),
                "Write the text behind `body: |`, or the path of a file that a step writes behind `body_file:`.",
            );
            return None;
        }
    };
    kind?;
    Some(CommentOutput { text, link_issue: link_issue? })
}

fn read_report(node: &Node, report: &mut Report<'_>) -> Option<ReportOutput> {
    let found = fields::mapping(node, "a `report` output", REPORT_FIELDS, report)?;
    let kind = found.get("type").and_then(|node| fields::text(node, "type", report));
    let path = checked(&found, "path", validate::report_path, report);
    let link_issue = given(&found, "link_issue", report, issue);
    kind?;
    Some(ReportOutput { path: path?, link_issue: link_issue? })
}

/// Tells the paths of one brief that are given twice, or lie inside each other, across its outputs.
fn apart(nodes: &[Node], outputs: &[Output], report: &mut Report<'_>) -> bool {
    let mut paths: Vec<&str> = Vec::new();
    let mut places: Vec<&Node> = Vec::new();
    for (node, output) in nodes.iter().zip(outputs) {
        let (own, place): (Vec<&str>, &Node) = match output {
            Output::Pr(pr) => (pr.files.iter().map(String::as_str).collect(), field(node, "files")),
            Output::Report(report) => (vec![report.path.as_str()], field(node, "path")),
            Output::Comment(_) => continue,
        };
        places.extend(std::iter::repeat_n(place, own.len()));
        paths.extend(own);
    }
    if paths.len() > MAX_FILES {
        let message = format!("The outputs name {} files; {MAX_FILES} are the most.", paths.len());
        if let Some(last) = places.last() {
            report.add(last.span, codes::TOO_MANY_FILES, message, "Split the work into several briefs.");
        }
        return false;
    }
    let clashes = validate::overlap(&paths);
    for (wrong, other) in &clashes {
        let (Some(node), Some(first)) = (places.get(*wrong), places.get(*other)) else { continue };
        let line = report.comment_line(first.span.start);
        let (path, other) = (paths[*wrong], paths[*other]);
        if path == other {
            let message =
                format!("{} is given twice; the output at line {line} has it first.", validate::shown(path));
            report.add(
                node.span,
                codes::FILE_TWICE,
                message,
                "Delete one of the two: a report is in the pull request by itself.",
            );
        } else {
            let message = format!(
                "{} lies inside {}, which the output at line {line} names as a file.",
                validate::shown(path),
                validate::shown(other)
            );
            report.add(
                node.span,
                codes::FILE_OVERLAP,
                message,
                "Name files only, not the folders that hold them.",
            );
        }
    }
    clashes.is_empty()
}

/// Returns the value of a field, or the whole mapping where it has none.
fn field<'n>(node: &'n Node, name: &str) -> &'n Node {
    let Value::Mapping(entries) = &node.value else { return node };
    let is_it = |key: &Node| matches!(&key.value, Value::Scalar { text, .. } if text == name);
    entries.iter().find(|(key, _)| is_it(key)).map_or(node, |(_, value)| value)
}

/// Reads an optional field: `Some(None)` where it is not given, `None` when it was told to be wrong.
fn given<T>(
    found: &Fields<'_>,
    name: &str,
    report: &mut Report<'_>,
    read: impl FnOnce(&Node, &mut Report<'_>) -> Option<T>,
) -> Option<Option<T>> {
    match found.get(name) {
        Some(node) => read(node, report).map(Some),
        None => Some(None),
    }
}

fn text(
    node: &Node,
    name: &str,
    rule: fn(&str) -> Result<(), Problem>,
    report: &mut Report<'_>,
) -> Option<String> {
    let text = fields::text(node, name, report)?;
    tell(rule(text), node, report).map(|()| text.to_owned())
}

/// Reads an optional list of names, each by its rule and none twice, in any case.
fn named(
    found: &Fields<'_>,
    name: &str,
    (most, example): (usize, &str),
    rule: fn(&str) -> Result<(), Problem>,
    report: &mut Report<'_>,
) -> Option<Vec<String>> {
    let Some(node) = found.get(name) else { return Some(Vec::new()) };
    let nodes = fields::list(node, name, example, report)?;
    if let Some(first) = nodes.get(most) {
        let message = format!("`{name}` has {} entries; {most} are the most.", nodes.len());
        report.add(
            first.span,
            codes::TOO_MANY_ENTRIES,
            message,
            "Leave some out; add them by hand afterwards.",
        );
        return None;
    }
    let mut read: Vec<Option<String>> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for entry in nodes {
        let text = fields::text_as(entry, &format!("an entry of `{name}`"), report);
        let mut text = text.and_then(|text| tell(rule(text), entry, report).map(|()| text.to_owned()));
        let plain = text.as_deref().map(str::to_lowercase);
        if let Some(plain) = plain {
            if seen.contains(&plain) {
                let message = format!("{} stands twice in `{name}`.", validate::shown(&plain));
                report.add(entry.span, codes::LISTED_TWICE, message, "Delete one of the two.");
                text = None;
            }
            seen.push(plain);
        }
        read.push(text);
    }
    read.into_iter().collect()
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
