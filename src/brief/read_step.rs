//! From the tree of values to a [`Step`]: what it does, by its kind, and under which conditions.

use std::collections::BTreeMap;

use super::entries::{self, Entry};
use super::fields::{self, Field, Fields};
use super::read::{checked, converted, optional, required, tell};
use super::report::Report;
use super::validate;
use super::yaml::{Node, Value};
use super::{Step, When, Work, codes};

/// The fields that make a step one of their kind.
const KINDS: [&str; 4] = ["shell", "python", "make", "kubectl"];

/// The fields of a step.
pub(crate) const STEP_FIELDS: &[Field] = &[
    required("name"),
    Field { name: "shell", required: true, instead: &["python", "make", "kubectl"] },
    optional("python"),
    optional("interpreter"),
    optional("make"),
    optional("variables"),
    optional("kubectl"),
    optional("env"),
    optional("if"),
    optional("timeout"),
    optional("continue_on_error"),
];

/// Fields that belong to one kind alone.
const OF_ONE_KIND: [(&str, &str); 2] = [("interpreter", "python"), ("variables", "make")];

pub(crate) fn read_step(node: &Node, report: &mut Report<'_>) -> Option<Step> {
    let found = fields::mapping(node, "a step", STEP_FIELDS, report)?;
    let name = checked(&found, "name", validate::step_name, report);
    let work = work(&found, report);
    let env = given(&found, "env", report, |node, report| {
        variables(node, "`env`", report, |name, _| validate::variable(name))
    });
    let when = given(&found, "if", report, |node, report| converted(node, "if", validate::when, report));
    let timeout = given(&found, "timeout", report, |node, report| match &node.value {
        // A number alone is told as a time, rather than as a text that lacks quotes.
        Value::Scalar { text, plain: true } if !text.is_empty() => {
            tell(validate::timeout(text), node, report)
        }
        _ => converted(node, "timeout", validate::timeout, report),
    });
    let go_on = given(&found, "continue_on_error", report, |node, report| {
        entries::truth(node, "continue_on_error", report)
    });
    Some(Step {
        name: name?,
        work: work?,
        env: env?.unwrap_or_default(),
        when: when?.unwrap_or(When::Success),
        timeout: timeout?,
        continue_on_error: go_on?.unwrap_or_default(),
    })
}

/// Reads a field that may be left out: the outer `None` is a problem that was told.
fn given<T>(
    found: &Fields<'_>,
    name: &str,
    report: &mut Report<'_>,
    read: impl Fn(&Node, &mut Report<'_>) -> Option<T>,
) -> Option<Option<T>> {
    match found.get(name) {
        Some(node) => read(node, report).map(Some),
        None => Some(None),
    }
}

fn work(found: &Fields<'_>, report: &mut Report<'_>) -> Option<Work> {
    let kinds: Vec<(&str, &Node)> =
        KINDS.iter().filter_map(|kind| found.get(kind).map(|node| (*kind, node))).collect();
    let (kind, node) = *kinds.first()?;
    if let Some((second, place)) = kinds.get(1) {
        report.add(
            place.span,
            codes::STEP_KIND,
            format!("The step has both `{kind}` and `{second}`; a step does one thing."),
            "Write a step of its own for each.",
        );
        return None;
    }
    let mut fits = true;
    for (field, of) in OF_ONE_KIND.iter().filter(|(_, of)| *of != kind) {
        if let Some(node) = found.get(field) {
            let message = format!("`{field}` is for steps with `{of}`; this one has `{kind}`.");
            report.add(node.span, codes::STEP_FIELD, message, "Delete it.");
            fits = false;
        }
    }
    let work = match kind {
        "shell" => {
            Work::Shell { shell: checked(found, "shell", |text| validate::script("shell", text), report)? }
        }
        "python" => {
            let python = checked(found, "python", |text| validate::script("python", text), report);
            let interpreter = given(found, "interpreter", report, |node, report| {
                let name = fields::text(node, "interpreter", report)?;
                tell(validate::interpreter(name), node, report).map(|()| name.to_owned())
            });
            Work::Python { python: python?, interpreter: interpreter? }
        }
        "make" => {
            let make = targets(node, report);
            let variables = given(found, "variables", report, |node, report| {
                variables(node, "`variables`", report, validate::make_variable)
            });
            Work::Make { make: make?, variables: variables?.unwrap_or_default() }
        }
        _ => Work::Kubectl { kubectl: kubectl(node, report)? },
    };
    fits.then_some(work)
}

/// Reads variables, each held to a rule by name and value.
fn variables(
    node: &Node,
    what: &str,
    report: &mut Report<'_>,
    rule: fn(&str, &str) -> Result<(), validate::Problem>,
) -> Option<BTreeMap<String, String>> {
    let (found, complete) = entries::entries(node, what, report)?;
    let fine: Vec<Option<(String, String)>> = found
        .into_iter()
        .map(|Entry { name, key, value }| {
            tell(rule(name, value), key, report).map(|()| (name.to_owned(), value.to_owned()))
        })
        .collect();
    fine.into_iter().collect::<Option<_>>().filter(|_| complete)
}

/// Reads one target, or a list of them.
fn targets(node: &Node, report: &mut Report<'_>) -> Option<Vec<String>> {
    let one = |node: &Node, what: &str, report: &mut Report<'_>| {
        let text = fields::text_as(node, what, report)?;
        tell(validate::make_target(text), node, report).map(|()| text.to_owned())
    };
    match &node.value {
        Value::List(nodes) if !nodes.is_empty() => {
            let read: Vec<Option<String>> =
                nodes.iter().map(|node| one(node, "an entry of `make`", report)).collect();
            read.into_iter().collect()
        }
        Value::List(_) | Value::Mapping(_) => {
            fields::list(node, "make", "all", report)?;
            None
        }
        _ => one(node, "`make`", report).map(|target| vec![target]),
    }
}

fn kubectl(node: &Node, report: &mut Report<'_>) -> Option<Vec<String>> {
    let nodes = fields::list(node, "kubectl", "get", report)?;
    let read: Vec<Option<&str>> =
        nodes.iter().map(|node| fields::text_as(node, "an entry of `kubectl`", report)).collect();
    let arguments: Vec<&str> = read.into_iter().collect::<Option<_>>()?;
    let problems = validate::kubectl(&arguments);
    for (at, problem) in &problems {
        if let Some(place) = nodes.get(*at) {
            report.add(place.span, problem.code, problem.message.clone(), problem.help.clone());
        }
    }
    problems.is_empty().then(|| arguments.into_iter().map(str::to_owned).collect())
}
