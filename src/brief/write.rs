//! Writing a [`Brief`] down as its author would, so that it is read back as the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::fields::not_a_text;
use super::{Brief, CommentText, Output, PullRequestOutput, Step, When, Work};

/// Returns a brief as a fenced block for a comment.
pub fn fenced(brief: &Brief) -> String {
    let text = yaml(brief);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}codex-brief\n{text}{fence}\n")
}

/// Returns a brief as YAML.
pub fn yaml(brief: &Brief) -> String {
    let mut out = String::new();
    for (name, value) in [
        ("executor", &brief.executor),
        ("repo", &brief.repo.to_string()),
        ("branch", &brief.branch),
        ("workdir", &brief.workdir),
    ] {
        field(&mut out, "", name, value);
    }
    for (name, value) in [("context_header", &brief.context_header), ("notes", &brief.notes)] {
        if let Some(value) = value {
            text(&mut out, "", name, value);
        }
    }
    out.push_str("\nsteps:\n");
    brief.steps.iter().for_each(|one| step(&mut out, one));
    out.push_str("\noutputs:\n");
    brief.outputs.iter().for_each(|one| output(&mut out, one));
    out
}

fn output(out: &mut String, output: &Output) {
    let link_issue = match output {
        Output::Pr(pr) => {
            out.push_str("  - type: pr\n");
            pull_request(out, pr);
            pr.link_issue
        }
        Output::Comment(comment) => {
            out.push_str("  - type: comment\n");
            match &comment.text {
                CommentText::Body(body) => text(out, "    ", "body", body),
                CommentText::File(path) => field(out, "    ", "body_file", path),
            }
            comment.link_issue
        }
        Output::Report(report) => {
            out.push_str("  - type: report\n");
            field(out, "    ", "path", &report.path);
            report.link_issue
        }
    };
    if let Some(issue) = link_issue {
        let _ = writeln!(out, "    link_issue: {issue}");
    }
}

fn pull_request(out: &mut String, pr: &PullRequestOutput) {
    let _ = writeln!(out, "    title: {}", in_quotes(&pr.title));
    text(out, "    ", "commit_message", &pr.commit_message);
    list(out, "files", &pr.files);
    if let Some(body) = &pr.body {
        text(out, "    ", "body", body);
    }
    if pr.draft {
        out.push_str("    draft: true\n");
    }
    let lists = [("labels", &pr.labels), ("reviewers", &pr.reviewers), ("assignees", &pr.assignees)];
    for (name, entries) in lists.into_iter().filter(|(_, entries)| !entries.is_empty()) {
        list(out, name, entries);
    }
    if let Some(name) = &pr.branch_name {
        field(out, "    ", "branch_name", name);
    }
}

fn step(out: &mut String, step: &Step) {
    field(out, "  - ", "name", &step.name);
    match &step.work {
        Work::Shell { shell } => text(out, "    ", "shell", shell),
        Work::Python { python, interpreter } => {
            text(out, "    ", "python", python);
            if let Some(interpreter) = interpreter {
                field(out, "    ", "interpreter", interpreter);
            }
        }
        Work::Make { make, variables } => {
            list(out, "make", make);
            mapping(out, "variables", variables);
        }
        Work::Kubectl { kubectl } => list(out, "kubectl", kubectl),
    }
    mapping(out, "env", &step.env);
    if step.when != When::Success {
        field(out, "    ", "if", step.when.word());
    }
    if let Some(timeout) = &step.timeout {
        field(out, "    ", "timeout", timeout.as_str());
    }
    if step.continue_on_error {
        out.push_str("    continue_on_error: true\n");
    }
}

fn list(out: &mut String, name: &str, entries: &[String]) {
    let _ = writeln!(out, "    {name}:");
    for entry in entries {
        let _ = writeln!(out, "      - {}", scalar(entry));
    }
}

fn mapping(out: &mut String, name: &str, entries: &BTreeMap<String, String>) {
    if !entries.is_empty() {
        let _ = writeln!(out, "    {name}:");
    }
    for (name, value) in entries {
        let _ = writeln!(out, "      {}: {}", scalar(name), in_quotes(value));
    }
}

fn field(out: &mut String, indentation: &str, name: &str, value: &str) {
    let _ = writeln!(out, "{indentation}{name}: {}", scalar(value));
}

/// Writes a text: as a block where it is lines, on one line otherwise.
fn text(out: &mut String, indentation: &str, name: &str, value: &str) {
    let lines = value.strip_suffix('\n').filter(|lines| {
        let blank = |line: &str| line.trim().is_empty();
        // A block's first line tells its indentation, and at its end only one line's end is kept.
        !lines.starts_with([' ', '\t']) && !lines.lines().next().is_none_or(blank) && !lines.ends_with('\n')
    });
    let Some(lines) = lines else {
        let _ = writeln!(out, "{indentation}{name}: {}", in_quotes(value));
        return;
    };
    let _ = writeln!(out, "{indentation}{name}: |");
    for line in lines.split('\n') {
        let room = if line.is_empty() { "" } else { "  " };
        let indentation = if line.is_empty() { "" } else { indentation };
        let _ = writeln!(out, "{indentation}{room}{line}");
    }
}

/// Returns a value as it is where YAML reads it so, otherwise in quotes.
fn scalar(value: &str) -> String {
    let begins = value.starts_with(|c: char| c.is_ascii_alphanumeric()) || value.starts_with("~/");
    let plain = |c: char| c.is_ascii_alphanumeric() || " ._/-+()".contains(c);
    let rest = value.strip_prefix('~').unwrap_or(value);
    if begins && rest.chars().all(plain) && !value.ends_with(' ') && not_a_text(value).is_none() {
        return value.to_owned();
    }
    in_quotes(value)
}

/// Returns a value in double quotes, as JSON and YAML write it.
fn in_quotes(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{MAX_LINE_CHARS, extract, parse, parse_document};
    use super::*;

    fn read_back(brief: &Brief) {
        let text = yaml(brief);
        assert_eq!(parse_document(&text).as_ref(), Ok(brief), "{text}");
        let found = extract(&fenced(brief));
        let [fence] = found.fences.as_slice() else { panic!("{found:?}") };
        assert_eq!(parse(&fence.text, &fence.origin()).as_ref(), Ok(brief));
    }

    #[test]
    fn steps_of_each_kind_are_read_back_as_they_were() {
        let text = include_str!("../../fixtures/briefs/good/kinds-of-steps.yaml");
        read_back(&parse_document(text).unwrap());
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was(
            script in "[ -~\té\n]{1,80}", name in "[ -~é]{1,40}", value in "[ -~\n]{0,20}", times in 1..9_usize,
        ) {
            prop_assume!(!script.trim().is_empty() && !name.trim().is_empty());
            prop_assume!(name.chars().count() <= MAX_LINE_CHARS);
            let text = include_str!("../../fixtures/briefs/good/minimal.yaml");
            let mut brief = parse_document(text).unwrap();
            brief.steps = vec![Step::shell(name.clone(), script.clone()); times];
            brief.steps[0].env = BTreeMap::from([("A".to_owned(), value)]);
            brief.notes = Some(script);
            read_back(&brief);
        }
    }
}
