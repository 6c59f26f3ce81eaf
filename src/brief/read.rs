//! From the tree of values to a [`Brief`]: each field by its rule, all problems collected.

use super::fields::{self, Field, Fields};
use super::outputs::read::outputs;
use super::read_step::read_step;
use super::report::Report;
use super::validate::{self, Problem};
use super::yaml::Node;
use super::{Brief, MAX_STEPS, Step, codes};

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
