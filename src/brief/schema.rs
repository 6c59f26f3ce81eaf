//! The JSON Schema of a brief, so that editors complete fields and mark mistakes.
//!
//! A schema cannot say all that [`super::parse`] checks; it is never stricter than the parser, and
//! where it is looser, `codex-brief check` tells the rest.

use serde_json::{Value, json};

use super::outputs::MAX_OUTPUTS;
use super::outputs::schema::{comment, pull_request, report};
use super::step::When;
use super::validate::{MAX_BRANCH_BYTES, MAX_WORKDIR_BYTES};
use super::{MAX_LINE_CHARS, MAX_STEPS};

/// The dialect of JSON Schema that the document is written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Returns the JSON Schema (draft 2020-12) of a brief; `docs/brief.schema.json` is this, rendered by
/// [`json_text`].
pub fn json_schema() -> Value {
    json!({
        "$schema": DIALECT,
        "title": "codex-brief",
        "description": "A codex-brief block: what to run, where, and what shall come of it.",
        "type": "object",
        "additionalProperties": false,
        "required": ["executor", "repo", "branch", "workdir", "steps", "outputs"],
        "properties": {
            "executor": executor(),
            "repo": repo(),
            "branch": branch(),
            "workdir": workdir(),
            "steps": {
                "description": "The steps, in the order in which they run; after the first that fails only those run whose `if` says so.",
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STEPS,
                "items": step(),
            },
            "outputs": {
                "description": "What shall come of the run: a pull request, comments, reports.",
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_OUTPUTS,
                "items": { "oneOf": [pull_request(), comment(), report()] },
            },
            "context_header": {
                "description": "Context for people and models; kept and shown, never interpreted.",
                "type": "string",
                "minLength": 1,
            },
            "notes": {
                "description": "Remarks for people; kept and shown, never interpreted.",
                "type": "string",
                "minLength": 1,
            },
        },
        "examples": [example()],
    })
}

/// Returns the schema as the text of a file: indented by two spaces, with a line feed at the end.
pub fn json_text() -> String {
    format!("{:#}\n", json_schema())
}

fn executor() -> Value {
    json!({
        "description": "The lane that does the work.",
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        "examples": ["devbox-codex"],
    })
}

fn repo() -> Value {
    json!({
        "description": "The repository that is worked on, as owner/name.",
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,38}/[A-Za-z0-9._-]{1,100}$",
        "examples": ["octo/example"],
    })
}

fn branch() -> Value {
    json!({
        "description": "The branch that is the base of the work and of the pull request, without refs/heads/.",
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_BRANCH_BYTES,
        "pattern": r"^[^\s~^:?*\[\\/-][^\s~^:?*\[\\]*$",
        "examples": ["main"],
    })
}

fn workdir() -> Value {
    json!({
        "description": "The folder in which the steps find the checkout: absolute, or below ~/.",
        "type": "string",
        "maxLength": MAX_WORKDIR_BYTES,
        "pattern": r"^(/|~/)[^\\]+$",
        "examples": ["~/work/example"],
    })
}

fn step() -> Value {
    json!({
        "description": "One step.",
        "type": "object",
        "additionalProperties": false,
        "required": ["name"],
        "oneOf": [
            { "required": ["shell"] },
            { "required": ["python"] },
            { "required": ["make"] },
            { "required": ["kubectl"] },
        ],
        "dependentRequired": { "interpreter": ["python"], "variables": ["make"] },
        "properties": {
            "name": {
                "description": "What the step does, in one line; shown in logs and comments.",
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_LINE_CHARS,
                "pattern": r"^[^\n]+$",
            },
            "shell": script("The bash script of the step."),
            "python": script("The Python script of the step."),
            "interpreter": {
                "description": "The program that runs the Python script; python3 if not given.",
                "type": "string",
                "pattern": r"^(python3|pypy3)(\.[0-9]{1,2})?$",
                "examples": ["python3.11"],
            },
            "make": {
                "description": "The target of the repository's makefile, or a list of them.",
                "anyOf": [make_target(), { "type": "array", "minItems": 1, "items": make_target() }],
            },
            "variables": variables("Variables that the makefile is given, as texts."),
            "kubectl": {
                "description": "The arguments of kubectl, the verb first; the lane says which verbs and which cluster.",
                "type": "array",
                "minItems": 1,
                "items": { "type": "string" },
                "examples": [["get", "pods", "-n", "web"]],
            },
            "env": variables("Variables of the step, as texts; the lane says which names."),
            "if": {
                "description": "When the step runs: while none before it failed (success, the usual), after one failed, or always.",
                "type": "string",
                "enum": When::WORDS.map(|(word, _)| word),
            },
            "timeout": {
                "description": "The most time that the step takes, such as 90s or 10m; never more than the lane gives.",
                "type": "string",
                "pattern": "^[0-9]{1,5}[smh]$",
            },
            "continue_on_error": {
                "description": "Whether the run goes on as if nothing was wrong when the step fails.",
                "type": "boolean",
            },
        },
    })
}

fn script(description: &str) -> Value {
    json!({ "description": description, "type": "string", "minLength": 1, "pattern": r"\S" })
}

fn make_target() -> Value {
    json!({ "type": "string", "pattern": r"^[^-\s=][^\s=]*$" })
}

fn variables(description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,99}$" },
        "additionalProperties": { "type": "string" },
    })
}

fn example() -> Value {
    json!({
        "executor": "devbox-codex",
        "repo": "octo/example",
        "branch": "main",
        "workdir": "~/work/example",
        "steps": [{ "name": "write the report", "shell": "set -e\nmake report\n" }],
        "outputs": [{
            "type": "pr",
            "title": "Reports: add the status",
            "commit_message": "reports: add the status",
            "files": ["reports/status.md"],
            "link_issue": 774,
            "labels": ["documentation"],
        }, {
            "type": "comment",
            "body": "The status of this week is on its way.",
        }],
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::fields::Field;
    use super::super::outputs::read::{COMMENT_FIELDS, PR_FIELDS, REPORT_FIELDS};
    use super::super::read::BRIEF_FIELDS;
    use super::super::read_step::STEP_FIELDS;
    use super::*;

    #[test]
    fn the_committed_schema_is_this_one() {
        let committed = include_str!("../../docs/brief.schema.json");
        assert!(
            committed == json_text(),
            "docs/brief.schema.json is out of step; run: cargo run -- schema > docs/brief.schema.json"
        );
    }

    #[test]
    fn the_schema_has_the_fields_of_the_parser() {
        let schema = json_schema();
        let step = &schema["properties"]["steps"]["items"];
        let outputs = &schema["properties"]["outputs"]["items"]["oneOf"];
        for (object, fields) in [
            (&schema, BRIEF_FIELDS),
            (step, STEP_FIELDS),
            (&outputs[0], PR_FIELDS),
            (&outputs[1], COMMENT_FIELDS),
            (&outputs[2], REPORT_FIELDS),
        ] {
            let names: BTreeSet<&str> =
                object["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, fields.iter().map(|field| field.name).collect());
            let required: BTreeSet<&str> =
                object["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let wanted = |field: &&Field| field.required && field.instead.is_empty();
            assert_eq!(required, fields.iter().filter(wanted).map(|field| field.name).collect());
            assert_eq!(object["additionalProperties"], false);
        }
    }

    #[test]
    fn the_example_is_a_good_brief() {
        // Every JSON document is YAML.
        let text = serde_json::to_string_pretty(&example()).unwrap();
        super::super::parse_document(&text).unwrap();
    }
}
