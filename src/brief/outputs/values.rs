//! Reads the values that only outputs have: lists of files, numbers of issues, truth values.

use super::super::fields;
use super::super::read::tell;
use super::super::report::Report;
use super::super::validate;
use super::super::yaml::{Node, Value};
use super::super::{MAX_FILES, codes};

pub(super) fn files(node: &Node, report: &mut Report<'_>) -> Option<Vec<String>> {
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

pub(super) fn issue(node: &Node, report: &mut Report<'_>) -> Option<u64> {
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

pub(super) fn truth_value(node: &Node, report: &mut Report<'_>) -> Option<bool> {
    match &node.value {
        Value::Scalar { text, plain: true } if text == "true" => Some(true),
        Value::Scalar { text, plain: true } if text == "false" => Some(false),
        Value::Scalar { text, .. } => {
            let message = format!("{} is neither `true` nor `false`.", validate::shown(text));
            report.add(node.span, codes::TRUTH_VALUE, message, "Write `true` or `false`, without quotes.");
            None
        }
        _ => {
            fields::wrong_type(node, "`true` or `false`", "Write `true` or `false`, without quotes.", report);
            None
        }
    }
}
