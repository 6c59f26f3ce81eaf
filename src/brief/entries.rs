//! Values of a step that are no texts: truth values, and mappings whose names are the author's own.

use super::characters::quote;
use super::codes;
use super::fields::{QUOTED, field_name, text_as, wrong_type};
use super::report::Report;
use super::yaml::{Node, Value};

/// Reads a truth value.
pub(crate) fn truth(node: &Node, name: &str, report: &mut Report<'_>) -> Option<bool> {
    match &node.value {
        Value::Scalar { text, plain: true } if text == "true" => Some(true),
        Value::Scalar { text, plain: true } if text == "false" => Some(false),
        _ => {
            let help = format!("Write `{name}: true` or `{name}: false`, without quotes.");
            wrong_type(node, &format!("`{name}` as `true` or `false`"), &help, report);
            None
        }
    }
}

/// One line of a mapping whose names are its author's own.
pub(crate) struct Entry<'n> {
    pub(crate) name: &'n str,
    /// Holds the place of the name.
    pub(crate) key: &'n Node,
    pub(crate) value: &'n str,
}

/// Reads a mapping whose names are its author's own, such as variables, to texts; `false` when a part of it
/// was told to be wrong and is left out.
pub(crate) fn entries<'n>(
    node: &'n Node,
    what: &str,
    report: &mut Report<'_>,
) -> Option<(Vec<Entry<'n>>, bool)> {
    let Value::Mapping(entries) = &node.value else {
        let help = "Write `NAME: value` lines, indented deeper than the field.";
        wrong_type(node, &format!("{what} as a mapping"), help, report);
        return None;
    };
    let mut read: Vec<Entry<'_>> = Vec::new();
    let mut complete = true;
    for (key, value) in entries {
        let Some(name) = field_name(key, report) else {
            complete = false;
            continue;
        };
        if let Some(first) = read.iter().find(|other| other.name == name) {
            let line = report.comment_line(first.key.span.start);
            let message = format!("{} is given twice; line {line} has it first.", quote(name, QUOTED));
            report.add(key.span, codes::DUPLICATE_FIELD, message, "Delete one of the two.");
            complete = false;
            continue;
        }
        match text_as(value, &quote(name, QUOTED), report) {
            Some(value) => read.push(Entry { name, key, value }),
            None => complete = false,
        }
    }
    Some((read, complete))
}
