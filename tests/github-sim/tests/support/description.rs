//! GitHub's published descriptions: found, read, and turned into JSON Schemas.

use jsonschema::Validator;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// One of the two description files.
pub(crate) struct Description {
    document: Value,
    components: Value,
}

/// Finds the folder of the descriptions; tells aloud when there is none, and fails where that may not be.
pub(crate) fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("CODEX_BRIEF_GITHUB_DESCRIPTIONS").map(PathBuf::from);
    let beside = [
        root.join("../shared/github"),
        root.join("../../shared/github"),
        root.join("../../../shared/github"),
    ];
    let readable = |folder: &PathBuf| folder.join("openapi-subset.json").is_file();
    if let Some(named) = named {
        assert!(
            readable(&named),
            "CODEX_BRIEF_GITHUB_DESCRIPTIONS names {}, which holds no openapi-subset.json",
            named.display()
        );
        return Some(named);
    }
    if let Some(found) = beside.into_iter().find(readable) {
        return Some(found);
    }
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        !(in_ci && root.join("../shared").exists()),
        "in CI, and ../shared is there, but ../shared/github/openapi-subset.json cannot be read"
    );
    let why = "neither CODEX_BRIEF_GITHUB_DESCRIPTIONS is set nor ../shared/github is there";
    aloud(&format!("NOT CHECKED: the simulated GitHub was not held against GitHub's description: {why}"));
    None
}

/// Writes to the process's real standard error, past the test harness, which would swallow `eprintln!`.
fn aloud(text: &str) {
    use std::io::Write as _;
    let mut terminal = std::io::stderr();
    writeln!(terminal, "{text}").unwrap();
}

impl Description {
    pub(crate) fn read(folder: &Path, file: &str) -> Self {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let mut document: Value = serde_json::from_str(&text).unwrap();
        let version = document["openapi"].as_str().unwrap().to_owned();
        // 3.0 writes "may be null" as `nullable`; 3.1 is JSON Schema as it stands.
        let old = version.starts_with("3.0");
        if old {
            mend(&mut document);
        }
        assert!(old || version.starts_with("3.1"), "OpenAPI {version} is not known here");
        let mut components = json!({"schemas": document["components"]["schemas"]});
        if old {
            translate(&mut components);
        }
        Self { document, components }
    }

    /// Gives the schema of an operation's answer; `None` when the description has no body for it.
    pub(crate) fn answer(&self, method: &str, path: &str, status: u16) -> Result<Option<Validator>, String> {
        let operation = &self.document["paths"][path][method.to_lowercase()];
        if operation.is_null() {
            return Err("the description has no such operation".to_owned());
        }
        let mut response = &operation["responses"][status.to_string()];
        if let Some(reference) = response["$ref"].as_str() {
            response = self.document.pointer(reference.trim_start_matches('#')).unwrap();
        }
        if response.is_null() {
            return Err(format!("the description has no answer {status}"));
        }
        let mut schema = response["content"]["application/json"]["schema"].clone();
        if schema.is_null() {
            return Ok(None);
        }
        translate(&mut schema);
        Ok(Some(self.validator(schema)))
    }

    /// Gives the schema of a webhook such as `issues-opened`.
    pub(crate) fn webhook(&self, name: &str) -> Option<Validator> {
        let hook =
            &self.document["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["schema"];
        (!hook.is_null()).then(|| self.validator(hook.clone()))
    }

    fn validator(&self, schema: Value) -> Validator {
        let whole = json!({"allOf": [schema], "components": self.components});
        jsonschema::options().should_validate_formats(true).build(&whole).unwrap()
    }
}

/// Mends the one place where the description contradicts itself: the list of installations wants an account
/// to be a user *and* an enterprise, the single installation (rightly) one of them.
fn mend(document: &mut Value) {
    let list = "/paths/~1app~1installations/get/responses/200/content/application~1json/schema/items";
    let account = document.pointer_mut(&format!("{list}/properties/account")).and_then(Value::as_object_mut);
    let Some(account) = account else { return };
    if let Some(kinds) = account.remove("allOf") {
        account.insert("anyOf".to_owned(), kinds);
    }
}

/// Rewrites `nullable` of OpenAPI 3.0 into what JSON Schema knows, everywhere below.
fn translate(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(translate),
        Value::Object(fields) => {
            // Examples are data; a field of theirs may be called `nullable` too.
            let is_schema = |field: &Value| field.get("type").is_some_and(Value::is_string);
            fields
                .retain(|name, field| !["example", "examples"].contains(&name.as_str()) || is_schema(field));
            fields.values_mut().for_each(translate);
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
                let plain = Value::Object(std::mem::take(fields));
                *value = json!({"anyOf": [plain, {"type": "null"}]});
            }
        }
        _ => {}
    }
}

/// Writes what a validator has against a value, at most a few lines of it.
pub(crate) fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
    let told = validator.iter_errors(value).take(6).map(|error| {
        let mut text = format!("{}: {error}", error.instance_path());
        if text.chars().count() > 400 {
            text = text.chars().take(400).collect();
        }
        text
    });
    told.collect()
}
