//! What the App shall be: `app.yml`, which is part of the program, and the manifest that GitHub is handed of it.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::place::Place;
use crate::error::UserError;

const APP: &str = include_str!("../../app.yml");

/// GitHub's limit for an App's name, in characters.
pub const LONGEST_NAME: usize = 34;

/// What an App has to be, as `app.yml` says it.
#[derive(Debug, Clone, Deserialize)]
pub struct Wanted {
    /// Tells in a sentence what the App does.
    pub description: String,
    /// Tells whether others than its owner may install it.
    pub public: bool,
    /// Holds what it may do: permissions, each with `read` or `write`.
    pub default_permissions: BTreeMap<String, String>,
    /// Lists what it hears of.
    pub default_events: Vec<String>,
}

impl Wanted {
    /// Reads `app.yml` as it was built in.
    pub fn read() -> Result<Self, UserError> {
        let wanted = tree(APP).and_then(|tree| serde_json::from_value(tree).ok());
        wanted.ok_or_else(|| {
            UserError::new(
                "internal-error",
                "The program's own app.yml cannot be read.",
                "Build it from an app.yml that its tests accept.",
            )
        })
    }

    /// Writes the manifest of an App. Without a webhook it names neither one nor events: GitHub refuses events
    /// without a webhook, and one without an address.
    pub fn manifest(
        &self,
        name: &str,
        place: &Place,
        webhook_url: Option<&str>,
        redirect_url: &str,
    ) -> Value {
        let mut manifest = json!({
            "name": name,
            "url": format!("{}/apps/{name}", place.web_url),
            "description": self.description,
            "public": self.public,
            "redirect_url": redirect_url,
            "default_permissions": self.default_permissions,
        });
        if let Some(url) = webhook_url {
            manifest["hook_attributes"] = json!({ "url": url, "active": true });
            manifest["default_events"] = json!(self.default_events);
        }
        manifest
    }
}

/// Reads the part of YAML that `app.yml` uses: mappings, lists, texts, and `true` and `false`.
fn tree(text: &str) -> Option<Value> {
    let mut open: Vec<(bool, Vec<Value>)> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let value = match event.ok()?.0 {
            Event::Scalar(text, ScalarStyle::Plain, ..) if text == "true" => Value::Bool(true),
            Event::Scalar(text, ScalarStyle::Plain, ..) if text == "false" => Value::Bool(false),
            Event::Scalar(text, ..) => Value::String(text.to_string()),
            Event::SequenceStart(..) => {
                open.push((false, Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((true, Vec::new()));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop()? {
                (false, items) => Value::Array(items),
                (true, items) => Value::Object(pairs(items)?),
            },
            _ => continue,
        };
        match open.last_mut() {
            Some((_, items)) => items.push(value),
            None => root = Some(value),
        }
    }
    root
}

fn pairs(items: Vec<Value>) -> Option<Map<String, Value>> {
    let mut pairs = Map::new();
    let mut items = items.into_iter();
    while let Some(key) = items.next() {
        pairs.insert(key.as_str()?.to_owned(), items.next()?);
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_yml_asks_for_what_the_server_uses_and_for_nothing_powerful() {
        let wanted = Wanted::read().unwrap();
        assert!(!wanted.public);
        assert_eq!(wanted.default_permissions["contents"], "write");
        assert_eq!(wanted.default_permissions["metadata"], "read");
        for never in ["workflows", "administration", "secrets", "actions"] {
            assert!(!wanted.default_permissions.contains_key(never), "{never}");
        }
        for event in ["issues", "issue_comment", "pull_request", "check_run", "repository"] {
            assert!(wanted.default_events.iter().any(|wanted| wanted == event), "{event}");
        }
    }

    #[test]
    fn a_manifest_without_a_webhook_names_no_events() {
        let place = Place::read("https://github.com", None).unwrap();
        let wanted = Wanted::read().unwrap();
        let back = "http://127.0.0.1:1/callback";
        let hears = wanted.manifest("n", &place, Some("https://h.example.com/webhooks/github"), back);
        assert_eq!(hears["hook_attributes"]["url"], "https://h.example.com/webhooks/github");
        assert!(hears["default_events"].as_array().unwrap().len() >= 5);
        assert_eq!(hears["redirect_url"], back);
        let asks = wanted.manifest("n", &place, None, back);
        assert!(asks.get("hook_attributes").is_none() && asks.get("default_events").is_none(), "{asks}");
        assert_eq!(asks["default_permissions"], hears["default_permissions"]);
    }
}
