//! The JSON Schema of each type of output.

use serde_json::{Value, json};

use super::super::validate::{
    BRANCH_PREFIX, MAX_BODY_CHARS, MAX_BRANCH_BYTES, MAX_ISSUE_NUMBER, MAX_LABEL_CHARS, MAX_LOGIN_CHARS,
    MAX_PATH_BYTES, REPORTS,
};
use super::super::{MAX_FILES, MAX_TITLE_CHARS};
use super::{MAX_ASSIGNEES, MAX_LABELS, MAX_REVIEWERS};

/// Returns the schema of a `pr` output.
pub(crate) fn pull_request() -> Value {
    json!({
        "description": "A pull request with one commit that holds exactly the declared files.",
        "type": "object",
        "additionalProperties": false,
        "required": ["type", "title", "commit_message", "files"],
        "properties": {
            "type": { "description": "The type of output.", "const": "pr" },
            "title": {
                "description": "The pull request's title, in one line.",
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_TITLE_CHARS,
                "pattern": r"^[^\n]+$",
            },
            "commit_message": {
                "description": "The commit's message, without the trailers that the publisher adds.",
                "type": "string",
                "minLength": 1,
                "pattern": format!(r"^[^\n]{{1,{MAX_TITLE_CHARS}}}(\n|$)"),
            },
            "files": {
                "description": "The files that the run must change, and no others: paths from the repository's root. Patterns are not served.",
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_FILES,
                "uniqueItems": true,
                "items": path(),
            },
            "link_issue": issue("that the pull request refers to"),
            "body": body("Markdown for the top of the pull request's description."),
            "draft": { "description": "Whether the pull request is opened as a draft.", "type": "boolean" },
            "labels": {
                "description": "Labels that the pull request gets; those that are missing are made.",
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_LABELS,
                "uniqueItems": true,
                "items": { "type": "string", "minLength": 1, "maxLength": MAX_LABEL_CHARS, "pattern": r"^[^,\n]+$" },
            },
            "reviewers": people("who are asked to review the pull request", MAX_REVIEWERS),
            "assignees": people("to whom the pull request is assigned", MAX_ASSIGNEES),
            "branch_name": {
                "description": "The branch of the pull request. The App's own open pull request from it is updated.",
                "type": "string",
                "maxLength": MAX_BRANCH_BYTES,
                "pattern": format!("^{BRANCH_PREFIX}.+$"),
                "examples": ["codex-brief/weekly-report"],
            },
        },
    })
}

/// Returns the schema of a `comment` output.
pub(crate) fn comment() -> Value {
    json!({
        "description": "A comment of the App.",
        "type": "object",
        "additionalProperties": false,
        "required": ["type"],
        "oneOf": [{ "required": ["body"] }, { "required": ["body_file"] }],
        "properties": {
            "type": { "description": "The type of output.", "const": "comment" },
            "body": body("What the comment says, Markdown."),
            "body_file": with(path(), "The file, as the steps leave it, that holds what the comment says: a path from the repository's root."),
            "link_issue": issue("that the comment goes to; without it, the thread of the brief"),
        },
    })
}

/// Returns the schema of a `report` output.
pub(crate) fn report() -> Value {
    let path = json!({
        "type": "string",
        "maxLength": MAX_PATH_BYTES,
        "pattern": format!(r"^{REPORTS}[^\\*?\n]+\.[Mm][Dd]$"),
        "examples": ["reports/status.md"],
    });
    json!({
        "description": "A Markdown file below reports/, in the brief's pull request or in one of its own.",
        "type": "object",
        "additionalProperties": false,
        "required": ["type", "path"],
        "properties": {
            "type": { "description": "The type of output.", "const": "report" },
            "path": with(path, "The report's path, which a step must write."),
            "link_issue": issue("that the report's own pull request refers to"),
        },
    })
}

fn path() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": MAX_PATH_BYTES, "pattern": r"^[^/\\*?\n][^\\*?\n]*$" })
}

fn body(description: &str) -> Value {
    json!({ "description": description, "type": "string", "minLength": 1, "maxLength": MAX_BODY_CHARS, "pattern": r"\S" })
}

fn issue(which: &str) -> Value {
    json!({
        "description": format!("The number of an issue of the same repository {which}."),
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_ISSUE_NUMBER,
    })
}

fn people(which: &str, most: usize) -> Value {
    json!({
        "description": format!("The people, by login, {which}."),
        "type": "array",
        "minItems": 1,
        "maxItems": most,
        "uniqueItems": true,
        "items": {
            "type": "string",
            "maxLength": MAX_LOGIN_CHARS,
            "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$",
            "examples": ["octocat"],
        },
    })
}

fn with(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}
